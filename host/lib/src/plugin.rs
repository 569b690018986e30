//! From a plugin file to a vault: found, inspected, trusted, loaded, run.

// Names abi_stable; the loader runs foreign code.
mod abi_check;
// Runs and is run by foreign code.
#[allow(unsafe_code)]
#[doc(hidden)]
pub mod c_abi;
pub(crate) mod exec;
pub mod grant;
pub mod inspect;
#[allow(unsafe_code)]
pub mod loader;
pub mod pins;
pub(crate) mod replace;
pub mod runner;
pub mod trust;
pub mod verdict;

pub use abi_check::AbiCompatibility;
