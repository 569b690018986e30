//! Finds problems with registrations. Checks each one against its file's format, its plugin as
//! installed now, and the vaults that it refers to.

use std::path::{Path, PathBuf};

use keystead_plugin_api::VaultName;
use keystead_plugin_api::manifest::Capability;

use super::fix::{self, Fix};
use super::{Finding, Severity, dir, is_blind, listed};
use crate::error::Error;
use crate::host::{Host, VaultInfo};
use crate::paths::Layer;
use crate::plugin::pins::InProcess;
use crate::plugin::trust::{Survey, Trusted};
use crate::reference::Reference;
use crate::registry::schema;
use crate::registry::{self, OpenRegistry, Placement, Registration, Setting};

const STALE: &str = "the vault answers every request with this error";

/// A registration, with its layer and its file.
struct Case<'a> {
    registry: &'a OpenRegistry,
    default: Option<&'a VaultName>,
    entry: &'a Registration,
    layer: Layer,
    path: Option<PathBuf>,
}

impl Host {
    pub(super) fn all_vaults(&self, survey: &Survey, findings: &mut Vec<Finding>) {
        let (vaults, faults) = match self.vaults() {
            Ok(all) => all,
            Err(error) => (Vec::new(), vec![error]),
        };
        for fault in &faults {
            findings.extend(self.beside(fault));
        }
        let registry = &self.registry().once();
        self.defaults(registry, &vaults, findings);
        for (name, path) in registry.shadowing() {
            let what = format!(
                "your registration of vault `{name}` in `{}` hides the administrator's",
                path.display()
            );
            findings.push(
                Finding::new(Severity::Warning, "E01.shadowed", what)
                    .because("commands ask your vault, not the one that all users share")
                    .fixed_by([fix::unregister(name.as_str(), Layer::User, None)]),
            );
        }
        let default = self.default_in(registry).ok().flatten();
        let mut circles: Vec<Vec<VaultName>> = Vec::new();
        for vault in &vaults {
            let Some(layer) = vault.layer else { continue };
            let path = self.options().paths.vault_file(layer, &vault.name);
            match &vault.entry {
                Err(error) => findings.push(broken(vault, layer, path.as_deref(), error)),
                Ok(entry) => {
                    let case = Case { registry, default: default.as_ref(), entry, layer, path };
                    self.references(&case, &vaults, &mut circles, findings);
                    self.against_plugin(&case, survey, findings);
                }
            }
        }
    }

    /// Returns a problem that belongs to no single vault: a layer, a file's name, a locked name.
    fn beside(&self, error: &Error) -> Option<Finding> {
        let Error::Registry(fault) = error else {
            return Some(Finding::of(Severity::Error, error.code(), error).because(STALE));
        };
        let finding = Finding::of(Severity::Error, fault.code(), fault);
        Some(match fault {
            registry::Error::File(fault) => dir::of_path(Severity::Error, fault),
            registry::Error::BadFileName { path } => {
                Finding { severity: Severity::Warning, ..finding }
                    .because("no vault is registered by it")
                    .fixed_by([Fix::put_away(path, "put it out of the way")])
            }
            registry::Error::Locked { user, .. } => {
                Finding { severity: Severity::Warning, ..finding }
                    .because("commands ask the administrator's vault, not yours")
                    .fixed_by([Fix::put_away(user, "put your registration out of the way")])
            }
            // `defaults` checks each layer's settings.
            _ if place_of(fault).is_some_and(|(path, _)| path.ends_with("config.toml")) => {
                return None;
            }
            _ => finding.because(STALE),
        })
    }

