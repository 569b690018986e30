//! Imports rows into a vault: first decides the outcome of each row, and then writes. If the rows
//! can be read twice, a dry run comes first, and only rows seen there are written.

use std::borrow::Cow;
use std::collections::HashSet;

use keystead::internals::plugin::inspect::ParsedKind;
use keystead::internals::{kind_to_write, same_value, target, unfit};
use keystead::{BatchWrite, Error, Host, Prompter, Result, RunMode, SearchScope};
use keystead_plugin_api::manifest::Capability;
use keystead_plugin_api::{
    ErrorKind, MAX_SET_MANY, Metadata, Rules, Secret, SecretName, Value, ValueKind, VaultName,
    WriteMode,
};

use super::export::MOST_AT_ONCE;
use super::fingerprint::{Names, Prints, Seal};
use super::{Position, Row, Rows};

/// Maximum number of rows held at once, as many as a single call to a vault may have; and maximum
/// size in bytes, unless a single row is larger.
const BATCH_ROWS: usize = MAX_SET_MANY;
const BATCH_BYTES: usize = 2 * 1024 * 1024;

/// Treatment of a secret whose name exists in the vault with another value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportConflict {
    /// Keep the existing secret, and report it.
    Tell,
    /// Replace the existing secret.
    Replace,
    /// Keep the existing secret, without a report.
    Skip,
}

/// An import into a vault.
///
/// # Examples
/// ```no_run
/// # fn import(host: &keystead::Host) -> Result<(), keystead_exchange::Error> {
/// use keystead::{NonInteractive, RunMode};
/// use keystead_exchange::{Import, ImportConflict, ImportFormat, ImportOptions, ImportSource, open};
///
/// let mut import = Import::new(host, None, "", ImportConflict::Tell)?;
/// for run in [RunMode::DryRun, RunMode::Apply] {
///     let file = std::fs::File::open("secrets.jsonl").expect("it is there");
///     let mut rows = open(ImportFormat::JsonLines, ImportSource::File(file), &ImportOptions::default())?;
///     import.pass(&mut *rows, run, &mut NonInteractive, &mut |row| assert!(row.became.is_fine()))?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct Import<'a> {
    host: &'a Host,
    vault: VaultName,
    kind: ParsedKind,
    prefix: String,
    if_there: ImportConflict,
    seal: Seal,
    /// Fingerprints of an earlier pass; `None` in the first pass.
    looked: Option<Prints>,
    /// The vault's rules for names, and the names of this pass.
    rules: Option<Rules>,
    names: Names,
    /// Whether the last of two rows with the same name counts. Then also the names of this pass as
    /// spelled, and the names that it has written.
    is_keyed: bool,
    spelled: HashSet<[u32; 4]>,
    written: HashSet<[u32; 4]>,
    /// The vault's spelling of the secrets of this pass's rows, if only the vault knows which names
    /// are equal.
    spellings: Names,
}

/// A row and its outcome, in an import or a dry run.
#[derive(Debug)]
pub struct Imported {
    /// Position of the row.
    pub at: Position,
    /// Name and value kind of the secret; `None` if the row has none.
    pub secret: Option<(SecretName, ValueKind)>,
    /// Outcome of the row.
    pub became: ImportOutcome,
    /// Earlier row of the same name, which this row replaces; `None` if there is none.
    pub repeats: Option<Position>,
    /// Whether an earlier pass also reported this row.
    pub told: bool,
}

/// Outcome of a row.
#[derive(Debug)]
pub enum ImportOutcome {
    /// A new secret.
    New,
    /// The vault has it already: the same value, and all of its metadata.
    Unchanged,
    /// The row replaces another secret.
    Replaced,
    /// Another secret of this name exists and stays, as requested.
    Skipped,
    /// Another secret of this name exists and stays.
    Different,
    /// The row is not a valid secret, with the reason.
    Broken(String),
    /// The vault cannot store such a secret, with the reason.
    Unfit(String),
    /// The vault refused this secret.
    Failed(Error),
}

