//! Flips each byte of a vault's file: no value is wrong, and no existing secret is "not found".

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use keystead_plugin_api::{ErrorKind, Secret, Value, Vault};

use crate::vault::{self, Home, bytes, get, list, verify};

/// Names without a secret.
const ABSENT: [&str; 3] = ["removed", "d", "Text "];

/// Page size in bytes.
const PAGE: usize = 4_096;

/// A vault whose file will be flipped.
pub(crate) struct Sound {
    pub(crate) home: Home,
    pub(crate) file: Vec<u8>,
    pub(crate) secrets: BTreeMap<String, Secret>,
}

/// Returns a vault with a dozen secrets, a value of many pages, and free pages.
pub(crate) fn small() -> Sound {
    let home = Home::new();
    let mut vault = home.open();
    let secrets = vault::dozen();
    vault::fill(&mut *vault, &secrets);
    vault::set(&mut *vault, "removed", bytes(6, 9_000)).unwrap();
    vault::set(&mut *vault, "removed too", bytes(7, 30)).unwrap();
    for name in ["removed", "removed too"] {
        vault::remove(&mut *vault, name).unwrap();
    }
    Sound::new(home, secrets)
}

/// Returns a vault whose tables are trees of pages.
pub(crate) fn tree() -> Sound {
    let home = Home::new();
    let secrets = (0..200)
        .map(|number| (format!("n{number}"), Secret::new(Value::text(format!("canary {number}")))))
        .collect();
    vault::fill(&mut *home.open(), &secrets);
    Sound::new(home, secrets)
}

/// Returns a vault that is too large for a full check at each write.
pub(crate) fn large() -> Sound {
    let home = Home::new();
    let mut secrets: BTreeMap<String, Secret> = (0..60)
        .map(|number| (format!("n{number}"), Secret::new(Value::text(format!("canary {number}")))))
        .collect();
    secrets.insert("large".to_owned(), Secret::new(bytes(1, 1_200_000)));
    vault::fill(&mut *home.open(), &secrets);
    Sound::new(home, secrets)
}

impl Sound {
    fn new(home: Home, secrets: BTreeMap<String, Secret>) -> Self {
        let file = std::fs::read(home.file()).unwrap();
        let sound = Self { home, file, secrets };
        let all: Vec<&str> = sound.secrets.keys().map(String::as_str).collect();
        assert_eq!(sound.faults(&mut *sound.home.open(), &all), [""; 0]);
        sound
    }

