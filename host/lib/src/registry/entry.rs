//! One registration: the content of a vault's file, as types.

use std::collections::BTreeMap;
use std::path::Path;

use keystead_plugin_api::VaultName;

use super::read::{Document, Table};
use super::{Error, render};
use crate::paths::Layer;
use crate::reference::Reference;

/// The newest schema of registrations and of `config.toml` that this version reads, and
/// the one it writes.
pub const SCHEMA: i64 = 1;

/// The maximum size of a registration in bytes: far more than any parameters need, and small
/// enough that a wrong file costs nothing.
pub const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A registration: the plugin of a vault, with its parameters and grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The vault's name: the file's name without `.toml`.
    pub name: VaultName,
    /// The plugin's id.
    pub plugin: String,
    /// The vault kind; `None` for the plugin's first.
    pub kind: Option<String>,
    /// The parameters by name.
    pub parameters: BTreeMap<String, Setting>,
    /// Unlock references for the vault's prompts, by field.
    pub unlock: BTreeMap<String, Reference>,
    /// The granted permissions, expanded, as the user saw them.
    pub grants: Vec<String>,
    /// Placement of the plugin's code; `None` if the host chooses.
    pub placement: Option<Placement>,
    /// Whether the agent keeps the session of a login without prompts.
    pub keep_login: bool,
    /// Whether the vault takes part in searches that name no vault.
    pub search: bool,
    /// Purpose of the vault, as written at registration; may be empty.
    pub description: String,
    /// Whether a user's registration of this name has no effect; in the system layer only.
    pub locked: bool,
}

/// A parameter's value as it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// A text or a path.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Yes or no.
    Boolean(bool),
    /// Reference to a secret parameter's value, resolved when the vault is opened: in the
    /// file, `{ from = "env:TOKEN" }`.
    Reference(Reference),
}

/// Where a plugin's code runs.
///
/// # Examples
/// ```
/// use keystead::Placement;
///
/// assert_eq!(Placement::parse("isolated"), Some(Placement::Isolated));
/// assert_eq!(Placement::Isolated.as_str(), "isolated");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// In a child process.
    Isolated,
    /// In the host's process.
    InProcess,
}

impl Placement {
    /// Returns the placement's name in files and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Isolated => "isolated",
            Self::InProcess => "in-process",
        }
    }

    /// Returns the placement of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Isolated, Self::InProcess].into_iter().find(|placement| placement.as_str() == name)
    }
}

const KEYS: &[&str] = &[
    "schema",
    "plugin",
    "kind",
    "description",
    "placement",
    "keep-login",
    "search",
    "locked",
    "grants",
    "parameters",
    "unlock",
];

impl Registration {
    /// Returns a registration without parameters.
    pub fn new(name: VaultName, plugin: impl Into<String>) -> Self {
        Self {
            name,
            plugin: plugin.into(),
            kind: None,
            parameters: BTreeMap::new(),
            unlock: BTreeMap::new(),
            grants: Vec::new(),
            placement: None,
            keep_login: false,
            search: true,
            description: String::new(),
            locked: false,
        }
    }

    /// Returns the registration that a file of this layer holds; `path` is for errors only.
    ///
    /// # Errors
    /// The fault of the text, with its position.
    pub fn parse(name: VaultName, layer: Layer, path: &Path, text: &str) -> Result<Self, Error> {
        let document = Document::new(path, text);
        let mut table = document.parse(KEYS)?;
        table.check_schema()?;

        let mut entry = Self::new(name, "");
        let plugin =
            table.text("plugin", is_id, "a plugin's id: lower-case letters, digits and dashes")?;
        entry.kind =
            table.text("kind", is_id, "a kind of vault: lower-case letters, digits and dashes")?;
        entry.description = table
            .text("description", is_one_line, "one line without control characters")?
            .unwrap_or_default();
        entry.placement = table
            .text("placement", |p| Placement::parse(p).is_some(), "`isolated` or `in-process`")?
            .and_then(|placement| Placement::parse(&placement));
        entry.keep_login = table.boolean("keep-login")?.unwrap_or(false);
        entry.search = table.boolean("search")?.unwrap_or(true);
        entry.locked = match layer {
            Layer::System => table.boolean("locked")?.unwrap_or(false),
            Layer::User => table.absent("locked", "in the administrator's registrations only")?,
        };
        entry.grants = table.texts("grants", is_one_line)?;
        entry.parameters = parameters(&mut table)?;
        entry.unlock = unlock(&mut table)?;
        // An unknown key is reported first: it may be the missing key, misspelt.
        table.finish()?;
        entry.plugin =
            plugin.ok_or_else(|| Error::MissingKey { path: path.to_owned(), key: "plugin" })?;
        Ok(entry)
    }

    /// Returns the text of a file that holds this registration. Keeps comments, order and form
    /// of an old text that [`Registration::parse`] has read.
    pub fn to_toml(&self, old: Option<&str>) -> String {
        render::entry(self, old)
    }

    /// Returns each reference of this registration with its key.
    pub fn references(&self) -> impl Iterator<Item = (&str, &Reference)> {
        let parameters = self.parameters.iter().filter_map(|(key, setting)| match setting {
            Setting::Reference(reference) => Some((key.as_str(), reference)),
            _ => None,
        });
        parameters.chain(self.unlock.iter().map(|(key, reference)| (key.as_str(), reference)))
    }
}

fn parameters(table: &mut Table<'_>) -> Result<BTreeMap<String, Setting>, Error> {
    let mut parameters = BTreeMap::new();
    for (key, value) in table.table("parameters")? {
        let setting = match value.setting() {
            Some(setting) => setting,
            None => Setting::Reference(value.from()?.reference()?),
        };
        parameters.insert(key, setting);
    }
    Ok(parameters)
}

fn unlock(table: &mut Table<'_>) -> Result<BTreeMap<String, Reference>, Error> {
    let mut unlock = BTreeMap::new();
    for (key, value) in table.table("unlock")? {
        unlock.insert(key, value.reference()?);
    }
    Ok(unlock)
}

/// Returns whether this can be the id of a plugin or the name of a vault kind.
fn is_id(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && text.len() <= 64
}

fn is_one_line(text: &str) -> bool {
    !text.contains(char::is_control)
}
