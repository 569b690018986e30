//! Copying and moving secrets between two vaults: first a plan, made by reading only, then
//! its run. Nothing is written while anything in the plan cannot be done.

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

/// What becomes of the secret that is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferMode {
    /// It stays: a copy.
    Copy,
    /// It is removed once its copy was read back: a move.
    Move,
}

/// What is done where the target has another secret of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferConflict {
    /// The plan is refused.
    Refuse,
    /// It is replaced.
    Replace,
}

/// What is copied of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// Value and metadata, without what is read-only; a target that keeps no metadata refuses a
    /// secret that has some.
    All,
    /// The value alone; what the target has of metadata stays as it is.
    ValueOnly,
}

/// What is done about secrets that the target cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRejected {
    /// Nothing is written.
    Stop,
    /// They are left out.
    Skip,
}

/// What is to be copied or moved.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// The name of a secret, or a pattern with `*` and `?`. A secret whose name it is
    /// exactly is the only one meant.
    pub pattern: String,
    /// The vault it is in.
    pub from: VaultName,
    /// The vault it goes to. The same one only with a new name.
    pub to: VaultName,
    /// What it is called there; for one secret only.
    pub rename: Option<SecretName>,
    /// Whether it is copied or moved.
    pub source: TransferMode,
    /// What to do where the target has another secret of the name.
    pub if_there: TransferConflict,
    /// What is copied of it.
    pub carried: Carried,
    /// What to do about what the target cannot have.
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

/// One secret of a plan.
#[derive(Debug)]
pub struct Planned {
    /// Its name in the source.
    pub name: SecretName,
    /// Its name in the target.
    pub target: SecretName,
    /// What is going to happen.
    pub action: TransferAction,
}

/// What is going to happen to a secret.
#[derive(Debug)]
pub enum TransferAction {
    /// It is written to the target, which does not have it.
    Write,
    /// It is written over another one in the target.
    Replace,
    /// The target has it already. A move removes it from the source.
    Same,
    /// The target cannot have it.
    Refused(Vec<Reason>),
}

/// What a transfer is going to do, secret by secret and sorted by name.
#[derive(Debug)]
pub struct TransferPlan {
    transfer: Transfer,
    source: Arc<Prepared>,
    target: Arc<Prepared>,
    renames: Renames,
    planned: Vec<Planned>,
}

/// Whether a move is a renaming, which the vault does in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renames {
    No,
    /// To a name of another secret.
    Name,
    /// To another spelling of the same name: a copy would be the secret itself, and is never made.
    Spelling,
}

/// What there is room for in the target.
struct Room<'a> {
    source: &'a Arc<Prepared>,
    target: &'a Arc<Prepared>,
    rules: &'a Rules,
    /// Other names of the transfer that would be the same secret there.
    clash: Vec<SecretName>,
}

impl TransferPlan {
    /// Returns what is to be copied or moved.
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

    /// Returns the error of a run that is not to leave anything out; `None` where nothing
    /// is refused.
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
    /// Says what a transfer is going to do. Reads both vaults and writes nothing.
    ///
    /// # Errors
    /// [`Error::NoMatch`] and [`HostError::NoSuchSecret`] when there is nothing to copy,
    /// [`Error::Several`] and [`Error::OntoItself`] when it makes no sense, and whatever
    /// keeps either vault from being used at all. What is wrong with one secret is an
    /// [`TransferAction::Refused`] of the plan.
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

    /// Returns the secrets that are meant, sorted, each once.
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
            // The vault finds it by its own rule, and without listing all it has.
            let name = SecretName::parse(pattern).map_err(|_| nothing())?;
            let secret = self.read(source.into(), &name, ask)?;
            // What finds it may be another spelling than the vault's.
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

    /// Decides what is going to happen to one secret; `None` where it is gone since it was
    /// listed.
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
        // The value is read only where it decides something: what a run reads is the truth.
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
        // What is renamed keeps all that it has.
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

    /// Returns for each name what it has in common with others that are one secret in a vault. Where
    /// only the vault knows, it is asked how it spells each name that it has.
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

    /// Returns whether two names are one secret of a vault, which has the first.
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

/// Returns whether two vaults use the same storage: what a move puts there it would remove. Places
/// that are written differently are found out in the run.
fn are_one_place(one: &Prepared, other: &Prepared) -> bool {
    let (first, second) = (one.entry(), other.entry());
    // Without parameters they may as well keep nothing together, as in memory.
    !first.parameters.is_empty()
        && first.parameters == second.parameters
        && first.plugin == second.plugin
        && one.kind().name == other.kind().name
}

/// Tells what a vault says of one secret from what keeps the vault from being used.
///
/// # Errors
/// The latter.
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

/// Whether the vault itself gives these secrets their new names.
fn renames(transfer: &Transfer, target: &ParsedKind) -> bool {
    transfer.source == TransferMode::Move
        && transfer.from == transfer.to
        && transfer.carried == Carried::All
        && target.capabilities.contains(&Capability::Rename)
}
