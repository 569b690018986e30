//! A separate home for each test. Each run checks that the test's secrets are only in the files and
//! output that the test names.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use snapbox::{Data, IntoData};

/// Text in every secret of these tests.
pub(crate) const CANARY: &str = "canary-5d1f";

/// A home directory in which tests run the command.
pub(crate) struct Sandbox {
    root: tempfile::TempDir,
}

impl Sandbox {
    /// Returns an empty home.
    pub(crate) fn empty() -> Self {
        let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for dir in ["home", "tmp", "here"] {
            std::fs::create_dir(root.path().join(dir)).unwrap();
        }
        Self { root }
    }

    /// Returns a home where the plugin `memory` is installed.
    pub(crate) fn installed() -> Self {
        let sandbox = Self::empty();
        sandbox.run("plugin install --yes", &[plugin().to_str().unwrap()]).succeeds();
        sandbox
    }

    /// Returns a home with the vault `work`, kept in the file `here/work.secrets`.
    pub(crate) fn with_work() -> Self {
        let sandbox = Self::installed();
        sandbox
            .run("vault register work --plugin memory --param file=work.secrets", &[])
            .succeeds();
        sandbox
    }

    /// Returns the root directory of the sandbox.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// Returns a path in the directory where commands run.
    pub(crate) fn here(&self, name: &str) -> PathBuf {
        self.root().join("here").join(name)
    }

    /// Returns the command with these words, followed by these unchanged arguments.
    pub(crate) fn command(&self, words: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keystead"));
        command.args(words.split_whitespace()).args(more);
        for argument in command.get_args() {
            let shown = argument.to_string_lossy();
            assert!(!shown.contains(CANARY), "the test itself puts a secret into {shown}");
        }
        command
            .env_clear()
            .env("HOME", self.root().join("home"))
            .env("TMPDIR", self.root().join("tmp"))
            .env("PATH", "/usr/bin:/bin")
            .env("COLUMNS", "100")
            .current_dir(self.root().join("here"));
        command
    }

    /// Runs the command with an empty standard input.
    pub(crate) fn run(&self, words: &str, more: &[&str]) -> Answer {
        self.answer(self.command(words, more), b"")
    }

    /// Runs the command with this on its standard input.
    pub(crate) fn feed(&self, input: impl AsRef<[u8]>, words: &str) -> Answer {
        self.answer(self.command(words, &[]), input.as_ref())
    }

    /// Runs a command and checks its standard error and files for secrets.
    pub(crate) fn answer(&self, mut command: Command, input: &[u8]) -> Answer {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads no input may end before this write.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        let answer = Answer {
            root: self.root().to_str().unwrap().to_owned(),
            status: output.status.code().expect("it was not killed"),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(!answer.stderr.contains(CANARY), "a secret on standard error:\n{answer}");
        self.check_files();
        answer
    }

    /// Checks all files for secrets, except the vaults' own (`*.secrets`) and those of a test
    /// (`*.given`).
    pub(crate) fn check_files(&self) {
        fn look(dir: &Path) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap();
                if path.is_dir() {
                    look(&path);
                } else if path.is_file() && !name.ends_with(".secrets") && !name.ends_with(".given")
                {
                    let bytes = std::fs::read(&path).unwrap();
                    // The standard library's search is optimised, even in a debug build.
                    let found = String::from_utf8_lossy(&bytes).contains(CANARY);
                    assert!(!found, "a secret in {}", path.display());
                }
            }
        }
        look(self.root());
    }
}

/// Result of a run of the command.
pub(crate) struct Answer {
    root: String,
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Answer {
    /// Asserts exit code 0, and returns standard output.
    #[track_caller]
    pub(crate) fn succeeds(&self) -> &[u8] {
        assert_eq!(self.status, 0, "{self}");
        &self.stdout
    }

    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn ends_with(&self, status: i32) -> &Self {
        assert_eq!(self.status, status, "{self}");
        self
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stdout = String::from_utf8_lossy(&self.stdout);
        writeln!(f, "exit code {}", self.status)?;
        for (name, text) in [("stdout", &*stdout), ("stderr", &self.stderr)] {
            if text.is_empty() {
                continue;
            }
            let text = plain(text, &self.root);
            let end = if text.ends_with('\n') { "" } else { "<no newline>\n" };
            write!(f, "--- {name}\n{text}{end}")?;
        }
        Ok(())
    }
}

impl IntoData for Answer {
    fn into_data(self) -> Data {
        // Tests compare a secret on standard output themselves, without a snapshot.
        self.to_string().into_data()
    }
}

/// Replaces parts that differ from run to run.
fn plain(text: &str, root: &str) -> String {
    let text = text.replace(root, "[ROOT]").replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
    let text = text.replace(plugin().to_str().unwrap(), "[PLUGIN]");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let len = rest[at..].bytes().take_while(u8::is_ascii_hexdigit).count();
        out.push_str(&rest[..at]);
        out.push_str(if len == 64 { "[SHA256]" } else { &rest[at..at + len] });
        rest = &rest[at + len..];
    }
    out.push_str(rest);
    out
}

/// Returns a directory in memory, if there is one.
pub(crate) fn fast() -> &'static Path {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) }
}

/// Returns the file of the plugin `memory`, built once.
pub(crate) fn plugin() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| built("memory"))
}

/// Returns the file of the local vault's plugin, built once.
pub(crate) fn store() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| built("store"))
}

/// Returns the file of the plugin `files`, built once.
pub(crate) fn files() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| built("files"))
}

/// Returns the file of the plugin for HashiCorp Vault and OpenBao, built once.
pub(crate) fn hashicorp() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| built("hashicorp"))
}

/// Builds a plugin of the workspace.
pub(crate) fn built(id: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let package = format!("keystead-plugin-{id}");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--package", &package])
        .current_dir(crate::plugin_files::repository())
        .env("CARGO_TARGET_DIR", target)
        .status()
        .unwrap();
    assert!(built.success(), "the plugin `{id}` does not build");
    target.join(format!("debug/libkeystead_plugin_{id}.so"))
}
