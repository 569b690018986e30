//! A disk that guarantees only what `fsync` does: unsynced writes are there or not, in any order,
//! each sector separately.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::trace::Event;
use crate::child::Random;
use crate::vault::chmod;

/// Size in bytes of an atomic write.
const SECTOR: usize = 512;

/// Number of a file or a directory, under any name.
type Node = usize;

#[derive(Clone, Default)]
pub(crate) struct Disk {
    nodes: Vec<File>,
    /// Current file of each path, as processes see it.
    now: HashMap<PathBuf, Node>,
    /// File of each path after a power failure.
    lasting: BTreeMap<PathBuf, Node>,
    /// Unsynced changes of names, in order.
    names: Vec<Change>,
}

#[derive(Clone, Default)]
struct File {
    is_dir: bool,
    lasting: Vec<u8>,
    pending: Vec<Pending>,
}

#[derive(Clone)]
enum Pending {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

/// A change of names, atomic as on journalling file systems.
#[derive(Clone)]
enum Change {
    Add(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

impl Change {
    fn dir(&self) -> &Path {
        match self {
            Self::Add(path, _) | Self::Remove(path) | Self::Rename(path, _) => {
                path.parent().unwrap()
            }
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Add(path, node) => drop(names.insert(path.clone(), *node)),
            Self::Remove(path) => drop(names.remove(path)),
            Self::Rename(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }
}

impl Disk {
    /// Returns a disk with the content of this directory, all synced.
    pub(crate) fn of(dir: &Path) -> Self {
        let mut disk = Self::default();
        disk.take(dir);
        disk
    }

    fn take(&mut self, path: &Path) {
        let mut file = File { is_dir: path.is_dir(), ..File::default() };
        if file.is_dir {
            for entry in std::fs::read_dir(path).unwrap() {
                self.take(&entry.unwrap().path());
            }
        } else {
            file.lasting = std::fs::read(path).unwrap();
        }
        self.nodes.push(file);
        self.now.insert(path.to_owned(), self.nodes.len() - 1);
        self.lasting.insert(path.to_owned(), self.nodes.len() - 1);
    }

    /// Applies an event; `false` if it does not change the disk.
    pub(crate) fn happens(&mut self, event: &Event) -> bool {
        match event {
            Event::Mkdir(path) => self.add(path, true),
            Event::Make(path) if self.now.contains_key(path) => return false,
            Event::Make(path) => self.add(path, false),
            Event::Write(path, at, bytes) => {
                self.file(path).pending.push(Pending::Write(*at, bytes.clone()));
            }
            Event::Truncate(path, len) => self.file(path).pending.push(Pending::Truncate(*len)),
            Event::Sync(path) => self.sync(path),
            Event::Rename(from, to) => {
                assert!(!self.now.contains_key(to), "{} is replaced", to.display());
                let node = self.now.remove(from).unwrap();
                self.now.insert(to.clone(), node);
                self.names.push(Change::Rename(from.clone(), to.clone()));
            }
            Event::Unlink(path) => {
                self.now.remove(path).unwrap();
                self.names.push(Change::Remove(path.clone()));
            }
            Event::Say(_) => return false,
        }
        true
    }

    fn add(&mut self, path: &Path, is_dir: bool) {
        self.nodes.push(File { is_dir, ..File::default() });
        self.now.insert(path.to_owned(), self.nodes.len() - 1);
        self.names.push(Change::Add(path.to_owned(), self.nodes.len() - 1));
    }

    fn file(&mut self, path: &Path) -> &mut File {
        &mut self.nodes[self.now[path]]
    }

    fn sync(&mut self, path: &Path) {
        let file = &mut self.nodes[self.now[path]];
        for pending in std::mem::take(&mut file.pending) {
            pending.apply(&mut file.lasting);
        }
        if file.is_dir {
            for change in std::mem::take(&mut self.names) {
                match change.dir() == path {
                    true => change.apply(&mut self.lasting),
                    false => self.names.push(change),
                }
            }
        }
    }

    /// Simulates a power failure: writes the remains of a directory into another one.
    pub(crate) fn fails(&self, from: &Path, into: &Path, random: &mut Random) {
        // From almost none to almost all changes.
        let share = random.below(101);
        let mut names = self.lasting.clone();
        for change in &self.names {
            if random.below(100) < share {
                change.apply(&mut names);
            }
        }
        // A directory comes before its content; the content of a lost directory is lost.
        for (path, node) in &names {
            let Ok(below) = path.strip_prefix(from) else { continue };
            let target = into.join(below);
            if below.as_os_str().is_empty() || !target.parent().unwrap().is_dir() {
                continue;
            }
            let file = &self.nodes[*node];
            if file.is_dir {
                std::fs::DirBuilder::new().mode(0o700).create(&target).unwrap();
            } else {
                std::fs::write(&target, file.left(share, random)).unwrap();
                chmod(&target, 0o600);
            }
        }
    }
}

impl File {
    /// Returns the remains of a file: any unsynced writes, in any order.
    fn left(&self, share: usize, random: &mut Random) -> Vec<u8> {
        let mut parts = Vec::new();
        for pending in &self.pending {
            match pending {
                Pending::Truncate(len) => parts.push(Pending::Truncate(*len)),
                Pending::Write(at, bytes) => {
                    let mut at = *at;
                    let mut bytes = &bytes[..];
                    while !bytes.is_empty() {
                        let len = (SECTOR - at % SECTOR).min(bytes.len());
                        parts.push(Pending::Write(at, bytes[..len].to_vec()));
                        (at, bytes) = (at + len, &bytes[len..]);
                    }
                }
            }
        }
        parts.retain(|_| random.below(100) < share);
        // In half of the cases in the original order.
        if random.below(2) == 0 {
            for at in (1..parts.len()).rev() {
                parts.swap(at, random.below(at + 1));
            }
        }
        let mut left = self.lasting.clone();
        parts.iter().for_each(|part| part.apply(&mut left));
        left
    }
}

impl Pending {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Truncate(len) => file.resize(*len, 0),
            Self::Write(at, bytes) => {
                let end = at + bytes.len();
                if file.len() < end {
                    file.resize(end, 0);
                }
                file[*at..end].copy_from_slice(bytes);
            }
        }
    }
}
