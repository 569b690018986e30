//! Changes that depend on a read: write only if no other writer came in between.
//!
//! A vault with the capability `conditional` checks this itself, whichever program the other writer
//! is. This user's Keystead processes also lock each secret for every write and removal. Without
//! that capability, a write of another program between the read and the write is lost.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keystead_plugin_api::manifest::Capability;
use keystead_plugin_api::{
    Challenge, Deadline, Error as Answer, ErrorDetail, ErrorKind, GetRequest, NameEquality,
    ParameterKind, SecretName, UnicodeTables, VaultName,
};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::fs::{self, Lock, Rule, SafeDir};
use crate::host::{Host, Prepared, RunMode, templates};
use crate::plugin::inspect::ParsedKind;
use crate::prompter::{NonInteractive, Prompter};
use crate::registry::Registration;

/// How often a change is repeated after conflicts with other writers.
const TRIES: u32 = 100;

/// How often a vault is unlocked again that locks itself while the lock is held.
const UNLOCKS: usize = 3;

/// Pause before the next attempt to take the lock.
const PAUSE: Duration = Duration::from_millis(2);

/// Number of lock files: two secrets with the same file wait for each other.
const LOCKS: u8 = 64;

/// Protection against other writers during a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// The vault, beside the lock: the write names the version that was read.
    Version,
    /// The lock among the processes of this user alone.
    Lock,
}

impl Guard {
    /// Returns the guard that a vault kind declares. A vault of the kind may lack it.
    fn of(kind: &ParsedKind) -> Self {
        match kind.capabilities.contains(&Capability::Conditional) {
            true => Self::Version,
            false => Self::Lock,
        }
    }

    /// Returns the version that a write must name.
    ///
    /// # Errors
    /// `Unsupported` if the vault must check the version and has reported none.
    pub(super) fn version(self, vault: &VaultName, read: Option<String>) -> Result<Option<String>> {
        match (self, read) {
            (Self::Lock, _) => Ok(None),
            (Self::Version, Some(version)) => Ok(Some(version)),
            (Self::Version, None) => {
                let answer =
                    Answer::unsupported("this vault does not say which version a secret is");
                Err(Error::Refused { vault: vault.clone(), answer })
            }
        }
    }
}

impl Host {
    /// Makes a change that reads and then writes, and repeats it if another writer came in between.
    /// A dry run only reads, once and without a guard.
    ///
    /// # Errors
    /// The error of `change`; the conflict if other writers were always quicker.
    pub(super) fn atomically<T>(
        &self,
        prepared: &Arc<Prepared>,
        name: &SecretName,
        run: RunMode,
        ask: &mut dyn Prompter,
        change: &mut dyn FnMut(Guard, &mut dyn Prompter) -> Result<T>,
    ) -> Result<T> {
        if run == RunMode::DryRun {
            return change(Guard::Version, ask);
        }
        let (mut guard, mut round) = (Guard::of(prepared.kind()), 0);
        loop {
            let change = &mut |ask: &mut dyn Prompter| change(guard, ask);
            match self.under_locks(prepared, guard, &[name], ask, change) {
                Err(error) if is_conflict(&error) && round < TRIES => {
                    std::thread::sleep(pause(round));
                    round += 1;
                }
                // This one vault of its kind cannot: an old version of a server, for example.
                Err(error) if is_unsupported(&error) && guard == Guard::Version => {
                    guard = Guard::Lock;
                }
                done => return done,
            }
        }
    }

    /// Writes or removes secrets while this process has their locks. Each write takes them, even
    /// without a comparison: another process may have read what it replaces. So do writes to a
    /// vault that checks versions, as not all its servers do. No capability states whether it
    /// creates a secret in one step.
    ///
    /// # Errors
    /// The error of `write`; that another process kept a lock for longer than a call may take; that
    /// the vault was locked again each time.
    pub(super) fn exclusively<T>(
        &self,
        prepared: &Arc<Prepared>,
        names: &[&SecretName],
        ask: &mut dyn Prompter,
        write: &mut dyn FnMut(&mut dyn Prompter) -> Result<T>,
    ) -> Result<T> {
        self.under_locks(prepared, Guard::of(prepared.kind()), names, ask, write)
    }

    fn under_locks<T>(
        &self,
        prepared: &Arc<Prepared>,
        guard: Guard,
        names: &[&SecretName],
        ask: &mut dyn Prompter,
        change: &mut dyn FnMut(&mut dyn Prompter) -> Result<T>,
    ) -> Result<T> {
        let mut unlocks = 0;
        loop {
            let locks = self.lock_secrets(prepared, names, guard)?;
            // Do not prompt the user while other processes wait for the lock.
            let done = change(&mut NonInteractive);
            drop(locks);
            match done {
                Err(Error::Locked { challenge, .. }) if unlocks < UNLOCKS => {
                    unlocks += 1;
                    self.unlock_now(prepared, names[0], *challenge, ask)?;
                }
                // Never without the locks, and no prompt error: answers were given.
                Err(Error::Locked { vault, .. }) => {
                    let message = "the vault is locked again each time, before the change is made";
                    let answer = Answer::new(ErrorKind::Unavailable, message);
                    return Err(Error::Refused { vault, answer });
                }
                done => return done,
            }
        }
    }

