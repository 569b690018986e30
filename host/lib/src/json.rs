//! Values from and to JSON, in memory that is wiped. A value is `{"text":...}`,
//! `{"base64":...}`, `{"user":...,"password":...}`, `{"map":{...}}` or `{"json":...}`.

#[cfg(test)]
pub(crate) mod any;
pub mod base64;
pub mod escaped;
pub mod line;
pub mod metadata;
pub mod pointer;
pub mod read;
pub mod tree;
pub mod write;