impl ImportOutcome {
    /// Returns whether the outcome is as requested.
    pub fn is_fine(&self) -> bool {
        matches!(self, Self::New | Self::Unchanged | Self::Replaced | Self::Skipped)
    }
}

impl<'a> Import<'a> {
    /// Returns an import into this vault, or the default vault; each name gets this prefix.
    ///
    /// # Errors
    /// [`Error::NoDefaultVault`], [`Error::NoSuchVault`], or the vault is read-only.
    pub fn new(
        host: &'a Host,
        vault: Option<&VaultName>,
        prefix: &str,
        if_there: ImportConflict,
    ) -> Result<Self> {
        let vault = target(host, vault)?;
        let kind = kind_to_write(host, &vault)?;
        if !kind.capabilities.contains(&Capability::Write) {
            let answer = keystead_plugin_api::Error::unsupported("this vault cannot be written to");
            return Err(Error::Refused { vault, answer });
        }
        let prefix = prefix.to_owned();
        Ok(Self {
            host,
            vault,
            kind,
            prefix,
            if_there,
            seal: Seal::new(),
            looked: None,
            rules: None,
            names: Names::default(),
            is_keyed: false,
            spelled: HashSet::new(),
            written: HashSet::new(),
            spellings: Names::default(),
        })
    }

    /// Returns the destination vault.
    pub fn vault(&self) -> &VaultName {
        &self.vault
    }

    /// Reads all rows, and reports the outcome of each. A later pass expects the same rows, and
    /// stops before it writes any row that the first pass did not see.
    ///
    /// A pass only creates secrets, unless the import replaces them: an interrupted import can be
    /// repeated.
    ///
    /// # Errors
    /// [`Changed`](super::Error::Changed), an error of the rows as a whole, or of the vault.
    /// Outcomes reported before the error are final.
    pub fn pass(
        &mut self,
        rows: &mut dyn Rows,
        run: RunMode,
        ask: &mut dyn Prompter,
        each: &mut dyn FnMut(Imported),
    ) -> std::result::Result<(), super::Error> {
        (self.names, self.spellings) = (Names::default(), Names::default());
        self.is_keyed = rows.is_keyed();
        (self.spelled, self.written) = (HashSet::new(), HashSet::new());
        let mut prints = Prints::default();
        let mut batch = Batch::default();
        let rules = self.host.vault_rules(&self.vault, ask)?;
        self.rules = Some(rules.clone());
        let changed = || super::Error::Changed;
        for (index, row) in rows.enumerate() {
            let row = row?;
            let print = self.seal.print(&row);
            let told = match self.looked.as_ref().map(|looked| looked.get(index)) {
                Some(Some((seen, told))) if seen == print => told,
                Some(_) => return Err(changed()),
                None => false,
            };
            prints.push(print);
            let item = match row {
                Ok(row) => self.item(row, &rules),
                Err(bad) => Item {
                    at: bad.at,
                    secret: None,
                    repeats: None,
                    what: What::Done(ImportOutcome::Broken(bad.why)),
                },
            };
            if let (Some(_), Some((name, _))) = (&item.repeats, &item.secret) {
                batch.supersede(name);
            }
            batch.bytes += item.bytes();
            batch.items.push((index, told, item));
            if batch.is_full() {
                self.flush(std::mem::take(&mut batch), run, &mut prints, ask, each)?;
            }
        }
        if self.looked.as_ref().is_some_and(|looked| looked.len() != prints.len()) {
            return Err(changed());
        }
        self.flush(batch, run, &mut prints, ask, each)?;
        self.looked = Some(prints);
        Ok(())
    }

