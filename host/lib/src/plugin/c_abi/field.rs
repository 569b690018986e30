//! Memory layout of fields in structs of the C ABI. Fields that a plugin filled in become the
//! content of fields in the Rust ABI's record.

use std::ptr;
use std::time::Duration;

use keystead_plugin_api as api;
use keystead_plugin_api::abi::wire::{self, Wire, encode};
use keystead_plugin_api::{
    Error, MAX_EXEC_ARGUMENT_BYTES, MAX_EXEC_ARGUMENTS, NameEquality, Result, SecretBytes,
    UnicodeTables, Wait,
};

use super::bytes::{Bytes, Grown, checked, grown};

/// A text or a number; empty or 0 means `None`.
#[repr(transparent)]
#[derive(Clone, Copy, Default)]
pub(super) struct Opt<T>(pub(super) T);

/// A number, and room for another number.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Padded {
    pub(super) number: u32,
    pub(super) reserved: u32,
}

impl From<Padded> for u32 {
    fn from(padded: Padded) -> Self {
        padded.number
    }
}

/// A variable of a program, or the host's name and version.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Pair {
    pub(super) name: Bytes,
    pub(super) value: Bytes,
}

/// Pointers to structs that may grow: C does not know the distance between two structs.
#[repr(C)]
pub(super) struct List<T> {
    pub(super) start: *const *const T,
    pub(super) count: usize,
}

/// Items in a row in memory, at most `MOST`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Row<T, const MOST: usize> {
    pub(super) start: *const T,
    pub(super) count: usize,
}

pub(super) type Choices = Row<Bytes, { api::Prompt::MAX_CHOICES }>;
pub(super) type Arguments = Row<Bytes, MAX_EXEC_ARGUMENTS>;
pub(super) type Variables = Row<Pair, MAX_EXEC_ARGUMENTS>;
pub(super) type Texts = Row<Bytes, { api::MAX_METADATA_TEXTS }>;

impl<T, const MOST: usize> Default for Row<T, MOST> {
    fn default() -> Self {
        Self { start: ptr::null(), count: 0 }
    }
}

impl<T: Copy, const MOST: usize> Row<T, MOST> {
    /// Returns each item, read by `read`.
    ///
    /// # Safety
    /// A start that is not null must lead to `count` items.
    pub(super) unsafe fn each<R>(
        self,
        what: &str,
        read: impl Fn(T) -> Result<R>,
    ) -> Result<Vec<R>> {
        if self.count > MOST {
            return Err(Error::invalid(format!("{what} has more than {MOST} items")));
        }
        let each = (0..self.count).map(|at| {
            // SAFETY: passed on to the caller.
            let item = unsafe { checked(self.start.wrapping_add(at)) };
            read(*item.ok_or_else(|| Error::invalid(format!("{what} is missing")))?)
        });
        each.collect()
    }
}

impl<const MOST: usize> Row<Bytes, MOST> {
    /// Returns the items as texts.
    ///
    /// # Safety
    /// As for [`Row::each`] and, for each item, as for [`Bytes::read`].
    pub(super) unsafe fn texts(self, what: &str, limit: usize) -> Result<Vec<String>> {
        // SAFETY: passed on to the caller.
        let read = |text: Bytes| unsafe { text.text(what, limit) }.map(str::to_owned);
        // SAFETY: passed on to the caller.
        unsafe { self.each(what, read) }
    }
}

/// How a challenge waits.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Waiting {
    pub(super) wait: u32,
    pub(super) reserved: u32,
    pub(super) interval_millis: u64,
    pub(super) expires_millis: u64,
}

impl Waiting {
    fn plain(self) -> Result<Wait> {
        let expires = Duration::from_millis(self.expires_millis);
        Ok(match self.wait {
            0 => Wait::None,
            1 => Wait::Poll { interval: Duration::from_millis(self.interval_millis), expires },
            2 => Wait::System,
            #[cfg(feature = "next")]
            200 => Wait::Touch { expires },
            code => return Err(Wait::unknown(code)),
        })
    }
}

/// Rule for which names are the same secret. An unknown rule counts as no rule.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct NameRule {
    pub(super) names: u32,
    pub(super) folding: u32,
    pub(super) composition: u32,
    pub(super) reserved: u32,
}

impl NameRule {
    fn plain(self) -> NameEquality {
        let major = |number| u8::try_from(number).ok();
        let tables = major(self.folding).zip(major(self.composition));
        let tables = tables.map(|(folding, composition)| UnicodeTables::new(folding, composition));
        match (self.names, tables) {
            (1, _) => NameEquality::Exact,
            (2, _) => NameEquality::AsciiCase,
            (3, Some(tables)) => NameEquality::Composed(tables),
            (4, Some(tables)) => NameEquality::ComposedCase(tables),
            #[cfg(feature = "next")]
            (200, Some(tables)) => NameEquality::Width(tables),
            _ => NameEquality::Unknown,
        }
    }
}

/// A field of a record: its number, its name for messages, the maximum bytes of a text.
pub(super) struct Field {
    pub(super) number: u16,
    pub(super) name: &'static str,
    pub(super) limit: usize,
}

/// The content of a field of a record.
pub(super) enum Content<'a> {
    Lent(&'a [u8]),
    Own(SecretBytes),
}

/// A field of a struct that a plugin filled in.
pub(super) trait Say: Copy {
    /// Whether an empty field or 0 means `None`.
    const MAY_BE_NONE: bool = false;

