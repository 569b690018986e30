//! Write a Keystead vault plugin in plain Rust.
#![warn(missing_docs)]
#![deny(unsafe_code)]

pub mod manifest;
pub mod testing;

mod error;
mod metadata;
mod name;
mod parameters;
mod plugin;
mod value;
mod vault;

pub use error::*;
pub use metadata::*;
pub use name::*;
pub use parameters::*;
pub use plugin::*;
pub use value::*;
pub use vault::*;

/// Placeholder until export.rs lands in the next commit.
#[doc(hidden)]
#[macro_export]
macro_rules! export_plugin {
    ($($t:tt)*) => {};
}
