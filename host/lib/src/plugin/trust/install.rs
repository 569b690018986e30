//! Installation and trust: Keystead inspects a file, and the user agrees. Keystead then copies
//! exactly those bytes to a path named after their hash, and pins them. Also their removal.

use std::path::{Path, PathBuf};

use super::roots::{Found, PLUGINS, Roots};
use super::{
    Error, PluginStore, Policy, Privilege, Trusted, crash, file_name, look_into, permit, trusted,
};
use crate::fs::{self, Lock, OpenedFile, Rule, SafeDir, walk};
use crate::plugin::inspect::{Inspected, Permission};
use crate::plugin::pins::{self, Digest, InProcess, Pin, PinEntry, PinLayer, PluginId};
use crate::plugin::runner::{Namespaces, SandboxLevel};
use crate::plugin::verdict::Verdict;

/// The lock for changes of pins and plugin files.
const LOCK: &str = "plugins.lock";

/// An inspected plugin file, with the bytes to install: later changes of the file do not change
/// these bytes.
#[derive(Debug)]
pub struct Candidate {
    id: PluginId,
    path: PathBuf,
    bytes: Vec<u8>,
    sha256: Digest,
    inspected: Inspected,
    existing: Option<Pin>,
    existing_permissions: Option<Vec<Permission>>,
}

impl Candidate {
    /// Returns the plugin's id, from the file.
    pub fn id(&self) -> &PluginId {
        &self.id
    }

    /// Returns the file's path without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the hash of the bytes.
    pub fn sha256(&self) -> &Digest {
        &self.sha256
    }

    /// Returns the bytes.
    #[doc(hidden)]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the result of the inspection, with notes for the user who decides.
    #[doc(hidden)]
    pub fn inspected(&self) -> &Inspected {
        &self.inspected
    }

    /// Returns the current pin of the id.
    #[doc(hidden)]
    pub fn existing(&self) -> Option<&Pin> {
        self.existing.as_ref()
    }

    /// Returns the permissions that the file requests and the installed plugin of its id does not.
    /// Returns all if no plugin is installed or it cannot be inspected.
    pub fn new_permissions(&self) -> Vec<&Permission> {
        let old = self.existing_permissions.as_deref().unwrap_or_default();
        let new = self.inspected.manifest.all_permissions();
        new.into_iter().filter(|one| !old.contains(one)).collect()
    }

    /// Returns the permissions that the installed plugin of its id requests and the file does not.
    pub fn dropped_permissions(&self) -> Vec<&Permission> {
        let new = self.inspected.manifest.all_permissions();
        let old = self.existing_permissions.as_deref().unwrap_or_default();
        old.iter().filter(|one| !new.contains(one)).collect()
    }
}

/// A plugin file without a pin that may run isolated, for a test: it was inspected, and neither
/// policy nor quarantine forbids it. It holds the bytes that were read.
#[derive(Debug)]
pub struct Unpinned {
    candidate: Candidate,
    sandbox: SandboxLevel,
    namespaces: Namespaces,
}

impl Unpinned {
    /// Returns the inspected file.
    pub fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    /// Returns the hash of the bytes.
    pub(crate) fn sha256(&self) -> &Digest {
        &self.candidate.sha256
    }

    /// Returns the required sandbox level.
    pub(crate) fn sandbox(&self) -> SandboxLevel {
        self.sandbox
    }

    /// Returns whether its process gets namespaces of its own.
    pub(crate) fn namespaces(&self) -> Namespaces {
        self.namespaces
    }
}

/// Target of an installation, which is also the trust source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstallTarget {
    /// Into the user's data directory.
    User,
    /// For all users: the file into this package directory of the store, the pin into the system's
    /// configuration directory. Root owns both, and everyone can read them.
    System(PathBuf),
    /// Into this package directory of the store, readable by everyone: for builds that install host
    /// and plugins together.
    Packaged(PathBuf),
}

