//! Trust: from a plugin's id to its one verified file, and the operations that change it: install,
//! trust, remove. No code of a plugin runs here.

mod builtin;
mod crash;
mod error;
mod install;
mod list;
mod policy;
mod roots;
mod survey;
mod trusted;

use std::path::Path;

use crate::fs::OpenedFile;
use crate::ids;
use crate::paths::Paths;
use crate::plugin::inspect::{self, Inspected, LocalPlatform};
use crate::plugin::pins::{Digest, InProcess, Pin, PinLayer, PluginId};
use crate::plugin::verdict::{HostBuild, Verdict};

pub use builtin::BUILTIN;
pub use crash::{CRASH_WINDOW, CRASHES_TO_QUARANTINE, Crashes};
pub use error::Error;
pub use install::{Candidate, InstallTarget, OnIdConflict, TrustDecision, Unpinned};
pub use list::{PinStatus, PinVerification};
pub use policy::{PlacementPolicy, Policy};
pub(crate) use survey::{Survey, Surveyed};
pub(crate) use trusted::CopyError;
use trusted::Terms;
pub use trusted::{TrustSource, Trusted};

use roots::Roots;

/// Privilege of this process, which decides the directories that it may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// The process acts for the user who started it: the user's own directories count.
    Ordinary,
    /// The kernel started it with more rights than its user has, by file capabilities or by a
    /// security module: only what root owns counts. A set-user-ID process is not served at all.
    SetId,
}

/// The plugins of one machine and user, according to pins and policy.
///
/// It keeps nothing open: each call sees the directories as they are then.
#[derive(Debug, Clone)]
pub struct PluginStore {
    paths: Paths,
    privilege: Privilege,
}

impl PluginStore {
    /// Returns the store of these directories.
    pub fn new(paths: &Paths, privilege: Privilege) -> Self {
        let privilege = match ids::privilege() {
            Privilege::Ordinary => privilege,
            Privilege::SetId => Privilege::SetId,
        };
        Self { paths: paths.clone(), privilege }
    }

    /// Returns the verified plugin of this id: its file has the pinned SHA-256, was inspected, and
    /// fits this machine. An earlier result counts as long as file and host are unchanged.
    ///
    /// # Errors
    /// The objection to the plugin, of every family up to E07. A pin of a higher layer that is not
    /// understood is never ignored in favour of a lower layer.
    pub fn find(&self, id: &PluginId) -> Result<Trusted, Error> {
        match self.find_once(id) {
            // An upgrade may have come between the pin and its file.
            Err(Error::FileMissing { .. }) => self.find_once(id),
            done => done,
        }
    }

    fn find_once(&self, id: &PluginId) -> Result<Trusted, Error> {
        let roots = Roots::new(&self.paths, self.privilege);
        let policy = Policy::read(&roots)?;
        let found = roots.pin(id)?.ok_or_else(|| roots.not_pinned(id))?;
        permit(&roots, &policy, (id, &found.pin.sha256), found.pin.layer)?;
        let file = roots.locate(&found)?;
        self.prove(&roots, &policy, found.pin, file)
    }

    /// Returns the administrator's policy.
    ///
    /// # Errors
    /// If the file exists and is unsafe, or not understood.
    #[doc(hidden)]
    pub fn policy(&self) -> Result<Policy, Error> {
        Policy::read(&Roots::new(&self.paths, self.privilege))
    }

    fn prove(
        &self,
        roots: &Roots<'_>,
        policy: &Policy,
        pin: Pin,
        file: OpenedFile,
    ) -> Result<Trusted, Error> {
        let data = roots.data()?;
        let host = HostBuild::current();
        let identity = file.identity();
        if let (Some(data), Some(host)) = (data, host)
            && let Some(verdict) = Verdict::read(data, &pin.sha256, &identity, host)
        {
            return self.trusted(roots, policy, pin, file, verdict, None);
        }

        let (bytes, verdict) = judge(&pin, &file)?;
        if let (Some(_), Some(data)) = (host, roots.data_made()) {
            // A cache: if it cannot be written, the next call repeats the work.
            let _ = verdict.write(&data);
        }
        self.trusted(roots, policy, pin, file, verdict, Some(bytes))
    }

