//! Secrets on their way in and out: read into memory that is wiped, from and to JSON
//! without a copy that is not.

pub(crate) mod base64;
pub(crate) mod input;
pub(crate) mod read;
pub(crate) mod write;
