//! The secrets in their file: a chain in the order of their places. Each row says which place
//! comes next and proves it with a tag, so that "there is no such secret" is proven as well: by
//! the row before the place, whose next one lies behind it. A row that is missing, or a page
//! that the file's own structure leads past, breaks the chain and is damage, never an absence.

use keystead_plugin_api::{Error, Result};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};

use crate::database::{damaged, fault};
use crate::keys::Keys;
use crate::record::Place;

/// Where the chain begins, and where it leads back to: no secret is here.
pub(crate) const HEAD: Place = Place::MIN;

/// One row of the chain, whose link was found right.
pub(crate) struct Row {
    pub(crate) place: Place,
    pub(crate) next: Place,
    /// The sealed overview: empty at the head.
    pub(crate) overview: Vec<u8>,
    /// The number of the value's row.
    value: i64,
    /// The sealed value, where it was asked for.
    pub(crate) sealed: Option<Vec<u8>>,
}

impl Row {
    /// Says whether no secret is between this one and a place. The file's own order may be what
    /// is damaged, so that a row behind the place was found instead.
    fn is_last_up_to(&self, place: Place) -> bool {
        // `next` is the head behind the last secret.
        self.place <= place && (self.next > place || self.next == HEAD)
    }
}

/// Whether to read a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Overview,
    Value,
}

const COLUMNS: &str = "secret.place, secret.next, secret.link, secret.overview, secret.value";

/// Returns the row at this place. `None` is proven: there is no such secret.
///
/// # Errors
/// `Damaged` where the chain is broken here.
pub(crate) fn find(
    file: &Connection,
    keys: &Keys,
    place: Place,
    want: Want,
) -> Result<Option<Row>> {
    let row = last_up_to(file, keys, place, want)?;
    Ok((row.place == place).then_some(row))
}

/// Returns the last row up to this place: proven, there is none between.
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
        .and_then(|mut statement| statement.query_row([place], |row| read(row)).optional())
        .map_err(|error| fault(file, error))?;
    let row = checked(file, keys, row)?;
    match row.is_last_up_to(place) {
        true => Ok(row),
        false => Err(damaged(file, "a secret is missing from it")),
    }
}

/// Returns some rows of the chain, from the last one up to a place on: that one first.
pub(crate) fn from(file: &Connection, keys: &Keys, place: Place, rows: usize) -> Result<Vec<Row>> {
    let sql = format!(
        "SELECT {COLUMNS}, NULL FROM secret \
         WHERE place >= (SELECT max(place) FROM secret WHERE place <= ?1) ORDER BY place LIMIT ?2"
    );
    let limit = i64::try_from(rows).unwrap_or(i64::MAX);
    let found = file
        .prepare_cached(&sql)
        .and_then(|mut statement| {
            statement
                .query_map(params![place, limit], |row| read(row))?
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(|error| fault(file, error))?;
    if found.is_empty() {
        return Err(damaged(file, "the beginning of its chain is missing"));
    }
    let complete = found.len() < rows;
    let mut chain: Vec<Row> = Vec::with_capacity(found.len());
    for row in found {
        let row = checked(file, keys, Some(row))?;
        // Pages that are led to wrongly may begin behind the place, or far before it.
        let follows = match chain.last() {
            Some(before) => before.next == row.place,
            None => row.is_last_up_to(place),
        };
        if !follows {
            return Err(damaged(file, "a secret is missing from it"));
        }
        chain.push(row);
    }
    if complete && chain.last().is_some_and(|last| last.next != HEAD) {
        return Err(damaged(file, "secrets are missing at its end"));
    }
    Ok(chain)
}

/// Puts a new secret into the chain.
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
    changed(file, "INSERT INTO value (sealed) VALUES (?1)", params![value])?;
    let number = file.last_insert_rowid();
    changed(
        file,
        "INSERT INTO secret (place, next, link, overview, value) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![place, before.next, keys.link(place, before.next), overview, number],
    )?;
    lead(file, keys, &before, place)
}

/// Writes both parts of a secret anew.
pub(crate) fn replace(file: &Connection, row: &Row, overview: &[u8], value: &[u8]) -> Result<()> {
    changed(file, "UPDATE value SET sealed = ?2 WHERE id = ?1", params![row.value, value])?;
    replace_overview(file, row, overview)
}

/// Writes a secret's overview anew: its value stays.
pub(crate) fn replace_overview(file: &Connection, row: &Row, overview: &[u8]) -> Result<()> {
    changed(file, "UPDATE secret SET overview = ?2 WHERE place = ?1", params![row.place, overview])
}

/// Takes a secret out of the chain.
pub(crate) fn remove(file: &Connection, keys: &Keys, row: &Row) -> Result<()> {
    let before = last_up_to(file, keys, row.place - 1, Want::Overview)?;
    if before.next != row.place {
        return Err(damaged(file, "a secret is missing from it"));
    }
    changed(file, "DELETE FROM value WHERE id = ?1", params![row.value])?;
    changed(file, "DELETE FROM secret WHERE place = ?1", params![row.place])?;
    lead(file, keys, &before, row.next)
}

/// Lets a row lead to another one.
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

/// A row as it is read: its link is still to be checked.
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
