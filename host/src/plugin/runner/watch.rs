//! What a caged plugin relies on by path, and was replaced: its rules are of what was there when
//! it was started, so that a token that is written anew would stay out of its reach.

use std::path::PathBuf;

use super::super::inspect::Permission;
use super::Grants;
use super::sandbox::relied_on;

/// Paths, and what was there when the runner began to rely on them.
pub(super) struct Watch(Vec<(PathBuf, Option<Identity>)>);

/// Which file or folder it is, whatever it is called.
type Identity = (u64, u64);

impl Watch {
    /// Looks at what is granted, before a runner is started with it.
    pub(super) fn new(grants: &Grants) -> Self {
        let mut paths = Vec::new();
        for grant in &grants.0 {
            match Permission::parse(grant) {
                Ok(Permission::Files { template, .. }) => paths.push(PathBuf::from(template)),
                Ok(Permission::Network) => paths.extend(relied_on(true).iter().map(PathBuf::from)),
                _ => {}
            }
        }
        Self(paths.into_iter().map(|path| (path.clone(), identity(&path))).collect())
    }

    /// Looks again at what was missing: the runner may have made it.
    pub(super) fn settle(&mut self) {
        for (path, seen) in &mut self.0 {
            *seen = seen.or_else(|| identity(path));
        }
    }

    /// Whether something else is there now.
    pub(super) fn is_outdated(&self) -> bool {
        self.0.iter().any(|(path, seen)| identity(path) != *seen)
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
        let mut watch = Watch::new(&grants);
        assert!(!watch.is_outdated());
        std::fs::write(&token, "1").unwrap();
        assert!(watch.is_outdated());
        watch.settle();
        assert!(!watch.is_outdated());
        std::fs::write(&token, "2").unwrap();
        assert!(!watch.is_outdated());
        std::fs::write(&beside, "3").unwrap();
        std::fs::rename(&beside, &token).unwrap();
        assert!(watch.is_outdated());
        std::fs::remove_file(&token).unwrap();
        assert!(watch.is_outdated());
    }

    #[test]
    fn the_network_relies_on_how_names_are_resolved() {
        let watch = Watch::new(&Grants(vec!["network".into()]));
        let paths: Vec<_> = watch.0.iter().map(|(path, _)| path.to_str().unwrap()).collect();
        assert_eq!(paths, ["/etc/resolv.conf", "/etc/hosts"]);
    }
}
