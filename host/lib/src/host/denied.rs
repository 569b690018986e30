//! Grants of a vault's sandbox, for an error that the sandbox may have caused.

use std::sync::Arc;

use keystead_plugin_api::{Error as Refusal, ErrorDetail, VaultName};

use super::{Host, OptionalPermission};
use crate::error::Error;
use crate::registry::Placement;

/// A vault whose plugin may have reached the limits of its sandbox.
#[non_exhaustive]
#[derive(Debug)]
pub struct Denied {
    /// The vault.
    pub vault: VaultName,
    /// The plugin's id.
    pub plugin: String,
    /// The grants of its registration.
    pub grants: Vec<String>,
    /// Optional permissions that the registration does not grant.
    pub optional: Vec<OptionalPermission>,
}

/// Start of this host's own errors about a file that it reads or replaces for a plugin, or a
/// program that it runs. The plugin passes them on; its sandbox was not the cause.
pub(crate) const BY_HOST: &str = "Keystead cannot";

/// Error texts of systems, which plugins pass on: refused; a read-only file system; no such
/// sockets; no such file, which a private root directory reports for all ungranted paths.
const NUMBERS: [u32; 6] = [1, 2, 13, 30, 97, 101];
const WORDS: [&str; 7] = [
    "is not granted",
    "No such file or directory",
    "Network is unreachable",
    "Permission denied",
    "Operation not permitted",
    "Read-only file system",
    "Address family not supported",
];

/// Errors of name resolution if the sandbox lets it reach no server. With the network granted they
/// have another cause.
const NO_NETWORK: [&str; 3] =
    ["Temporary failure in name resolution", "Name or service not known", "Could not resolve host"];

impl Host {
    /// Returns the grants of an error's vault if its plugin runs isolated and the error may come
    /// from its sandbox.
    pub(crate) fn denied(&self, error: &Error) -> Option<Denied> {
        let (vault, denial) = denied_in(error, None)?;
        let entry = Arc::unwrap_or_clone(self.layered(&vault).ok()?.entry);
        if !denial.fits(&entry.grants) {
            return None;
        }
        let isolated = self.placement(&entry).ok()?.0 == Placement::Isolated;
        let optional = self.optional_permissions(&entry).unwrap_or_default();
        isolated.then_some(Denied { vault, plugin: entry.plugin, grants: entry.grants, optional })
    }
}

/// Returns the vault of an error that its plugin's sandbox may have caused, and the kind of denial.
/// `outer` is the vault of an enclosing error.
fn denied_in(error: &Error, outer: Option<&VaultName>) -> Option<(VaultName, Denial)> {
    match error {
        Error::Refused { vault, answer } | Error::Misbehaved { vault, answer, .. } => {
            Some((vault.clone(), Denial::of(answer)?))
        }
        Error::OpenRefused { answer, .. } => Some((outer?.clone(), Denial::of(answer)?)),
        Error::Faulty { vault, source } | Error::Stopped { vault, source, .. } => {
            denied_in(source, Some(vault))
        }
        Error::SearchIncomplete { vault, source, .. } => denied_in(source, Some(vault)),
        Error::UnresolvedSecret { source, .. } => denied_in(source, None),
        _ => None,
    }
}

/// Possible cause of a plugin's error text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Denial {
    Any,
    /// Only that the network is not granted.
    Network,
}

impl Denial {
    fn of(answer: &Refusal) -> Option<Self> {
        match answer.detail() {
            Some(ErrorDetail::NotGranted) => Some(Self::Any),
            _ => Self::told(answer.message()),
        }
    }

    fn told(message: &str) -> Option<Self> {
        let has = |words: &[&str]| words.iter().any(|words| message.contains(words));
        let has_number =
            || NUMBERS.iter().any(|number| message.contains(&format!("(os error {number})")));
        match () {
            () if message.contains(BY_HOST) => None,
            () if has(&NO_NETWORK) => Some(Self::Network),
            () if has(&WORDS) || has_number() => Some(Self::Any),
            () => None,
        }
    }

    fn fits(self, grants: &[String]) -> bool {
        self == Self::Any || !grants.iter().any(|grant| grant == "network")
    }
}

/// Returns whether a sandbox with these grants may have caused a plugin's answer.
pub fn may_be_denial(answer: &Refusal, grants: &[String]) -> bool {
    Denial::of(answer).is_some_and(|denial| denial.fits(grants))
}

/// Returns whether a sandbox with these grants may have caused a plugin's error text.
pub fn tells_of_denial(message: &str, grants: &[String]) -> bool {
    Denial::told(message).is_some_and(|denial| denial.fits(grants))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sandbox_error_text_counts_as_denial() {
        for (answer, expected) in [
            (Refusal::unavailable("cannot open /x: Permission denied (os error 13)"), true),
            (Refusal::unavailable("cannot open /x: No such file or directory (os error 2)"), true),
            (Refusal::unavailable("cannot open /x: No such file or directory"), true),
            (Refusal::internal("connect: Operation not permitted"), true),
            (Refusal::internal("connect: Network is unreachable"), true),
            (
                Refusal::permission_denied(
                    "Keystead cannot replace `/x`: Operation not permitted (os error 1)",
                ),
                false,
            ),
            (Refusal::unavailable("getaddrinfo: Temporary failure in name resolution"), true),
            (Refusal::detailed(ErrorDetail::NotGranted, "running `x` is not granted"), true),
            (Refusal::permission_denied("the server refuses this token"), false),
            (Refusal::unavailable("cannot open /x: Is a directory (os error 21)"), false),
            (Refusal::not_found(), false),
        ] {
            assert_eq!(may_be_denial(&answer, &[]), expected, "{answer}");
        }
        let network = ["network".to_owned()];
        assert!(!tells_of_denial("a.b: Temporary failure in name resolution", &network));
        assert!(tells_of_denial("cannot open /x: No such file or directory", &network));
    }
}
