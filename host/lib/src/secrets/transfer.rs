//! Copying and moving secrets between two vaults: first a plan, made by reading only, then its run.
//! Nothing is written while any part of the plan cannot be done.

mod compare;
mod error;
mod run;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use keystead_plugin_api::manifest::Capability;
use keystead_plugin_api::{Entry, ErrorKind, SecretName, ValueKind, VaultName};

pub use error::{Error, Reason, Refusal};
pub use run::{Outcome, Step};

pub use compare::same_value;

use super::pattern::{Pattern, has_wildcards};
use super::rules::Rules;
use crate::error::{Error as HostError, Result};
use crate::host::{Host, Prepared};
use crate::plugin::inspect::ParsedKind;
use crate::prompter::Prompter;

/// Whether a transfer keeps or removes the source's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferMode {
    /// Copy: the source keeps the secret.
    Copy,
    /// Move: the source's secret is removed once its copy was read back.
    Move,
}

/// What to do if the target has another secret of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferConflict {
    /// Reject the plan.
    Refuse,
    /// Replace the target's secret.
    Replace,
}

/// Parts of a secret that a transfer copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// Value and metadata, without read-only keys. A target that keeps no metadata rejects a secret
    /// that has some.
    All,
    /// The value alone; the target's metadata stays as it is.
    ValueOnly,
}

/// What to do about secrets that the target cannot store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRejected {
    /// Write nothing.
    Stop,
    /// Skip them.
    Skip,
}

/// A copy or move of secrets.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// The name of a secret, or a pattern with `*` and `?`. If a secret has exactly this name, it
    /// is the only secret of the transfer.
    pub pattern: String,
    /// The source vault.
    pub from: VaultName,
    /// The target vault. Equals the source vault only with a new name.
    pub to: VaultName,
    /// New name in the target, for one secret only; `None` keeps the name.
    pub rename: Option<SecretName>,
    /// Whether to copy or to move.
    pub source: TransferMode,
    /// What to do if the target has another secret of the name.
    pub if_there: TransferConflict,
    /// Parts of the secrets to copy.
    pub carried: Carried,
    /// What to do about secrets that the target cannot store.
    pub if_refused: OnRejected,
}

impl Transfer {
    /// Returns a copy that replaces nothing and loses nothing.
    ///
    /// # Examples
    /// ```
    /// use keystead::api::VaultName;
    /// use keystead::transfer::{TransferConflict, Transfer};
    ///
    /// let [from, to] = ["old", "new"].map(|name| VaultName::parse(name).unwrap());
    /// let mut transfer = Transfer::new("db/*", from, to);
    /// assert_eq!(transfer.if_there, TransferConflict::Refuse);
    /// transfer.if_there = TransferConflict::Replace;
    /// ```
    pub fn new(pattern: impl Into<String>, from: VaultName, to: VaultName) -> Self {
        Self {
            pattern: pattern.into(),
            from,
            to,
            rename: None,
            source: TransferMode::Copy,
            if_there: TransferConflict::Refuse,
            carried: Carried::All,
            if_refused: OnRejected::Stop,
        }
    }
}

/// A secret of a plan.
#[derive(Debug)]
pub struct Planned {
    /// Name in the source.
    pub name: SecretName,
    /// Name in the target.
    pub target: SecretName,
    /// The planned action.
    pub action: TransferAction,
}

/// Planned action for a secret.
#[derive(Debug)]
pub enum TransferAction {
    /// Write the secret to the target, which does not have it.
    Write,
    /// Replace another secret in the target.
    Replace,
    /// None: the target has the secret already. A move removes it from the source.
    Same,
    /// None: the secret is rejected, for these reasons.
    Refused(Vec<Reason>),
}

/// The planned actions of a transfer, secret by secret and sorted by name.
#[derive(Debug)]
pub struct TransferPlan {
    transfer: Transfer,
    source: Arc<Prepared>,
    target: Arc<Prepared>,
    renames: Renames,
    planned: Vec<Planned>,
}

/// Whether a move is a rename, which the vault does in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renames {
    No,
    /// To a name of another secret.
    Name,
    /// To another spelling of the same name: such a secret is never copied onto itself.
    Spelling,
}

