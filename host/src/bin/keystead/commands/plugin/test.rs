//! `keystead plugin test`: the conformance suite on a plugin file, whose code runs in a
//! child process.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use keystead::{Log, Trial};
use keystead_plugin_api::testing::{self, Declared, Outcome, Places, Subject};
use keystead_plugin_api::{Level, Result as Reply, Session, Vault, VaultName};
use serde::Serialize;

use super::super::vault::{parameters, standing};
use super::super::{Scene, current_folder};
use super::absolute;
use crate::commands::get::listed;
use crate::failure::{Exit, Failure};
use crate::text;

/// Test a plugin file against the contract
///
/// Runs the plugin's code, in a process of its own, and checks each obligation of the
/// contract. It writes secrets of its own and removes them again: give it no vault that
/// matters. `{vault}` in a parameter stands for the name of the vault that is opened.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file
    file: PathBuf,
    /// The kind of vault, where the plugin has several
    #[arg(long)]
    kind: Option<String>,
    /// A parameter
    #[arg(long, value_name = "NAME=VALUE")]
    param: Vec<String>,
    /// Where the right answer to a question of the vault's comes from, when it is locked
    #[arg(long, value_name = "FIELD=REFERENCE")]
    unlock: Vec<String>,
}

pub(super) fn run(args: Args, scene: &Scene<'_>) -> Result<Exit, Failure> {
    let candidate = scene.host.plugins().examine(&absolute(&args.file)?)?;
    let log = Arc::new(Heard::default());
    let typed = parameters(args.param)?;
    let listener = Arc::clone(&log);
    let folder = current_folder()?;
    let trial = scene.host.trial(&candidate, args.kind.as_deref(), typed, &folder, listener)?;
    let kind = trial.kind();
    let mut declared = Declared::new(kind.capabilities.clone(), kind.values.clone(), kind.names);
    declared.answers = trial.answers(&standing(args.unlock)?)?;

    let mut subject = OnTrial { trial, log };
    let mut tally = Tally::default();
    let mut lost = None;
    let opened = testing::run(&mut subject, &declared, &mut |outcome| {
        if lost.is_none() {
            lost = tally.take(scene, outcome).err();
        }
    });
    if let Some(lost) = lost {
        return Err(lost);
    }
    let id = candidate.id();
    opened.map_err(|refusal| {
        Failure::act(format!("no vault of plugin `{id}` could be opened"))
            .because(refusal.message())
            .hint("give its parameters with `--param NAME=VALUE`")
    })?;
    tally.verdict(scene, id.as_str())
}

/// What was found so far.
#[derive(Default)]
struct Tally {
    kept: usize,
    unchecked: usize,
    broken: Vec<&'static str>,
}

impl Tally {
    fn take(&mut self, scene: &Scene<'_>, outcome: &Outcome) -> Result<(), Failure> {
        let mut json = Json { schema: 1, obligation: outcome.obligation(), ..Json::default() };
        let line = match outcome {
            Outcome::Passed { obligation } => {
                self.kept += 1;
                json.outcome = "kept";
                format!("{obligation}: kept")
            }
            Outcome::Broken { obligation, expected, found } => {
                self.broken.push(obligation);
                json.outcome = "broken";
                json.expected = Some(text::visible(expected));
                json.found = Some(text::visible(found));
                format!("{obligation}: BROKEN: expected {expected}, found {found}")
            }
            Outcome::NotApplicable { obligation, why } => {
                self.unchecked += 1;
                json.outcome = "not checked";
                json.why = Some(text::visible(why));
                format!("{obligation}: not checked: {why}")
            }
            other => other.to_string(),
        };
        match scene.ui.is_json() {
            true => scene.ui.json(&json),
            false => scene.ui.line(&text::visible(&line)),
        }
    }

    fn verdict(self, scene: &Scene<'_>, id: &str) -> Result<Exit, Failure> {
        let Self { kept, unchecked, broken } = self;
        let count = broken.len();
        scene.ui.note(&format!("{kept} kept, {count} broken, {unchecked} not checked."));
        if broken.is_empty() {
            return Ok(Exit::Done);
        }
        let names = listed(&broken).replace(" or ", " and ");
        Err(Failure::act(format!("plugin `{id}` breaks the contract: {names}"))
            .hint("each name stands in the documentation of the trait `Vault` or `Plugin`"))
    }
}

#[derive(Default, Serialize)]
struct Json {
    schema: u32,
    obligation: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// The plugin as the suite wants it.
struct OnTrial {
    trial: Trial,
    log: Arc<Heard>,
}

impl Subject for OnTrial {
    fn open(&mut self, vault: &str, session: Option<Session>) -> Reply<Box<dyn Vault>> {
        self.trial.open(&VaultName::parse(vault)?, session)
    }

    fn places(&self) -> Places {
        match self.trial.names_the_vault() {
            true => Places::Separate,
            false => Places::PerhapsShared,
        }
    }

    fn paths(&self, vault: &str) -> Vec<PathBuf> {
        let vault = VaultName::parse(vault).ok();
        vault.and_then(|vault| self.trial.paths(&vault).ok()).unwrap_or_default()
    }

    fn logged(&mut self) -> Vec<String> {
        std::mem::take(&mut *self.log.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What the plugin logged since it was last asked for.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

/// The most lines that are kept: a plugin that logs without end must not fill memory.
const MAX_LINES: usize = 10_000;

impl Log for Heard {
    fn line(&self, _: &VaultName, _: Level, message: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < MAX_LINES {
            lines.push(message.to_owned());
        }
    }
}
