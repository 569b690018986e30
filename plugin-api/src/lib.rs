//! Write a Keystead vault plugin in plain Rust.
#![warn(missing_docs)]
#![deny(unsafe_code)]
// Here as well as in Cargo.toml, which old cargos do not read for it.
#![deny(unsafe_op_in_unsafe_fn)]

pub mod manifest;
pub mod testing;

// The one place of unsafe code: see the module.
#[allow(unsafe_code)]
#[doc(hidden)]
pub mod abi;

mod error;
mod export;
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

// Not only `abort`: newer compilers have `immediate-abort` as well.
#[cfg(not(panic = "unwind"))]
compile_error!(
    "a Keystead plugin must be built with `panic = \"unwind\"`: a panic is caught at the boundary"
);
