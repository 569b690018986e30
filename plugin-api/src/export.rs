//! The one macro of an author's.

/// Makes this crate a plugin: exports its entry point and writes its manifest into the
/// file.
///
/// Once per `cdylib`. The crate must be built with `panic = "unwind"` (the default).
///
/// # Examples
/// ```
/// # use keystead_plugin_api::*;
/// # use keystead_plugin_api::manifest::{Kind, Manifest, NameRule};
/// struct Empty;
///
/// impl Plugin for Empty {
///     fn open(_: OpenRequest, _: Context) -> Result<Box<dyn Vault>> {
///         Err(Error::unavailable("nothing is here yet"))
///     }
/// }
///
/// const MANIFEST: Manifest = Manifest {
///     id: "empty",
///     version: env!("CARGO_PKG_VERSION"),
///     description: "No secrets at all",
///     vendor: "Example",
///     license: "MIT",
///     homepage: "",
///     kinds: &[Kind {
///         name: "empty",
///         description: "an empty vault",
///         capabilities: &[],
///         values: &[],
///         names: NameRule::CaseSensitive,
///         parameters: &[],
///         permissions: &[],
///     }],
///     permissions: &[],
/// };
///
/// keystead_plugin_api::export_plugin! { plugin: Empty, manifest: MANIFEST }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_plugin {
    (plugin: $plugin:ty, manifest: $manifest:expr $(,)?) => {
        const _: () = {
            // Items are not hygienic: a plain name here would hide the author's own of that
            // name inside `$manifest`.
            const __KEYSTEAD_MANIFEST: $crate::manifest::Manifest = $manifest;
            const __KEYSTEAD_LEN: usize = __KEYSTEAD_MANIFEST.json_len();

            // Allocated and referenced, so that neither the linker nor `strip` drops it.
            #[used]
            #[cfg_attr(not(any(windows, target_vendor = "apple")), link_section = ".note.keystead")]
            #[cfg_attr(windows, link_section = ".keystd")]
            #[cfg_attr(target_vendor = "apple", link_section = "__DATA,__keystead")]
            static __KEYSTEAD_BLOCK: $crate::manifest::section::Block<__KEYSTEAD_LEN> =
                $crate::manifest::section::Block::new(__KEYSTEAD_MANIFEST.json::<__KEYSTEAD_LEN>());

            // The name under which abi_stable's hosts look for a root module.
            #[export_name = "_1as_0lib_1header_0root_bmodule_bloader"]
            static __KEYSTEAD_HEADER: $crate::abi::LibHeader = $crate::abi::header::<$plugin>();
        };
    };
}
