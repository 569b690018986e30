//! Spelling of names in a directory. Some file systems (vfat, NTFS, ext4 with `casefold`) find a
//! file by other spellings of its name, and list the name as created.

use keystead_plugin_api::{Result, SecretName};
use rustix::fs::{Dir, Stat};

use crate::dir::Snapshot;
use crate::entry::{self, Look};
use crate::failed;
use crate::name;

/// Returns the listed name of a file that was found by this name.
///
/// # Errors
/// Errors of the system.
pub(crate) fn of(snapshot: &Snapshot, name: &SecretName, stat: &Stat) -> Result<SecretName> {
    let is_file = |other: &str| {
        let found = entry::look(snapshot, other)?;
        Ok(matches!(found, Look::File(other) if same(&other, stat)))
    };
    let listed = || -> Result<Vec<SecretName>> {
        let read = |error| failed("read", &snapshot.path, error);
        let mut names = Vec::new();
        for found in Dir::read_from(&snapshot.dir).map_err(read)? {
            let found = found.map_err(read)?;
            names.extend(name::of_file(found.file_name().to_bytes()).ok().flatten());
        }
        Ok(names)
    };
    spelt(name, &is_file, &listed)
}

fn same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// Returns the listed name of the file that this name finds. The directory is listed only if
/// another spelling also finds the file: most file systems distinguish spellings.
fn spelt(
    name: &SecretName,
    is_file: &dyn Fn(&str) -> Result<bool>,
    listed: &dyn Fn() -> Result<Vec<SecretName>>,
) -> Result<SecretName> {
    let other = swapped(name.as_str());
    if other == name.as_str() || !is_file(&other)? {
        return Ok(name.clone());
    }
    let names = listed()?;
    if names.contains(name) {
        return Ok(name.clone());
    }
    // A hard link is another name of the file, not another spelling.
    let folded = name.as_str().to_lowercase();
    let alike = names.into_iter().filter(|other| other.as_str().to_lowercase() == folded);
    for other in alike {
        if is_file(other.as_str())? {
            return Ok(other);
        }
    }
    Ok(name.clone())
}

/// Returns a name with each letter in its other case, if that is one character.
fn swapped(name: &str) -> String {
    let other = |c: char| match c.is_uppercase() {
        true => alone(c.to_lowercase()).unwrap_or(c),
        false => alone(c.to_uppercase()).unwrap_or(c),
    };
    name.chars().map(other).collect()
}

fn alone(mut chars: impl Iterator<Item = char>) -> Option<char> {
    chars.next().filter(|_| chars.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SecretName {
        SecretName::parse(text).unwrap()
    }

    /// Returns the spelling of a name in a directory with these files, each listed by its name.
    fn spelt_in(files: &[&str], folds: bool, asked: &str) -> (String, bool) {
        let key = |text: &str| if folds { text.to_lowercase() } else { text.to_owned() };
        let looked = std::cell::Cell::new(false);
        let is_file = |other: &str| {
            let there = files.iter().any(|file| key(file) == key(other));
            Ok(there && key(other) == key(asked))
        };
        let listed = || {
            looked.set(true);
            Ok(files.iter().map(|file| name(file)).collect())
        };
        let spelt = spelt(&name(asked), &is_file, &listed).unwrap();
        (spelt.to_string(), looked.get())
    }

    #[test]
    fn name_in_case_insensitive_dir_uses_listed_spelling() {
        for (asked, listed) in [
            ("TOKEN", "Token"),
            ("Token", "Token"),
            ("token", "Token"),
            ("\u{c9}T\u{c9}", "\u{e9}t\u{e9}"),
        ] {
            let spelt = spelt_in(&["Token", "other", "\u{e9}t\u{e9}"], true, asked);
            assert_eq!(spelt, (listed.to_owned(), true), "{asked}");
        }
    }

    #[test]
    fn name_in_case_sensitive_dir_is_kept_without_listing() {
        for asked in ["Token", "TOKEN", "12-3"] {
            let spelt = spelt_in(&["Token", "TOKEN", "12-3"], false, asked);
            assert_eq!(spelt, (asked.to_owned(), false), "{asked}");
        }
    }

    #[test]
    fn swapped_name_has_opposite_letter_case() {
        assert_eq!(swapped("Ab-1\u{df}\u{e9}"), "aB-1\u{df}\u{c9}");
    }
}
