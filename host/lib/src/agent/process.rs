//! The agent's process: how the host starts it, and what it does before it serves.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit};

use super::proto::MAX_FRAME_BYTES;
use super::server::Server;
use super::session_table::SessionTable;
use super::socket_dir::{self, Listener};
use super::{Error, LINGER};
use crate::error::{story, visible};
use crate::ids;
use crate::platform::{memory, signals};
use crate::plugin::runner::{close_inherited, timespec};

/// The first argument of an agent. No command has this name.
const ARGUMENT: &str = "__agent";

/// First output of an agent that serves.
const READY: &str = "ready";

/// First output of an agent that finds another agent running.
const ANOTHER: &str = "another";

/// Maximum number of output bytes that the host reads from an agent.
const MAX_WORDS: usize = 4_096;

/// Result of starting an agent.
pub(super) enum Started {
    /// The agent serves.
    Ready,
    /// Another agent runs, or is about to, so the new agent ended.
    Another,
}

/// Starts an agent and waits until it serves or reports a problem.
pub(super) fn start(program: &Path, dir: &Path, patience: Duration) -> Result<Started, Error> {
    ids::check()?;
    let failed = |source| Error::Start { program: program.to_owned(), source };
    let mut child = Command::new(program)
        .arg(ARGUMENT)
        .arg(dir)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let words = OwnedFd::from(child.stdout.take().expect("it was asked to be piped"));
    let said = words_of(words, patience).map_err(failed)?;
    // The agent outlives most callers. A caller that keeps running must not keep a zombie process.
    let reaper = std::thread::Builder::new().name("keystead-agent-end".into());
    let _ = reaper.spawn(move || child.wait());
    match said.as_deref() {
        None => Err(Error::Late { waited: patience }),
        Some(READY) => Ok(Started::Ready),
        Some(ANOTHER) => Ok(Started::Another),
        Some("") => Err(Error::GaveUp { problem: "it ended without a word".to_owned() }),
        Some(problem) => Err(Error::GaveUp { problem: visible(problem) }),
    }
}

/// Reads a pipe until the other end closes; `None` if that takes too long.
fn words_of(pipe: OwnedFd, patience: Duration) -> std::io::Result<Option<String>> {
    let until = Instant::now() + patience;
    let mut pipe = File::from(pipe);
    let mut said = Vec::new();
    let mut buffer = [0; 512];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut watched = [PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)];
        match rustix::event::poll(&mut watched, Some(&timespec(left))) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match pipe.read(&mut buffer)? {
            0 => return Ok(Some(String::from_utf8_lossy(&said).into_owned())),
            read if said.len() < MAX_WORDS => said.extend(&buffer[..read]),
            _ => {}
        }
    }
}

/// Runs the agent and returns its exit code if these are an agent's arguments. Programs call this
/// first in `main`, before they open anything or start a thread.
///
/// # Examples
/// ```
/// use std::process::ExitCode;
///
/// fn main() -> ExitCode {
///     if let Some(code) = keystead::agent::dispatch(std::env::args_os()) {
///         return code;
///     }
///     // Here the program begins.
///     ExitCode::SUCCESS
/// }
/// ```
pub fn dispatch(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    if arguments.nth(1).is_none_or(|argument| argument != ARGUMENT) {
        return None;
    }
    if let Err(refusal) = ids::check_service() {
        return Some(ids::refuse(refusal));
    }
    let dir = arguments.next().map(PathBuf::from);
    let Some(dir) = dir.filter(|dir| dir.is_absolute()) else {
        return Some(ExitCode::from(2));
    };
    Some(match run(&dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            say(&problem);
            ExitCode::FAILURE
        }
    })
}

/// Serves until there is nothing left to keep.
fn run(dir: &Path) -> Result<(), String> {
    let step = |what: &'static str| {
        move |error: Errno| format!("cannot {what}: {}", std::io::Error::from(error))
    };
    close_inherited().map_err(|error| format!("cannot close what is open: {error}"))?;
    // Leaves the terminal. An agent that leads a session already has no terminal either.
    let _ = rustix::process::setsid();
    rustix::process::chdir("/").map_err(step("go to the root directory"))?;
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let _ = rustix::thread::set_name(c"keystead-agent");
    // Other processes of the same user can neither attach to it nor read its memory.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(step("become undumpable"))?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none).map_err(step("give up core files"))?;
    rustix::thread::set_no_new_privs(true).map_err(step("give up new privileges"))?;

    let signals =
        signals::of_this_process().map_err(|error| format!("cannot watch for signals: {error}"))?;
    let (locked, mut block) = memory::block(SessionTable::BLOCK_BYTES + 2 * MAX_FRAME_BYTES);
    let listener = listen(dir).map_err(|error| story(&error))?;
    let Some(listener) = listener else {
        say(ANOTHER);
        return Ok(());
    };
    say(READY);
    let ended = Server::new(listener, &mut block, locked, LINGER).and_then(|mut s| s.run(&signals));
    ended.map_err(|error| error.to_string())
}

fn listen(dir: &Path) -> Result<Option<Listener>, Error> {
    let dir = socket_dir::make(dir)?;
    match socket_dir::lock(&dir)? {
        Some(lock) => Listener::bind(dir, lock).map(Some),
        None => Ok(None),
    }
}

/// Writes one message to the process that started the agent, then releases the output stream.
fn say(words: &str) {
    // The reader may be gone, and the agent cannot report a failed write.
    let _ = rustix::io::write(rustix::stdio::stdout(), words.as_bytes());
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    if let Ok(null) = rustix::fs::open("/dev/null", flags, Mode::empty()) {
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}
