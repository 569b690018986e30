//! Disables the check of its layout, as abi_stable lets a plugin do.

use abi_stable::library::{CheckTypeLayout, LibHeader, RootModuleError};
use abi_stable::std_types::RErr;
use sound::api::abi::AbiPluginRef;

sound::manifest_note!("no-layout");

#[export_name = "_1as_0lib_1header_0root_bmodule_bloader"]
static HEADER: LibHeader =
    // SAFETY: it makes no module at all.
    unsafe { LibHeader::from_constructor::<AbiPluginRef>(construct, CheckTypeLayout::No) };

extern "C" fn construct() -> abi_stable::library::RootModuleResult {
    RErr(RootModuleError::Unwound)
}
