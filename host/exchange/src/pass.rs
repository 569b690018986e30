//! The directory of `pass` and of gopass: a file encrypted with gpg for each secret.

mod dir;
mod entry;
mod gpg;

use std::path::Path;

use self::dir::Found;
pub use self::gpg::{Gpg, Prompt};
use super::distinct::Distinct;
use super::left_out::{LeftOut, Thing};
use super::{BadRow, Error, Position, Row, Rows};

pub use entry::decrypted;

pub(super) const FORM: &str = "a password store";

const OTHERS: Thing =
    Thing("file that is not encrypted with gpg", "files that are not encrypted with gpg");

/// Looks through a directory, and decrypts its files as they are asked for. The name of a secret
/// is the path of its file, without `.gpg`.
///
/// # Errors
/// [`Error::NoProgram`] where there is no gpg, [`Error::Read`], or [`Error::NotOfForm`] where
/// the directory has no file to decrypt, or more than 100,000.
pub fn read(dir: &Path, gpg: Gpg) -> Result<PassEntries, Error> {
    let all = dir::all(dir)?;
    if all.found.is_empty() {
        let why = "there is no `.gpg` file in it".into();
        return Err(Error::NotOfForm { form: FORM, why });
    }
    gpg.is_there()?;
    let mut left_out = LeftOut::default();
    left_out.count(OTHERS, all.others);
    Ok(PassEntries { found: all.found.into_iter(), gpg, names: Distinct::default(), left_out })
}

/// The secrets of a directory.
#[derive(Debug)]
pub struct PassEntries {
    found: std::vec::IntoIter<Found>,
    gpg: Gpg,
    names: Distinct,
    left_out: LeftOut,
}

impl PassEntries {
    fn row(&mut self, found: Found) -> Result<Row, BadRow> {
        let at = Position::File(found.path.clone());
        let bad = |why: String| BadRow { at: at.clone(), why };
        let place = found.place.map_err(|why| bad(why.into()))?;
        let name = found.path.to_str().and_then(|path| path.strip_suffix(".gpg"));
        let name = name.ok_or_else(|| bad("its name is not UTF-8".into()))?;
        let name = self.names.name(&[name]).map_err(bad)?;
        let encrypted = dir::content(&place).map_err(bad)?;
        let text = self.gpg.decrypt(encrypted).map_err(bad)?;
        decrypted(text, at.clone(), name)
    }
}

impl Rows for PassEntries {
    fn left_out(&self) -> Vec<String> {
        self.left_out.lines().collect()
    }
}

impl Iterator for PassEntries {
    type Item = Result<Result<Row, BadRow>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.found.next()?;
        Some(Ok(self.row(found)))
    }
}

#[cfg(test)]
mod tests;