    /// Decides the outcome of a row as far as possible without the vault.
    fn item(&mut self, row: Row, rules: &Rules) -> Item {
        let Row { at, name, value, metadata } = row;
        let kind = value.kind();
        let done =
            |at, secret, became| Item { at, secret, repeats: None, what: What::Done(became) };
        let named = if self.prefix.is_empty() {
            Ok(name)
        } else {
            SecretName::parse(&format!("{}{name}", self.prefix))
        };
        let checked = named.and_then(|name| value.encoded_len().map(|_| name));
        let name = match checked {
            Ok(name) => name,
            Err(fault) => return done(at, None, ImportOutcome::Broken(fault.message().to_owned())),
        };
        // Names that are equal in the vault would replace each other. If only the vault knows, it
        // is asked before any secret is replaced.
        let repeats = self.names.take(self.seal.text(&sort_key(rules, &name)), &at);
        if let Some(first) = &repeats {
            // Two spellings are two keys of the file, even if the vault treats them as equal.
            let is_same = self.is_keyed && self.spelled.contains(&self.seal.text(name.as_str()));
            if !is_same {
                return done(at, None, ImportOutcome::Broken(stood_before(first)));
            }
        } else if self.is_keyed {
            self.spelled.insert(self.seal.text(name.as_str()));
        }
        let why = if let Some(unfit) = unfit(&self.kind.values, &value) {
            unfit
        } else if !metadata.is_empty() && !self.kind.capabilities.contains(&Capability::Metadata) {
            "this vault keeps no metadata".to_owned()
        } else if let Err(limit) = rules.check(&name, Some(&value)) {
            limit.message().to_owned()
        } else {
            let secret = Some((name, kind));
            return Item { at, secret, repeats, what: What::Row(value, metadata) };
        };
        done(at, Some((name, kind)), ImportOutcome::Unfit(why))
    }

    /// Compares or writes the rows of a batch, and reports the outcome of each.
    fn flush(
        &mut self,
        mut batch: Batch,
        run: RunMode,
        prints: &mut Prints,
        ask: &mut dyn Prompter,
        each: &mut dyn FnMut(Imported),
    ) -> Result<()> {
        let done = self.settle(&mut batch, run, ask);
        for (index, told, Item { at, secret, repeats, what }) in batch.items {
            // If the vault failed during a batch write, some rows are still undecided.
            let What::Done(became) = what else { continue };
            if !became.is_fine() || repeats.is_some() {
                prints.tell(index);
            }
            if self.is_keyed
                && let Some((name, _)) = &secret
                && matches!(became, ImportOutcome::New | ImportOutcome::Replaced)
            {
                self.written.insert(self.seal.text(name.as_str()));
            }
            each(Imported { at, secret, became, repeats, told });
        }
        done
    }

    /// Decides the outcome of each row of a batch.
    fn settle(&mut self, batch: &mut Batch, run: RunMode, ask: &mut dyn Prompter) -> Result<()> {
        let new: Vec<usize> =
            (0..batch.items.len()).filter(|&at| batch.items[at].2.is_row()).collect();
        let there = match run {
            RunMode::DryRun => new,
            RunMode::Apply => self.write(batch, &new, WriteMode::CreateOnly, ask)?,
        };
        let replaced = self.compare(batch, &there, run, ask)?;
        match run {
            RunMode::DryRun => {
                replaced.iter().for_each(|&at| batch.items[at].2.done(ImportOutcome::Replaced))
            }
            RunMode::Apply => drop(self.write(batch, &replaced, WriteMode::Upsert, ask)?),
        }
        Ok(())
    }

