//! Write a Keystead vault plugin in plain Rust.
//!
//! A plugin is a type that implements [`Plugin`], which opens vaults; a [`Vault`] gets, lists
//! and, where it can, writes secrets. [`export_plugin!`] makes the crate a plugin file, and
//! [`testing`] checks that a vault keeps what the contract's bullets promise. No unsafe code,
//! no foreign types, no other dependency.
//!
//! The same contract as C functions is `include/keystead_plugin.h`.
//!
//! This is a whole one. `keystead plugin new DIR` writes it as a project of your own, with the
//! two things that it leaves to other modules: a map of secrets with its file, and sessions.
//!
//! ```no_run
#![doc = include_str!("../docs/memory.rs")]
//! # #[path = "../../plugins/memory/src/claim.rs"]
//! # mod claim;
//! # #[path = "../../plugins/memory/src/file.rs"]
//! # mod file;
//! # #[path = "../../plugins/memory/src/line.rs"]
//! # mod line;
//! # #[path = "../../plugins/memory/src/secrets.rs"]
//! # mod secrets;
//! # #[path = "../../plugins/memory/src/session.rs"]
//! # mod session;
//! # fn main() {}
//! ```
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

mod access;
mod challenge;
mod error;
mod export;
mod metadata;
mod name;
mod parameters;
mod plugin;
mod value;
mod vault;

pub use challenge::*;
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

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
