//! The SQLite file of a vault. Opens only files of this plugin, reads and writes in transactions,
//! and converts each SQLite error to its meaning here.
//!
//! A rollback journal, not a write-ahead log (docs/decisions/0012). Everything committed is in the
//! one file, where damage is detected; a log with a flipped bit would silently lose its end.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keystead_plugin_api::{Deadline, Error, Result};
use rusqlite::ffi::ErrorCode;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};

use crate::chain::HEAD;
use crate::claim::{Claimed, FileId};
use crate::dir::{self, NewFile};
use crate::foreign::{self, Until};
use crate::header::VERSION;
use crate::keys::Keys;

/// The file's name in a vault's directory.
pub(crate) const FILE: &str = "store.db";

/// The most bytes of a header; 64 slots need 14 KiB.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// `KSTR`, which `file(1)` and SQLite's own tools show.
const APPLICATION: i32 = 0x4b53_5452;

/// Largest file, in pages, that is checked at each change: 1 MiB, some thousand secrets, in one
/// millisecond.
const CHECKED_PAGES: i64 = 256;

/// The tables, exactly as in an undamaged file. Its schema may contain nothing else, since a
/// trigger or a view would run foreign code.
const SCHEMA: [&str; 3] = [
    "CREATE TABLE header (id INTEGER PRIMARY KEY, body BLOB NOT NULL)",
    "CREATE TABLE secret (place INTEGER PRIMARY KEY, next INTEGER NOT NULL, \
     link BLOB NOT NULL, overview BLOB NOT NULL, value INTEGER NOT NULL)",
    "CREATE TABLE value (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL)",
];

/// First page of each table: page 1 has the schema, and page 2 the roles of the others
/// (`auto_vacuum`).
const ROOTS: [i64; 3] = [3, 4, 5];

/// An open file.
pub(crate) struct Database {
    path: PathBuf,
    id: FileId,
    connection: Claimed,
    until: Until,
    /// Whether the connection is prepared for writing.
    writable: bool,
}

impl Database {
    /// Opens the file in a vault's directory; `None` if there is none.
    ///
    /// # Errors
    /// `PermissionDenied` if other users have access, `Invalid` for a file that is not a vault's,
    /// `Unsupported` for a file of a later plugin version, `Corrupt`.
    /// `Unavailable` if the file existed before, or the directory holds other files: the file was
    /// moved away, and a "not found" would be wrong.
    /// `TimedOut`.
    pub(crate) fn open(in_dir: &Path, seen: bool, deadline: Deadline) -> Result<Option<Self>> {
        let path = in_dir.join(FILE);
        let mut found = identify(&path)?;
        if found.is_none() {
            if !seen && !holds_other_things(in_dir)? {
                return Ok(None);
            }
            // Another process may have created the vault meanwhile.
            found = identify(&path)?;
        }
        let Some(id) = found else {
            return Err(Error::unavailable(format!("{} is gone", path.display())));
        };
        dir::check(in_dir)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        foreign::check_beside(&path)?;
        let until = Until::new(deadline);
        let connection = Claimed::open(id, &path, |is_first| {
            if is_first {
                foreign::has_no_log(&path)?;
            }
            let mut connection =
                Connection::open_with_flags(&path, flags).map_err(|error| refused(&path, error))?;
            foreign::harden(&mut connection, &until).map_err(|error| refused(&path, error))?;
            Ok(connection)
        })?;
        wait_until(&connection, deadline)?;
        let database = Self { path, id, connection, until, writable: false };
        database.recognise()?;
        Ok(Some(database))
    }

