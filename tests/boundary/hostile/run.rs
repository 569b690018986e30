//! Asks the rows: in a runner beside a vault that goes on, and in a process of the command.

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use keystead::Placement;
use keystead::api::{Value, VaultName};
use keystead::trust::{InProcess, InstallTarget, PluginId, TrustDecision};
use keystead::{FoundSecret, NewRegistration};

use super::place::Place;
use super::{End, Pace, Row};
use crate::cli::sandbox::Sandbox;
use crate::plugin_files::{hostile, rule_breaker};
use crate::scene::{Scene, story};

/// Returns a time limit for calls that must not time out, even on a busy machine.
/// `KEYSTEAD_TEST_AMPLE` sets the seconds for an emulated processor.
fn ample() -> Duration {
    let seconds = std::env::var("KEYSTEAD_TEST_AMPLE").map_or(30, |long| long.parse().unwrap());
    Duration::from_secs(seconds)
}

/// Time limit of calls that must time out.
const SHORT: Duration = Duration::from_millis(700);

/// The most bytes that one attempt may leave in the log: a thousand lines at their longest.
const MAX_LOG: usize = 5 << 20;

/// A host with a vault of one row, beside a vault of another plugin.
pub(super) struct Sandboxed {
    pub(super) scene: Scene,
    row: &'static Row,
    odd: VaultName,
    other: VaultName,
}

impl Sandboxed {
    pub(super) fn new(row: &'static Row, place: &Place, timeout: Duration) -> Self {
        let scene = Scene::with_timeout(timeout);
        let odd = Self::register(&scene, "odd", row, place);
        let other = scene.vault("other", &rule_breaker(scene.path(), &[]), Placement::Isolated);
        Self { scene, row, odd, other }
    }

    /// Installs a row and registers a vault of it, with its own directory.
    pub(super) fn register(scene: &Scene, name: &str, row: &Row, place: &Place) -> VaultName {
        let id = scene.install(&hostile(row.name, scene.path(), &place.macros()));
        let name = VaultName::parse(name).unwrap();
        let mut new = NewRegistration::new(name.clone(), id, PathBuf::from("/"));
        new.placement = Some(Placement::Isolated);
        new.parameters.insert("folder".into(), place.own().display().to_string());
        scene.host.register(scene.host.plan_registration(new).unwrap()).unwrap();
        name
    }

    fn ask(&self, what: &str) -> keystead::Result<FoundSecret> {
        self.scene.get(&self.odd, what)
    }

    /// Checks that the other vault works, though its process may have to start on a busy machine.
    fn other_goes_on(&self) -> Result<(), String> {
        let until = Instant::now() + ample();
        loop {
            match self.scene.get(&self.other, "sound") {
                Ok(found) if found.secret.value == Value::text("sound") => return Ok(()),
                Ok(_) => return Err("the other vault answers something else".into()),
                Err(error) if error.code() == "E11.late" && Instant::now() < until => {
                    self.scene.host.reload();
                }
                Err(error) => return Err(format!("the other vault: {}", story(&error))),
            }
        }
    }

    /// Replaces the words in braces by paths and numbers.
    pub(super) fn filled_in(&self, place: &Place, what: &str) -> String {
        let path = |name: &str| self.scene.path().join(name).display().to_string();
        let what = what.replace("{config}", &path("config/vaults/odd.toml"));
        place.filled_in(&what.replace("{plugins}", &path("data/plugins")))
    }

    /// Makes an attempt, and returns an error if its end is not the expected one.
    pub(super) fn attempt(&self, what: &str, end: End) -> Result<(), String> {
        let mut answer = self.ask(what);
        let until = Instant::now() + ample();
        // On a busy machine the runner may time out while it starts; this test ignores that.
        while answer.as_ref().is_err_and(is_late_to_open) && Instant::now() < until {
            self.scene.host.reload();
            answer = self.ask(what);
        }
        let mut judged = judge(self.row, &self.odd, &answer, end);
        if let (Ok(()), End::Next(fault)) = (&judged, end) {
            answer = self.ask("sound");
            judged = judge(self.row, &self.odd, &answer, End::Protocol(fault));
        }
        let judged = judged.and_then(|()| self.other_goes_on());
        if answer.is_err() || self.row.pace == Pace::Anew {
            // The fault of this attempt must not affect the next attempt.
            pardon(&self.scene, self.row);
        }
        judged
    }
}

fn is_late_to_open(error: &keystead::Error) -> bool {
    error.code() == "E11.late" && story(error).contains("cannot be opened")
}

/// Lifts the quarantine, and makes the host open all vaults again.
pub(super) fn pardon(scene: &Scene, row: &Row) {
    let plugins = scene.host.plugins();
    let candidate = plugins.reexamine(&PluginId::parse(row.name).unwrap()).unwrap();
    plugins
        .trust(
            candidate,
            &TrustDecision { place: InstallTarget::User, in_process: InProcess::Never },
        )
        .unwrap();
    scene.host.reload();
}

/// Compares a result with the expected end.
pub(super) fn judge(
    row: &Row,
    vault: &VaultName,
    answer: &keystead::Result<FoundSecret>,
    end: End,
) -> Result<(), String> {
    let told = match answer {
        Ok(found) => Ok(format!("{:?}", text(&found.secret.value))),
        Err(error) => Err(story(error)),
    };
    let head = |code: &str| format!("{code}: plugin `{}` failed in vault `{vault}`: ", row.name);
    let as_expected = match (&told, end) {
        (Ok(said), End::Says(words)) => is_said(said, words),
        (Ok(said), End::Changes) => is_said(said, "done"),
        (Ok(said), End::Fails) => is_error(said.trim_matches('"')),
        (Ok(_), End::Next(_)) => true,
        (Err(story), End::Dies(how)) => how.split('|').any(|how| {
            *story == format!("{}the plugin's process ended during `get`: {how}", head("E11.died"))
        }),
        (Err(story), End::Late) => {
            story.starts_with(&format!("{}the plugin process timed out", head("E11.late")))
        }
        (Err(story), End::Protocol(what)) => {
            story.starts_with(&format!("{}the plugin's process broke", head("E11.protocol")))
                && what.split('|').any(|what| story.ends_with(what))
        }
        _ => false,
    };
    if as_expected { Ok(()) } else { Err(format!("{told:?} and not {end:?}")) }
}

