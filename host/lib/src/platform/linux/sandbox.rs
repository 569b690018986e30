//! The sandbox: the rights that a runner gives up before it loads its plugin, except granted ones.
//! Giving up is final. It covers new privileges, debuggers, core files, unlimited memory and
//! descriptors, files ([`files`]) and system calls ([`calls`]).
//!
//! Features that the kernel lacks are skipped unless the full sandbox is required: [`lacking`].

mod calls;
mod files;
mod filter;
mod listener;
mod walls;

use std::fmt;
use std::os::fd::{BorrowedFd, OwnedFd};

use landlock::{ABI, LandlockStatus, RulesetCreated};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets};
use serde::Deserialize;

use crate::error::story;

pub(crate) use listener::{Listener, Outcome, Question};
pub use walls::Namespaces;
pub(crate) use walls::Object;
use walls::Walls;
pub(crate) use walls::session_buses;

/// Maximum mapped memory, in bytes. Go alone reserves 1 GiB that it never uses.
const MAX_MAPPED: u64 = 8 << 30;

/// Maximum writable memory of its own, in bytes: values have at most 16 MiB, and deriving a
/// password's key takes 64 MiB. The limit stops runaway plugins; a hostile plugin can use memory
/// that counts as mapped only.
const MAX_DATA: u64 = 1 << 30;

/// Maximum memory locked against swapping, in bytes: a few of the largest values.
const MAX_LOCKED: u64 = 64 << 20;

/// Maximum number of pending signals. The kernel counts those of all the user's processes against
/// this process's limit: other processes can still send theirs.
const MAX_SIGNALS: u64 = 256;

/// Maximum size of a written file, in bytes: a runaway plugin stops before the disk is full.
const MAX_FILE: u64 = 16 << 30;

/// Maximum number of descriptors.
const MAX_DESCRIPTORS: u64 = 256;

/// Access of a plugin beyond its own files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reach {
    /// Other machines.
    pub(crate) network: bool,
    /// The session bus.
    pub(crate) bus: bool,
    /// Sockets that the host connects the plugin to.
    pub(crate) sockets: bool,
    /// The system's libraries.
    pub(crate) libraries: bool,
}

/// How much of the sandbox is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxLevel {
    /// As much as the kernel supports.
    #[default]
    #[serde(skip)]
    BestEffort,
    /// All of it; otherwise no plugin is loaded.
    Full,
}

/// A feature that the kernel lacks, and the gap that this leaves.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingFeature {
    /// No landlock: Linux 5.13, and not turned off.
    Files,
    /// No landlock right to truncate files (Linux 6.2), and no call filter that prevents it.
    Truncate,
    /// No filter for system calls.
    Calls,
    /// The host cannot answer a call (before Linux 5.9), or another filter around this process
    /// already does so. No isolated plugin gets granted sockets.
    Sockets,
    /// A landlock older than that of Linux 6.12. The filter of system calls is active and alone
    /// enforces the restrictions that this landlock lacks.
    Second(Older),
}

/// The first landlock version with further restrictions that the kernel lacks. The kernel also
/// lacks the restrictions of all later variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Older {
    /// Older than Linux 6.2, which can restrict the truncation of files.
    Truncate,
    /// Older than Linux 6.7, which can restrict TCP ports.
    Tcp,
    /// Older than Linux 6.10, which can restrict the controls of devices.
    Devices,
    /// Older than Linux 6.12, which can restrict signals and abstract sockets.
    Scopes,
}

impl Older {
    /// Returns the restrictions that this landlock leaves to the filter of system calls; `None` for
    /// the newest landlock that the sandbox uses.
    fn of(abi: ABI) -> Option<Self> {
        Some(match abi {
            ABI::Unsupported | ABI::V1 | ABI::V2 => Self::Truncate,
            ABI::V3 => Self::Tcp,
            ABI::V4 => Self::Devices,
            ABI::V5 => Self::Scopes,
            _ => return None,
        })
    }
}

impl fmt::Display for Older {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (Self::Truncate, "6.2", "the cutting short of files"),
            (Self::Tcp, "6.7", "TCP ports"),
            (Self::Devices, "6.10", "the controls of devices"),
            (Self::Scopes, "6.12", "signals and abstract sockets"),
        ];
        let without = all.iter().filter(|(older, ..)| self <= older);
        for (at, (_, version, what)) in without.enumerate() {
            write!(f, "{}{what} (Linux {version})", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl MissingFeature {
    /// Returns whether this gap leaves something open that the sandbox must block.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Second(_) | Self::Sockets)
    }
}

impl fmt::Display for MissingFeature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Second(older) => {
                return write!(
                    f,
                    "the landlock of this kernel does not know {older}: the filter of system calls \
                     holds plugins there, and nothing behind it"
                );
            }
            Self::Files => {
                "this kernel has no landlock (Linux 5.13 and later, unless it is turned off): \
                 plugins can open all files that you can"
            }
            Self::Truncate => {
                "the landlock of this kernel is older than Linux 6.2: plugins can empty files that \
                 you can write"
            }
            Self::Sockets => {
                "Keystead cannot answer the connections of a plugin here, which takes Linux 5.9 and no \
                 other filter around Keystead that answers calls"
            }
            Self::Calls => {
                "this kernel filters no system calls: plugins can run programs and use the network"
            }
        })
    }
}

