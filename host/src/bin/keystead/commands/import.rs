//! `keystead import`: secrets from a file of another program, or of our own, into a vault.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use keystead::Run;
use keystead::exchange::csv::{Column, Delimiter};
use keystead::exchange::pass::{Gpg, Prompt};
use keystead::exchange::{
    Became, Form, HEAD, IfThere, Import, Imported, Reading, Rows, Source, open,
};
use keystead_plugin_api::VaultName;
use serde::Serialize;

use super::Scene;
use super::get::{listed, vault_name};
use crate::environment::ForGpg;
use crate::failure::{Exit, Failure, capitalised, in_one_line};
use crate::progress::Progress;
use crate::ui::Ui;
use crate::value::input::Unbuffered;

/// How many rows are told one by one; the others are counted.
const MOST_TOLD: usize = 20;

/// Take secrets over from a file
///
/// Shows first what would happen: what is new, what is there already, what cannot be
/// imported and why. Then it asks. A secret that is there with another value is left alone
/// unless `--replace` is given; what is broken is told with its line, and the rest goes in.
///
/// An import that was broken off can simply be made again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file or folder; `-` for standard input
    #[arg(value_name = "FILE")]
    source: PathBuf,
    /// What form it has; by default what its name or start says
    #[arg(long = "from", value_name = "FORMAT", value_parser = forms())]
    form: Option<Form>,
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
    /// updated, expires, field.LABEL (secret) or meta.KEY (not secret). Tables of Chrome, Edge,
    /// Firefox, Safari, KeePassXC, LastPass, Bitwarden and 1Password are known without
    #[arg(long = "column", value_name = "ROLE=HEADER", value_parser = Column::parse)]
    columns: Vec<Column>,
    /// What stands between the fields of a CSV table, if its header row does not tell
    #[arg(long, value_name = "WORD", value_parser = delimiter)]
    delimiter: Option<Delimiter>,
}

fn delimiter(text: &str) -> Result<Delimiter, String> {
    Delimiter::parse(text).ok_or_else(|| "expected `comma`, `semicolon` or `tab`".to_owned())
}

/// Parses a form for the command line.
fn forms() -> impl TypedValueParser<Value = Form> {
    PossibleValuesParser::new(Form::ALL.iter().map(|form| form.as_str()))
        .map(|name| Form::parse(&name).expect("it is one of them"))
}

pub(crate) fn run(args: Args, mut scene: Scene<'_>) -> Result<Exit, Failure> {
    let if_there = match (args.replace, args.skip_existing) {
        (true, _) => IfThere::Replace,
        (_, true) => IfThere::Skip,
        _ => IfThere::Tell,
    };
    let mut origin = Origin::open(&args.source)?;
    let form = match args.form {
        Some(form) => form,
        None => origin.form(&args.source)?,
    };
    if origin.is_read_once() && !scene.global.yes && !scene.global.dry_run {
        return Err(Failure::usage("what is piped in can be read only once, and not shown first")
            .hint("add `--dry-run` to see what would happen, or `--yes` to do it"));
    }
    if form != Form::Csv && !(args.columns.is_empty() && args.delimiter.is_none()) {
        return Err(Failure::usage("`--column` and `--delimiter` are for CSV tables")
            .hint("add `--from csv` if it is one"));
    }
    let reading = Reading { columns: args.columns, delimiter: args.delimiter, gpg: gpg(&scene) };
    let host = scene.host.clone();
    let mut import = host.import(args.vault.as_ref(), &args.prefix, if_there)?;
    let vault = import.vault().clone();

    if origin.is_read_once() {
        let run = scene.run();
        let tally =
            pass(&mut import, &mut scene, run, open(form, origin.source()?, &reading), None)?;
        return finish(&scene, &vault, form, &tally);
    }
    let plan =
        pass(&mut import, &mut scene, Run::Dry, open(form, origin.source()?, &reading), None)?;
    let to_do = plan.new + plan.replaced;
    if scene.run() == Run::Dry || to_do == 0 {
        return finish(&scene, &vault, form, &plan);
    }
    scene.ui.note(&format!("To vault `{vault}`: {}.", plan.in_words(true)));
    let question = format!("Import {} into vault `{vault}`?", secrets(to_do));
    scene.consent(&question, "add `--yes` to import without being asked")?;
    let rows = open(form, origin.source()?, &reading);
    let tally = pass(&mut import, &mut scene, Run::Real, rows, Some(to_do))?;
    finish(&scene, &vault, form, &tally)
}

