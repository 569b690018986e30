//! A client against servers with one fault each: none of them delays a call beyond the deadline, is
//! trusted too far, or reveals a secret.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod broken;
mod redirect;
mod repeat;
mod server;
mod tls;
