//! `keystead import`: imports secrets from a file of another program or of Keystead into a vault.

mod locked;
mod origin;
mod secretstore;
mod tally;
mod vaultinfo;

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use keystead::RunMode;
use keystead_exchange::csv::{Column, Delimiter};
use keystead_exchange::pass::{Gpg, Prompt};
use keystead_exchange::{
    Import, ImportConflict, ImportFormat, ImportOptions, ImportOutcome, Keeping, Rows, open,
};
use keystead_plugin_api::VaultName;
use serde::Serialize;

use self::origin::Origin;
use self::tally::Tally;
use super::CommandContext;
use super::get::vault_name;
use crate::environment::ForGpg;
use crate::failure::{Exit, Failure, capitalised};

/// Import secrets from a file or directory
///
/// Shows first what would happen: what is new, what is there already, what cannot be
/// imported and why, and what is left out. Then it asks. A secret that is there with another
/// value is left alone unless `--replace` is given; what is broken is told with its line, and
/// the rest goes in. Exit code 5 if anything of the file is not imported.
///
/// An import that was broken off can simply be made again.
///
/// `--from vaultinfo` is for the vaults that SecretManagement knows instead: it shows the
/// commands that register them here, and changes nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file or directory; `-` for standard input
    #[arg(value_name = "FILE")]
    source: PathBuf,
    /// What form it has; by default what its name or start says
    #[arg(long = "from", value_name = "FORMAT", value_parser = what())]
    what: Option<What>,
    /// The vault to write to, instead of the default one
    #[arg(short = 'V', long, value_parser = vault_name)]
    vault: Option<VaultName>,
    /// What to put before each name: `app/`
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,
    /// Replace secrets that are there with another value
    #[arg(long, conflicts_with = "skip_existing")]
    replace: bool,
    /// Leave secrets that are there as they are, and do not mention them
    #[arg(long)]
    skip_existing: bool,
    /// What a column of a CSV table is: `name=Title`, `password=Secret`, `meta.team=Team`. A
    /// role is name, folder, value, user, password, notes, totp, url, tags, favourite, created,
    /// updated, expires, skip, field.LABEL (secret) or meta.KEY (not secret). Tables of Chrome,
    /// Edge, Firefox, Safari, Apple Passwords, KeePassXC, KeePass 1, LastPass, Bitwarden,
    /// 1Password, Proton Pass, NordPass and Dashlane are known without
    #[arg(long = "column", value_name = "ROLE=HEADER", value_parser = Column::parse)]
    columns: Vec<Column>,
    /// What stands between the fields of a CSV table, if its header row does not tell
    #[arg(long, value_name = "WORD", value_parser = delimiter)]
    delimiter: Option<Delimiter>,
    /// Whose SecretStore it is: the name of the account, if it is not yours here
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

/// Kind of import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Secrets, in this format.
    Secrets(ImportFormat),
    /// The vaults that SecretManagement knows.
    Vaults,
}

/// Value of `--from` that means vaults.
const VAULTS: &str = "vaultinfo";

fn delimiter(text: &str) -> Result<Delimiter, String> {
    Delimiter::parse(text).ok_or_else(|| "expected `comma`, `semicolon` or `tab`".to_owned())
}

/// Returns the values that `--from` takes.
fn names() -> impl Iterator<Item = &'static str> {
    ImportFormat::ALL.iter().map(|form| form.as_str()).chain([VAULTS])
}

/// Returns the command-line parser of `--from`.
fn what() -> impl TypedValueParser<Value = What> {
    PossibleValuesParser::new(names())
        .map(|name| ImportFormat::parse(&name).map_or(What::Vaults, What::Secrets))
}

