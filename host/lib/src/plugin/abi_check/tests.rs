//! The check against small look-alikes of the boundary's types.

use abi_stable::StableAbi;

use super::*;

macro_rules! look_alike {
    ($module:ident, $bytes:ty, { $($suffix:tt)* }) => {
        #[allow(dead_code)] // only their layouts are used
        mod $module {
            use abi_stable::StableAbi;

            #[repr(C)]
            #[derive(StableAbi)]
            pub(super) struct SecretBytes {
                pub(super) held: $bytes,
            }

            #[repr(C)]
            #[derive(StableAbi)]
            #[sabi(kind(Prefix(prefix_ref = TableRef, prefix_fields = TablePrefix)))]
            pub(super) struct Table {
                #[sabi(last_prefix_field)]
                pub(super) get: extern "C" fn(u64) -> SecretBytes,
                $($suffix)*
            }
        }
    };
}

look_alike!(today, [u64; 4], {});
look_alike!(tomorrow, [u64; 4], { pub(super) health: extern "C" fn() -> u32, });
look_alike!(aside, [u64; 4], { pub(super) rotate: extern "C" fn() -> u64, });
look_alike!(grown, [u64; 5], {});

const TODAY: &TypeLayout = <today::TableRef as StableAbi>::LAYOUT;
const TOMORROW: &TypeLayout = <tomorrow::TableRef as StableAbi>::LAYOUT;
const ASIDE: &TypeLayout = <aside::TableRef as StableAbi>::LAYOUT;
const GROWN: &TypeLayout = <grown::TableRef as StableAbi>::LAYOUT;

#[test]
fn older_and_newer_abi_is_compatible_in_any_order() {
    for _ in 0..2 {
        assert_eq!(fit_of(TODAY, TODAY), Ok(AbiCompatibility::Exact));
        assert_eq!(fit_of(TODAY, TOMORROW), Ok(AbiCompatibility::PluginNewer));
        assert_eq!(fit_of(TOMORROW, TODAY), Ok(AbiCompatibility::PluginOlder));
        assert_eq!(fit_of(TODAY, ASIDE), Ok(AbiCompatibility::PluginNewer));
    }
}

#[test]
fn diverged_abi_histories_are_incompatible() {
    let line = fit_of(TOMORROW, ASIDE).unwrap_err();
    assert_eq!(line, "plugin > Table: field: host `health`, plugin `rotate`");
}

#[test]
fn changed_type_is_rejected_with_path_and_sizes() {
    let line = fit_of(TODAY, GROWN).unwrap_err();
    assert!(!line.contains('\n'), "{line}");
    assert_eq!(line, "plugin > get > returns > held > array: size: host 32, plugin 40");
}

#[test]
fn inspected_entry_point_sizes_match_abi_stable() {
    // `inspect/entry.rs` reads files without abi_stable, so it has the number as text.
    let pointers = size_of::<usize>();
    assert_eq!(size_of::<abi_stable::library::LibHeader>(), 40 + 14 * pointers);
    assert_eq!(size_of::<abi_stable::library::AbiHeader>(), 40);
}
