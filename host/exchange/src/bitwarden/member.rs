//! The members of Bitwarden's items: known members get Keystead's labels, all others keep their
//! names. Nothing of an item or of a later item type is lost.

use keystead_plugin_api::{SecretText, Value};

use super::super::item::Item;
use keystead::internals::json::tree::Tree;

/// Members of an item that Bitwarden uses internally, and that are not part of the secret.
const OWN: [&str; 10] = [
    "id",
    "organizationId",
    "key",
    "object",
    "edit",
    "viewPassword",
    "permissions",
    "organizationUseTotp",
    "attachments",
    "localData",
];

/// A type of item: its number, the member that it is in, and its category.
const TYPES: [(i64, &str, &str); 8] = [
    (1, "login", "login"),
    (2, "secureNote", "note"),
    (3, "card", "card"),
    (4, "identity", "identity"),
    (5, "sshKey", "ssh-key"),
    (6, "bankAccount", "bank-account"),
    (7, "driversLicense", "driving-licence"),
    (8, "passport", "passport"),
];

/// Labels of Keystead and the members that get them, in display order.
const LABELS: [(&str, &[(&str, &str)]); 4] = [
    ("card", &[("cardholder", "cardholderName"), ("brand", "brand"), ("number", "number")]),
    (
        "identity",
        &[
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
        ],
    ),
    (
        "sshKey",
        &[
            ("private-key", "privateKey"),
            ("public-key", "publicKey"),
            ("fingerprint", "keyFingerprint"),
            ("fingerprint", "fingerprint"),
        ],
    ),
    ("login", &[("user", "username"), ("password", "password"), ("totp", "totp")]),
];

/// Returns the category of a type; a later type gets its number.
pub(super) fn category(kind: i64) -> String {
    let found = TYPES.iter().find(|(number, ..)| *number == kind);
    found.map_or_else(|| format!("type-{kind}"), |(.., category)| (*category).to_owned())
}

/// Adds the members of an item's object: by Keystead's labels, and the rest by their own names.
pub(super) fn object(item: &mut Item, member: &str, mut from: Tree) {
    if let Some((_, labels)) = LABELS.iter().find(|(name, _)| *name == member) {
        for (label, name) in *labels {
            match from.take(name) {
                Some(value @ (Tree::Text(_) | Tree::Number(_))) => {
                    item.field(label, value.into_text())
                }
                Some(value) => rest(item, label, value),
                None => {}
            }
        }
    }
    if member == "card" {
        expiry(item, &mut from);
    }
    if member == "secureNote" {
        // This member only marks the item as a note.
        from.take("type");
    }
    members(item, from);
}

/// Adds all remaining members of an item itself.
pub(super) fn left(item: &mut Item, mut from: Tree) {
    OWN.iter().for_each(|name| drop(from.take(name)));
    let Tree::Object(members) = from else { return };
    for (name, value) in members {
        match value {
            value @ Tree::Object(_) => object(item, &name, value),
            value => rest(item, &label(&name), value),
        }
    }
}

fn members(item: &mut Item, from: Tree) {
    if let Tree::Object(members) = from {
        for (name, value) in members {
            rest(item, &label(&name), value);
        }
    }
}

/// Adds a value of any type: a list as fields of one label, an object as fields of its own names.
pub(super) fn rest(item: &mut Item, label: &str, value: Tree) {
    match value {
        Tree::Null => {}
        Tree::Boolean(boolean) => item.value(label, Value::text(boolean.to_string())),
        Tree::Text(text) | Tree::Number(text) => item.field(label, Some(text)),
        Tree::List(list) => list.into_iter().for_each(|one| rest(item, label, one)),
        Tree::Object(members) => {
            for (name, value) in members {
                rest(item, &format!("{label}-{}", self::label(&name)), value);
            }
        }
    }
}

/// Returns a member's name as a label: `bankName` is `bank-name`.
fn label(name: &str) -> String {
    let mut label = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() && !label.is_empty() {
            label.push('-');
        }
        label.push(c.to_ascii_lowercase());
    }
    label
}

fn expiry(item: &mut Item, card: &mut Tree) {
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
}
