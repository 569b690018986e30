//! The plugin `files` with real data of other programs: secrets that Podman mounts into a
//! container, and credentials of systemd.

mod podman;
mod systemd;

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// Returns the program that the test run provides in this variable.
pub(crate) fn tool(variable: &str) -> OsString {
    std::env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} is not set; `cargo xtask test` sets it"))
}

/// Runs a command with this on its standard input, and returns its exit code, standard output
/// and standard error.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> (Option<i32>, Vec<u8>, String) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // A command that reads no input may end before this write.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input);
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), output.stdout, told)
}

/// Runs a command that must succeed, and returns its standard output.
#[track_caller]
pub(crate) fn answer(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let (code, answer, told) = run(command, input);
    assert_eq!(code, Some(0), "{command:?}: {told}");
    answer
}

/// Returns a Keystead command with its own home.
fn keystead(home: &Path, words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keystead"));
    command.args(words.split_whitespace()).env_clear().env("HOME", home).current_dir(home);
    command
}
