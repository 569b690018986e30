//! 1PUX, the unencrypted export of 1Password 8: a zip of a JSON text and files.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Seek};
use std::ops::Range;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use keystead_plugin_api::{MAX_VALUE_BYTES, Map, SecretName, SecretText, Value};

use super::distinct::{Distinct, clean, title};
use super::item::Item;
use super::left_out::{LeftOut, Thing};
use super::zip::{Archive, Fault};
use super::{BadRow, Error, Position, Row, Rows, input};
use keystead::internals::json::tree::{self, MAX_PARTS, Tree};

pub(super) const FORM: &str = "a 1PUX export";

/// The newest supported version of the format, written by 1Password 8.
const NEWEST: i64 = 3;

/// Maximum size in bytes of `export.attributes`, which has three short members.
const MAX_ATTRIBUTES_BYTES: u64 = 64 * 1024;

const TRASH: Thing = Thing("deleted item", "deleted items");
const OLD_PASSWORDS: Thing = Thing("old password", "old passwords");
const PASSKEYS: Thing = Thing("passkey", "passkeys");
const LINKS: Thing = Thing("link to another item", "links to other items");
const SIGN_INS: Thing = Thing("sign-in by another account", "sign-ins by other accounts");
const BUTTONS: Thing = Thing("box or button of a web form", "boxes and buttons of web forms");

/// Reads an export, item by item. A document and each attached file are separate secrets,
/// `ITEM/FILENAME`.
///
/// # Errors
/// [`Error::Encrypted`], [`Error::Read`], or [`Error::NotOfForm`] where the file is no such
/// zip, of a newer version, or its text is longer than 64 MiB.
pub fn read<R: Read + Seek>(file: R) -> Result<Items<R>, Error> {
    let mut archive = Archive::open(file).map_err(|fault| refused("", fault))?;
    let mut part = |name: &str, most: u64| {
        let Some(number) = archive.find(name) else {
            return Err(wrong(format!("it has no `{name}`")));
        };
        let bytes = archive.read(number, most).map_err(|fault| refused(name, fault))?;
        Ok(input::marked(bytes))
    };
    let attributes = part("export.attributes", MAX_ATTRIBUTES_BYTES)?;
    let text = part("export.data", input::MAX_BYTES as u64)?;
    let version = tree::document(attributes.expose())
        .map_err(|fault| wrong(format!("`export.attributes`: {fault}")))?
        .into_iter()
        .find(|(name, _)| name == "version")
        .and_then(|(_, place)| tree::parse(attributes.expose(), &place).ok()?.as_integer());
    match version {
        Some(1..=NEWEST) => {}
        Some(newer) => return Err(wrong(format!("its version {newer} is not known here"))),
        None => return Err(wrong("it has no version".into())),
    }
    let (vaults, places) = outline(text.expose())?;
    let files = archive.entries().iter().enumerate().filter_map(|(number, entry)| {
        let name = entry.name.strip_prefix("files/")?;
        let id = name.split_once("__").map_or(name, |(id, _)| id);
        Some((id.to_owned(), number))
    });
    Ok(Items {
        files: files.collect(),
        archive,
        text,
        vaults,
        places: places.into_iter().enumerate(),
        ready: VecDeque::new(),
        names: Distinct::default(),
        left_out: LeftOut::default(),
    })
}

/// The number of an item's vault, and the item's range in the text.
type Place = (usize, Range<usize>);

