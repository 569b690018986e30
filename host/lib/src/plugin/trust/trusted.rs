//! The proof: only the parent module makes one, and only a proven file can be loaded.

use std::borrow::Cow;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::StatVfsMountFlags;
use rustix::io::Errno;

use super::Error;
use crate::fs::{self, Identity, OpenedFile, Rule};
use crate::plugin::AbiCompatibility;
use crate::plugin::inspect::{Abi, ParsedManifest};
use crate::plugin::pins::{Digest, InProcess, PluginId};
use crate::plugin::runner::{Namespaces, SandboxLevel};
use crate::plugin::verdict::Verdict;

/// Source of the trust in a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrustSource {
    /// The administrator.
    Administrator,
    /// A package that root or the user installed.
    Packaged,
    /// A package, and the host itself, which was built with it.
    Builtin,
    /// The user.
    User,
}

impl TrustSource {
    /// Returns the name for output and for `--json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Packaged => "packaged",
            Self::Builtin => "builtin",
            Self::User => "user",
        }
    }
}

/// Terms on which a plugin may run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) in_process: InProcess,
    pub(super) sandbox: SandboxLevel,
    pub(super) namespaces: Namespaces,
}

/// File systems whose root user is this machine's, by their numbers in Linux: ext4, XFS, Btrfs,
/// overlay, EROFS, SquashFS. On others, another machine or a user's program may claim root's files.
const LOCAL: [rustix::fs::FsWord; 6] =
    [0xef53, 0x5846_5342, 0x9123_683e, 0x794c_7630, 0xe0f5_e1e2, 0x7371_7368];

/// A plugin file that equals the pinned one, was inspected, and may be loaded.
#[derive(Debug)]
pub struct Trusted {
    id: PluginId,
    trust_source: TrustSource,
    terms: Terms,
    file: OpenedFile,
    verdict: Verdict,
    /// Bytes that the proof read; `None` if a verdict made that unnecessary.
    bytes: Option<Vec<u8>>,
    /// The user's data directory, which contains verdicts; `None` without one.
    data: Option<PathBuf>,
}

impl Trusted {
    pub(super) fn new(
        id: PluginId,
        trust_source: TrustSource,
        terms: Terms,
        file: OpenedFile,
        verdict: Verdict,
        bytes: Option<Vec<u8>>,
        data: Option<PathBuf>,
    ) -> Self {
        Self { id, trust_source, terms, file, verdict, bytes, data }
    }

    /// Returns the plugin's id.
    pub fn id(&self) -> &PluginId {
        &self.id
    }

    /// Returns the hash of the file's bytes.
    pub fn sha256(&self) -> &Digest {
        &self.verdict.sha256
    }

    /// Returns the trust source.
    pub fn trust_source(&self) -> TrustSource {
        self.trust_source
    }

    /// Returns whether the plugin may run in-process if a registration requests that.
    pub fn in_process(&self) -> InProcess {
        self.terms.in_process
    }

    /// Returns the sandbox level that the plugin must have in isolated placement.
    #[doc(hidden)]
    pub fn sandbox(&self) -> SandboxLevel {
        self.terms.sandbox
    }

    /// Returns whether the plugin has namespaces of its own in isolated placement.
    #[doc(hidden)]
    pub fn namespaces(&self) -> Namespaces {
        self.terms.namespaces
    }

    /// Returns the plugin's manifest.
    #[doc(hidden)]
    pub fn manifest(&self) -> &ParsedManifest {
        &self.verdict.manifest
    }

    /// Returns the plugin's ABI.
    #[doc(hidden)]
    pub fn abi(&self) -> Abi {
        self.verdict.abi
    }

    /// Returns the compatibility of the plugin's layout, if it was loaded before.
    #[doc(hidden)]
    pub fn fit(&self) -> Option<AbiCompatibility> {
        self.verdict.fit
    }

