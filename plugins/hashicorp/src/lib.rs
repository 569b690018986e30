//! Keystead's plugin for HashiCorp Vault and OpenBao: secrets of a KV engine, version 1 or 2, and
//! secrets that other engines create on demand. docs/guides/hashicorp.md is the user's guide.
#![forbid(unsafe_code)]

mod action;
mod answer;
mod dynamic;
mod field;
mod json;
mod kv;
mod login;
mod manifest;
mod metadata;
mod server;
mod session;
mod settings;
mod shape;
mod ticket;
mod vault;

pub use manifest::MANIFEST;
pub use vault::Hashicorp;

keystead_plugin_api::export_plugin! { plugin: Hashicorp, manifest: MANIFEST }

/// Returns the time in milliseconds since 1970, or 0 for an earlier clock.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
