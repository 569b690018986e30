//! Cycles of references: found when a vault is registered, so that most of them never
//! occur at run time.

use keystead_plugin_api::VaultName;

use super::{Error, OpenRegistry, Registration};
use crate::reference::Reference;

/// Checks that no reference of a new registration leads back to it. A reference without a
/// vault leads to the default vault; the result of a search is known only at run time.
pub(super) fn check(
    registry: &OpenRegistry,
    new: &Registration,
    default: Option<&VaultName>,
) -> Result<(), Error> {
    let mut seen = Vec::new();
    let mut way = vec![new.name.clone()];
    match leads_back(registry, new, new, default, &mut way, &mut seen) {
        true => Err(Error::Cycle { vaults: way }),
        false => Ok(()),
    }
}

fn leads_back(
    registry: &OpenRegistry,
    new: &Registration,
    from: &Registration,
    default: Option<&VaultName>,
    way: &mut Vec<VaultName>,
    seen: &mut Vec<VaultName>,
) -> bool {
    for (_, reference) in from.references() {
        let Reference::Secret { vault, .. } = reference else { continue };
        let Some(next) = vault.as_ref().or(default) else { continue };
        if *next == new.name {
            return true;
        }
        if seen.contains(next) {
            continue;
        }
        seen.push(next.clone());
        // A vault that is not registered or is damaged leads to no other vault.
        let Ok(entry) = registry.entry(next) else { continue };
        way.push(entry.name.clone());
        if leads_back(registry, new, &entry, default, way, seen) {
            return true;
        }
        way.pop();
    }
    false
}
