//! Runs other programs: with a limit on their time, their output in a file that can be
//! watched meanwhile, and their name in every error.

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

/// Returns the command that a line of words says: no word has a space or a quote.
pub(crate) fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

/// Runs a command to its end and returns its two outputs apart.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    let output = command.output();
    Ok(output.map_err(|error| format!("{}: {error}", command.get_program().display()))?)
}

/// Returns the standard output of a command, which must succeed.
pub(crate) fn stdout(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } = output(command)?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    Err(format!("{command:?}: {status}: {}", String::from_utf8_lossy(&stderr).trim()).into())
}

/// Runs a command, which must succeed; an error has the end of what it printed.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let (done, printed) = captured(command);
    let lines: Vec<&str> = printed.trim_end().lines().collect();
    if done { Ok(()) } else { Err(lines[lines.len().saturating_sub(3)..].join(" / ").into()) }
}

/// Runs a command to its end and returns whether it succeeded, with all that it printed.
pub(crate) fn captured(command: &mut Command) -> (bool, String) {
    match tempfile::NamedTempFile::new() {
        Ok(file) => logged(command, file.path()),
        Err(error) => (false, format!("error: no file for the output: {error}\n")),
    }
}

/// Does the same with a log file for the output. What the command leaves running does not
/// keep us: its end is waited for, not the end of its output.
pub(crate) fn logged(command: &mut Command, log: &Path) -> (bool, String) {
    let head = format!("$ {command:?}\n");
    let ran = run(command, log, &head);
    let printed = fs_err::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let mut output = printed.unwrap_or(head);
    match ran {
        Ok(status) if status.success() => return (true, output),
        Ok(status) => output += &format!("{status}\n"),
        Err(error) => {
            output += &format!("error: {}: {error}\n", command.get_program().display());
        }
    }
    (false, output)
}

fn run(command: &mut Command, log: &Path, head: &str) -> Result<ExitStatus> {
    File::create(log)?.write_all(head.as_bytes())?;
    // Appended to: both streams stay in the order they were written in.
    let end = OpenOptions::new().append(true).open(log)?;
    let mut child = command.stdin(Stdio::null()).stdout(end.try_clone()?).stderr(end).spawn()?;
    let id = child.id();
    let (ended, end) = mpsc::channel();
    // The receiver is gone only when the time was up.
    thread::spawn(move || ended.send(child.wait()).ok());
    match end.recv_timeout(LIMIT) {
        Ok(status) => Ok(status?),
        Err(_) => {
            // The shell's own `kill`: it is there on every system.
            let ids: Vec<String> = family(id)?.iter().map(u32::to_string).collect();
            Command::new("/bin/sh")
                .args(["-c", &format!("kill -KILL {}", ids.join(" "))])
                .status()?;
            Err(format!("stopped: it ran longer than {} s", LIMIT.as_secs()).into())
        }
    }
}

/// Returns a process and all that came from it.
fn family(id: u32) -> Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs_err::read_dir("/proc")? {
        // A process may end meanwhile. `ID (NAME) STATE PARENT …`, where the name may hold anything.
        let stat = fs_err::read_to_string(entry?.path().join("stat")).unwrap_or_default();
        let child = stat.split(' ').next().and_then(|id| id.parse::<u32>().ok());
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
        parents.extend(child.zip(parent.and_then(|id| id.parse::<u32>().ok())));
    }
    let (mut family, mut next) = (vec![id], 0);
    while let Some(&parent) = family.get(next) {
        family.extend(parents.iter().filter(|(_, own)| *own == parent).map(|(child, _)| *child));
        next += 1;
    }
    Ok(family)
}

/// Returns the last line of an output that says something.
pub(crate) fn last_line(output: &str) -> &str {
    output.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("nothing was printed").trim()
}
