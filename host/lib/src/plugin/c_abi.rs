//! The C ABI, `c-1`: a plugin that is a table of C functions
//! (`plugin-api/include/keystead_plugin.h`), as a plain vault.
//!
//! Here the table is taken and checked; `vault` calls it, `host_table` is called by it, `reply`
//! checks what it tells. `table` is the header as Rust sees it, made from the description that the
//! Rust ABI has; `lend` and `field` say what each type of a field is in C.
//!
//! # Safety
//! What is believed of a plugin of this ABI, because it cannot be checked, is that its
//! pointers lead to memory of the length it says, and its functions to functions. Everything
//! in that memory is read as from a stranger. docs/reference/abi.md says what comes of a lie.

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

/// A plugin's entry: gives its table.
pub(super) type Entry = unsafe extern "C" fn() -> *const c_void;

/// A plugin's table, checked and copied. It is kept for the life of the process, as the
/// plugin's code is.
#[derive(Clone, Copy)]
pub(super) struct CPlugin(&'static PluginTable);

/// Calls a plugin's entry and checks the table that it gives.
///
/// # Safety
/// The entry must be the function that the header declares.
///
/// # Errors
/// What is wrong with the table, as the end of a sentence.
pub(super) unsafe fn enter(entry: Entry) -> Result<(CPlugin, AbiCompatibility), String> {
    // SAFETY: passed on to the caller.
    let table = unsafe { entry() };
    // SAFETY: what the entry gives is a table, or null: passed on to the caller.
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
    /// What the plugin answers.
    pub(super) fn open(
        self,
        request: &OpenRequest,
        context: Context,
    ) -> PluginResult<Box<dyn Vault>> {
        Ok(Box::new(vault::open(self.0, &host_table::HOST, request, context)?))
    }
}

/// What every table begins with.
#[repr(C)]
struct Head {
    magic: u64,
    size: u32,
}

/// Returns a copy of a table, with nothing where a shorter one ends.
///
/// # Safety
/// A pointer that is neither null nor misaligned must lead to 16 readable bytes, and to as
/// many as the size in them says.
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
    // SAFETY: passed on to the caller for the source; the target is a table of our own, and
    // no longer than `bytes` is read or written.
    unsafe { std::ptr::copy_nonoverlapping(table.cast::<u8>(), copy.as_mut_ptr().cast(), bytes) };
    // SAFETY: two numbers and functions that may be absent: zeroes and any bytes are such.
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
