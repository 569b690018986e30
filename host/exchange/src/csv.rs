//! Tables: a header row, and a secret in each row below. The caller gives the roles of the columns,
//! or the header row of a well-known export does.

mod column;
pub(super) mod entity;
mod json;
mod known;
mod record;

use std::io::Read;

use keystead_plugin_api::{SecretBytes, SecretText, Value};

use self::known::Known;

pub use self::column::{BadColumn, Column};
use self::column::{Role, folder};
use self::record::{Record, Records};
use super::distinct::{Distinct, clean, title};
use super::item::{Item, sounds_secret};
use super::left_out::LeftOut;
use super::{BadRow, Error, Position, Row, Rows, foreign, input};

pub(super) const FORM: &str = "a CSV table";

/// Maximum number of columns: a wider table does not hold secrets.
const MAX_COLUMNS: usize = 1_000;

/// Separator between the fields of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delimiter {
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// A tab.
    Tab,
}

impl Delimiter {
    const ALL: [Self; 3] = [Self::Comma, Self::Semicolon, Self::Tab];

    /// Returns the delimiter of this name: `comma`, `semicolon` or `tab`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "comma" => Some(Self::Comma),
            "semicolon" => Some(Self::Semicolon),
            "tab" => Some(Self::Tab),
            _ => None,
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
        }
    }
}

/// Roles of the columns, known before the import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The program whose export was recognised; `None` for another table.
    pub program: Option<&'static str>,
    /// Each used column: its role and its header.
    pub used: Vec<(String, String)>,
    /// The headers of the skipped columns.
    pub left_out: Vec<String>,
    /// The headers of skipped columns that may hold secrets.
    pub left_out_secret: Vec<String>,
    /// Whether `&amp;` and the like are decoded.
    pub has_entities: bool,
    /// Whether the table has characters that are not UTF-8, and may be Windows-1252.
    pub may_be_windows_1252: bool,
    /// All headers.
    columns: Vec<String>,
}

impl Plan {
    /// Returns the plan in words.
    fn lines(&self) -> Vec<String> {
        let whose = self.program.map_or(String::new(), |program| format!(" of {program}"));
        let used: Vec<_> =
            self.used.iter().map(|(role, header)| format!("{role} from `{header}`")).collect();
        let mut lines = vec![format!("reading a table{whose}: {}", used.join(", "))];
        if !self.left_out.is_empty() {
            let left_out: Vec<_> = self
                .left_out
                .iter()
                .map(|header| match self.left_out_secret.contains(header) {
                    true => format!("`{header}` (sounds secret)"),
                    false => format!("`{header}`"),
                })
                .collect();
            lines.push(format!("leaving out the columns {}", left_out.join(", ")));
        }
        if self.has_entities {
            lines.push("decoding HTML entities such as `&amp;`, which this export has".to_owned());
        }
        if self.may_be_windows_1252 {
            let (what, remedy) = foreign::WINDOWS_1252;
            lines.push(format!("this is {what}: {remedy}"));
        }
        lines
    }
}

/// Reads a table. Without `columns`, its header row must be exactly that of a known export. Without
/// `delimiter`, a line `sep=;` names it, else the header row's most frequent delimiter is used.
///
/// # Errors
/// [`Error::Read`], [`Error::Foreign`], [`Error::UnknownTable`], or [`Error::NotOfForm`] where the
/// table is longer than 64 MiB, or its header row has no column that was named.
pub fn read(
    file: impl Read,
    columns: &[Column],
    delimiter: Option<Delimiter>,
) -> Result<Table, Error> {
    let bytes = input::whole(file, FORM)?;
    foreign::check(bytes.expose())?;
    let mut records = records(bytes.expose(), delimiter);
    let header = match records.next(bytes.expose()) {
        None => return Err(wrong("it is empty")),
        Some(Record { fault: Some(why), .. }) => {
            return Err(wrong(&format!("its header row: {why}")));
        }
        Some(header) => header,
    };
    if header.len() > MAX_COLUMNS {
        return Err(wrong(&format!("it has more than {MAX_COLUMNS} columns")));
    }
    let headers: Option<Vec<String>> = headers(&header, bytes.expose());
    let Some(headers) = headers else {
        let (what, remedy) = foreign::WINDOWS_1252;
        return Err(Error::Foreign { what, remedy });
    };
    let (known, roles) = if columns.is_empty() {
        // If this is not a header row, it may hold a password.
        let Some((known, roles)) = known::program(&headers) else {
            let is_header_row = known::is_header_row(&headers);
            let columns = if is_header_row {
                headers.iter().map(|header| shown(header)).collect()
            } else {
                vec![]
            };
            return Err(Error::UnknownTable { columns });
        };
        (Some(known), roles)
    } else {
        (None, column::roles(columns, &headers).map_err(|why| wrong(&why))?)
    };
    if let Some(known) = known.filter(|_| header.is_quoted(bytes.expose())) {
        records.quote(known.quoting);
    }
    let has_entities = known.is_some_and(|known| known.may_have_entities)
        && entity::is_encoded(bytes.expose(), records.clone(), &roles);
    let mut plan = plan(known, &headers, &roles);
    plan.has_entities = has_entities;
    plan.may_be_windows_1252 = is_windows_1252(bytes.expose());
    Ok(Table {
        bytes,
        records,
        lost: vec![false; roles.len()],
        roles,
        plan,
        names: Distinct::default(),
        left_out: LeftOut::default(),
    })
}

