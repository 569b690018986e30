//! `keystead plugin test`: runs the conformance suite on a plugin file, whose code runs in a child
//! process.

use std::io;
use std::time::Duration;

use keystead::Placement;
use keystead::internals::Check;
use keystead::internals::plugin::inspect::{Inspected, InspectionNote, Permission};
use keystead::trust::PluginId;
use keystead_plugin_api::testing::{Outcome, Stop, obligations};
use serde::Serialize;

use super::super::vault::parameters;
use super::super::vault::register::Where;
use super::super::{CommandContext, current_dir};
use super::scratch::{Scratch, left};
use super::{Wanted, absolute, id_or_file};
use crate::commands::get::listed;
use crate::failure::{Exit, Failure};
use crate::progress::Progress;
use crate::text;

/// Default time limit of the suite: with the work before and after it, ten seconds.
const MOST: Duration = Duration::from_secs(9);

/// Run the conformance tests on a plugin
///
/// Runs the plugin's code, in a process of its own, and checks each obligation of the
/// contract. It writes secrets of its own and removes them again: give it no vault that
/// matters. `{vault}` in a parameter stands for the name of the vault that is opened.
///
/// It takes about ten seconds at most: of a vault whose calls are slow it checks several obligations at
/// the same time, where the contract allows that, and does not try those that do not fit (exit code 5).
///
/// The plugin may write to a new temporary directory and to nothing else; relative paths in
/// parameters are below it. `--grant` allows more, in the words of the plugin's manifest.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file, or an installed plugin's id; a file in the current directory is `./NAME`
    #[arg(value_name = "FILE|ID", value_parser = id_or_file)]
    plugin: Wanted,
    /// The kind of vault, where the plugin has several
    #[arg(long)]
    kind: Option<String>,
    /// A parameter
    #[arg(long, value_name = "NAME=VALUE")]
    param: Vec<String>,
    /// What else the plugin may do: `network`, `files:PATH:r`, `exec:PROGRAM`
    #[arg(long, value_name = "PERMISSION", value_parser = permission)]
    grant: Vec<String>,
    /// How many secrets to write for a listing of many pages, instead of as many as the vault writes
    /// in half a second
    #[arg(long, value_name = "N")]
    many: Option<usize>,
    /// Try every obligation, however long that takes, instead of those that ten seconds are enough for
    #[arg(long)]
    all: bool,
    /// Where an installed plugin's code runs
    #[arg(long, value_name = "WHERE", value_enum, default_value = "isolated")]
    placement: Where,
}

