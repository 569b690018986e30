//! What a caged plugin relies on by path: its rules are of what was there when it was started. What
//! was replaced since, as a token is that is written anew, is out of its reach; what is missing is
//! made before it is written.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::super::inspect::{FileAccess, Permission};
use super::Grants;
use super::sandbox::{Files, is_covered, relied_on};

/// Paths, and what was there when the runner began to rely on them.
pub(super) struct Granted {
    seen: Vec<(PathBuf, Option<Identity>)>,
    files: Vec<Files>,
}

/// Which file or folder it is, whatever it is called.
type Identity = (u64, u64);

impl Granted {
    /// Looks at what is granted, before a runner is started with it. What lies in a folder that the
    /// plugin may write has no rule of its own, and may be a link of the plugin's: it is left alone.
    pub(super) fn new(grants: &Grants) -> Self {
        let (mut granted, mut network) = (Vec::new(), false);
        for grant in &grants.0 {
            match Permission::parse(grant) {
                Ok(Permission::Files { template, access }) => granted.push((template, access)),
                Ok(Permission::Network) => network = true,
                _ => {}
            }
        }
        let own = granted.iter().filter(|(path, _)| !is_covered(path, &granted));
        let paths = own.map(|(path, _)| PathBuf::from(path));
        let paths = paths.chain(relied_on(network).iter().map(PathBuf::from));
        let seen = paths.map(|path| (path.clone(), identity(&path))).collect();
        Self { seen, files: granted }
    }

    /// Whether something else is there now.
    pub(super) fn is_outdated(&self) -> bool {
        self.seen.iter().any(|(path, seen)| identity(path) != *seen)
    }

    /// Makes what the plugin may write and is missing, with the folders above it: a folder, an
    /// empty file. What cannot be made stays missing, and the plugin says so, as it would without
    /// a cage.
    pub(super) fn make_missing(&self) -> Made {
        let mut made = Made(Vec::new());
        for (path, access) in &self.files {
            let is_written = *access == FileAccess::ReadWrite;
            if !is_written || is_covered(path, &self.files) || Path::new(path).exists() {
                continue;
            }
            // Undone where only a part of it could be made, and nothing came of it.
            let _ = made.make(path);
        }
        made
    }
}

/// What was made for a plugin, in that order. Dropped, what is empty of it is taken away.
#[derive(Default)]
pub(super) struct Made(Vec<PathBuf>);

impl Drop for Made {
    fn drop(&mut self) {
        self.undo();
    }
}

impl Made {
    /// Whether it is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn make(&mut self, path: &str) -> std::io::Result<()> {
        let folder = match path.ends_with('/') {
            true => Some(Path::new(path)),
            false => Path::new(path).parent(),
        };
        let missing = folder.into_iter().flat_map(Path::ancestors).take_while(|one| !one.exists());
        let missing: Vec<_> = missing.collect();
        for folder in missing.into_iter().rev() {
            DirBuilder::new().mode(0o700).create(folder)?;
            self.0.push(folder.to_owned());
        }
        if !path.ends_with('/') {
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            self.0.push(path.into());
        }
        Ok(())
    }

    /// Leaves it there for good.
    pub(super) fn keep(&mut self) {
        self.0.clear();
    }

    /// Takes away what is still empty: nothing came of it.
    pub(super) fn undo(&mut self) {
        for path in self.0.drain(..).rev() {
            let Ok(found) = std::fs::symlink_metadata(&path) else { continue };
            let _ = match (found.is_dir(), found.is_file() && found.len() == 0) {
                (true, _) => std::fs::remove_dir(&path),
                (_, true) => std::fs::remove_file(&path),
                _ => Ok(()),
            };
        }
    }
}

/// Returns what a path leads to, if anything.
fn identity(path: &PathBuf) -> Option<Identity> {
    let found = rustix::fs::stat(path).ok()?;
    Some((found.st_dev, found.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_what_was_replaced_or_came_and_not_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let (token, beside) = (folder.path().join("token"), folder.path().join("beside"));
        let grants = Grants(vec![format!("files:{}:r", token.display()), "env:PATH".into()]);
        let granted = Granted::new(&grants);
        assert!(!granted.is_outdated());
        assert!(granted.make_missing().is_empty(), "it may only be read");
        std::fs::write(&token, "1").unwrap();
        assert!(granted.is_outdated());
        let granted = Granted::new(&grants);
        assert!(!granted.is_outdated());
        std::fs::write(&token, "2").unwrap();
        assert!(!granted.is_outdated());
        std::fs::write(&beside, "3").unwrap();
        std::fs::rename(&beside, &token).unwrap();
        assert!(granted.is_outdated());
        std::fs::remove_file(&token).unwrap();
        assert!(granted.is_outdated());
    }

    #[test]
    fn makes_what_is_missing_and_may_be_written_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display();
        let grants = [
            format!("files:{root}/a/b/:rw"),
            format!("files:{root}/a/b/c/:rw"),
            format!("files:{root}/d/e:rw"),
            format!("files:{root}/f/:r"),
        ];
        let granted = Granted::new(&Grants(grants.into()));
        let mut made = granted.make_missing();
        assert!(!made.is_empty());
        assert!(granted.make_missing().is_empty(), "it is there");
        let mut found: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        assert_eq!(found, ["a", "d"]);
        assert!(folder.path().join("a/b").is_dir() && !folder.path().join("a/b/c").exists());
        assert_eq!(std::fs::read(folder.path().join("d/e")).unwrap(), b"");
        assert!(granted.is_outdated());
        // What something came of stays.
        std::fs::write(folder.path().join("d/e"), "kept").unwrap();
        made.undo();
        assert!(!folder.path().join("a").exists());
        granted.make_missing().keep();
        assert!(folder.path().join("a/b").exists());
        drop(Made(vec![folder.path().join("a/b")]));
        assert!(!folder.path().join("a/b").exists());
        assert_eq!(std::fs::read(folder.path().join("d/e")).unwrap(), b"kept");
    }

    #[test]
    fn the_network_relies_on_how_names_are_resolved() {
        let granted = Granted::new(&Grants(vec!["network".into()]));
        let paths: Vec<_> = granted.seen.iter().map(|(path, _)| path.to_str().unwrap()).collect();
        assert_eq!(paths, ["/etc/resolv.conf", "/etc/hosts"]);
    }
}
