//! Proposals for vaults of SecretManagement: commands to inspect and to run.

use std::collections::HashSet;
use std::path::Path;

use keystead_plugin_api::VaultName;

use super::super::distinct::clean;
use super::module::{Instead, Module};
use super::{ForeignRegistry, ForeignVault, Lost};
use keystead::internals::word;

const A_SECRET: &str = "it may be a secret, and is not shown";
const A_SECRET_FOR_A_PLUGIN: &str =
    "it may be a secret, and is not shown: give the plugin a reference to it, such as `env:VAR`";

/// The existing plugins and vaults of Keystead.
pub struct Here<'a> {
    /// Returns the parameters of the plugin with this id; `None` if it is not installed.
    pub plugin: &'a dyn Fn(&str) -> Option<Vec<String>>,
    /// The names of the registered vaults.
    pub vaults: &'a [VaultName],
    /// The directory of SecretStore.
    pub store: &'a Path,
}

/// The proposal for a vault.
#[derive(Debug)]
pub struct Proposal<'a> {
    /// The vault of SecretManagement.
    pub registered: &'a ForeignVault,
    /// The proposed name in Keystead.
    pub vault: VaultName,
    /// The plugin, installed or not; `None` if no plugin matches.
    pub plugin: Option<&'static str>,
    /// Whether the commands can be run unchanged: the plugin is installed, and no word needs to be
    /// filled in.
    pub is_ready: bool,
    /// The commands, quoted for a POSIX shell. The user replaces words in capitals.
    pub commands: Vec<String>,
    /// Names of the parameters that are kept.
    pub kept: Vec<&'a str>,
    /// Skipped parameters.
    pub left_out: Vec<LeftOut<'a>>,
    /// Further notes, in lines: lower-case fragments.
    pub notes: Vec<String>,
}

/// A skipped parameter.
#[derive(Debug)]
pub struct LeftOut<'a> {
    /// Its name.
    pub name: &'a str,
    /// Reason, as a lower-case fragment.
    pub why: &'static str,
}

