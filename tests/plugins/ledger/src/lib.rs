//! Secrets as entries of a ledger, IN CLEAR TEXT: an append-only file, in two kinds of vault. A
//! `book` has a clerk who may prompt for a name and a PIN. A `slip` stores only texts and bytes.
//! For tests only: not for real secrets.
#![forbid(unsafe_code)]

mod book;
mod entry;
mod file;
mod slip;

use std::path::PathBuf;

use keystead_plugin_api::manifest::{Capability, Kind, Manifest, NameRule};
use keystead_plugin_api::{
    Context, Error, OpenRequest, Parameter, ParameterKind, Plugin, Result, ValueKind, Vault,
    export_plugin,
};

const MANIFEST: Manifest = Manifest::new("ledger", env!("CARGO_PKG_VERSION"))
    .description("Secrets in a ledger, in clear text")
    .vendor("Ledgers & Daughters")
    .license("MIT OR Apache-2.0")
    .homepage("https://ledger.example/keystead")
    .kinds(&[
        Kind::new("book", "a ledger with a clerk")
            .can(&[
                Capability::Write,
                Capability::Metadata,
                Capability::Unlock,
                Capability::Unregister,
            ])
            .values(&[ValueKind::Text, ValueKind::Bytes, ValueKind::Credential, ValueKind::Map])
            .parameters(&[
                Parameter::required("ledger", ParameterKind::Path, "the file, in CLEAR TEXT"),
                Parameter::optional("clerk", ParameterKind::Text, "who is to be asked for a PIN"),
                Parameter::optional("pin", ParameterKind::Text, "the clerk's PIN").secret(),
                Parameter::optional("bell", ParameterKind::Path, "the file that visits go to"),
                Parameter::optional("shut", ParameterKind::Boolean, "whether tests fail"),
                Parameter::optional("remarks", ParameterKind::Integer, "how many tests make"),
                Parameter::optional(
                    "stamped",
                    ParameterKind::Boolean,
                    "whether the book has a stamp",
                ),
            ]),
        Kind::new("slip", "a ledger of texts and bytes, where case does not matter in names")
            .can(&[Capability::Write])
            .values(&[ValueKind::Text, ValueKind::Bytes])
            .names(NameRule::CaseInsensitive)
            .parameters(&[Parameter::required(
                "ledger",
                ParameterKind::Path,
                "the file, in CLEAR TEXT",
            )]),
    ])
    .permissions(&["files:{ledger}:rw", "files:{bell}:rw"]);

export_plugin! { plugin: Ledger, manifest: MANIFEST }

struct Ledger;

impl Plugin for Ledger {
    fn open(request: OpenRequest, context: Context) -> Result<Box<dyn Vault>> {
        let path = request.parameters.text("ledger").map(PathBuf::from);
        let path = path.ok_or_else(|| Error::invalid("`ledger` is missing"))?;
        match request.kind.as_str() {
            "book" => book::open(request, path, context),
            "slip" => Ok(slip::open(path)),
            other => Err(Error::invalid(format!("a ledger has no kind `{other}`"))),
        }
    }
}
