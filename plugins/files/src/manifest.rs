//! The plugin's manifest.

use keystead_plugin_api::manifest::{Capability, Kind, Manifest};
use keystead_plugin_api::{Parameter, ParameterKind, ValueKind};

/// The vault kind that is writable.
pub(crate) const READ_WRITE: &str = "read-write";

/// Parameter for a directory to read. Differs from [`FOLDER`] because a permission is requested
/// whenever its parameters are given, and this parameter is for reading only.
pub(crate) const PATH: &str = "path";

/// Parameter for a directory to read and write.
pub(crate) const FOLDER: &str = "folder";

/// Parameter that removes the last line end of a text.
pub(crate) const TRIM_NEWLINE: &str = "trim-newline";

const TRIM: Parameter = Parameter::defaulting(
    TRIM_NEWLINE,
    ParameterKind::Boolean,
    "false",
    "whether a text is without the one line end at its end; writing puts it there",
);

/// The plugin's manifest, which the host reads without running the plugin.
pub const MANIFEST: Manifest = Manifest::new("files", env!("CARGO_PKG_VERSION"))
    .description("A directory with one secret a file, in clear text")
    .vendor("Keystead")
    .license("MIT OR Apache-2.0")
    .kinds(&[
        Kind::new("read-only", "what others put there: Docker, Podman, Kubernetes, systemd")
            .can(&[Capability::Concurrent])
            .values(&[ValueKind::Text, ValueKind::Bytes])
            .parameters(&[
                Parameter::required(
                    PATH,
                    ParameterKind::Path,
                    "the directory, such as /run/secrets",
                ),
                TRIM,
            ]),
        Kind::new(READ_WRITE, "a directory of your own, made where there is none")
            .can(&[Capability::Write, Capability::Conditional, Capability::Concurrent])
            .values(&[ValueKind::Text, ValueKind::Bytes])
            .parameters(&[
                Parameter::defaulting(
                    FOLDER,
                    ParameterKind::Path,
                    "{data}/files/{vault}",
                    "the directory, which is yours alone",
                ),
                TRIM,
            ]),
    ])
    .permissions(&["files:{path}:r", "files:{folder}/:rw"]);
