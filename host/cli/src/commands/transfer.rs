//! The shared part of `copy` and `move`: the selection of secrets, and the output of the plan and
//! the result as text and JSON.

use keystead::transfer::{
    Carried, OnRejected, Outcome, Planned, Step, Transfer, TransferAction, TransferConflict,
    TransferMode, TransferPlan,
};
use keystead::{Error, RunMode};
use keystead_plugin_api::{SecretName, VaultName};
use serde::Serialize;

use super::CommandContext;
use super::get::{secret_name, vault_name};
use crate::failure::{Exit, Failure, in_one_line};
use crate::progress::Progress;

/// Which secrets go where.
#[derive(Debug, clap::Args)]
pub(crate) struct TransferArgs {
    /// The secret's name, or a pattern: `*` stands for any text, `?` for any character
    pattern: String,
    /// The name there, for one secret; without vaults it stays in its vault
    #[arg(value_name = "NEW", value_parser = secret_name, conflicts_with = "name")]
    new_name: Option<SecretName>,
    /// The vault they are in
    #[arg(long, value_name = "VAULT", value_parser = vault_name, requires = "to")]
    from: Option<VaultName>,
    /// The vault they go to
    #[arg(long, value_name = "VAULT", value_parser = vault_name, requires = "from")]
    to: Option<VaultName>,
    /// The same as NEW
    #[arg(long = "as", value_name = "NAME", value_parser = secret_name)]
    name: Option<SecretName>,
    /// With a new name: the one vault it is about, instead of the default one
    #[arg(
        short = 'V',
        long,
        value_parser = vault_name,
        conflicts_with_all = ["from", "to"],
    )]
    vault: Option<VaultName>,
    /// Replace what is there under the name
    #[arg(long)]
    replace: bool,
    /// Leave the metadata behind
    #[arg(long)]
    without_metadata: bool,
    /// Leave out what the other vault cannot have, and do the rest; exit code 5 then
    #[arg(long)]
    skip: bool,
}

impl TransferArgs {
    /// Returns the option that names the vault a secret is in.
    pub(super) fn vault_option(&self) -> &'static str {
        if self.from.is_some() { "--from" } else { "-V" }
    }
}

pub(crate) fn run(
    mut which: TransferArgs,
    source: TransferMode,
    mut scene: CommandContext<'_>,
) -> Result<Exit, Failure> {
    which.name = which.name.or(which.new_name.take());
    let (from, to) = vaults(&which, &scene)?;
    let mut transfer = Transfer::new(which.pattern, from, to);
    transfer.rename = which.name;
    transfer.source = source;
    if which.replace {
        transfer.if_there = TransferConflict::Replace;
    }
    if which.without_metadata {
        transfer.carried = Carried::ValueOnly;
    }
    if which.skip {
        transfer.if_refused = OnRejected::Skip;
    }
    let waiting = scene.waiting(Some(&transfer.from));
    let plan = scene.host.plan_transfer(transfer, &mut scene.terminal)?;
    drop(waiting);
    match scene.run() {
        RunMode::DryRun => show(&plan, &scene),
        RunMode::Apply => carry_out(&plan, scene),
    }
}

/// Returns the source and the destination vault.
fn vaults(
    which: &TransferArgs,
    scene: &CommandContext<'_>,
) -> Result<(VaultName, VaultName), Failure> {
    if let (Some(from), Some(to)) = (&which.from, &which.to) {
        return Ok((from.clone(), to.clone()));
    }
    if which.name.is_none() {
        return Err(Failure::usage("both vaults must be named")
            .hint("add `--from VAULT --to VAULT`, or a new name for one secret in its vault"));
    }
    let one = keystead::internals::target(&scene.host, which.vault.as_ref())?;
    Ok((one.clone(), one))
}

