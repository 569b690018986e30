//! A client against servers that are broken in one way each: no answer of theirs takes longer
//! than the deadline, is believed too far, or shows a secret.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod broken;
mod redirect;
mod repeat;
mod server;
mod tls;
