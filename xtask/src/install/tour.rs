//! A first use of what is about to be installed, for a reader to follow: each command as it
//! would be typed, with what it really answered. A step that goes wrong ends the installation.

use std::path::Path;
use std::process::Command;

use crate::Result;

/// The tour; the shell prints its lines as it reads them.
const TOUR: &str = include_str!("tour.sh");

/// What the installed binary must do with its plugins where they are then.
const LAST_LOOK: &str = "keystead vault register look --plugin memory --quiet
keystead vault register safe --plugin store --quiet
keystead list";

/// Walks through the tour with the binary of a prefix.
pub(super) fn walk(prefix: &Path) -> Result<()> {
    println!("\na tour, in a temporary home that is removed afterwards:\n");
    run(prefix, "-ev", TOUR, "the last command did not do what it should: nothing was installed")
}

/// Checks that the installed binary accepts its plugins where they are now.
pub(super) fn last_look(prefix: &Path) -> Result<()> {
    run(prefix, "-e", LAST_LOOK, "it is installed, but does not accept its own plugins")
}

/// Runs a script, which must succeed, in a home of its own.
fn run(prefix: &Path, options: &str, script: &str, otherwise: &str) -> Result<()> {
    let home = tempfile::Builder::new().prefix("keystead-tour-").tempdir()?;
    let home = home.path();
    let file = home.join("tour.sh");
    fs_err::write(&file, script)?;
    let mut path = prefix.join("bin").into_os_string();
    path.push(":/usr/local/bin:/usr/bin:/bin");
    let mut shell = Command::new("/bin/sh");
    shell.arg(options).arg(file).env_clear().env("PATH", path).env("HOME", home);
    let status = shell.env("TMPDIR", home).current_dir(home).status()?;
    if status.success() { Ok(()) } else { Err(otherwise.into()) }
}