    /// Writes these rows of the batch, and returns the rows whose secrets exist already.
    fn write(
        &mut self,
        batch: &mut Batch,
        which: &[usize],
        mode: WriteMode,
        ask: &mut dyn Prompter,
    ) -> Result<Vec<usize>> {
        let new: Vec<BatchWrite> =
            which.iter().map(|&at| batch.items[at].2.to_write(mode)).collect();
        let results = self.host.set_many(Some(&self.vault), &new, ask)?;
        let (mut there, mut created, mut stopped) = (Vec::new(), Vec::new(), None);
        for (&at, result) in which.iter().zip(results) {
            let became = match result.map_err(of_one) {
                Ok(()) if mode == WriteMode::CreateOnly => {
                    created.push(at);
                    ImportOutcome::New
                }
                Ok(()) => ImportOutcome::Replaced,
                Err(Ok(Error::SecretExists { .. })) if mode == WriteMode::CreateOnly => {
                    there.push(at);
                    continue;
                }
                Err(Ok(error)) => ImportOutcome::Failed(error),
                Err(Err(error)) => {
                    stopped.get_or_insert(error);
                    continue;
                }
            };
            batch.items[at].2.done(became);
        }
        if let Some(error) = stopped {
            return Err(error);
        }
        // A later row may have the same secret under another name.
        for item in created.into_iter().map(|at| &batch.items[at].2) {
            self.other_row(item.name(), &item.at, ask)?;
        }
        Ok(there)
    }

    /// Returns the earlier row with the same secret, if only the vault knows that their names are
    /// equal. Asks nothing if each existing secret is reported anyway.
    fn other_row(
        &mut self,
        name: &SecretName,
        at: &Position,
        ask: &mut dyn Prompter,
    ) -> Result<Option<Position>> {
        let is_known =
            self.rules.as_ref().is_some_and(|rules| rules.names.key(name.as_str()).is_some());
        if is_known || self.if_there == ImportConflict::Tell {
            return Ok(None);
        }
        let spelling = match self.host.describe(name, &SearchScope::Vault(self.vault.clone()), ask)
        {
            Ok(described) => described.entry.name,
            Err(Error::NoSuchSecret { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(self.spellings.take(self.seal.text(spelling.as_str()), at))
    }

    /// Returns whether this pass wrote an earlier row under this name, really or in a dry run.
    fn is_written(&self, name: &SecretName) -> bool {
        self.written.contains(&self.seal.text(name.as_str()))
    }

    /// Compares these rows of the batch with the vault's secrets, and returns the rows to replace.
    fn compare(
        &mut self,
        batch: &mut Batch,
        which: &[usize],
        run: RunMode,
        ask: &mut dyn Prompter,
    ) -> Result<Vec<usize>> {
        let mut replaced = Vec::new();
        // The vault's secrets may be larger than the rows.
        for which in which.chunks(MOST_AT_ONCE) {
            let names: Vec<SecretName> =
                which.iter().map(|&at| batch.items[at].2.name().clone()).collect();
            let found = fetch(self.host, &self.vault, &names, ask)?;
            for (&at, found) in which.iter().zip(found) {
                let item = &mut batch.items[at].2;
                let is_ours = item.repeats.is_some() && self.is_written(item.name());
                if matches!(found, Ok(Some(_)))
                    && item.repeats.is_none()
                    && let Some(first) = self.other_row(item.name(), &item.at, ask)?
                {
                    item.done(ImportOutcome::Broken(stood_before(&first)));
                    continue;
                }
                let became = match (found, self.if_there) {
                    (Ok(None), _) if is_ours && run == RunMode::DryRun => ImportOutcome::Replaced,
                    (Ok(None), _) if run == RunMode::DryRun => ImportOutcome::New,
                    // It existed at creation time, and is gone: another process is at work.
                    (Ok(None), _) => {
                        let (name, searched) = (item.name().clone(), vec![self.vault.clone()]);
                        ImportOutcome::Failed(Error::NoSuchSecret {
                            name,
                            searched,
                            answers: vec![],
                        })
                    }
                    (Ok(Some(secret)), _) if item.is(&secret) => ImportOutcome::Unchanged,
                    // A secret that an earlier row wrote is not another secret.
                    (Ok(Some(_)), _) if is_ours => {
                        replaced.push(at);
                        continue;
                    }
                    (Ok(Some(_)), ImportConflict::Tell) => ImportOutcome::Different,
                    (Ok(Some(_)), ImportConflict::Skip) => ImportOutcome::Skipped,
                    (Ok(Some(_)), ImportConflict::Replace) => {
                        replaced.push(at);
                        continue;
                    }
                    (Err(error), _) => ImportOutcome::Failed(error),
                };
                item.done(became);
            }
        }
        Ok(replaced)
    }
}

/// Returns a key that names of the same secret share, as far as the rules define it.
fn sort_key<'n>(rules: &Rules, name: &'n SecretName) -> Cow<'n, str> {
    rules.names.key(name.as_str()).unwrap_or(Cow::Borrowed(name.as_str()))
}

fn stood_before(first: &Position) -> String {
    format!("its name stood in {first} already")
}

/// Rows that wait for the vault, and outcomes decided meanwhile.
#[derive(Default)]
struct Batch {
    /// Items with the row's index, and whether an earlier pass reported it.
    items: Vec<(usize, bool, Item)>,
    bytes: usize,
}

impl Batch {
    /// Marks the rows of a name as superseded, since a later row counts.
    fn supersede(&mut self, name: &SecretName) {
        for (_, _, item) in &mut self.items {
            if item.secret.as_ref().is_some_and(|(other, _)| other == name) {
                item.what = What::Superseded;
            }
        }
    }