impl ForeignRegistry {
    /// Returns the proposal for each readable vault, in the order of the file.
    pub fn proposals(&self, here: &Here<'_>) -> Vec<Proposal<'_>> {
        let all: Vec<&ForeignVault> =
            self.vaults.iter().filter_map(|one| one.as_ref().ok()).collect();
        let is_store = |one: &ForeignVault| {
            Module::find(&one.module).is_some_and(|module| module.instead == Instead::Store)
        };
        // SecretStore has one store for each user, however often it is registered.
        let stores = || all.iter().copied().filter(|one| is_store(one));
        let store = stores().find(|one| one.is_default).or_else(|| stores().next());
        let mut names = Names { taken: HashSet::new() };
        // The first registered vault becomes the default vault otherwise.
        let has_default = all.iter().any(|one| one.is_default);
        let mut proposals: Vec<Proposal<'_>> =
            all.iter().map(|one| Proposal::new(one, names.take(&one.name), here)).collect();
        let store = store.and_then(|store| {
            let of = |one: &&Proposal<'_>| std::ptr::eq(one.registered, store);
            proposals.iter().find(of).map(|one| one.vault.clone())
        });
        for one in &mut proposals {
            match Module::find(&one.registered.module).map(|module| module.instead) {
                Some(Instead::Store) if store.as_ref() != Some(&one.vault) => {
                    let store = store.as_ref().expect("there is one");
                    one.notes.push(format!(
                        "it has the same secrets as `{store}`, so one vault is enough"
                    ));
                }
                Some(Instead::Store) => one.register("store", has_default, |vault| {
                    let store = word(&here.store.to_string_lossy());
                    vec![format!("keystead import {store} --from secretstore --vault {vault}")]
                }),
                Some(Instead::Plugin(plugin)) => one.register(plugin, has_default, |_| Vec::new()),
                Some(Instead::Import(form)) => {
                    one.commands.push(format!("keystead import FILE --from {form}"));
                    one.notes
                        .push("there is no plugin for it, but its exports can be imported".into());
                }
                None => one.notes.push("there is no plugin for it".into()),
            }
        }
        proposals
    }
}

impl<'a> Proposal<'a> {
    fn new(registered: &'a ForeignVault, vault: VaultName, here: &Here<'_>) -> Self {
        let plugin = match Module::find(&registered.module).map(|module| module.instead) {
            Some(Instead::Store) => Some("store"),
            Some(Instead::Plugin(plugin)) => Some(plugin),
            Some(Instead::Import(_)) | None => None,
        };
        let schema = plugin.and_then(|plugin| (here.plugin)(plugin));
        let mut kept = Vec::new();
        let mut left_out = Vec::new();
        for parameter in &registered.parameters {
            let why = match &parameter.ours {
                Ok((ours, _))
                    if schema.as_ref().is_none_or(|all| all.iter().any(|one| one == ours)) =>
                {
                    kept.push(parameter.name.as_str());
                    continue;
                }
                Err(Lost::Secret) if plugin.is_some() => A_SECRET_FOR_A_PLUGIN,
                Err(Lost::Secret) => A_SECRET,
                Err(Lost::Odd) => "it is no text of one line",
                Ok(_) | Err(Lost::Unknown) if plugin.is_some() => {
                    "nothing of the plugin is known to be like it"
                }
                Ok(_) | Err(Lost::Unknown) => "there is no plugin",
            };
            left_out.push(LeftOut { name: &parameter.name, why });
        }
        let mut notes = Vec::new();
        if vault.as_str() != registered.name {
            notes.push(format!("its name is none here; `{vault}` is like it"));
        }
        if here.vaults.contains(&vault) {
            notes.push(format!(
                "a vault `{vault}` is registered here already: choose another name, or add `--replace`"
            ));
        }
        if plugin.is_some() && schema.is_none() {
            notes.push(format!("plugin `{}` is not installed", plugin.unwrap_or_default()));
        }
        let is_ready = schema.is_some();
        Self { registered, vault, plugin, is_ready, commands: Vec::new(), kept, left_out, notes }
    }

    /// Adds the command that registers the vault, and the commands after it.
    fn register(
        &mut self,
        plugin: &str,
        has_default: bool,
        then: impl FnOnce(&VaultName) -> Vec<String>,
    ) {
        let mut command = format!("keystead vault register {} --plugin {plugin}", self.vault);
        for parameter in &self.registered.parameters {
            if let (Ok((ours, value)), true) =
                (&parameter.ours, self.kept.contains(&parameter.name.as_str()))
            {
                command += &format!(" --param {}", word(&format!("{ours}={value}")));
            }
        }
        let description: String =
            clean(&keystead::internals::visible(&self.registered.description));
        if !description.is_empty() {
            // As a single word, since it may begin with a dash.
            command += &format!(" {}", word(&format!("--description={description}")));
        }
        match (self.registered.is_default, has_default) {
            (true, _) => command += " --default",
            (false, false) => command += " --no-default",
            (false, true) => {}
        }
        self.commands.push(command);
        self.commands.extend(then(&self.vault));
    }
}

/// Names in use.
struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// Returns the free name that is most similar to this name.
    fn take(&mut self, name: &str) -> VaultName {
        let letters = name.chars().map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => c,
            _ => '-',
        });
        let like: String = letters.collect();
        let like = like.trim_start_matches(['.', '_', '-']);
        let like = if like.is_empty() { "vault" } else { like };
        let free = (1_u64..).find_map(|number| {
            let end = if number == 1 { String::new() } else { format!("-{number}") };
            let start = &like[..like.len().min(64 - end.len())];
            let name = VaultName::parse(&format!("{start}{end}")).ok()?;
            self.taken.insert(name.as_str().to_lowercase()).then_some(name)
        });
        free.expect("of endless names one is free")
    }
}
