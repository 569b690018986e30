//! The plugin's manifest.

use keystead_plugin_api::manifest::{Capability, Kind, Manifest, NameRule};
use keystead_plugin_api::{Parameter, ParameterKind, ValueKind};

/// Parameter for the vault's directory.
pub(crate) const PATH: &str = "path";

/// Parameter for a key file.
pub(crate) const KEY_FILE: &str = "key-file";

/// Parameter that makes names case-sensitive.
pub(crate) const CASE_SENSITIVE: &str = "case-sensitive";

/// The plugin's manifest, which the host reads without running the plugin.
pub const MANIFEST: Manifest = Manifest::new("store", env!("CARGO_PKG_VERSION"))
    .description("The local vault: secrets in one encrypted file")
    .vendor("Keystead")
    .license("MIT OR Apache-2.0")
    .kinds(&[Kind::new(
        "store",
        "a directory with an encrypted file, opened by a password or a key file",
    )
    .can(&[
        Capability::Write,
        Capability::Rename,
        Capability::Conditional,
        Capability::Metadata,
        Capability::Unlock,
        Capability::Actions,
    ])
    .values(ValueKind::ALL)
    .names(NameRule::CaseInsensitive)
    .parameters(&[
        Parameter::defaulting(
            PATH,
            ParameterKind::Path,
            "{data}/store/{vault}",
            "the vault's own directory",
        ),
        Parameter::optional(
            KEY_FILE,
            ParameterKind::Path,
            "a file that opens the vault without a question; made where there is none",
        ),
        Parameter::defaulting(
            CASE_SENSITIVE,
            ParameterKind::Boolean,
            "false",
            "whether names that differ by case are two secrets; decided when the vault is made",
        ),
    ])])
    .permissions(&[
        "files:{path}/:rw",
        "files:{key-file}:rw",
        // Files that these actions get for one call.
        "files:{add-key-file.file}:rw",
        "files:{backup.to}:rw",
    ]);
