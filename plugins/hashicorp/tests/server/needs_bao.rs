//! What needs the server: each module starts from an empty folder or mount of its own.

mod conformance;
mod dynamic;
mod error;
mod foreign;
mod login;
mod outside;
