//! The byte form of requests and answers: what crosses the boundary of the Rust ABI, and what a
//! runner's frames carry. One description of each type (`records`) writes and reads it.
//!
//! A record is its fields in ascending order of their numbers: number (`u16`), length (`u32`),
//! content; integers are little-endian. A field that is absent, an empty list or false is not written;
//! an empty text is. A list is its items, each with its length (`u32`) in front.
//!
//! A receiver skips fields that it does not know. Where that would change what a call does, the
//! sender sets [`MUST_BE_KNOWN`] in the number, and the receiver answers `Unsupported` instead.

mod kind;
mod part;
mod records;
mod tagged;
#[cfg(test)]
mod tests;

pub use part::One;
pub use records::{LogLine, RECORDS};
pub use tagged::{take_metadata, Content, Kinded, Source, READ_ONLY};

use crate::error::{Error, ErrorKind, Result};
use crate::value::SecretBytes;

/// Set in a field's number where a receiver that does not know the field must not go on.
pub const MUST_BE_KNOWN: u16 = 0x8000;

/// The most bytes of an id, a kind, a version, a label: one line of text.
pub const MAX_LINE_BYTES: usize = 4_096;

/// The most items of a list without a limit of its own: parameters, versions, actions.
pub const MAX_ITEMS: usize = 10_000;

/// The most bytes of one parameter, session, answer or argument: a key file may be one.
pub const MAX_PART_BYTES: usize = 1024 * 1024;

/// A type with a byte form.
pub trait Wire: Sized {
    /// The most items of this type in a list.
    const MAX_COUNT: usize = MAX_ITEMS;

    /// Writes it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where it exceeds a limit of the contract.
    fn write(&self, w: &mut Writer<'_>) -> Result<()>;

    /// Reads it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where the bytes are none of this type;
    /// [`ErrorKind::Unsupported`] where they are of a later version.
    fn read(r: &mut Reader<'_>) -> Result<Self>;

    /// Returns whether a field with this value is not written.
    fn is_absent(&self) -> bool {
        false
    }

    /// Returns the value of a field that was not written, where there is one.
    fn absent() -> Option<Self> {
        None
    }
}

/// Writes bytes, or counts them only.
pub struct Writer<'a> {
    out: Option<&'a mut Vec<u8>>,
    len: usize,
}

impl Writer<'_> {
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        if let Some(out) = &mut self.out {
            out.extend_from_slice(bytes);
        }
        self.len += bytes.len();
    }

    /// Writes a value in its own byte form.
    fn value(&mut self, value: &crate::Value) -> Result<()> {
        self.len += value.encoded_len()?;
        if let Some(out) = &mut self.out {
            value.append_to(out);
        }
        Ok(())
    }

    /// Writes something behind its length.
    fn sized(&mut self, write: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.raw(&[0; 4]);
        let start = self.len;
        write(self)?;
        let len = u32::try_from(self.len - start)
            .map_err(|_| Error::invalid("more than 4 GiB for one call"))?;
        if let Some(out) = &mut self.out {
            out[start - 4..start].copy_from_slice(&len.to_le_bytes());
        }
        Ok(())
    }

    /// Writes a field of a record.
    ///
    /// # Errors
    /// As for [`Wire::write`].
    pub fn field<T: Wire>(&mut self, number: u16, value: &T) -> Result<()> {
        if value.is_absent() {
            return Ok(());
        }
        self.raw(&number.to_le_bytes());
        self.sized(|w| value.write(w))
    }

    /// Writes bytes as a field of a record.
    fn bytes(&mut self, number: u16, bytes: &[u8]) -> Result<()> {
        self.raw(&number.to_le_bytes());
        self.sized(|w| {
            w.raw(bytes);
            Ok(())
        })
    }

    /// Writes a list.
    ///
    /// # Errors
    /// As for [`Wire::write`].
    pub fn list<'i, T: Wire + 'i>(&mut self, items: impl Iterator<Item = &'i T>) -> Result<()> {
        for item in items {
            self.sized(|w| item.write(w))?;
        }
        Ok(())
    }
}