/// Prints the plan.
fn show(plan: &TransferPlan, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    let mut lines = scene.ui.lines();
    let mut count = Count::default();
    let mut rows = Vec::new();
    let source = plan.transfer().source;
    for planned in plan.planned() {
        let (action, reasons) = match &planned.action {
            TransferAction::Write => (count.did(), Vec::new()),
            TransferAction::Replace => (count.replaced(), Vec::new()),
            TransferAction::Same => (count.same(source), Vec::new()),
            TransferAction::Refused(_) => (count.left_out(), reasons(planned)),
        };
        if scene.ui.is_json() {
            let mut json = TransferOutput::of(plan, planned, action);
            (json.reasons, json.dry_run) = (reasons, true);
            lines.json(&json)?;
        } else {
            rows.push(vec![
                planned.name.to_string(),
                planned.target.to_string(),
                if action == TransferStatus::Replaced { "replace" } else { action.word(source) }
                    .to_owned(),
                reasons.join("; "),
            ]);
        }
    }
    lines.table(&["NAME", "AS", "ACTION", "WHY NOT"], &rows)?;
    lines.finish()?;
    match plan.refused() {
        Some(refused) if plan.transfer().if_refused == OnRejected::Stop => {
            Err(Error::from(refused).into())
        }
        refused => {
            scene
                .ui
                .note(&format!("{}; nothing was changed", count.in_words(plan, RunMode::DryRun)));
            Ok(if refused.is_some() { Exit::Partly } else { Exit::Done })
        }
    }
}

fn carry_out(plan: &TransferPlan, mut scene: CommandContext<'_>) -> Result<Exit, Failure> {
    let transfer = plan.transfer();
    let several = plan.planned().len() > 1;
    let replaced =
        plan.planned().iter().filter(|one| matches!(one.action, TransferAction::Replace));
    let replaced = replaced.count();
    // A single named secret is replaced without confirmation, as in `set`.
    if several && replaced > 0 {
        if transfer.if_refused == OnRejected::Stop
            && let Some(refused) = plan.refused()
        {
            return Err(Error::from(refused).into());
        }
        scene.consent(
            &format!("Replace {} in vault `{}`?", secrets(replaced), transfer.to),
            "add `--yes` to replace them, or `--dry-run` to see which they are",
        )?;
    }

    let doing = if transfer.source == TransferMode::Copy { "Copying" } else { "Moving" };
    let progress = match several {
        true => scene.progress(doing, Some(plan.planned().len() as u64)),
        false => Progress::none(),
    };
    let mut count = Count::default();
    let (mut only, mut written) = (None, Ok(()));
    let ui = scene.ui;
    let mut ask = progress.asking(&mut scene.terminal);
    let ended = scene.host.transfer(plan, &mut ask, &mut |Step { planned, outcome }| {
        let mut json = TransferOutput::of(plan, planned, count.add(&outcome, transfer.source));
        json.reasons = reasons(planned);
        let warn = |why: &str| {
            progress.aside(|| ui.warn(&format!("`{}`: {why}", planned.name)));
        };
        match outcome {
            Outcome::Skipped => warn(&json.reasons.join("; ")),
            Outcome::Failed(error) => {
                json.error = Some(Fault::of(&error));
                match several {
                    true => warn(&in_one_line(&error)),
                    false => only = Some(error),
                }
            }
            _ => {}
        }
        if ui.is_json() && written.is_ok() {
            // Printed line by line, so that readers know the progress even if a later line fails.
            written = ui.json(&json);
        }
        progress.step(1);
    });
    drop(progress);
    if let Some(error) = only {
        let is_there = matches!(error, Error::SecretExists { .. });
        let failure = Failure::from(error);
        return Err(match is_there {
            true => failure.without_hints().hint("add `--replace` to replace what is there"),
            false => failure,
        });
    }
    if ended.is_ok() || count.all() > 0 {
        scene.ui.note(&format!("{}.", count.in_words(plan, RunMode::Apply)));
    }
    ended?;
    written?;
    Ok(if count.failed + count.left_out > 0 { Exit::Partly } else { Exit::Done })
}

/// Returns the reasons why the destination cannot store a secret.
fn reasons(planned: &Planned) -> Vec<String> {
    match &planned.action {
        TransferAction::Refused(reasons) => reasons.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}

/// Planned or actual result for a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransferStatus {
    Done,
    Replaced,
    Same,
    LeftOut,
    Failed,
}

impl TransferStatus {
    fn word(self, source: TransferMode) -> &'static str {
        match (self, source) {
            (Self::Done | Self::Replaced, TransferMode::Copy) => "copy",
            (Self::Done | Self::Replaced, TransferMode::Move) => "move",
            (Self::Same, _) => "unchanged",
            (Self::LeftOut, _) => "refused",
            (Self::Failed, _) => "failed",
        }
    }
}

