//! The secrets in their file: a chain in the order of their places. Each row names the next place
//! and proves it with a tag. So the row before a place proves that there is no such secret, since
//! its next place is beyond it. A missing row, or a page that the file's structure skips, breaks
//! the chain: it is damage, never an absence.

use keystead_plugin_api::{Error, Result};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};

use crate::database::{damaged, fault};
use crate::keys::Keys;
use crate::record::Place;

/// Start and end of the chain, without a secret.
pub(crate) const HEAD: Place = Place::MIN;

/// One row of the chain, with a verified link.
pub(crate) struct Row {
    pub(crate) place: Place,
    pub(crate) next: Place,
    /// The sealed overview; empty at the head.
    pub(crate) overview: Vec<u8>,
    /// The number of the value's row.
    value: i64,
    /// The sealed value; `None` if it was not requested.
    pub(crate) sealed: Option<Vec<u8>>,
}

/// Returns whether no secret is between the row of a link and this place. If the file's own order
/// is damaged, a row behind the place may have been found.
fn covers(row: Place, next: Place, place: Place) -> bool {
    // After the last secret, `next` is the head.
    row <= place && (next > place || next == HEAD)
}

/// Parts of a row to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Overview,
    Value,
}

/// Owner of a row's value, for a replacement or removal: no tag covers the value's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The value was opened as this secret's.
    Its,
    /// The value may belong to another secret, and stays.
    NotKnown,
}

const COLUMNS: &str = "secret.place, secret.next, secret.link, secret.overview, secret.value";

/// Returns the row at this place. `None` proves that there is no such secret.
///
/// # Errors
/// `Corrupt` if the chain is broken here.
pub(crate) fn find(
    file: &Connection,
    keys: &Keys,
    place: Place,
    want: Want,
) -> Result<Option<Row>> {
    let row = last_up_to(file, keys, place, want)?;
    Ok((row.place == place).then_some(row))
}

/// Returns the last row up to this place, with proof that no row is between them.
fn last_up_to(file: &Connection, keys: &Keys, place: Place, want: Want) -> Result<Row> {
    let (value, join) = match want {
        Want::Overview => ("NULL", ""),
        Want::Value => ("value.sealed", "LEFT JOIN value ON value.id = secret.value"),
    };
    let sql = format!(
        "SELECT {COLUMNS}, {value} FROM secret {join} \
         WHERE secret.place <= ?1 ORDER BY secret.place DESC LIMIT 1"
    );
    let row = file
        .prepare_cached(&sql)
        .and_then(|mut statement| statement.query_row([place], read).optional())
        .map_err(|error| fault(file, error))?;
    let row = checked(file, keys, row)?;
    match covers(row.place, row.next, place) {
        true => Ok(row),
        false => Err(damaged(file, "a secret is missing from it")),
    }
}

/// Passes at most `most` secrets after a place to `each`, in chain order, with their sealed
/// overviews. Returns the place of the last one if more follow.
///
/// # Errors
/// `Corrupt` if the chain is broken in between; errors of `each`.
pub(crate) fn walk(
    file: &Connection,
    keys: &Keys,
    after: Place,
    most: usize,
    each: &mut dyn FnMut(Place, &[u8]) -> Result<()>,
) -> Result<Option<Place>> {
    // The row up to the place comes first: it proves the next one.
    let sql = "SELECT place, next, link, overview FROM secret \
               WHERE place >= (SELECT max(place) FROM secret WHERE place <= ?1) \
               ORDER BY place LIMIT ?2";
    let limit = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
    let failed = |error| fault(file, error);
    let mut statement = file.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(params![after, limit]).map_err(failed)?;
    let mut last = None;
    let mut count = 0;
    while let Some(row) = rows.next().map_err(failed)? {
        let read = || -> rusqlite::Result<(Place, Place, &[u8], &[u8])> {
            let blob = |at| Ok::<_, rusqlite::Error>(row.get_ref(at)?.as_blob()?);
            Ok((row.get(0)?, row.get(1)?, blob(2)?, blob(3)?))
        };
        let (place, next, link, overview) = read().map_err(failed)?;
        if !keys.linked(place, next, link) {
            return Err(damaged(file, "a link of its chain is wrong"));
        }
        // With damaged page links, the first row may be behind the place, or far before it.
        let follows = match last {
            Some((_, expected)) => expected == place,
            None => covers(place, next, after),
        };
        if !follows {
            return Err(damaged(file, "a secret is missing from it"));
        }
        if place > after && place != HEAD {
            each(place, overview)?;
        }
        last = Some((place, next));
        count += 1;
    }
    match last {
        None => Err(damaged(file, "the beginning of its chain is missing")),
        Some((_, HEAD)) => Ok(None),
        Some(_) if count < limit => Err(damaged(file, "secrets are missing at its end")),
        Some((place, _)) => Ok(Some(place)),
    }
}