/// Facts that decide a secret's action.
struct Room<'a> {
    source: &'a Arc<Prepared>,
    target: &'a Arc<Prepared>,
    rules: &'a Rules,
    /// Other names of the transfer that are the same secret in the target.
    clash: Vec<SecretName>,
}

impl TransferPlan {
    /// Returns the transfer of this plan.
    pub fn transfer(&self) -> &Transfer {
        &self.transfer
    }

    /// Returns the secrets: at least one.
    pub fn planned(&self) -> &[Planned] {
        &self.planned
    }

    /// Returns whether the target keeps metadata.
    fn keeps_metadata(&self) -> bool {
        self.target.kind().capabilities.contains(&Capability::Metadata)
    }

    /// Returns the error of a run that must not skip any secret; `None` if no secret is rejected.
    pub fn refused(&self) -> Option<Error> {
        let refused = self.planned.iter().filter_map(|planned| match &planned.action {
            TransferAction::Refused(reasons) => Some(Refusal {
                name: planned.name.clone(),
                reasons: reasons.iter().map(ToString::to_string).collect(),
            }),
            _ => None,
        });
        let refused: Vec<Refusal> = refused.collect();
        let any = |wanted: fn(&Reason) -> bool| {
            self.planned.iter().any(|planned| match &planned.action {
                TransferAction::Refused(reasons) => reasons.iter().any(wanted),
                _ => false,
            })
        };
        (!refused.is_empty()).then(|| Error::Refused {
            to: self.transfer.to.clone(),
            total: self.planned.len(),
            by_others: any(|reason| matches!(reason, Reason::Exists(_))),
            by_metadata: any(|reason| matches!(reason, Reason::Metadata)),
            refused,
        })
    }
}

