//! Tests for lost secrets: killed processes, power failures, full disks and damaged files. Each
//! test records the acknowledged writes and checks that they are there.
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
