//! The one integration test binary, for tests that need a built plugin or the built command.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[allow(dead_code, reason = "shared with the tests of the plugin, which need other parts")]
mod bao;
mod boundary;
mod cli;
mod faults;
mod files;
mod format;
mod host;
mod listed;
mod one_script;
mod plugin_files;
mod podman;
mod scene;
mod secretmanagement;
