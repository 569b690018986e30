//! A home in which tests run the command as a user does, and files that are almost plugins.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::plugin_files::{c_library, plugin};

pub(crate) struct Home(tempfile::TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self(home)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file that is correct except for its content.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path
    }

    /// Writes a copy of a correct plugin, with every occurrence of `old` replaced by `new`.
    pub(crate) fn altered(&self, name: &str, old: &[u8], new: &[u8]) -> PathBuf {
        assert_eq!(old.len(), new.len());
        let mut bytes = fs::read(plugin("in-order")).unwrap();
        let places = (0..bytes.len() - old.len()).filter(|at| bytes[*at..].starts_with(old));
        let places: Vec<_> = places.collect();
        assert!(!places.is_empty(), "no {}", String::from_utf8_lossy(old));
        for at in places {
            bytes[at..at + new.len()].copy_from_slice(new);
        }
        self.file(name, &bytes)
    }

    /// Returns the path where the constructor of [`Home::fake`] leaves its mark.
    pub(crate) fn mark(&self) -> PathBuf {
        self.path("mark")
    }

    /// Builds the C library that has all parts of a plugin except the plugin itself.
    pub(crate) fn fake(&self, name: &str, options: &[&str]) -> PathBuf {
        let mut all = vec![format!("-DMARK=\"{}\"", self.mark().display())];
        all.extend(options.iter().map(|option| (*option).to_owned()));
        let file = self.path(name);
        fs::rename(c_library("fake_header", self.0.path(), &all), &file).unwrap();
        file
    }

    /// Builds a C library that is unrelated to Keystead.
    pub(crate) fn plain_library(&self, options: &[&str]) -> PathBuf {
        let options: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        c_library("plain_library", self.0.path(), &options)
    }

    /// Runs the command and returns its exit code and its whole output.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_keystead"))
            .args(arguments)
            .env_clear()
            .env("HOME", self.path("home"))
            .env("COLUMNS", "100")
            .current_dir(self.0.path())
            .output()
            .unwrap();
        let mut told = format!("exit {}\n", output.status.code().unwrap());
        told += &String::from_utf8(output.stdout).unwrap();
        told += &String::from_utf8(output.stderr).unwrap();
        self.plain(&told)
    }

    /// Installs the file and registers the vault `odd` of it.
    pub(crate) fn installs(&self, file: &Path, id: &str) {
        let told = self.run(&["plugin", "install", "--yes", file.to_str().unwrap()]);
        assert!(told.starts_with("exit 0\n"), "{told}");
        let told = self.run(&["vault", "register", "--yes", "odd", "--plugin", id]);
        assert!(told.starts_with("exit 0\n"), "{told}");
    }

    /// Replaces this home's path and hashes by placeholders.
    pub(crate) fn plain(&self, text: &str) -> String {
        let text = text.replace(self.0.path().to_str().unwrap(), "[HOME]");
        let is_hash = |word: &str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
        let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()).map(|word| {
            let (name, end) =
                word.split_at(word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).len());
            format!("{}{end}", if is_hash(name) { "[SHA256]" } else { name })
        });
        words.collect()
    }
}
