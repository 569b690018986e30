//! From a plugin file to a vault: found, inspected, trusted, loaded, run.

pub mod inspect;
pub mod pins;
pub mod runner;
pub mod trust;
pub mod verdict;
