//! Processes that are killed during writes: acknowledged writes are complete, and interrupted ones
//! are done or not done.

pub(crate) mod script;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines, PipeReader, PipeWriter};
use std::process::{Child, Stdio};

use keystead_plugin_api::Value;

use crate::child::{Random, in_role, say};
use crate::error::is_not_made;
use crate::vault::{self, Home, get, list, verify};
use script::{Names, Step, Written};

/// Number of concurrent writers.
const PROCESSES: usize = 8;

/// Number of kills.
const KILLS: usize = 300;

/// Writes until killed: reports each step before and after.
pub(crate) fn write(home: &Home, seed: u64) {
    let mut random = Random::of(seed);
    let process = seed as usize % PROCESSES;
    let mut vault = home.open();
    say(format_args!("begin {process} {seed}"));
    for name in script::own(process) {
        match get(&mut *vault, &name) {
            Ok(secret) => say(format_args!("saw {process} {name} {}", Written::of(&secret))),
            Err(error) if is_not_made(&error) => say(format_args!("saw {process} {name} none")),
            Err(error) => say(format_args!("fault {process} {name}: {error}")),
        }
    }
    say(format_args!("seen {process} {seed}"));
    // Endless: the test kills this process.
    for turn in 0.. {
        let step = Step::random(process, (seed as usize) << 16 | turn, &mut random);
        say(format_args!("try {process} {step}"));
        match step.run(&mut *vault) {
            Ok(()) => say(format_args!("ack {process} ok")),
            Err(error) if is_not_made(&error) => say(format_args!("ack {process} missing")),
            Err(error) => {
                say(format_args!("fault {process} {step}: {error}"));
                return;
            }
        }
    }
}

/// Possible contents of one process's own names: one of these states, as a whole.
#[derive(Default)]
struct Writer {
    child: Option<Child>,
    states: Vec<Names>,
    /// The current step; `None` if it is finished.
    at: Option<Step>,
    /// Names that the process found at its start.
    saw: Names,
    steps: usize,
}

/// Writes to the names that all processes use.
#[derive(Default)]
struct Shared {
    /// Lines that reported the start and the end of each write, in order.
    writes: BTreeMap<String, Vec<(usize, Option<usize>, Written)>>,
}

impl Writer {
    fn start(&mut self, home: &Home, process: usize, number: usize, to: &PipeWriter) {
        let mut command = in_role(&format!("writer {}", number * PROCESSES + process), home);
        command.stdout(Stdio::from(to.try_clone().unwrap())).stderr(Stdio::inherit());
        self.child = Some(command.spawn().unwrap());
    }

    fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Handles one line of the process.
    fn hear(&mut self, process: usize, verb: &str, rest: &str) {
        match verb {
            // A new process: the interrupted step of the previous one is done or not done.
            "begin" => {
                self.states = self.possible();
                self.at = None;
                self.saw.clear();
            }
            "saw" => {
                let (name, written) = rest.rsplit_once(' ').unwrap();
                if let Some(written) = Written::parse(written) {
                    self.saw.insert(name.to_owned(), written);
                }
            }
            "seen" => {
                let (saw, possible) = (&self.saw, &self.states);
                assert!(possible.contains(saw), "{process} saw {saw:?}, possible was {possible:?}");
                self.states = vec![self.saw.clone()];
            }
            "try" => {
                self.at = Some(Step::parse(rest));
                self.steps += 1;
            }
            "ack" => {
                let step = self.at.take().unwrap();
                let ok = rest == "ok";
                // Removes states in which the step cannot have this result.
                let states = std::mem::take(&mut self.states).into_iter();
                self.states = states.filter_map(|state| step.after(state, ok)).collect();
                assert!(!self.states.is_empty(), "{process}: `{step}` was answered `{rest}`");
            }
            _ => panic!("{process}: {rest}"),
        }
    }

    /// Returns the possible current states.
    fn possible(&self) -> Vec<Names> {
        let mut states = self.states.clone();
        if states.is_empty() {
            states.push(Names::new());
        }
        if let Some(step) = &self.at {
            let done = states.clone().into_iter().filter_map(|state| step.after(state, true));
            states.extend(done.collect::<Vec<_>>());
        }
        states
    }
}

impl Shared {
    fn began(&mut self, line: usize, step: &Step) {
        let Some((name, written)) = step.shared() else { return };
        self.writes.entry(name.to_owned()).or_default().push((line, None, written));
    }

    fn done(&mut self, line: usize, step: &Step) {
        let Some((name, written)) = step.shared() else { return };
        let writes = self.writes.get_mut(name).unwrap();
        writes.iter_mut().rev().find(|write| write.2 == written).unwrap().1 = Some(line);
    }

    /// Returns whether this may be a name's last write: no other one began after its end.
    fn may_be_last(&self, name: &str, found: Option<&Written>) -> bool {
        let Some(writes) = self.writes.get(name) else { return found.is_none() };
        let began_last = writes.iter().filter(|write| write.1.is_some()).map(|write| write.0).max();
        match found {
            None if began_last.is_none() => true,
            _ => writes.iter().any(|write| {
                Some(&write.2) == found
                    && write.1.is_none_or(|done| began_last.is_none_or(|began| done >= began))
            }),
        }
    }
}

