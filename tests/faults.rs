//! Bad input through the command, with the user's whole output.

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

/// An ordinary user; tests that run as root switch to this user.
const NOBODY: u32 = 65_534;

/// A user id other than the one that runs the test.
const STRANGER: u32 = 12_345;

/// Runs commands one after another and returns the terminal output.
fn session(sandbox: &Sandbox, lines: &[&str]) -> String {
    session_as(sandbox, lines, |_| {})
}

/// Runs commands, and changes each before its start.
fn session_as(sandbox: &Sandbox, lines: &[&str], change: impl Fn(&mut Command)) -> String {
    let mut told = String::new();
    for line in lines {
        let mut command = sandbox.command(line, &[]);
        change(&mut command);
        told += &format!("$ keystead {line}\n{}", sandbox.answer(command, b"v"));
    }
    told
}

/// Runs the command as an ordinary user: the current user, unless that is root.
fn ordinary(command: &mut Command) {
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
}

/// Gives a directory and its contents to the ordinary user.
fn give_to_ordinary(path: &Path) {
    if is_root() {
        give(path, NOBODY);
    }
}

/// Gives a directory and its contents to this user.
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
