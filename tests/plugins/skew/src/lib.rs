//! A plugin that uses every item of its version of plugin-api: with the feature `next` the newer
//! plugin of a pair, without the older. Older compilers build it as well, elsewhere
//! (`tests/boundary/out_of_tree.rs`).
#![forbid(unsafe_code)]

mod vault;

use keystead_plugin_api::manifest::{Capability, Kind, Manifest};
use keystead_plugin_api::{export_plugin, Context, OpenRequest, Plugin, Result, Vault};

struct Skew;

impl Plugin for Skew {
    fn open(_: OpenRequest, context: Context) -> Result<Box<dyn Vault>> {
        Ok(Box::new(vault::Skewed::new(context)))
    }
}

/// The only kind of today's plugin.
#[cfg(not(feature = "next"))]
const KINDS: &[Kind] = &[Kind::new("vault", "a vault for tests").can(&[Capability::Write])];

/// The kinds of the newer plugin, each with a new item.
#[cfg(feature = "next")]
const KINDS: &[Kind] =
    {
        use keystead_plugin_api::manifest::{NameRule, PermissionRequest};
        use keystead_plugin_api::{Parameter, ParameterKind, ValueKind};
        const NEW: ParameterKind = ParameterKind::Url;
        &[
            Kind::new("vault", "opens without what is new")
                .can(&[Capability::Write, Capability::Watch])
                .values(&[ValueKind::Text, ValueKind::Link])
                .parameters(&[Parameter::optional("mirror", NEW, "another server")])
                .permissions(&[
                    PermissionRequest::optional("clipboard", "to copy a code"),
                    PermissionRequest::optional("files:/srv/log:append", "to keep a log"),
                ]),
            Kind::new("desktop", "needs a permission that is new")
                .permissions(&[PermissionRequest::required("clipboard")]),
            Kind::new("journal", "needs an access to files that is new")
                .permissions(&[PermissionRequest::required("files:/srv/log:append")]),
            Kind::new("wide", "needs a rule for names that is new")
                .names(NameRule::WidthInsensitive),
            Kind::new("server", "needs a parameter that is new")
                .parameters(&[Parameter::required("server", NEW, "where it is")]),
        ]
    };

export_plugin! { plugin: Skew, manifest: Manifest::new("skew", "0.1.0").kinds(KINDS) }