    fn is_full(&self) -> bool {
        self.items.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }
}

struct Item {
    at: Position,
    secret: Option<(SecretName, ValueKind)>,
    /// The earlier row of the same name, if this row counts; else `None`.
    repeats: Option<Position>,
    what: What,
}

enum What {
    Row(Value, Metadata),
    Done(ImportOutcome),
    /// A later row of this name counts.
    Superseded,
}

impl Item {
    fn is_row(&self) -> bool {
        matches!(self.what, What::Row(..))
    }

    fn bytes(&self) -> usize {
        match &self.what {
            // A value over the limits never becomes a row.
            What::Row(value, _) => value.encoded_len().unwrap_or_default(),
            What::Done(_) | What::Superseded => 0,
        }
    }

    fn name(&self) -> &SecretName {
        &self.secret.as_ref().expect("a row has a name").0
    }

    fn done(&mut self, became: ImportOutcome) {
        self.what = What::Done(became);
    }

    /// Returns whether the vault's secret already equals the result of this row.
    fn is(&self, secret: &Secret) -> bool {
        match &self.what {
            What::Row(value, metadata) => {
                same_value(value, &secret.value)
                    && metadata.iter().all(|(key, value)| secret.metadata.get(key) == Some(value))
            }
            What::Done(_) | What::Superseded => false,
        }
    }

    fn to_write(&self, mode: WriteMode) -> BatchWrite {
        let What::Row(value, metadata) = &self.what else { unreachable!("only rows are written") };
        BatchWrite {
            name: self.name().clone(),
            value: value.duplicate(),
            metadata: Some(metadata.clone()).filter(|metadata| !metadata.is_empty()),
            mode,
        }
    }
}

/// Returns the secrets of these names, `None` for names that do not exist.
pub(super) fn fetch(
    host: &Host,
    vault: &VaultName,
    names: &[SecretName],
    ask: &mut dyn Prompter,
) -> Result<Vec<Result<Option<Secret>>>> {
    let found = host.get_many(vault, names, ask)?;
    let one = |found| match found {
        Ok(secret) => Ok(Ok(Some(secret))),
        Err(Error::NoSuchSecret { .. }) => Ok(Ok(None)),
        Err(error) => of_one(error).map(Err),
    };
    found.into_iter().map(one).collect()
}

/// Returns an error about a single secret as a value; any other error ends the work.
fn of_one(error: Error) -> Result<Error> {
    match &error {
        Error::SecretExists { .. } | Error::NoSuchSecret { .. } => Ok(error),
        Error::Refused { answer, .. } => match answer.kind() {
            ErrorKind::PermissionDenied
            | ErrorKind::Unsupported
            | ErrorKind::Invalid
            | ErrorKind::Corrupt => Ok(error),
            _ => Err(error),
        },
        _ => Err(error),
    }
}
