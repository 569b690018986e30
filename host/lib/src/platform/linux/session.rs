//! A session for one program: the program has no terminal to read from. Processes that it starts
//! are found at its end, unless they began a session of their own.
#![allow(unsafe_code, reason = "std's stable functions start no session")]

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Pid, PidfdFlags, Signal};

/// Maximum number of scans of the processes: more can start while they are ended.
const ROUNDS: usize = 64;

/// Makes the command begin a session, and so a process group.
pub(crate) fn lead(command: &mut Command) {
    // SAFETY: between `fork` and `exec` the closure makes one system call. It touches neither
    // memory nor locks that other threads may have held.
    unsafe {
        command.pre_exec(|| Ok(rustix::process::setsid().map(drop)?));
    }
}

/// Kills the session of a process that has not been reaped, so that no other process has its
/// number.
pub(crate) fn end(leader: Pid) {
    let _ = rustix::process::kill_process_group(leader, Signal::KILL);
    for _ in 0..ROUNDS {
        // Without `/proc` only the group is ended.
        let Ok(all) = fs::read_dir("/proc") else { return };
        let numbers = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let killed = numbers.filter_map(Pid::from_raw).filter(|pid| kill_in(leader, *pid)).count();
        if killed == 0 {
            return;
        }
    }
}

/// Kills a process if it is alive and in this session; returns whether it did.
fn kill_in(leader: Pid, pid: Pid) -> bool {
    if !is_in(leader, pid) {
        return false;
    }
    let Ok(process) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return false };
    // Another process may have got the number before the descriptor was opened.
    is_in(leader, pid) && rustix::process::pidfd_send_signal(&process, Signal::KILL).is_ok()
}

fn is_in(leader: Pid, pid: Pid) -> bool {
    let number = pid.as_raw_nonzero();
    let Ok(stat) = fs::read(format!("/proc/{number}/stat")) else { return false };
    session(&stat) == Some(leader.as_raw_nonzero().get())
}

/// Returns the session of a live process from its `stat`. The process name may contain any bytes,
/// even parentheses.
fn session(stat: &[u8]) -> Option<i32> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let mut rest = std::str::from_utf8(&stat[end + 1..]).ok()?.split_ascii_whitespace();
    let is_alive = !matches!(rest.next()?, "Z" | "X");
    let session = rest.nth(2)?.parse().ok()?;
    is_alive.then_some(session)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_id_is_parsed_after_any_process_name() {
        assert_eq!(session(b"7 (sh) S 1 7 5 0 -1 4194304"), Some(5));
        assert_eq!(session(b"7 (a) Z 1 7 9) S 1 7 5 0"), Some(5));
        assert_eq!(session(b"7 (\xff) ) R 1 7 5 0"), Some(5));
        assert_eq!(session(b"7 (sh) Z 1 7 5 0 -1"), None, "it is dead");
        for broken in [&b""[..], b"7 (sh", b"7 (sh) S 1 7", b"7 (sh) S 1 7 x"] {
            assert_eq!(session(broken), None);
        }
    }
}
