//! Converts an entry of a password manager: secret fields become the value, and all other data the
//! metadata.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use keystead_plugin_api::{
    Credential, MAX_TIMESTAMP_MILLIS, MIN_TIMESTAMP_MILLIS, Map, Metadata, MetadataValue,
    SecretName, SecretText, Value,
};

use super::distinct::{Distinct, clean};
use super::left_out::{LeftOut, Thing};
use super::{BadRow, Position, Row};

/// Maximum number of fields of an entry: no supported program offers a hundred.
const MAX_FIELDS: usize = 1_000;

/// Maximum number of addresses in the metadata; further addresses become fields.
const MAX_URLS: usize = 50;

/// Maximum size in bytes of an address in the metadata: no browser's address bar takes more.
const MAX_URL_BYTES: usize = 2_048;

/// Words in names of secrets, or of data better treated as secret.
const SECRET_WORDS: &[&str] = &[
    "auth",
    "code",
    "credential",
    "cvc",
    "cvv",
    "key",
    "otp",
    "pass",
    "pin",
    "private",
    "pwd",
    "recovery",
    "secret",
    "seed",
    "session",
    "sig",
    "token",
];

/// An entry that becomes a [`Row`].
#[derive(Debug, Default)]
pub(super) struct Item {
    fields: Map,
    labels: Distinct,
    metadata: Metadata,
    urls: usize,
    fault: Option<String>,
    times_unread: u64,
}

impl Item {
    /// Adds a field, unless it is empty. A repeated label gets a number.
    pub(super) fn field(&mut self, label: &str, text: Option<SecretText>) {
        if let Some(text) = text.filter(|text| !text.expose().is_empty()) {
            self.value(label, Value::Text(text));
        }
    }

    /// Adds a field of any kind.
    pub(super) fn value(&mut self, label: &str, value: Value) {
        if self.fields.len() == MAX_FIELDS {
            self.fail(format!("it has more than {MAX_FIELDS} fields"));
            return;
        }
        let label = clean(label);
        let label = self.labels.take(if label.is_empty() { "field" } else { &label });
        self.fields.insert(label, value);
    }

    /// Adds an address: to the metadata as `url`, `url.2`, ..., or as a field `url` if the address
    /// may hold a secret.
    pub(super) fn url(&mut self, url: Option<SecretText>) {
        let Some(url) = url.filter(|url| !url.expose().is_empty()) else { return };
        if self.urls == MAX_URLS || may_be_secret(url.expose()) {
            return self.field("url", Some(url));
        }
        self.urls += 1;
        let key = if self.urls == 1 { "url".into() } else { format!("url.{}", self.urls) };
        self.text(&key, url.expose());
    }

    /// Adds an address, unless the metadata has it already.
    pub(super) fn other_url(&mut self, url: SecretText) {
        let is_there = self.metadata.iter().any(|(key, value)| {
            (key == "url" || key.starts_with("url."))
                && matches!(value, MetadataValue::Text(text) if text == url.expose())
        });
        if !is_there {
            self.url(Some(url));
        }
    }

    /// Adds a text to the metadata, unless it is empty.
    pub(super) fn text(&mut self, key: &str, text: &str) {
        let text = clean(text);
        if !text.is_empty() {
            self.insert(key, MetadataValue::Text(text));
        }
    }

    /// Adds `true` to the metadata.
    pub(super) fn flag(&mut self, key: &str, set: bool) {
        if set {
            self.insert(key, MetadataValue::Boolean(true));
        }
    }