/// Who trusts a plugin, and how far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustDecision {
    /// Target of the installation.
    pub place: InstallTarget,
    /// Whether the plugin may run in-process.
    pub in_process: InProcess,
}

/// Behaviour if the id already stands for another file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnIdConflict {
    /// Return an error.
    Refuse,
    /// Replace the old file: an upgrade. A pin of another layer is never replaced.
    Replace,
}

impl InstallTarget {
    /// Returns the layer of the pins there.
    #[doc(hidden)]
    pub fn layer(&self) -> PinLayer {
        match self {
            Self::User => PinLayer::User,
            Self::System(_) => PinLayer::Administrator,
            Self::Packaged(_) => PinLayer::Packaged,
        }
    }
}

impl PluginStore {
    /// Inspects a file that may become a plugin. Nothing is written.
    ///
    /// # Errors
    /// If the path is not safe, or the file is no plugin or none for this machine.
    pub fn examine(&self, path: &Path) -> Result<Candidate, Error> {
        let roots = Roots::new(&self.paths, self.privilege);
        self.candidate(&roots, walk::open(path, Rule::User)?)
    }

    /// Returns the proof that a file may be tested in a runner.
    ///
    /// # Errors
    /// The objections of policy and quarantine. If only the system's directories count, the file is
    /// none of theirs.
    #[doc(hidden)]
    pub fn unpinned(&self, candidate: Candidate) -> Result<Unpinned, Error> {
        if self.privilege != Privilege::Ordinary {
            return Err(Error::NoDataDir);
        }
        let policy = self.permit_install(&candidate, PinLayer::User)?;
        Ok(Unpinned { candidate, sandbox: policy.sandbox, namespaces: policy.namespaces })
    }

    /// Inspects the file of an installed plugin as it is now, changed or not: the file that
    /// [`PluginStore::trust`] accepts.
    ///
    /// # Errors
    /// If there is no pin or no file, or the errors of [`PluginStore::examine`].
    pub fn reexamine(&self, id: &PluginId) -> Result<Candidate, Error> {
        let roots = Roots::new(&self.paths, self.privilege);
        let found = roots.pin(id)?.ok_or_else(|| roots.not_pinned(id))?;
        let file = roots.locate(&found)?;
        let path = file.path().to_owned();
        let candidate = self.candidate(&roots, file)?;
        if candidate.id != *id {
            let found = candidate.id.to_string();
            return Err(Error::IdDiffers { pinned: id.clone(), found, path });
        }
        Ok(candidate)
    }

    fn candidate(&self, roots: &Roots<'_>, file: OpenedFile) -> Result<Candidate, Error> {
        let (bytes, sha256) = trusted::read_and_hash(&file)?;
        let inspected = look_into(&bytes, &file)?;
        let id = PluginId::parse(&inspected.manifest.id)?;
        let found = match roots.pin(&id) {
            Ok(found) => found,
            // An installation is the fix for a pin that is not understood.
            Err(Error::Pin(pins::Error::Malformed { .. } | pins::Error::Invalid { .. })) => None,
            Err(error) => return Err(error),
        };
        let existing_permissions = found.as_ref().and_then(|found| permissions_of(roots, found));
        Ok(Candidate {
            id,
            path: file.path().to_owned(),
            bytes,
            sha256,
            inspected,
            existing: found.map(|found| found.pin),
            existing_permissions,
        })
    }

