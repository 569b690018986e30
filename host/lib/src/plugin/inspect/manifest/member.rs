//! The members of a manifest's JSON. Each member knows its path, so that an error states the path
//! and the expected value.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, MapAccess, SeqAccess, Visitor};

use super::super::{Error, Result, text};

/// A JSON value.
#[derive(Debug)]
pub(super) enum Json {
    Null,
    Boolean(bool),
    Number(Option<serde_json::Number>),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
    /// An object with two members of this name.
    Twice(String),
}

impl Json {
    /// Parses a JSON text, in which no object has two members of the same name.
    ///
    /// # Errors
    /// [`Error::ManifestNotJson`]; [`Error::BadManifest`] with the path of a duplicate member.
    pub(super) fn parse(json: &[u8]) -> Result<Self> {
        // The error's text quotes foreign text, so the error is not kept as a source.
        let json: Self = serde_json::from_slice(json)
            .map_err(|fault| Error::ManifestNotJson { what: text::shown(&fault.to_string()) })?;
        match json.twice(String::new()) {
            Some(path) => Err(Error::bad_manifest(format!("`{path}` is there twice"))),
            None => Ok(json),
        }
    }

    /// Returns the path of the first duplicate member.
    fn twice(&self, path: String) -> Option<String> {
        match self {
            Self::Twice(name) => Some(below(&path, name)),
            Self::List(list) => {
                list.iter().enumerate().find_map(|(at, json)| json.twice(format!("{path}[{at}]")))
            }
            Self::Object(members) => {
                members.iter().find_map(|(name, json)| json.twice(below(&path, name)))
            }
            _ => None,
        }
    }
}

/// A JSON value and its path; no value if the manifest omits the member.
pub(super) struct Member<'json> {
    path: String,
    json: Option<&'json Json>,
}

impl<'json> Member<'json> {
    /// Returns the manifest as a whole.
    pub(super) fn whole(json: &'json Json) -> Self {
        Self { path: String::new(), json: Some(json) }
    }

    /// Returns the member of this name.
    ///
    /// # Errors
    /// If this value is no object.
    pub(super) fn member(&self, name: &str) -> Result<Self> {
        let Some(Json::Object(members)) = self.json else {
            return Err(self.wrong("an object"));
        };
        Ok(Self { path: below(&self.path, name), json: members.get(name) })
    }

    /// Returns the paths of the members with none of these names.
    pub(super) fn others(&self, known: &[&str]) -> impl Iterator<Item = String> {
        let members = match self.json {
            Some(Json::Object(members)) => Some(members),
            _ => None,
        };
        let names = members.into_iter().flat_map(BTreeMap::keys);
        names.filter(|name| !known.contains(&name.as_str())).map(|name| below(&self.path, name))
    }

    /// Returns the entries of a list; none if the list is absent.
    ///
    /// # Errors
    /// If this value is no list, or has more than `most` entries.
    pub(super) fn list(&self, most: usize) -> Result<Vec<Self>> {
        match self.json {
            None => Ok(Vec::new()),
            Some(Json::List(list)) if list.len() > most => Err(Error::bad_manifest(format!(
                "`{}` has {} entries: expected at most {most}",
                self.path,
                list.len()
            ))),
            Some(Json::List(list)) => {
                let entry =
                    |(at, json)| Self { path: format!("{}[{at}]", self.path), json: Some(json) };
                Ok(list.iter().enumerate().map(entry).collect())
            }
            _ => Err(self.wrong("a list")),
        }
    }

    /// Returns whether the manifest omits the member.
    pub(super) fn is_left_out(&self) -> bool {
        self.json.is_none()
    }