    /// Returns which of these names have a readable secret.
    ///
    /// # Errors
    /// A result that no damage may cause.
    pub(crate) fn readable<'a>(
        &self,
        vault: &mut dyn Vault,
        names: &[&'a str],
    ) -> Result<Vec<&'a str>, String> {
        let mut readable = Vec::new();
        for name in names {
            match get(vault, name) {
                Ok(found) if found == self.secrets[*name] => readable.push(*name),
                Ok(_) => return Err(format!("`{name}` has a wrong value")),
                Err(error) if error.kind() == ErrorKind::Corrupt => {}
                Err(error) => return Err(format!("`{name}`: {:?}: {error}", error.kind())),
            }
        }
        Ok(readable)
    }

    /// Returns all results that no damage may cause.
    fn faults(&self, vault: &mut dyn Vault, names: &[&str]) -> Vec<String> {
        let mut faults = Vec::new();
        let whole = match self.readable(vault, names) {
            Ok(readable) => readable.len() == names.len(),
            Err(fault) => {
                faults.push(fault);
                false
            }
        };
        for name in ABSENT {
            match get(vault, name).map_err(|error| error.kind()) {
                Err(ErrorKind::NotFound | ErrorKind::Corrupt) => {}
                other => faults.push(format!("`{name}` is not there, and: {other:?}")),
            }
        }
        // More than one page.
        match list(vault, self.secrets.len() * 2 / 5) {
            Ok(listed) => {
                let same = listed.len() == self.secrets.len()
                    && self.secrets.iter().all(|(name, secret)| {
                        listed.get(name).is_some_and(|entry| entry.metadata == secret.metadata)
                    });
                if !same {
                    faults.push(format!("the list has {} entries", listed.len()));
                }
            }
            Err(error) if error.kind() == ErrorKind::Corrupt => {}
            Err(error) => faults.push(format!("the list: {:?}: {error}", error.kind())),
        }
        match verify(vault) {
            Ok(_) if whole => {}
            Ok(said) => faults.push(format!("a secret cannot be read, and the check: {said}")),
            Err(error) if error.kind() == ErrorKind::Corrupt => {}
            Err(error) => faults.push(format!("the check: {:?}: {error}", error.kind())),
        }
        faults
    }

    /// Flips these bits one after another, and asserts that `judge` finds no fault.
    pub(crate) fn flipped(
        &self,
        flips: &[(usize, u8)],
        judge: impl Fn(&Home, usize) -> Vec<String> + Sync,
    ) {
        let next = AtomicUsize::new(0);
        let work = || {
            let home = self.home.copied();
            let mut faults = Vec::new();
            loop {
                let turn = next.fetch_add(1, Ordering::Relaxed);
                let Some(&(at, mask)) = flips.get(turn) else { return faults };
                // Only the vault may have the file open during a call.
                let put = |byte: u8| {
                    let file = File::options().write(true).open(home.file()).unwrap();
                    file.write_all_at(&[byte], at as u64).unwrap();
                };
                put(self.file[at] ^ mask);
                for fault in judge(&home, turn) {
                    faults.push(format!("byte {at} ^ {mask:#04x}: {fault}"));
                }
                put(self.file[at]);
            }
        };
        let faults: Vec<String> = thread::scope(|scope| {
            let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let shown = &faults[..faults.len().min(20)];
        assert!(faults.is_empty(), "{} faults of {} flips: {shown:#?}", faults.len(), flips.len());
    }

    /// Returns the use of each page.
    fn pages(&self) -> impl Iterator<Item = (usize, Use)> {
        self.file.chunks(PAGE).enumerate().map(|(number, page)| {
            let what = match page[0] {
                _ if number < 2 => Use::Map,
                0x05 => Use::Branch,
                0x0d => Use::Leaf,
                _ => Use::Value,
            };
            (number * PAGE, what)
        })
    }
}

/// Use of a page.
#[derive(Clone, Copy, PartialEq)]
enum Use {
    /// The file's header and schema, and the map of pages.
    Map,
    /// A page that links to other pages of its table.
    Branch,
    /// A page with rows.
    Leaf,
    /// A part of one long value, or a free page.
    Value,
}

/// Returns flips of the headers of all pages with rows or links.
pub(crate) fn of_page_headers(sound: &Sound) -> Vec<(usize, u8)> {
    let pages = sound.pages().filter(|(_, what)| matches!(what, Use::Branch | Use::Leaf));
    pages
        .flat_map(|(start, _)| start..start + 40)
        .flat_map(|at| [(at, 0xff), (at, one_bit(at))])
        .collect()
}

/// Returns one bit of a byte, which differs between bytes.
fn one_bit(at: usize) -> u8 {
    1 << (at.wrapping_mul(2_654_435_761) >> 7 & 7)
}

/// Returns two flips of each byte with structure or content, and one of each byte that is deep in a
/// long value or unused.
pub(crate) fn each_byte(sound: &Sound) -> [Vec<(usize, u8)>; 2] {
    let (mut live, mut quiet) = (Vec::new(), Vec::new());
    for (start, what) in sound.pages() {
        for at in start..start + PAGE {
            let all = (at, 0xff);
            let one = (at, one_bit(at));
            let around = &sound.file[at.saturating_sub(8)..(at + 8).min(sound.file.len())];
            match what == Use::Value || around.iter().all(|byte| *byte == 0) {
                true if at % 2 == 0 => quiet.push(all),
                true => quiet.push(one),
                false => live.extend([all, one]),
            }
        }
    }
    assert_eq!(live.len() / 2 + quiet.len(), sound.file.len());
    [live, quiet]
}

#[test]
fn flipped_byte_gives_no_wrong_or_missing_secret() {
    let small = small();
    let names: Vec<&str> = small.secrets.keys().map(String::as_str).collect();
    let [live, _] = each_byte(&small);
    small.flipped(&live, |home, _| small.faults(&mut *home.open(), &names));
}

#[test]
fn flipped_byte_in_long_value_gives_no_wrong_secret() {
    let small = small();
    let names: Vec<&str> = small.secrets.keys().map(String::as_str).collect();
    let [_, quiet] = each_byte(&small);
    small.flipped(&quiet, |home, turn| small.faults(&mut *home.open(), &some_of(&names, turn, 4)));
}

/// Returns some of these names, others at each turn: the list and the check cover all.
fn some_of<'a>(names: &[&'a str], turn: usize, count: usize) -> Vec<&'a str> {
    (0..count).map(|n| names[(turn * count + n) % names.len()]).collect()
}

#[test]
fn flipped_byte_in_branch_page_hides_no_secret() {
    let tree = tree();
    let names: Vec<&str> = tree.secrets.keys().map(String::as_str).collect();
    let flips: Vec<(usize, u8)> = tree
        .pages()
        .filter(|(_, what)| *what == Use::Branch)
        .flat_map(|(start, _)| start..start + PAGE)
        .filter(|at| tree.file[*at] != 0)
        .flat_map(|at| [(at, 0xff), (at, one_bit(at)), (at, one_bit(at + 1)), (at, 1)])
        .collect();
    assert!(tree.pages().filter(|(_, what)| *what == Use::Branch).count() >= 2);
    tree.flipped(&flips, |home, _| tree.faults(&mut *home.open(), &names));
}

#[test]
fn flipped_byte_in_page_tree_hides_no_secret() {
    let tree = tree();
    let names: Vec<&str> = tree.secrets.keys().map(String::as_str).collect();
    let flips: Vec<(usize, u8)> =
        (0..tree.file.len()).step_by(13).map(|at| (at, one_bit(at))).collect();
    tree.flipped(&flips, |home, turn| tree.faults(&mut *home.open(), &some_of(&names, turn, 5)));
}