pub(crate) fn run(args: Args, mut scene: CommandContext<'_>) -> Result<Exit, Failure> {
    let if_there = match (args.replace, args.skip_existing) {
        (true, _) => ImportConflict::Replace,
        (_, true) => ImportConflict::Skip,
        _ => ImportConflict::Tell,
    };
    let mut origin = Origin::open(&args.source, scene.wait_limit())?;
    let form = match args.what {
        Some(What::Secrets(form)) => form,
        None if !vaultinfo::is_registry(&args.source) => origin.form(&args.source)?,
        Some(What::Vaults) | None => return vaultinfo::run(&args, origin, &scene),
    };
    if origin.is_read_once() && !scene.global.yes && !scene.global.dry_run {
        return Err(Failure::usage("piped input cannot be previewed")
            .hint("add `--dry-run` to see what would happen, or `--yes` to do it"));
    }
    if form != ImportFormat::Csv && !(args.columns.is_empty() && args.delimiter.is_none()) {
        return Err(Failure::usage("`--column` and `--delimiter` are for CSV tables")
            .hint("add `--from csv` if it is one"));
    }
    if form != ImportFormat::SecretStore && args.user.is_some() {
        return Err(Failure::usage("`--user` is for a SecretStore")
            .hint("add `--from secretstore` if it is one"));
    }
    let host = scene.host.clone();
    let mut import = Import::new(&host, args.vault.as_ref(), &args.prefix, if_there)?;
    let owner = match form {
        ImportFormat::SecretStore => secretstore::owner(&args.source, args.user, &scene)?,
        _ => Default::default(),
    };
    let (columns, delimiter) = (args.columns, args.delimiter);
    let password = locked::export(&mut origin, form, &scene)?;
    let reading = ImportOptions { columns, delimiter, gpg: gpg(&scene), owner, password };
    let vault = import.vault().clone();

    if origin.is_read_once() {
        let run = scene.run();
        let mut rows = open(form, origin.source()?, &reading)?;
        let tally = pass(&mut import, &mut scene, run, &mut *rows, None)?;
        return finish(&scene, &vault, form, &tally);
    }
    // gpg decrypts each file once, and prompts once.
    let mut rows = open(form, origin.source()?, &reading)?;
    let mut keeping = None;
    let rows: &mut dyn Rows = match form {
        ImportFormat::Pass => keeping.insert(Keeping::new(rows)),
        _ => &mut *rows,
    };
    let plan = pass(&mut import, &mut scene, RunMode::DryRun, rows, None)?;
    let to_do = plan.new + plan.replaced;
    if scene.run() == RunMode::DryRun || to_do == 0 {
        return finish(&scene, &vault, form, &plan);
    }
    scene.ui.note(&format!("To vault `{vault}`: {}.", plan.in_words(true)));
    let question = format!("Import {} into vault `{vault}`?", secrets(to_do));
    scene.consent(&question, "add `--yes` to import without being asked")?;
    let mut rows = match keeping {
        Some(keeping) => keeping.again(),
        None => open(form, origin.source()?, &reading)?,
    };
    let tally = pass(&mut import, &mut scene, RunMode::Apply, &mut *rows, Some(to_do))?;
    finish(&scene, &vault, form, &tally)
}

/// Returns the gpg settings for a directory of `pass`: gpg may prompt unless `--no-input` is given.
fn gpg(scene: &CommandContext<'_>) -> Gpg {
    let ForGpg { home, keys, terminal } = ForGpg::read();
    let prompt = match scene.global.no_input {
        true => Prompt::Never,
        false => Prompt::Pinentry { terminal },
    };
    let usual = Gpg::default();
    Gpg { home, keys, prompt, timeout: scene.global.timeout.unwrap_or(usual.timeout), ..usual }
}

/// Reads all rows once, and reports problems.
fn pass(
    import: &mut Import<'_>,
    scene: &mut CommandContext<'_>,
    run: RunMode,
    rows: &mut dyn Rows,
    to_do: Option<u64>,
) -> Result<Tally, Failure> {
    let what = if run == RunMode::DryRun { "Reading" } else { "Importing" };
    let mut tally = Tally::default();
    // Printed in the first pass only: with a number, all rows have been read before.
    if to_do.is_none() {
        for line in rows.plan() {
            scene.ui.note(&format!("{}.", capitalised(&line)));
        }
    }
    let progress = scene.progress(what, to_do);
    let mut ask = progress.asking(&mut scene.terminal);
    let done = import.pass(rows, run, &mut ask, &mut |row| {
        if to_do.is_none() || matches!(row.became, ImportOutcome::New | ImportOutcome::Replaced) {
            progress.step(1);
        }
        tally.take(row, scene.ui, &progress);
    });
    drop(progress);
    if tally.untold > 0 {
        scene.ui.warn(&format!("and {} more", tally.untold));
    }
    tally.left_out = rows.left_out();
    match done {
        Ok(()) => Ok(tally),
        Err(error) => {
            let failure = Failure::from(error);
            Err(match (run, tally.new + tally.replaced) {
                (RunMode::Apply, done) if done > 0 => {
                    scene.ui.note(&format!("{} were imported before that.", secrets(done)));
                    failure.hint("run the same command again to import the rest")
                }
                _ => failure,
            })
        }
    }
}

/// Reports the result of the import or of its dry run.
fn finish(
    scene: &CommandContext<'_>,
    vault: &VaultName,
    form: ImportFormat,
    tally: &Tally,
) -> Result<Exit, Failure> {
    if scene.ui.is_json() {
        scene.ui.json(&ImportOutput {
            schema: 1,
            vault: vault.as_str(),
            form: form.as_str(),
            dry_run: scene.global.dry_run,
            tally,
        })?;
    }
    scene.done(
        &format!("Imported into vault `{vault}`: {}.", tally.in_words(false)),
        &format!("Would import into vault `{vault}`: {}", tally.in_words(true)),
    );
    Ok(if tally.is_whole() { Exit::Done } else { Exit::Partly })
}

/// Output of `--json`.
#[derive(Serialize)]
struct ImportOutput<'a> {
    schema: u32,
    vault: &'a str,
    form: &'static str,
    dry_run: bool,
    #[serde(flatten)]
    tally: &'a Tally,
}

fn secrets(number: u64) -> String {
    if number == 1 { "1 secret".to_owned() } else { format!("{number} secrets") }
}