    /// Installs a file that the user agreed to: its bytes first, its pin last.
    ///
    /// # Errors
    /// [`Error::IdTaken`] if the id stands for another file; the objection of the policy; or the
    /// system's error, and then nothing is pinned.
    pub fn install(
        &self,
        candidate: Candidate,
        decision: &TrustDecision,
        taken: OnIdConflict,
    ) -> Result<Trusted, Error> {
        let place = Destination::of(self, &decision.place)?;
        self.permit_install(&candidate, place.layer)?;
        let root = SafeDir::create_with(&place.pins, place.rule, place.dir_mode)?;
        let files = SafeDir::create_with(&place.files, place.rule, place.dir_mode)?;
        let lock = root.lock(LOCK)?;
        let pin = match self.taken(&candidate, &place, taken)? {
            Taken::ByTheSameElsewhere => None,
            Taken::Free { replaces } => {
                Some((candidate.pin(decision.in_process, place.layer), replaces))
            }
        };
        store_bytes(&files, &place, &candidate)?;
        if let Some((pin, replaces)) = pin {
            let pins = root.make_dir(pins::DIR, place.dir_mode)?;
            pins.write(&pin.file_name(), pin.to_toml().as_bytes(), place.pin_mode)?;
            if let Some(old) = replaces.filter(|old| *old != pin.sha256) {
                self.discard(&place, &old, &lock)?;
            }
        }
        drop(lock);
        self.find(&candidate.id)
    }

    /// Pins an installed plugin's file as [`PluginStore::reexamine`] found it, in the layer of
    /// `place`, and lifts its quarantine.
    ///
    /// # Errors
    /// [`Error::NotYours`] if the pin is of another layer, and the file changed or the plugin is to
    /// run in-process.
    pub fn trust(&self, candidate: Candidate, decision: &TrustDecision) -> Result<Trusted, Error> {
        let (in_process, layer) = (decision.in_process, decision.place.layer());
        let id = candidate.id.clone();
        let roots = Roots::new(&self.paths, self.privilege);
        let found = roots.pin(&id)?.ok_or_else(|| roots.not_pinned(&id))?;
        if let Some(data) = roots.data()? {
            crash::forget(data, &candidate.sha256)?;
            crash::forget(data, &found.pin.sha256)?;
        }
        if found.pin.layer != layer {
            let asks_more = in_process == InProcess::Danger && found.pin.in_process != in_process;
            if candidate.sha256 != found.pin.sha256 || asks_more {
                return Err(Error::NotYours { id, layer: found.pin.layer, path: found.path });
            }
            return self.find(&id);
        }
        drop(roots);
        self.install(candidate, decision, OnIdConflict::Replace)
    }

    /// Removes a plugin from `place`: the pin, then the file unless another pin has it.
    ///
    /// # Errors
    /// [`Error::NotYours`] if the pin is of another layer; if there is no pin; or the system's
    /// error.
    pub fn remove(&self, id: &PluginId, place: &InstallTarget) -> Result<(), Error> {
        let place = Destination::of(self, place)?;
        let Some(root) = SafeDir::open_if_there(&place.pins, place.rule)? else {
            return Err(self.not_removable(id));
        };
        let lock = root.lock(LOCK)?;
        let Some(pins) = root.dir(pins::DIR)? else { return Err(self.not_removable(id)) };
        let book = pins::PinStore::open(place.layer, &root)?;
        // A pin that is not understood can be removed all the same; its file then stays.
        let sha256 = match book.map(|book| book.entry(id)) {
            Some(Ok(Some(PinEntry::Pin(pin)))) => Some(pin.sha256),
            // A denial is no plugin, and its removal allows what it denied.
            Some(Ok(Some(PinEntry::Denial))) => return Err(self.not_removable(id)),
            _ => None,
        };
        if !pins.remove(&format!("{id}.toml"))? {
            return Err(self.not_removable(id));
        }
        match sha256 {
            Some(sha256) => self.discard(&place, &sha256, &lock),
            None => Ok(()),
        }
    }

    fn not_removable(&self, id: &PluginId) -> Error {
        let roots = Roots::new(&self.paths, self.privilege);
        match roots.pin(id) {
            Ok(Some(found)) => {
                Error::NotYours { id: id.clone(), layer: found.pin.layer, path: found.path }
            }
            Ok(None) => roots.not_pinned(id),
            Err(error) => error,
        }
    }