/// Returns whether a file starts with the header row of a known export.
pub(super) fn is_known(head: &[u8]) -> bool {
    let mut records = records(head, None);
    let start = records.at();
    // A row that continues after these bytes is not known.
    let Some(len) = head[start..].iter().position(|&byte| byte == b'\n') else { return false };
    let head = &head[..start + len];
    let Some(header) = records.next(head).filter(|header| header.fault.is_none()) else {
        return false;
    };
    headers(&header, head).is_some_and(|headers| known::program(&headers).is_some())
}

/// Returns the rows of a table, after its byte order mark and a spreadsheet's line `sep=;`.
fn records(bytes: &[u8], delimiter: Option<Delimiter>) -> Records {
    let start = if bytes.starts_with(input::MARK) { input::MARK.len() } else { 0 };
    let rest = &bytes[start..];
    let len = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    let line = rest[..len].trim_ascii_end();
    let line = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    let (start, first, named) = match line {
        [s, e, p, b'=', delimiter] if [*s, *e, *p].eq_ignore_ascii_case(b"sep") => {
            ((start + len + 1).min(bytes.len()), 2, Some(*delimiter))
        }
        _ => (start, 1, None),
    };
    let delimiter = delimiter.map(Delimiter::byte).or(named);
    let delimiter = delimiter.unwrap_or_else(|| most_frequent(&bytes[start..]).byte());
    Records::new(start, delimiter).starting_at(first)
}

fn headers(header: &Record, bytes: &[u8]) -> Option<Vec<String>> {
    (0..header.len()).map(|at| Some(clean(header.text(bytes, at)?.expose()))).collect()
}

/// Returns whether bytes that are not UTF-8 are likely letters of Windows-1252: all other bytes are
/// ASCII.
fn is_windows_1252(bytes: &[u8]) -> bool {
    let mut is_broken = false;
    for chunk in bytes.utf8_chunks() {
        is_broken |= !chunk.invalid().is_empty();
        if !chunk.valid().trim_start_matches('\u{feff}').is_ascii() {
            return false;
        }
    }
    is_broken
}

fn wrong(why: &str) -> Error {
    Error::NotOfForm { form: FORM, why: why.to_owned() }
}

/// Returns the most frequent delimiter of the first line, outside of quotes.
fn most_frequent(bytes: &[u8]) -> Delimiter {
    let mut counts = [0_usize; 3];
    let mut quoted = false;
    for byte in bytes {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            byte if !quoted => {
                let found = Delimiter::ALL.iter().position(|one| one.byte() == *byte);
                if let Some(found) = found {
                    counts[found] += 1;
                }
            }
            _ => {}
        }
    }
    let [commas, semicolons, tabs] = counts;
    if commas >= semicolons && commas >= tabs {
        Delimiter::Comma
    } else if semicolons >= tabs {
        Delimiter::Semicolon
    } else {
        Delimiter::Tab
    }
}

fn shown(header: &str) -> String {
    title(header).unwrap_or_else(|| "(no header)".into())
}

fn plan(known: Option<&'static Known>, headers: &[String], roles: &[Role]) -> Plan {
    let program = known.map(|known| known.program);
    let mut plan = Plan { program, ..Plan::default() };
    for (header, role) in headers.iter().zip(roles) {
        if !matches!(role, Role::LeftOut | Role::Skip) {
            plan.used.push((role.to_string(), shown(header)));
            continue;
        }
        plan.left_out.push(shown(header));
        if sounds_secret(header) {
            plan.left_out_secret.push(shown(header));
        }
    }
    plan.columns = headers.iter().map(|header| shown(header)).collect();
    plan
}

/// The rows of a table.
#[derive(Debug)]
pub struct Table {
    bytes: SecretBytes,
    records: Records,
    /// Role of each column.
    roles: Vec<Role>,
    /// For each column: whether it is skipped and had any content.
    lost: Vec<bool>,
    plan: Plan,
    names: Distinct,
    left_out: LeftOut,
}

