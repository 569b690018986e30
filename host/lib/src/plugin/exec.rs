//! Runs a program for a plugin that was granted it, or for a reference. No shell, a fixed search
//! path, a minimal environment, no terminal, bounded output, and an end at the deadline.

mod granted;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use keystead_plugin_api::{Error, ExecOutput, ExecRequest, MAX_VALUE_BYTES, Result, SecretBytes};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};
use zeroize::{Zeroize, Zeroizing};

use super::inspect::{is_reserved, is_variable};
use super::runner::timespec;
use crate::host::BY_HOST;
use crate::ids;
use crate::platform::session;
pub(crate) use granted::{Programs, line};

/// Directories in which a program given by name is searched: any user may run programs from them.
const SEARCH_PATH: &[&str] = &["/usr/local/bin", "/usr/bin", "/bin"];

/// The most bytes that a program may write to its standard output.
const MAX_OUTPUT_BYTES: usize = MAX_VALUE_BYTES;

/// Maximum bytes that are kept of its standard error; the rest is read and dropped.
const MAX_ERRORS_BYTES: usize = 64 * 1024;

/// Bytes that are read and written at once: the capacity of a pipe.
const PIECE_BYTES: usize = 64 * 1024;

/// Runs a program to its end, in a session of its own without a terminal. Its environment is
/// `PATH`, the user's `HOME` and the variables of the request. The caller has checked that the
/// program is granted.
///
/// Background processes of the program keep running, unless the deadline ends the program and all
/// processes of its session.
///
/// # Errors
/// [`Invalid`](keystead_plugin_api::ErrorKind::Invalid) for a relative path, and for a variable
/// that is invalid or reserved,
/// [`PermissionDenied`](keystead_plugin_api::ErrorKind::PermissionDenied) in a process of mixed IDs,
/// [`TimedOut`](keystead_plugin_api::ErrorKind::TimedOut) at the deadline,
/// [`Unavailable`](keystead_plugin_api::ErrorKind::Unavailable) if the program cannot be started or
/// writes more than 16 MiB.
pub fn run(request: &ExecRequest, home: Option<&Path>) -> Result<ExecOutput> {
    ids::check().map_err(|refusal| Error::permission_denied(refusal.to_string()))?;
    request.check()?;
    let program = find(&request.program)?;
    request.environment.iter().try_for_each(|(name, value)| check_variable(name, value))?;
    let until = Instant::now() + request.deadline.remaining();
    let failed = |fault: &io::Error| {
        Error::unavailable(format!("{BY_HOST} run {}: {fault}", program.display()))
    };
    let mut running = Running::start(&program, request, home).map_err(|fault| failed(&fault))?;
    match running.attend(request.input.expose(), until).map_err(|fault| failed(&fault))? {
        End::Late => Err(Error::timed_out()),
        End::TooMuch => Err(Error::unavailable(format!(
            "{} wrote more than {MAX_OUTPUT_BYTES} bytes",
            program.display()
        ))),
        End::Itself => running.output().map_err(|fault| failed(&fault)),
    }
}

/// Returns the program's absolute path.
///
/// # Errors
/// As for [`run`].
pub(crate) fn find(name: &str) -> Result<PathBuf> {
    let path = Path::new(name);
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    if name.is_empty() || name.contains('/') {
        return Err(Error::invalid(format!(
            "a program is an absolute path or a plain name, unlike `{name}`"
        )));
    }
    let found = SEARCH_PATH.iter().map(|dir| Path::new(dir).join(name)).find(|path| {
        path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
    });
    found.ok_or_else(|| {
        Error::unavailable(format!("there is no `{name}` in {}", SEARCH_PATH.join(", ")))
    })
}

/// Checks that a program's variable is valid and not reserved for the loader or the host. A grant
/// covers this program, and no library loaded instead of its own.
fn check_variable(name: &str, value: &str) -> Result<()> {
    if !is_variable(name) || value.contains('\0') {
        return Err(Error::invalid("a variable for a program has no name or an impossible value"));
    }
    match is_reserved(name) {
        true => Err(Error::invalid(format!("a plugin cannot set the variable {name}"))),
        false => Ok(()),
    }
}

