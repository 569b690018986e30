//! `keystead export`: writes secrets with their values to a file or a pipe.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use keystead::{NonInteractive, Prompter, RunMode};
use keystead_exchange::dotenv::Keys;
use keystead_exchange::{Error, Export, ExportFormat, ExportOutcome, Output, Overwrite};
use keystead_plugin_api::{SecretName, VaultName};
use serde::Serialize;

use super::CommandContext;
use super::get::vault_name;
use crate::failure::{Exit, Failure, in_one_line};
use crate::progress::Progress;
use crate::ui::Ui;

/// Number of secrets that are reported individually; further secrets are only counted.
const MOST_TOLD: usize = 20;

/// Export secrets with their values to a file or pipe
///
/// Says first how many secrets of which vaults go where, and asks. The file is for its owner
/// alone, and is there when it is whole. `jsonl` holds every kind of value and metadata, and
/// can be imported again; `dotenv` holds texts, and `env-file` texts of one line.
///
/// Without a vault those of all vaults are written; one that cannot be asked is a warning,
/// and exit code 5.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only names that match; `*` stands for any text, `?` for any character
    pattern: Option<String>,
    /// The vault to export
    #[arg(short = 'V', long, value_parser = vault_name)]
    vault: Option<VaultName>,
    /// What form to write
    #[arg(long = "to", value_enum, default_value = "jsonl", value_name = "FORMAT")]
    form: Form,
    /// The file to write; `-` for standard output, even if that is a terminal
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "output")]
    replace: bool,
    /// How names become keys of an environment file: `upper` makes `db/user` to `DB_USER`
    #[arg(long, value_enum, value_name = "HOW")]
    keys: Option<KeysArg>,
}

/// The forms that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// JSON Lines: everything
    Jsonl,
    /// An environment file: texts
    Dotenv,
    /// An environment file without quotes, for `docker run --env-file`: texts of one line
    EnvFile,
}

/// What becomes of names that are no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum KeysArg {
    /// Nothing: only names that are keys are written
    Same,
    /// Letters become large ones, and all that no key has an underscore
    Upper,
}

pub(crate) fn run(args: Args, mut scene: CommandContext<'_>) -> Result<Exit, Failure> {
    let to = match (args.form, args.keys) {
        (Form::Jsonl, None) => ExportFormat::JsonLines,
        (Form::Jsonl, Some(_)) => {
            return Err(Failure::usage("only an environment file has keys")
                .hint("add `--to dotenv`, or leave `--keys` out"));
        }
        (Form::Dotenv, Some(KeysArg::Upper)) => ExportFormat::Dotenv(Keys::Upper),
        (Form::Dotenv, _) => ExportFormat::Dotenv(Keys::Same),
        (Form::EnvFile, Some(KeysArg::Upper)) => ExportFormat::EnvFile(Keys::Upper),
        (Form::EnvFile, _) => ExportFormat::EnvFile(Keys::Same),
    };
    let file = args.output.as_deref().filter(|path| *path != Path::new("-"));
    if args.output.is_none() && scene.ui.answers_terminal() {
        return Err(Failure::usage("values would be shown on the terminal")
            .hint("add `--output FILE`, or `--output -` if that is what you want"));
    }
    let overwrite = if args.replace { Overwrite::WhenWhole } else { Overwrite::Never };
    // Before any prompt: check that the output file can be written.
    let mut file = match file {
        Some(path) if scene.run() == RunMode::Apply => Some(output(path, overwrite)?),
        _ => None,
    };

    let Counted { counted, failed } = count(&args, &mut scene)?;
    let total: u64 = counted.iter().map(|(_, number)| number.unwrap_or_default()).sum();
    if let (0, Some(name)) = (total, named(args.pattern.as_deref())) {
        return Err(not_found(name, counted, failed).into());
    }
    let failed = failed.is_some();
    let whither = match &args.output {
        Some(path) if path != Path::new("-") => format!("`{}`", path.display()),
        _ => "standard output".to_owned(),
    };
    let plan = format!("{} to {whither}", in_words(&counted));
    let mut tally = Tally { exported: total, ..Tally::default() };
    if scene.run() == RunMode::Apply {
        let otherwise = "add `--yes` to export without being asked";
        scene.consent(&format!("Write the values of {plan}?"), otherwise)?;
        let answer = &mut scene.ui.stream();
        let out: &mut dyn Write = match &mut file {
            Some(file) => file,
            None => answer,
        };
        let vaults = counted.iter().filter(|(_, number)| number.is_some());
        let vaults: Vec<&VaultName> = vaults.map(|(vault, _)| vault).collect();
        tally = write(&args, &mut scene, to, out, &vaults, total)?;
        if let Some(file) = file {
            let whole = !failed && tally.refused == 0;
            if let (false, Some(path)) =
                (whole, args.output.as_deref().filter(|path| path.exists()))
            {
                // A partial export never replaces a file that may be complete.
                let path = path.display();
                return Err(Failure::new(
                    Exit::Partly,
                    format!("not everything could be exported: `{path}` stays as it was"),
                )
                .hint("name the vaults that can be asked with `-V`, or another file"));
            }
            file.finish()?;
        }
    }
    if scene.ui.is_json() && args.output.as_deref().is_some_and(|path| path != Path::new("-")) {
        let dry_run = scene.global.dry_run;
        scene.ui.json(&ExportOutput { schema: 1, dry_run, tally: &tally })?;
    }
    let done = format!("Exported {} to {whither}.", secrets(tally.exported));
    scene.done(&done, &format!("Would export {plan}"));
    let partly = failed || tally.unfit + tally.refused > 0;
    Ok(if partly { Exit::Partly } else { Exit::Done })
}

