//! What plugins for vaults behind a server share: one HTTP client that keeps to the call's
//! deadline, believes no server, and tells no secret. Not for anything of one vendor.
//!
//! - The deadline of a call is the limit of all of it together: finding the host, connecting,
//!   TLS, sending, waiting, reading, and every repetition.
//! - A request is repeated only where that cannot do its work twice: see [`Repeat`].
//! - A redirect is followed within one origin only. What a request carries never goes to
//!   another.
//! - Neither requests nor replies have a `Debug`; errors name the server and what went wrong,
//!   never a header, a body or a query.
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
