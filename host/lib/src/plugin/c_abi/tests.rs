//! The headers as compilers of C and other languages see them and as Rust does, and a plugin of the
//! C ABI that is linked into this test, so that each call of the contract is made without a file.
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "a test's own plugin")]
#![allow(clippy::undocumented_unsafe_blocks, reason = "a test's own plugin")]

mod attack;
mod header;
mod languages;
mod matrix;
mod plugin;
mod value;
mod whole;
