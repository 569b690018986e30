//! Bitwarden's export, of a user or an organisation: JSON, JSON encrypted with a password, or a zip
//! of JSON and attachments.

mod encrypted;
mod member;

use std::collections::{HashMap, VecDeque};
use std::io::{Cursor, Read};
use std::ops::Range;

use keystead_plugin_api::{MAX_VALUE_BYTES, SecretBytes, SecretName, SecretText, Value};
use zeroize::Zeroizing;

use super::distinct::{Distinct, title};
use super::item::Item;
use super::left_out::{LeftOut, Thing};
use super::zip::{Archive, Fault};
use super::{BadRow, Error, Position, Row, Rows, foreign, input};
use keystead::internals::json::tree::{self, Tree};

pub(super) const FORM: &str = "a Bitwarden export";

/// The file of a zip with the items, and the directory with their attachments.
const ITEMS: &str = "data.json";
const ATTACHMENTS: &str = "attachments/";

const TRASH: Thing = Thing("item of the trash", "items of the trash");
const OLD_PASSWORDS: Thing = Thing("old password", "old passwords");
const PASSKEYS: Thing = Thing("passkey", "passkeys");
const LINKED: Thing = Thing("field that repeats another", "fields that repeat another");
const NAMELESS: Thing =
    Thing("folder whose name cannot be read", "folders whose names cannot be read");
const STRAY: Thing = Thing("attachment of no item", "attachments of no item");

/// Reads an export, item by item; each attachment is a secret of its own, `ITEM/FILENAME`.
///
/// # Errors
/// [`Error::Encrypted`] where only an account decrypts it, [`Error::NoPassword`],
/// [`Error::WrongPassword`], [`Error::Foreign`], [`Error::Read`], or [`Error::NotOfForm`] where the
/// text is longer than 64 MiB, no JSON, or no such export.
pub fn read(file: impl Read, password: Option<&SecretText>) -> Result<BitwardenItems, Error> {
    let mut bytes = input::wiped(file, FORM)?;
    let (mut archive, mut attachments) = (None, HashMap::new());
    let text = if bytes.starts_with(b"PK\x03\x04") {
        let mut zip = Archive::open(Cursor::new(std::mem::take(&mut bytes))).map_err(of_zip)?;
        // The zip holds other content.
        let Some(number) = zip.find(ITEMS) else {
            return Err(wrong(format!("it has no `{ITEMS}`")));
        };
        let text = zip.read(number, input::MAX_BYTES as u64).map_err(of_zip)?;
        attachments = attached(&zip);
        archive = Some(zip);
        text
    } else {
        foreign::check(&bytes)?;
        SecretBytes::new(std::mem::take(&mut *bytes))
    };
    let mut text = without_mark(input::marked(text));
    let fault = |fault: tree::Fault| wrong(fault.to_string());
    let mut members = tree::document(text.expose()).map_err(fault)?;
    let is_true = |members: &[(String, Range<usize>)], name: &str| {
        place(members, name).is_some_and(|place| &text.expose()[place] == "true")
    };
    if is_true(&members, "passwordProtected") {
        text = encrypted::decrypted(text.expose(), &members, password)?;
        members = tree::document(text.expose()).map_err(fault)?;
    } else if is_true(&members, "encrypted") {
        return Err(Error::Encrypted { form: "Bitwarden export" });
    }
    let items = place(&members, "items");
    let Some(items) = items.filter(|place| text.expose()[place.clone()].starts_with('[')) else {
        return Err(wrong("it has no list `items`".into()));
    };
    let mut left_out = LeftOut::default();
    let mut folders = HashMap::new();
    for list in ["folders", "collections"] {
        let Some(list) = place(&members, list) else { continue };
        for place in tree::elements(text.expose(), &list).map_err(fault)? {
            // The items of the folder are imported all the same.
            let Ok(mut folder) = tree::parse(text.expose(), &place) else {
                left_out.count(NAMELESS, 1);
                continue;
            };
            if let (Some(id), Some(name)) = (folder.take_text("id"), folder.take_text("name")) {
                folders.insert(id.expose().to_owned(), name.expose().to_owned());
            }
        }
    }
    let places = tree::elements(text.expose(), &items).map_err(fault)?;
    Ok(BitwardenItems {
        text,
        places: places.into_iter().enumerate(),
        folders,
        archive,
        attachments,
        ready: VecDeque::new(),
        names: Distinct::default(),
        left_out,
    })
}