    fn defaults(&self, registry: &OpenRegistry, vaults: &[VaultInfo], findings: &mut Vec<Finding>) {
        let is_there = |name: &VaultName| vaults.iter().any(|vault| vault.name == *name);
        let why = "commands that name no vault go to it, and fail";
        if let Some(name) = self.options().default_vault.as_ref().filter(|name| !is_there(name)) {
            let what = format!("`KEYSTEAD_VAULT` is `{name}`, and no such vault is registered");
            let mut fixes = vec![Fix::new("unset KEYSTEAD_VAULT", "have the usual default vault")];
            if let Some(similar) = registry.similar(name) {
                let command = format!("export KEYSTEAD_VAULT={similar}");
                fixes.insert(0, Fix::new(command, "name the vault that looks like it"));
            }
            findings.push(
                Finding::new(Severity::Error, "E01.no-such-vault", what)
                    .because(why)
                    .fixed_by(fixes),
            );
        }
        for (layer, default) in registry.defaults() {
            let path = self.options().paths.config_file(layer);
            match default {
                Ok(None) => {}
                Ok(Some(name)) if is_there(&name) => {}
                Ok(Some(name)) => {
                    let what = format!(
                        "the default vault of the {layer} layer, `{name}`, is not registered"
                    );
                    let default = |words: &str| {
                        fix::in_layer(
                            format!("keystead vault default {words}"),
                            layer,
                            path.as_deref(),
                        )
                    };
                    let mut fixes = vec![Fix::new(default("--clear"), "have no default vault")];
                    if let Some(similar) = registry.similar(&name) {
                        let command = default(similar.as_str());
                        fixes.insert(0, Fix::new(command, "have the one that looks like it"));
                    }
                    findings.push(
                        Finding::new(Severity::Error, "E01.no-such-vault", what)
                            .because(why)
                            .fixed_by(fixes),
                    );
                }
                Err(registry::Error::File(fault)) => {
                    findings.push(dir::of_path(Severity::Error, &fault));
                }
                Err(fault) => {
                    let fixes = place_of(&fault).map(|(path, line)| Fix::edit(path, line));
                    findings.push(
                        Finding::of(Severity::Error, fault.code(), &fault)
                            .because("which vault is the default one cannot be told")
                            .fixed_by(fixes),
                    );
                }
            }
        }
    }

    /// Checks the vaults that a registration's references name.
    fn references(
        &self,
        case: &Case<'_>,
        vaults: &[VaultInfo],
        circles: &mut Vec<Vec<VaultName>>,
        findings: &mut Vec<Finding>,
    ) {
        let entry = case.entry;
        let name = &entry.name;
        for (key, reference) in entry.references() {
            let Reference::Secret { vault: Some(needed), .. } = reference else { continue };
            if vaults.iter().any(|vault| vault.name == *needed) {
                continue;
            }
            let what = format!(
                "`{key}` of vault `{name}` is taken from vault `{needed}`, which is not registered"
            );
            let similar = case.registry.similar(needed);
            let similar = similar.map(|similar| {
                let entry = with_vault(entry, needed, &similar);
                fix::register(&entry, None, case.layer, case.path.as_deref())
            });
            let new = format!("keystead vault register {needed} --plugin PLUGIN");
            findings.push(
                Finding::new(Severity::Error, "E01.no-such-vault", what)
                    .because(format!("vault `{name}` cannot be opened or unlocked without it"))
                    .fixed_by(similar)
                    .fixed_by([
                        Fix::new(new, "register the vault that is missing"),
                        case.unregister(),
                    ]),
            );
        }
        if let Err(error @ registry::Error::Cycle { .. }) =
            case.registry.check_circle(entry, case.default)
            && let registry::Error::Cycle { vaults: circle } = &error
        {
            let mut sorted = circle.clone();
            sorted.sort();
            if circles.contains(&sorted) {
                return;
            }
            circles.push(sorted);
            findings.push(
                Finding::of(Severity::Error, error.code(), &error)
                    .because("none of these vaults can be opened or unlocked")
                    .fixed_by([case.without_references(), case.unregister()]),
            );
        }
    }

