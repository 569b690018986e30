//! Additions of a later C ABI version to the host's table: a service, and answers of a new call.
//!
//! # Safety
//! As for the module above.

use keystead_plugin_api::MAX_MESSAGE_BYTES;
use keystead_plugin_api::abi::wire::MAX_LINE_BYTES;

use super::super::table::*;
use super::{contained, host_of, tell};

pub(super) unsafe extern "C" fn notify(context: u64, line: Bytes) -> u32 {
    let shown = contained(|| {
        // SAFETY: the module's promise.
        let line = unsafe { line.text("a line", MAX_MESSAGE_BYTES) };
        host_of(context)?.services.notify(line.ok()?).ok()
    });
    u32::from(shown.flatten().is_none())
}

pub(super) unsafe extern "C" fn health(reply: u64, key: Bytes, value: Bytes) -> u32 {
    tell(reply, |told| {
        // SAFETY: the module's promise.
        let key = unsafe { key.text("a key", MAX_LINE_BYTES) }?;
        // SAFETY: the module's promise.
        told.health(key, unsafe { value.text("a value", MAX_LINE_BYTES) }?)
    })
}