fn is_said(quoted: &str, words: &str) -> bool {
    words.split('|').any(|word| format!("{word:?}") == quoted)
}

/// Returns whether this is the name of an error.
fn is_error(word: &str) -> bool {
    word.starts_with('E')
        && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.expose().to_owned(),
        other => format!("{other:?}"),
    }
}

/// Makes the attempts of each row in a runner.
pub(super) fn sandboxed(rows: &'static [Row]) {
    let mut wrong = Vec::new();
    for row in rows {
        let mut place = Place::new();
        for is_late in [false, true] {
            let belongs = |end: End| matches!(end, End::Late) == is_late;
            let tries: Vec<_> =
                row.tries.iter().filter(|(_, end, _)| !end.is_by_hand() && belongs(*end)).collect();
            if tries.is_empty() {
                continue;
            }
            let sandbox = Sandboxed::new(row, &place, if is_late { SHORT } else { ample() });
            for (what, end, _) in tries {
                renew(row, &mut place);
                let logged = sandbox.scene.log.all().len();
                let problem = sandbox.attempt(&sandbox.filled_in(&place, what), *end).err();
                let problem = problem.or_else(|| look(&mut place, *end));
                let lines = &sandbox.scene.log.all()[logged..];
                let size: usize = lines.iter().map(String::len).sum();
                let problem = problem.or((size > MAX_LOG).then(|| format!("{size} bytes of log")));
                wrong.extend(problem.map(|told| format!("{} {what}: {told}", row.name)));
            }
            sandbox.scene.end();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Renews the place, unless the row's next attempt needs the files of the last one.
fn renew(row: &Row, place: &mut Place) {
    if row.pace != Pace::Anew {
        place.renew();
    }
}

/// Returns an unexpected change, or the absence of an expected one.
fn look(place: &mut Place, end: End) -> Option<String> {
    let until = Instant::now() + ample();
    let mut changed = place.changed();
    // A killed process may take a moment to disappear.
    while changed.is_none() && matches!(end, End::Changes) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
        changed = place.changed();
    }
    match (changed, end) {
        (None, End::Changes) => Some("it says that it is done, and nothing has changed".into()),
        (Some(_), End::Changes) => None,
        (changed, _) => changed,
    }
}

/// Makes the attempts of each row in-process, in the command.
pub(super) fn in_process(rows: &'static [Row]) {
    let mut wrong = Vec::new();
    for row in rows {
        let mut place = Place::new();
        let sandbox = Sandbox::empty();
        let file = hostile(row.name, sandbox.root(), &place.macros());
        sandbox.run("plugin install --yes --quiet", &[file.to_str().unwrap()]).succeeds();
        sandbox.run(TRUST, &[row.name]).succeeds();
        let dir = format!("folder={}", place.own().display());
        let register = format!("vault register odd --placement in-process --plugin {}", row.name);
        sandbox.run(&register, &["--param", &dir]).succeeds();
        for (what, _, end) in row.tries.iter().filter(|(.., end)| !end.is_by_hand()) {
            renew(row, &mut place);
            let problem = attempt_inside(&sandbox, &place.filled_in(what), *end).err();
            let problem = problem.or_else(|| look(&mut place, *end));
            wrong.extend(problem.map(|told| format!("{} {what}: {told}", row.name)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Allows the plugin to run in-process.
const TRUST: &str = "plugin trust --yes --quiet --danger-in-process";

/// Makes an attempt in-process, in the command. Returns an error if its end is not the expected
/// one.
fn attempt_inside(sandbox: &Sandbox, what: &str, end: End) -> Result<(), String> {
    let mut command = sandbox.command("get -V odd", &[what]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().unwrap();
    let status = if matches!(end, End::Late) {
        ended_within(&mut child, SHORT)
    } else {
        ended_within(&mut child, ample())
    };
    let Some(status) = status else {
        child.kill().unwrap();
        child.wait().unwrap();
        return if matches!(end, End::Late) { Ok(()) } else { Err("it does not end".into()) };
    };
    let (mut stdout, mut stderr) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    let as_expected = match end {
        End::Says(words) => status.success() && words.split('|').any(|word| word == stdout),
        End::Changes => status.success() && stdout == "done",
        End::Fails => status.success() && is_error(&stdout),
        End::Dies(how) => how.split('|').any(|how| how == ended(status)),
        _ => false,
    };
    let told = || format!("{} {stdout:?} {stderr:?} and not {end:?}", ended(status));
    if as_expected { Ok(()) } else { Err(told()) }
}

pub(super) fn ended_within(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let until = Instant::now() + patience;
    loop {
        match child.try_wait().unwrap() {
            None if Instant::now() < until => std::thread::sleep(Duration::from_millis(2)),
            status => return status,
        }
    }
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, signal) => format!("signal {}", signal.unwrap_or_default()),
    }
}

/// Returns whether this process runs and is not a zombie.
pub(super) fn runs(process: &Path) -> bool {
    std::fs::read_to_string(process.join("stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
