//! Changing what was read: read, change, and write only if no other writer was there in between.
//!
//! A vault with the capability `conditional` checks that itself, whichever program the other writer
//! is. This user's Keystead processes also take a lock for each secret; in a vault without that
//! capability, what another program writes between reading and writing is lost.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;

use keystead_plugin_api::manifest::Capability;
use keystead_plugin_api::{
    Deadline, Error as Answer, ErrorDetail, ErrorKind, GetRequest, ParameterKind, SecretName,
    VaultName,
};
use sha2::{Digest as _, Sha256};

use crate::ask::{Ask, Nobody};
use crate::error::{Error, Result};
use crate::fs::{Folder, Lock, Rule};
use crate::host::{Host, Run};
use crate::plugin::inspect::Kind;
use crate::registry::{Entry, Setting};

/// How often a change is made again that other writers got in before.
const TRIES: u32 = 100;

/// How often a vault is unlocked again that locks itself while the lock is held.
const UNLOCKS: usize = 3;

/// The pause before the lock is tried again.
const PAUSE: Duration = Duration::from_millis(2);

/// How many files of locks there are: two secrets in one of them wait for each other.
const LOCKS: u8 = 64;

/// What keeps other writers out while a change is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// The vault, beside the lock: what is written names the version that was read.
    Version,
    /// The lock among the processes of this user alone.
    Lock,
}

impl Guard {
    /// Returns the version that a write is to name.
    ///
    /// # Errors
    /// `Unsupported` where the vault is to check the version and has said none.
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
    /// Makes a change that reads and then writes, and makes it again where another writer was there
    /// in between. A dry run only reads: it is made once, without a guard.
    ///
    /// # Errors
    /// What `change` answers; the conflict where others always were quicker.
    pub(super) fn atomically<T>(
        &self,
        vault: &VaultName,
        kind: &Kind,
        name: &SecretName,
        run: Run,
        ask: &mut dyn Ask,
        change: &mut dyn FnMut(Guard, &mut dyn Ask) -> Result<T>,
    ) -> Result<T> {
        if run == Run::Dry {
            return change(Guard::Version, ask);
        }
        let mut guard = match kind.capabilities.contains(&Capability::Conditional) {
            true => Guard::Version,
            false => Guard::Lock,
        };
        let (mut round, mut unlocks) = (0, 0);
        while unlocks < UNLOCKS {
            // Also where the vault checks versions: that it creates a secret in one step, no
            // capability says.
            let lock = self.lock_secret(vault, kind, name, guard)?;
            // No person is asked while other processes wait for the lock.
            let done = change(guard, &mut Nobody);
            drop(lock);
            match done {
                Err(Error::Locked { .. }) => {
                    unlocks += 1;
                    self.unlock_by_reading(vault, name, ask)?;
                }
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
        change(guard, ask)
    }

    /// Unlocks a vault if it is locked.
    fn unlock_by_reading(
        &self,
        vault: &VaultName,
        name: &SecretName,
        ask: &mut dyn Ask,
    ) -> Result<()> {
        self.call(vault, ask, &mut |open, deadline| {
            match open.get(&GetRequest::new(name.clone(), deadline)) {
                Err(error) if error.challenge().is_some() => Err(error),
                // What else it answers is not asked here.
                _ => Ok(()),
            }
        })
    }

    /// Takes the lock of a secret; none where this user has no directory for it.
    fn lock_secret(
        &self,
        vault: &VaultName,
        kind: &Kind,
        name: &SecretName,
        guard: Guard,
    ) -> Result<Option<Lock>> {
        let entry = self.entry(vault)?;
        let folder = self.options().paths.locks_dir();
        let folder = folder.map(|path| Folder::create(&path, Rule::User)).transpose()?;
        let Some(folder) = folder else {
            if guard == Guard::Version {
                return Ok(None);
            }
            let message = "no folder for locks: a change that another process makes at the same \
                           time may be lost";
            let log = &self.options().log;
            log.line(vault, keystead_plugin_api::Level::Warning, message);
            return Ok(None);
        };
        let number = bucket(&address(&entry, kind), name);
        let deadline = self.deadline();
        loop {
            if let Some(lock) = folder.try_lock(&format!("{number:02x}"))? {
                return Ok(Some(lock));
            }
            wait(vault, deadline)?;
        }
    }
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

/// Whether another writer was there in between.
pub(super) fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::Refused { answer, .. } if answer.detail() == Some(ErrorDetail::Conflict))
}

fn is_unsupported(error: &Error) -> bool {
    matches!(error, Error::Refused { answer, .. } if answer.kind() == ErrorKind::Unsupported)
}

/// How long to wait after so many conflicts: longer each time, and not as long as others.
fn pause(round: u32) -> Duration {
    let most: u64 = 1_000 << round.min(6);
    // Seeded anew each time: no two processes wait alike.
    let chance = RandomState::new().build_hasher().finish();
    Duration::from_micros(chance % (most + 1))
}

/// Returns what the registrations of one place have in common: plugin, kind, and the parameters that
/// are not secret, paths as they lead and addresses in one spelling.
fn address(entry: &Entry, kind: &Kind) -> Vec<String> {
    let mut address = vec![entry.plugin.clone(), kind.name.clone()];
    for (name, setting) in &entry.parameters {
        let declared = kind.parameters.iter().find(|parameter| parameter.name == *name);
        let is_path = declared.is_some_and(|parameter| parameter.kind == ParameterKind::Path);
        let value = match setting {
            Setting::Text(path) if is_path => resolved(Path::new(path)).display().to_string(),
            Setting::Text(text) => one_spelling(text),
            Setting::Integer(number) => number.to_string(),
            Setting::Boolean(yes) => yes.to_string(),
            Setting::Reference(_) => continue,
        };
        address.push(format!("{name}={value}"));
    }
    address
}

/// Returns where a path leads, as far as there is something.
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

/// Returns the lock that a secret has. Names that may be one secret have one: the vault's rule is not
/// known here.
fn bucket(address: &[String], name: &SecretName) -> u8 {
    let mut hash = Sha256::new();
    for part in address {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update(name.as_str().to_lowercase());
    hash.finalize()[0] % LOCKS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_server_have_one_spelling() {
        for address in
            ["https://Vault.example", "HTTPS://vault.EXAMPLE:443/", "https://vault.example/"]
        {
            assert_eq!(one_spelling(address), "https://vault.example");
        }
        assert_eq!(one_spelling("http://a:8200/Path/"), "http://a:8200/Path");
        assert_eq!(one_spelling("Team/"), "Team/");
    }

    #[test]
    fn paths_that_lead_to_one_place_are_one() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real");
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, folder.path().join("link")).unwrap();
        let one = resolved(&real.join("new/file"));
        assert_eq!(resolved(&folder.path().join("link/new/file")), one);
        assert_eq!(resolved(&folder.path().join("link/../real/new/file")), one);
    }

    #[test]
    fn pause_after_conflict_is_bounded() {
        for round in [0, 6, u32::MAX] {
            assert!(pause(round) <= Duration::from_millis(64));
        }
    }
}