impl Table {
    /// Returns the roles of the columns.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    fn row(&mut self, record: &Record) -> Result<Row, BadRow> {
        let at = Position::Line(record.line);
        let bad = |why: String| BadRow { at: at.clone(), why };
        if let Some(why) = record.fault {
            return Err(bad(why.into()));
        }
        let (found, expected) = (record.len(), self.roles.len());
        if found != expected {
            return Err(bad(format!("it has {found} fields, and the header row {expected}")));
        }
        let mut item = Item::default();
        let (mut name, mut within, mut place) = (String::new(), String::new(), String::new());
        for (column, role) in self.roles.iter().enumerate() {
            if matches!(role, Role::LeftOut | Role::Skip) {
                self.lost[column] |= *role == Role::LeftOut && !record.is_empty_at(column);
                continue;
            }
            let Some(mut text) = record.text(self.bytes.expose(), column) else {
                return Err(bad(format!("field {} is not UTF-8", column + 1)));
            };
            if self.plan.has_entities {
                text = entity::decoded(text);
            }
            match role {
                Role::Name => name = clean(text.expose()),
                Role::Folder(form) => within = folder(*form, text.expose()),
                Role::Url => {
                    if place.is_empty() {
                        place = host(text.expose());
                    }
                    // LastPass writes this value for a note without an address.
                    if text.expose() != "http://sn" {
                        item.url(Some(text));
                    }
                }
                Role::Urls => {
                    for url in text.expose().split(',') {
                        item.url(Some(SecretText::new(url.trim())));
                    }
                }
                Role::JsonUrls => json::urls(&mut item, text),
                Role::Fields => fields(&mut item, text.expose()),
                Role::JsonFields => json::fields(&mut item, text),
                Role::Value => item.field("value", Some(text)),
                Role::User => item.field("user", Some(text)),
                Role::Password => item.field("password", Some(text)),
                Role::Notes => item.field("notes", Some(text)),
                Role::Totp => item.field("totp", Some(text)),
                Role::Field(label) => item.field(label, Some(text)),
                Role::Tags => item.tags(text.expose().split([',', ';'])),
                Role::Favourite => item.flag("favourite", is_yes(text.expose())),
                Role::Archived => {
                    item.text("state", if is_yes(text.expose()) { "archived" } else { "" });
                }
                Role::Created => item.time("created", text.expose()),
                Role::Updated => item.time("updated", text.expose()),
                Role::Expires => item.time("expires", text.expose()),
                Role::Meta(key) => item.text(key, text.expose()),
                Role::Known(key) => item.text(key, text.expose()),
                Role::Number(key) if text.expose() != "0" => item.text(key, text.expose()),
                Role::Moment(key) => item.time(key, text.expose()),
                Role::Label(label) => item.field(label, Some(text)),
                Role::Number(_) | Role::Skip | Role::LeftOut => {}
            }
        }
        let name = if name.is_empty() { place } else { name };
        let name = self.names.name(&[&within, &name]).map_err(bad)?;
        item.into_row(at.clone(), name, &mut self.left_out)
    }
}

impl Table {
    /// Returns whether a row of NordPass is a folder: the row has only a name, and perhaps its
    /// type. The rows of the folder's items repeat the name.
    fn is_folder(&self, record: &Record) -> bool {
        self.plan.program == Some("NordPass")
            && record.fault.is_none()
            && record.len() == self.roles.len()
            && self.roles.iter().enumerate().all(|(column, role)| match role {
                Role::Name => !record.is_empty_at(column),
                Role::Known(_) => record
                    .text(self.bytes.expose(), column)
                    .is_some_and(|text| matches!(text.expose(), "" | "folder")),
                _ => record.is_empty_at(column),
            })
    }
}

impl Rows for Table {
    fn plan(&self) -> Vec<String> {
        self.plan.lines()
    }

    fn left_out(&self) -> Vec<String> {
        let lost = self.lost.iter().zip(&self.plan.columns).filter(|(lost, _)| **lost);
        lost.map(|(_, header)| format!("the column `{header}`"))
            .chain(self.left_out.lines())
            .collect()
    }
}

impl Iterator for Table {
    type Item = Result<Result<Row, BadRow>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let record = self.records.next(self.bytes.expose())?;
            if !self.is_folder(&record) {
                return Some(Ok(self.row(&record)));
            }
        }
    }
}

fn is_yes(text: &str) -> bool {
    text.trim() == "1" || text.trim().eq_ignore_ascii_case("true")
}

/// Returns the host of an address: the name of an entry without another name.
fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    host.rsplit('@').next().unwrap_or_default().to_owned()
}

/// Adds Bitwarden's custom fields, which are lines of `LABEL: VALUE`. Any other line belongs to the
/// value above.
fn fields(item: &mut Item, text: &str) {
    let mut current: Option<(&str, usize, usize)> = None;
    let mut at = 0;
    let mut put = |current: Option<(&str, usize, usize)>| {
        if let Some((label, start, end)) = current {
            item.value(label, Value::text(text[start..end].trim_end_matches('\r')));
        }
    };
    for line in text.split_inclusive('\n') {
        let end = at + line.trim_end_matches('\n').len();
        match (text[at..end].split_once(": "), &mut current) {
            (Some((label, _)), _) => {
                put(current.take());
                current = Some((label, at + label.len() + 2, end));
            }
            (None, Some((_, _, last))) => *last = end,
            (None, None) if end > at => current = Some(("field", at, end)),
            (None, None) => {}
        }
        at += line.len();
    }
    put(current);
}

#[cfg(test)]
mod tests;
