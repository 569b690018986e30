//! The unencrypted JSON export of Bitwarden, of a person or of an organisation.

use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;

use keystead_plugin_api::{SecretText, Value};

use super::distinct::{Distinct, title};
use super::item::Item;
use super::left_out::{LeftOut, Thing};
use super::{BadRow, Error, Position, Row, Rows, input};
use keystead::internals::json::tree::{self, Tree};

pub(super) const FORM: &str = "a Bitwarden export";

const TRASH: Thing = Thing("item of the trash", "items of the trash");
const OLD_PASSWORDS: Thing = Thing("old password", "old passwords");
const PASSKEYS: Thing = Thing("passkey", "passkeys");
const LINKED: Thing = Thing("field that repeats another", "fields that repeat another");

/// Reads an export, item by item.
///
/// # Errors
/// [`Error::Encrypted`], [`Error::Read`], or [`Error::NotOfForm`] where the text is longer
/// than 64 MiB, no JSON, or no such export.
pub fn read(file: impl Read) -> Result<BitwardenItems, Error> {
    let text = input::text(file, FORM)?;
    let wrong = |why: String| Error::NotOfForm { form: FORM, why };
    let fault = |fault: tree::Fault| wrong(fault.to_string());
    let members = tree::document(text.expose()).map_err(fault)?;
    let place = |name: &str| {
        members.iter().find(|(present, _)| present == name).map(|(_, place)| place.clone())
    };
    let is_true = |name: &str| place(name).is_some_and(|place| &text.expose()[place] == "true");
    if is_true("encrypted") || is_true("passwordProtected") {
        return Err(Error::Encrypted { form: "Bitwarden export" });
    }
    let Some(items) = place("items").filter(|place| text.expose()[place.clone()].starts_with('['))
    else {
        return Err(wrong("it has no list `items`".into()));
    };
    let mut folders = HashMap::new();
    for list in ["folders", "collections"] {
        let Some(list) = place(list) else { continue };
        for (index, place) in
            tree::elements(text.expose(), &list).map_err(fault)?.iter().enumerate()
        {
            let mut folder = tree::parse(text.expose(), place)
                .map_err(|why| wrong(format!("folder {}: {why}", index + 1)))?;
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
        names: Distinct::default(),
        left_out: LeftOut::default(),
    })
}

/// The items of an export.
#[derive(Debug)]
pub struct BitwardenItems {
    text: SecretText,
    places: std::iter::Enumerate<std::vec::IntoIter<Range<usize>>>,
    /// Folders and collections: their names by their ids.
    folders: HashMap<String, String>,
    names: Distinct,
    left_out: LeftOut,
}

impl BitwardenItems {
    /// Returns what an item becomes; nothing for one of the trash.
    fn item(&mut self, number: u64, place: &Range<usize>) -> Option<Result<Row, BadRow>> {
        let mut from = match tree::parse(self.text.expose(), place) {
            Ok(from @ Tree::Object(_)) => from,
            Ok(_) => return bad(Position::Item(number, None), "it is no object"),
            Err(why) => return bad(Position::Item(number, None), why),
        };
        let name = from.take_text("name");
        let name = name.as_ref().map_or("", SecretText::expose);
        let at = Position::Item(number, title(name));
        if from.get("deletedDate").is_some() {
            self.left_out.count(TRASH, 1);
            return None;
        }
        let kind = from.get("type").and_then(Tree::as_integer);
        let mut item = Item::default();
        let category = match kind {
            Some(1) => self.login(&mut item, from.take("login")),
            Some(2) => "note",
            Some(3) => card(&mut item, from.take("card")),
            Some(4) => identity(&mut item, from.take("identity")),
            Some(5) => ssh_key(&mut item, from.take("sshKey")),
            Some(kind) => return bad(at, &format!("type {kind} is not known")),
            None => return bad(at, "it has no `type`"),
        };
        item.field("notes", from.take_text("notes"));
        for field in from.take_list("fields") {
            self.custom(&mut item, field);
        }
        item.text("category", category);
        item.flag("favourite", from.get("favorite").is_some_and(Tree::is_true));
        for (key, member) in [("created", "creationDate"), ("updated", "revisionDate")] {
            item.time(key, from.get(member).and_then(Tree::as_text).unwrap_or_default());
        }
        if from.get("archivedDate").is_some() {
            item.text("state", "archived");
        }
        let old = from.get("passwordHistory").map_or(0, |list| list.elements().len());
        self.left_out.count(OLD_PASSWORDS, old as u64);
        let folders = folders_of(&self.folders, &from);
        if folders.len() > 1 {
            let folders: Vec<String> = folders.iter().map(|name| name.replace(',', " ")).collect();
            item.text("collections", &folders.join(","));
        }
        let folder = folders.first().copied().unwrap_or_default();
        Some(match self.names.name(&[folder, name]) {
            Ok(name) => item.into_row(at, name, &mut self.left_out),
            Err(why) => Err(BadRow { at, why }),
        })
    }

