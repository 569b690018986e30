//! The ledger's file. Each write or removal appends one entry, under a lock of the system. A name's
//! last entry counts. A killed writer can leave an incomplete entry, which does not count; the next
//! writer truncates it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Bound;
use std::path::PathBuf;
use std::time::Duration;

use keystead_plugin_api::{
    Deadline, DescribeRequest, Entry, Error, GetRequest, ListRequest, Page, RemoveRequest, Removed,
    Result, Secret, SecretBytes, SecretName, SetRequest, Written,
};

use crate::entry::{self, Line};

/// Largest size of a ledger in bytes: the whole ledger is held in memory.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Whether names that differ by case are two secrets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Matters,
    Ignored,
}

/// The file and the secrets read from it.
pub(crate) struct LedgerFile {
    path: PathBuf,
    case: Case,
    read: u64,
    secrets: BTreeMap<String, (SecretName, Secret)>,
}

impl LedgerFile {
    /// Returns the ledger in this file, without opening the file.
    pub(crate) fn new(path: PathBuf, case: Case) -> Self {
        Self { path, case, read: 0, secrets: BTreeMap::new() }
    }

    fn key(&self, name: &str) -> String {
        match self.case {
            Case::Matters => name.to_owned(),
            Case::Ignored => name.to_lowercase(),
        }
    }

    /// Checks that the ledger can be read.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.refresh()
    }

    pub(crate) fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        if request.version.is_some() {
            return Err(Error::unsupported("a ledger gives out last entries only"));
        }
        self.refresh()?;
        let (_, secret) =
            self.secrets.get(&self.key(request.name.as_str())).ok_or_else(Error::not_found)?;
        Ok(Secret::with_metadata(secret.value.duplicate(), secret.metadata.clone()))
    }

    pub(crate) fn describe(&mut self, request: &DescribeRequest) -> Result<Entry> {
        self.refresh()?;
        let found = self.secrets.get(&self.key(request.name.as_str()));
        found.map(entry_of).ok_or_else(Error::not_found)
    }

    pub(crate) fn list(&mut self, request: &ListRequest) -> Result<Page> {
        self.refresh()?;
        let from = request.cursor.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.secrets.range::<str, _>((from, Bound::Unbounded)).peekable();
        let mut page = Page::default();
        let mut last = None;
        for (key, found) in rest.by_ref().take(request.limit) {
            page.entries.push(entry_of(found));
            last = Some(key.clone());
        }
        page.next_cursor = rest.peek().and(last);
        Ok(page)
    }

    pub(crate) fn set(&mut self, request: SetRequest) -> Result<Written> {
        let SetRequest { name, value, metadata, mode, deadline, .. } = request;
        let mut file = self.locked(deadline)?;
        let present = self.secrets.get(&self.key(name.as_str())).map(|(_, secret)| secret);
        mode.check(present.is_some())?;
        let kept = || present.map(|secret| secret.metadata.clone()).unwrap_or_default();
        let metadata = metadata.unwrap_or_else(kept);
        self.append(&mut file, Line::Set(name, value, metadata)).map(|()| Written::new())
    }

    pub(crate) fn remove(&mut self, request: &RemoveRequest) -> Result<Removed> {
        let mut file = self.locked(request.deadline)?;
        if !self.secrets.contains_key(&self.key(request.name.as_str())) {
            return Err(Error::not_found());
        }
        self.append(&mut file, Line::Remove(request.name.clone())).map(|()| Removed::new())
    }

    /// Opens the file under an exclusive lock, and reads new entries.
    fn locked(&mut self, deadline: Deadline) -> Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&self.path).map_err(|fault| self.failed("written", &fault))?;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if deadline.has_passed() => {
                    return Err(Error::timed_out());
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(2)),
                Err(TryLockError::Error(fault)) => return Err(self.failed("locked", &fault)),
            }
        }
        self.read_on(&file)?;
        Ok(file)
    }

    fn append(&mut self, file: &mut File, line: Line) -> Result<()> {
        let bytes = entry::write(&line)?;
        if self.read + bytes.len() as u64 > MAX_BYTES {
            return Err(Error::invalid("the ledger is full"));
        }
        let written = file
            .set_len(self.read)
            .and_then(|()| file.seek(SeekFrom::Start(self.read)))
            .and_then(|_| file.write_all(bytes.expose()))
            .and_then(|()| file.sync_all());
        written.map_err(|fault| self.failed("written", &fault))?;
        self.read += bytes.len() as u64;
        self.enter(line);
        Ok(())
    }

    /// Reads new entries; a missing file is an empty ledger.
    fn refresh(&mut self) -> Result<()> {
        match File::open(&self.path) {
            Ok(file) => self.read_on(&file),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
                (self.read, self.secrets) = (0, BTreeMap::new());
                Ok(())
            }
            Err(fault) => Err(self.failed("read", &fault)),
        }
    }

    fn read_on(&mut self, mut file: &File) -> Result<()> {
        let meta = file.metadata().map_err(|fault| self.failed("read", &fault))?;
        let len = meta.len();
        if !meta.is_file() || len > MAX_BYTES {
            let path = self.path.display();
            return Err(Error::invalid(format!("{path} is no file, or too large for a ledger")));
        }
        if len < self.read {
            // Another process has replaced the file.
            (self.read, self.secrets) = (0, BTreeMap::new());
        }
        if len == self.read {
            return Ok(());
        }
        let mut rest = vec![0; usize::try_from(len - self.read).unwrap_or(usize::MAX)];
        let read = file.seek(SeekFrom::Start(self.read)).and_then(|_| file.read_exact(&mut rest));
        let rest = SecretBytes::new(rest);
        read.map_err(|fault| self.failed("read", &fault))?;
        let mut at = 0;
        while let Some((line, end)) = entry::read(rest.expose(), at).map_err(|fault| {
            let from = self.read + at as u64;
            Error::corrupt(format!("{}, byte {from}: {fault}", self.path.display()))
        })? {
            self.enter(line);
            at = end;
        }
        self.read += at as u64;
        Ok(())
    }

    fn enter(&mut self, line: Line) {
        match line {
            Line::Set(name, value, metadata) => {
                let secret = Secret::with_metadata(value, metadata);
                self.secrets.insert(self.key(name.as_str()), (name, secret));
            }
            Line::Remove(name) => {
                self.secrets.remove(&self.key(name.as_str()));
            }
        }
    }

    fn failed(&self, what: &str, fault: &io::Error) -> Error {
        Error::unavailable(format!("{} cannot be {what}: {fault}", self.path.display()))
    }
}

fn entry_of((name, secret): &(SecretName, Secret)) -> Entry {
    Entry::new(name.clone(), Some(secret.value.kind()), secret.metadata.clone())
}