    /// Unlocks a vault that has answered a change with a challenge, without making the change. A
    /// read shows the challenge of the current handle. A vault that is locked only to writers, as
    /// one that its first secret creates, shows none there.
    fn unlock_now(
        &self,
        prepared: &Arc<Prepared>,
        name: &SecretName,
        challenge: Challenge,
        ask: &mut dyn Prompter,
    ) -> Result<()> {
        let mut given = Some(challenge);
        self.call(prepared, ask, &mut |open, deadline| {
            match open.get(&GetRequest::new(name.clone(), deadline)) {
                Err(error) if error.challenge().is_some() => {
                    given = None;
                    Err(error)
                }
                // Other answers to the read do not matter here.
                _ => given.take().map_or(Ok(()), |challenge| Err(Answer::locked(challenge))),
            }
        })
    }

    /// Takes the locks of secrets; none if this user has no directory for them. Every process takes
    /// them in the same order, so that no two wait for each other.
    fn lock_secrets(
        &self,
        prepared: &Prepared,
        names: &[&SecretName],
        guard: Guard,
    ) -> Result<Vec<Lock>> {
        let (vault, deadline) = (&prepared.name, self.deadline());
        let address = address(prepared.entry(), prepared.kind(), self.home().as_deref());
        match self.open_locks(vault, &address, names, deadline) {
            Ok(Some(locks)) => return Ok(locks),
            Ok(None) => {}
            // The home is read-only for this process.
            Err(Error::Path(fs::Error::Io { source, .. })) if is_read_only(&source) => {}
            Err(error) => return Err(error),
        }
        if guard == Guard::Lock {
            let message = "no directory for locks: a change that another process makes at the same \
                           time may be lost";
            self.options().log.line(vault, keystead_plugin_api::Level::Warning, message);
        }
        Ok(Vec::new())
    }

    fn open_locks(
        &self,
        vault: &VaultName,
        address: &[String],
        names: &[&SecretName],
        deadline: Deadline,
    ) -> Result<Option<Vec<Lock>>> {
        let Some(path) = self.options().paths.locks_dir() else { return Ok(None) };
        let dir = SafeDir::create(&path, Rule::User)?;
        let numbers: BTreeSet<u8> = names.iter().map(|name| bucket(address, name)).collect();
        let mut locks = Vec::with_capacity(numbers.len());
        for number in numbers {
            let lock = loop {
                match dir.try_lock(&format!("{number:02x}"))? {
                    Some(lock) => break lock,
                    None => wait(vault, deadline)?,
                }
            };
            locks.push(lock);
        }
        Ok(Some(locks))
    }
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

/// Waits a moment for a lock.
fn wait(vault: &VaultName, deadline: Deadline) -> Result<()> {
    if deadline.has_passed() {
        let answer = Answer::new(
            ErrorKind::TimedOut,
            "another Keystead process is changing this secret for longer than a call may take",
        );
        return Err(Error::Refused { vault: vault.clone(), answer });
    }
    std::thread::sleep(PAUSE);
    Ok(())
}

/// Returns whether another writer came in between.
pub(super) fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::Refused { answer, .. } if answer.detail() == Some(ErrorDetail::Conflict))
}

fn is_unsupported(error: &Error) -> bool {
    matches!(error, Error::Refused { answer, .. } if answer.kind() == ErrorKind::Unsupported)
}

/// Returns the pause after this many conflicts: longer each time, and random.
fn pause(round: u32) -> Duration {
    let most: u64 = 1_000 << round.min(6);
    // Seeded anew each time: no two processes wait alike.
    let chance = RandomState::new().build_hasher().finish();
    Duration::from_micros(chance % (most + 1))
}

/// Returns the common part of registrations with the same storage: plugin, kind, and the first
/// address, or else the first path, in the manifest's order. Other parameters define the login or a
/// part of a server. Vaults that differ in them alone share their locks, and wait more.
fn address(entry: &Registration, kind: &ParsedKind, home: Option<&Path>) -> [String; 3] {
    let texts = templates(kind, entry, home);
    let given =
        || kind.parameters.iter().filter_map(|one| Some((one, texts.get(one.name.as_str())?)));
    let url = given().find(|(_, text)| text.contains("://")).map(|(_, text)| one_spelling(text));
    let path = || {
        let (_, path) = given().find(|(one, _)| one.kind == ParameterKind::Path)?;
        Some(resolved(Path::new(path)).display().to_string())
    };
    [entry.plugin.clone(), kind.name.clone(), url.or_else(path).unwrap_or_default()]
}

