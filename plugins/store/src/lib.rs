//! Keystead's local vault: secrets in one file, sealed with XChaCha20-Poly1305 under a key that
//! a password, a key file or a recovery code opens. docs/reference/store-format.md has it byte by byte.
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

/// Returns the time in milliseconds since 1970; a clock before that says 0.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
