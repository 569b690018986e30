//! One child process: started, watched, killed, reaped.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};

use super::{Ended, Launch};
use crate::ids;

/// A running child. Dropping it kills and reaps the child: none is left behind.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// `None` if the kernel has no such descriptors (before Linux 5.3, and under valgrind).
    pidfd: Option<OwnedFd>,
    pid: Pid,
    ended: Option<Ended>,
}

impl Process {
    /// Returns the started child, with the end of its standard error.
    fn of(mut child: Child) -> io::Result<(Self, OwnedFd)> {
        let stderr = child.stderr.take().expect("it was asked to be piped");
        let pid = Pid::from_child(&child);
        let pidfd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::NOSYS) => Ok(None),
            opened => opened.map(Some),
        };
        match pidfd {
            Ok(pidfd) => Ok((Self { child, pidfd, pid, ended: None }, stderr.into())),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error.into())
            }
        }
    }

    /// Returns the process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns how the process ended, if it does so by itself within this time.
    pub(super) fn ended_within(&mut self, patience: Duration) -> io::Result<Option<Ended>> {
        if self.ended.is_none() {
            let ended = match &self.pidfd {
                Some(pidfd) => wait_for(pidfd.as_fd(), patience)?,
                None => look_for_end(self.pid, patience)?,
            };
            if ended {
                self.kill()?;
            }
        }
        Ok(self.ended)
    }

    /// Ends the process, with all processes that it started and that are still in its session.
    pub(super) fn kill(&mut self) -> io::Result<Ended> {
        if let Some(ended) = self.ended {
            return Ok(ended);
        }
        // The runner leads its own group. The number of an unreaped process is not reused.
        match rustix::process::kill_process_group(self.pid, Signal::KILL) {
            // Gone, or too young to lead a group.
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
        self.child.kill()?;
        let ended = self.child.wait()?.into();
        self.ended = Some(ended);
        Ok(ended)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Killing and reaping a child fails only if other code has already reaped it.
        let _ = self.kill();
    }
}

/// A child that is being started, by another thread unless this is the main one. Dropping it kills
/// and reaps the child.
#[derive(Debug)]
pub(super) struct Starting(Option<mpsc::Receiver<io::Result<Child>>>);

impl Starting {
    /// Starts the program with this socket as its standard input, only the given environment, and
    /// `/` as its directory.
    pub(super) fn new(launch: &Launch, socket: OwnedFd) -> io::Result<Self> {
        ids::check().map_err(io::Error::other)?;
        let mut command = Command::new(&launch.program);
        command
            .args(&launch.arguments)
            .env_clear()
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(socket)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        spawn(command).map(|answered| Self(Some(answered)))
    }

    /// Returns the child after its start, with the end of its standard error.
    pub(super) fn started(mut self) -> io::Result<(Process, OwnedFd)> {
        let answered = self.0.take().expect("it is taken here, and when it is dropped");
        received(&answered).and_then(Process::of)
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(answered) = self.0.take() {
            // Dropping the process here kills and reaps it.
            let _ = received(&answered).and_then(Process::of);
        }
    }
}

/// Waits until the descriptor is readable, at most this long.
fn wait_for(descriptor: BorrowedFd<'_>, patience: Duration) -> io::Result<bool> {
    let until = std::time::Instant::now() + patience;
    loop {
        let left = until.saturating_duration_since(std::time::Instant::now());
        let timeout = timespec(left);
        let mut watched = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
        match rustix::event::poll(&mut watched, Some(&timeout)) {
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(ready) => return Ok(ready > 0),
        }
    }
}

/// Polls until a child has ended, at most this long; does not reap the child.
fn look_for_end(pid: Pid, patience: Duration) -> io::Result<bool> {
    let until = std::time::Instant::now() + patience;
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    loop {
        if rustix::process::waitid(WaitId::Pid(pid), look)?.is_some() {
            return Ok(true);
        }
        let left = until.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        std::thread::sleep(left.min(Duration::from_millis(1)));
    }
}

