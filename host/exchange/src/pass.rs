//! The directory of `pass` and of gopass: a file for each secret, encrypted with gpg.

mod dir;
mod entry;
mod gpg;

use std::path::Path;

use self::dir::Found;
use self::gpg::Undecrypted;
pub use self::gpg::{Gpg, Prompt};
use super::distinct::Distinct;
use super::left_out::{LeftOut, Thing};
use super::{BadRow, Error, Position, Row, Rows};

pub use entry::decrypted;

pub(super) const FORM: &str = "a password store";

const OTHERS: Thing =
    Thing("file that is not encrypted with gpg", "files that are not encrypted with gpg");

/// Searches a directory, and decrypts its files on demand. The name of a secret is the path of its
/// file, without `.gpg`.
///
/// # Errors
/// [`Error::NoProgram`] if there is no gpg, [`Error::Read`], or [`Error::NotOfForm`] if the
/// directory has no file to decrypt, or more than 100,000.
pub fn read(dir: &Path, gpg: Gpg) -> Result<PassEntries, Error> {
    let all = dir::all(dir)?;
    if all.found.is_empty() {
        let why = "there is no `.gpg` file in it".into();
        return Err(Error::NotOfForm { form: FORM, why });
    }
    gpg.is_there()?;
    let mut left_out = LeftOut::default();
    left_out.count(OTHERS, all.others);
    Ok(PassEntries {
        found: all.found.into_iter(),
        gpg,
        names: Distinct::default(),
        left_out,
        over: false,
    })
}

/// The secrets of a directory.
#[derive(Debug)]
pub struct PassEntries {
    found: std::vec::IntoIter<Found>,
    gpg: Gpg,
    names: Distinct,
    left_out: LeftOut,
    over: bool,
}

impl PassEntries {
    fn row(&mut self, found: Found) -> Result<Result<Row, BadRow>, Error> {
        let at = Position::File(found.path.clone());
        let bad = |why: String| BadRow { at: at.clone(), why };
        let name = found.path.to_str().and_then(|path| path.strip_suffix(".gpg"));
        let mut ready = || -> Result<_, String> {
            let place = found.place.as_ref().map_err(|why| (*why).to_owned())?;
            let name = name.ok_or("its name is not UTF-8")?;
            Ok((self.names.name(&[name])?, dir::content(place)?))
        };
        let (name, encrypted) = match ready() {
            Ok(ready) => ready,
            Err(why) => return Ok(Err(bad(why))),
        };
        match self.gpg.decrypt(encrypted) {
            Ok(text) => Ok(decrypted(text, at, name)),
            Err(Undecrypted::Bad(why)) => Ok(Err(bad(why))),
            // The same prompt or error applies to each file that follows.
            Err(Undecrypted::Locked) => Err(Error::NoPassphrase { path: found.path }),
            Err(Undecrypted::Cancelled) => Err(Error::Cancelled),
        }
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
        if self.over {
            return None;
        }
        let found = self.found.next()?;
        let row = self.row(found);
        self.over = row.is_err();
        Some(row)
    }
}

#[cfg(test)]
mod tests;
