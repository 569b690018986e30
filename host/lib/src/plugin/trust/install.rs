//! The moments of trust: a file is looked at, someone agrees, and those very bytes are
//! copied to a place named for their hash, and pinned. Also what undoes it.

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

/// The lock that pins and plugin files are changed under.
const LOCK: &str = "plugins.lock";

/// A plugin file that was looked at, with the bytes that would be installed: nothing that
/// happens to the file after this changes them.
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
    /// Returns the plugin's id, as the file says.
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

    /// Returns what inspection found, with what is worth a line to whoever decides.
    #[doc(hidden)]
    pub fn inspected(&self) -> &Inspected {
        &self.inspected
    }

    /// Returns the pin that the id has now.
    #[doc(hidden)]
    pub fn existing(&self) -> Option<&Pin> {
        self.existing.as_ref()
    }

    /// Returns what the file asks for that the installed plugin of its id does not: all of
    /// it, where none is installed or the installed one cannot be looked into.
    pub fn new_permissions(&self) -> Vec<&Permission> {
        let old = self.existing_permissions.as_deref().unwrap_or_default();
        let new = self.inspected.manifest.all_permissions();
        new.into_iter().filter(|one| !old.contains(one)).collect()
    }

    /// Returns what the installed plugin of its id asks for and the file does not.
    pub fn dropped_permissions(&self) -> Vec<&Permission> {
        let new = self.inspected.manifest.all_permissions();
        let old = self.existing_permissions.as_deref().unwrap_or_default();
        old.iter().filter(|one| !new.contains(one)).collect()
    }
}

/// A plugin file that nobody has pinned, and that may be run isolated all the same, to be tested: it was
/// inspected, and neither policy nor quarantine is against it. It is the bytes that were read.
#[derive(Debug)]
pub struct Unpinned {
    candidate: Candidate,
    sandbox: SandboxLevel,
    namespaces: Namespaces,
}

impl Unpinned {
    /// Returns what was found in the file.
    pub fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    /// Returns the hash of the bytes.
    pub(crate) fn sha256(&self) -> &Digest {
        &self.candidate.sha256
    }

    /// Returns how much of a sandbox there has to be.
    pub(crate) fn sandbox(&self) -> SandboxLevel {
        self.sandbox
    }

    /// Returns whether its process gets namespaces of its own.
    pub(crate) fn namespaces(&self) -> Namespaces {
        self.namespaces
    }
}

/// Where a plugin is installed, which is also who vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstallTarget {
    /// Into the user's data directory.
    User,
    /// For all users: the file into this one of the store's directories of packages, the pin into the
    /// system's configuration directory. Both are root's and readable by everyone.
    System(PathBuf),
    /// Into this one of the store's directories of packages, readable by everyone: for what builds and installs
    /// host and plugins together.
    Packaged(PathBuf),
}

/// Who vouches for a plugin, and how far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustDecision {
    /// Where it is installed.
    pub place: InstallTarget,
    /// Whether it may run in the host's process.
    pub in_process: InProcess,
}

/// What happens when the id stands for another file already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnIdConflict {
    /// It is an error.
    Refuse,
    /// The new file takes its place: an upgrade. A pin of another layer is never replaced.
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
    /// Looks at a file that may become a plugin. Nothing is written.
    ///
    /// # Errors
    /// When the path is not safe, the file is no plugin or none for this machine.
    pub fn examine(&self, path: &Path) -> Result<Candidate, Error> {
        let roots = Roots::new(&self.paths, self.privilege);
        self.candidate(&roots, walk::open(path, Rule::User)?)
    }

    /// Returns the proof that a file may be tested in a runner.
    ///
    /// # Errors
    /// What policy and quarantine have against it; where only the system's directories count, it is nothing
    /// of theirs.
    #[doc(hidden)]
    pub fn unpinned(&self, candidate: Candidate) -> Result<Unpinned, Error> {
        if self.privilege != Privilege::Ordinary {
            return Err(Error::NoDataDir);
        }
        let policy = self.permit_install(&candidate, PinLayer::User)?;
        Ok(Unpinned { candidate, sandbox: policy.sandbox, namespaces: policy.namespaces })
    }

    /// Looks at the file of an installed plugin as it is now, changed or not: what
    /// [`PluginStore::trust`] would accept.
    ///
    /// # Errors
    /// When there is no pin or no file, or what [`PluginStore::examine`] says.
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
            // Installing is how a pin that is not understood is put right.
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

    /// Installs a file that someone agreed to: its bytes first, its pin last.
    ///
    /// # Errors
    /// [`Error::IdTaken`] when the id stands for another file; what the policy says; or
    /// what the system says, and then nothing is pinned.
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

    /// Pins an installed plugin's file as [`PluginStore::reexamine`] found it, in the layer of `place`,
    /// and lifts its quarantine.
    ///
    /// # Errors
    /// [`Error::NotYours`] when the file changed, or is to run in-process, and the pin is of another
    /// layer.
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

    /// Removes a plugin from where it was installed: the pin, then the file unless another pin has it.
    ///
    /// # Errors
    /// [`Error::NotYours`] when the pin is of another layer; when there is none; or what the system
    /// says.
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
            // A denial is no plugin, and removing one allows what it denied.
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

    /// Looks, under the lock, whether the id is free.
    fn taken(
        &self,
        candidate: &Candidate,
        place: &Destination,
        taken: OnIdConflict,
    ) -> Result<Taken, Error> {
        let roots = Roots::new(&self.paths, self.privilege);
        let ours = |path: &Path| path == place.pins;
        for root in roots.iter() {
            // What all users get does not depend on what one of them has.
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

    /// Removes the file of a hash, and what was remembered of it, unless a pin still has it.
    fn discard(&self, place: &Destination, sha256: &Digest, _lock: &Lock) -> Result<(), Error> {
        let roots = Roots::new(&self.paths, self.privilege);
        let has_pins = |path: &Path| path == place.pins || path == place.files;
        for root in roots.iter().filter(|root| has_pins(root.path)) {
            let entries = root.book()?.map(|book| book.entries()).transpose()?;
            for (_, entry) in entries.unwrap_or_default() {
                match entry {
                    Ok(PinEntry::Pin(pin)) if pin.sha256 != *sha256 => {}
                    Ok(PinEntry::Denial) => {}
                    // It has it, or might: a file too many harms nobody.
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
            // Whoever installs it again trusts it again.
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
    /// It can; perhaps in place of this hash.
    Free { replaces: Option<Digest> },
    /// A layer that is not ours to write pins this very file: all it lacks is the file.
    ByTheSameElsewhere,
}

/// Where an installation goes, and with which modes.
struct Destination {
    layer: PinLayer,
    /// The directory that has `pins.d`.
    pins: PathBuf,
    /// The directory that has the plugins' files; the same but for the system's layer.
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

/// Writes the bytes to the place named for their hash, unless they lie there already.
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

/// A directory that may be written to while this lives, and has its old mode again after.
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
        // A directory left writable for its owner is less tidy, and no less safe from others.
        if self.mode & 0o200 == 0 {
            let _ = self.dir.set_mode(self.mode);
        }
    }
}

/// What the installed plugin asks for, if its file can be looked into.
fn permissions_of(roots: &Roots<'_>, found: &Found) -> Option<Vec<Permission>> {
    let file = roots.locate(found).ok()?;
    let (bytes, sha256) = trusted::read_and_hash(&file).ok()?;
    if sha256 != found.pin.sha256 {
        return None;
    }
    let manifest = crate::plugin::inspect::inspect(&bytes).ok()?.manifest;
    Some(manifest.all_permissions().into_iter().cloned().collect())
}
