//! Power failures: unsynced writes may be on the disk in any part and order. Writes acknowledged
//! before are there.

mod disk;
mod trace;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use keystead_plugin_api::Value;

use crate::child::{self, Random, say};
use crate::error::is_not_made;
use crate::killed::script::{Names, Step, Written};
use crate::vault::{self, Home, get, list, verify};
use disk::Disk;
use trace::Event;

/// Number of steps of a process.
const STEPS: usize = 60;

/// Runs random steps from a seed; the first one creates a missing vault.
pub(crate) fn write(home: &Home, seed: u64) {
    let mut random = Random::of(seed);
    let number = |turn: usize| seed as usize * 1_000 + turn;
    for turn in 0..STEPS {
        let step = match turn {
            20 => {
                Step::many(number(turn), (0..200).map(|number| format!("many/{number}")).collect())
            }
            // A single process shares no name.
            _ => std::iter::repeat_with(|| Step::random(0, number(turn), &mut random))
                .find(|step| step.shared().is_none())
                .unwrap(),
        };
        say(format_args!("try {step}"));
        // A new handle for each step, as in commands; each third has its file open already.
        let mut vault = home.open();
        if turn % 3 == 0 {
            let _ = get(&mut *vault, "own/0/0");
        }
        match step.run(&mut *vault) {
            Ok(()) => say("ack ok"),
            Err(error) if is_not_made(&error) => say("ack missing"),
            Err(error) => panic!("{step}: {error}"),
        }
    }
}

/// Runs a writer in a directory, and returns its file operations.
fn recorded(home: &Home, seed: usize) -> Vec<Event> {
    let strace = std::env::var_os("KEYSTEAD_TEST_STRACE")
        .expect("`KEYSTEAD_TEST_STRACE` is the path of strace");
    let trace = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new(strace)
        .args(["-f", "-xx", "-s", "100000000", "-o"])
        .arg(trace.path())
        .arg(format!("--trace={}", trace::CALLS))
        .arg(std::env::current_exe().unwrap())
        .args(child::arguments())
        .env_clear()
        .envs(child::environment(&format!("recorded {seed}"), home))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    trace::read(&std::fs::read_to_string(trace.path()).unwrap(), home.path())
}

/// Acknowledged writes so far, and the writer's current step.
struct Told {
    states: Vec<Names>,
    at: Option<Step>,
    names: BTreeSet<String>,
    acknowledged: usize,
}

impl Told {
    fn of(states: Vec<Names>) -> Self {
        let names = states.iter().flat_map(|state| state.keys().cloned()).collect();
        Self { states, at: None, names, acknowledged: 0 }
    }

    fn hear(&mut self, line: &str) {
        if let Some(step) = line.strip_prefix("try ") {
            let step = Step::parse(step);
            self.names.extend(step.names().iter().cloned());
            self.at = Some(step);
        } else if let Some(how) = line.strip_prefix("ack ") {
            let step = self.at.take().unwrap();
            let states = std::mem::take(&mut self.states).into_iter();
            self.states = states.filter_map(|state| step.after(state, how == "ok")).collect();
            assert!(!self.states.is_empty(), "`{step}` was answered `{how}`");
            self.acknowledged += 1;
        }
    }

    /// Returns the possible states if the power fails now.
    fn possible(&self) -> Vec<Names> {
        let done = self.at.iter().flat_map(|step| {
            self.states.iter().filter_map(|state| step.after(state.clone(), true))
        });
        self.states.iter().cloned().chain(done).collect()
    }

