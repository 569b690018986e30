//! Bad input through the command, with all that a user sees of it.

mod people;
mod plugin_file;
mod processes;
mod quarantine;
mod registry;
mod registry_damage;
mod run_time;
mod value;

use std::os::unix::fs::{PermissionsExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::cli::sandbox::Sandbox;

/// A user without rights, whom a test as root becomes.
const NOBODY: u32 = 65_534;

/// Somebody else, whoever runs the test.
const STRANGER: u32 = 12_345;

/// Runs one command after the other and returns what a terminal would show.
fn session(sandbox: &Sandbox, lines: &[&str]) -> String {
    session_as(sandbox, lines, |_| {})
}

/// Runs commands that are changed before they start.
fn session_as(sandbox: &Sandbox, lines: &[&str], change: impl Fn(&mut Command)) -> String {
    let mut told = String::new();
    for line in lines {
        let mut command = sandbox.command(line, &[]);
        change(&mut command);
        told += &format!("$ keystead {line}\n{}", sandbox.answer(command, b"v"));
    }
    told
}

/// Makes the command an ordinary user's: the same as who runs the test, if that is one.
fn ordinary(command: &mut Command) {
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
}

/// Gives a directory and all in it to the ordinary user.
fn give_to_ordinary(path: &Path) {
    if is_root() {
        give(path, NOBODY);
    }
}

/// Gives a directory and all in it to somebody.
fn give(path: &Path, owner: u32) {
    lchown(path, Some(owner), Some(owner)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        for entry in std::fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), owner);
        }
    }
}

fn must_be_root() {
    assert!(is_root(), "this test gives files to others: run it as root");
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