    /// Returns whether the value is a text.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.json, Some(Json::Text(_)))
    }

    /// Returns whether the value is an object.
    pub(super) fn is_object(&self) -> bool {
        matches!(self.json, Some(Json::Object(_)))
    }

    /// Returns the value as JSON for users: shortened, with nothing in it that misleads.
    pub(super) fn shown(&self) -> String {
        text::shown(&self.json.map(Json::to_string).unwrap_or_default())
    }

    /// Returns a text, or `default` if the member is absent.
    ///
    /// # Errors
    /// If this value is no text.
    pub(super) fn text_or(&self, default: &'static str) -> Result<&'json str> {
        match self.json {
            None => Ok(default),
            Some(Json::Text(text)) => Ok(text),
            Some(_) => Err(self.wrong("a text")),
        }
    }

    /// Returns a required text.
    ///
    /// # Errors
    /// If this value is no text.
    pub(super) fn text(&self, expected: &str) -> Result<&'json str> {
        match self.json {
            Some(Json::Text(text)) => Ok(text),
            _ => Err(self.wrong(expected)),
        }
    }

    /// Returns a number, or `default` if the member is absent.
    ///
    /// # Errors
    /// If this value is no number.
    pub(super) fn number_or(&self, default: u32) -> Result<u32> {
        match self.json {
            None => Ok(default),
            Some(Json::Number(Some(number))) => {
                let number = number.as_u64().and_then(|number| u32::try_from(number).ok());
                number.ok_or_else(|| self.wrong("a whole number"))
            }
            Some(_) => Err(self.wrong("a whole number")),
        }
    }

    /// Returns a boolean; `false` if the member is absent.
    ///
    /// # Errors
    /// If this value is no boolean.
    pub(super) fn boolean(&self) -> Result<bool> {
        match self.json {
            None => Ok(false),
            Some(Json::Boolean(yes)) => Ok(*yes),
            Some(_) => Err(self.wrong("`true` or `false`")),
        }
    }

    /// Returns a boolean, or `absent` if the member is absent.
    ///
    /// # Errors
    /// If this value is something else.
    pub(super) fn boolean_or(&self, absent: bool) -> Result<bool> {
        if self.json.is_none() { Ok(absent) } else { self.boolean() }
    }

    /// Returns the error of a member with an unexpected value.
    pub(super) fn wrong(&self, expected: impl fmt::Display) -> Error {
        let found: Cow<'_, str> = match self.json {
            None => {
                return Error::bad_manifest(format!(
                    "`{}` is missing: expected {expected}",
                    self.path
                ));
            }
            Some(Json::Text(text)) => format!("`{}`", text::shown(text)).into(),
            Some(Json::Null) => "null".into(),
            Some(Json::Boolean(yes)) => yes.to_string().into(),
            Some(Json::Number(_)) => "a number".into(),
            Some(Json::List(list)) if list.is_empty() => "an empty list".into(),
            Some(Json::List(_)) => "a list".into(),
            Some(Json::Object(_) | Json::Twice(_)) => "an object".into(),
        };
        let path: Cow<'_, str> = match &*self.path {
            "" => "the whole".into(),
            path => format!("`{path}`").into(),
        };
        Error::bad_manifest(format!("{path} is {found}: expected {expected}"))
    }

    /// Returns the error of a member with content that it must not have.
    pub(super) fn has(&self, what: impl fmt::Display) -> Error {
        Error::bad_manifest(format!("`{}` has {what}", self.path))
    }

    /// Returns another error of a manifest with this member's path before it.
    pub(super) fn because(&self, error: Error) -> Error {
        match error {
            Error::BadManifest { what } => Error::bad_manifest(format!("`{}`: {what}", self.path)),
            other => other,
        }
    }
}

/// Returns the path of a member, whose name may be foreign text.
fn below(path: &str, name: &str) -> String {
    let dot = if path.is_empty() { "" } else { "." };
    format!("{path}{dot}{}", text::shown(name))
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null | Self::Number(None) => f.write_str("null"),
            Self::Boolean(yes) => yes.fmt(f),
            Self::Number(Some(number)) => number.fmt(f),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::List(list) => {
                f.write_str("[")?;
                for (at, json) in list.iter().enumerate() {
                    write!(f, "{}{json}", if at == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (at, (name, json)) in members.iter().enumerate() {
                    write!(f, "{}\"{name}\":{json}", if at == 0 { "" } else { "," })?;
                }
                f.write_str("}")
            }
            Self::Twice(name) => write!(f, "{{\"{name}\":...}}"),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Json, E> {
        Ok(Json::Boolean(yes))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(Some(number.into())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(Some(number.into())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Number(serde_json::Number::from_f64(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element()? {
            list.push(entry);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let (mut members, mut twice) = (BTreeMap::new(), None);
        while let Some((name, value)) = entries.next_entry::<String, Json>()? {
            match members.entry(name) {
                Entry::Vacant(place) => {
                    place.insert(value);
                }
                Entry::Occupied(first) => {
                    twice.get_or_insert_with(|| first.key().clone());
                }
            }
        }
        Ok(twice.map_or(Json::Object(members), Json::Twice))
    }
}