fn place(members: &[(String, Range<usize>)], name: &str) -> Option<Range<usize>> {
    members.iter().find(|(present, _)| present == name).map(|(_, place)| place.clone())
}

fn without_mark(text: SecretText) -> SecretText {
    match text.expose().strip_prefix('\u{feff}') {
        Some(rest) => SecretText::new(rest),
        None => text,
    }
}

fn wrong(why: String) -> Error {
    Error::NotOfForm { form: FORM, why }
}

fn of_zip(fault: Fault) -> Error {
    match fault {
        Fault::Read(fault) => Error::Read(fault),
        Fault::Encrypted => Error::Encrypted { form: "zip of a Bitwarden export" },
        Fault::Broken(why) => wrong(why),
    }
}

/// A zip in memory that is wiped.
type Zip = Archive<Cursor<Zeroizing<Vec<u8>>>>;

/// Returns the files of each item: their numbers, by the item's id.
fn attached(zip: &Zip) -> HashMap<String, Vec<usize>> {
    let mut attached: HashMap<String, Vec<usize>> = HashMap::new();
    for (number, entry) in zip.entries().iter().enumerate() {
        let path = entry.name.strip_prefix(ATTACHMENTS).and_then(|path| path.split_once('/'));
        if let Some((id, _)) = path.filter(|(_, name)| !name.is_empty()) {
            attached.entry(id.to_owned()).or_default().push(number);
        }
    }
    attached
}

/// The items of an export.
#[derive(Debug)]
pub struct BitwardenItems {
    text: SecretText,
    places: std::iter::Enumerate<std::vec::IntoIter<Range<usize>>>,
    /// Folders and collections: their names by their ids.
    folders: HashMap<String, String>,
    archive: Option<Zip>,
    /// The files of items that have not been read yet, by the items' ids.
    attachments: HashMap<String, Vec<usize>>,
    ready: VecDeque<Result<Result<Row, BadRow>, Error>>,
    names: Distinct,
    left_out: LeftOut,
}

