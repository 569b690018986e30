//! What a runner gives up before it loads its plugin. So far what costs no decision:
//! debuggers, core files, new privileges. The cage by grants (landlock, seccomp, limits)
//! goes into [`enter`], which nothing of the plugin precedes.

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};

use super::Grants;

/// Binds this process to the one that started it: it is killed when that one ends.
pub(super) fn tie_to_parent() -> Result<(), String> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| step("be killed with the host", error))
}

/// Shuts this process in, before any code of the plugin runs. It cannot be undone.
pub(super) fn enter(grants: &Grants) -> Result<(), String> {
    // No grant widens anything yet, because nothing is narrowed by them yet.
    let _ = grants;
    rustix::thread::set_no_new_privs(true)
        .map_err(|error| step("give up new privileges", error))?;
    // Other processes of the same user can neither attach to it nor read its memory.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| step("become undumpable", error))?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none)
        .map_err(|error| step("give up core files", error))
}

fn step(what: &str, error: Errno) -> String {
    format!("cannot {what}: {}", std::io::Error::from(error))
}