impl Host {
    /// Plans a transfer. Reads both vaults and writes nothing.
    ///
    /// # Errors
    /// [`Error::NoMatch`] and [`HostError::NoSuchSecret`] if there is nothing to copy;
    /// [`Error::Several`] and [`Error::OntoItself`] if the transfer makes no sense; any error that
    /// makes a vault unusable. An error with one secret is a [`TransferAction::Refused`] of the
    /// plan.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(host: &keystead::Host) -> Result<(), keystead::Error> {
    /// use keystead::NonInteractive;
    /// use keystead::api::VaultName;
    /// use keystead::transfer::Transfer;
    ///
    /// let [from, to] = ["old", "new"].map(|name| VaultName::parse(name).expect("it is a name"));
    /// let plan = host.plan_transfer(Transfer::new("db/*", from, to), &mut NonInteractive)?;
    /// println!("{} secrets", plan.planned().len());
    /// host.transfer(&plan, &mut NonInteractive, &mut |_| ())?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn plan_transfer(
        &self,
        transfer: Transfer,
        ask: &mut dyn Prompter,
    ) -> Result<TransferPlan> {
        let Transfer { from, to, .. } = &transfer;
        if from == to && transfer.rename.is_none() {
            let what = transfer.pattern.clone();
            return Err(Error::OntoItself { vault: from.clone(), what }.into());
        }
        let (target, source) = (self.prepare(to)?, self.prepare(from)?);
        let writes = |vault: &Prepared| vault.kind().capabilities.contains(&Capability::Write);
        for (vault, writes) in [
            (to, writes(&target)),
            (from, writes(&source) || transfer.source == TransferMode::Copy),
        ] {
            if !writes {
                let answer =
                    keystead_plugin_api::Error::unsupported("this vault cannot be written to");
                return Err(HostError::Refused { vault: vault.clone(), answer });
            }
        }

        if transfer.source == TransferMode::Move && from != to && are_one_place(&source, &target) {
            let (from, to) = (from.clone(), to.clone());
            return Err(Error::OnePlace { from, to }.into());
        }

        let found = self.matching(&transfer, &source, ask)?;
        if let (Some(_), [_, _, ..]) = (&transfer.rename, found.as_slice()) {
            let (pattern, count) = (transfer.pattern.clone(), found.len());
            return Err(Error::Several { pattern, count }.into());
        }
        let targets: Vec<SecretName> = found
            .iter()
            .map(|entry| transfer.rename.clone().unwrap_or_else(|| entry.name.clone()))
            .collect();
        let rules = self.rules((&target).into(), ask)?;
        let renames = renames(&transfer, target.kind());
        if let ([entry], true) = (found.as_slice(), from == to)
            && self.is_one(&target, &rules, (&entry.name, &targets[0]), ask)?
        {
            if renames && entry.name.as_str() != targets[0].as_str() {
                let (name, target_name) = (entry.name.clone(), targets[0].clone());
                let planned = Planned { name, target: target_name, action: TransferAction::Write };
                let (planned, how) = (vec![planned], Renames::Spelling);
                return Ok(TransferPlan { transfer, source, target, renames: how, planned });
            }
            let (vault, what) = (from.clone(), targets[0].to_string());
            return Err(Error::OntoItself { vault, what }.into());
        }

        let keys = self.keys(&target, &rules, &targets, ask)?;
        let mut together: HashMap<&str, Vec<&SecretName>> = HashMap::new();
        for (name, key) in targets.iter().zip(&keys) {
            together.entry(key).or_default().push(name);
        }
        let mut planned = Vec::with_capacity(found.len());
        for ((entry, name), key) in found.into_iter().zip(&targets).zip(&keys) {
            let same = &together[key.as_str()];
            let others = same.iter().filter(|other| **other != name);
            let clash: Vec<SecretName> = others.map(|other| (*other).clone()).collect();
            let room = Room { source: &source, target: &target, rules: &rules, clash };
            if let Some(action) = self.action(&transfer, &room, &entry, name, ask)? {
                planned.push(Planned { name: entry.name, target: name.clone(), action });
            }
        }
        if planned.is_empty() {
            let (pattern, vault) = (transfer.pattern, transfer.from);
            return Err(Error::NoMatch { pattern, vault }.into());
        }
        let renames = if renames { Renames::Name } else { Renames::No };
        Ok(TransferPlan { transfer, source, target, renames, planned })
    }

    /// Returns the secrets of the transfer, sorted, each once.
    fn matching(
        &self,
        transfer: &Transfer,
        source: &Arc<Prepared>,
        ask: &mut dyn Prompter,
    ) -> Result<Vec<Entry>> {
        let Transfer { pattern, from, .. } = transfer;
        let nothing =
            || HostError::from(Error::NoMatch { pattern: pattern.clone(), vault: from.clone() });
        if !has_wildcards(pattern) {
            // The vault finds the name by its own rule, without listing all its secrets.
            let name = SecretName::parse(pattern).map_err(|_| nothing())?;
            let secret = self.read(source.into(), &name, ask)?;
            // The name that finds the secret may differ from the vault's spelling.
            let name = self.spelling(source.into(), &name, ask)?.unwrap_or(name);
            return Ok(vec![Entry::new(name, Some(secret.value.kind()), secret.metadata)]);
        }
        let mut found = BTreeMap::new();
        self.each_page_of(Some(pattern), source.into(), ask, &mut |entries| {
            found.extend(entries.into_iter().map(|entry| (entry.name.clone(), entry)));
            Ok::<(), crate::Error>(())
        })?;
        let rules = self.rules(source.into(), ask)?;
        let itself = Pattern::new(pattern, &rules);
        let exact = found.keys().find(|name| itself.is(name.as_str())).cloned();
        if let Some(exact) = exact.and_then(|name| found.remove(&name)) {
            return Ok(vec![exact]);
        }
        if found.is_empty() {
            return Err(nothing());
        }
        Ok(found.into_values().collect())
    }

    /// Returns the action for one secret; `None` if it was removed since it was listed.
    fn action(
        &self,
        transfer: &Transfer,
        room: &Room<'_>,
        entry: &Entry,
        name: &SecretName,
        ask: &mut dyn Prompter,
    ) -> Result<Option<TransferAction>> {
        let target = room.target.kind();
        let mut reasons = Vec::new();
        if !room.clash.is_empty() {
            reasons.push(Reason::Clash(room.clash.clone()));
        }
        let there = match self.read(room.target.into(), name, ask) {
            Ok(there) => Some(there),
            Err(HostError::NoSuchSecret { .. }) => None,
            Err(error) => {
                reasons.push(Reason::Target(Box::new(of_one_secret(error)?)));
                None
            }
        };
        // Read the value only if it decides something: the run reads the current value.
        let secret = match (entry.kind, &there) {
            (Some(_), None) => None,
            _ => match self.read(room.source.into(), &entry.name, ask) {
                Ok(secret) => Some(secret),
                Err(HostError::NoSuchSecret { .. }) => return Ok(None),
                Err(error) => {
                    reasons.push(Reason::Source(Box::new(of_one_secret(error)?)));
                    None
                }
            },
        };
        let kind = secret.as_ref().map(|secret| secret.value.kind()).or(entry.kind);
        let metadata = secret.as_ref().map_or(&entry.metadata, |secret| &secret.metadata);
        reasons.extend(kind.and_then(|kind| cannot_hold(target, kind)));
        let value = secret.as_ref().map(|secret| &secret.value);
        reasons.extend(room.rules.limit(name, value).map(Reason::Limit));
        if transfer.carried == Carried::All
            && !metadata.writable().is_empty()
            && !target.capabilities.contains(&Capability::Metadata)
        {
            reasons.push(Reason::Metadata);
        }
        // A rename keeps all metadata.
        if transfer.carried == Carried::All
            && metadata.check_complete().is_err()
            && !renames(transfer, target)
        {
            reasons.push(Reason::Incomplete);
        }
        let action = match (there, secret) {
            (Some(there), Some(secret)) if compare::same(&secret, &there, transfer.carried) => {
                TransferAction::Same
            }
            (Some(_), Some(_)) if transfer.if_there == TransferConflict::Replace => {
                TransferAction::Replace
            }
            (Some(_), Some(_)) => {
                reasons.push(Reason::Exists(name.clone()));
                TransferAction::Write
            }
            _ => TransferAction::Write,
        };
        Ok(Some(if reasons.is_empty() { action } else { TransferAction::Refused(reasons) }))
    }

    /// Returns for each name the common form of names that are one secret in a vault. If only the
    /// vault knows, uses its spelling of each name that it has.
    fn keys(
        &self,
        vault: &Arc<Prepared>,
        rules: &Rules,
        names: &[SecretName],
        ask: &mut dyn Prompter,
    ) -> Result<Vec<String>> {
        let mut keys = Vec::with_capacity(names.len());
        for name in names {
            keys.push(match rules.key(name) {
                Some(key) => key.into_owned(),
                None if names.len() == 1 => name.to_string(),
                None => self
                    .spelling(vault.into(), name, ask)?
                    .unwrap_or_else(|| name.clone())
                    .to_string(),
            });
        }
        Ok(keys)
    }

    /// Returns whether two names are one secret of a vault, which has the first name.
    fn is_one(
        &self,
        vault: &Arc<Prepared>,
        rules: &Rules,
        (one, other): (&SecretName, &SecretName),
        ask: &mut dyn Prompter,
    ) -> Result<bool> {
        Ok(match (rules.key(one), rules.key(other)) {
            (Some(one), Some(other)) => one == other,
            _ => {
                one == other
                    || self.spelling(vault.into(), other, ask)?
                        == self.spelling(vault.into(), one, ask)?
            }
        })
    }
}

