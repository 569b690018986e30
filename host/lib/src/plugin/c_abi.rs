//! The C ABI, `c-1`: a plugin that is a table of C functions
//! (`plugin-api/include/keystead_plugin.h`), as a plain vault.
//!
//! This module reads and checks the table. `vault` calls it, the plugin calls `host_table`, and
//! `reply` checks the plugin's answers. `table` is the header in Rust, made from the description of
//! the Rust ABI; `lend` and `field` define the C form of each field type.
//!
//! # Safety
//! The host trusts only claims of a plugin that it cannot check: pointers lead to memory of the
//! stated length, and functions to functions. Everything in that memory is untrusted.
//! docs/reference/abi.md describes the effects of a false claim.

mod bytes;
mod field;
#[doc(hidden)]
pub mod fuzzing;
mod host_table;
mod lend;
mod reply;
mod table;
#[cfg(test)]
mod tests;
mod vault;

use std::ffi::c_void;
use std::mem::MaybeUninit;

use keystead_plugin_api::{Context, OpenRequest, Result as PluginResult, Vault};

use super::abi_check::AbiCompatibility;
use table::{MAGIC, MAX_PLUGIN_BYTES, PLUGIN_V1_BYTES, PluginTable};

/// The symbol of a plugin's entry, with its NUL.
pub(super) const ENTRY: &[u8] = b"keystead_plugin_v1\0";

/// A plugin's entry: returns its table.
pub(super) type Entry = unsafe extern "C" fn() -> *const c_void;

/// A plugin's table, checked and copied. It lives as long as the process, like the plugin's code.
#[derive(Clone, Copy)]
pub(super) struct CPlugin(&'static PluginTable);

/// Calls a plugin's entry and checks the table that it returns.
///
/// # Safety
/// The entry must be the function that the header declares.
///
/// # Errors
/// The fault of the table, as the end of a sentence.
pub(super) unsafe fn enter(entry: Entry) -> Result<(CPlugin, AbiCompatibility), String> {
    // SAFETY: passed on to the caller.
    let table = unsafe { entry() };
    // SAFETY: the entry returns a table or null: passed on to the caller.
    let table = unsafe { copied(table.cast()) }?;
    let fit = match table.size.cmp(&table::size::<PluginTable>()) {
        std::cmp::Ordering::Less => AbiCompatibility::PluginOlder,
        std::cmp::Ordering::Equal => AbiCompatibility::Exact,
        std::cmp::Ordering::Greater => AbiCompatibility::PluginNewer,
    };
    Ok((CPlugin(Box::leak(Box::new(table))), fit))
}

impl CPlugin {
    /// Opens a vault.
    ///
    /// # Errors
    /// The plugin's error.
    pub(super) fn open(
        self,
        request: &OpenRequest,
        context: Context,
    ) -> PluginResult<Box<dyn Vault>> {
        Ok(Box::new(vault::open(self.0, &host_table::HOST, request, context)?))
    }
}

/// Header of every table.
#[repr(C)]
struct Head {
    magic: u64,
    size: u32,
}

/// Returns a copy of a table; the rest of a shorter table is zero.
///
/// # Safety
/// A pointer that is neither null nor misaligned must lead to 16 readable bytes, and to as many
/// bytes as the size in them states.
unsafe fn copied(table: *const PluginTable) -> Result<PluginTable, String> {
    if table.is_null() {
        return Err("it is null".to_owned());
    }
    if !table.is_aligned() {
        return Err("its address is not one of a table".to_owned());
    }
    // SAFETY: neither null nor misaligned; passed on to the caller.
    let Head { magic, size } = unsafe { table.cast::<Head>().read() };
    let size = size as usize;
    if magic != MAGIC {
        return Err("it does not begin as the header says".to_owned());
    }
    if size < PLUGIN_V1_BYTES {
        return Err(format!("it has {size} bytes; the first version has {PLUGIN_V1_BYTES}"));
    }
    if size > MAX_PLUGIN_BYTES {
        return Err(format!("it says that it has {size} bytes; the most is {MAX_PLUGIN_BYTES}"));
    }
    let mut copy = MaybeUninit::<PluginTable>::zeroed();
    let bytes = size.min(size_of::<PluginTable>());
    // SAFETY: passed on to the caller for the source; the target is the host's own table, and no
    // more than `bytes` is read or written.
    unsafe { std::ptr::copy_nonoverlapping(table.cast::<u8>(), copy.as_mut_ptr().cast(), bytes) };
    // SAFETY: the table is two numbers and optional functions: zeroes and any bytes are valid.
    let copy = unsafe { copy.assume_init() };
    let missing = [
        ("open", copy.open.is_none()),
        ("close", copy.close.is_none()),
        ("get", copy.get.is_none()),
        ("list", copy.list.is_none()),
    ];
    match missing.iter().find(|(_, missing)| *missing) {
        Some((name, _)) => Err(format!("its function `{name}` is null")),
        None => Ok(copy),
    }
}
