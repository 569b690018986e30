//! The sandbox of a user other than root. The kernel's limits on root's capabilities play no part
//! in confining these rows.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::{ALL, End, Row};
use crate::plugin_files::hostile;

/// A user id that is unknown to the machine.
const USER: u32 = 65_531;

/// The rows that depend on the user, and need only their own directory.
const ROWS: [&str; 7] =
    ["attributes", "attributes-read", "alters", "exhausts", "exhausts-granted", "hears", "signals"];

/// A home of that user, with a copy of the command: the user cannot read the tests' directory.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_keystead"), root.path().join("keystead")).unwrap();
        let home = Self(root);
        home.dir("home");
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes a directory that belongs to the user.
    fn dir(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        chown(&path, Some(USER), Some(USER)).unwrap();
        path
    }

    fn run(&self, words: &str, more: &[&str]) -> Output {
        let mut command = Command::new(self.path("keystead"));
        command.args(words.split_whitespace()).args(more).uid(USER).gid(USER).env_clear();
        command.env("HOME", self.path("home")).env("PATH", "/usr/bin:/bin").current_dir("/");
        command.stdin(Stdio::null()).output().unwrap()
    }

    #[track_caller]
    fn succeeds(&self, words: &str, more: &[&str]) {
        let output = self.run(words, more);
        assert!(output.status.success(), "{words}: {output:?}");
    }
}

/// Returns the attempts of these rows with a granted directory. Each has its row and the words that
/// are valid replies.
pub(super) fn tries(dir: &Path) -> Vec<(&'static Row, String, &'static str)> {
    let (granted, own) = (dir.display().to_string(), dir.join("here").display().to_string());
    let rows = ALL.iter().flat_map(|rows| rows.iter()).filter(|row| ROWS.contains(&row.name));
    let tries = rows.flat_map(|row| row.tries.iter().map(move |attempt| (row, attempt)));
    let tries = tries.filter_map(|(row, (what, end, _))| {
        let End::Says(words) = end else { return None };
        let filled = what.replace("{own}", &own).replace("{granted}", &granted);
        (!filled.contains('{')).then_some((row, filled, *words))
    });
    let tries: Vec<_> = tries.collect();
    assert!(tries.len() > 80, "{} attempts", tries.len());
    tries
}

/// Restores the user's own directory for the next attempt.
fn renew(own: &Path) {
    for entry in fs::read_dir(own).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }
    let here = own.join("here");
    fs::write(&here, "own").unwrap();
    chown(&here, Some(USER), Some(USER)).unwrap();
}

#[test]
#[ignore = "needs root"]
fn hostile_plugins_are_confined_for_non_root_user_needs_root() {
    let home = Home::new();
    let own = home.dir("own");
    let mut wrong = Vec::new();
    let mut installed = "";
    for (row, what, words) in tries(&own) {
        let name = row.name;
        if installed != name {
            installed = name;
            let file = hostile(name, home.0.path(), &[]);
            home.succeeds("plugin install --yes --quiet", &[file.to_str().unwrap()]);
            let dir = format!("folder={}", own.display());
            let register = format!("vault register {name} --placement isolated --plugin {name}");
            home.succeeds(&register, &["--param", &dir]);
        }
        renew(&own);
        let output = home.run("get -V", &[name, &what]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() || !words.split('|').any(|word| word == said) {
            wrong.push(format!("{name} {what}: {said:?} and not {words}: {output:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
