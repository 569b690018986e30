//! Who could have put there what a path leads to.

use std::path::Path;

use rustix::io::Errno;

use super::Error;
use super::object::Target;
use super::walk::{Rule, Shared, Walker};

impl Target {
    /// Checks that only root, the user, or a service with a directory of its own that root made for it
    /// could have put there what is there.
    ///
    /// # Errors
    /// Who else could, by the modes and owners of the directories that it is in.
    pub(crate) fn check_who_could_make_it(&self, asked: &Path) -> Result<(), Error> {
        let io = |at: &Path, error: Errno| Error::io("look up", at, error);
        let walker = Walker::new(asked, Rule::User);
        let mut below = self.path().map_err(|error| io(asked, error))?;
        let mut is_holder = true;
        while let Some(dir) = below.parent().map(Path::to_owned) {
            let stat = rustix::fs::stat(&dir).map_err(|error| io(&dir, error))?;
            match walker.check(&stat, &dir) {
                Ok(Shared::No) => {}
                // Whoever made what is in it owns that, and nobody else takes it away.
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
