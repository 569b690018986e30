//! From views to the plain types: everything the other side sent is checked here, and
//! nothing of it is kept as a view.
//!
//! # Safety
//! Every function in here reads views, and so needs what [`AbiBytes::read`](super::AbiBytes::read) needs of each:
//! that the other side told the truth about its own memory. Of what lies in that memory
//! nothing is believed.

mod part;
mod reply;
mod request;

pub(super) use reply::*;
pub(super) use request::*;

use crate::error::{Error, ErrorKind, Result};

/// The most bytes of an id, a kind, a version, a label: one line of text.
const MAX_LINE_BYTES: usize = 4_096;

/// The most parameters, answers, versions or actions in one call.
const MAX_ITEMS: usize = 10_000;

/// The most bytes of one parameter, session or answer: a key file may be one.
const MAX_SECRET_PART_BYTES: usize = 1024 * 1024;

/// Returns what making or reading a reply gave: whatever is wrong with one is a fault of
/// the side that answered, never of the request. A kind that is unknown here stays
/// `Unsupported`.
pub(super) fn blaming_the_answerer<T>(result: Result<T>) -> Result<T> {
    result.map_err(|fault| match fault.kind() {
        ErrorKind::Invalid => Error::internal(fault.message()),
        _ => fault,
    })
}

/// Returns what reading a request gave: whatever is wrong with one is a fault of the side
/// that asked, never of the one that was asked.
pub(super) fn blaming_the_caller<T>(result: Result<T>) -> Result<T> {
    result.map_err(|fault| match fault.kind() {
        ErrorKind::Internal => Error::invalid(fault.message()),
        _ => fault,
    })
}

#[cfg(test)]
mod tests;
