//! One emulated machine: its first files, its disk, its two serial lines.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::Result;
use crate::workspace::{HOST_TEST_DIR, Workspace};

/// What boots a machine; its first program, and what that runs.
const FILES: [(&str, &str); 4] = [
    ("boot.sh", include_str!("boot.sh")),
    ("init", include_str!("init.sh")),
    ("job/steps.sh", include_str!("steps.sh")),
    ("job/main_job.sh", include_str!("main_job.sh")),
];

/// A machine that runs.
pub(super) struct Machine {
    child: Child,
    lines: Receiver<String>,
    /// The kernel's own words.
    console: PathBuf,
    _dir: tempfile::TempDir,
}

impl Machine {
    /// Boots a kernel, by its directory, and runs the tests, whose files are relative to
    /// the target directory. What the kernel prints goes into a file.
    pub(super) fn boot(
        kernel: &Path,
        workspace: &Workspace,
        tests: &[PathBuf],
        console: &Path,
    ) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("keystead-machine-").tempdir()?;
        fs_err::create_dir(dir.path().join("job"))?;
        for (name, text) in FILES {
            fs_err::write(dir.path().join(name), text)?;
        }
        fs_err::write(dir.path().join("job/variables"), variables(workspace, tests)?)?;
        let mut boot = Command::new("/bin/sh");
        boot.arg("boot.sh").env("KERNEL", kernel).env("CONSOLE", console).current_dir(dir.path());
        let mut child = boot.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or("it has no standard output")?;
        let mut log = File::create(console.with_extension("log"))?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(std::result::Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
                // A line that is not there is missed by nobody but who looks at the file.
                let _ = writeln!(log, "{line}");
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines, console: console.to_owned(), _dir: dir })
    }

    /// Waits for the end of a step, and returns its exit code and what it said.
    pub(super) fn step(&mut self, name: &str, longest: Duration) -> Result<(i32, String)> {
        let (begin, end) = (format!("@@ begin {name}"), format!("@@ end {name} "));
        let until = Instant::now() + longest;
        let mut said = String::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                let kernel = fs_err::read_to_string(&self.console).unwrap_or_default();
                return Err(format!("it has not ended; so far:\n{said}\n{kernel}").into());
            };
            if line == begin {
                said.clear();
            } else if let Some(code) = line.strip_prefix(&end) {
                // It begins a line of its own, whatever stood before.
                said.pop();
                return Ok((code.parse()?, said));
            } else {
                said.push_str(&line);
                said.push('\n');
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the variables of the job, one word each for a shell.
fn variables(workspace: &Workspace, tests: &[PathBuf]) -> Result<String> {
    let words = |files: &[PathBuf]| {
        files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" ")
    };
    let mut libraries = Vec::new();
    for entry in fs_err::read_dir(workspace.target().join("debug"))? {
        libraries.push(Path::new("debug").join(entry?.file_name()));
    }
    libraries.retain(|name| name.extension().is_some_and(|extension| extension == "so"));
    let variables = [
        ("HOST", workspace.root().join(HOST_TEST_DIR).display().to_string()),
        ("TARGET", workspace.target().display().to_string()),
        ("TESTS", words(tests)),
        ("LIBRARIES", words(&libraries)),
    ];
    let quoted =
        |(name, value): (&str, String)| format!("{name}='{}'\n", value.replace('\'', "'\\''"));
    Ok(variables.map(quoted).concat())
}
