//! Shared code of plugins for vaults behind a server: one HTTP client that keeps the call's
//! deadline, trusts no server, and reveals no secret. It has no code for a single vendor.
//!
//! - The deadline of a call limits all steps together: finding the host, connecting, TLS, sending,
//!   waiting, reading, and every repetition.
//! - A request is repeated only if that cannot do its work twice: see [`Repeat`].
//! - A redirect is followed within one origin only. Another origin never receives the request's
//!   content.
//! - Neither requests nor replies have a `Debug`; errors name the server and the fault, never a
//!   header, a body or a query.
#![forbid(unsafe_code)]

mod address;
mod client;
mod fault;
mod pause;
mod refusal;
mod reply;
mod request;
mod tls;

pub use address::{Address, encoded};
pub use client::{Client, Settings};
pub use refusal::refusal;
pub use reply::Reply;
pub use request::{Method, Repeat, Request};
pub use tls::{Authorities, Identity};