/// Returns whether two vaults use the same storage: a move would remove the secret that it wrote.
/// The run detects the same storage under different parameters.
fn are_one_place(one: &Prepared, other: &Prepared) -> bool {
    let (first, second) = (one.entry(), other.entry());
    // Without parameters they may share no storage, as in memory.
    !first.parameters.is_empty()
        && first.parameters == second.parameters
        && first.plugin == second.plugin
        && one.kind().name == other.kind().name
}

/// Separates an error about one secret from an error that makes the vault unusable.
///
/// # Errors
/// The error that makes the vault unusable.
fn of_one_secret(error: HostError) -> Result<HostError> {
    match &error {
        HostError::Refused { answer, .. } => match answer.kind() {
            ErrorKind::Invalid
            | ErrorKind::Unsupported
            | ErrorKind::PermissionDenied
            | ErrorKind::Corrupt => Ok(error),
            _ => Err(error),
        },
        _ => Err(error),
    }
}

fn cannot_hold(target: &ParsedKind, kind: ValueKind) -> Option<Reason> {
    (!target.values.contains(&kind)).then_some(Reason::Kind(kind))
}

/// Returns whether the vault itself renames these secrets.
fn renames(transfer: &Transfer, target: &ParsedKind) -> bool {
    transfer.source == TransferMode::Move
        && transfer.from == transfer.to
        && transfer.carried == Carried::All
        && target.capabilities.contains(&Capability::Rename)
}
