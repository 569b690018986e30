//! The header as a C compiler sees it and as Rust does, and a plugin of the C door that is
//! linked into this test, so that each call of the contract is made without a file.
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "a test's own plugin")]
#![allow(clippy::undocumented_unsafe_blocks, reason = "a test's own plugin")]

mod header;
mod plugin;
mod whole;
