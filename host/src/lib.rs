//! The host: loads vault plugins that it has proven, and answers for all their vaults.
#![deny(unsafe_code)]

pub mod fs;
pub mod paths;
pub mod plugin;
pub mod reference;
pub mod registry;