/// Returns the names of the vaults, and the range of each item.
fn outline(text: &str) -> Result<(Vec<String>, Vec<Place>), Error> {
    let fault = |fault: tree::Fault| wrong(format!("`export.data`: {fault}"));
    let member = |members: Vec<(String, Range<usize>)>, name: &str| {
        members.into_iter().find(|(present, _)| present == name).map(|(_, place)| place)
    };
    let Some(accounts) = member(tree::document(text).map_err(fault)?, "accounts") else {
        return Err(wrong("`export.data` has no list `accounts`".into()));
    };
    let (mut vaults, mut places) = (Vec::new(), Vec::new());
    for account in tree::elements(text, &accounts).map_err(fault)? {
        let account = tree::members(text, &account).map_err(fault)?;
        let Some(list) = member(account, "vaults") else { continue };
        for vault in tree::elements(text, &list).map_err(fault)? {
            let mut name = None;
            for (member, place) in tree::members(text, &vault).map_err(fault)? {
                match member.as_str() {
                    "attrs" => {
                        let attributes = tree::parse(text, &place);
                        name = attributes.ok().and_then(|mut found| found.take_text("name"));
                    }
                    "items" => {
                        let items = tree::elements(text, &place).map_err(fault)?;
                        if places.len() + items.len() > MAX_PARTS {
                            return Err(wrong(format!("it has more than {MAX_PARTS} items")));
                        }
                        places.extend(items.into_iter().map(|item| (vaults.len(), item)));
                    }
                    _ => {}
                }
            }
            vaults.push(name.map_or_else(|| "untitled".into(), |name| name.expose().to_owned()));
        }
    }
    if vaults.len() == 1 {
        vaults[0].clear();
    }
    Ok((vaults, places))
}

fn wrong(why: String) -> Error {
    Error::NotOfForm { form: FORM, why }
}

fn refused(name: &str, fault: Fault) -> Error {
    match fault {
        Fault::Read(fault) => Error::Read(fault),
        Fault::Encrypted => Error::Encrypted { form: "1PUX export" },
        Fault::Broken(why) if name.is_empty() => wrong(why),
        Fault::Broken(why) => wrong(format!("`{name}`: {why}")),
    }
}

/// The items of an export.
#[derive(Debug)]
pub struct Items<R> {
    archive: Archive<R>,
    /// The number of each file in the zip, by its id. Each is read at most once.
    files: HashMap<String, usize>,
    text: SecretText,
    /// The names of the vaults; empty for a single vault.
    vaults: Vec<String>,
    places: std::iter::Enumerate<std::vec::IntoIter<Place>>,
    ready: VecDeque<Result<Result<Row, BadRow>, Error>>,
    names: Distinct,
    left_out: LeftOut,
}

impl<R: Read + Seek> Rows for Items<R> {
    fn left_out(&self) -> Vec<String> {
        self.left_out.lines().collect()
    }
}

impl<R: Read + Seek> Iterator for Items<R> {
    type Item = Result<Result<Row, BadRow>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.ready.pop_front() {
                return Some(row);
            }
            let (index, (vault, place)) = self.places.next()?;
            self.item(index as u64 + 1, vault, &place);
        }
    }
}

impl<R: Read + Seek> Items<R> {
    fn bad(&mut self, at: Position, why: impl Into<String>) {
        self.ready.push_back(Ok(Err(BadRow { at, why: why.into() })));
    }

    /// Prepares an item's rows: none for an item of the trash.
    fn item(&mut self, number: u64, vault: usize, place: &Range<usize>) {
        let mut from = match tree::parse(self.text.expose(), place) {
            // Earlier versions put each item in a separate object.
            Ok(mut from @ Tree::Object(_)) => from.take("item").unwrap_or(from),
            Ok(_) => return self.bad(Position::Item(number, None), "it is no object"),
            Err(why) => {
                let why = input::why_in(&self.text.expose()[place.clone()], why);
                return self.bad(Position::Item(number, None), why);
            }
        };
        let mut overview = from.take("overview").unwrap_or(Tree::Null);
        let name = overview.take_text("title");
        let name = name.as_ref().map_or("", SecretText::expose);
        let at = Position::Item(number, title(name));
        let state = from.take_text("state");
        let state = state.as_ref().map_or("", SecretText::expose);
        if from.get("trashed").is_some_and(Tree::is_true) || matches!(state, "trashed" | "deleted")
        {
            return self.left_out.count(TRASH, 1);
        }
        let name = match self.names.name(&[&self.vaults[vault], name]) {
            Ok(name) => name,
            Err(why) => return self.bad(at, why),
        };
        let mut item = Item::default();
        let mut documents = Vec::new();
        if let Some(details) = from.take("details") {
            self.details(&mut item, details, &at, &mut documents);
        }
        let times = ["created", "updated"]
            .map(|key| (key, from.get(&format!("{key}At")).and_then(Tree::as_integer)));
        for (key, seconds) in times {
            item.seconds(key, seconds);
        }
        let code = from.take_text("categoryUuid");
        item.text("category", category(code.as_ref().map_or("", SecretText::expose)));
        item.flag("favourite", from.get("favIndex").and_then(Tree::as_integer) > Some(0));
        if state == "archived" {
            item.text("state", state);
        }
        let url = overview.take_text("url");
        let urls = overview.take_list("urls");
        if urls.is_empty() {
            item.url(url);
        }
        for mut url in urls {
            item.url(url.take_text("url"));
        }
        item.tags(overview.take_list("tags").iter().filter_map(Tree::as_text));
        if !item.is_empty() || documents.is_empty() {
            let row = item.into_row(at.clone(), name.clone(), &mut self.left_out);
            self.ready.push_back(Ok(row));
        }
        for document in documents {
            let row = self.document(document, &at, &name, times);
            self.ready.push_back(row);
        }
    }

