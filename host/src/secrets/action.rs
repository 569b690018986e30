//! What only one vault can do: its actions, and running one.

use std::collections::BTreeMap;
use std::path::Path;

use keystead_plugin_api::{ActRequest, Action, Outcome, ParameterKind, VaultName};

use crate::ask::Ask;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::registry::Setting;
use crate::registry::schema::{self, Base};

impl Host {
    /// Returns what only this vault can do.
    ///
    /// # Errors
    /// What the vault answers.
    pub fn actions(&self, vault: &VaultName, ask: &mut dyn Ask) -> Result<Vec<Action>> {
        self.call(vault, ask, &mut |open, deadline| open.actions(deadline))
    }

    /// Does one of a vault's actions, with parameters as they were typed; relative paths
    /// stand on `folder`.
    ///
    /// # Errors
    /// [`Error::NoSuchAction`], [`Error::Parameters`], or what the vault answers.
    pub fn act(
        &self,
        vault: &VaultName,
        action: &str,
        typed: &BTreeMap<String, String>,
        folder: &Path,
        ask: &mut dyn Ask,
    ) -> Result<Outcome> {
        let actions = self.actions(vault, ask)?;
        let Some(found) = actions.iter().find(|one| one.id == action) else {
            return Err(Error::NoSuchAction {
                vault: vault.clone(),
                action: action.to_owned(),
                actions: actions.into_iter().map(|one| one.id).collect(),
            });
        };
        let what = format!("action `{action}`");
        let home = self.home();
        let data = self.options().paths.user_data.as_deref();
        let base = Base { folder, home: home.as_deref(), data, vault: Some(vault) };
        let settings = schema::validate(&found.parameters, typed, base)
            .map_err(|faults| Error::Parameters { what: what.clone(), faults })?;
        // References are followed before the vault is held: they may lead to it.
        let parameters = self.parameters(&settings, &found.parameters, &what)?;
        let paths = found.parameters.iter().filter(|one| one.kind == ParameterKind::Path);
        let paths: Vec<&str> = paths
            .filter_map(|one| match settings.get(&*one.name) {
                Some(Setting::Text(path)) => Some(path.as_str()),
                _ => None,
            })
            .collect();
        let mut request = ActRequest::new(action, parameters, self.deadline());
        self.call_with_paths(vault, &paths, ask, &mut |open, deadline| {
            request.deadline = deadline;
            open.act(&request)
        })
    }
}