impl BitwardenItems {
    /// Prepares an item's rows: none for an item of the trash.
    fn item(&mut self, number: u64, place: &Range<usize>) {
        let bad = |at, why: &str| Ok(Err(BadRow { at, why: why.to_owned() }));
        let mut from = match tree::parse(self.text.expose(), place) {
            Ok(from @ Tree::Object(_)) => from,
            Ok(_) => {
                return self.ready.push_back(bad(Position::Item(number, None), "it is no object"));
            }
            Err(why) => {
                let why = input::why_in(&self.text.expose()[place.clone()], why);
                return self.ready.push_back(bad(Position::Item(number, None), why));
            }
        };
        let name = from.take_text("name");
        let name = name.as_ref().map_or("", SecretText::expose);
        let at = Position::Item(number, title(name));
        let id = from.take_text("id");
        let files = id.and_then(|id| self.attachments.remove(id.expose())).unwrap_or_default();
        if from.take("deletedDate").is_some() {
            return self.left_out.count(TRASH, 1);
        }
        let Some(kind) = from.take("type").and_then(|kind| kind.as_integer()) else {
            return self.ready.push_back(bad(at, "it has no `type`"));
        };
        let mut item = Item::default();
        if let Some(mut login) = from.take("login") {
            for mut uri in login.take_list("uris") {
                item.url(uri.take_text("uri"));
            }
            self.left_out.count(PASSKEYS, login.take_list("fido2Credentials").len() as u64);
            if let Some(changed) = login.take_text("passwordRevisionDate") {
                item.time("password-updated", changed.expose());
            }
            member::object(&mut item, "login", login);
        }
        let old = from.take_list("passwordHistory").len();
        self.left_out.count(OLD_PASSWORDS, old as u64);
        let folders = folders_of(&self.folders, &mut from);
        let (notes, fields) = (from.take_text("notes"), from.take_list("fields"));
        item.text("category", &member::category(kind));
        item.flag("favourite", from.take("favorite").is_some_and(|favourite| favourite.is_true()));
        for (key, member) in [("created", "creationDate"), ("updated", "revisionDate")] {
            item.time(key, from.take(member).as_ref().and_then(Tree::as_text).unwrap_or_default());
        }
        if from.take("archivedDate").is_some() {
            item.text("state", "archived");
        }
        // Whether to ask for the master password again.
        if let Some(again) = from.take_text("reprompt").filter(|again| again.expose() != "0") {
            item.text("reprompt", again.expose());
        }
        member::left(&mut item, from);
        item.field("notes", notes);
        for field in fields {
            self.custom(&mut item, field);
        }
        if folders.len() > 1 {
            let folders: Vec<String> = folders.iter().map(|name| name.replace(',', " ")).collect();
            item.text("collections", &folders.join(","));
        }
        let folder = folders.first().map_or("", String::as_str);
        let name = match self.names.name(&[folder, name]) {
            Ok(name) => name,
            Err(why) => return self.ready.push_back(bad(at, &why)),
        };
        if !item.is_empty() || files.is_empty() {
            let row = item.into_row(at.clone(), name.clone(), &mut self.left_out);
            self.ready.push_back(Ok(row));
        }
        for file in files {
            let row = self.attachment(file, &at, &name);
            self.ready.push_back(row);
        }
    }

    /// Returns the row of an attachment.
    fn attachment(
        &mut self,
        number: usize,
        at: &Position,
        item: &SecretName,
    ) -> Result<Result<Row, BadRow>, Error> {
        let archive = self.archive.as_mut().expect("attachments are those of a zip");
        let path = archive.entries()[number].name.clone();
        let file_name = path.rsplit(['/', '\\']).next().unwrap_or_default();
        let bad = |why: &str| {
            let shown = title(file_name).unwrap_or_default();
            Ok(Err(BadRow { at: at.clone(), why: format!("its file `{shown}`: {why}") }))
        };
        let bytes = match archive.read(number, MAX_VALUE_BYTES as u64) {
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
        Ok(row.into_row(at.clone(), name, &mut self.left_out))
    }

    /// Adds a custom field: text 0, hidden 1, boolean 2, linked 3.
    fn custom(&mut self, item: &mut Item, mut field: Tree) {
        let label = field.take_text("name");
        let label = label.as_ref().map_or("", SecretText::expose);
        if field.get("type").and_then(Tree::as_integer) == Some(3) {
            self.left_out.count(LINKED, 1);
            return;
        }
        if let Some(value) = field.take("value") {
            member::rest(item, label, value);
        }
    }
}

impl Rows for BitwardenItems {
    fn left_out(&self) -> Vec<String> {
        self.left_out.lines().collect()
    }
}

impl Iterator for BitwardenItems {
    type Item = Result<Result<Row, BadRow>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.ready.pop_front() {
                return Some(row);
            }
            let Some((index, place)) = self.places.next() else {
                let stray = self.attachments.drain().map(|(_, files)| files.len()).sum::<usize>();
                self.left_out.count(STRAY, stray as u64);
                return None;
            };
            self.item(index as u64 + 1, &place);
        }
    }
}

/// Returns the folder of an item, or else its collections.
fn folders_of(folders: &HashMap<String, String>, from: &mut Tree) -> Vec<String> {
    let collections = from.take_list("collectionIds");
    let ids = from.take("folderId").into_iter().chain(collections);
    ids.filter_map(|id| folders.get(id.as_text()?).cloned()).collect()
}

#[cfg(test)]
mod tests;
