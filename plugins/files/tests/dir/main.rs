//! Directories that other programs wrote, read through a vault.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod content;
mod kinds;
mod kubernetes;
mod mode;
mod special;
mod world;
mod write;