    fn trusted(
        &self,
        roots: &Roots<'_>,
        policy: &Policy,
        pin: Pin,
        file: OpenedFile,
        verdict: Verdict,
        bytes: Option<Vec<u8>>,
    ) -> Result<Trusted, Error> {
        if verdict.manifest.id != pin.id.as_str() {
            return Err(Error::IdDiffers {
                pinned: pin.id,
                found: verdict.manifest.id,
                path: file.path().to_owned(),
            });
        }
        policy.permit_permissions(&pin.id, &verdict.manifest.all_permissions())?;
        let builtin = pin.layer == PinLayer::Packaged && builtin::has(&pin.id, &pin.sha256);
        let trust_source = match pin.layer {
            PinLayer::Packaged if builtin => TrustSource::Builtin,
            PinLayer::Packaged => TrustSource::Packaged,
            PinLayer::Administrator => TrustSource::Administrator,
            PinLayer::User => TrustSource::User,
        };
        let allowed = builtin || pin.in_process == InProcess::Danger;
        let in_process = match policy.placement {
            PlacementPolicy::Isolated => InProcess::Never,
            PlacementPolicy::AsRegistered if allowed => InProcess::Danger,
            PlacementPolicy::AsRegistered => InProcess::Never,
        };
        let data = roots.data_path().map(Path::to_owned);
        let terms = Terms { in_process, sandbox: policy.sandbox, namespaces: policy.namespaces };
        Ok(Trusted::new(pin.id, trust_source, terms, file, verdict, bytes, data))
    }
}

/// Refuses a plugin, pinned or about to be, because of a denial, the policy or its quarantine: all
/// checks that do not need its file.
fn permit(
    roots: &Roots<'_>,
    policy: &Policy,
    (id, sha256): (&PluginId, &Digest),
    layer: PinLayer,
) -> Result<(), Error> {
    roots.deny(id, sha256)?;
    policy.permit(id, sha256, layer)?;
    match roots.data()? {
        Some(data) if crash::is_quarantined(data, sha256)? => {
            Err(Error::Quarantined { id: id.clone(), sha256: *sha256 })
        }
        _ => Ok(()),
    }
}

/// Reads, hashes and inspects a pinned file.
fn judge(pin: &Pin, file: &OpenedFile) -> Result<(Vec<u8>, Verdict), Error> {
    let (bytes, found) = trusted::read_and_hash(file)?;
    if found != pin.sha256 {
        let (id, path) = (pin.id.clone(), file.path().to_owned());
        return Err(Error::HashMismatch { id, path, pinned: pin.sha256, found });
    }
    let inspected = look_into(&bytes, file)?;
    let verdict = Verdict {
        sha256: found,
        identity: file.identity(),
        // Without a known host build there is no cache, so the number is never compared.
        host: HostBuild::current().unwrap_or(HostBuild::UNKNOWN),
        abi: inspected.abi,
        fit: None,
        manifest: inspected.manifest,
    };
    Ok((bytes, verdict))
}

/// Inspects a file's bytes, and checks that it can be loaded here. The manifest requests libraries
/// beyond the system's, and the user who registers a vault grants them.
fn look_into(bytes: &[u8], file: &OpenedFile) -> Result<Inspected, Error> {
    let wrong = |source| Error::Unfit { path: file.path().to_owned(), source };
    let inspected = inspect::inspect(bytes).map_err(wrong)?;
    let here = LocalPlatform::current().granting(&inspected.manifest.permissions);
    inspected.check_here(&here).map_err(wrong)?;
    Ok(inspected)
}

/// Returns the name of the file that holds the plugin of this hash.
fn file_name(sha256: &Digest) -> String {
    format!("{sha256}.{}", std::env::consts::DLL_EXTENSION)
}

#[cfg(test)]
mod tests;