/// Returns a time in the system's form, rounded up to a microsecond so that a wait never ends
/// before its time.
pub(crate) fn timespec(time: Duration) -> Timespec {
    Timespec::try_from(time + Duration::from_micros(1))
        .unwrap_or(Timespec { tv_sec: i64::from(u32::MAX), tv_nsec: 0 })
}

struct Job {
    command: Command,
    answer: mpsc::SyncSender<io::Result<Child>>,
}

impl Job {
    fn run(self) {
        let Self { mut command, answer } = self;
        let spawned = command.spawn();
        // The host's copy of the child's end goes now, or its closing is never seen.
        drop(command);
        // There is room for the answer, and the requester waits for it even if unwanted.
        let _ = answer.send(spawned);
    }
}

/// Spawns from a thread that lives as long as this process. A child is killed when the *thread*
/// that started it ends (`PR_SET_PDEATHSIG`), and callers' threads come and go. The main thread
/// stays, and spawns by itself.
fn spawn(command: Command) -> io::Result<mpsc::Receiver<io::Result<Child>>> {
    // With the process id: a forked copy of this process has the sender, not the thread.
    static SPAWNER: Mutex<Option<(u32, mpsc::Sender<Job>)>> = Mutex::new(None);
    let (answer, answered) = mpsc::sync_channel(1);
    let mut job = Job { command, answer };
    if rustix::thread::gettid() == rustix::process::getpid() {
        job.run();
    } else {
        let mut spawner = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, sender)) = spawner.as_ref().filter(|(pid, _)| *pid == std::process::id()) {
            match sender.send(job) {
                Ok(()) => return Ok(answered),
                Err(mpsc::SendError(returned)) => job = returned,
            }
        }
        let (sender, jobs) = mpsc::channel::<Job>();
        std::thread::Builder::new().name("keystead-spawn".into()).spawn(move || {
            jobs.into_iter().for_each(Job::run);
        })?;
        let _ = sender.send(job);
        *spawner = Some((std::process::id(), sender));
    }
    Ok(answered)
}

fn received(answered: &mpsc::Receiver<io::Result<Child>>) -> io::Result<Child> {
    answered.recv().unwrap_or_else(|_| Err(io::Error::other("the spawning thread has ended")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_child_process_is_killed() {
        let launch = Launch { arguments: vec!["60".into()], ..Launch::new("sleep") };
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(Starting::new(&launch, theirs.into()).unwrap());
        // No process holds the other end any more.
        assert_eq!(std::io::Read::read(&mut &ours, &mut [0]).unwrap(), 0);
    }

    #[test]
    fn child_gets_only_granted_variables_that_exist() {
        let grants = ["env:PATH", "env:KEYSTEAD_NOT_SET", "env:LD_PRELOAD", "network"];
        let grants = grants.map(str::to_owned);
        let launch = Launch::new("/nowhere").with_granted(&grants);
        let path = std::env::var_os("PATH").unwrap();
        let shown = format!("{launch:?}");
        assert!(shown.contains("PATH") && !shown.contains(path.to_str().unwrap()), "{shown}");
        let resolver = ("RES_OPTIONS".to_owned(), "use-vc".into());
        assert_eq!(launch.environment, [("PATH".to_owned(), path), resolver]);
    }

    #[test]
    fn missing_runner_program_fails_on_first_use() {
        let launch = Launch::new("/nowhere");
        let (_ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let starting = Starting::new(&launch, theirs.into()).unwrap();
        assert_eq!(starting.started().unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn exit_without_pidfd_is_seen_and_not_reaped() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_child(&child);
        assert!(!look_for_end(pid, Duration::from_millis(20)).unwrap());
        child.kill().unwrap();
        assert!(look_for_end(pid, Duration::from_secs(30)).unwrap());
        assert!(look_for_end(pid, Duration::ZERO).unwrap());
        assert!(!child.wait().unwrap().success());
    }
}