    /// Adds the content of an item, and passes on the files that belong to it.
    fn details(
        &mut self,
        item: &mut Item,
        mut details: Tree,
        at: &Position,
        documents: &mut Vec<Tree>,
    ) {
        for mut field in details.take_list("loginFields") {
            let name = field.take_text("name").filter(|name| !name.expose().is_empty());
            let name = name.or_else(|| field.take_text("id"));
            let kind = field.take_text("fieldType");
            let value = field.take_text("value");
            let is_box =
                matches!(kind.as_ref().map_or("", SecretText::expose), "B" | "C" | "I" | "R" | "S");
            let label = match field.get("designation").and_then(Tree::as_text) {
                Some("username") => "user",
                Some("password") => "password",
                _ if is_box => {
                    self.left_out.count(BUTTONS, 1);
                    continue;
                }
                _ => name.as_ref().map_or("", SecretText::expose),
            };
            item.field(label, value);
        }
        item.field("password", details.take_text("password"));
        for mut section in details.take_list("sections") {
            for field in section.take_list("fields") {
                self.field(item, field, at, documents);
            }
        }
        item.field("notes", details.take_text("notesPlain"));
        documents.extend(details.take("documentAttributes"));
        let old = details.get("passwordHistory").map_or(0, |list| list.elements().len());
        self.left_out.count(OLD_PASSWORDS, old as u64);
        self.left_out.count(PASSKEYS, u64::from(details.get("passkey").is_some()));
    }

    /// Adds a field of a section: its value is an object with a single member, named by its kind.
    fn field(&mut self, item: &mut Item, mut field: Tree, at: &Position, files: &mut Vec<Tree>) {
        let (id, name) = (field.take_text("id"), field.take_text("title"));
        let id = id.as_ref().map_or("", SecretText::expose);
        let name = name.as_ref().map_or("", SecretText::expose);
        let Some(Tree::Object(value)) = field.take("value") else { return };
        let label = match id {
            "username" => "user",
            "password" => "password",
            _ if name.is_empty() => id,
            _ => name,
        };
        for (kind, value) in value {
            let expires = id.contains("expir");
            match (kind.as_str(), value) {
                (_, Tree::Null) => {}
                ("totp", value) => item.field("totp", value.into_text()),
                ("date", value @ Tree::Number(_)) => {
                    let seconds = value.as_integer();
                    if expires {
                        item.seconds("expires", seconds);
                    }
                    match seconds.and_then(day) {
                        Some(day) => item.value(label, Value::text(day)),
                        None => item.field(label, value.into_text()),
                    }
                }
                ("monthYear", value @ Tree::Number(_)) => match value.as_integer() {
                    Some(both @ 190_001..=999_812) if (1..=12).contains(&(both % 100)) => {
                        let (year, month) = (both / 100, both % 100);
                        if expires {
                            item.expires_after(year, month);
                        }
                        item.value(label, Value::text(format!("{year}-{month:02}")));
                    }
                    _ => item.field(label, value.into_text()),
                },
                ("email", mut value @ Tree::Object(_)) => {
                    item.field(label, value.take_text("email_address"));
                }
                ("address", Tree::Object(parts)) => address(item, label, parts),
                ("sshKey", mut value @ Tree::Object(_)) => {
                    item.field("private-key", value.take_text("privateKey"));
                    let mut more = value.take("metadata").unwrap_or(Tree::Null);
                    item.field("public-key", more.take_text("publicKey"));
                    item.field("fingerprint", more.take_text("fingerprint"));
                }
                ("file", value @ Tree::Object(_)) => files.push(value),
                ("reference", _) => self.left_out.count(LINKS, 1),
                ("ssoLogin", _) => self.left_out.count(SIGN_INS, 1),
                (_, Tree::Boolean(boolean)) => item.value(label, Value::text(boolean.to_string())),
                (_, value @ (Tree::Text(_) | Tree::Number(_))) => {
                    item.field(label, value.into_text());
                }
                (kind, _) => {
                    let (label, kind) = (title(label).unwrap_or_default(), clean(kind));
                    let kind: String = kind.chars().take(60).collect();
                    let why =
                        format!("its field `{label}` is of the kind `{kind}`, not known here");
                    self.bad(at.clone(), why);
                }
            }
        }
    }