fn output(path: &Path, overwrite: Overwrite) -> Result<Output, Failure> {
    Output::create(path, overwrite).map_err(|error| {
        let exists = matches!(error, Error::Exists { .. });
        let failure = Failure::from(error);
        if exists { failure.hint("add `--replace` to replace it") } else { failure }
    })
}

/// Returns the name of the secret, where the argument is not a pattern.
fn named(pattern: Option<&str>) -> Option<SecretName> {
    SecretName::parse(pattern.filter(|pattern| !keystead::internals::has_wildcards(pattern))?).ok()
}

/// Returns the error for a secret that no searched vault has.
fn not_found(
    name: SecretName,
    counted: Vec<(VaultName, Option<u64>)>,
    failed: Option<(VaultName, keystead::Error)>,
) -> keystead::Error {
    match failed {
        Some((vault, source)) => {
            keystead::Error::SearchIncomplete { name, vault, source: Box::new(source) }
        }
        None => {
            let searched = counted.into_iter().map(|(vault, _)| vault).collect();
            keystead::Error::NoSuchSecret { name, searched, answers: Vec::new() }
        }
    }
}

/// Number of matching secrets of each vault; `None` where the vault is unavailable.
struct Counted {
    counted: Vec<(VaultName, Option<u64>)>,
    /// The first unavailable vault, with its error.
    failed: Option<(VaultName, keystead::Error)>,
}

/// Counts the matching secrets, and warns about unavailable vaults.
fn count(args: &Args, scene: &mut CommandContext<'_>) -> Result<Counted, Failure> {
    let default = scene.host.default_vault()?;
    let vaults = match &args.vault {
        Some(vault) => vec![vault.clone()],
        None => {
            let (vaults, faults) = scene.host.vaults()?;
            for fault in &faults {
                scene.ui.warn(&in_one_line(fault));
            }
            vaults.into_iter().map(|vault| vault.name).collect()
        }
    };
    let progress = scene.progress("Listing", None);
    let (mut counted, mut failed) = (Vec::new(), None);
    for vault in vaults {
        let may_ask = args.vault.is_some() || default.as_ref() == Some(&vault);
        let mut number = 0;
        let mut asking = progress.asking(&mut scene.terminal);
        let ask: &mut dyn Prompter = if may_ask { &mut asking } else { &mut NonInteractive };
        let pattern = args.pattern.as_deref();
        let listed = scene.host.each_page(pattern, &vault, ask, &mut |entries| {
            number += entries.len() as u64;
            progress.step(entries.len() as u64);
            Ok::<(), keystead::Error>(())
        });
        match listed {
            Ok(()) => counted.push((vault, Some(number))),
            Err(error) if args.vault.is_some() => return Err(error.into()),
            Err(error) => {
                let message = format!("vault `{vault}` is not exported: {}", in_one_line(&error));
                progress.aside(|| scene.ui.warn(&message));
                counted.push((vault.clone(), None));
                failed.get_or_insert((vault, error));
            }
        }
    }
    Ok(Counted { counted, failed })
}

