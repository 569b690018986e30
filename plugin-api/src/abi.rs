//! The stable-ABI twins of the contract. Not for authors: [`export_plugin!`](crate::export_plugin)
//! and the host are its only users, and nothing here is covered by the crate's promises
//! except through them (docs/decisions/0026).
//!
//! What crosses is bytes: a call by its number, with a request that lives until the call returns;
//! a reply that lives until the receiver gives it back to its maker ([`AbiReply`]). So nothing is
//! ever freed by the side that did not allocate it, and who wipes a secret is always the side that
//! holds it. What the bytes are, [`wire`] says; a runner's frames carry the same.

mod call;
mod client;
mod guard;
mod host_side;
mod plugin_side;
mod table;
mod view;
pub mod wire;

pub use call::*;
pub use client::*;
pub use guard::{Guarded, Holds};
pub use host_side::{open, open_linked, Library};
pub use plugin_side::header;
pub use table::*;
pub use view::AbiBytes;

#[doc(hidden)]
pub use abi_stable::library::LibHeader;

use crate::error::{Error, Result};
use crate::vault::Written;

/// Returns the results of several writes: an error stays, and each success is replaced by
/// the answer to what was passed on.
///
/// # Errors
/// [`ErrorKind::Internal`](crate::ErrorKind::Internal) where there are more answers or fewer
/// than were to be given.
pub fn merged(
    results: Vec<Result<()>>,
    answers: Vec<Result<Written>>,
) -> Result<Vec<Result<Written>>> {
    let passed_on = results.iter().filter(|result| result.is_ok()).count();
    if answers.len() != passed_on {
        return Err(Error::internal(format!(
            "{passed_on} secrets were to be written and {} answers came back",
            answers.len()
        )));
    }
    let mut answers = answers.into_iter();
    let each = results.into_iter().map(|result| match result {
        Ok(()) => answers.next().expect("they were counted"),
        Err(error) => Err(error),
    });
    Ok(each.collect())
}