/// Number of secrets by result.
#[derive(Debug, Default)]
struct Count {
    done: usize,
    replaced: usize,
    same: usize,
    left_out: usize,
    failed: usize,
}

impl Count {
    fn add(&mut self, outcome: &Outcome, source: TransferMode) -> TransferStatus {
        match outcome {
            Outcome::Written => self.did(),
            Outcome::Replaced => self.replaced(),
            Outcome::Same => self.same(source),
            Outcome::Skipped => self.left_out(),
            Outcome::Failed(_) => {
                self.failed += 1;
                TransferStatus::Failed
            }
        }
    }

    fn did(&mut self) -> TransferStatus {
        self.done += 1;
        TransferStatus::Done
    }

    fn replaced(&mut self) -> TransferStatus {
        self.done += 1;
        self.replaced += 1;
        TransferStatus::Replaced
    }

    /// Counts a secret that the destination already has; a move still removes it from the source.
    fn same(&mut self, source: TransferMode) -> TransferStatus {
        if source == TransferMode::Move {
            return self.did();
        }
        self.same += 1;
        TransferStatus::Same
    }

    fn left_out(&mut self) -> TransferStatus {
        self.left_out += 1;
        TransferStatus::LeftOut
    }

    fn all(&self) -> usize {
        self.done + self.same + self.left_out + self.failed
    }

    /// Returns a sentence without its full stop.
    fn in_words(&self, plan: &TransferPlan, run: RunMode) -> String {
        let transfer = plan.transfer();
        let verb = match (transfer.source, run) {
            (TransferMode::Copy, RunMode::Apply) => "Copied",
            (TransferMode::Copy, RunMode::DryRun) => "Would copy",
            (TransferMode::Move, RunMode::Apply) => "Moved",
            (TransferMode::Move, RunMode::DryRun) => "Would move",
        };
        let without = match transfer.carried {
            Carried::All => "",
            Carried::ValueOnly => " without metadata",
        };
        let (from, to) = (&transfer.from, &transfer.to);
        let mut words = match plan.planned() {
            [one] if self.same == 1 => {
                return format!("`{}` is in vault `{to}` already", one.target);
            }
            _ if self.done == 0 => format!("{verb} nothing from vault `{from}` to vault `{to}`"),
            [one] if one.name == one.target => {
                format!("{verb} `{}`{without} from vault `{from}` to vault `{to}`", one.name)
            }
            [one] if from == to => {
                format!("{verb} `{}`{without} to `{}` in vault `{to}`", one.name, one.target)
            }
            [one] => format!(
                "{verb} `{}`{without} from vault `{from}` to `{}` in vault `{to}`",
                one.name, one.target
            ),
            _ => format!(
                "{verb} {}{without} from vault `{from}` to vault `{to}`",
                secrets(self.done)
            ),
        };
        for (number, what) in [
            (self.replaced, "replaced"),
            (self.same, "there already"),
            (self.left_out, "refused"),
            (self.failed, "failed"),
        ] {
            if number > 0 && plan.planned().len() > 1 {
                words += &format!(", {number} {what}");
            }
        }
        words
    }
}

fn secrets(number: usize) -> String {
    if number == 1 { "1 secret".to_owned() } else { format!("{number} secrets") }
}

/// A secret as a line of JSON.
#[derive(Serialize)]
struct TransferOutput<'a> {
    schema: u32,
    name: &'a str,
    from: &'a str,
    to: &'a str,
    r#as: &'a str,
    action: &'static str,
    replaced: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Fault>,
    dry_run: bool,
}

#[derive(Serialize)]
struct Fault {
    code: &'static str,
    message: String,
}

impl Fault {
    fn of(error: &Error) -> Self {
        Self { code: error.code(), message: in_one_line(error) }
    }
}

impl<'a> TransferOutput<'a> {
    fn of(plan: &'a TransferPlan, planned: &'a Planned, deed: TransferStatus) -> Self {
        let transfer = plan.transfer();
        Self {
            schema: 1,
            name: planned.name.as_str(),
            from: transfer.from.as_str(),
            to: transfer.to.as_str(),
            r#as: planned.target.as_str(),
            action: deed.word(transfer.source),
            replaced: deed == TransferStatus::Replaced,
            reasons: Vec::new(),
            error: None,
            dry_run: false,
        }
    }
}