/// Writers of one vault, and their reports.
struct Scene {
    home: Home,
    writers: Vec<Writer>,
    shared: Shared,
    to: PipeWriter,
    lines: Lines<BufReader<PipeReader>>,
    /// Number of lines so far: all use one pipe, so that their order is that of the writes.
    line: usize,
    /// Number of the next process.
    number: usize,
}

impl Scene {
    fn start(processes: usize, random: &mut Random) -> Self {
        let (reader, to) = std::io::pipe().unwrap();
        let mut scene = Self {
            home: Home::new(),
            writers: (0..processes).map(|_| Writer::default()).collect(),
            shared: Shared::default(),
            to,
            lines: BufReader::new(reader).lines(),
            line: 0,
            number: random.below(1 << 20),
        };
        (0..processes).for_each(|process| scene.begin(process));
        scene
    }

    fn begin(&mut self, process: usize) {
        self.writers[process].start(&self.home, process, self.number, &self.to);
        self.number += 1;
    }

    /// Handles the next line, which is complete even if its writer was killed.
    fn hear(&mut self) {
        let text = self.lines.next().unwrap().unwrap();
        self.take(&text);
    }

    fn take(&mut self, text: &str) {
        let mut words = text.splitn(3, ' ');
        // Ignores lines of the harness.
        let Some(verb) = words.next().filter(|verb| VERBS.contains(verb)) else { return };
        let process: usize = words.next().unwrap().parse().unwrap();
        let rest = words.next().unwrap();
        let writer = &mut self.writers[process];
        self.line += 1;
        match verb {
            "try" => self.shared.began(self.line, &Step::parse(rest)),
            "ack" => self.shared.done(self.line, writer.at.as_ref().unwrap()),
            _ => {}
        }
        writer.hear(process, verb, rest);
    }

    /// Kills all writers, and compares the vault with their reports. Returns the number of secrets
    /// and of writes.
    fn end(mut self) -> (usize, usize) {
        self.writers.iter_mut().for_each(Writer::kill);
        drop(std::mem::replace(&mut self.to, std::io::pipe().unwrap().1));
        while let Some(text) = self.lines.next() {
            self.take(&text.unwrap());
        }
        let mut vault = self.home.open();
        let mut all = 0;
        let mut look = |name: &str| match get(&mut *vault, name) {
            Ok(secret) => {
                all += 1;
                Some(Written::of(&secret))
            }
            Err(error) if is_not_made(&error) => None,
            Err(error) => panic!("`{name}`: {error}"),
        };
        for (process, writer) in self.writers.iter().enumerate() {
            let names = script::own(process);
            let found: Names =
                names.filter_map(|name| look(&name).map(|written| (name, written))).collect();
            let possible = writer.possible();
            assert!(possible.contains(&found), "{process}: {found:?}, possible is {possible:?}");
        }
        for name in script::SHARED {
            let found = look(name);
            assert!(self.shared.may_be_last(name, found.as_ref()), "`{name}` is {found:?}");
        }
        match list(&mut *vault, 7) {
            Ok(listed) => assert_eq!(listed.len(), all, "something else is listed"),
            Err(error) => assert!(is_not_made(&error) && all == 0, "{error}"),
        }
        if self.home.file().exists() {
            verify(&mut *vault).unwrap();
        }
        // The vault still accepts writes.
        vault::set(&mut *vault, "later", Value::text("canary")).unwrap();
        verify(&mut *vault).unwrap();
        // An unused journal may remain until then.
        let journal = std::fs::metadata(self.home.dir().join("store.db-journal"));
        assert_eq!(journal.map_or(0, |journal| journal.len()), 0, "a journal is left");
        (all, self.writers.iter().map(|writer| writer.steps).sum())
    }
}

const VERBS: [&str; 6] = ["begin", "saw", "seen", "try", "ack", "fault"];

#[test]
fn killed_writers_lose_no_acknowledged_write() {
    let mut random = Random::new("kills");
    let mut scene = Scene::start(PROCESSES, &mut random);
    for _ in 0..KILLS {
        for _ in 0..1 + random.below(160) {
            scene.hear();
        }
        // A process may also be killed before it begins.
        let process = random.below(PROCESSES);
        scene.writers[process].kill();
        scene.begin(process);
    }
    let (secrets, steps) = scene.end();
    println!("{KILLS} killed, {steps} writes, {secrets} secrets");
    assert!(steps > 10 * KILLS, "they were killed before they wrote: {steps}");
}

#[test]
fn process_killed_creating_vault_leaves_none_or_whole_vault() {
    let mut random = Random::new("kills of makers");
    for _ in 0..25 {
        let mut scene = Scene::start(3, &mut random);
        for _ in 0..random.below(40) {
            scene.hear();
        }
        scene.end();
    }
}
