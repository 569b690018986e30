//! What needs the server: each module starts from an empty directory or mount of its own.

mod conformance;
mod dynamic;
mod error;
mod foreign;
mod login;
mod outside;