    /// Returns the content of the field.
    ///
    /// # Safety
    /// As for [`Bytes::read`], for all memory that the field leads to.
    unsafe fn say<'a>(self, to: &Field) -> Result<Content<'a>>;

    /// Returns whether the field is empty or 0.
    fn is_none(&self) -> bool {
        false
    }
}

impl Say for Bytes {
    unsafe fn say<'a>(self, to: &Field) -> Result<Content<'a>> {
        // SAFETY: passed on to the caller.
        unsafe { self.read(to.name, to.limit) }.map(Content::Lent)
    }

    fn is_none(&self) -> bool {
        self.size == 0
    }
}

impl<T: Say> Say for Opt<T> {
    const MAY_BE_NONE: bool = true;

    unsafe fn say<'a>(self, to: &Field) -> Result<Content<'a>> {
        // SAFETY: passed on to the caller.
        unsafe { self.0.say(to) }
    }

    fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

impl<const MOST: usize> Say for Row<Bytes, MOST> {
    unsafe fn say<'a>(self, to: &Field) -> Result<Content<'a>> {
        // SAFETY: passed on to the caller.
        encode(&unsafe { self.texts(to.name, to.limit) }?).map(Content::Own)
    }
}

impl Say for Variables {
    unsafe fn say<'a>(self, to: &Field) -> Result<Content<'a>> {
        let read = |pair: Pair| {
            // SAFETY: passed on to the caller.
            let text = |of: Bytes| unsafe { of.text(to.name, MAX_EXEC_ARGUMENT_BYTES) };
            Ok((text(pair.name)?.to_owned(), text(pair.value)?.to_owned()))
        };
        // SAFETY: passed on to the caller.
        encode(&unsafe { self.each(to.name, read) }?).map(Content::Own)
    }
}

/// Fields without pointers: the number that is 0 for `None`, and the value in the Rust ABI.
macro_rules! plain {
    ($($type:ty, |$it:ident| $number:expr, $plain:expr;)*) => {$(
        impl Say for $type {
            unsafe fn say<'a>(self, _: &Field) -> Result<Content<'a>> {
                let $it = self;
                encode(&$plain).map(Content::Own)
            }

            fn is_none(&self) -> bool {
                let $it = self;
                $number == 0
            }
        }
    )*};
}

plain! {
    u32, |it| *it, it;
    u64, |it| *it, it;
    i64, |it| *it, it;
    Padded, |it| it.number, it.number;
    Waiting, |it| it.wait, it.plain()?;
    NameRule, |it| it.names, it.plain();
}

/// Content of a struct: the fields of a record.
#[derive(Default)]
pub(super) struct Said<'a>(Vec<(u16, Content<'a>)>);

impl<'a> Said<'a> {
    /// Adds the content of a field.
    ///
    /// # Safety
    /// As for [`Say::say`].
    pub(super) unsafe fn take<S: Say>(&mut self, to: &Field, what: S) -> Result<()> {
        if !(S::MAY_BE_NONE && what.is_none()) {
            // SAFETY: passed on to the caller.
            self.0.push((to.number, unsafe { what.say(to) }?));
        }
        Ok(())
    }

    /// Adds content that no field of the struct holds.
    pub(super) fn own(&mut self, to: &Field, what: &impl Wire) -> Result<()> {
        self.0.push((to.number, Content::Own(encode(what)?)));
        Ok(())
    }

    /// Returns the record.
    fn record(mut self) -> SecretBytes {
        self.0.sort_by_key(|(number, _)| *number);
        let each = self.0.iter().map(|(number, content)| match content {
            Content::Lent(bytes) => (*number, *bytes),
            Content::Own(bytes) => (*number, bytes.expose()),
        });
        let fields: Vec<_> = each.collect();
        wire::record_of(&fields)
    }
}

/// A struct that a plugin passes to the host: the fields of a record.
pub(super) trait Told: Grown {
    /// Its type in the plugin API.
    type Plain: Wire;

    /// Adds the content of each field.
    ///
    /// # Safety
    /// As for [`Say::say`], for each field.
    unsafe fn say(&self, said: &mut Said<'_>) -> Result<()>;
}

/// Returns the record of a plugin's struct, with the fields that `beside` adds.
///
/// # Safety
/// As for [`grown`] and [`Told::say`].
pub(super) unsafe fn record<T: Told>(
    pointer: *const T,
    beside: impl FnOnce(&mut Said<'_>) -> Result<()>,
) -> Result<SecretBytes> {
    // SAFETY: passed on to the caller.
    let it = unsafe { grown(pointer) }?;
    let mut said = Said::default();
    // SAFETY: passed on to the caller.
    unsafe { it.say(&mut said) }?;
    beside(&mut said)?;
    Ok(said.record())
}

/// Returns the content of a plugin's struct, read and checked like a record of the Rust ABI.
///
/// # Safety
/// As for [`record`].
pub(super) unsafe fn plain<T: Told>(pointer: *const T) -> Result<T::Plain> {
    // SAFETY: passed on to the caller.
    unsafe { plain_beside(pointer, |_| Ok(())) }
}

/// Returns the same, with the fields that `beside` adds.
///
/// # Safety
/// As for [`record`].
pub(super) unsafe fn plain_beside<T: Told>(
    pointer: *const T,
    beside: impl FnOnce(&mut Said<'_>) -> Result<()>,
) -> Result<T::Plain> {
    // SAFETY: passed on to the caller.
    wire::decode(unsafe { record(pointer, beside) }?.expose())
}
