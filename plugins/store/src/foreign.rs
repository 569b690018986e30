//! A file that somebody else may have made, as SQLite is let read it: nothing in its schema is
//! run, everything has a limit, statements end at the call's deadline, and what lies beside it
//! (journals) is looked at before SQLite obeys it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use keystead_plugin_api::{Deadline, Error, MAX_VALUE_BYTES, Result};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;

use crate::dir;

/// The most bytes of one column: a value of the largest size, sealed, and room to spare.
const MAX_BLOB_BYTES: i32 = MAX_VALUE_BYTES as i32 + 64 * 1024;

/// After how many steps of SQLite's machine the deadline is looked at: some 100 microseconds.
const STEPS: i32 = 4_000;

/// What SQLite may do for our own statements, and somewhat more: the schema that it parses before
/// we see it is not ours yet.
const LIMITS: [(Limit, i32); 11] = [
    (Limit::SQLITE_LIMIT_LENGTH, MAX_BLOB_BYTES),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 1_000),
    (Limit::SQLITE_LIMIT_COLUMN, 16),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 16),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 2),
    (Limit::SQLITE_LIMIT_VDBE_OP, 5_000),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 8),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 8),
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 1),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];

/// What is on or off, whatever SQLite was compiled for.
const SWITCHES: [(DbConfig, bool); 8] = [
    (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
    (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
    (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false),
    (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
    (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
];

/// Makes a connection safe for a foreign file, before anything of the file is read.
pub(crate) fn harden(connection: &mut Connection, until: &Until) -> rusqlite::Result<()> {
    for (switch, on) in SWITCHES {
        connection.set_db_config(switch, on)?;
    }
    for (limit, most) in LIMITS {
        connection.set_limit(limit, most)?;
    }
    let until = until.clone();
    connection.progress_handler(STEPS, Some(move || until.has_passed()))?;
    // No part of the file is mapped, where another process that cuts it would end this one; what
    // is sorted is written nowhere. Not `cell_size_check`: it refuses a page that is damaged in
    // one place as a whole, the first time only, and so takes secrets away that can be read.
    connection.execute_batch("PRAGMA mmap_size=0; PRAGMA temp_store=2")
}

/// The deadline of the call that a connection works for. SQLite asks for it while it works.
#[derive(Clone)]
pub(crate) struct Until(Arc<Mutex<Deadline>>);

impl Until {
    pub(crate) fn new(deadline: Deadline) -> Self {
        Self(Arc::new(Mutex::new(deadline)))
    }

    /// Another call has begun.
    pub(crate) fn set(&self, deadline: Deadline) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
    }

    fn has_passed(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).has_passed()
    }
}

/// What a journal of SQLite begins each of its parts with, and ends with where it names a
/// super-journal.
const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// How many bytes each page has that we write.
const PAGE_BYTES: u32 = 4_096;

/// Where a journal says how many pages its file had, and how many bytes each; and how many bytes
/// it has up to there.
const JOURNAL_COUNT_AT: usize = 16;
const JOURNAL_SIZE_AT: usize = 24;
const JOURNAL_HEAD_BYTES: usize = 28;

/// Checks what lies beside a file, which SQLite would obey before it reads anything: a journal
/// that names a super-journal has the named file *deleted*, one that is a link is cut off or
/// written over where it leads, and a write-ahead log lies over the file's pages.
///
/// # Errors
/// `Denied` for a journal that is no file of ours alone, `Damaged` for what we never write.
pub(crate) fn check_beside(path: &Path) -> Result<()> {
    let log = beside(path, "-wal");
    if there(&log)?.is_some() {
        return Err(Error::corrupt(format!(
            "{} is a write-ahead log, which this vault never has: another program has changed \
             {}; let that program put an end to it, or move it away with what it holds",
            log.display(),
            path.display()
        )));
    }
    let journal = beside(path, "-journal");
    let Some(found) = there(&journal)? else { return Ok(()) };
    let shown = journal.display();
    if !found.is_file() {
        return Err(Error::permission_denied(format!("{shown} is not a file: move it away")));
    }
    dir::private(&journal, &found, "600")?;
    if found.nlink() > 1 {
        return Err(Error::permission_denied(format!("{shown} has another name (a hard link)")));
    }
    if found.len() == 0 {
        return Ok(());
    }
    match is_not_ours(&journal, found.len()) {
        Ok(None) => Ok(()),
        Ok(Some(why)) => Err(Error::corrupt(format!(
            "{shown} is not of this vault ({why}): move it away, or to where its file is"
        ))),
        // Its writer was done meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        Err(error) => Err(dir::failed("read", &journal, &error)),
    }
}

/// Returns why we did not write a journal, where that can be seen. Most of it cannot: SQLite's
/// own checksums do not say whose it is.
fn is_not_ours(journal: &Path, len: u64) -> io::Result<Option<&'static str>> {
    let file = File::open(journal)?;
    let mut end = [0; 8];
    if let Some(at) = len.checked_sub(8) {
        file.read_exact_at(&mut end, at)?;
    }
    if end == MAGIC {
        return Ok(Some("it names a super-journal"));
    }
    let mut head = [0; JOURNAL_HEAD_BYTES];
    if len >= head.len() as u64 {
        file.read_exact_at(&mut head, 0)?;
    }
    // Where it does not begin so, there is nothing in it for SQLite to obey.
    if !head.starts_with(&MAGIC) {
        return Ok(None);
    }
    let number = |at: usize| head[at..].first_chunk().copied().map(u32::from_be_bytes);
    Ok(match (number(JOURNAL_COUNT_AT), number(JOURNAL_SIZE_AT)) {
        // A vault's file has its name only when it has its tables.
        (Some(0), _) => Some("it is of an empty file"),
        (_, Some(PAGE_BYTES)) => None,
        _ => Some("its pages have another size"),
    })
}

/// Refuses a path beside which another file has left its journal: SQLite would play it into
/// whatever comes to be called so.
pub(crate) fn no_journal(path: &Path) -> Result<()> {
    for suffix in ["-journal", "-wal"] {
        let journal = beside(path, suffix);
        if there(&journal)?.is_some_and(|found| !found.is_file() || found.len() > 0) {
            return Err(Error::unavailable(format!(
                "{} belongs to a file that is no longer there: move it away, or to where that \
                 file is",
                journal.display()
            )));
        }
    }
    Ok(())
}

/// Checks that a file does not say of itself that it has a write-ahead log: SQLite would make
/// one. Only while nothing of this process has the file open: closing it takes locks away.
///
/// # Errors
/// `Damaged`.
pub(crate) fn has_no_log(path: &Path) -> Result<()> {
    /// Where SQLite's header has the versions for writing and for reading, and what is a log's.
    const VERSIONS_AT: u64 = 18;
    const LOG: u8 = 2;
    let mut versions = [0; 2];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut versions, VERSIONS_AT));
    match read {
        Ok(()) if versions.contains(&LOG) => Err(Error::corrupt(format!(
            "{} is damaged: it says of itself that it has a write-ahead log, which this vault \
             never has",
            path.display()
        ))),
        Ok(()) => Ok(()),
        // Too short: SQLite says what it is.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        Err(error) => Err(dir::failed("read", path, &error)),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

fn there(path: &Path) -> Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(dir::failed("read", path, &error)),
    }
}