/// A running program. Dropping it ends the program and its whole session.
struct Running {
    child: Child,
    ended: bool,
    pidfd: OwnedFd,
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    /// In pieces: one growing buffer would leave copies of a secret behind.
    output: Vec<Zeroizing<Vec<u8>>>,
    output_bytes: usize,
    errors: Vec<u8>,
}

enum End {
    Itself,
    Late,
    TooMuch,
}

impl Running {
    fn start(program: &Path, request: &ExecRequest, home: Option<&Path>) -> io::Result<Self> {
        let mut command = Command::new(program);
        command
            .args(&request.arguments)
            .env_clear()
            .env("PATH", SEARCH_PATH.join(":"))
            .envs(home.map(|home| ("HOME", home)))
            .envs(request.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(if request.input.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        session::lead(&mut command);
        let mut child = command.spawn()?;
        let pidfd = match rustix::process::pidfd_open(Pid::from_child(&child), PidfdFlags::empty())
        {
            Ok(pidfd) => pidfd,
            Err(fault) => {
                child.kill()?;
                child.wait()?;
                return Err(fault.into());
            }
        };
        let running = Self {
            stdin: child.stdin.take().map(Into::into),
            stdout: child.stdout.take().map(Into::into),
            stderr: child.stderr.take().map(Into::into),
            child,
            ended: false,
            pidfd,
            output: Vec::new(),
            output_bytes: 0,
            errors: Vec::new(),
        };
        for pipe in [&running.stdin, &running.stdout, &running.stderr].into_iter().flatten() {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        Ok(running)
    }

    /// Feeds and reads the program until it ends, or the host must end it.
    fn attend(&mut self, mut input: &[u8], until: Instant) -> io::Result<End> {
        let mut piece = Zeroizing::new(vec![0; PIECE_BYTES]);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(End::Late);
            }
            let has_ended = {
                let mut watched = vec![PollFd::new(&self.pidfd, PollFlags::IN)];
                let out = self.stdin.iter().map(|pipe| PollFd::new(pipe, PollFlags::OUT));
                watched.extend(out);
                for pipe in [&self.stdout, &self.stderr].into_iter().flatten() {
                    watched.push(PollFd::new(pipe, PollFlags::IN));
                }
                match rustix::event::poll(&mut watched, Some(&timespec(left))) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(fault) => return Err(fault.into()),
                }
                !watched[0].revents().is_empty()
            };
            self.feed(&mut input);
            // Output that the program wrote before it ended is still in the pipes.
            while self.read_output(&mut piece) {
                if self.output_bytes > MAX_OUTPUT_BYTES {
                    return Ok(End::TooMuch);
                }
            }
            self.read_errors(&mut piece);
            if has_ended {
                return Ok(End::Itself);
            }
        }
    }

    fn feed(&mut self, input: &mut &[u8]) {
        let Some(pipe) = &self.stdin else { return };
        match rustix::io::write(pipe, &input[..input.len().min(PIECE_BYTES)]) {
            Ok(written) => *input = &input[written..],
            Err(Errno::AGAIN | Errno::INTR) => return,
            // The program does not read the rest.
            Err(_) => *input = &[],
        }
        if input.is_empty() {
            self.stdin = None;
        }
    }

    /// Reads one piece and returns whether there was one.
    fn read_output(&mut self, piece: &mut [u8]) -> bool {
        let Some(count) = read(&mut self.stdout, piece) else { return false };
        self.output.push(Zeroizing::new(piece[..count].to_vec()));
        self.output_bytes += count;
        piece[..count].zeroize();
        true
    }

    fn read_errors(&mut self, piece: &mut [u8]) {
        // Bounded: a program that always writes errors does not delay its deadline.
        for _ in 0..16 {
            let Some(count) = read(&mut self.stderr, piece) else { return };
            let kept = count.min(MAX_ERRORS_BYTES - self.errors.len());
            self.errors.extend_from_slice(&piece[..kept]);
        }
    }

