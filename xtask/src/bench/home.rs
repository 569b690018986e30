//! A temporary home in which one program is measured, with nothing of the caller's environment
//! but what it is given, and the processes started in it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::process::output;

/// How long a server may take until it answers, with 10,000 secrets to read first.
const PATIENCE: Duration = Duration::from_secs(120);

/// A folder that is the home of what runs in it.
#[derive(Clone)]
pub(super) struct Home {
    folder: PathBuf,
    path: OsString,
    /// Variables beside `HOME` and `PATH`.
    pub(super) variables: Vec<(&'static str, OsString)>,
}

impl Home {
    /// Makes a new home.
    pub(super) fn new(folder: PathBuf, path: OsString) -> Result<Self> {
        fs_err::create_dir(&folder)?;
        Ok(Self { folder, path, variables: Vec::new() })
    }

    /// Returns the same home with another search path.
    pub(super) fn with_path(&self, path: &OsStr) -> Self {
        Self { path: path.to_owned(), ..self.clone() }
    }

    /// Returns the folder, or what is in it under a name.
    pub(super) fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.join(name)
    }

    /// Returns a command that runs here.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", &self.folder).env("PATH", &self.path);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    /// Runs words as a command, which must succeed, and returns what it answered.
    pub(super) fn run<S: AsRef<OsStr>>(&self, words: &[S]) -> Result<String> {
        let (program, rest) = words.split_first().ok_or("no words")?;
        self.succeed(self.command(program).args(rest))
    }

    /// Does the same with a file as its standard input.
    pub(super) fn feed<S: AsRef<OsStr>>(&self, words: &[S], input: &Path) -> Result<String> {
        let (program, rest) = words.split_first().ok_or("no words")?;
        self.succeed(self.command(program).args(rest).stdin(fs_err::File::open(input)?.into_file()))
    }

    fn succeed(&self, command: &mut Command) -> Result<String> {
        let answer = output(command)?;
        if answer.status.success() {
            return Ok(String::from_utf8_lossy(&answer.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&answer.stderr).into_owned();
        Err(format!("{command:?}: {}: {}", answer.status, said.trim()).into())
    }

    /// Starts what runs until it is dropped.
    pub(super) fn start<S: AsRef<OsStr>>(
        &self,
        words: &[S],
        input: Option<&Path>,
    ) -> Result<Started> {
        let (program, rest) = words.split_first().ok_or("no words")?;
        let mut command = self.command(program);
        command.args(rest).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(input) = input {
            command.stdin(fs_err::File::open(input)?.into_file());
        }
        Ok(Started::Process(command.spawn().map_err(|error| format!("{command:?}: {error}"))?))
    }

    /// Arranges for a command to be run here at the end: for a service that a program starts
    /// by itself and that is asked, at its own socket in this home, to end.
    pub(super) fn at_the_end(&self, words: &[&str]) -> Started {
        Started::ByItself { home: self.clone(), words: words.iter().map(OsString::from).collect() }
    }
}

/// Something that runs beside what is measured, and ends when this is dropped.
pub(super) enum Started {
    /// A child of ours.
    Process(Child),
    /// What ends when a command asks it to.
    ByItself { home: Home, words: Vec<OsString> },
}

impl Drop for Started {
    fn drop(&mut self) {
        // Nothing to be done about what does not end: the next run has a home of its own.
        match self {
            Self::Process(child) => {
                child.kill().ok();
                child.wait().ok();
            }
            Self::ByItself { home, words } => {
                home.run(words).ok();
            }
        }
    }
}

/// Tries until it succeeds, or returns the last reason why not.
pub(super) fn eventually<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    loop {
        match attempt() {
            Err(_) if began.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(50)),
            ended => return ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_has_nothing_of_ours_and_what_was_started_in_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = OsString::from("/usr/bin:/bin");
        let mut home = Home::new(folder.path().join("home"), path).unwrap();
        home.variables.push(("NAME", "value".into()));
        let variables = home.run(&["env"]).unwrap();
        let mut names: Vec<&str> =
            variables.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        names.sort_unstable();
        assert_eq!(names, ["HOME", "NAME", "PATH"]);

        let started = home.start(&["sleep", "60"], None).unwrap();
        let Started::Process(child) = &started else { panic!("a process") };
        let process = format!("/proc/{}", child.id());
        assert!(Path::new(&process).exists());
        drop(started);
        assert!(!Path::new(&process).exists());
        let said = home.run(&["sh", "-c", "echo why >&2; exit 3"]).unwrap_err().to_string();
        assert!(said.contains("why") && said.contains('3'), "{said}");
    }
}
