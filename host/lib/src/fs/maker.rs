//! Checks who could have created the object that a path leads to.

use std::path::Path;

use rustix::io::Errno;

use super::Error;
use super::object::Target;
use super::walk::{Rule, Shared, Walker};

impl Target {
    /// Checks who could have created the object: only root, the user, or a service in its own
    /// directory that root made for it.
    ///
    /// # Errors
    /// When another user could have, by the modes and owners of the directories above the object.
    pub(crate) fn check_who_could_make_it(&self, asked: &Path) -> Result<(), Error> {
        let io = |at: &Path, error: Errno| Error::io("look up", at, error);
        let walker = Walker::new(asked, Rule::User);
        let mut below = self.path().map_err(|error| io(asked, error))?;
        let mut is_holder = true;
        while let Some(dir) = below.parent().map(Path::to_owned) {
            let stat = rustix::fs::stat(&dir).map_err(|error| io(&dir, error))?;
            match walker.check(&stat, &dir) {
                Ok(Shared::No) => {}
                // The creator of an entry owns the entry, and no other user can remove it.
                Ok(Shared::Yes) => {
                    let owned = rustix::fs::lstat(&below).map_err(|error| io(&below, error))?;
                    walker.check_owner(&owned, &below)?;
                }
                Err(Error::Owner { .. }) if is_holder && stat.st_mode & 0o022 == 0 => {}
                Err(error) => return Err(error),
            }
            is_holder = false;
            below = dir;
        }
        Ok(())
    }
}
