//! The vaults registered with PowerShell's SecretManagement, from its file `vaultinfo`, and the
//! matching registrations in Keystead. This module registers nothing.
//!
//! A parameter in that file may be a secret. Only values known not to be secret are read from the
//! file; of all other parameters only the names.

mod module;
mod proposal;

use std::collections::HashSet;

use keystead_plugin_api::SecretText;

use self::module::Module;
use super::distinct::title;
use super::item::{may_be_secret, sounds_secret};
use super::{BadRow, Error, ImportSource, Position, input};
use keystead::internals::json::tree::{self, Tree};

pub use proposal::{Here, LeftOut, Proposal};

pub(super) const FORM: &str = "a registry of SecretManagement";

/// Name of the file.
pub const FILE: &str = "vaultinfo";

/// Name of the directory that contains the file.
pub const DIR: &str = "secretvaultregistry";

/// Name of the directory beside `DIR` that contains SecretStore's files.
pub const STORE_DIR: &str = "localstore";

/// Maximum number of vaults in a file: no user registers a hundred.
const MAX_VAULTS: usize = 1_000;

/// Maximum size in bytes of a value that becomes a parameter: that of a path.
const MAX_VALUE_BYTES: usize = 4_096;

/// The vaults registered with SecretManagement.
#[derive(Debug)]
pub struct ForeignRegistry {
    /// Each vault, in the order of the file.
    pub vaults: Vec<Result<ForeignVault, BadRow>>,
}

/// A vault registered with SecretManagement.
#[derive(Debug)]
pub struct ForeignVault {
    /// Its name: any text.
    pub name: String,
    /// The module that provides the vault.
    pub module: String,
    /// Its description; may be empty.
    pub description: String,
    /// Whether it is the default vault.
    pub is_default: bool,
    /// Its parameters, in the order of the file.
    parameters: Vec<Parameter>,
}

/// A parameter of a vault of SecretManagement.
#[derive(Debug)]
struct Parameter {
    name: String,
    /// The matching parameter in Keystead and its value, or the reason why there is none.
    ours: Result<(&'static str, String), Lost>,
}

/// Reason why a parameter is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// It may be a secret.
    Secret,
    /// No matching parameter is known.
    Unknown,
    /// It is not a text of a single line.
    Odd,
}

/// Reads the registered vaults.
///
/// # Errors
/// [`Error::Read`], or [`Error::NotOfForm`] if it is not such a file.
pub fn read(source: ImportSource) -> Result<ForeignRegistry, Error> {
    let text = input::text(source.into_read(FORM)?, FORM)?;
    let wrong = |why: String| Error::NotOfForm { form: FORM, why };
    let members = tree::document(text.expose()).map_err(|fault| wrong(fault.to_string()))?;
    let place = |name: &str| members.iter().find(|(present, _)| present == name);
    let vaults = place("Vaults").filter(|(_, place)| text.expose()[place.start..].starts_with('{'));
    let (_, vaults) = vaults.ok_or_else(|| wrong("it has no `Vaults`".into()))?;
    let default = place("DefaultVaultName")
        .and_then(|(_, place)| tree::parse(text.expose(), place).ok()?.into_text())
        .map_or_else(String::new, |name| name.expose().to_lowercase());
    let vaults = tree::members(text.expose(), vaults).map_err(|fault| wrong(fault.to_string()))?;
    if vaults.len() > MAX_VAULTS {
        return Err(wrong(format!("it has more than {MAX_VAULTS} vaults")));
    }
    let mut names = HashSet::new();
    let vaults = vaults.into_iter().enumerate().map(|(index, (name, place))| {
        let bad = |why: &str| BadRow {
            at: Position::Item(index as u64 + 1, title(&name)),
            why: why.to_owned(),
        };
        if !names.insert(name.to_lowercase()) {
            return Err(bad("its name stands there twice"));
        }
        let is_default = !default.is_empty() && name.to_lowercase() == default;
        match tree::parse(text.expose(), &place) {
            Ok(from @ Tree::Object(_)) => {
                ForeignVault::new(name.clone(), from, is_default).map_err(bad)
            }
            Ok(_) => Err(bad("it is no object")),
            Err(why) => Err(bad(why)),
        }
    });
    Ok(ForeignRegistry { vaults: vaults.collect() })
}

impl ForeignVault {
    fn new(name: String, mut from: Tree, is_default: bool) -> Result<Self, &'static str> {
        let text = |tree: Option<SecretText>| tree.map(|text| text.expose().to_owned());
        let module = text(from.take_text("ModuleName")).filter(|module| !module.is_empty());
        let module = module.ok_or("it has no `ModuleName`")?;
        let known = Module::find(&module);
        let parameters = match from.take("VaultParameters") {
            Some(Tree::Object(members)) => members
                .into_iter()
                .map(|(name, value)| Parameter { ours: ours(known, &name, value), name })
                .collect(),
            _ => Vec::new(),
        };
        let description = text(from.take_text("Description")).unwrap_or_default();
        Ok(Self { name, module, description, is_default, parameters })
    }
}

/// Returns the matching parameter of a known module's parameter, with its value. Reads no value of
/// any other module.
fn ours(module: Option<&Module>, name: &str, value: Tree) -> Result<(&'static str, String), Lost> {
    let Some(ours) = module.and_then(|module| module.parameter(name)) else {
        let harmless = matches!(value, Tree::Boolean(_) | Tree::Null);
        let is_secret = sounds_secret(name) && !harmless;
        return Err(if is_secret { Lost::Secret } else { Lost::Unknown });
    };
    let value = match &value {
        Tree::Text(text) | Tree::Number(text) => text.expose(),
        _ => return Err(Lost::Odd),
    };
    if may_be_secret(value) {
        return Err(Lost::Secret);
    }
    let is_plain = !value.is_empty()
        && value.len() <= MAX_VALUE_BYTES
        && keystead::internals::visible(value) == value
        && !value.chars().any(char::is_control);
    if is_plain { Ok((ours, value.to_owned())) } else { Err(Lost::Odd) }
}

#[cfg(test)]
mod tests;
