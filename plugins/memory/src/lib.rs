//! Keystead's reference plugin. The plugin itself is the page `plugin-api/docs/memory.rs`, the
//! front page of the plugin API's documentation. This crate adds a map of secrets with its file,
//! and sessions.
#![forbid(unsafe_code)]

#[path = "../../../plugin-api/docs/memory.rs"]
mod memory;

mod claim;
mod file;
mod line;
mod secrets;
mod session;

pub use memory::{Memory, MANIFEST};
