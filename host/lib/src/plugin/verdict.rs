//! Verdicts: that a file was hashed and inspected and is the pinned one, remembered for as
//! long as neither the file nor the host changes. A cache, never a promise: what is damaged,
//! old or for another file is no verdict, and the work is done again.

mod text;

use crate::fs::{self, Identity, Rule, SafeDir};
use crate::plugin::AbiCompatibility;
use crate::plugin::inspect::{Abi, ParsedManifest};
use crate::plugin::pins::Digest;
use crate::plugin::trust::Trusted;

/// The directory of verdicts in the user's data directory.
pub(super) const DIR: &str = "verdicts";

/// How many hosts' verdicts on one file are kept: each rebuild of a host leaves one.
const MAX_HOSTS: usize = 8;

/// The most bytes a verdict may have: a manifest has at most 64 KiB, and this is one with
/// a word more on each line.
const MAX_BYTES: u64 = 256 * 1024;

/// What was found out about a file, and when it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) sha256: Digest,
    pub(super) identity: Identity,
    pub(super) host: HostBuild,
    pub(super) abi: Abi,
    /// None until the file was loaded once.
    pub(super) fit: Option<AbiCompatibility>,
    pub(super) manifest: ParsedManifest,
}

/// Which build of the host: an inspection by another one may have had other rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HostBuild(u64);

impl HostBuild {
    /// Stands where there is none: never compared, since nothing is then cached.
    pub(super) const UNKNOWN: Self = Self(0);

    /// Returns this build: its version, the build's id if it was given one, and the running
    /// program's file. None where the system does not show that file: then nothing is cached.
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
    /// Returns the verdict on this file by this host, if there is one that holds.
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

    /// Remembers the verdict. A file that changed so recently that a further change could
    /// leave its times as they are is not remembered yet.
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

    /// Forgets every host's verdict on this hash.
    pub(super) fn forget(data: &SafeDir, sha256: &Digest) -> Result<(), fs::Error> {
        let Some(dir) = data.dir(DIR)? else { return Ok(()) };
        for name in names_of(&dir, sha256)? {
            dir.remove(&name)?;
        }
        Ok(())
    }
}

/// Remembers how well a plugin's layout fits this host, which is found out when it is first
/// loaded. A cache: where it cannot be kept, it is found out again.
pub fn record_layout(trusted: &Trusted, fit: AbiCompatibility) {
    let Some((verdict, data)) = trusted.verdict_with(fit) else { return };
    if verdict.host == HostBuild::UNKNOWN {
        return;
    }
    if let Ok(data) = SafeDir::open(data, Rule::User) {
        // A cache, as said above.
        let _ = verdict.write(&data);
    }
}

/// Each host has its own: a program that embeds this library does not undo the verdicts of
/// the command line.
fn name(sha256: &Digest, host: HostBuild) -> String {
    format!("{sha256}.{:016x}", host.0)
}

fn names_of(dir: &SafeDir, sha256: &Digest) -> Result<Vec<String>, fs::Error> {
    let hash = sha256.to_string();
    let names = dir.names()?.into_iter().filter_map(|name| name.into_string().ok());
    Ok(names.filter(|name| name.starts_with(&hash)).collect())
}

/// FNV-1a of eight bytes at a time: finds damage, stops nobody. Whoever can write verdicts can write
/// pins.
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
