//! Verdicts: records that a file was hashed and inspected and is the pinned file, valid while
//! neither the file nor the host changes. Only a cache: a verdict that is damaged, old or for
//! another file is ignored, and the work is done again.

mod text;

use crate::fs::{self, Identity, Rule, SafeDir};
use crate::plugin::AbiCompatibility;
use crate::plugin::inspect::{Abi, ParsedManifest};
use crate::plugin::pins::Digest;
use crate::plugin::trust::Trusted;

/// The directory of verdicts in the user's data directory.
pub(super) const DIR: &str = "verdicts";

/// Maximum number of hosts' verdicts on one file: each rebuild of a host leaves a verdict.
const MAX_HOSTS: usize = 8;

/// Maximum size of a verdict, in bytes. A manifest has at most 64 KiB, and a verdict is a manifest
/// with a word more on each line.
const MAX_BYTES: u64 = 256 * 1024;

/// The results for a file, and the state in which they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) sha256: Digest,
    pub(super) identity: Identity,
    pub(super) host: HostBuild,
    pub(super) abi: Abi,
    /// `None` until the file was loaded once.
    pub(super) fit: Option<AbiCompatibility>,
    pub(super) manifest: ParsedManifest,
}

/// Build of the host: an inspection by another build may have had other rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HostBuild(u64);

impl HostBuild {
    /// Value for an unknown build: never compared, since nothing is then cached.
    pub(super) const UNKNOWN: Self = Self(0);

    /// Returns this build: its version, the build's id if any, and the running program's file.
    /// `None` if the system does not show that file: then nothing is cached.
    pub(super) fn current() -> Option<Self> {
        let exe = rustix::fs::stat("/proc/self/exe").ok()?;
        let mut hash = Fnv::new();
        hash.add(env!("CARGO_PKG_VERSION").as_bytes());
        hash.add(option_env!("KEYSTEAD_BUILD_ID").unwrap_or("").as_bytes());
        #[allow(clippy::unnecessary_cast, reason = "the fields differ in width by platform")]
        let numbers = [
            exe.st_dev as u64,
            exe.st_ino as u64,
            exe.st_size as u64,
            exe.st_mtime as u64,
            exe.st_mtime_nsec as u64,
            exe.st_ctime as u64,
            exe.st_ctime_nsec as u64,
        ];
        for number in numbers {
            hash.add(&number.to_le_bytes());
        }
        Some(Self(hash.0))
    }
}

impl Verdict {
    /// Returns the valid verdict on this file by this host, if any.
    pub(super) fn read(
        data: &SafeDir,
        sha256: &Digest,
        identity: &Identity,
        host: HostBuild,
    ) -> Option<Self> {
        let bytes = data.dir(DIR).ok()??.read(&name(sha256, host), MAX_BYTES).ok()??;
        let verdict = text::read(&bytes)?;
        let holds =
            verdict.sha256 == *sha256 && verdict.identity == *identity && verdict.host == host;
        holds.then_some(verdict)
    }

    /// Stores the verdict. A file that changed so recently that a further change could leave its
    /// times unchanged is not stored yet.
    pub(super) fn write(&self, data: &SafeDir) -> Result<(), fs::Error> {
        if !self.identity.is_settled() {
            return Ok(());
        }
        let Some(text) = text::write(self) else { return Ok(()) };
        let dir = data.make_dir(DIR, fs::PRIVATE_DIR)?;
        let mine = name(&self.sha256, self.host);
        let others = names_of(&dir, &self.sha256)?;
        if others.len() >= MAX_HOSTS && !others.contains(&mine) {
            for other in others {
                dir.remove(&other)?;
            }
        }
        dir.write_cache(&mine, text.as_bytes())
    }

    /// Removes every host's verdict on this hash.
    pub(super) fn forget(data: &SafeDir, sha256: &Digest) -> Result<(), fs::Error> {
        let Some(dir) = data.dir(DIR)? else { return Ok(()) };
        for name in names_of(&dir, sha256)? {
            dir.remove(&name)?;
        }
        Ok(())
    }
}

/// Stores how well a plugin's layout fits this host, a result of its first loading. A cache: if it
/// cannot be stored, the next loading repeats the check.
pub fn record_layout(trusted: &Trusted, fit: AbiCompatibility) {
    let Some((verdict, data)) = trusted.verdict_with(fit) else { return };
    if verdict.host == HostBuild::UNKNOWN {
        return;
    }
    if let Ok(data) = SafeDir::open(data, Rule::User) {
        // Only a cache: see above.
        let _ = verdict.write(&data);
    }
}

/// Returns the name of a verdict. Each host has its own: a program that embeds this library does
/// not undo the verdicts of the command line.
fn name(sha256: &Digest, host: HostBuild) -> String {
    format!("{sha256}.{:016x}", host.0)
}

fn names_of(dir: &SafeDir, sha256: &Digest) -> Result<Vec<String>, fs::Error> {
    let hash = sha256.to_string();
    let names = dir.names()?.into_iter().filter_map(|name| name.into_string().ok());
    Ok(names.filter(|name| name.starts_with(&hash)).collect())
}

/// FNV-1a of eight bytes at a time: detects damage, stops no attacker. A process that can write
/// verdicts can write pins.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        for byte in rest {
            self.mix(u64::from(*byte));
        }
    }

    fn mix(&mut self, next: u64) {
        self.0 = (self.0 ^ next).wrapping_mul(0x0100_0000_01b3);
    }
}

#[cfg(test)]
mod tests;
