//! Reads a plugin's memory: as bytes, and as structs that begin with their size.

use keystead_plugin_api::{Error, Result};

/// Maximum size that a plugin's struct may state, in bytes.
const MAX_STRUCT_BYTES: usize = 64 * 1024;

/// Bytes of the other side of the ABI; a null pointer if there are none.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes {
    pub(super) data: *const u8,
    pub(super) size: usize,
}

impl Default for Bytes {
    fn default() -> Self {
        Self::NONE
    }
}

impl Bytes {
    pub(super) const NONE: Self = Self { data: std::ptr::null(), size: 0 };

    /// Returns a view of these bytes; the caller keeps them alive.
    pub(super) fn of(bytes: &[u8]) -> Self {
        // The address of an empty slice is no address: C's `memcpy` and Go's runtime refuse it.
        if bytes.is_empty() { Self::NONE } else { Self { data: bytes.as_ptr(), size: bytes.len() } }
    }

    /// Returns a view of this text; of no bytes for `None`.
    pub(super) fn optional(text: Option<&str>) -> Self {
        text.map_or(Self::NONE, |text| Self::of(text.as_bytes()))
    }

    /// Returns the bytes, at most `limit` of them.
    ///
    /// # Safety
    /// Where the size is not 0, a start that is not null must lead to `size` readable bytes that
    /// stay unchanged for `'a`. This cannot be checked. A false size ends an isolated plugin's
    /// runner; in-process it may end the host (docs/reference/abi.md).
    pub(super) unsafe fn read<'a>(self, what: &str, limit: usize) -> Result<&'a [u8]> {
        if self.size == 0 {
            return Ok(&[]);
        }
        if self.data.is_null() {
            return Err(Error::internal(format!("{what} is missing")));
        }
        if self.size > limit {
            let size = self.size;
            return Err(Error::internal(format!("{what} has {size} bytes; the most is {limit}")));
        }
        // SAFETY: not null, and not longer than the caller guarantees; every limit is far below
        // `isize::MAX`, and bytes have no alignment.
        Ok(unsafe { std::slice::from_raw_parts(self.data, self.size) })
    }

    /// Returns the bytes as text.
    ///
    /// # Safety
    /// As for [`Bytes::read`].
    pub(super) unsafe fn text<'a>(self, what: &str, limit: usize) -> Result<&'a str> {
        // SAFETY: passed on to the caller.
        let bytes = unsafe { self.read(what, limit) }?;
        std::str::from_utf8(bytes).map_err(|_| Error::internal(format!("{what} is not UTF-8")))
    }
}

/// A struct that begins with its size and may grow at its end.
///
/// # Safety
/// The type is `repr(C)`, begins with its size as a `u32`, has no padding, and any bytes are a
/// value of it.
pub(super) unsafe trait Grown: Copy {
    /// Name of the struct, for messages.
    const WHAT: &'static str;
    /// Size of the struct's first version, in bytes: none is smaller.
    const FIRST: usize;
}

/// Returns a copy of a plugin's struct, with zeroes behind the end of a shorter struct.
///
/// # Safety
/// A pointer that is neither null nor misaligned must lead to 4 readable bytes, and to as many as
/// they state.
pub(super) unsafe fn grown<T: Grown>(pointer: *const T) -> Result<T> {
    if pointer.is_null() {
        return Err(Error::internal(format!("{} is null", T::WHAT)));
    }
    if !pointer.is_aligned() {
        return Err(Error::internal(format!("{} is misaligned", T::WHAT)));
    }
    // SAFETY: neither null nor misaligned; passed on to the caller.
    let size = unsafe { pointer.cast::<u32>().read() } as usize;
    if size < T::FIRST || size > MAX_STRUCT_BYTES {
        let what = T::WHAT;
        return Err(Error::internal(format!("{what} says that it has {size} bytes")));
    }
    let mut copy = std::mem::MaybeUninit::<T>::zeroed();
    let bytes = size.min(size_of::<T>());
    // SAFETY: passed on to the caller for the source; the target is the host's own struct, and no
    // more than its size is written.
    unsafe { std::ptr::copy_nonoverlapping(pointer.cast::<u8>(), copy.as_mut_ptr().cast(), bytes) };
    // SAFETY: any bytes are a value of it, as the trait promises; the rest are zeroes.
    Ok(unsafe { copy.assume_init() })
}

/// Returns the target of a pointer; `None` if the pointer is null or misaligned.
///
/// # Safety
/// Any other pointer must lead to a `T` that stays unchanged for `'a`.
pub(super) unsafe fn checked<'a, T>(pointer: *const T) -> Option<&'a T> {
    if !pointer.is_aligned() {
        return None;
    }
    // SAFETY: aligned, and passed on to the caller.
    unsafe { pointer.as_ref() }
}