    fn output(mut self) -> io::Result<ExecOutput> {
        let status = self.child.wait()?;
        self.ended = true;
        let status = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        let mut whole = Vec::with_capacity(self.output_bytes);
        for piece in &self.output {
            whole.extend_from_slice(piece);
        }
        let mut errors = String::from_utf8_lossy(&self.errors).into_owned();
        // An invalid UTF-8 byte became three bytes.
        let mut end = errors.len().min(MAX_ERRORS_BYTES);
        while !errors.is_char_boundary(end) {
            end -= 1;
        }
        errors.truncate(end);
        Ok(ExecOutput::new(status.unwrap_or(-1), SecretBytes::new(whole), errors))
    }
}

/// Reads available bytes; closes a pipe that has ended.
fn read(pipe: &mut Option<OwnedFd>, piece: &mut [u8]) -> Option<usize> {
    loop {
        return match rustix::io::read(pipe.as_ref()?.as_fd(), &mut *piece) {
            Ok(0) => {
                *pipe = None;
                None
            }
            Ok(count) => Some(count),
            Err(Errno::INTR) => continue,
            Err(_) => None,
        };
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            // The number of an unreaped process is not reused.
            session::end(Pid::from_child(&self.child));
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        self.errors.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use keystead_plugin_api::{Deadline, ErrorKind};

    use super::*;

    fn run_within(
        millis: u64,
        program: &str,
        arguments: &[&str],
        input: &[u8],
    ) -> Result<ExecOutput> {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let deadline = Deadline::after(Duration::from_millis(millis));
        let mut request = ExecRequest::new(program, arguments, deadline);
        request.input = SecretBytes::copy_of(input);
        super::run(&request, Some(Path::new("/srv")))
    }

    fn run(program: &str, arguments: &[&str], input: &[u8]) -> Result<ExecOutput> {
        run_within(20_000, program, arguments, input)
    }

    fn sh(script: &str) -> ExecOutput {
        run("/bin/sh", &["-c", script], b"").unwrap()
    }

    #[test]
    fn program_runs_at_exec_limits_and_is_rejected_above() {
        let request = |program: &str, argument: usize, value: usize| {
            let deadline = Deadline::after(Duration::from_secs(20));
            let mut request = ExecRequest::new(program, vec!["x".repeat(argument)], deadline);
            request.environment.push(("NAME".to_owned(), "y".repeat(value)));
            request
        };
        let most = keystead_plugin_api::MAX_EXEC_ARGUMENT_BYTES;
        let of_name = "NAME=".len();
        let ran = super::run(&request("/bin/true", most, most - of_name), None).unwrap();
        assert_eq!(ran.status, 0);
        let refused = |request: &ExecRequest| {
            let error = super::run(request, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            error.message().to_owned()
        };
        let message = "an argument in bytes: 131072; the most is 131071";
        assert_eq!(refused(&request("/bin/true", most + 1, 0)), message);
        let message = "a variable in bytes, with its name and `=`: 131072; the most is 131071";
        assert_eq!(refused(&request("/bin/true", 0, most - of_name + 1)), message);
        let mut many = request("/bin/true", 0, 0);
        many.arguments = vec![String::new(); 10_000];
        assert_eq!(super::run(&many, None).unwrap().status, 0);
        many.arguments.push(String::new());
        assert_eq!(refused(&many), "arguments: 10001; the most is 10000");
        let path = format!("/{}", "x".repeat(4_095));
        let message = "the program's name in bytes: 4096; the most is 4095";
        assert_eq!(refused(&request(&path, 0, 0)), message);
        // The system has the same limit, with another error.
        let fault = Command::new("/bin/true").arg("x".repeat(most + 1)).status().unwrap_err();
        assert_eq!(Errno::from_io_error(&fault), Some(Errno::TOOBIG));
    }

    #[test]
    fn relative_or_missing_program_is_rejected() {
        let refused = |program| {
            let error = run(program, &[], b"").unwrap_err();
            (error.kind(), error.message().to_owned())
        };
        let invalid = "a program is an absolute path or a plain name, unlike `./sh`".to_owned();
        assert_eq!(refused("./sh"), (ErrorKind::Invalid, invalid));
        let unavailable =
            "there is no `no-such-program` in /usr/local/bin, /usr/bin, /bin".to_owned();
        assert_eq!(refused("no-such-program"), (ErrorKind::Unavailable, unavailable));
        let unavailable =
            "Keystead cannot run /dev/null: Permission denied (os error 13)".to_owned();
        assert_eq!(refused("/dev/null"), (ErrorKind::Unavailable, unavailable));
    }

    #[test]
    fn exit_status_and_output_are_returned() {
        let ended = sh("printf 'a\\0b'; echo oops >&2; exit 7");
        assert_eq!((ended.status, ended.output.expose()), (7, &b"a\0b"[..]));
        assert_eq!(ended.errors, "oops\n");
        assert_eq!(sh("kill -TERM $$").status, 143);
        assert_eq!(
            sh("echo $PATH $HOME; pwd; env | wc -l").output.expose(),
            b"/usr/local/bin:/usr/bin:/bin /srv\n/\n3\n"
        );
    }

    #[test]
    fn program_runs_in_new_session_without_terminal() {
        let script = "read -r pid name state parent group session terminal rest < /proc/$$/stat
                      echo $((group == pid)) $((session == pid)) $terminal";
        assert_eq!(sh(script).output.expose(), b"1 1 0\n");
        let opened = sh("exec 3<> /dev/tty");
        assert_ne!(opened.status, 0);
        assert!(opened.errors.contains("No such device or address"), "{}", opened.errors);
    }

    #[test]
    fn program_gets_requested_variables_except_reserved_names() {
        let with = |name: &str, value: &str| {
            let deadline = Deadline::after(Duration::from_secs(20));
            let arguments = vec!["-c".to_owned(), "echo $HOME $CLUSTER".to_owned()];
            let mut request = ExecRequest::new("/bin/sh", arguments, deadline);
            request.environment = vec![(name.to_owned(), value.to_owned())];
            super::run(&request, Some(Path::new("/srv")))
        };
        assert_eq!(with("CLUSTER", "a=b c").unwrap().output.expose(), b"/srv a=b c\n");
        for name in ["PATH", "HOME", "LD_PRELOAD", "GLIBC_TUNABLES"] {
            let refused = with(name, "/x").unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Invalid);
            assert_eq!(refused.message(), format!("a plugin cannot set the variable {name}"));
        }
        for (name, value) in [("", ""), ("A=B", ""), ("1A", ""), ("A", "a\0b")] {
            assert_eq!(with(name, value).unwrap_err().kind(), ErrorKind::Invalid);
        }
    }

    #[test]
    fn large_input_and_output_flow_concurrently() {
        let input: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
        let ended = run("cat", &["-"], &input).unwrap();
        assert!(ended.output.expose() == input);
        // Input that the program does not read is no error.
        assert_eq!(run("/bin/sh", &["-c", "exit 0"], &input).unwrap().status, 0);
    }

    #[test]
    fn output_above_limit_fails_and_stderr_is_cut() {
        let error = run("/bin/sh", &["-c", "head -c 16777217 /dev/zero"], b"").unwrap_err();
        assert_eq!(error.message(), "/bin/sh wrote more than 16777216 bytes");
        let ended = sh("head -c 16777216 /dev/zero; head -c 1000000 /dev/zero >&2");
        assert_eq!((ended.output.len(), ended.errors.len()), (16_777_216, 65_536));
    }

    #[test]
    fn timed_out_program_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        // In a process group of its own, as an interactive shell's.
        let script = format!("set -m; sleep 1000 & echo $! > {}; wait", file.display());
        let started = Instant::now();
        let error = run_within(300, "/bin/sh", &["-c", &script], b"").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(started.elapsed() < Duration::from_secs(10));
        let pid = std::fs::read_to_string(file).unwrap();
        let gone = || match std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
            Ok(stat) => stat.contains(") Z "),
            Err(_) => true,
        };
        let until = Instant::now() + Duration::from_secs(10);
        while !gone() {
            assert!(Instant::now() < until, "process {pid} lives");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn background_child_is_not_waited_for() {
        let started = Instant::now();
        assert_eq!(sh("sleep 30 & echo done").output.expose(), b"done\n");
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}