    /// Creates the file of a new vault; `false` if there is one.
    pub(crate) fn create(in_dir: &Path, header: &[u8], keys: &Keys) -> Result<bool> {
        dir::make(in_dir)?;
        dir::check(in_dir)?;
        let path = in_dir.join(FILE);
        if let Err(error) = foreign::no_journal(&path) {
            // Another process may have created the vault meanwhile, and be writing to it.
            return identify(&path)?.map(|_| false).ok_or(error);
        }
        let (new, file) = NewFile::make(&path)?;
        let made = || -> rusqlite::Result<()> {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let mut connection = Connection::open_with_flags(new.temporary(), flags)?;
            // Free pages can be released without copying the whole file.
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
            connection.pragma_update(None, "application_id", APPLICATION)?;
            connection.pragma_update(None, "user_version", VERSION)?;
            let transaction = connection.transaction()?;
            for table in SCHEMA {
                transaction.execute(table, [])?;
            }
            transaction.execute("INSERT INTO header (id, body) VALUES (1, ?1)", [header])?;
            transaction.execute(
                "INSERT INTO secret (place, next, link, overview, value) VALUES (?1, ?1, ?2, x'', 0)",
                params![HEAD, keys.link(HEAD, HEAD)],
            )?;
            transaction.commit()?;
            connection.close().map_err(|(_, error)| error)
        };
        made().map_err(|error| refused(&path, error))?;
        file.sync_all().map_err(|error| dir::failed("write", &path, &error))?;
        // Closed before publication: closing drops this process's locks on the file.
        drop(file);
        new.publish()
    }

    /// Returns whether the path still leads to this file, which may have been moved away or
    /// restored, and whether the file is still open.
    pub(crate) fn is_still_there(&self) -> bool {
        matches!(identify(&self.path), Ok(Some(id)) if id == self.id) && self.connection.is_open()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the connection for reading. Waits for other processes until the deadline.
    pub(crate) fn reading(&self, deadline: Deadline) -> Result<&Connection> {
        self.begin(deadline)?;
        Ok(&self.connection)
    }

    /// Starts a call: SQLite looks for a journal at the start of each transaction.
    fn begin(&self, deadline: Deadline) -> Result<()> {
        foreign::check_beside(&self.path)?;
        self.until.set(deadline);
        wait_until(&self.connection, deadline)
    }

    /// Starts a write: no other process writes until the transaction is committed or dropped.
    pub(crate) fn writing(&mut self, deadline: Deadline) -> Result<Transaction<'_>> {
        self.begin(deadline)?;
        let path = &self.path;
        if !self.writable {
            // Both settings belong to a connection. Removed content is overwritten, in the file and
            // in its journal, which is truncated rather than kept.
            self.connection
                .pragma_update(None, "secure_delete", "ON")
                .and_then(|()| {
                    let set = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
                    self.connection.pragma_update_and_check(None, "journal_mode", "TRUNCATE", set)
                })
                .map_err(|error| refused(path, error))
                .and_then(|mode| match mode.as_str() {
                    "truncate" => Ok(()),
                    _ => Err(Error::unavailable(format!(
                        "{} was given a journal of another kind (`{mode}`), and is in use",
                        path.display()
                    ))),
                })?;
            self.writable = true;
        }
        self.connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| refused(path, error))
    }

    /// Returns the header's bytes.
    pub(crate) fn header(&self, deadline: Deadline) -> Result<Vec<u8>> {
        header(self.reading(deadline)?)
    }

    /// Checks that the file belongs to a vault.
    fn recognise(&self) -> Result<()> {
        let found = || -> rusqlite::Result<bool> {
            let sql = "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema";
            let mut statement = self.connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            let mut expected = SCHEMA.iter().zip(ROOTS);
            while let Some(row) = rows.next()? {
                let Some((sql, root)) = expected.next() else { return Ok(false) };
                let name = sql.split(' ').nth(2).unwrap_or_default();
                let is_text = |at, text: &str| {
                    Ok::<_, rusqlite::Error>(row.get_ref(at)? == ValueRef::Text(text.as_bytes()))
                };
                let is_ours = is_text(0, "table")?
                    && is_text(1, name)?
                    && is_text(2, name)?
                    && row.get_ref(3)? == ValueRef::Integer(root)
                    && is_text(4, sql)?;
                if !is_ours {
                    return Ok(false);
                }
            }
            Ok(expected.next().is_none())
        };
        let foreign = match found() {
            Ok(true) => return Ok(()),
            Ok(false) => None,
            // A damaged file is recognised by its undamaged parts.
            Err(error) if is_damage(&error) => Some(error),
            Err(error) => return Err(refused(&self.path, error)),
        };
        let marks = marks(&self.path).unwrap_or_default();
        let shown = self.path.display();
        match (marks.ours, foreign) {
            (true, None) if marks.version > u32::from(VERSION) => {
                Err(newer(&self.path, marks.version))
            }
            (true, Some(error)) => Err(refused(&self.path, error)),
            (true, None) => {
                Err(Error::corrupt(format!("{shown} is damaged: its tables are not ours")))
            }
            (false, _) => Err(Error::invalid(format!("{shown} is not a vault's file"))),
        }
    }
}

