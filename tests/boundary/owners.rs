//! The owner of a file. A plugin in a user namespace gets this from the host, which sees the file
//! from outside.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::cli::sandbox;

/// A user without rights, and another user.
const USER: u32 = 64_321;
const OTHER: u32 = 64_322;

/// A directory that a user without rights can reach, with a copy of keystead.
struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let place = Self { root };
        mode(place.root.path(), 0o755);
        for (name, from) in [
            ("keystead", Path::new(env!("CARGO_BIN_EXE_keystead"))),
            ("files.so", sandbox::files()),
        ] {
            fs::copy(from, place.path(name)).unwrap();
            mode(&place.path(name), 0o755);
        }
        fs::create_dir(place.path("home")).unwrap();
        mode(&place.path("home"), 0o700);
        place.give("home", USER);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn give(&self, name: &str, user: u32) {
        chown(self.path(name), Some(user), Some(user)).unwrap();
    }

    /// Makes a directory and a file in it, each owned by a given user and readable by all users.
    fn secret(&self, vault: &str, of: u32, file_of: u32) {
        fs::create_dir(self.path(vault)).unwrap();
        mode(&self.path(vault), 0o755);
        let file = format!("{vault}/secret");
        fs::write(self.path(&file), format!("of {file_of}")).unwrap();
        mode(&self.path(&file), 0o444);
        self.give(&file, file_of);
        self.give(vault, of);
    }

    fn keystead(&self, words: &str) -> Output {
        let mut command = Command::new(self.path("keystead"));
        command.args(words.split(' ')).env_clear().env("HOME", self.path("home"));
        command.uid(USER).gid(USER).current_dir("/").output().unwrap()
    }

    /// Reads the secret of a directory as the user, through a plugin in a runner.
    fn read(&self, vault: &str) -> (Option<i32>, String) {
        let path = self.path(vault).display().to_string();
        let register = format!(
            "vault register {vault} --plugin files:read-only --param path={path} --placement \
             isolated --yes"
        );
        assert!(self.keystead(&register).status.success(), "{vault}");
        let got = self.keystead(&format!("get secret --vault {vault}"));
        let said = [&got.stdout[..], &got.stderr[..]].concat();
        (got.status.code(), String::from_utf8(said).unwrap())
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
#[ignore = "needs root"]
fn files_plugin_rejects_files_of_other_user_needs_root() {
    let is_root = rustix::process::geteuid().is_root();
    assert!(is_root, "this test gives files to others: run it as root");
    let place = Place::new();
    let install = format!("plugin install --yes {}", place.path("files.so").display());
    assert!(place.keystead(&install).status.success());
    place.secret("own", USER, USER);
    assert_eq!(place.read("own"), (Some(0), format!("of {USER}")));
    place.secret("roots", 0, 0);
    assert_eq!(place.read("roots"), (Some(0), "of 0".to_owned()));
    place.secret("mixed", 0, USER);
    assert_eq!(place.read("mixed"), (Some(0), format!("of {USER}")));
    for (vault, of, file_of) in [("theirs", OTHER, OTHER), ("planted", 0, OTHER)] {
        place.secret(vault, of, file_of);
        let (code, said) = place.read(vault);
        assert_eq!(code, Some(1), "{vault}: {said}");
        // The user's own number, not the one that stands for all unknown users in a namespace.
        let words = format!("belongs to another user (number {OTHER}), who may write there");
        assert!(said.contains(&words), "{vault}: {said}");
    }
}