    /// Returns the file's path, of which every component was checked.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Returns the open file. Its position is not defined: read it by offset.
    #[doc(hidden)]
    pub fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Returns the file's bytes: those that the proof read or, if a verdict made that unnecessary,
    /// the current ones.
    ///
    /// # Errors
    /// [`fs::Error::Changed`] when the file is no longer in the state that was proven.
    #[doc(hidden)]
    pub fn bytes(&self) -> Result<Cow<'_, [u8]>, Error> {
        match &self.bytes {
            Some(bytes) => Ok(Cow::Borrowed(bytes)),
            None => Ok(Cow::Owned(read(&self.file)?)),
        }
    }

    /// Returns the file, opened once more, if only root can change or replace it, and it can be
    /// mapped to be run.
    pub(crate) fn of_roots(&self) -> Option<OpenedFile> {
        let file = fs::walk::open(self.path(), Rule::System).ok()?;
        let flags = rustix::fs::fstatvfs(file.as_file()).ok()?.f_flag;
        let local = LOCAL.contains(&rustix::fs::fstatfs(file.as_file()).ok()?.f_type);
        let proven = file.identity() == self.file.identity();
        (proven && local && !flags.contains(StatVfsMountFlags::NOEXEC)).then_some(file)
    }

    /// Writes the bytes of [`Trusted::bytes`] to an empty file, without a copy in this process if
    /// the system supports that.
    ///
    /// # Errors
    /// As for [`Trusted::bytes`]; the system's error for the other file.
    pub(crate) fn copy_to(&self, to: &OwnedFd) -> Result<(), CopyError> {
        if let Some(bytes) = &self.bytes {
            return File::from(to.try_clone()?).write_all(bytes).map_err(CopyError::To);
        }
        let mut offset = 0;
        while offset < self.file.identity().len {
            let left = self.file.identity().len - offset;
            let left = usize::try_from(left).unwrap_or(usize::MAX);
            match rustix::fs::sendfile(to, self.file(), Some(&mut offset), left) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(CopyError::To(error.into())),
            }
        }
        unchanged(&self.file).map_err(|error| CopyError::From(error.into()))
    }

    /// Returns the verdict with this compatibility, and the directory that stores it.
    pub(in crate::plugin) fn verdict_with(
        &self,
        fit: AbiCompatibility,
    ) -> Option<(Verdict, &Path)> {
        let verdict = Verdict { fit: Some(fit), ..self.verdict.clone() };
        Some((verdict, self.data.as_deref()?))
    }
}

/// Reads a file once, and hashes the bytes that were read.
pub(super) fn read_and_hash(file: &OpenedFile) -> Result<(Vec<u8>, Digest), Error> {
    let bytes = read(file)?;
    let digest = Digest::of(&bytes);
    Ok((bytes, digest))
}

/// Reads all of an open file by offset, and checks that it stayed as it was when opened.
fn read(file: &OpenedFile) -> Result<Vec<u8>, fs::Error> {
    let len = usize::try_from(file.identity().len)
        .map_err(|_| fs::Error::Changed { path: file.path().to_owned() })?;
    let mut bytes = vec![0; len];
    let changed = || fs::Error::Changed { path: file.path().to_owned() };
    file.as_file().read_exact_at(&mut bytes, 0).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => changed(),
        _ => fs::Error::io("read", file.path(), error),
    })?;
    unchanged(file)?;
    Ok(bytes)
}

/// Checks that a file has not changed since it was opened.
fn unchanged(file: &OpenedFile) -> Result<(), fs::Error> {
    let now = Identity::of_file(file.as_file())
        .map_err(|error| fs::Error::io("look at", file.path(), error))?;
    match now == file.identity() {
        true => Ok(()),
        false => Err(fs::Error::Changed { path: file.path().to_owned() }),
    }
}

/// Why a plugin's bytes could not be copied.
#[derive(Debug)]
pub(crate) enum CopyError {
    /// The bytes are no longer the proven ones.
    From(Error),
    /// The copy could not be written.
    To(std::io::Error),
}

impl From<std::io::Error> for CopyError {
    fn from(error: std::io::Error) -> Self {
        Self::To(error)
    }
}
