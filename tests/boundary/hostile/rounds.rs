//! A thousand hostile rounds in a separate process. Another vault replies in each round. In the end
//! no process, descriptor or memory is left over.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use keystead::Placement;
use keystead::api::{Value, VaultName};

use super::place::Place;
use super::run::{Sandboxed, judge, pardon};
use super::{ALL, End, Pace, Row};
use crate::plugin_files::rule_breaker;
use crate::scene::{Scene, story};

const ROUNDS: usize = 1_000;

/// Variable with a smaller number of rounds: an emulated processor takes hours for all of them.
const FEWER: &str = "KEYSTEAD_TEST_ROUNDS_OF";

/// Memory growth limit in bytes: an allocator keeps the memory of the largest round.
const MAX_GROWTH: usize = 8 << 20;

/// If this variable is set, this process is the one under test.
const INSIDE: &str = "KEYSTEAD_TEST_ROUNDS";

/// Resources of a process.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    children: usize,
    threads: usize,
    descriptors: Vec<String>,
}

/// The hostile plugins, each row as a vault of one host.
struct Hostile {
    scene: Scene,
    place: Place,
    rows: Vec<(&'static Row, VaultName)>,
    sound: VaultName,
}

impl Hostile {
    fn new() -> Self {
        let (scene, place) = (Scene::with_timeout(Duration::from_secs(30)), Place::new());
        let rows = ALL.iter().flat_map(|rows| rows.iter()).filter(|row| row.pace == Pace::Quick);
        let rows =
            rows.map(|row| (row, Sandboxed::register(&scene, row.name, row, &place))).collect();
        let sound = scene.vault("sound", &rule_breaker(scene.path(), &[]), Placement::Isolated);
        Self { scene, place, rows, sound }
    }

    /// Returns all quick attempts.
    fn attempts(&self) -> Vec<(&'static Row, VaultName, String, End)> {
        let mut attempts = Vec::new();
        for (row, vault) in &self.rows {
            let quick = |end: End| !end.is_by_hand() && !matches!(end, End::Late | End::Next(_));
            for (what, end, _) in row.tries.iter().filter(|(_, end, _)| quick(*end)) {
                let path = self.scene.path().join("config/vaults/sound.toml");
                let what = what.replace("{config}", &path.display().to_string());
                let what = what.replace("{plugins}", &self.scene.path().display().to_string());
                attempts.push((*row, vault.clone(), self.place.filled_in(&what), *end));
            }
        }
        attempts
    }

    fn round(&mut self, (row, vault, what, end): &(&Row, VaultName, String, End)) {
        let answer = self.scene.get(vault, what);
        judge(row, vault, &answer, *end).unwrap_or_else(|told| panic!("{vault} {what}: {told}"));
        match self.scene.get(&self.sound, "sound") {
            Ok(found) => assert_eq!(found.secret.value, Value::text("sound")),
            Err(error) => panic!("after {vault} {what}: {}", story(&error)),
        }
        if answer.is_err() {
            pardon(&self.scene, row);
        }
        if vault.as_str() == "writes" || matches!(end, End::Changes) {
            self.place.renew();
        }
    }

    /// Returns the resources that remain after all vaults are closed.
    fn held(&self) -> Held {
        self.scene.host.reload();
        self.scene.log.forget();
        let own = |what: &str| fs::read_dir(format!("/proc/self/{what}")).unwrap();
        let mut descriptors: Vec<_> = own("fd")
            .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
            // The number of a socket or pipe differs from run to run.
            .map(|path| path.display().to_string().replace(|c: char| c.is_ascii_digit(), ""))
            .collect();
        descriptors.sort();
        Held { children: children_but(1), threads: own("task").count(), descriptors }
    }
}

/// Returns the number of children of this process. Waits for at most `few`, with a timeout: a
/// killed child takes a moment to disappear.
fn children_but(few: usize) -> usize {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let count = children(std::process::id()).len();
        if count <= few || Instant::now() > until {
            return count;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns the children of a process, including zombies.
fn children(parent: u32) -> Vec<PathBuf> {
    let parent = parent.to_string();
    let of_parent = |path: &PathBuf| {
        let stat = fs::read_to_string(path.join("stat")).unwrap_or_default();
        let rest = stat.rsplit(") ").next().unwrap_or_default();
        rest.split(' ').nth(1) == Some(&parent)
    };
    processes().filter(of_parent).collect()
}

fn processes() -> impl Iterator<Item = PathBuf> {
    fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok().map(|entry| entry.path()))
}

/// Returns a runner of these tests whose host has ended, if any.
fn orphan() -> Option<PathBuf> {
    children(1).into_iter().find(|process| {
        let told = |name: &str| fs::read_to_string(process.join(name)).unwrap_or_default();
        let is_ours = told("cmdline").starts_with(env!("CARGO_TARGET_TMPDIR"));
        is_ours && told("comm").trim() == "keystead-runner"
    })
}

/// Returns the resident memory in bytes.
fn memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

fn inside() -> ! {
    let mut hostile = Hostile::new();
    let attempts = hostile.attempts();
    assert!(attempts.len() > 150, "{} attempts", attempts.len());
    // One round first, for everything that is created once and kept.
    attempts.iter().for_each(|attempt| hostile.round(attempt));
    let (before, size) = (hostile.held(), memory());
    assert_eq!(before.children, 1, "the process that stands for others': {before:?}");
    let rounds = std::env::var(FEWER).map_or(ROUNDS, |fewer| fewer.parse().unwrap());
    for round in 0..rounds {
        hostile.round(&attempts[round % attempts.len()]);
    }
    let until = Instant::now() + Duration::from_secs(10);
    while hostile.held() != before && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(hostile.held(), before);
    let grown = memory().saturating_sub(size);
    assert!(grown < MAX_GROWTH, "it has grown by {grown} bytes");
    assert_eq!(hostile.place.changed(), None);
    let Hostile { scene, place, .. } = hostile;
    scene.end();
    // The place's process ends here.
    drop(place);
    assert_eq!(children_but(0), 0);
    std::process::exit(0)
}

#[test]
fn thousand_hostile_rounds_leak_nothing() {
    if std::env::var_os(INSIDE).is_some() {
        inside();
    }
    let this = "boundary::hostile::rounds::thousand_hostile_rounds_leak_nothing";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", this, "--nocapture"]).env(INSIDE, "1");
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{told}", output.status);
    let until = Instant::now() + Duration::from_secs(10);
    while let Some(process) = orphan() {
        assert!(Instant::now() < until, "{} has no host", process.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}