/// Lets a connection wait for other processes until the deadline.
///
/// # Errors
/// `TimedOut`.
pub(crate) fn wait_until(file: &Connection, deadline: Deadline) -> Result<()> {
    let left = deadline.remaining();
    if left.is_zero() {
        return Err(Error::timed_out());
    }
    // A little less, to leave time for reporting a timeout.
    let wait = left.saturating_sub((left / 10).min(Duration::from_millis(500)));
    file.busy_timeout(wait).map_err(|error| fault(file, error))
}

/// Returns whether a directory without a vault's file contains anything else. Names with a leading
/// dot may be leftovers of an unfinished vault.
fn holds_other_things(dir: &Path) -> Result<bool> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(dir::failed("read", dir, &error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| dir::failed("read", dir, &error))?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the header's bytes.
pub(crate) fn header(file: &Connection) -> Result<Vec<u8>> {
    let found = file
        .query_row("SELECT body FROM header WHERE id = 1", [], |row| {
            let body = row.get_ref(0)?.as_blob()?;
            Ok((body.len() <= MAX_HEADER_BYTES).then(|| body.to_vec()))
        })
        .map_err(|error| fault(file, error))?;
    found.ok_or_else(|| damaged(file, "its header is too long"))
}

/// Checks the file's own structure before a change is committed: a page with wrong free bytes would
/// lose content. Skips files for which the check takes longer than the disk.
pub(crate) fn check(file: &Connection) -> Result<()> {
    let pages: i64 = file
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .map_err(|error| fault(file, error))?;
    if pages > CHECKED_PAGES {
        return Ok(());
    }
    match said_of_structure(file)?.as_str() {
        "ok" => Ok(()),
        said => Err(damaged(file, said)),
    }
}

/// Returns SQLite's report on the file's structure: `ok`, or its first fault.
pub(crate) fn said_of_structure(file: &Connection) -> Result<String> {
    file.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|error| fault(file, error))
}

/// Returns the error for a file of a later format.
pub(crate) fn newer(path: &Path, version: u32) -> Error {
    Error::unsupported(format!(
        "{} was written by a later version of this plugin (format {version}; this one reads up to \
         {VERSION})",
        path.display()
    ))
}

/// Returns the error for a damaged file.
pub(crate) fn damaged(file: &Connection, why: &str) -> Error {
    Error::corrupt(format!("{} is damaged: {why}", file.path().unwrap_or(FILE)))
}

/// Returns the plugin API's error for an error of SQLite.
pub(crate) fn fault(file: &Connection, error: rusqlite::Error) -> Error {
    refused(Path::new(file.path().unwrap_or(FILE)), error)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => {
            matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        }
        // Columns with another type than the plugin writes.
        rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::InvalidQuery
        | rusqlite::Error::QueryReturnedNoRows => true,
        _ => false,
    }
}

