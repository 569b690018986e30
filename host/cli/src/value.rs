//! Reads secrets into memory that is wiped.

pub(crate) mod input;
