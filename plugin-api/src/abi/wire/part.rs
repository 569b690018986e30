//! The byte forms of what records are made of.

use std::borrow::Cow;
use std::time::Duration;

use super::{Reader, Wire, Writer, MAX_ITEMS, MAX_LINE_BYTES, MAX_PART_BYTES};
use crate::error::{Error, ErrorCode, Result};
use crate::metadata::{Metadata, MetadataValue, MAX_METADATA_BYTES, MAX_METADATA_ENTRIES};
use crate::name::{SecretName, VaultName};
use crate::parameters::{ParameterKind, ParameterValue, Parameters};
use crate::plugin::{Level, MAX_EXEC_ARGUMENT_BYTES};
use crate::value::{SecretBytes, SecretText, Value, ValueKind, MAX_VALUE_BYTES};
use crate::vault::{Deadline, WriteMode};

impl Wire for () {
    fn write(&self, _: &mut Writer<'_>) -> Result<()> {
        Ok(())
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        r.fields().end()
    }
}

/// A record with one field, for what may get more: a deadline alone, an answer that may be absent.
#[derive(Debug, PartialEq, Eq)]
pub struct One<T>(pub T);

impl<T: Wire> Wire for One<T> {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        w.field(1, &self.0)
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let (what, mut fields) = (r.what, r.fields());
        let read = Self(fields.get(1, what, None)?);
        fields.end()?;
        Ok(read)
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            fn write(&self, w: &mut Writer<'_>) -> Result<()> {
                w.raw(&self.to_le_bytes());
                Ok(())
            }

            fn read(r: &mut Reader<'_>) -> Result<Self> {
                r.array().map(Self::from_le_bytes)
            }
        }
    )*};
}

numbers! { u32, u64, i32, i64 }

impl Wire for usize {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        (*self as u64).write(w)
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        // What is more than there can be is as much as there can be.
        Ok(usize::try_from(u64::read(r)?).unwrap_or(usize::MAX))
    }
}

impl Wire for bool {
    fn write(&self, _: &mut Writer<'_>) -> Result<()> {
        Ok(())
    }

    fn read(_: &mut Reader<'_>) -> Result<Self> {
        Ok(true)
    }

    fn is_absent(&self) -> bool {
        !self
    }

    fn absent() -> Option<Self> {
        Some(false)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        self.as_ref().map_or(Ok(()), |value| value.write(w))
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        T::read(r).map(Some)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Wire> Wire for Box<T> {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        (**self).write(w)
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        T::read(r).map(Self::new)
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        w.list(self.iter())
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let mut items = Vec::new();
        while let Some(item) = r.next_item::<T>(items.len())? {
            items.push(item?);
        }
        Ok(items)
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn absent() -> Option<Self> {
        Some(Vec::new())
    }
}

/// One of several results: an error stays one, also where it is what cannot be read; no other result
/// is lost for it.
impl<T: Wire> Wire for Result<T> {
    const MAX_COUNT: usize = T::MAX_COUNT;

    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        match self {
            Ok(value) => {
                w.raw(&[0]);
                value.write(w)
            }
            Err(error) => {
                w.raw(&[1]);
                error.write(w)
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        match r.array()? {
            [0] => Ok(super::blame_the_answerer(T::read(r))),
            [1] => {
                let error = super::blame_the_answerer(Error::read(r));
                Ok(Err(error.unwrap_or_else(|unreadable| unreadable)))
            }
            [unknown] => {
                r.rest = &[];
                let what = format!("a result is of kind {unknown}, unknown here");
                Ok(Err(Error::unsupported(what)))
            }
        }
    }
}

impl Wire for String {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        w.raw(self.as_bytes());
        Ok(())
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let bytes = r.all(MAX_LINE_BYTES)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| r.fault("is not UTF-8"))
    }
}

impl Wire for Cow<'static, str> {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        w.raw(self.as_bytes());
        Ok(())
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        String::read(r).map(Cow::Owned)
    }
}

