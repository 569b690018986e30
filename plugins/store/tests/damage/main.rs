//! Nothing lost: what becomes of a vault whose process is killed, whose power fails, whose disk
//! is full, and whose file is damaged. Each test says what was acknowledged and looks for it.
#![allow(clippy::print_stdout, reason = "a seed, for whoever repeats what failed")]
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod child;
mod error;
mod fault;
mod flip;
mod flip_write;
mod foreign;
mod foreign_page;
mod full;
mod killed;
mod many;
mod place;
mod power;
mod vault;
