//! The byte forms of what records are made of.

use std::borrow::Cow;
use std::time::Duration;

use super::{Reader, Wire, Writer, MAX_LINE_BYTES, MAX_PART_BYTES};
use crate::error::{Error, ErrorCode, Result};
use crate::name::{SecretName, VaultName};
use crate::parameters::ParameterKind;
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