    /// Adds tags to the metadata, with a comma between them.
    pub(super) fn tags<'a>(&mut self, tags: impl Iterator<Item = &'a str>) {
        let tags: Vec<String> =
            tags.map(|tag| clean(&tag.replace(',', " "))).filter(|tag| !tag.is_empty()).collect();
        self.text("tags", &tags.join(","));
    }

    /// Adds a time to the metadata, in any form that [`moment`] reads, unless the text is empty.
    pub(super) fn time(&mut self, key: &str, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        match moment(text) {
            Some(millis) => self.insert(key, MetadataValue::Timestamp(millis)),
            None => self.times_unread += 1,
        }
    }

    /// Adds a time to the metadata, in seconds since 1970.
    pub(super) fn seconds(&mut self, key: &str, seconds: Option<i64>) {
        let Some(seconds) = seconds else { return };
        match in_range(seconds.checked_mul(1_000)) {
            Some(millis) => self.insert(key, MetadataValue::Timestamp(millis)),
            None => self.times_unread += 1,
        }
    }

    /// Adds the end of a month as the time of expiry.
    pub(super) fn expires_after(&mut self, year: i64, month: i64) {
        let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        let first = i16::try_from(year)
            .ok()
            .zip(i8::try_from(month).ok())
            .and_then(|(year, month)| Date::new(year, month, 1).ok())
            .and_then(|date| date.to_zoned(TimeZone::UTC).ok());
        match in_range(first.map(|first| first.timestamp().as_millisecond())) {
            Some(millis) => self.insert("expires", MetadataValue::Timestamp(millis)),
            None => self.times_unread += 1,
        }
    }

    fn insert(&mut self, key: &str, value: MetadataValue) {
        if let Err(refused) = self.metadata.insert(key, value) {
            self.fail(refused.message().to_owned());
        }
    }

    /// Records the reason why the entry cannot be imported; the first reason counts.
    pub(super) fn fail(&mut self, why: String) {
        self.fault.get_or_insert(why);
    }

    /// Returns whether the entry has no secret field.
    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.fault.is_none()
    }

    /// Returns the row.
    pub(super) fn into_row(
        self,
        at: Position,
        name: SecretName,
        left_out: &mut LeftOut,
    ) -> Result<Row, BadRow> {
        let Self { fields, metadata, fault, times_unread, .. } = self;
        if let Some(why) = fault {
            return Err(BadRow { at, why });
        }
        let Some(value) = value(fields, &metadata) else {
            return Err(BadRow { at, why: "there is nothing in it".into() });
        };
        left_out.count(UNREAD_TIMES, times_unread);
        Ok(Row { at, name, value, metadata })
    }
}

const UNREAD_TIMES: Thing = Thing("date that cannot be read", "dates that cannot be read");

/// Returns the simplest value for these fields: the text of a single password, note or value; a
/// credential of user and password; else a map.
fn value(mut fields: Map, metadata: &Metadata) -> Option<Value> {
    let labels: Vec<&str> = fields.iter().map(|(label, _)| label).collect();
    match labels.as_slice() {
        [] => {
            // A bookmark: imported rather than lost.
            let Some(MetadataValue::Text(url)) = metadata.get("url") else { return None };
            fields.insert("url", Value::text(url.clone()));
        }
        ["password" | "notes" | "value"] => {
            return fields.into_iter().next().map(|(_, value)| value);
        }
        ["user", "password"] | ["password", "user"] => {
            match (fields.remove("user"), fields.remove("password")) {
                (Some(Value::Text(user)), Some(Value::Text(password))) => {
                    let user = user.expose().to_owned();
                    return Some(Value::Credential(Credential::new(user, password)));
                }
                // No reader gives these fields another kind; if a reader does, nothing is lost.
                (user, password) => {
                    for (label, value) in [("user", user), ("password", password)] {
                        value.and_then(|value| fields.insert(label, value));
                    }
                }
            }
        }
        _ => {}
    }
    Some(Value::Map(fields))
}

/// Returns whether data with this name is better treated as a secret.
pub(super) fn sounds_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// Returns whether an address may hold a secret: a password before its host, or a parameter with
/// the name of a secret.
pub(super) fn may_be_secret(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (place, parameters) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    let host = place.split('/').next().unwrap_or_default();
    let names = parameters.split(['?', '#', '&', ';', '/']).filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        (!value.is_empty()).then_some(name)
    });
    host.contains('@')
        || url.len() > MAX_URL_BYTES
        || url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("otpauth:"))
        || names.into_iter().any(sounds_secret)
}

/// Returns a time in milliseconds since 1970. Reads RFC 3339, a date with or without a time (then
/// in UTC), or a number of seconds or milliseconds since 1970.
pub(super) fn moment(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        // 100,000,000,000 seconds are the year 5138, and as many milliseconds 1973.
        let millis = if number.unsigned_abs() < 100_000_000_000 {
            number.checked_mul(1_000)
        } else {
            Some(number)
        };
        return in_range(millis);
    }
    let at = text.parse::<Timestamp>().ok().or_else(|| {
        let local = text.parse::<DateTime>().ok();
        let local = local.or_else(|| Some(text.parse::<Date>().ok()?.at(0, 0, 0, 0)));
        local?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    });
    in_range(at.map(|at| at.as_millisecond()))
}

