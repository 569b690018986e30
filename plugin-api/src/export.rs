//! The macros of an author's.

/// Makes this crate a plugin: exports its entry point and writes its manifest into the
/// file.
///
/// Once per `cdylib`. The crate must be built with `panic = "unwind"` (the default).
///
/// With `kinds`, the manifest is [`cargo_manifest!`](crate::cargo_manifest) with these kinds; with
/// `manifest`, it is what you say.
///
/// # Examples
/// ```
/// # use keystead_plugin_api::*;
/// # use keystead_plugin_api::manifest::Kind;
/// struct Empty;
///
/// impl Plugin for Empty {
///     fn open(_: OpenRequest, _: Context) -> Result<Box<dyn Vault>> {
///         Err(Error::unavailable("nothing is here yet"))
///     }
/// }
///
/// export_plugin! { plugin: Empty, kinds: &[Kind::new("empty", "an empty vault")] }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_plugin {
    (plugin: $plugin:ty, kinds: $kinds:expr $(,)?) => {
        $crate::export_plugin! { plugin: $plugin, manifest: $crate::cargo_manifest!().kinds($kinds) }
    };
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

/// Returns a [`Manifest`](crate::manifest::Manifest) with what Cargo.toml says of this package:
/// version, description, license and homepage. Its id is the package's name without `keystead-`
/// and `plugin-` before it: `keystead-plugin-notes` is the plugin `notes`. Kinds of vault come to
/// it, and what else the builder has; `.id("other")` gives it another id.
///
/// # Examples
/// ```
/// use keystead_plugin_api::cargo_manifest;
/// use keystead_plugin_api::manifest::{Kind, Manifest};
/// const MANIFEST: Manifest =
///     cargo_manifest!().id("notes").kinds(&[Kind::new("notes", "a directory of notes")]);
/// assert_eq!(MANIFEST.version, env!("CARGO_PKG_VERSION"));
/// ```
#[macro_export]
macro_rules! cargo_manifest {
    () => {
        $crate::manifest::Manifest::new(
            $crate::manifest::id_of_package(env!("CARGO_PKG_NAME")),
            env!("CARGO_PKG_VERSION"),
        )
        .description(env!("CARGO_PKG_DESCRIPTION"))
        .license(env!("CARGO_PKG_LICENSE"))
        .homepage(env!("CARGO_PKG_HOMEPAGE"))
    };
}