    /// Checks a registration against its plugin as installed now.
    fn against_plugin(&self, case: &Case<'_>, survey: &Survey, findings: &mut Vec<Finding>) {
        let entry = case.entry;
        let (name, id) = (&entry.name, &entry.plugin);
        let trusted = match survey.plugin(id).map(|one| (&one.outcome, &one.path)) {
            Some((Ok(Some(trusted)), _)) => trusted,
            // Reported with the plugin.
            Some((Err(_), _)) => return,
            Some((Ok(None), path)) => {
                let what = format!("the administrator denies plugin `{id}` of vault `{name}`");
                findings.push(
                    Finding::new(Severity::Error, "E07.denied", what).because(STALE).fixed_by([
                        Fix::about("rm", path, "as the administrator: allow it again"),
                        case.unregister(),
                    ]),
                );
                return;
            }
            None if is_blind(survey) => return,
            None => {
                let what = format!("plugin `{id}` of vault `{name}` is not installed");
                findings.push(
                    Finding::new(Severity::Error, "E03.not-pinned", what).because(STALE).fixed_by(
                        [Fix::new("keystead plugin install FILE", "install it"), case.unregister()],
                    ),
                );
                return;
            }
        };
        findings.extend(self.against_manifest(case, trusted));
    }

    fn against_manifest(&self, case: &Case<'_>, trusted: &Trusted) -> Vec<Finding> {
        let entry = case.entry;
        let (name, id) = (&entry.name, &entry.plugin);
        let manifest = trusted.manifest();
        let mut findings = Vec::new();
        let mut add = |severity, code, what: String, why: &str, fixes: Vec<Fix>| {
            findings.push(Finding::new(severity, code, what).because(why).fixed_by(fixes));
        };
        let Some(kind) = manifest.kind(entry.kind.as_deref()) else {
            let wanted = entry.kind.as_deref().unwrap_or_default();
            let kinds: Vec<&str> = manifest.kinds.iter().map(|kind| kind.name.as_str()).collect();
            let what = format!(
                "vault `{name}` is of kind `{wanted}`, which plugin `{id}` does not have: it has {}",
                listed(&kinds)
            );
            let first = manifest.kinds.first();
            let new = Registration { kind: first.map(|kind| kind.name.clone()), ..entry.clone() };
            let again = fix::register(&new, first, case.layer, case.path.as_deref());
            add(Severity::Error, "E01.no-such-kind", what, STALE, vec![again, case.unregister()]);
            return findings;
        };
        if let Some(unknown) = kind.needs_newer_host() {
            let what = format!("plugin `{id}` needs a newer Keystead for vault `{name}`");
            let why = format!("this one does not know {unknown}");
            add(Severity::Error, "E06.newer-kind", what, &why, Vec::new());
            return findings;
        }
        let again = || fix::register(entry, Some(kind), case.layer, case.path.as_deref());
        let faults = schema::check(&kind.parameters, &entry.parameters, self.home().as_deref());
        if !faults.is_empty() {
            let what = format!("the parameters of vault `{name}` do not fit its plugin `{id}`");
            let mut finding = Finding::new(Severity::Error, "E01.parameters", what)
                .because(STALE)
                .fixed_by([again(), case.unregister()]);
            finding.causes = faults.iter().map(ToString::to_string).collect();
            return vec![finding];
        }
        // Paths that cannot be looked up are reported below.
        let missing = self.not_granted(entry, manifest, kind).unwrap_or_default();
        if !missing.is_empty() {
            let what = format!(
                "plugin `{id}` requests permissions that vault `{name}` does not grant: {}",
                missing.join(", ")
            );
            let grant = fix::grant(name.as_str(), case.layer, case.path.as_deref());
            add(Severity::Error, "E07.not-granted", what, STALE, vec![grant, case.unregister()]);
        }
        if let Err(fault) = self.check_grants(trusted, entry, kind) {
            let why = match fault {
                Error::ReachesOwn { .. } => "a plugin could grant itself everything there",
                _ => STALE,
            };
            let fixes = vec![again(), case.unregister()];
            add(Severity::Error, fault.code(), fault.to_string(), why, fixes);
        }
        if entry.placement == Some(Placement::InProcess) && trusted.in_process() == InProcess::Never
        {
            let what = format!(
                "vault `{name}` is to run plugin `{id}` in the host's own process, and nobody allows that"
            );
            let isolated = Registration { placement: None, ..entry.clone() };
            let isolated = fix::register(&isolated, Some(kind), case.layer, case.path.as_deref());
            let allow = format!("keystead plugin trust {id} --danger-in-process");
            let allow = Fix::new(allow, "let it: it can then read all that Keystead can");
            add(Severity::Error, "E07.in-process-forbidden", what, STALE, vec![isolated, allow]);
        }
        if !entry.unlock.is_empty() && !kind.capabilities.contains(&Capability::Unlock) {
            let fields: Vec<&String> = entry.unlock.keys().collect();
            let what = format!(
                "vault `{name}` has standing answers for {}, and its kind of vault is never locked",
                listed(&fields)
            );
            let new = Registration { unlock: Default::default(), ..entry.clone() };
            let new = fix::register(&new, Some(kind), case.layer, case.path.as_deref());
            let why = "they are never used, and name where a secret is kept";
            add(Severity::Warning, "E01.answer-unneeded", what, why, vec![new]);
        }
        findings
    }
}