    fn login(&mut self, item: &mut Item, login: Option<Tree>) -> &'static str {
        let Some(mut login) = login else { return "login" };
        item.field("user", login.take_text("username"));
        item.field("password", login.take_text("password"));
        item.field("totp", login.take_text("totp"));
        for mut uri in login.take_list("uris") {
            item.url(uri.take_text("uri"));
        }
        let passkeys = login.get("fido2Credentials").map_or(0, |list| list.elements().len());
        self.left_out.count(PASSKEYS, passkeys as u64);
        "login"
    }

    /// Adds a field that the user made: text 0, hidden 1, boolean 2, linked 3.
    fn custom(&mut self, item: &mut Item, mut field: Tree) {
        let label = field.take_text("name");
        let label = label.as_ref().map_or("", SecretText::expose);
        if field.get("type").and_then(Tree::as_integer) == Some(3) {
            self.left_out.count(LINKED, 1);
            return;
        }
        match field.take("value") {
            Some(Tree::Boolean(boolean)) => item.value(label, Value::text(boolean.to_string())),
            value => item.field(label, value.and_then(Tree::into_text)),
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
            let (index, place) = self.places.next()?;
            if let Some(row) = self.item(index as u64 + 1, &place) {
                return Some(Ok(row));
            }
        }
    }
}

/// Returns the folder, or else the collections, that an item is in.
fn folders_of<'a>(folders: &'a HashMap<String, String>, from: &Tree) -> Vec<&'a str> {
    let collections = from.get("collectionIds").map_or(&[][..], Tree::elements);
    let ids = from.get("folderId").into_iter().chain(collections);
    ids.filter_map(|id| folders.get(id.as_text()?).map(String::as_str)).collect()
}

fn bad(at: Position, why: &str) -> Option<Result<Row, BadRow>> {
    Some(Err(BadRow { at, why: why.to_owned() }))
}

/// Moves members under the names they get here.
fn fields(item: &mut Item, from: &mut Tree, names: &[(&str, &str)]) {
    for (label, member) in names {
        item.field(label, from.take_text(member));
    }
}

fn card(item: &mut Item, card: Option<Tree>) -> &'static str {
    let Some(mut card) = card else { return "card" };
    let names = [("cardholder", "cardholderName"), ("brand", "brand"), ("number", "number")];
    fields(item, &mut card, &names);
    let number = |text: &Option<SecretText>| text.as_ref()?.expose().parse::<i64>().ok();
    let (year, month) = (card.take_text("expYear"), card.take_text("expMonth"));
    match (number(&year), number(&month)) {
        (Some(year @ 2000..=9998), Some(month @ 1..=12)) => {
            item.value("expires", Value::text(format!("{year}-{month:02}")));
            item.expires_after(year, month);
        }
        _ => {
            item.field("expires-year", year);
            item.field("expires-month", month);
        }
    }
    item.field("code", card.take_text("code"));
    "card"
}

fn identity(item: &mut Item, identity: Option<Tree>) -> &'static str {
    let Some(mut identity) = identity else { return "identity" };
    let names = [
        ("title", "title"),
        ("first-name", "firstName"),
        ("middle-name", "middleName"),
        ("last-name", "lastName"),
        ("user", "username"),
        ("company", "company"),
        ("email", "email"),
        ("phone", "phone"),
        ("address", "address1"),
        ("address-2", "address2"),
        ("address-3", "address3"),
        ("city", "city"),
        ("state", "state"),
        ("postal-code", "postalCode"),
        ("country", "country"),
        ("ssn", "ssn"),
        ("passport", "passportNumber"),
        ("licence", "licenseNumber"),
    ];
    fields(item, &mut identity, &names);
    "identity"
}

fn ssh_key(item: &mut Item, key: Option<Tree>) -> &'static str {
    let Some(mut key) = key else { return "ssh-key" };
    let names = [
        ("private-key", "privateKey"),
        ("public-key", "publicKey"),
        ("fingerprint", "keyFingerprint"),
        ("fingerprint", "fingerprint"),
    ];
    fields(item, &mut key, &names);
    "ssh-key"
}

#[cfg(test)]
mod tests;
