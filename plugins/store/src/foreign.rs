//! Safe SQLite access to a file that another user may have made. Nothing in its schema runs,
//! everything has a limit, and statements end at the call's deadline. Journals beside the file are
//! checked before SQLite follows them.

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

/// The most bytes of one column: a sealed value of the largest size, with some reserve.
const MAX_BLOB_BYTES: i32 = MAX_VALUE_BYTES as i32 + 64 * 1024;

/// Number of SQLite machine steps between deadline checks: some 100 microseconds.
const STEPS: i32 = 4_000;

/// Limits that suffice for this plugin's statements, with some reserve: SQLite parses the schema
/// before its origin is checked.
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

/// Switches, regardless of SQLite's compile options.
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

/// Makes a connection safe for a foreign file, before reading any part of it.
pub(crate) fn harden(connection: &mut Connection, until: &Until) -> rusqlite::Result<()> {
    for (switch, on) in SWITCHES {
        connection.set_db_config(switch, on)?;
    }
    for (limit, most) in LIMITS {
        connection.set_limit(limit, most)?;
    }
    let until = until.clone();
    connection.progress_handler(STEPS, Some(move || until.has_passed()))?;
    // No mapping: another process that truncates the file would end this one. Sorting uses no disk.
    // Not `cell_size_check`: it rejects a whole page for damage in one part, only on the first
    // read, and so hides readable secrets.
    connection.execute_batch("PRAGMA mmap_size=0; PRAGMA temp_store=2")
}

/// Deadline of the connection's current call, which SQLite checks while working.
#[derive(Clone)]
pub(crate) struct Until(Arc<Mutex<Deadline>>);

impl Until {
    pub(crate) fn new(deadline: Deadline) -> Self {
        Self(Arc::new(Mutex::new(deadline)))
    }

    /// Sets the deadline of a new call.
    pub(crate) fn set(&self, deadline: Deadline) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
    }

    fn has_passed(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).has_passed()
    }
}

/// Start of each part of a SQLite journal, and end of a journal that names a super-journal.
const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// Page size in bytes of files that this plugin writes.
const PAGE_BYTES: u32 = 4_096;

/// Offsets in a journal of its file's page count and page size, and the length up to there.
const JOURNAL_COUNT_AT: usize = 16;
const JOURNAL_SIZE_AT: usize = 24;
const JOURNAL_HEAD_BYTES: usize = 28;

/// Checks the files beside a database, which SQLite follows before reading. With a super-journal,
/// it *deletes* the named file; with a link, it truncates or overwrites the target. A write-ahead
/// log overrides the file's pages.
///
/// # Errors
/// `PermissionDenied` for a journal that is not a private file, `Corrupt` for foreign content.
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
        // The journal's writer has finished meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        Err(error) => Err(dir::failed("read", &journal, &error)),
    }
}

/// Returns why a journal is not from this plugin, if that is visible. Often it is not: SQLite's
/// checksums do not show the origin.
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
    // Without this start, SQLite does nothing with the journal.
    if !head.starts_with(&MAGIC) {
        return Ok(None);
    }
    let number = |at: usize| head[at..].first_chunk().copied().map(u32::from_be_bytes);
    Ok(match (number(JOURNAL_COUNT_AT), number(JOURNAL_SIZE_AT)) {
        // A vault's file gets its name only after its tables exist.
        (Some(0), _) => Some("it is of an empty file"),
        (_, Some(PAGE_BYTES)) => None,
        _ => Some("its pages have another size"),
    })
}

/// Rejects a path with a leftover journal of another file: SQLite would apply the journal to any
/// new file at the path.
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

/// Checks that a file's header has no write-ahead log: SQLite would create one. Only while this
/// process has not opened the file: closing drops locks.
///
/// # Errors
/// `Corrupt`.
pub(crate) fn has_no_log(path: &Path) -> Result<()> {
    /// Offset of the write and read versions in SQLite's header, and the version with a log.
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
        // Too short: SQLite reports the fault.
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