impl Wire for SecretName {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        w.raw(self.as_str().as_bytes());
        Ok(())
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        // More than a name may have is counted by `parse`.
        let bytes = r.all(MAX_LINE_BYTES)?;
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Error::invalid("a secret's name is not UTF-8"))?;
        Self::parse(text)
    }
}

impl Wire for VaultName {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        w.raw(self.as_str().as_bytes());
        Ok(())
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        Self::parse(&String::read(r)?)
    }
}

impl Wire for SecretBytes {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        w.raw(self.expose());
        Ok(())
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        r.all(MAX_PART_BYTES).map(Self::copy_of)
    }
}

impl Wire for SecretText {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        w.raw(self.expose().as_bytes());
        Ok(())
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        Self::copy_of(r.all(MAX_PART_BYTES)?)
    }
}

impl Wire for Value {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        w.raw(&self.kind().code().to_le_bytes());
        w.value(self)
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let kind = u32::read(r)?;
        // An unknown kind is refused before its bytes are looked at.
        if ValueKind::from_code(kind).is_none() {
            return Err(Error::unsupported(format!("the value is of kind {kind}, unknown here")));
        }
        Self::decode(kind, r.all(MAX_VALUE_BYTES)?)
    }
}

/// Milliseconds, rounded up: what is not over yet must not arrive as something that is.
impl Wire for Duration {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        let millis = (self.as_nanos() + 999_999) / 1_000_000;
        u64::try_from(millis).unwrap_or(u64::MAX).write(w)
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        u64::read(r).map(Self::from_millis)
    }
}

/// What is left of it when it is written.
impl Wire for Deadline {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        self.remaining().write(w)
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        Duration::read(r).map(Self::after)
    }
}

/// Kinds that are a number, where one that is unknown has no other meaning.
macro_rules! codes {
    ($($type:ty, $what:literal;)*) => {$(
        impl Wire for $type {
            fn write(&self, w: &mut Writer<'_>) -> Result<()> {
                self.code().write(w)
            }

            fn read(r: &mut Reader<'_>) -> Result<Self> {
                let code = u32::read(r)?;
                Self::from_code(code).ok_or_else(|| {
                    Error::unsupported(format!(concat!($what, " {} is not known here"), code))
                })
            }
        }
    )*};
}

codes! {
    WriteMode, "the write mode";
}

/// A parameter of an action. One that is unknown here is listed, and only that action cannot take it.
impl Wire for ParameterKind {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        self.code().write(w)
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        u32::read(r).map(|code| Self::from_code(code).unwrap_or(Self::Unknown))
    }
}

/// A level that is unknown here is for the plugin's author.
impl Wire for Level {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        self.code().write(w)
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        u32::read(r).map(|code| Self::from_code(code).unwrap_or(Self::Debug))
    }
}

impl Wire for ErrorCode {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        self.number().write(w)
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        u32::read(r).map(Self::from_number)
    }
}

/// The kind of a secret in a listing: one that is unknown here is not known.
impl Wire for Option<ValueKind> {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        self.map_or(Ok(()), |kind| kind.code().write(w))
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        u32::read(r).map(ValueKind::from_code)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// One parameter or piece of metadata: its kind says what its content is.
struct Tagged<'a> {
    name: &'a str,
    kind: u32,
    content: &'a [u8],
    /// Of metadata only.
    flags: u32,
}

/// The numbers of kinds; those that parameters and metadata share are the same.
mod kind {
    pub(super) const TEXT: u32 = 1;
    pub(super) const INTEGER: u32 = 2;
    pub(super) const BOOLEAN: u32 = 3;
    pub(super) const SECRET: u32 = 4;
    pub(super) const TIMESTAMP: u32 = 4;
    pub(super) const TEXT_LIST: u32 = 5;
    #[cfg(feature = "next")]
    pub(super) const URL: u32 = 200;
    #[cfg(feature = "next")]
    pub(super) const DIGEST: u32 = 200;
    /// What was left out of metadata: of no kind that is ever known.
    pub(super) const LEFT_OUT: u32 = u32::MAX;
}