fn in_range(millis: Option<i64>) -> Option<i64> {
    millis.filter(|millis| (MIN_TIMESTAMP_MILLIS..=MAX_TIMESTAMP_MILLIS).contains(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(fill: impl FnOnce(&mut Item)) -> Result<Row, BadRow> {
        let mut item = Item::default();
        fill(&mut item);
        item.into_row(Position::Line(1), SecretName::parse("a").unwrap(), &mut LeftOut::default())
    }

    fn text(text: &str) -> Option<SecretText> {
        Some(SecretText::new(text))
    }

    #[test]
    fn item_fields_become_simplest_lossless_value_kind() {
        let value = |fields: &[(&str, &str)]| {
            row(|item| fields.iter().for_each(|(label, field)| item.field(label, text(field))))
                .map(|row| row.value)
        };
        assert_eq!(value(&[("password", "p")]), Ok(Value::text("p")));
        assert_eq!(value(&[("notes", "n"), ("user", "")]), Ok(Value::text("n")));
        assert_eq!(value(&[("password", "p"), ("user", "u")]), Ok(Value::credential("u", "p")));
        let Ok(Value::Map(map)) = value(&[("user", "u"), ("pin", "1"), ("PIN", "2"), ("\n", "3")])
        else {
            panic!()
        };
        let labels: Vec<_> = map.iter().map(|(label, _)| label).collect();
        assert_eq!(labels, ["user", "pin", "PIN (2)", "field"]);
        assert_eq!(value(&[("user", "")]).unwrap_err().why, "there is nothing in it");
    }

    #[test]
    fn url_is_metadata_unless_secret_is_possible() {
        let row = row(|item| {
            for url in [
                "https://a.example/?next=/home",
                "https://bob:canary@b.example/",
                "https://c.example/?Access_Token=canary",
                "https://d.example/#/reset?code=canary",
                "otpauth://totp/x?secret=canary",
                "https://e.example/?token=",
                "https://f.example/@bob",
            ] {
                item.url(text(url));
            }
            item.url(text(&format!("https://canary.example/{}", "x".repeat(2_048))));
        })
        .unwrap();
        assert!(!format!("{:?}", row.metadata).contains("canary"), "{:?}", row.metadata);
        let keys: Vec<_> = row.metadata.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["url", "url.2", "url.3"]);
        let Value::Map(map) = row.value else { panic!() };
        let labels: Vec<_> = map.iter().map(|(label, _)| label).collect();
        assert_eq!(labels, ["url", "url (2)", "url (3)", "url (4)", "url (5)"]);
    }

    #[test]
    fn item_with_url_only_keeps_url_in_value() {
        let row = row(|item| item.url(text("https://a.example/"))).unwrap();
        let Value::Map(map) = row.value else { panic!() };
        assert_eq!(map.get("url"), Some(&Value::text("https://a.example/")));
    }

    #[test]
    fn export_timestamp_formats_are_parsed() {
        for (text, millis) in [
            ("2023-11-14T22:13:20Z", 1_700_000_000_000),
            ("2023-11-14T22:13:20.123Z", 1_700_000_000_123),
            ("2023-11-15T00:13:20+02:00", 1_700_000_000_000),
            ("2023-11-14 22:13:20", 1_700_000_000_000),
            ("2023-11-14", 1_699_920_000_000),
            ("1700000000", 1_700_000_000_000),
            ("1700000000123", 1_700_000_000_123),
        ] {
            assert_eq!(moment(text), Some(millis), "{text}");
        }
        for text in ["", "soon", "2023-02-30", "99999999999999999", "-9223372036854775808"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    #[test]
    fn invalid_date_is_skipped_and_item_is_kept() {
        let mut item = Item::default();
        item.field("password", text("p"));
        item.time("created", "soon");
        item.seconds("updated", Some(i64::MAX));
        item.expires_after(i64::MAX - 1, 13);
        item.expires_after(2026, 12);
        let mut left_out = LeftOut::default();
        let row = item
            .into_row(Position::Line(1), SecretName::parse("a").unwrap(), &mut left_out)
            .unwrap();
        let found: Vec<_> = row.metadata.iter().collect();
        // 2027-01-01.
        assert_eq!(found, [("expires", &MetadataValue::Timestamp(1_798_761_600_000))]);
        assert_eq!(left_out.lines().collect::<Vec<_>>(), ["3 dates that cannot be read"]);
    }

    #[test]
    fn item_with_too_many_fields_or_metadata_is_rejected() {
        let many = row(|item| (0..=1_000).for_each(|_| item.field("f", text("x"))));
        assert_eq!(many.unwrap_err().why, "it has more than 1000 fields");
        let large = row(|item| item.text("note", &"x".repeat(70_000)));
        assert_eq!(large.unwrap_err().why, "metadata has more than 65536 bytes");
    }
}
