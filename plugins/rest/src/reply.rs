//! What a server answered. There is no `Debug`: bodies hold secrets.

use std::time::Duration;

use keystead_plugin_api::SecretBytes;

/// One reply, whatever its status.
pub struct Reply {
    /// The status, 200 to 599.
    pub status: u16,
    /// What came with it, at most the client's limit.
    pub body: SecretBytes,
    /// After how long the server wants to be asked again.
    pub wait: Option<Duration>,
}

impl Reply {
    /// Returns whether the server did what was asked.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