impl Case<'_> {
    fn unregister(&self) -> Fix {
        fix::unregister(self.entry.name.as_str(), self.layer, self.path.as_deref())
    }

    /// Returns the command that registers the vault again with other references.
    fn without_references(&self) -> Fix {
        let Ok(other) = Reference::parse("env:VARIABLE") else { return self.unregister() };
        let mut entry = self.entry.clone();
        for setting in entry.parameters.values_mut() {
            if matches!(setting, Setting::Reference(Reference::Secret { .. })) {
                *setting = Setting::Reference(other.clone());
            }
        }
        for reference in entry.unlock.values_mut() {
            if matches!(reference, Reference::Secret { .. }) {
                *reference = other.clone();
            }
        }
        let again = fix::register(&entry, None, self.layer, self.path.as_deref());
        Fix { description: "take its secret from elsewhere, such as a variable", ..again }
    }
}

/// Returns a registration whose references name another vault.
fn with_vault(entry: &Registration, from: &VaultName, to: &VaultName) -> Registration {
    let mut entry = entry.clone();
    let renamed = |reference: &mut Reference| {
        if let Reference::Secret { vault: Some(vault), .. } = reference
            && vault == from
        {
            *vault = to.clone();
        }
    };
    for setting in entry.parameters.values_mut() {
        if let Setting::Reference(reference) = setting {
            renamed(reference);
        }
    }
    entry.unlock.values_mut().for_each(renamed);
    entry
}

fn broken(vault: &VaultInfo, layer: Layer, path: Option<&Path>, error: &Error) -> Finding {
    let name = vault.name.as_str();
    let Error::Registry(fault) = error else {
        return Finding::of(Severity::Error, error.code(), error).because(STALE);
    };
    let unregister = fix::unregister(name, layer, path);
    let finding = Finding::of(Severity::Error, fault.code(), fault)
        .because(format!("vault `{name}` answers every request with this error"));
    match fault {
        registry::Error::File(fault) => dir::of_path(Severity::Error, fault),
        registry::Error::CaseCollision { second, .. } => {
            finding.fixed_by([Fix::put_away(second, "put one of them out of the way")])
        }
        registry::Error::MissingKey { path, .. } => {
            finding.fixed_by([Fix::edit(path, 1), unregister])
        }
        _ => {
            let edit = place_of(fault).map(|(path, line)| Fix::edit(path, line));
            finding.fixed_by(edit).fixed_by([unregister])
        }
    }
}

/// Returns the file and the line of a fault.
fn place_of(error: &registry::Error) -> Option<(&Path, usize)> {
    use registry::Error;
    match error {
        Error::NotToml { at, .. }
        | Error::UnknownKey { at, .. }
        | Error::WrongValue { at, .. }
        | Error::WrongReference { at, .. } => Some((&at.path, at.line)),
        Error::Newer { path, .. } | Error::MissingKey { path, .. } => Some((path, 1)),
        _ => None,
    }
}
