//! The headers as Rust and compilers of C and other languages see them. Also a plugin of the C ABI
//! that is linked into this test, so that its calls need no file.
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "a test's own plugin")]
#![allow(clippy::undocumented_unsafe_blocks, reason = "a test's own plugin")]

mod attack;
mod header;
mod languages;
mod matrix;
mod plugin;
mod value;
mod whole;
