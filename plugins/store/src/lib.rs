//! Keystead's local vault: secrets in one file, sealed with XChaCha20-Poly1305. A password, a key
//! file or a recovery code opens its key. docs/reference/store-format.md describes each byte.
#![forbid(unsafe_code)]

mod action;
mod bytes;
mod chain;
mod claim;
mod database;
mod dir;
mod foreign;
mod header;
mod kdf;
mod key;
mod key_file;
mod keys;
mod manifest;
mod name;
mod opening;
mod record;
mod recovery;
mod seal;
mod session;
mod slot;
mod vault;
mod work;

pub use manifest::MANIFEST;
pub use vault::Store;

keystead_plugin_api::export_plugin! { plugin: Store, manifest: MANIFEST }

/// Returns the time in milliseconds since 1970, or 0 for an earlier clock.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
