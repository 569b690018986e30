//! Views: a pointer and a length into the other side's memory.

use abi_stable::StableAbi;

use crate::error::{Error, Result};

/// Bytes that belong to the other side. A null pointer means that there are none at all,
/// which is not the same as zero bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy, StableAbi)]
pub struct AbiBytes {
    start: *const u8,
    len: usize,
}

impl AbiBytes {
    /// Stands for an absent value.
    pub const NONE: Self = Self { start: std::ptr::null(), len: 0 };

    /// Returns a view of these bytes; the caller keeps them alive.
    pub fn of(bytes: &[u8]) -> Self {
        Self { start: bytes.as_ptr(), len: bytes.len() }
    }

    /// Returns whether the value is absent.
    pub fn is_none(self) -> bool {
        self.start.is_null()
    }

    /// Returns the bytes, at most `limit` of them.
    ///
    /// # Safety
    /// The pointer must be null or lead to `len` readable bytes that live and stay
    /// unchanged for `'a`. This cannot be checked: a plugin in the host's own process is
    /// believed in this (docs/decisions/0001).
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when it is absent or too long.
    pub unsafe fn read<'a>(self, what: &str, limit: usize) -> Result<&'a [u8]> {
        if self.start.is_null() {
            return Err(Error::invalid(format!("{what} is missing")));
        }
        if self.len > limit {
            return Err(Error::invalid(format!(
                "{what} has {} bytes; the most is {limit}",
                self.len
            )));
        }
        // SAFETY: not null and not longer than the caller vouches for; `limit` is far
        // below `isize::MAX`.
        Ok(unsafe { std::slice::from_raw_parts(self.start, self.len) })
    }
}
