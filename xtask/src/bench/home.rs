//! A temporary home in which programs are measured, with nothing of the caller's environment but what
//! it is given, and the processes started in it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;
use crate::process::{command, stdout};

/// A directory that is the home of what runs in it, and its working directory.
pub(super) struct Home {
    dir: PathBuf,
    path: OsString,
    /// Variables beside `HOME` and `PATH`.
    pub(super) variables: Vec<(String, String)>,
    /// A line that ends what programs started by themselves and is asked to end at their own sockets.
    pub(super) end: String,
    /// The process group of what the script started.
    group: Option<u32>,
}

impl Home {
    /// Makes a new home.
    pub(super) fn new(dir: PathBuf, path: OsString) -> Result<Self> {
        fs_err::create_dir(&dir)?;
        Ok(Self { dir, path, variables: Vec::new(), end: String::new(), group: None })
    }

    /// Returns what is in it under a name.
    pub(super) fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.join(name)
    }

    /// Returns the command that a line of words says, to be run here.
    pub(super) fn command(&self, line: &str) -> Command {
        let mut command = command(line);
        command.env_clear().env("HOME", &self.dir).env("PATH", &self.path);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.dir).stdin(Stdio::null());
        command
    }

    /// Runs a line of words as a command, which must succeed, and returns what it answered.
    pub(super) fn run(&self, line: &str) -> Result<String> {
        stdout(&mut self.command(line))
    }

    /// Runs a script of the shell's; what it leaves running ends with this home.
    pub(super) fn set_up(&mut self, script: &str, variables: &[(&str, String)]) -> Result<()> {
        let mut shell = self.command("/bin/sh -c");
        shell
            .arg(script)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .process_group(0);
        let log = self.at(".set-up.log");
        let file = fs_err::File::create(&log)?.into_file();
        let mut child = shell.stdout(file.try_clone()?).stderr(file).spawn()?;
        self.group = Some(child.id());
        if child.wait()?.success() {
            return Ok(());
        }
        Err(fs_err::read_to_string(log)?.into())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Nothing to be done about what does not end: the next run has a home of its own.
        if !self.end.is_empty() {
            self.run(&self.end).ok();
        }
        if let Some(group) = self.group {
            let kill = format!("kill -KILL -- -{group} 2>/dev/null");
            Command::new("/bin/sh").args(["-c", &kill]).status().ok();
        }
    }
}
