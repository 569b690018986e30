//! A plain reader of small TOML files. It knows the position of each key, so that every error
//! has a line and a column. It keeps no comments; changes go through `render`.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::entry::{SCHEMA, Setting};
use super::error::shown;
use super::{Error, FilePosition};
use crate::reference::Reference;
use crate::similar::similar;

/// A file's text and its path, which is for errors only.
#[derive(Clone, Copy)]
pub(super) struct Document<'a> {
    path: &'a Path,
    text: &'a str,
}

impl<'a> Document<'a> {
    pub(super) fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text }
    }

    /// Returns the text of a file's bytes.
    pub(super) fn utf8(path: &Path, bytes: Vec<u8>) -> Result<String, Error> {
        String::from_utf8(bytes).map_err(|fault| {
            let good = fault.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(&fault.as_bytes()[..good]);
            let at = Document::new(path, &text).place(good);
            Error::NotToml { at, message: "this is not UTF-8".into() }
        })
    }

    /// Returns the whole document as a table that may have these keys.
    pub(super) fn parse(self, known: &'static [&'static str]) -> Result<Table<'a>, Error> {
        match DeTable::parse(self.text) {
            Ok(root) => {
                Ok(Table { document: self, known, rest: root.into_inner(), end: self.text.len() })
            }
            // The error itself holds the whole text; only its message is kept.
            Err(fault) => {
                let at = self.place(fault.span().map_or(self.text.len(), |span| span.start));
                Err(Error::NotToml { at, message: shown(fault.message()) })
            }
        }
    }

    fn place(self, offset: usize) -> FilePosition {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        FilePosition { path: self.path.to_owned(), line, column }
    }
}

/// A table whose keys are removed one by one; the remaining keys are unknown.
pub(super) struct Table<'a> {
    document: Document<'a>,
    known: &'static [&'static str],
    rest: DeTable<'a>,
    end: usize,
}

impl<'a> Table<'a> {
    fn take(&mut self, key: &'static str) -> Option<Value<'a>> {
        let value = self.rest.remove(key)?;
        Some(Value::new(self.document, key.to_owned(), value))
    }

    /// Checks the schema before anything else: a file of a later version may have any keys.
    pub(super) fn check_schema(&mut self) -> Result<(), Error> {
        let Some(schema) = self.take("schema") else { return Ok(()) };
        match schema.setting() {
            Some(Setting::Integer(found)) if found > SCHEMA => {
                Err(Error::Newer { path: self.document.path.to_owned(), found, newest: SCHEMA })
            }
            Some(Setting::Integer(SCHEMA)) => Ok(()),
            _ => Err(schema.wrong("the number 1")),
        }
    }

    pub(super) fn text(
        &mut self,
        key: &'static str,
        allowed: impl Fn(&str) -> bool,
        expected: &'static str,
    ) -> Result<Option<String>, Error> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match value.setting() {
            Some(Setting::Text(text)) if allowed(&text) => Ok(Some(text)),
            _ => Err(value.wrong(expected)),
        }
    }

    pub(super) fn boolean(&mut self, key: &'static str) -> Result<Option<bool>, Error> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match value.setting() {
            Some(Setting::Boolean(yes)) => Ok(Some(yes)),
            _ => Err(value.wrong("`true` or `false`")),
        }
    }

    /// Checks that a key which is allowed only elsewhere is not here.
    pub(super) fn absent(&mut self, key: &'static str, place: &'static str) -> Result<bool, Error> {
        self.take(key).map_or(Ok(false), |value| Err(value.wrong(place)))
    }

    pub(super) fn texts(
        &mut self,
        key: &'static str,
        allowed: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, Error> {
        let Some(value) = self.take(key) else { return Ok(Vec::new()) };
        let DeValue::Array(items) = value.inner else {
            return Err(value.wrong("a list of texts"));
        };
        let mut texts = Vec::new();
        for item in items {
            let item = Value::new(self.document, key.to_owned(), item);
            match item.setting() {
                Some(Setting::Text(text)) if allowed(&text) => texts.push(text),
                _ => return Err(item.wrong("a list of texts without control characters")),
            }
        }
        Ok(texts)
    }

    /// Removes a table of any keys, and returns it; a missing table counts as empty.
    pub(super) fn table(&mut self, key: &'static str) -> Result<Vec<(String, Value<'a>)>, Error> {
        let Some(value) = self.take(key) else { return Ok(Vec::new()) };
        let DeValue::Table(table) = value.inner else { return Err(value.wrong("a table")) };
        let named = table.into_iter().map(|(key, value)| {
            let key = key.into_inner().into_owned();
            (key.clone(), Value::new(self.document, key, value))
        });
        Ok(named.collect())
    }

    /// Checks that no key remains.
    pub(super) fn finish(self) -> Result<(), Error> {
        let Some(key) = self.rest.keys().min_by_key(|key| key.span().start) else {
            return Ok(());
        };
        let start = key.span().start.min(self.end);
        Err(Error::UnknownKey {
            at: self.document.place(start),
            key: shown(key.as_ref()),
            similar: similar(key.as_ref(), self.known.iter().copied()),
        })
    }
}

/// A value and its position.
pub(super) struct Value<'a> {
    document: Document<'a>,
    key: String,
    span: Range<usize>,
    inner: DeValue<'a>,
}

impl<'a> Value<'a> {
    fn new(document: Document<'a>, key: String, value: Spanned<DeValue<'a>>) -> Self {
        Self { document, key, span: value.span(), inner: value.into_inner() }
    }

    /// Returns the value if it is a text, a number in range, or a boolean.
    pub(super) fn setting(&self) -> Option<Setting> {
        match &self.inner {
            DeValue::String(text) => Some(Setting::Text(text.clone().into_owned())),
            DeValue::Boolean(yes) => Some(Setting::Boolean(*yes)),
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).ok().map(Setting::Integer)
            }
            _ => None,
        }
    }

    /// Returns the text in `{ from = "…" }`.
    pub(super) fn from(self) -> Result<Self, Error> {
        const EXPECTED: &str = "a text, a whole number, `true`, `false` or `{ from = REFERENCE }`";
        let DeValue::Table(table) = self.inner else { return Err(self.wrong(EXPECTED)) };
        let start = self.span.start;
        let mut table =
            Table { document: self.document, known: &["from"], rest: table, end: self.span.end };
        let Some(mut from) = table.take("from") else {
            table.finish()?;
            return Err(wrong(self.document, start, &self.key, EXPECTED));
        };
        table.finish()?;
        from.key = self.key;
        Ok(from)
    }

    /// Returns the reference in the text.
    pub(super) fn reference(self) -> Result<Reference, Error> {
        let DeValue::String(text) = &self.inner else {
            return Err(self.wrong("a reference, such as `env:NAME`"));
        };
        match Reference::parse(text) {
            Ok(Reference::Fd(_)) => Err(self.wrong("a reference other than `fd:`")),
            Ok(reference) => Ok(reference),
            Err(source) => Err(Error::WrongReference {
                at: self.document.place(self.span.start),
                key: shown(&self.key),
                source,
            }),
        }
    }

    pub(super) fn wrong(&self, expected: &'static str) -> Error {
        wrong(self.document, self.span.start, &self.key, expected)
    }
}

fn wrong(document: Document<'_>, start: usize, key: &str, expected: &'static str) -> Error {
    Error::WrongValue { at: document.place(start), key: shown(key), expected }
}