/// Ties this process to its parent: the kernel kills it when the parent ends.
pub(crate) fn tie_to_parent() -> Result<(), String> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| step("be killed with the host", error))
}

/// Enters the sandbox, before any code of the plugin runs. It cannot be undone. If the plugin is a
/// file, that file can be opened again.
pub(crate) fn enter(
    objects: &[Object<'_>],
    reach: Reach,
    sandbox: SandboxLevel,
    namespaces: Namespaces,
    plugin: Option<BorrowedFd<'_>>,
) -> Result<Entered, NotEntered> {
    let rules =
        files::rules(objects, reach, plugin).map_err(|error| told("confine files", &error))?;
    // While the process is dumpable: afterwards these files belong to root.
    let memory = match reach.sockets {
        true => {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let memory = rustix::fs::open("/proc/self/mem", flags, Mode::empty());
            Some(memory.map_err(|error| step("let the host see where it connects to", error))?)
        }
        false => None,
    };
    // Likewise this file. If memory runs out, the kernel ends the plugin before the host and other
    // programs.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let walls = match namespaces {
        Namespaces::Off => None,
        Namespaces::BestEffort | Namespaces::Required => {
            match walls::enter(objects, reach).map_err(NotEntered::Namespaces)? {
                Walls::None(why) if namespaces == Namespaces::Required => {
                    let problem = format!("the policy requires namespaces, and {why}");
                    return Err(NotEntered::Other(problem));
                }
                Walls::None(_) => None,
                Walls::Own(capabilities) => Some(capabilities),
            }
        }
    };
    // Entering a user namespace may undo the tie to the parent.
    tie_to_parent()?;
    // Other processes of the same user can neither attach to this process nor read its memory.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| step("become undumpable", error))?;
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::As, MAX_MAPPED),
        (Resource::Data, MAX_DATA),
        (Resource::Fsize, MAX_FILE),
        (Resource::Nofile, MAX_DESCRIPTORS),
        (Resource::Memlock, MAX_LOCKED),
        (Resource::Sigpending, MAX_SIGNALS),
        (Resource::Msgqueue, 0),
    ] {
        limit(resource, most)?;
    }
    let (lacking, listener) = confine(rules, reach, walls.unwrap_or(walls::OVER_FILES))?;
    let asking = listener.into_iter().chain(memory).collect();
    let owners = if walls.is_some() { Owners::Hidden } else { Owners::Seen };
    match lacking.iter().find(|lack| lack.is_open()) {
        Some(lack) if sandbox == SandboxLevel::Full => {
            Err(NotEntered::Other(format!("the policy demands the full sandbox, and {lack}")))
        }
        _ => Ok(Entered { owners, asking }),
    }
}

/// A process inside the sandbox.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) owners: Owners,
    /// Descriptors with which the host answers connections: [`Listener`] and this process's memory.
    /// Empty without granted sockets.
    pub(crate) asking: Vec<OwnedFd>,
}

/// Whether a plugin sees a file's owner and its mount as they are outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owners {
    /// The plugin sees them.
    Seen,
    /// The plugin must ask the host.
    Hidden,
}

/// Reason why a process did not enter the sandbox.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotEntered {
    /// The process got no further than its namespaces: another process may do without them.
    Namespaces(String),
    /// Anything else.
    Other(String),
}

impl From<String> for NotEntered {
    fn from(problem: String) -> Self {
        Self::Other(problem)
    }
}

/// Tries the namespaces, in a process that serves no other purpose.
pub(crate) fn try_walls() -> Result<(), String> {
    match walls::enter(&[], Reach::default())? {
        Walls::Own(_) => Ok(()),
        Walls::None(why) => Err(why.to_string()),
    }
}