/// Returns how gpg is run for a folder of `pass`: it may ask wherever we may.
fn gpg(scene: &Scene<'_>) -> Gpg {
    let ForGpg { home, keys, terminal } = ForGpg::read();
    let prompt = match scene.global.no_input {
        true => Prompt::Never,
        false => Prompt::Pinentry { terminal },
    };
    let usual = Gpg::default();
    Gpg { home, keys, prompt, timeout: scene.global.timeout.unwrap_or(usual.timeout), ..usual }
}

/// Reads all rows once, and says what is not fine.
fn pass(
    import: &mut Import<'_>,
    scene: &mut Scene<'_>,
    run: Run,
    rows: Result<Box<dyn Rows>, keystead::exchange::Error>,
    to_do: Option<u64>,
) -> Result<Tally, Failure> {
    let what = if run == Run::Dry { "Reading" } else { "Importing" };
    let mut rows = rows.map_err(keystead::Error::from)?;
    let mut tally = Tally::default();
    // Once is enough: with a number, all of this has been looked at before.
    if to_do.is_none() {
        for line in rows.plan() {
            scene.ui.note(&format!("{}.", capitalised(&line)));
        }
    }
    let progress = scene.progress(what, to_do);
    let mut ask = progress.asking(&mut scene.terminal);
    let done = import.pass(&mut *rows, run, &mut ask, &mut |row| {
        if to_do.is_none() || matches!(row.became, Became::New | Became::Replaced) {
            progress.step(1);
        }
        tally.take(row, scene.ui, &progress);
    });
    drop(progress);
    if tally.untold > 0 {
        scene.ui.warn(&format!("and {} more", tally.untold));
    }
    tally.left_out = rows.left_out();
    if to_do.is_none() && !tally.left_out.is_empty() {
        scene.ui.note(&format!("Left out: {}.", tally.left_out.join(", ")));
    }
    match done {
        Ok(()) => Ok(tally),
        Err(error) => {
            let failure = Failure::from(error);
            Err(match (run, tally.new + tally.replaced) {
                (Run::Real, done) if done > 0 => {
                    scene.ui.note(&format!("{} were imported before that.", secrets(done)));
                    failure.hint("run the same command again to import the rest")
                }
                _ => failure,
            })
        }
    }
}