/// Reads bytes of the other side: checked against their end, and nothing reserved by a length that
/// the other side claims.
pub struct Reader<'a> {
    rest: &'a [u8],
    /// What is read, for messages.
    what: &'static str,
    /// The most bytes of a text, where the field has a limit of its own.
    limit: Option<usize>,
}

impl<'a> Reader<'a> {
    fn new(rest: &'a [u8], what: &'static str) -> Self {
        Self { rest, what, limit: None }
    }

    fn fault(&self, problem: &str) -> Error {
        Error::invalid(format!("`{}` {problem}", self.what))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        if count > self.rest.len() {
            return Err(self.fault("ends too early"));
        }
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn sized(&mut self) -> Result<&'a [u8]> {
        let count = u32::from_le_bytes(self.array()?) as usize;
        self.take(count)
    }

    /// Takes all that is left, at most the field's limit or this one.
    fn all(&mut self, limit: usize) -> Result<&'a [u8]> {
        let limit = self.limit.unwrap_or(limit);
        if self.rest.len() > limit {
            let len = self.rest.len();
            return Err(self.fault(&format!("has {len} bytes; the most is {limit}")));
        }
        self.take(self.rest.len())
    }

    /// Returns the fields of a record.
    pub fn fields(&mut self) -> Fields<'a> {
        Fields { rest: std::mem::take(&mut self.rest), what: self.what, last: None }
    }

    /// Returns the next item of a list.
    fn item(&mut self) -> Result<Option<&'a [u8]>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.sized().map(Some)
    }

    /// Reads a list; each item alone may be refused.
    ///
    /// # Errors
    /// More items than there may be.
    pub fn each<T: Wire>(&mut self) -> Result<Vec<Result<T>>> {
        let mut items = Vec::new();
        while let Some(item) = self.next_item(items.len())? {
            items.push(item);
        }
        Ok(items)
    }

    /// Reads the next item of a list, behind so many.
    fn next_item<T: Wire>(&mut self, behind: usize) -> Result<Option<Result<T>>> {
        let item = match self.item()? {
            Some(item) => item,
            None => return Ok(None),
        };
        if behind == T::MAX_COUNT {
            return Err(self.fault(&format!("has more than {} items", T::MAX_COUNT)));
        }
        Ok(Some(whole(Self { rest: item, what: self.what, limit: self.limit })))
    }

    fn end(&self) -> Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.fault(&format!("has {} bytes too many", self.rest.len())))
        }
    }
}

/// Reads all that a reader has as one thing.
fn whole<T: Wire>(mut r: Reader<'_>) -> Result<T> {
    let value = T::read(&mut r)?;
    r.end()?;
    Ok(value)
}

/// A field: its number, its content, and what follows it.
type Field<'a> = (u16, &'a [u8], &'a [u8]);

/// The fields of a record that are still to be read.
pub struct Fields<'a> {
    rest: &'a [u8],
    what: &'static str,
    last: Option<u16>,
}

