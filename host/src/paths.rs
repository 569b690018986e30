//! Where things are: the folders a caller gives the host. Never looked up in the environment here.

use std::path::PathBuf;

/// The folders of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The administrator's folder, on most systems `/etc/keystead`.
    pub system_config: PathBuf,
    /// The user's registrations; none for a user without a home.
    pub user_config: Option<PathBuf>,
    /// The user's plugins, pins and verdicts; none for a user without a home.
    pub user_data: Option<PathBuf>,
    /// Where packages put plugins and their pins: each may hold `plugins/` and `pins.d/`.
    pub packaged: Vec<PathBuf>,
}
