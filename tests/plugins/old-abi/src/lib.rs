//! Built with an older version of abi_stable than the host's.

use abi_stable::export_root_module;
use abi_stable::library::RootModule;
use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::{declare_root_module_statics, package_version_strings, StableAbi};

sound::manifest_note!("old-abi");

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = "OldRef")))]
pub struct Old {
    #[sabi(last_prefix_field)]
    pub nothing: u8,
}

impl RootModule for OldRef {
    declare_root_module_statics! {OldRef}
    const BASE_NAME: &'static str = "old";
    const NAME: &'static str = "old";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

#[export_root_module]
fn root() -> OldRef {
    Old { nothing: 0 }.leak_into_prefix()
}
