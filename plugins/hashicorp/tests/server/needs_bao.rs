//! Tests that need the server: each module uses an empty directory or mount of its own.

mod conformance;
mod dynamic;
mod error;
mod foreign;
mod login;
mod outside;
