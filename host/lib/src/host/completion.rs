//! The names that are available without a prompt, for completion, which must never prompt, run a
//! program or change anything.

use std::ops::ControlFlow;
use std::sync::Arc;

use keystead_plugin_api::{ListRequest, NameEquality, RulesRequest, SecretName, VaultName};

use super::Host;
use super::call::Call;
use super::prepare::LayeredRegistration;
use crate::error::Result;
use crate::reference::Reference;
use crate::registry::{Placement, Registration, Setting};
use crate::secrets::Walk;

impl Host {
    /// Passes on the names of a vault's secrets that begin with this prefix by the vault's own rule
    /// for names, in its own order. Ends after the last name, or when `each` breaks off.
    ///
    /// The host prompts for nothing and uses no unlock references. It skips a vault if opening it
    /// runs a program or needs another vault. This depends on `command:` and `keystead://`
    /// parameters, and on grants of programs or the session bus. The plugin runs in a process of
    /// its own, whatever is registered, and the host then closes it.
    ///
    /// # Errors
    /// The fault of the registration or the plugin, or that the vault is locked.
    pub(crate) fn names_without_prompt(
        &self,
        vault: &VaultName,
        prefix: &str,
        each: &mut dyn FnMut(SecretName) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut entry = Arc::unwrap_or_clone(self.layered(vault)?.entry);
        if !is_at_hand(&entry) {
            return Ok(());
        }
        entry.unlock.clear();
        // A caller that does not wait ends while a plugin hangs, and must survive a plugin's crash.
        // Neither does harm if the plugin has a process of its own.
        entry.placement = Some(Placement::Isolated);
        let registered = LayeredRegistration { layer: None, entry: Arc::new(entry) };
        let mut open = self.open_as(registered, &mut Call::default())?;
        let rules = open.vault().rules(&RulesRequest::new(self.deadline()));
        let rules = rules.map_err(|refusal| open.error(refusal))?.names;
        let key = |name: &str| match rules.key(name) {
            Some(key) => key.into_owned(),
            None => name.to_owned(),
        };
        let wanted = key(prefix);
        // A vault that takes `a` and `A` for one name may still filter by the exact text.
        let is_exact = matches!(rules, NameEquality::Exact | NameEquality::Unknown);
        let mut walk = Walk::default();
        loop {
            let mut request = ListRequest::new(self.deadline());
            request.cursor.clone_from(&walk.after);
            request.prefix = is_exact.then(|| prefix.to_owned());
            let page = match walk.page(open.vault(), &request) {
                Ok(page) => page,
                Err(refusal) => return Err(open.error(refusal)),
            };
            let last = walk.step(&page);
            for entry in page.entries {
                if !key(entry.name.as_str()).starts_with(&wanted) {
                    continue;
                }
                if each(entry.name).is_break() {
                    return Ok(());
                }
            }
            if last {
                return Ok(());
            }
        }
    }
}

/// Returns whether opening the vault needs only its plugin, variables and files.
fn is_at_hand(entry: &Registration) -> bool {
    let asks = |setting: &Setting| match setting {
        Setting::Reference(reference) => {
            !matches!(reference, Reference::Env(_) | Reference::File(_))
        }
        _ => false,
    };
    let reaches_out = |grant: &String| {
        grant.starts_with("exec:") || grant.starts_with("socket:") || grant == "dbus"
    };
    !entry.parameters.values().any(asks) && !entry.grants.iter().any(reaches_out)
}
