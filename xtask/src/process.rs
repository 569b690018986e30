//! Runs other programs: with a limit on their time, their output in a file that can be
//! watched meanwhile, and their name in every error.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::Result;

/// The longest a program may run: a cold build of everything on two slow processors takes a
/// third of it, and a test that hangs must not take the whole of CI's time.
const LIMIT: Duration = Duration::from_secs(40 * 60);

/// Runs a command to its end and returns its two outputs apart.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    let output = command.output();
    Ok(output.map_err(|error| format!("{}: {error}", command.get_program().display()))?)
}

/// Runs a command to its end and returns whether it succeeded, with all that it said.
pub(crate) fn captured(command: &mut Command) -> (bool, String) {
    match tempfile::NamedTempFile::new() {
        Ok(file) => logged(command, file.path()),
        Err(error) => (false, format!("error: no file for the output: {error}\n")),
    }
}

/// Does the same with a log file for the output. What the command leaves running does not
/// keep us: its end is waited for, not the end of its output.
pub(crate) fn logged(command: &mut Command, log: &Path) -> (bool, String) {
    let mut output = format!("$ {command:?}\n");
    let ran = run(command, log, &output, LIMIT);
    match fs_err::read(log) {
        Ok(bytes) => output = String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            let _ = writeln!(output, "error: {error}");
        }
    }
    match ran {
        Ok(status) if status.success() => return (true, output),
        Ok(status) => {
            let _ = writeln!(output, "{status}");
        }
        Err(error) => {
            let _ = writeln!(output, "error: {}: {error}", command.get_program().display());
        }
    }
    (false, output)
}

fn run(command: &mut Command, log: &Path, head: &str, limit: Duration) -> Result<ExitStatus> {
    File::create(log)?.write_all(head.as_bytes())?;
    // Appended to: both streams stay in the order they were written in.
    let end = OpenOptions::new().append(true).open(log)?;
    let mut child = command.stdin(Stdio::null()).stdout(end.try_clone()?).stderr(end).spawn()?;
    let id = child.id();
    let (ended, end) = mpsc::channel();
    // The receiver is gone only when the time was up.
    thread::spawn(move || ended.send(child.wait()).ok());
    match end.recv_timeout(limit) {
        Ok(status) => Ok(status?),
        Err(_) => {
            stop(id)?;
            Err(format!("stopped: it ran longer than {} s", limit.as_secs()).into())
        }
    }
}

/// Returns the last line of an output that says something.
pub(crate) fn last_line(output: &str) -> &str {
    output.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("nothing was said").trim()
}

/// Kills a process and all that came from it.
fn stop(id: u32) -> Result<()> {
    // The shell's own `kill`: it is there on every system.
    let ids: Vec<String> = family(id)?.iter().map(u32::to_string).collect();
    Command::new("/bin/sh").args(["-c", &format!("kill -KILL {}", ids.join(" "))]).status()?;
    Ok(())
}

/// Returns a process and all that came from it.
pub(crate) fn family(id: u32) -> Result<Vec<u32>> {
    let mut family = vec![id];
    let mut parents = Vec::new();
    for entry in fs_err::read_dir("/proc")? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(child) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process may end while we look.
        let Ok(stat) = fs_err::read_to_string(entry.path().join("stat")) else { continue };
        // `ID (NAME) STATE PARENT …`, where the name may hold anything.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
        parents
            .extend(parent.and_then(|parent| parent.parse::<u32>().ok()).map(|own| (child, own)));
    }
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        family.extend(parents.iter().filter(|(_, own)| *own == parent).map(|(child, _)| *child));
        next += 1;
    }
    Ok(family)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn keeps_what_a_failing_command_said_on_both_streams() {
        let (ok, output) =
            captured(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]));
        assert!(!ok);
        assert!(output.contains("out\nerr\n"), "{output}");
        assert!(output.contains("exit status: 3"), "{output}");
    }

    #[test]
    fn a_program_that_hangs_is_stopped_with_its_children_and_what_it_said_is_kept() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let began = Instant::now();
        let mut hangs = Command::new("sh");
        hangs.args(["-c", "sleep 60 & echo $!; wait"]);
        let error = run(&mut hangs, log.path(), "", Duration::from_secs(1)).unwrap_err();
        assert!(error.to_string().contains("longer than 1 s"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(30));
        let child = fs_err::read_to_string(log.path()).unwrap();
        let stat = format!("/proc/{}/stat", child.trim());
        let runs = || fs_err::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        // Killed is not gone yet.
        while runs() {
            assert!(began.elapsed() < Duration::from_secs(30), "{child} still runs");
            thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn what_a_program_leaves_running_is_not_waited_for() {
        let began = Instant::now();
        let (ok, _) = captured(Command::new("sh").args(["-c", "sleep 20 &"]));
        assert!(ok && began.elapsed() < Duration::from_secs(15));
    }
}