impl<'a> Fields<'a> {
    /// Returns the next field without taking it.
    fn peek(&self) -> Result<Option<Field<'a>>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut r = Reader::new(self.rest, self.what);
        let number = u16::from_le_bytes(r.array()?);
        let content = r.sized()?;
        if self.last.map_or(false, |last| number & !MUST_BE_KNOWN <= last) {
            return Err(r.fault("has its fields out of order"));
        }
        Ok(Some((number, content, r.rest)))
    }

    fn skip(&mut self, number: u16, rest: &'a [u8]) -> Result<()> {
        if number & MUST_BE_KNOWN != 0 {
            return Err(Error::unsupported(format!(
                "`{}` has the field {}, which is not known here",
                self.what,
                number & !MUST_BE_KNOWN
            )));
        }
        (self.rest, self.last) = (rest, Some(number));
        Ok(())
    }

    /// Returns the content of the field of this number, which follows the one that was read last.
    fn content(&mut self, number: u16) -> Result<Option<&'a [u8]>> {
        let wanted = number & !MUST_BE_KNOWN;
        loop {
            match self.peek()? {
                Some((found, content, rest)) if found & !MUST_BE_KNOWN == wanted => {
                    (self.rest, self.last) = (rest, Some(wanted));
                    return Ok(Some(content));
                }
                Some((found, _, rest)) if found & !MUST_BE_KNOWN < wanted => {
                    self.skip(found, rest)?;
                }
                _ => return Ok(None),
            }
        }
    }

    /// Reads a field; its name and limit are for texts.
    ///
    /// # Errors
    /// As for [`Wire::read`], and where it is missing.
    pub fn get<T: Wire>(
        &mut self,
        number: u16,
        name: &'static str,
        limit: Option<usize>,
    ) -> Result<T> {
        match self.content(number)? {
            Some(rest) => whole(Reader { rest, what: name, limit }),
            None => T::absent().ok_or_else(|| Error::invalid(format!("`{name}` is missing"))),
        }
    }

    fn bytes(&mut self, number: u16, name: &'static str, limit: usize) -> Result<&'a [u8]> {
        let content = self.content(number)?;
        let content = content.ok_or_else(|| Error::invalid(format!("`{name}` is missing")))?;
        Reader::new(content, name).all(limit)
    }

    fn text(&mut self, number: u16, name: &'static str, limit: usize) -> Result<&'a str> {
        std::str::from_utf8(self.bytes(number, name, limit)?)
            .map_err(|_| Error::invalid(format!("`{name}` is not UTF-8")))
    }

    /// Skips what is left: fields of a later version.
    ///
    /// # Errors
    /// A field that must be known, or that is none.
    pub fn end(mut self) -> Result<()> {
        while let Some((number, _, rest)) = self.peek()? {
            self.skip(number, rest)?;
        }
        Ok(())
    }
}

/// Gives a struct its byte form: each field with its number, in ascending order, and the most bytes
/// of a text where that is not [`MAX_LINE_BYTES`]. The one description of a type: a new field is one
/// line more.
macro_rules! record {
    (
        $type:ty {
            $( $(#[$attribute:meta])* $number:literal $(| $flag:ident)? $field:ident
                $(<= $limit:expr)? ),* $(,)?
        }
        $(, most $most:expr)? $(, then $then:expr)?
    ) => {
        impl $crate::abi::wire::Wire for $type {
            $(const MAX_COUNT: usize = $most;)?

            fn write(&self, w: &mut $crate::abi::wire::Writer<'_>) -> $crate::Result<()> {
                $( $(#[$attribute])* { w.field($number $(| $flag)?, &self.$field)?; } )*
                let _ = w;
                Ok(())
            }

            fn read(r: &mut $crate::abi::wire::Reader<'_>) -> $crate::Result<Self> {
                #[allow(unused_mut)]
                let mut fields = r.fields();
                let read = Self {
                    $( $(#[$attribute])* $field: fields.get(
                        $number $(| $flag)?,
                        stringify!($field),
                        $crate::abi::wire::record!(@limit $($limit)?),
                    )? ),*
                };
                fields.end()?;
                $( let read = $then(read)?; )?
                Ok(read)
            }
        }
    };
    (@limit) => { None };
    (@limit $limit:expr) => { Some($limit) };
}
pub(crate) use record;

/// Returns the byte form, in memory that never grew: growth would leave copies of a secret behind.
///
/// # Errors
/// [`ErrorKind::Invalid`] where it exceeds a limit of the contract.
pub fn encode<T: Wire>(value: &T) -> Result<SecretBytes> {
    encode_behind(&[], value)
}

fn encode_behind<T: Wire>(head: &[u8], value: &T) -> Result<SecretBytes> {
    let mut measured = Writer { out: None, len: head.len() };
    value.write(&mut measured)?;
    let mut out = Vec::with_capacity(measured.len);
    out.extend_from_slice(head);
    let mut writer = Writer { len: out.len(), out: Some(&mut out) };
    value.write(&mut writer)?;
    debug_assert_eq!(writer.len, measured.len);
    Ok(SecretBytes::new(out))
}

/// Returns what these bytes of a request are. Whatever is wrong with them is a fault of the side
/// that asked.
///
/// # Errors
/// As for [`Wire::read`].
pub fn decode<T: Wire>(bytes: &[u8]) -> Result<T> {
    whole(Reader::new(bytes, "request"))
}

/// Returns the record of these fields, each with its number, in ascending order of these.
pub fn record_of(fields: &[(u16, &[u8])]) -> SecretBytes {
    let len = fields.iter().map(|(_, content)| 6 + content.len()).sum();
    let mut out = Vec::with_capacity(len);
    for (number, content) in fields {
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(&(content.len() as u32).to_le_bytes());
        out.extend_from_slice(content);
    }
    SecretBytes::new(out)
}

/// The first byte of a reply.
mod status {
    pub(super) const ANSWER: u8 = 0;
    pub(super) const ERROR: u8 = 1;
    pub(super) const UNKNOWN_CALL: u8 = 2;
}

/// Returns a reply. An answer that exceeds a limit becomes an error of the side that answers.
pub fn encode_reply<T: Wire>(result: &Result<T>) -> SecretBytes {
    let encoded = match result {
        Ok(answer) => blame_the_answerer(encode_behind(&[status::ANSWER], answer)),
        Err(error) => return error_reply(error),
    };
    encoded.unwrap_or_else(|error| error_reply(&error))
}

fn error_reply(error: &Error) -> SecretBytes {
    encode_behind(&[status::ERROR], error).expect("an error has no more than its limits")
}

/// Returns the reply of a side that does not know the call.
pub fn unknown_call() -> SecretBytes {
    SecretBytes::copy_of(&[status::UNKNOWN_CALL])
}

/// Returns what a reply says; `None` where the other side does not know the call. Whatever is wrong
/// with it is a fault of the side that answered.
///
/// # Errors
/// The error that was answered; [`ErrorKind::Internal`] for bytes that are no reply;
/// [`ErrorKind::Unsupported`] for what is of a later version.
pub fn decode_reply<T: Wire>(reply: &[u8]) -> Result<Option<T>> {
    match reply.split_first() {
        Some((&status::ANSWER, answer)) => {
            blame_the_answerer(whole(Reader::new(answer, "answer"))).map(Some)
        }
        Some((&status::ERROR, error)) => {
            Err(blame_the_answerer(whole(Reader::new(error, "error"))).unwrap_or_else(|own| own))
        }
        Some((&status::UNKNOWN_CALL, [])) => Ok(None),
        _ => Err(Error::internal("the answer is no reply")),
    }
}

/// Whether these bytes begin as a reply does.
pub fn is_reply(bytes: &[u8]) -> bool {
    match bytes.split_first() {
        Some((&(status::ANSWER | status::ERROR), _)) => true,
        Some((&status::UNKNOWN_CALL, rest)) => rest.is_empty(),
        _ => false,
    }
}

/// Whether this reply is an answer: whether the call was done.
pub fn is_answer(reply: &[u8]) -> bool {
    reply.first() == Some(&status::ANSWER)
}

/// Returns the error that a reply is, if it is one.
pub fn error_of(reply: &[u8]) -> Option<Error> {
    match reply.first() {
        Some(&status::ERROR) => decode_reply::<()>(reply).err(),
        _ => None,
    }
}

/// Returns what making or reading an answer gave, where what is wrong with one is a fault of the
/// side that answered. What is of a later version stays `Unsupported`.
fn blame_the_answerer<T>(result: Result<T>) -> Result<T> {
    result.map_err(|fault| match fault.kind() {
        ErrorKind::Invalid => Error::internal(fault.message()),
        _ => fault,
    })
}