/// Returns the features that this kernel lacks for the sandbox, open gaps first. To find out, a
/// temporary thread enters the sandbox without grants.
///
/// # Errors
/// The system's error if no feature is missing and the sandbox still fails.
pub fn lacking() -> Result<Vec<MissingFeature>, String> {
    let tried = std::thread::spawn(|| {
        let reach = Reach::default();
        let rules =
            files::rules(&[], reach, None).map_err(|error| told("confine files", &error))?;
        rustix::thread::set_no_new_privs(true)
            .map_err(|error| step("give up new privileges", error))?;
        let no_listener = listener::try_it().is_err().then_some(MissingFeature::Sockets);
        let (mut lacking, _) = confine(rules, reach, walls::OVER_FILES)?;
        lacking.extend(no_listener);
        Ok(lacking)
    });
    tried.join().unwrap_or_else(|_| Err("the trial of the sandbox panicked".to_owned()))
}

/// Gives up privileges, files and system calls, for this thread and those it starts. Returns the
/// features that the kernel lacks. If sockets are granted, also returns the listener by which the
/// host answers connections.
fn confine(
    rules: RulesetCreated,
    reach: Reach,
    kept: CapabilitySet,
) -> Result<(Vec<MissingFeature>, Option<OwnedFd>), String> {
    let mut lacking = Vec::new();
    rustix::thread::set_no_new_privs(true)
        .map_err(|error| step("give up new privileges", error))?;
    give_up(kept).map_err(|error| step("give up capabilities", error))?;
    let confined = rules.restrict_self().map_err(|error| told("confine files", &error))?;
    let older = match confined.landlock {
        LandlockStatus::Available { effective_abi, .. } => Older::of(effective_abi),
        _ => {
            lacking.push(MissingFeature::Files);
            None
        }
    };
    let program = calls::filter(reach, std::process::id());
    if reach.sockets {
        // Without the listener nothing keeps the plugin from any other socket.
        let listener = listener::filter(&program).map_err(|error| {
            step("have the host connect it to the sockets that it is granted", error)
        })?;
        lacking.extend(older.map(MissingFeature::Second));
        return Ok((lacking, Some(listener)));
    }
    match seccompiler::apply_filter(&program) {
        Ok(()) => {}
        Err(seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error))
            if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)) =>
        {
            lacking.push(MissingFeature::Calls);
            // A file is cut short by its path, or when it is opened for neither.
            lacking.extend((older == Some(Older::Truncate)).then_some(MissingFeature::Truncate));
        }
        Err(error) => return Err(told("filter system calls", &error)),
    }
    if !lacking.contains(&MissingFeature::Calls) {
        lacking.extend(older.map(MissingFeature::Second));
    }
    Ok((lacking, None))
}

/// Gives up all capabilities but these, also those that could come back.
fn give_up(kept: CapabilitySet) -> Result<(), Errno> {
    let has = rustix::thread::capabilities(None)?;
    if has.effective.contains(CapabilitySet::SETPCAP) {
        for capability in CapabilitySet::all().difference(kept).iter() {
            match rustix::thread::remove_capability_from_bounding_set(capability) {
                // The kernel does not know this capability.
                Ok(()) | Err(Errno::INVAL) => {}
                Err(error) => return Err(error),
            }
        }
    }
    if kept.contains(has.permitted) {
        return Ok(());
    }
    let effective = has.effective & kept;
    let permitted = has.permitted & kept;
    let sets = CapabilitySets { effective, permitted, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets)
}

/// Lowers a limit for good, unless it is already lower.
fn limit(resource: Resource, most: u64) -> Result<(), String> {
    let now = rustix::process::getrlimit(resource);
    let lower = |limit: Option<u64>| Some(limit.map_or(most, |limit| limit.min(most)));
    let limit = Rlimit { current: lower(now.current), maximum: lower(now.maximum) };
    match rustix::process::setrlimit(resource, limit) {
        // An emulated kernel (valgrind's) keeps the outer limit for itself. The inner one counts,
        // and the filter of calls keeps it where it is.
        Err(Errno::PERM) => {
            rustix::process::setrlimit(resource, Rlimit { maximum: now.maximum, ..limit })
        }
        set => set,
    }
    .map_err(|error| step("limit what it takes", error))
}

fn step(what: &str, error: Errno) -> String {
    told(what, &std::io::Error::from(error))
}

fn told(what: &str, error: &dyn std::error::Error) -> String {
    format!("cannot {what}: {}", story(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_landlock_leaves_more_to_seccomp_filter() {
        let all = [ABI::V1, ABI::V2, ABI::V3, ABI::V4, ABI::V5, ABI::V6].map(Older::of);
        let older = [Older::Truncate, Older::Tcp, Older::Devices, Older::Scopes].map(Some);
        assert_eq!(all, [older[0], older[0], older[1], older[2], older[3], None]);
        assert_eq!(Older::Scopes.to_string(), "signals and abstract sockets (Linux 6.12)");
        let told = Older::Truncate.to_string();
        for version in ["6.2", "6.7", "6.10", "6.12"] {
            assert!(told.contains(&format!("(Linux {version})")), "{told}");
        }
    }
}