/// Parses a permission as a manifest writes it.
fn permission(text: &str) -> Result<String, String> {
    match Permission::parse(text) {
        Ok(permission) if permission.parameters().next().is_none() => Ok(permission.text()),
        Ok(_) => Err("a grant names a path, and no parameter".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) fn run(args: Args, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    let unusable = |error: io::Error| {
        Failure::act("cannot use a temporary directory").because(error.to_string())
    };
    let stop = Stop::new();
    let scratch = Scratch::new(stop.clone()).map_err(unusable)?;
    let mut check = Check::new(scratch.path().map_err(unusable)?);
    check.stop = stop.clone();
    check.current = current_dir()?;
    check.grants = args.grant.clone();
    let tested = test(args, check, scene);
    let signal = scratch.signal().filter(|_| stop.is_stopped());
    if signal.is_some() && stop.left() > 0 {
        scene.ui.note(&left(&format!("{} secrets", stop.left())));
    }
    let removed = scratch.remove();
    if let Some(signal) = signal {
        // A parent process, such as a shell's loop, sees the signal that ended this process.
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    }
    if let Err(error) = removed {
        let left = "cannot remove the temporary directory";
        return match tested {
            Ok(_) => Err(Failure::act(left).because(error.to_string())),
            // The first error is the result; the remaining directory must be reported as well.
            Err(first) => {
                scene.ui.warn(&format!("{left}: {error}"));
                Err(first)
            }
        };
    }
    tested
}

fn test(args: Args, mut check: Check, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    check.kind = args.kind;
    check.parameters = parameters(args.param)?;
    check.unlock = scene.unlock.take();
    check.many = args.many;
    check.most = (!args.all).then_some(MOST);

    let mut tally = Tally { granted: check.granted(), ..Tally::default() };
    let mut lost = None;
    let mut names = obligations();
    let (first, count) = (names.next().unwrap_or_default(), obligations().count());
    let progress = Progress::start(scene.ui, first, Some(count as u64));
    let report = &mut |outcome: &Outcome| {
        if lost.is_none() {
            lost = progress.aside(|| tally.take(scene, outcome)).err();
        }
        progress.step(1);
        progress.says(names.next().unwrap_or_default());
    };
    let (id, checked): (PluginId, _) = match args.plugin {
        Wanted::Id(id) => {
            warn(scene, scene.host.plugins().reexamine(&id)?.inspected());
            if Placement::from(args.placement) == Placement::Isolated {
                show(scene, id.as_str(), &check);
            }
            let checked = keystead::internals::check_installed(
                &scene.host,
                &id,
                args.placement.into(),
                &check,
                report,
            );
            (id, checked)
        }
        Wanted::File(path) => {
            if Placement::from(args.placement) == Placement::InProcess {
                return Err(Failure::usage(
                    "only an installed plugin may run in keystead's process",
                )
                .hint("leave `--placement` out"));
            }
            let plugins = scene.host.plugins();
            let plugin = plugins.unpinned(plugins.examine(&absolute(&path)?)?)?;
            let id = plugin.candidate().id().clone();
            warn(scene, plugin.candidate().inspected());
            show(scene, id.as_str(), &check);
            (id, keystead::internals::check_file(&scene.host, &plugin, &check, report))
        }
    };
    match lost {
        // The reader closed the pipe, or the output cannot be written.
        Some(lost) => Err(lost),
        None => {
            let isolated = Placement::from(args.placement) == Placement::Isolated;
            let granted = isolated.then(|| check.granted());
            checked.map_err(|error| not_granted(error, granted.as_deref()))?;
            if check.stop.is_stopped() {
                return Ok(Exit::Act);
            }
            tally.verdict(scene, id.as_str(), granted.as_deref())
        }
    }
}

/// Returns the failure, with hints on how to grant missing or possibly denied permissions: the
/// tested plugin belongs to no registered vault.
fn not_granted(error: keystead::Error, granted: Option<&[String]>) -> Failure {
    let denied = match &error {
        keystead::Error::OpenRefused { answer, .. } | keystead::Error::Refused { answer, .. } => {
            keystead::internals::may_be_denial(answer, granted.unwrap_or_default())
        }
        _ => false,
    };
    let keystead::Error::NotGranted { missing, .. } = &error else {
        let granted = granted.filter(|_| denied);
        return granted.into_iter().flat_map(more).fold(error.into(), Failure::hint);
    };
    let options: Vec<_> = missing.iter().map(|one| format!("--grant '{one}'")).collect();
    let hint = format!("add `{}` to grant it for this test", options.join(" "));
    Failure::from(error).without_hints().hint(hint)
}

/// Returns hints: the grants of a tested plugin's sandbox, and how to grant more.
fn more(granted: &[String]) -> [String; 2] {
    [
        format!("its sandbox grants {}", granted.join(", ")),
        "add `--grant PERMISSION` to grant more for this test, or a parameter that names another path"
            .to_owned(),
    ]
}

/// Warns about parts of a manifest that the host skips or ignores, which may be misspelt.
fn warn(scene: &CommandContext<'_>, inspected: &Inspected) {
    let members =
        inspected.findings.iter().filter(|one| matches!(one, InspectionNote::UnknownMember(_)));
    for line in members.map(ToString::to_string).chain(inspected.manifest.left_out()) {
        scene.ui.warn(&line);
    }
}

/// Shows the grants of the plugin.
fn show(scene: &CommandContext<'_>, id: &str, check: &Check) {
    scene.ui.note(&format!("Plugin `{id}` is tested isolated:"));
    let granted = check.granted();
    for permission in granted.iter().filter_map(|text| Permission::parse(text).ok()) {
        scene.ui.note(&format!("  {permission}"));
    }
}

/// Results so far.
#[derive(Default)]
struct Tally {
    kept: usize,
    unchecked: usize,
    untried: Vec<&'static str>,
    broken: Vec<&'static str>,
    /// Permissions that its sandbox grants.
    granted: Vec<String>,
    /// Whether the sandbox may be the reason for a broken or unchecked obligation.
    denied: bool,
}

impl Tally {
    fn take(&mut self, scene: &CommandContext<'_>, outcome: &Outcome) -> Result<(), Failure> {
        let mut json = PluginTestOutput {
            schema: 1,
            obligation: outcome.obligation(),
            ..PluginTestOutput::default()
        };
        let line = match outcome {
            Outcome::Passed { obligation, tried, .. } => {
                self.kept += 1;
                json.outcome = "kept";
                json.tried = *tried;
                match tried {
                    None => format!("{obligation}: kept"),
                    Some(1) => format!("{obligation}: kept, tried with 1 secret"),
                    Some(tried) => format!("{obligation}: kept, tried with {tried} secrets"),
                }
            }
            Outcome::Broken { obligation, expected, found } => {
                self.denied |= keystead::internals::tells_of_denial(found, &self.granted);
                self.broken.push(obligation);
                json.outcome = "broken";
                json.expected = Some(text::visible(expected));
                json.found = Some(text::visible(found));
                format!("{obligation}: BROKEN: expected {expected}, found {found}")
            }
            Outcome::NotApplicable { obligation, why } => {
                self.denied |= keystead::internals::tells_of_denial(why, &self.granted);
                self.unchecked += 1;
                json.outcome = "not checked";
                json.why = Some(text::visible(why));
                format!("{obligation}: not checked: {why}")
            }
            Outcome::NotTried { obligation, .. } => {
                self.untried.push(obligation);
                json.outcome = "not tried";
                format!("{obligation}: not tried: there was no time left")
            }
            other => other.to_string(),
        };
        match scene.ui.is_json() {
            true => scene.ui.json(&json),
            false => scene.ui.line(&text::visible(&line)),
        }
    }

    fn verdict(
        self,
        scene: &CommandContext<'_>,
        id: &str,
        granted: Option<&[String]>,
    ) -> Result<Exit, Failure> {
        let Self { kept, unchecked, untried, broken, denied, .. } = self;
        let hints: Vec<_> = granted.filter(|_| denied).into_iter().flat_map(more).collect();
        let count = broken.len();
        let not_tried = match untried.len() {
            0 => String::new(),
            left => format!(", {left} not tried"),
        };
        scene.ui.note(&format!("{kept} kept, {count} broken, {unchecked} not checked{not_tried}."));
        if !untried.is_empty() {
            scene.ui.warn(&format!(
                "there was no time left to try {}: add `--all` to try every obligation",
                listed(&untried).replace(" or ", " and ")
            ));
        }
        if broken.is_empty() {
            hints.iter().for_each(|hint| scene.ui.note(hint));
            return Ok(if untried.is_empty() { Exit::Done } else { Exit::Partly });
        }
        let names = listed(&broken).replace(" or ", " and ");
        let failure = Failure::act(format!("plugin `{id}` breaks the contract: {names}"))
            .hint("each name stands in the documentation of the trait `Vault` or `Plugin`");
        Err(hints.into_iter().fold(failure, Failure::hint))
    }
}

#[derive(Default, Serialize)]
struct PluginTestOutput {
    schema: u32,
    obligation: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tried: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}