    fn permit_install(&self, candidate: &Candidate, layer: PinLayer) -> Result<Policy, Error> {
        let roots = Roots::new(&self.paths, self.privilege);
        let policy = Policy::read(&roots)?;
        permit(&roots, &policy, (&candidate.id, &candidate.sha256), layer)?;
        policy
            .permit_permissions(&candidate.id, &candidate.inspected.manifest.all_permissions())?;
        Ok(policy)
    }

    /// Checks, under the lock, whether the id is free.
    fn taken(
        &self,
        candidate: &Candidate,
        place: &Destination,
        taken: OnIdConflict,
    ) -> Result<Taken, Error> {
        let roots = Roots::new(&self.paths, self.privilege);
        let ours = |path: &Path| path == place.pins;
        for root in roots.iter() {
            // A plugin for all users does not depend on the plugins of one user.
            if place.layer != PinLayer::User && root.layer == PinLayer::User {
                continue;
            }
            let Some(book) = root.book()? else { continue };
            let path = book.path(candidate.id.as_str());
            match book.entry(&candidate.id) {
                Ok(None) => {}
                Ok(Some(PinEntry::Denial)) => {
                    return Err(pins::Error::Denied { id: candidate.id.clone(), path }.into());
                }
                Ok(Some(PinEntry::Pin(pin))) => {
                    let same = pin.sha256 == candidate.sha256;
                    if ours(root.path) && (same || taken == OnIdConflict::Replace) {
                        return Ok(Taken::Free { replaces: Some(pin.sha256) });
                    }
                    if same {
                        return Ok(Taken::ByTheSameElsewhere);
                    }
                    let (id, layer, sha256) = (candidate.id.clone(), pin.layer, pin.sha256);
                    return Err(Error::IdTaken { id, layer, path, sha256 });
                }
                Err(_) if ours(root.path) && taken == OnIdConflict::Replace => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Taken::Free { replaces: None })
    }

    /// Removes the file of a hash, and its cached results, unless a pin still has the hash.
    fn discard(&self, place: &Destination, sha256: &Digest, _lock: &Lock) -> Result<(), Error> {
        let roots = Roots::new(&self.paths, self.privilege);
        let has_pins = |path: &Path| path == place.pins || path == place.files;
        for root in roots.iter().filter(|root| has_pins(root.path)) {
            let entries = root.book()?.map(|book| book.entries()).transpose()?;
            for (_, entry) in entries.unwrap_or_default() {
                match entry {
                    Ok(PinEntry::Pin(pin)) if pin.sha256 != *sha256 => {}
                    Ok(PinEntry::Denial) => {}
                    // The pin has this hash, or may have it: an extra file does no harm.
                    Ok(PinEntry::Pin(_)) | Err(_) => return Ok(()),
                }
            }
        }
        let files = SafeDir::open_if_there(&place.files, place.rule)?;
        if let Some(plugins) = files.map(|files| files.dir(PLUGINS)).transpose()?.flatten() {
            let opened = OpenedUp::new(&plugins)?;
            plugins.remove(&file_name(sha256))?;
            drop(opened);
        }
        if let Some(data) = roots.data()? {
            Verdict::forget(data, sha256)?;
            // A new installation is a new decision about trust.
            crash::forget(data, sha256)?;
        }
        Ok(())
    }
}

impl Candidate {
    fn pin(&self, in_process: InProcess, layer: PinLayer) -> Pin {
        let now = jiff::Timestamp::now();
        Pin {
            id: self.id.clone(),
            sha256: self.sha256,
            layer,
            in_process,
            size: Some(self.bytes.len() as u64),
            version: Some(self.inspected.manifest.version.clone()),
            source: Some(self.path.to_string_lossy().into_owned()),
            trusted_at: Some(jiff::Timestamp::from_second(now.as_second()).unwrap_or(now)),
        }
    }
}

/// Whether an id can be pinned.
enum Taken {
    /// The id can be pinned; perhaps in place of this hash.
    Free { replaces: Option<Digest> },
    /// A layer that this process cannot write pins this very file: only the file is missing.
    ByTheSameElsewhere,
}

/// Destination of an installation, with its modes.
struct Destination {
    layer: PinLayer,
    /// The directory that contains `pins.d`.
    pins: PathBuf,
    /// The directory of the plugins' files; the same except in the system's layer.
    files: PathBuf,
    rule: Rule,
    dir_mode: u32,
    plugins_mode: u32,
    plugin_mode: u32,
    pin_mode: u32,
}

impl Destination {
    fn of(store: &PluginStore, place: &InstallTarget) -> Result<Self, Error> {
        match place {
            InstallTarget::User => match (&store.paths.user_data, store.privilege) {
                (Some(path), super::Privilege::Ordinary) => Ok(Self {
                    layer: PinLayer::User,
                    pins: path.clone(),
                    files: path.clone(),
                    rule: Rule::User,
                    dir_mode: fs::PRIVATE_DIR,
                    plugins_mode: 0o500,
                    plugin_mode: 0o400,
                    pin_mode: fs::PRIVATE_FILE,
                }),
                _ => Err(Error::NoDataDir),
            },
            InstallTarget::Packaged(path) | InstallTarget::System(path)
                if !store.paths.packaged.contains(path) =>
            {
                Err(Error::NotAPluginDir { path: path.clone() })
            }
            InstallTarget::Packaged(path) | InstallTarget::System(path) => Ok(Self {
                layer: place.layer(),
                pins: match place {
                    InstallTarget::System(_) => store.paths.system_config.clone(),
                    _ => path.clone(),
                },
                files: path.clone(),
                rule: match place {
                    InstallTarget::System(_) => Rule::System,
                    _ => Rule::User,
                },
                dir_mode: 0o755,
                plugins_mode: 0o755,
                plugin_mode: 0o444,
                pin_mode: 0o644,
            }),
        }
    }
}

/// Writes the bytes to the path named after their hash, unless they lie there already.
fn store_bytes(root: &SafeDir, place: &Destination, candidate: &Candidate) -> Result<(), Error> {
    let name = file_name(&candidate.sha256);
    let plugins = root.make_dir(PLUGINS, place.plugins_mode)?;
    let there = plugins.read(&name, candidate.bytes.len() as u64);
    if matches!(there, Ok(Some(bytes)) if bytes == candidate.bytes) {
        return Ok(());
    }
    let opened = OpenedUp::new(&plugins)?;
    plugins.write(&name, &candidate.bytes, place.plugin_mode)?;
    drop(opened);
    Ok(())
}

/// A directory that is writable while this value lives, and then has its old mode again.
struct OpenedUp<'dir> {
    dir: &'dir SafeDir,
    mode: u32,
}

impl<'dir> OpenedUp<'dir> {
    fn new(dir: &'dir SafeDir) -> Result<Self, Error> {
        let mode = dir.mode()?;
        if mode & 0o200 == 0 {
            dir.set_mode(mode | 0o200)?;
        }
        Ok(Self { dir, mode })
    }
}

impl Drop for OpenedUp<'_> {
    fn drop(&mut self) {
        // A directory left writable for its owner is less tidy, but as safe from other users.
        if self.mode & 0o200 == 0 {
            let _ = self.dir.set_mode(self.mode);
        }
    }
}

/// Returns the permissions that the installed plugin requests, if its file can be inspected.
fn permissions_of(roots: &Roots<'_>, found: &Found) -> Option<Vec<Permission>> {
    let file = roots.locate(found).ok()?;
    let (bytes, sha256) = trusted::read_and_hash(&file).ok()?;
    if sha256 != found.pin.sha256 {
        return None;
    }
    let manifest = crate::plugin::inspect::inspect(&bytes).ok()?.manifest;
    Some(manifest.all_permissions().into_iter().cloned().collect())
}
