//! Secrets on their way in: read into memory that is wiped.

pub(crate) mod input;