/// A flag of metadata: the entry is read-only.
const READ_ONLY: u32 = 1;

impl<'a> Tagged<'a> {
    fn write(w: &mut Writer<'_>, name: &str, kind: u32, content: &[u8]) -> Result<()> {
        w.sized(|w| Self::write_fields(w, name, kind, content))
    }

    fn write_fields(w: &mut Writer<'_>, name: &str, kind: u32, content: &[u8]) -> Result<()> {
        w.bytes(1, name.as_bytes())?;
        w.field(2, &kind)?;
        w.bytes(3, content)
    }

    /// Reads the next of a list.
    fn next(r: &mut Reader<'a>) -> Result<Option<Self>> {
        let item = match r.item()? {
            Some(item) => item,
            None => return Ok(None),
        };
        let mut fields = Reader::new(item, r.what).fields();
        let name = fields.text(1, "name", MAX_LINE_BYTES)?;
        let kind = fields.get(2, "kind", None)?;
        let content = fields.bytes(3, "content", MAX_PART_BYTES)?;
        let flags = fields.get::<Option<u32>>(4, "flags", None)?.unwrap_or(0);
        fields.end()?;
        Ok(Some(Self { name, kind, content, flags }))
    }

    fn text(&self) -> Result<&'a str> {
        std::str::from_utf8(self.content)
            .map_err(|_| Error::invalid(format!("`{}` is not UTF-8", self.name)))
    }

    fn texts(&self) -> Result<Vec<String>> {
        let limit = Some(MAX_METADATA_BYTES);
        Vec::read(&mut Reader { rest: self.content, what: "list", limit })
    }

    fn integer(&self) -> Result<i64> {
        super::whole(Reader::new(self.content, "number"))
    }

    fn yes(&self) -> Result<bool> {
        self.integer().map(|number| number != 0)
    }
}

