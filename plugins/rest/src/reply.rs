//! A server's reply. There is no `Debug`: bodies hold secrets.

use std::time::Duration;

use keystead_plugin_api::SecretBytes;

/// One reply, whatever its status.
pub struct Reply {
    /// The status, 200 to 599.
    pub status: u16,
    /// Body, at most as long as the client's limit.
    pub body: SecretBytes,
    /// Pause that the server requests before a repetition.
    pub wait: Option<Duration>,
}

impl Reply {
    /// Returns whether the request succeeded.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