fn write(
    args: &Args,
    scene: &mut CommandContext<'_>,
    to: ExportFormat,
    out: &mut dyn Write,
    vaults: &[&VaultName],
    total: u64,
) -> Result<Tally, Failure> {
    let default = scene.host.default_vault()?;
    let progress = scene.progress("Exporting", Some(total));
    let host = scene.host.clone();
    let mut export = Export::new(&host, to, out);
    let mut tally = Tally::default();
    for vault in vaults {
        let may_ask = args.vault.is_some() || default.as_ref() == Some(*vault);
        let mut asking = progress.asking(&mut scene.terminal);
        let ask: &mut dyn Prompter = if may_ask { &mut asking } else { &mut NonInteractive };
        let pattern = args.pattern.as_deref();
        export
            .vault(vault, pattern, ask, &mut |name, became| {
                progress.step(1);
                let why = match became {
                    ExportOutcome::Written => {
                        tally.exported += 1;
                        return;
                    }
                    ExportOutcome::Gone => {
                        tally.gone += 1;
                        "is not there any more".to_owned()
                    }
                    ExportOutcome::Unfit(why) => {
                        tally.unfit += 1;
                        why
                    }
                    ExportOutcome::Refused(error) => {
                        tally.refused += 1;
                        in_one_line(&error)
                    }
                };
                tally.tell(&format!("`{name}` in vault `{vault}`: {why}"), scene.ui, &progress);
            })
            .map_err(lost)?;
    }
    drop(progress);
    if tally.untold > 0 {
        scene.ui.warn(&format!("and {} more", tally.untold));
    }
    Ok(tally)
}

/// Returns the failure of an export, silent where the reader closed the pipe.
fn lost(error: Error) -> Failure {
    match error {
        Error::Write(fault) if fault.kind() == io::ErrorKind::BrokenPipe => Failure::closed(),
        error => error.into(),
    }
}

/// Number of secrets by result.
#[derive(Default, Serialize)]
struct Tally {
    exported: u64,
    gone: u64,
    unfit: u64,
    refused: u64,
    #[serde(skip)]
    told: usize,
    #[serde(skip)]
    untold: u64,
}

impl Tally {
    fn tell(&mut self, message: &str, ui: &Ui, progress: &Progress) {
        if self.told == MOST_TOLD {
            self.untold += 1;
            return;
        }
        self.told += 1;
        progress.aside(|| ui.warn(message));
    }
}

/// Output of `--json`, unless the export itself goes to standard output.
#[derive(Serialize)]
struct ExportOutput<'a> {
    schema: u32,
    dry_run: bool,
    #[serde(flatten)]
    tally: &'a Tally,
}

/// Returns the number of secrets of each vault in words.
fn in_words(counted: &[(VaultName, Option<u64>)]) -> String {
    let there = counted.iter().filter_map(|(vault, number)| Some((vault, (*number)?)));
    let words: Vec<String> = there
        .filter(|(_, number)| *number > 0)
        .map(|(vault, number)| format!("{} of vault `{vault}`", secrets(number)))
        .collect();
    match words.split_last() {
        None => "no secrets".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
    }
}

fn secrets(number: u64) -> String {
    if number == 1 { "1 secret".to_owned() } else { format!("{number} secrets") }
}
