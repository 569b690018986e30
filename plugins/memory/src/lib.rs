//! Reference plugin.
#![forbid(unsafe_code)]