    /// Compares the vault with the possible states, and returns its state.
    fn check(&self, home: &Home, what: &str) -> Names {
        let mut vault = home.open();
        let mut found = Names::new();
        for name in &self.names {
            match get(&mut *vault, name) {
                Ok(secret) => drop(found.insert(name.clone(), Written::of(&secret))),
                Err(error) if is_not_made(&error) => {}
                Err(error) => panic!("{what}: `{name}`: {error}"),
            }
        }
        let possible = self.possible();
        assert!(possible.contains(&found), "{what}: {found:?}, and possible is {possible:?}");
        match list(&mut *vault, 50) {
            Ok(listed) => assert_eq!(listed.len(), found.len(), "{what}: a list"),
            Err(error) => assert!(is_not_made(&error) && found.is_empty(), "{what}: {error}"),
        }
        if home.file().exists() {
            verify(&mut *vault).unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        // The vault still accepts writes.
        let later = vault::set(&mut *vault, "later", Value::text("canary"));
        later.unwrap_or_else(|error| panic!("{what}: {error}"));
        verify(&mut *vault).unwrap_or_else(|error| panic!("{what}: {error}"));
        vault::remove(&mut *vault, "later").unwrap();
        found
    }
}

/// Simulates power failures at many points of a writer's operations, and returns their number.
fn fails_everywhere(
    start: &Disk,
    events: &[Event],
    dir: &Path,
    mut told: Told,
    images: usize,
    random: &mut Random,
) -> usize {
    let mut disk = start.clone();
    let mut made = 0;
    let changes = events.iter().filter(|event| !matches!(event, Event::Say(_))).count();
    for (at, event) in events.iter().enumerate() {
        if let Event::Say(line) = event {
            told.hear(line);
        }
        disk.happens(event);
        // This number on average, with equal probability at each point.
        let mut due = images / changes + usize::from(random.below(changes) < images % changes);
        while due > 0 {
            let image = Home::new();
            disk.fails(dir, image.path(), random);
            let what: String = format!("after {at}: {event:?}").chars().take(120).collect();
            told.check(&image, &what);
            made += 1;
            due -= 1;
        }
    }
    made
}

#[test]
#[ignore = "needs strace"]
fn acknowledged_write_survives_power_failure_needs_strace() {
    let mut random = Random::new("power");
    let home = Home::new();
    let empty = Disk::of(home.path());
    let seed = random.below(1 << 20);
    let events = recorded(&home, seed);
    let told = || Told::of(vec![Names::new()]);
    let mut all = told();
    for event in &events {
        if let Event::Say(line) = event {
            all.hear(line);
        }
    }
    assert_eq!(all.acknowledged, STEPS);
    let made = fails_everywhere(&empty, &events, home.path(), told(), 1_200, &mut random);
    println!("{} events, {made} failures", events.len());
    assert!(made > 600);
}

#[test]
#[ignore = "needs strace"]
fn vault_in_new_dir_survives_power_failure_needs_strace() {
    let mut random = Random::new("power and a new directory");
    let home = Home::new();
    let mut disk = Disk::of(home.path());
    // Left by a process that was killed before it synced the directories.
    let keys = home.key().parent().unwrap().to_owned();
    for dir in [home.dir(), keys] {
        if !dir.exists() {
            std::fs::create_dir(&dir).unwrap();
            vault::chmod(&dir, 0o700);
            disk.happens(&Event::Mkdir(dir));
        }
    }
    let events = recorded(&home, random.below(1 << 20));
    let told = Told::of(vec![Names::new()]);
    let begin = &events[..events.len() / 4];
    let made = fails_everywhere(&disk, begin, home.path(), told, 150, &mut random);
    assert!(made > 75);
}

#[test]
#[ignore = "needs strace"]
fn write_survives_power_failure_in_recovery_needs_strace() {
    let mut random = Random::new("power twice");
    let home = Home::new();
    let empty = Disk::of(home.path());
    let events = recorded(&home, random.below(1 << 20));
    let journal = |home: &Home| {
        std::fs::read(home.dir().join("store.db-journal")).is_ok_and(|journal| {
            // A journal that will be rolled back, not an unused one.
            journal.first().is_some_and(|byte| *byte != 0)
        })
    };
    let (mut disk, mut told) = (empty, Told::of(vec![Names::new()]));
    let (mut mended, mut made) = (0, 0);
    for event in &events {
        if let Event::Say(line) = event {
            told.hear(line);
        }
        disk.happens(event);
        if mended == 8 || random.below(10) != 0 {
            continue;
        }
        let image = Home::new();
        disk.fails(home.path(), image.path(), &mut random);
        if !journal(&image) {
            continue;
        }
        mended += 1;
        let first = Disk::of(image.path());
        let again = recorded(&image, random.below(1 << 20));
        let told = Told::of(told.possible());
        // Mainly during the rollback, at the beginning.
        let begin = &again[..again.len() / 8];
        made += fails_everywhere(&first, begin, image.path(), told, 60, &mut random);
    }
    println!("{mended} mended, {made} failures");
    assert!(mended >= 4 && made > 100, "{mended} {made}");
}
