//! What a vault's sandbox grants, for an error that the sandbox may be the cause of.

use keystead_plugin_api::{Error as Refusal, ErrorDetail, VaultName};

use super::{Host, OptionalPermission, open};
use crate::error::Error;
use crate::registry::Placement;

/// A vault whose plugin may have met the walls of its sandbox.
#[non_exhaustive]
#[derive(Debug)]
pub struct Denied {
    /// The vault.
    pub vault: VaultName,
    /// The plugin's id.
    pub plugin: String,
    /// What its registration grants.
    pub grants: Vec<String>,
    /// What it could grant beside that.
    pub optional: Vec<OptionalPermission>,
}

/// How systems put it, and plugins that pass it on: refused; no such file, which a root directory of
/// its own says of all that is not granted; a file system that can only be read; no such sockets.
const NUMBERS: [u32; 5] = [1, 2, 13, 30, 97];
const WORDS: [&str; 5] = [
    "is not granted",
    "Permission denied",
    "Operation not permitted",
    "Read-only file system",
    "Address family not supported",
];

impl Host {
    /// Returns what is granted to the vault that an error is of, where its plugin runs isolated and
    /// what it says may come from its sandbox.
    pub fn denied(&self, error: &Error) -> Option<Denied> {
        let vault = denied_in(error, None)?;
        let entry = self.entry(&vault).ok()?;
        let isolated = match entry.placement {
            Some(placement) => placement == Placement::Isolated,
            None => {
                let trusted = self.plugins().find(&open::plugin_id(&entry.plugin).ok()?).ok()?;
                open::usual_placement(&trusted) == Placement::Isolated
            }
        };
        let optional = self.optional_permissions(&entry).unwrap_or_default();
        isolated.then_some(Denied { vault, plugin: entry.plugin, grants: entry.grants, optional })
    }
}

/// Returns the vault of an error by which its plugin may have met its sandbox; `outer` is the vault that
/// an error around it is of.
fn denied_in(error: &Error, outer: Option<&VaultName>) -> Option<VaultName> {
    match error {
        Error::Refused { vault, answer } | Error::Misbehaved { vault, answer, .. } => {
            may_be_denial(answer).then(|| vault.clone())
        }
        Error::OpenRefused { answer, .. } => outer.filter(|_| may_be_denial(answer)).cloned(),
        Error::Faulty { vault, source } | Error::Stopped { vault, source, .. } => {
            denied_in(source, Some(vault))
        }
        Error::SearchIncomplete { vault, source, .. } => denied_in(source, Some(vault)),
        Error::UnresolvedSecret { source, .. } => denied_in(source, None),
        _ => None,
    }
}

/// Returns whether a plugin's answer may come from its sandbox.
pub fn may_be_denial(answer: &Refusal) -> bool {
    answer.detail() == Some(ErrorDetail::NotGranted) || tells_of_denial(answer.message())
}

/// Returns whether a plugin's words may come from its sandbox.
pub fn tells_of_denial(message: &str) -> bool {
    WORDS.iter().any(|words| message.contains(words))
        || NUMBERS.iter().any(|number| message.contains(&format!("(os error {number})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_sandbox_may_say_is_a_denial() {
        for (answer, expected) in [
            (Refusal::unavailable("cannot open /x: Permission denied (os error 13)"), true),
            (Refusal::unavailable("cannot open /x: No such file or directory (os error 2)"), true),
            (Refusal::internal("connect: Operation not permitted"), true),
            (Refusal::detailed(ErrorDetail::NotGranted, "running `x` is not granted"), true),
            (Refusal::permission_denied("the server refuses this token"), false),
            (Refusal::unavailable("cannot open /x: Is a directory (os error 21)"), false),
            (Refusal::not_found(), false),
        ] {
            assert_eq!(may_be_denial(&answer), expected, "{answer}");
        }
    }
}
