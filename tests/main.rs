//! What needs a built plugin or the built command: the one integration binary.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod bad;
mod boundary;
mod cli;
mod files;
mod format;
mod host;
mod listed;
mod one_script;
mod oracle;
mod plugin_files;
mod scene;