pub(crate) fn refused(path: &Path, error: rusqlite::Error) -> Error {
    let shown = path.display();
    if is_damage(&error) {
        return Error::corrupt(format!("{shown} is damaged: {error}"));
    }
    let rusqlite::Error::SqliteFailure(failure, _) = &error else {
        return Error::internal(format!("{shown}: {error}"));
    };
    match failure.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            Error::unavailable(format!("{shown} is in use by another process all the time"))
                .with_retry_after(Duration::from_secs(1))
        }
        // Only this plugin interrupts SQLite, at the deadline.
        ErrorCode::OperationInterrupted => Error::timed_out(),
        ErrorCode::DiskFull => {
            Error::unavailable(format!("cannot write {shown}: the disk, or a quota on it, is full"))
        }
        // SQLite's own error code, without a system error.
        ErrorCode::ReadOnly if failure.extended_code == SAYS_READ_ONLY && may_write(path) => {
            Error::corrupt(format!("{shown} is damaged: it says of itself that it is read-only"))
        }
        ErrorCode::ReadOnly if failure.extended_code == HOT_JOURNAL => {
            Error::unavailable(format!(
                "{shown}-journal was left by a crash, and has to be played back where the vault can be \
                 written; here it may only be read"
            ))
        }
        ErrorCode::ReadOnly if failure.extended_code == DIR_READ_ONLY => {
            Error::permission_denied(format!("cannot write beside {shown}: its directory may only be read"))
        }
        ErrorCode::ReadOnly if failure.extended_code == SAYS_READ_ONLY => {
            Error::permission_denied(format!("cannot write {shown}: it may only be read"))
        }
        ErrorCode::ReadOnly
        | ErrorCode::PermissionDenied
        | ErrorCode::AuthorizationForStatementDenied => {
            Error::permission_denied(format!("cannot write {shown}: {error}"))
        }
        ErrorCode::CannotOpen => {
            Error::permission_denied(format!("cannot open {shown}, or write beside it: {error}"))
        }
        // The tables differ from those that were recognised.
        ErrorCode::Unknown
        | ErrorCode::ConstraintViolation
        | ErrorCode::TypeMismatch
        // An impossible size.
        | ErrorCode::TooBig => {
            Error::corrupt(format!("{shown} is damaged: {error}"))
        }
        ErrorCode::SystemIoFailure if NOT_WRITTEN.contains(&failure.extended_code) => {
            Error::unavailable(format!(
                "cannot write {shown}: the system refuses it; a quota, a limit on the size of files \
                 or a fault of the disk ({error})"
            ))
        }
        _ => Error::unavailable(format!("cannot use {shown}: {error}")),
    }
}

/// SQLite's `SQLITE_READONLY` without a reason: the file was opened read-only, or its header
/// requires a later SQLite.
const SAYS_READ_ONLY: i32 = 8;

/// SQLite's `SQLITE_READONLY_ROLLBACK`: a journal needs a rollback, but writing is not possible.
const HOT_JOURNAL: i32 = 8 | (3 << 8);

/// SQLite's `SQLITE_READONLY_DIRECTORY`: no journal can be created.
const DIR_READ_ONLY: i32 = 8 | 6 << 8;

/// SQLite's `SQLITE_IOERR` for writing, syncing, syncing a directory, truncating and removing a
/// file.
const NOT_WRITTEN: [i32; 5] = [10 | 3 << 8, 10 | 4 << 8, 10 | 5 << 8, 10 | 6 << 8, 10 | 10 << 8];

fn may_write(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Returns the identity of the file; `None` if there is none.
fn identify(path: &Path) -> Result<Option<FileId>> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(dir::failed("read", path, &error)),
    };
    if !found.is_file() {
        return Err(Error::invalid(format!("{} is not a file", path.display())));
    }
    dir::private(path, &found, "600")?;
    // A journal lies beside one name of a file: another name would hide it.
    if found.nlink() > 1 {
        return Err(Error::permission_denied(format!(
            "{} has another name (a hard link)",
            path.display()
        )));
    }
    Ok(Some(FileId { device: found.dev(), inode: found.ino() }))
}

/// Marks in the first bytes of a file.
#[derive(Default)]
struct Marks {
    ours: bool,
    version: u32,
}

/// Reads the marks in the file's SQLite header. Only after SQLite failed: closing the file drops
/// locks that this process may have on it.
fn marks(path: &Path) -> io::Result<Marks> {
    use std::io::Read;
    let mut start = Vec::with_capacity(4_096);
    fs::File::open(path)?.take(4_096).read_to_end(&mut start)?;
    let number = |at: usize| {
        let bytes = start.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_be_bytes)
    };
    // Either mark may be damaged.
    let has = |text: &str| start.windows(text.len()).any(|window| window == text.as_bytes());
    let ours = number(68) == APPLICATION as u32 || has(&SCHEMA[1][..60]) || has(&SCHEMA[2][..40]);
    Ok(Marks { ours, version: number(60) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journal_of_a_crash_is_named_where_nothing_may_be_written() {
        let failure = rusqlite::ffi::Error::new(HOT_JOURNAL);
        let error = rusqlite::Error::SqliteFailure(failure, None);
        let told = refused(Path::new("/v/store.db"), error);
        assert_eq!(told.kind(), keystead_plugin_api::ErrorKind::Unavailable);
        assert!(told.message().starts_with("/v/store.db-journal was left by a crash"), "{told}");
    }
}