impl Wire for Parameters {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        self.iter().try_for_each(|(name, value)| match value {
            ParameterValue::Text(text) => Tagged::write(w, name, kind::TEXT, text.as_bytes()),
            ParameterValue::Integer(number) => {
                Tagged::write(w, name, kind::INTEGER, &number.to_le_bytes())
            }
            ParameterValue::Boolean(yes) => {
                Tagged::write(w, name, kind::BOOLEAN, &i64::from(*yes).to_le_bytes())
            }
            ParameterValue::Secret(text) => {
                Tagged::write(w, name, kind::SECRET, text.expose().as_bytes())
            }
            #[cfg(feature = "next")]
            ParameterValue::Url(url) => Tagged::write(w, name, kind::URL, url.as_bytes()),
        })
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let mut parameters = Self::new();
        for _ in 0..=MAX_ITEMS {
            let one = match Tagged::next(r)? {
                Some(one) => one,
                None => return Ok(parameters),
            };
            let value = match one.kind {
                kind::TEXT => ParameterValue::Text(one.text()?.to_owned()),
                kind::INTEGER => ParameterValue::Integer(one.integer()?),
                kind::BOOLEAN => ParameterValue::Boolean(one.yes()?),
                kind::SECRET => ParameterValue::Secret(SecretText::new(one.text()?)),
                #[cfg(feature = "next")]
                kind::URL => ParameterValue::Url(one.text()?.to_owned()),
                kind => {
                    return Err(Error::unsupported(format!(
                        "the parameter `{}` is of kind {kind}, unknown here",
                        one.name
                    )))
                }
            };
            parameters.insert(one.name, value);
        }
        Err(r.fault(&format!("has more than {MAX_ITEMS} items")))
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

/// What is of a kind that is unknown here is left out when it is read, and remembered, also over a
/// further boundary: what is incomplete is shown, and never written back. An entry with a flag that is
/// unknown here is shown, and counts as incomplete. What is read-only is not written anyway.
impl Wire for Metadata {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        let (incomplete, more_read_only) = self.left_out();
        for (_, read_only) in [(incomplete, false), (more_read_only, true)].iter().filter(|it| it.0)
        {
            w.sized(|w| {
                Tagged::write_fields(w, "", kind::LEFT_OUT, &[])?;
                w.field(4, &read_only.then_some(READ_ONLY))
            })?;
        }
        self.iter().try_for_each(|(key, value)| {
            w.sized(|w| {
                match value {
                    MetadataValue::Text(text) => {
                        Tagged::write_fields(w, key, kind::TEXT, text.as_bytes())
                    }
                    MetadataValue::Integer(number) => {
                        Tagged::write_fields(w, key, kind::INTEGER, &number.to_le_bytes())
                    }
                    MetadataValue::Boolean(yes) => {
                        let number = i64::from(*yes).to_le_bytes();
                        Tagged::write_fields(w, key, kind::BOOLEAN, &number)
                    }
                    MetadataValue::Timestamp(at) => {
                        Tagged::write_fields(w, key, kind::TIMESTAMP, &at.to_le_bytes())
                    }
                    MetadataValue::TextList(texts) => {
                        w.bytes(1, key.as_bytes())?;
                        w.field(2, &kind::TEXT_LIST)?;
                        // Written also where it is empty, as every content is.
                        w.raw(&3_u16.to_le_bytes());
                        w.sized(|w| w.list(texts.iter()))
                    }
                    #[cfg(feature = "next")]
                    MetadataValue::Digest(digest) => {
                        Tagged::write_fields(w, key, kind::DIGEST, digest)
                    }
                }?;
                w.field(4, &self.is_read_only(key).then_some(READ_ONLY))
            })
        })
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        // Two more, for what was left out.
        const MOST: usize = MAX_METADATA_ENTRIES + 2;
        let mut metadata = Self::new();
        for _ in 0..=MOST {
            let one = match Tagged::next(r)? {
                Some(one) => one,
                None => return Ok(metadata),
            };
            let read_only = one.flags & READ_ONLY != 0;
            let value = match one.kind {
                kind::TEXT => MetadataValue::Text(one.text()?.to_owned()),
                kind::INTEGER => MetadataValue::Integer(one.integer()?),
                kind::BOOLEAN => MetadataValue::Boolean(one.yes()?),
                kind::TIMESTAMP => MetadataValue::Timestamp(one.integer()?),
                kind::TEXT_LIST => MetadataValue::TextList(one.texts()?),
                #[cfg(feature = "next")]
                kind::DIGEST => MetadataValue::Digest(one.content.to_vec()),
                _ => {
                    if read_only {
                        metadata.mark_more_read_only();
                    } else {
                        metadata.mark_incomplete();
                    }
                    continue;
                }
            };
            let replaced = if read_only {
                metadata.insert_read_only(one.name, value)?
            } else {
                if one.flags != 0 {
                    metadata.mark_incomplete();
                }
                metadata.insert(one.name, value)?
            };
            if replaced.is_some() {
                return Err(r.fault("has a key twice"));
            }
        }
        Err(r.fault(&format!("has more than {MOST} items")))
    }

    fn is_absent(&self) -> bool {
        self.is_empty() && !self.is_incomplete()
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

/// Variables of a program, by name.
impl Wire for (String, String) {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        w.field(1, &self.0)?;
        w.field(2, &self.1)
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let mut fields = r.fields();
        let pair = (
            fields.get(1, "variable", None)?,
            fields.get(2, "variable", Some(MAX_EXEC_ARGUMENT_BYTES))?,
        );
        fields.end()?;
        Ok(pair)
    }
}
