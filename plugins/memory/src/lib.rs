//! Keystead's reference plugin. The plugin itself is the page `plugin-api/docs/memory.rs`,
//! which is the front documentation of the contract; here is what that page leaves to
//! others: a map of secrets with its file, and sessions.
#![forbid(unsafe_code)]

#[path = "../../../plugin-api/docs/memory.rs"]
mod memory;

mod claim;
mod file;
mod line;
mod secrets;
mod session;

pub use memory::{Memory, MANIFEST};
