//! List of a directory, read once and returned page by page: all pages show the same moment.

use std::collections::VecDeque;

use keystead_plugin_api::{Deadline, Entry, Error, ListRequest, Page, Result};
use rustix::fs::Dir;

use crate::dir::{Read, SecretsDir, Snapshot};
use crate::entry::{self, Look};
use crate::failed;
use crate::name;

/// Number of files between two checks of the deadline.
const BETWEEN_LOOKS: usize = 1_024;

/// Remaining entries of a listing, after the page that ended with this cursor.
pub(crate) struct Rest {
    cursor: String,
    entries: VecDeque<Entry>,
}

/// Everything in a directory.
#[derive(Default)]
pub(crate) struct Contents {
    /// Secrets, sorted by name.
    pub(crate) entries: Vec<Entry>,
    /// Skipped names in the directory, each with the reason.
    pub(crate) left_out: Vec<String>,
}

/// Returns the contents of a snapshot.
///
/// # Errors
/// `TimedOut`, and errors of the system.
pub(crate) fn contents(snapshot: &Snapshot, deadline: Deadline) -> Result<Contents> {
    let read = |error| failed("read", &snapshot.path, error);
    let mut contents = Contents::default();
    let dir = Dir::read_from(&snapshot.dir).map_err(read)?;
    for (number, found) in dir.enumerate() {
        if number % BETWEEN_LOOKS == BETWEEN_LOOKS - 1 && deadline.has_passed() {
            return Err(Error::timed_out());
        }
        let found = found.map_err(read)?;
        let bytes = found.file_name().to_bytes();
        let mut leave_out = |why: &str| {
            let shown = String::from_utf8_lossy(bytes).escape_debug().to_string();
            contents.left_out.push(format!("`{shown}` {why}"));
        };
        let secret = match name::of_file(bytes) {
            Ok(Some(secret)) => secret,
            Ok(None) => continue,
            Err(()) => {
                leave_out("is not UTF-8 or has control characters");
                continue;
            }
        };
        match entry::look(snapshot, secret.as_str())? {
            Look::File(stat) => contents.entries.push(entry::listed(secret, &stat)),
            Look::Dir => leave_out("is a directory"),
            Look::Link => leave_out("is a link"),
            Look::Special => leave_out("is a pipe, a socket or a device"),
            // The file was just removed.
            Look::Nothing => {}
        }
    }
    contents.entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    contents.left_out.sort_unstable();
    Ok(contents)
}

/// Returns a page and stores the following entries in `rest`; `None` if there is no directory.
///
/// # Errors
/// Those of [`contents`].
pub(crate) fn page(
    dir: &SecretsDir,
    rest: &mut Option<Rest>,
    request: &ListRequest,
) -> Result<Option<Page>> {
    let after = request.cursor.as_deref();
    let mut entries = match rest.take() {
        Some(rest) if Some(rest.cursor.as_str()) == after => rest.entries,
        _ => {
            let read = dir.read(request.deadline, |snapshot| {
                contents(snapshot, request.deadline).map(Read::Perhaps)
            })?;
            let Some(contents) = read else { return Ok(None) };
            let mut entries = VecDeque::from(contents.entries);
            if let Some(after) = after {
                let seen = entries.partition_point(|entry| entry.name.as_str() <= after);
                entries.drain(..seen);
            }
            entries
        }
    };
    let page: Vec<Entry> = entries.drain(..request.limit.min(entries.len())).collect();
    let next = match page.last() {
        Some(last) if !entries.is_empty() => Some(last.name.to_string()),
        _ => None,
    };
    *rest = next.clone().map(|cursor| Rest { cursor, entries });
    Ok(Some(Page::new(page, next)))
}