/// Says what was done, or would be.
fn finish(
    scene: &Scene<'_>,
    vault: &VaultName,
    form: Form,
    tally: &Tally,
) -> Result<Exit, Failure> {
    if scene.ui.is_json() {
        scene.ui.json(&Answer {
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
    Ok(if tally.not_fine() > 0 { Exit::Partly } else { Exit::Done })
}

/// What became of all rows, or would.
#[derive(Default, Serialize)]
struct Tally {
    new: u64,
    replaced: u64,
    unchanged: u64,
    skipped: u64,
    different: u64,
    broken: u64,
    unfit: u64,
    failed: u64,
    /// Of what is new or replaced.
    kinds: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<String>,
    #[serde(skip)]
    told: usize,
    #[serde(skip)]
    untold: u64,
}

impl Tally {
    fn take(&mut self, row: Imported, ui: &Ui, progress: &Progress) {
        let why = match row.became {
            Became::New | Became::Replaced => {
                match row.became {
                    Became::New => self.new += 1,
                    _ => self.replaced += 1,
                }
                if let Some((_, kind)) = row.secret {
                    *self.kinds.entry(kind.as_str()).or_default() += 1;
                }
                return;
            }
            Became::Unchanged => {
                self.unchanged += 1;
                return;
            }
            Became::Skipped => {
                self.skipped += 1;
                return;
            }
            Became::Different => {
                self.different += 1;
                "another value or other metadata is there, and stays".to_owned()
            }
            Became::Broken(why) => {
                self.broken += 1;
                why
            }
            Became::Unfit(why) => {
                self.unfit += 1;
                why
            }
            Became::Failed(error) => {
                self.failed += 1;
                in_one_line(&error)
            }
        };
        if row.told {
            return;
        }
        if self.told == MOST_TOLD {
            self.untold += 1;
            return;
        }
        self.told += 1;
        let at = match row.secret {
            Some((name, _)) => format!("{}, `{name}`", row.at),
            None => row.at.to_string(),
        };
        progress.aside(|| ui.warn(&format!("{at}: {why}")));
    }

    fn not_fine(&self) -> u64 {
        self.different + self.broken + self.unfit + self.failed
    }

    /// Returns all that there is, with each number and its word.
    fn in_words(&self, would: bool) -> String {
        let kinds: Vec<String> =
            self.kinds.iter().map(|(kind, number)| format!("{number} {kind}")).collect();
        let new = match kinds.is_empty() {
            true => format!("{} new", self.new),
            false if self.replaced == 0 => format!("{} new ({})", self.new, kinds.join(", ")),
            false => {
                format!("{} new and {} replaced ({})", self.new, self.replaced, kinds.join(", "))
            }
        };
        let mut words = vec![new];
        let refused = if would { "that cannot be imported" } else { "not imported" };
        for (number, word) in [
            (self.unchanged, "there already"),
            (self.skipped, "left as they are"),
            (self.different, "different from what is there"),
            (self.broken + self.unfit + self.failed, refused),
        ] {
            if number > 0 {
                words.push(format!("{number} {word}"));
            }
        }
        words.join(", ")
    }
}

fn secrets(number: u64) -> String {
    if number == 1 { "1 secret".to_owned() } else { format!("{number} secrets") }
}

/// What `--json` answers.
#[derive(Serialize)]
struct Answer<'a> {
    schema: u32,
    vault: &'a str,
    form: &'static str,
    dry_run: bool,
    #[serde(flatten)]
    tally: &'a Tally,
}

/// Where the rows come from.
enum Origin {
    /// A file: it is opened once, so that its name cannot come to mean another one.
    File(File),
    Folder(PathBuf),
    /// What can be read once.
    Stream(Option<Box<dyn Read>>),
}

impl Origin {
    fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self::Stream(Some(Box::new(Unbuffered::standard()))));
        }
        let failed = |fault: io::Error| {
            Failure::act(format!("cannot open `{}`", path.display())).because(fault)
        };
        let file = File::open(path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        if found.is_dir() {
            Ok(Self::Folder(path.to_owned()))
        } else if found.is_file() {
            Ok(Self::File(file))
        } else {
            Ok(Self::Stream(Some(Box::new(file))))
        }
    }

    fn is_read_once(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// Returns what form it has, by its name or its start.
    fn form(&mut self, path: &Path) -> Result<Form, Failure> {
        let head = match self {
            Self::Folder(_) => None,
            Self::File(file) => Some(head(file)?),
            // What is looked at is gone.
            Self::Stream(_) => Some(Vec::new().into()),
        };
        Form::recognise(path, head.as_ref().map(|head| head.as_slice())).map_err(|error| {
            let mut failure = Failure::from(keystead::Error::from(error));
            failure.hints.clear();
            let forms: Vec<&str> = Form::ALL.iter().map(|form| form.as_str()).collect();
            failure.hint(format!("add `--from FORMAT`: {}", listed(&forms)))
        })
    }

    /// Returns the rows' source, from its start.
    fn source(&mut self) -> Result<Source, Failure> {
        match self {
            Self::Folder(path) => Ok(Source::Folder(path.clone())),
            Self::File(file) => {
                let again = || -> io::Result<File> {
                    let mut file = file.try_clone()?;
                    file.rewind()?;
                    Ok(file)
                };
                again().map(Source::File).map_err(unreadable)
            }
            Self::Stream(stream) => {
                Ok(Source::Stream(stream.take().expect("a stream is read in one pass")))
            }
        }
    }
}

fn head(file: &mut File) -> Result<zeroize::Zeroizing<Vec<u8>>, Failure> {
    let mut head = zeroize::Zeroizing::new(vec![0; HEAD]);
    let mut len = 0;
    while len < HEAD {
        match file.read(&mut head[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(fault) => return Err(unreadable(fault)),
        }
    }
    head.truncate(len);
    Ok(head)
}

fn unreadable(fault: io::Error) -> Failure {
    keystead::Error::from(keystead::exchange::Error::Read(fault)).into()
}