    /// Returns the row of a file that belongs to an item.
    fn document(
        &mut self,
        mut document: Tree,
        at: &Position,
        item: &SecretName,
        times: [(&str, Option<i64>); 2],
    ) -> Result<Result<Row, BadRow>, Error> {
        let file_name = document.take_text("fileName");
        // Only the last part of a path: a foreign name must not select a directory.
        let file_name = file_name.as_ref().map_or("", SecretText::expose);
        let file_name = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
        let file_name = if matches!(file_name, "." | "..") { "" } else { file_name };
        let bad = |why: &str| {
            let shown = title(file_name).unwrap_or_default();
            Ok(Err(BadRow { at: at.clone(), why: format!("its file `{shown}`: {why}") }))
        };
        let id = document.take_text("documentId");
        let found = id.and_then(|id| self.files.remove(id.expose()));
        let Some(number) = found else {
            return bad("it is not in the export, or belongs to another item");
        };
        let bytes = match self.archive.read(number, MAX_VALUE_BYTES as u64) {
            Ok(bytes) => bytes,
            Err(Fault::Read(fault)) => return Err(Error::Read(fault)),
            Err(Fault::Encrypted) => return bad("it is encrypted"),
            Err(Fault::Broken(why)) => return bad(&why),
        };
        let name = match self.names.name(&[item.as_str(), file_name]) {
            Ok(name) => name,
            Err(why) => return bad(&why),
        };
        let mut row = Item::default();
        row.value("value", Value::Bytes(bytes));
        row.text("category", "file");
        for (key, seconds) in times {
            row.seconds(key, seconds);
        }
        Ok(row.into_row(at.clone(), name, &mut self.left_out))
    }
}

/// Adds an address as a map, in the order used on letters.
fn address(item: &mut Item, label: &str, parts: Vec<(String, Tree)>) {
    let mut parts = Tree::Object(parts);
    let mut map = Map::new();
    for part in ["street", "city", "state", "zip", "country"] {
        if let Some(text) = parts.take_text(part).filter(|text| !text.expose().is_empty()) {
            map.insert(part, Value::Text(text));
        }
    }
    if !map.is_empty() {
        item.value(label, Value::Map(map));
    }
}

/// Returns the date of a time as `YYYY-MM-DD`.
fn day(seconds: i64) -> Option<String> {
    let at = Timestamp::from_second(seconds).ok()?;
    Some(at.to_zoned(TimeZone::UTC).date().to_string())
}

/// Returns the name of a category; the code itself if unknown.
fn category(code: &str) -> &str {
    match code {
        "001" => "login",
        "002" => "card",
        "003" => "note",
        "004" => "identity",
        "005" => "password",
        "006" => "document",
        "100" => "software-licence",
        "101" => "bank-account",
        "102" => "database",
        "103" => "driving-licence",
        "104" => "outdoor-licence",
        "105" => "membership",
        "106" => "passport",
        "107" => "rewards",
        "108" => "social-security",
        "109" => "router",
        "110" => "server",
        "111" => "email",
        "112" => "api-credential",
        "113" => "medical-record",
        "114" => "ssh-key",
        "115" => "crypto-wallet",
        other => other,
    }
}

#[cfg(test)]
mod tests;
