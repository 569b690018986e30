//! Reads and writes a frame's body: bounds-checked, and without allocations by a length
//! that the other end claims.

use std::borrow::Cow;
use std::time::Duration;

use keystead_plugin_api as api;

/// Fault in the other end's bytes: a fragment that follows "it sent".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) Cow<'static, str>);

impl Fault {
    pub(crate) fn new(what: &'static str) -> Self {
        Self(Cow::Borrowed(what))
    }

    /// Returns the fault of a value that its decoder rejected; messages hold sizes, never bytes.
    pub(crate) fn value(refused: &api::Error) -> Self {
        Self(Cow::Owned(format!("a value that is none: {}", refused.message())))
    }
}

/// Writes a body into a buffer that never grows, since growth would leave copies of a
/// secret behind. Bytes that do not fit are only counted: [`Writer::wanted`] then returns
/// the size that a second buffer needs.
pub(crate) struct Writer<'a> {
    buffer: &'a mut [u8],
    wanted: usize,
}

impl<'a> Writer<'a> {
    /// Returns a writer into this buffer.
    pub(crate) fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, wanted: 0 }
    }

    /// Returns the length of the whole body in bytes, even if the buffer cannot hold it.
    pub(crate) fn wanted(&self) -> usize {
        self.wanted
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let end = self.wanted.saturating_add(bytes.len());
        if let Some(room) = self.buffer.get_mut(self.wanted..end) {
            room.copy_from_slice(bytes);
        }
        self.wanted = end;
    }

    pub(crate) fn u8(&mut self, number: u8) {
        self.raw(&[number]);
    }

    pub(crate) fn u32(&mut self, number: u32) {
        self.raw(&number.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, number: u64) {
        self.raw(&number.to_le_bytes());
    }

    pub(crate) fn flag(&mut self, yes: bool) {
        self.u8(u8::from(yes));
    }

    /// Writes a length or count. A count beyond `u32` makes the body exceed every limit, so
    /// that the body is never sent.
    pub(crate) fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).unwrap_or(u32::MAX));
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.raw(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Writes a span in whole milliseconds, rounded up: a deadline that has not passed yet
    /// must not arrive as passed.
    pub(crate) fn span(&mut self, span: Duration) {
        let millis = span.as_nanos().div_ceil(1_000_000);
        self.u64(u64::try_from(millis).unwrap_or(u64::MAX));
    }
}

/// Reads a body.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Returns a reader of these bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| Fault::new("a frame that ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Fault> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn flag(&mut self) -> Result<bool, Fault> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Fault::new("a flag that is neither yes nor no")),
        }
    }

    /// Reads a count of items of at least 1 byte each. A count larger than the rest of the
    /// frame is rejected before memory is reserved.
    pub(crate) fn count(&mut self, most: usize, too_many: &'static str) -> Result<usize, Fault> {
        let count = self.u32()? as usize;
        if count > most || count > self.rest.len() {
            return Err(Fault::new(too_many));
        }
        Ok(count)
    }

    pub(crate) fn bytes(&mut self, most: usize, too_long: &'static str) -> Result<&'a [u8], Fault> {
        let length = self.u32()? as usize;
        if length > most {
            return Err(Fault::new(too_long));
        }
        self.take(length)
    }

    pub(crate) fn text(&mut self, most: usize, too_long: &'static str) -> Result<&'a str, Fault> {
        std::str::from_utf8(self.bytes(most, too_long)?)
            .map_err(|_| Fault::new("a text that is not UTF-8"))
    }

    pub(crate) fn span(&mut self) -> Result<Duration, Fault> {
        Ok(Duration::from_millis(self.u64()?))
    }

    /// Checks that the body ends here: unread bytes are a fault.
    pub(crate) fn end(&self) -> Result<(), Fault> {
        if self.rest.is_empty() { Ok(()) } else { Err(Fault::new("a frame that goes on too long")) }
    }
}
