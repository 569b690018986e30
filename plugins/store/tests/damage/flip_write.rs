//! Writes to a vault with a flipped byte: rejected, or done without further damage.

use keystead_plugin_api::{ErrorKind, Result, Secret, Value, Vault};

use crate::flip::{self, Sound};
use crate::vault::{self, Home, bytes, get};

/// A change for a test.
#[derive(Debug, Clone, Copy)]
enum Change {
    New,
    NewAndLong,
    Several,
    Replace,
    Remove,
    Metadata,
}

impl Change {
    const ALL: [Self; 6] =
        [Self::New, Self::Replace, Self::Remove, Self::Metadata, Self::NewAndLong, Self::Several];

    /// Returns the names that it changes, from the existing ones or new ones.
    fn names<'a>(self, there: &'a [&'a str], turn: usize) -> Vec<&'a str> {
        match self {
            Self::New | Self::NewAndLong => vec!["new"],
            Self::Several => vec!["new", "s1", "s2", "s3", "s4", "s5"],
            Self::Replace | Self::Remove | Self::Metadata => vec![there[turn % there.len()]],
        }
    }

    /// Returns the secret after the change; `None` for a removal.
    fn secret(self, old: Option<&Secret>) -> Option<Secret> {
        let old_metadata = old.map(|old| old.metadata.clone()).unwrap_or_default();
        match self {
            Self::New | Self::Several => Some(Secret::new(Value::text("canary new"))),
            Self::NewAndLong => Some(Secret::new(bytes(8, 9_000))),
            Self::Replace => Some(Secret::with_metadata(bytes(9, 700), old_metadata)),
            Self::Metadata => {
                let value = old?.value.duplicate();
                Some(Secret::with_metadata(value, vault::metadata("another, and longer")))
            }
            Self::Remove => None,
        }
    }

    fn run(self, vault: &mut dyn Vault, names: &[&str], new: Option<&Secret>) -> Result<()> {
        match (self, new) {
            (Self::Metadata, Some(new)) => {
                vault::set_metadata(vault, names[0], new.metadata.clone())
            }
            (_, Some(new)) => {
                let requests = names.iter().map(|name| vault::setting(name, new.value.duplicate()));
                vault::set_many(vault, requests)
            }
            (_, None) => vault::remove(vault, names[0]),
        }
    }
}

/// Changes a damaged vault, and returns any further damage.
fn faults(sound: &Sound, home: &Home, turn: usize) -> Vec<String> {
    let all: Vec<&str> = sound.secrets.keys().map(String::as_str).collect();
    let change = Change::ALL[turn % Change::ALL.len()];
    let names = change.names(&all, turn / Change::ALL.len());
    let before = match sound.readable(&mut *home.open(), &all) {
        Ok(before) => before,
        Err(fault) => return vec![fault],
    };
    let new = change.secret(sound.secrets.get(names[0]));
    let done = change.run(&mut *home.open(), &names, new.as_ref());

    let mut faults = Vec::new();
    let mut vault = home.open();
    let kept: Vec<&str> =
        before.iter().copied().filter(|name| done.is_err() || !names.contains(name)).collect();
    match sound.readable(&mut *vault, &kept) {
        Ok(after) if after == kept => {}
        Ok(after) => faults.push(format!("{change:?} {done:?}: of {kept:?} are left {after:?}")),
        Err(fault) => faults.push(format!("{change:?} {done:?}: {fault}")),
    }
    match done {
        Ok(()) => {
            for name in names {
                // A damaged secret may still be damaged, or be fixed without its metadata.
                let sound_before = !all.contains(&name) || before.contains(&name);
                match (get(&mut *vault, name), &new) {
                    (Ok(found), Some(new)) if found == *new => {}
                    (Ok(found), Some(new)) if found.value == new.value && !sound_before => {}
                    (Err(error), None) if error.kind() == ErrorKind::NotFound => {}
                    (Err(error), Some(_))
                        if error.kind() == ErrorKind::Corrupt
                            && !sound_before
                            && matches!(change, Change::Metadata) => {}
                    (found, _) => faults.push(format!("{change:?} was done, and: {found:?}")),
                }
            }
        }
        Err(error) if error.kind() == ErrorKind::Corrupt => {}
        Err(error) => faults.push(format!("{change:?}: {:?}: {error}", error.kind())),
    }
    home.put(&sound.file);
    faults
}

#[test]
fn write_to_damaged_file_keeps_readable_secrets() {
    let small = flip::small();
    let [live, quiet] = flip::each_byte(&small);
    // Each byte once, alternating between all bits and one bit; and some unused bytes.
    let flips: Vec<(usize, u8)> = live
        .chunks(2)
        .map(|both| both[both[0].0 % 2])
        .chain(quiet.into_iter().step_by(11))
        .collect();
    // Each change type meets each part of each page, but not each byte.
    small.flipped(&flips, |home, turn| faults(&small, home, turn));
}

#[test]
fn write_to_large_damaged_file_hides_no_secret() {
    // A write may damage adjacent content, and then reports it (docs/reference/limitations.md).
    let large = flip::large();
    let names: Vec<&str> = large.secrets.keys().map(String::as_str).collect();
    large.flipped(&flip::of_page_headers(&large), |home, turn| {
        let number = turn % 7 * 30;
        let done = vault::set(&mut *home.open(), "new", bytes(turn, 20 + number));
        let mut vault = home.open();
        let mut faults: Vec<String> =
            large.readable(&mut *vault, &names).err().into_iter().collect();
        match (done, get(&mut *vault, "new")) {
            (Ok(()), Ok(found)) if found.value == bytes(turn, 20 + number) => {}
            (Err(error), _) if error.kind() == ErrorKind::Corrupt => {}
            (done, found) => faults.push(format!("{done:?}, and: {found:?}")),
        }
        drop(vault);
        home.put(&large.file);
        faults
    });
}