/// Returns the real path, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    for there in path.ancestors() {
        if let Ok(real) = there.canonicalize() {
            let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    path.to_owned()
}

/// Returns an address with its host in lower case and no slash at its end; another text as it is.
fn one_spelling(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (scheme, host) = (scheme.to_ascii_lowercase(), host.to_ascii_lowercase());
    let host = match scheme.as_str() {
        "https" => host.strip_suffix(":443").unwrap_or(&host),
        "http" => host.strip_suffix(":80").unwrap_or(&host),
        _ => &host,
    };
    format!("{scheme}://{host}{}", path.trim_end_matches('/'))
}

/// Returns the lock of a secret. Names that may mean one secret share a lock, by the coarsest rule:
/// the vault's own rule is not known here.
fn bucket(address: &[String], name: &SecretName) -> u8 {
    let mut hash = Sha256::new();
    for part in address {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let folded = NameEquality::ComposedCase(UnicodeTables::OURS).key(name.as_str());
    hash.update(folded.expect("our own tables know every character").as_bytes());
    hash.finalize()[0] % LOCKS
}

#[cfg(test)]
mod tests {
    use keystead_plugin_api::manifest::NameRule;
    use keystead_plugin_api::{OwnedParameter, Parameter};

    use super::*;
    use crate::registry::Setting;

    #[test]
    fn server_address_is_normalised() {
        for address in
            ["https://Vault.example", "HTTPS://vault.EXAMPLE:443/", "https://vault.example/"]
        {
            assert_eq!(one_spelling(address), "https://vault.example");
        }
        assert_eq!(one_spelling("http://a:8200/Path/"), "http://a:8200/Path");
        assert_eq!(one_spelling("Team/"), "Team/");
    }

    #[test]
    fn paths_to_same_place_are_equal() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, dir.path().join("link")).unwrap();
        let one = resolved(&real.join("new/file"));
        assert_eq!(resolved(&dir.path().join("link/new/file")), one);
        assert_eq!(resolved(&dir.path().join("link/../real/new/file")), one);
    }

    /// Returns the address of a vault of a server or, without an address, of a directory.
    fn of(given: &[(&str, &str)]) -> [String; 3] {
        let parameter = |name, kind, default| {
            OwnedParameter::from(Parameter::defaulting(name, kind, default, "what it is"))
        };
        let kind = ParsedKind {
            name: "kv".to_owned(),
            description: String::new(),
            names: NameRule::CaseSensitive,
            capabilities: Vec::new(),
            values: Vec::new(),
            parameters: vec![
                parameter("address", ParameterKind::Text, ""),
                parameter("folder", ParameterKind::Path, "~/directory"),
                parameter("user", ParameterKind::Text, ""),
                parameter("token-file", ParameterKind::Path, ""),
                parameter("proxy", ParameterKind::Text, ""),
            ],
            permissions: Vec::new(),
            unknown: Vec::new(),
        };
        let mut entry = Registration::new(VaultName::parse("v").unwrap(), "plugin");
        for (name, value) in given {
            entry.parameters.insert((*name).to_owned(), Setting::Text((*value).to_owned()));
        }
        address(&entry, &kind, Some(Path::new("/nowhere")))
    }

    #[test]
    fn registrations_differing_only_in_login_share_locks() {
        let server = [("address", "https://vault.example")];
        let one = of(&server);
        for more in [("user", "ann"), ("token-file", "/t"), ("proxy", "http://proxy.example")] {
            assert_eq!(of(&[server[0], more]), one, "{more:?}");
        }
        assert_ne!(of(&[("address", "https://other.example")]), one);
    }

    #[test]
    fn explicit_default_has_same_address() {
        let one = of(&[]);
        assert_eq!(of(&[("folder", "/nowhere/directory"), ("user", "ann")]), one);
        assert_ne!(of(&[("folder", "/elsewhere")]), one);
    }

    #[test]
    fn equivalent_secret_names_share_lock() {
        let bucket = |name: &str| bucket(&[], &SecretName::parse(name).unwrap());
        for (one, other) in [
            ("token", "TOKEN"),
            ("caf\u{e9}", "CAFE\u{301}"),
            ("ma\u{17f}t", "MAST"),
            ("\u{3c3}", "\u{3c2}"),
            ("\u{3a3}", "\u{3c2}"),
            ("stra\u{df}e", "STRA\u{1e9e}E"),
        ] {
            assert_eq!(bucket(one), bucket(other), "{one} {other}");
        }
        let all: BTreeSet<u8> = (0..1_000).map(|n| bucket(&format!("n{n}"))).collect();
        assert_eq!(all.len(), usize::from(LOCKS));
    }

    #[test]
    fn conflict_pause_is_bounded() {
        for round in [0, 6, u32::MAX] {
            assert!(pause(round) <= Duration::from_millis(64));
        }
    }
}
