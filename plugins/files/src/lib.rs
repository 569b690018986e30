//! A directory as a vault, one secret a file, raw. It reads the secrets of Docker and Podman,
//! Kubernetes volumes and systemd credentials, and also writes to the user's own directories.
//! docs/guides/files.md has every rule.
#![forbid(unsafe_code)]

mod content;
mod dir;
mod entry;
mod kinds;
mod listing;
mod manifest;
mod name;
mod spelling;
mod trust;
mod vault;
mod write;

pub use manifest::MANIFEST;
pub use vault::Files;

keystead_plugin_api::export_plugin! { plugin: Files, manifest: MANIFEST }

/// Returns the error for a failed system call.
fn failed(
    verb: &str,
    path: &std::path::Path,
    error: impl Into<std::io::Error>,
) -> keystead_plugin_api::Error {
    let error = error.into();
    let message = format!("cannot {verb} {}: {error}", path.display());
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            keystead_plugin_api::Error::permission_denied(message)
        }
        _ => keystead_plugin_api::Error::unavailable(message),
    }
}
