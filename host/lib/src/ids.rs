//! Finds whether this process has more rights than the user who started it. Each call asks the
//! kernel, since a program that embeds this library may change its IDs. Decides nothing else.
#![allow(
    unsafe_code,
    reason = "the kernel's word on secure execution, which no crate reads safely"
)]

use std::fs;
use std::io;
use std::process::ExitCode;
use std::sync::OnceLock;

use nix::unistd::{getresgid, getresuid};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::plugin::trust::Privilege;

/// The UID of users without a number in a user namespace, used if `/proc` does not contain it.
const USUAL_OVERFLOW_UID: u32 = 65_534;

/// The only line of `/proc/self/uid_map` in a process whose user namespace has every user.
const WHOLE_MAP: [u32; 3] = [0, 0, u32::MAX];

/// The process runs with the rights of one user for another one: it is set-user-ID or set-group-ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the real, effective and saved IDs of this process differ, as in a set-user-ID program: \
     Keystead does not run in it"
)]
pub struct MixedIds;

impl MixedIds {
    /// Returns the stable code.
    pub fn code(self) -> &'static str {
        "E07.set-id"
    }
}

/// Reason why a Keystead program refuses to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The IDs of the process differ.
    #[error(transparent)]
    MixedIds(#[from] MixedIds),
    /// The process has more rights than the user who started it, and cannot do without them.
    #[error(
        "the kernel started this process with more rights than its user has: it serves neither as \
         a runner nor as an agent"
    )]
    MoreRights,
}

impl Refusal {
    /// Returns the stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::MixedIds(error) => error.code(),
            Self::MoreRights => "E07.more-rights",
        }
    }
}

/// The user or group IDs of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ids {
    real: u32,
    effective: u32,
    saved: u32,
}

impl Ids {
    fn are_one(self) -> bool {
        self.real == self.effective && self.effective == self.saved
    }
}

/// Checks that this process acts for one user: real, effective and saved IDs are equal, for both
/// user and group. Every public function that reads the registry, loads code or starts a process
/// makes this check. A program calls it first in `main`, before it reads its environment.
///
/// # Errors
/// [`MixedIds`].
pub fn check() -> Result<(), MixedIds> {
    // Neither call can fail unless a filter blocks it; the IDs are then unknown.
    let (Ok(user), Ok(group)) = (getresuid(), getresgid()) else { return Err(MixedIds) };
    let user = Ids {
        real: user.real.as_raw(),
        effective: user.effective.as_raw(),
        saved: user.saved.as_raw(),
    };
    let group = Ids {
        real: group.real.as_raw(),
        effective: group.effective.as_raw(),
        saved: group.saved.as_raw(),
    };
    decide(user, group)
}

fn decide(user: Ids, group: Ids) -> Result<(), MixedIds> {
    if user.are_one() && group.are_one() { Ok(()) } else { Err(MixedIds) }
}

/// Returns whose directories count in this process. If file capabilities or a security module gave
/// the program more rights than its user has, only the system's directories count.
pub fn privilege() -> Privilege {
    if check().is_ok() && !is_secure_execution() { Privilege::Ordinary } else { Privilege::SetId }
}

/// Drops the capabilities that an ordinary user's process has from its file, for this process and
/// its children. For programs with a single thread.
///
/// # Errors
/// Those of the kernel when it cannot drop them.
pub fn give_up_gained() -> io::Result<()> {
    if !is_secure_execution() || rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, sets)?;
    // A runner is the same file, and must not gain the capabilities again.
    Ok(rustix::thread::set_no_new_privs(true)?)
}

/// Checks that a runner or an agent may serve: this process has no more rights than the user
/// who started it.
pub(crate) fn check_service() -> Result<(), Refusal> {
    check()?;
    if !is_secure_execution() {
        return Ok(());
    }
    // The host that started this process has dropped its gained capabilities. The kernel still sets
    // `AT_SECURE` because of the file's capabilities, but grants none of them.
    let gained_nothing = rustix::thread::no_new_privs().unwrap_or(false)
        && rustix::thread::capabilities(None).is_ok_and(|has| has.permitted.is_empty());
    if gained_nothing { Ok(()) } else { Err(Refusal::MoreRights) }
}

/// Prints on standard error why a runner or an agent does not serve, and returns its exit code.
pub(crate) fn refuse(refusal: Refusal) -> ExitCode {
    let text = format!("{refusal} ({})\n", refusal.code());
    // If the text cannot be written, the exit code is enough.
    let _ = rustix::io::write(rustix::stdio::stderr(), text.as_bytes());
    ExitCode::FAILURE
}

/// Returns whether the kernel started this program in secure-execution mode.
fn is_secure_execution() -> bool {
    // SAFETY: `getauxval` takes a number and reads a table that the kernel wrote at start-up.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Returns whether a UID stands for users without a number in this process's user namespace. Its
/// files count as no user's own, since each may belong to any of these users.
pub(crate) fn is_nobodys(uid: u32) -> bool {
    static OVERFLOW: OnceLock<Option<u32>> = OnceLock::new();
    uid != 0 && *OVERFLOW.get_or_init(overflow_uid) == Some(uid)
}

/// Returns the UID of users without a number; `None` if all users have a number.
fn overflow_uid() -> Option<u32> {
    let map = fs::read_to_string("/proc/self/uid_map");
    // A kernel without user namespaces has no such file; without `/proc`, the map is unknown.
    let is_whole = match &map {
        Ok(text) => is_whole(text),
        Err(_) => fs::exists("/proc/self/status").unwrap_or(false),
    };
    if is_whole {
        return None;
    }
    let known = fs::read_to_string("/proc/sys/kernel/overflowuid").ok();
    Some(known.and_then(|text| text.trim().parse().ok()).unwrap_or(USUAL_OVERFLOW_UID))
}

/// Returns whether the text of a `uid_map` gives every user the same number as outside.
fn is_whole(map: &str) -> bool {
    let mut numbers = map.split_whitespace().map(str::parse);
    WHOLE_MAP.iter().all(|wanted| numbers.next() == Some(Ok(*wanted))) && numbers.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_user_or_group_ids_are_rejected() {
        let all = |id| Ids { real: id, effective: id, saved: id };
        let each = |id, other| {
            [
                Ids { real: other, ..all(id) },
                Ids { effective: other, ..all(id) },
                Ids { saved: other, ..all(id) },
            ]
        };
        for id in [0, 1000, USUAL_OVERFLOW_UID] {
            assert_eq!(decide(all(id), all(id)), Ok(()));
            assert_eq!(
                decide(all(id), all(7)),
                Ok(()),
                "users and groups have numbers of their own"
            );
            for mixed in each(id, 1).into_iter().chain(each(1, id)) {
                assert_eq!(decide(mixed, all(id)), Err(MixedIds), "user {mixed:?}");
                assert_eq!(decide(all(id), mixed), Err(MixedIds), "group {mixed:?}");
            }
        }
    }

    #[test]
    fn process_without_extra_rights_is_ordinary() {
        assert_eq!(check(), Ok(()));
        assert_eq!(check_service(), Ok(()));
        assert_eq!(privilege(), Privilege::Ordinary);
    }

    #[test]
    fn only_identity_uid_map_is_whole() {
        assert!(is_whole("         0          0 4294967295\n"));
        for part in [
            "",
            "0 1000 1",
            "65534 65534 1",
            "0 0 65536",
            "0 1 4294967295",
            "1 1 4294967294",
            "0 0 4294967295\n1 1 1",
            "0 0",
            "0 0 x",
        ] {
            assert!(!is_whole(part), "{part}");
        }
    }
}