/// Adds a new secret to the chain.
pub(crate) fn insert(
    file: &Connection,
    keys: &Keys,
    place: Place,
    overview: &[u8],
    value: &[u8],
) -> Result<()> {
    let before = last_up_to(file, keys, place, Want::Overview)?;
    if before.place == place {
        return Err(damaged(file, "a secret is missing from it"));
    }
    let number = insert_value(file, value)?;
    changed(
        file,
        "INSERT INTO secret (place, next, link, overview, value) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![place, before.next, keys.link(place, before.next), overview, number],
    )?;
    lead(file, keys, &before, place)?;
    is_found(file, keys, place, overview, Some(value))
}

/// Adds a value to the file and returns its number.
fn insert_value(file: &Connection, value: &[u8]) -> Result<i64> {
    changed(file, "INSERT INTO value (sealed) VALUES (?1)", params![value])?;
    Ok(file.last_insert_rowid())
}

/// Replaces both parts of a secret.
pub(crate) fn replace(
    file: &Connection,
    keys: &Keys,
    row: &Row,
    whose: Whose,
    overview: &[u8],
    value: &[u8],
) -> Result<()> {
    match whose {
        Whose::Its => {
            changed(file, "UPDATE value SET sealed = ?2 WHERE id = ?1", params![row.value, value])?;
        }
        Whose::NotKnown => {
            let number = insert_value(file, value)?;
            let sql = "UPDATE secret SET value = ?2 WHERE place = ?1";
            changed(file, sql, params![row.place, number])?;
        }
    }
    set_overview(file, row, overview)?;
    is_found(file, keys, row.place, overview, Some(value))
}

/// Replaces a secret's overview; its value stays.
pub(crate) fn replace_overview(
    file: &Connection,
    keys: &Keys,
    row: &Row,
    overview: &[u8],
) -> Result<()> {
    set_overview(file, row, overview)?;
    is_found(file, keys, row.place, overview, None)
}

fn set_overview(file: &Connection, row: &Row, overview: &[u8]) -> Result<()> {
    changed(file, "UPDATE secret SET overview = ?2 WHERE place = ?1", params![row.place, overview])
}

/// Removes a secret from the chain.
pub(crate) fn remove(file: &Connection, keys: &Keys, row: &Row, whose: Whose) -> Result<()> {
    let before = last_up_to(file, keys, row.place - 1, Want::Overview)?;
    if before.next != row.place {
        return Err(damaged(file, "a secret is missing from it"));
    }
    if whose == Whose::Its {
        changed(file, "DELETE FROM value WHERE id = ?1", params![row.value])?;
    }
    changed(file, "DELETE FROM secret WHERE place = ?1", params![row.place])?;
    lead(file, keys, &before, row.next)?;
    match find(file, keys, row.place, Want::Overview)? {
        None => Ok(()),
        Some(_) => Err(damaged(file, "a secret that was removed is still there")),
    }
}

/// Checks, before the commit, that the written secret is found unchanged: a file with a damaged
/// order may have stored it at an unreachable position.
fn is_found(
    file: &Connection,
    keys: &Keys,
    place: Place,
    overview: &[u8],
    value: Option<&[u8]>,
) -> Result<()> {
    let want = if value.is_some() { Want::Value } else { Want::Overview };
    let row = find(file, keys, place, want)?;
    match row.is_some_and(|row| row.overview == overview && row.sealed.as_deref() == value) {
        true => Ok(()),
        false => Err(damaged(file, "what was written to it is not found there")),
    }
}

/// Links a row to another one.
fn lead(file: &Connection, keys: &Keys, row: &Row, next: Place) -> Result<()> {
    changed(
        file,
        "UPDATE secret SET next = ?2, link = ?3 WHERE place = ?1",
        params![row.place, next, keys.link(row.place, next)],
    )
}

/// Runs a statement that changes exactly one row.
fn changed(file: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<()> {
    let rows = file
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(values))
        .map_err(|error| fault(file, error))?;
    match rows {
        1 => Ok(()),
        _ => Err(damaged(file, "a part of a secret is missing from it")),
    }
}

/// A row as read, with an unverified link.
struct Unchecked {
    row: Row,
    link: Vec<u8>,
}

fn read(row: &SqlRow<'_>) -> rusqlite::Result<Unchecked> {
    Ok(Unchecked {
        link: row.get(2)?,
        row: Row {
            place: row.get(0)?,
            next: row.get(1)?,
            overview: row.get(3)?,
            value: row.get(4)?,
            sealed: row.get(5)?,
        },
    })
}

fn checked(file: &Connection, keys: &Keys, row: Option<Unchecked>) -> Result<Row, Error> {
    match row {
        Some(Unchecked { row, link }) if keys.linked(row.place, row.next, &link) => Ok(row),
        Some(_) => Err(damaged(file, "a link of its chain is wrong")),
        None => Err(damaged(file, "the beginning of its chain is missing")),
    }
}
