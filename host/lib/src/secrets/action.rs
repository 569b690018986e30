//! A vault's own actions: lists them and runs one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use keystead_plugin_api::{
    Action, ActionOutcome, ActionRequest, ActionsRequest, ParameterKind, VaultName,
};

use crate::error::{Error, Result};
use crate::host::{Host, OpenedForCall, Prepared, VaultRef};
use crate::plugin::grant::Words;
use crate::prompter::Prompter;
use crate::registry::Setting;
use crate::registry::schema::{self, Base};

/// An action with checked parameters, and the permissions that they open.
#[derive(Debug)]
pub struct PlannedAction {
    vault: Arc<Prepared>,
    action: Action,
    settings: BTreeMap<String, Setting>,
    opens: OpenedForCall,
}

impl PlannedAction {
    /// Returns the action, in the plugin's words.
    pub fn action(&self) -> &Action {
        &self.action
    }

    /// Returns the permissions of the vault's plugin for this one call beyond its grants, each in
    /// plain words.
    pub fn permissions(&self) -> Vec<String> {
        self.opens.words.iter().map(|words| words.text().to_owned()).collect()
    }

    /// Returns whether a typed path leads elsewhere by links. This plugin may have created the link
    /// when it was granted the directory, for another action or before: the user must confirm.
    pub fn leads_elsewhere(&self) -> bool {
        self.opens.words.iter().any(|words| matches!(words, Words::Elsewhere(_)))
    }
}

impl Host {
    /// Returns the vault's own actions.
    ///
    /// # Errors
    /// The vault's error.
    pub fn actions(&self, vault: &VaultName, ask: &mut dyn Prompter) -> Result<Vec<Action>> {
        self.actions_of(vault.into(), ask)
    }

    fn actions_of(&self, vault: VaultRef<'_>, ask: &mut dyn Prompter) -> Result<Vec<Action>> {
        let list = self
            .call(vault, ask, &mut |open, deadline| open.actions(&ActionsRequest::new(deadline)));
        Ok(list?.actions)
    }

    /// Checks an action's parameters as typed, and finds the permissions that they open to the
    /// plugin. Relative paths start at `dir`. Sends the vault only a request for its actions.
    ///
    /// # Errors
    /// [`Error::NoSuchAction`], [`Error::Parameters`], or the vault's error.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(host: &keystead::Host) -> Result<(), keystead::Error> {
    /// use std::collections::BTreeMap;
    ///
    /// use keystead::NonInteractive;
    ///
    /// let vault = keystead::api::VaultName::parse("work").expect("it is a name");
    /// let plan = host.plan_action(&vault, "compact", &BTreeMap::new(), "/".as_ref(), &mut NonInteractive)?;
    /// let outcome = host.act(plan, &mut NonInteractive)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn plan_action(
        &self,
        vault: &VaultName,
        action: &str,
        typed: &BTreeMap<String, String>,
        dir: &Path,
        ask: &mut dyn Prompter,
    ) -> Result<PlannedAction> {
        let prepared = self.prepare(vault)?;
        let mut actions = self.actions_of((&prepared).into(), ask)?;
        let Some(found) = actions.iter().position(|one| one.id == action) else {
            return Err(Error::NoSuchAction {
                vault: vault.clone(),
                action: action.to_owned(),
                actions: actions.into_iter().map(|one| one.id).collect(),
            });
        };
        let action = actions.swap_remove(found);
        let home = self.home();
        let data = self.options().paths.user_data.as_deref();
        let base = Base { dir, home: home.as_deref(), data, vault: Some(vault) };
        let settings = schema::validate(&action.parameters, typed, base).map_err(|faults| {
            Error::Parameters { what: format!("action `{}`", action.id), faults }
        })?;
        // The running plugin supplies the list of actions. A default in it opens nothing, and
        // neither does a path that the pinned manifest does not request.
        let mut paths = BTreeMap::new();
        for one in action.parameters.iter().filter(|one| one.kind == ParameterKind::Path) {
            if let (true, Some(Setting::Text(path))) =
                (typed.contains_key(&*one.name), settings.get(&*one.name))
            {
                paths.insert(one.name.to_string(), path.clone());
            }
        }
        let opens = self.opened_by_action(&prepared, &action.id, &paths)?;
        Ok(PlannedAction { vault: prepared, action, settings, opens })
    }

    /// Runs a planned action.
    ///
    /// # Errors
    /// A reference that cannot be resolved, or the vault's error.
    pub fn act(&self, plan: PlannedAction, ask: &mut dyn Prompter) -> Result<ActionOutcome> {
        let PlannedAction { vault, action, settings, opens } = plan;
        let what = format!("action `{}`", action.id);
        // References are resolved before the vault is in use: they may lead to it.
        let parameters = self.parameters(&settings, &action.parameters, &what)?;
        let mut request = ActionRequest::new(action.id, parameters, self.deadline());
        self.call_with((&vault).into(), opens, ask, &mut |open, deadline| {
            request.deadline = deadline;
            open.run_action(&request)
        })
    }
}
