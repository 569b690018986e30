//! Parameters and metadata: names with values whose kind says what their content is, in both ABIs.

use super::{Reader, Wire, Writer, MAX_ITEMS, MAX_LINE_BYTES, MAX_PART_BYTES};
use crate::error::{Error, Result};
use crate::metadata::{Metadata, MetadataValue, MAX_METADATA_BYTES, MAX_METADATA_ENTRIES};
use crate::parameters::{ParameterValue, Parameters};
use crate::value::SecretText;

/// The content of a parameter or of a piece of metadata.
#[derive(Clone, Copy)]
pub enum Content<'a> {
    /// A text or bytes.
    Bytes(&'a [u8]),
    /// A whole number, a time, 0 or 1.
    Number(i64),
    /// Several texts.
    Texts(&'a [String]),
}

/// What has the content of a kind. What is not there, or exceeds a limit, is an error.
pub trait Source {
    /// Returns the bytes.
    fn bytes(&self) -> Result<&[u8]>;
    /// Returns the bytes as text.
    fn text(&self) -> Result<&str>;
    /// Returns the number.
    fn number(&self) -> Result<i64>;
    /// Returns the texts.
    fn texts(&self) -> Result<Vec<String>>;
}

/// A value of a kind that has a number.
pub trait Kinded: Sized {
    /// Returns its kind's number and its content.
    fn content(&self) -> (u32, Content<'_>);
    /// Returns the value of this kind, if that is known here.
    fn read(kind: u32, from: &impl Source) -> Result<Option<Self>>;
}

/// What a value of a kind is made of.
trait Form: Sized {
    fn content(&self) -> Content<'_>;
    fn read(from: &impl Source) -> Result<Self>;
}

macro_rules! forms {
    ($($type:ty, |$it:ident| $content:expr, |$from:ident| $read:expr;)*) => {$(
        impl Form for $type {
            fn content(&self) -> Content<'_> {
                let $it = self;
                $content
            }

            fn read($from: &impl Source) -> Result<Self> {
                $read
            }
        }
    )*};
}

forms! {
    String, |it| Content::Bytes(it.as_bytes()), |from| from.text().map(str::to_owned);
    i64, |it| Content::Number(*it), |from| from.number();
    bool, |it| Content::Number(i64::from(*it)), |from| Ok(from.number()? != 0);
    SecretText, |it| Content::Bytes(it.expose().as_bytes()), |from| from.text().map(Self::new);
    Vec<String>, |it| Content::Texts(it), |from| from.texts();
}

#[cfg(feature = "next")]
forms! {
    Vec<u8>, |it| Content::Bytes(it), |from| from.bytes().map(<[u8]>::to_vec);
}

/// The numbers of kinds; those that parameters and metadata share are the same.
macro_rules! kinds {
    ($($type:ident { $( $(#[$attribute:meta])* $number:literal $kind:ident, )* })*) => {$(
        impl Kinded for $type {
            fn content(&self) -> (u32, Content<'_>) {
                match self {
                    $( $(#[$attribute])* Self::$kind(it) => ($number, it.content()), )*
                }
            }

            fn read(kind: u32, from: &impl Source) -> Result<Option<Self>> {
                Ok(Some(match kind {
                    $( $(#[$attribute])* $number => Self::$kind(Form::read(from)?), )*
                    _ => return Ok(None),
                }))
            }
        }
    )*};
}

kinds! {
    ParameterValue {
        1 Text, 2 Integer, 3 Boolean, 4 Secret,
        #[cfg(feature = "next")] 200 Url,
    }
    MetadataValue {
        1 Text, 2 Integer, 3 Boolean, 4 Timestamp, 5 TextList,
        #[cfg(feature = "next")] 200 Digest,
    }
}

/// The kind of what was left out of metadata: none that is ever known.
const LEFT_OUT: u32 = u32::MAX;

/// A flag of metadata: the entry is read-only.
pub const READ_ONLY: u32 = 1;

/// One parameter or piece of metadata.
struct Tagged<'a> {
    name: &'a str,
    kind: u32,
    content: &'a [u8],
    /// Of metadata only.
    flags: u32,
}

impl<'a> Tagged<'a> {
    fn write(
        w: &mut Writer<'_>,
        name: &str,
        (kind, content): (u32, Content<'_>),
        read_only: bool,
    ) -> Result<()> {
        w.sized(|w| {
            w.bytes(1, name.as_bytes())?;
            w.field(2, &kind)?;
            // Written also where it is empty.
            w.raw(&3_u16.to_le_bytes());
            w.sized(|w| match content {
                Content::Bytes(bytes) => {
                    w.raw(bytes);
                    Ok(())
                }
                Content::Number(number) => number.write(w),
                Content::Texts(texts) => w.list(texts.iter()),
            })?;
            w.field(4, &read_only.then_some(READ_ONLY))
        })
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
}

impl Source for Tagged<'_> {
    fn bytes(&self) -> Result<&[u8]> {
        Ok(self.content)
    }

    fn text(&self) -> Result<&str> {
        std::str::from_utf8(self.content)
            .map_err(|_| Error::invalid(format!("`{}` is not UTF-8", self.name)))
    }

    fn number(&self) -> Result<i64> {
        super::whole(Reader::new(self.content, "number"))
    }

    fn texts(&self) -> Result<Vec<String>> {
        let limit = Some(MAX_METADATA_BYTES);
        Wire::read(&mut Reader { rest: self.content, what: "list", limit })
    }
}

impl Wire for Parameters {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        self.iter().try_for_each(|(name, value)| Tagged::write(w, name, value.content(), false))
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let mut parameters = Self::new();
        for _ in 0..=MAX_ITEMS {
            let one = match Tagged::next(r)? {
                Some(one) => one,
                None => return Ok(parameters),
            };
            let value = ParameterValue::read(one.kind, &one)?.ok_or_else(|| {
                let (name, kind) = (one.name, one.kind);
                let what = format!("the parameter `{name}` is of kind {kind}, unknown here");
                Error::unsupported(what)
            })?;
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

/// Takes a piece of metadata that the other side has, of a kind that is perhaps unknown here. Returns
/// whether the key was there already.
///
/// What is of an unknown kind is left out, and remembered, also over a further boundary: what is
/// incomplete is shown, and never written back. An entry with a flag that is unknown here is shown, and
/// counts as incomplete. What is read-only is not written anyway.
///
/// # Errors
/// As for [`Metadata::insert`].
pub fn take_metadata(
    into: &mut Metadata,
    key: &str,
    value: Option<MetadataValue>,
    flags: u32,
) -> Result<bool> {
    let read_only = flags & READ_ONLY != 0;
    if !read_only && (value.is_none() || flags != 0) {
        into.mark_incomplete();
    }
    let replaced = match value {
        Some(value) if read_only => into.insert_read_only(key, value)?,
        Some(value) => into.insert(key, value)?,
        None => {
            if read_only {
                into.mark_more_read_only();
            }
            None
        }
    };
    Ok(replaced.is_some())
}

impl Wire for Metadata {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        let (incomplete, more_read_only) = self.left_out();
        for (_, read_only) in [(incomplete, false), (more_read_only, true)].iter().filter(|it| it.0)
        {
            Tagged::write(w, "", (LEFT_OUT, Content::Bytes(&[])), *read_only)?;
        }
        self.iter().try_for_each(|(key, value)| {
            Tagged::write(w, key, value.content(), self.is_read_only(key))
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
            let value = MetadataValue::read(one.kind, &one)?;
            if take_metadata(&mut metadata, one.name, value, one.flags)? {
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
