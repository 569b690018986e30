//! 300 times one of eight processes that write at the same time is killed: whatever was
//! acknowledged is there, nothing is there in part, and the file is sound.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use keystead_plugin_api::{
    ActRequest, Context, Deadline, GetRequest, ListRequest, MetadataValue, OpenRequest,
    ParameterValue, Parameters, Plugin, Secret, Value, Vault, VaultName,
};
use keystead_plugin_store::Store;

/// How many processes write at the same time.
const WRITERS: usize = 8;

/// How often one of them is killed.
const KILLS: u64 = 300;

/// What a secret was last written as.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    value: String,
    step: Option<i64>,
}

/// What is known of one process: each name's state that was acknowledged, and those that the
/// change under way would have led to.
#[derive(Default)]
struct Known {
    sure: BTreeMap<String, State>,
    under_way: BTreeMap<String, Option<State>>,
    /// Whatever it wrote, or tried to, under names that others write as well.
    shared: BTreeSet<(String, String)>,
    done: usize,
}

impl Known {
    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["done"] => {
                for (name, state) in std::mem::take(&mut self.under_way) {
                    match state {
                        Some(state) => self.sure.insert(name, state),
                        None => self.sure.remove(&name),
                    };
                }
                self.done += 1;
            }
            ["try", "remove", name] => {
                self.under_way.insert(name.to_owned(), None);
            }
            ["try", "metadata", name, step] => {
                let value = self.sure[name].value.clone();
                let state = State { value, step: Some(step.parse().unwrap()) };
                self.under_way.insert(name.to_owned(), Some(state));
            }
            ["try", "set", ..] => {
                for pair in words[2..].chunks(2) {
                    let [name, value] = pair else { panic!("{line}") };
                    if name.starts_with("shared/") {
                        self.shared.insert(((*name).to_owned(), (*value).to_owned()));
                        continue;
                    }
                    // Metadata stays.
                    let step = self.sure.get(*name).and_then(|state| state.step);
                    let state = State { value: (*value).to_owned(), step };
                    self.under_way.insert((*name).to_owned(), Some(state));
                }
            }
            _ => panic!("a writer said `{line}`"),
        }
    }
}

struct Writer {
    child: Child,
    reader: JoinHandle<Known>,
}

impl Writer {
    fn start(folder: &Path, key: &Path, number: u64, seed: u64) -> Self {
        let mut child = Command::new(program())
            .args([folder, key])
            .args([number.to_string(), (seed ^ number << 32 | 1).to_string()])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let reader = thread::spawn(move || {
            let mut known = Known::default();
            for line in out.split(b'\n') {
                known.line(&String::from_utf8(line.unwrap()).unwrap());
            }
            known
        });
        Self { child, reader }
    }

    fn kill(mut self) -> Known {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.code().is_none(), "it ended by itself: {status}");
        self.reader.join().unwrap()
    }
}

/// Returns the writer, which cargo builds with all targets of this package.
fn program() -> PathBuf {
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let program = deps.with_file_name("examples").join("writer");
    assert!(program.is_file(), "run `cargo build -p keystead-plugin-store --examples` before");
    program
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(120))
}

fn open(folder: &Path, key: &Path) -> Box<dyn Vault> {
    let mut parameters = Parameters::new();
    for (name, path) in [("path", folder), ("key-file", key)] {
        parameters.insert(name, ParameterValue::Text(path.to_str().unwrap().to_owned()));
    }
    let name = VaultName::parse("killed").unwrap();
    let request = OpenRequest::new(name, "store", parameters, soon());
    Store::open(request, Context::silent()).unwrap()
}

/// Returns everything that is in a vault.
fn all(vault: &mut dyn Vault) -> BTreeMap<String, State> {
    let mut found = BTreeMap::new();
    let mut page = ListRequest::new(soon());
    loop {
        let listed = vault.list(&page).unwrap();
        for entry in listed.entries {
            let Secret { value, metadata, .. } =
                vault.get(&GetRequest::new(entry.name.clone(), soon())).unwrap();
            let Value::Text(text) = value else { panic!("{} is no text", entry.name) };
            let step = metadata.get("step").map(|step| match step {
                MetadataValue::Integer(step) => *step,
                other => panic!("{other:?}"),
            });
            let state = State { value: text.expose().to_owned(), step };
            assert!(found.insert(entry.name.to_string(), state).is_none());
        }
        match listed.next {
            Some(next) => page.after = Some(next),
            None => return found,
        }
    }
}

#[test]
fn what_was_acknowledged_outlives_the_death_of_its_writer() {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
    let home = tempfile::Builder::new().prefix("keystead-killed-").tempdir_in(base).unwrap();
    let (folder, key) = (home.path().join("vault"), home.path().join("key"));
    let seed = RandomState::new().build_hasher().finish();

    // The first of them make the vault and its key file, all at once.
    let mut started = 0;
    let mut start = || {
        started += 1;
        Writer::start(&folder, &key, started, seed)
    };
    let mut writers: Vec<Writer> = (0..WRITERS).map(|_| start()).collect();
    let mut known: Vec<Known> = Vec::new();
    let mut random = seed | 1;
    for _ in 0..KILLS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        thread::sleep(Duration::from_micros(500 + (random >> 40) % 12_000));
        let at = (random >> 33) as usize % WRITERS;
        known.push(std::mem::replace(&mut writers[at], start()).kill());
    }
    known.extend(writers.into_iter().map(Writer::kill));

    let mut vault = open(&folder, &key);
    let mut found = all(&mut *vault);
    let mut shared: BTreeMap<String, State> = BTreeMap::new();
    found.retain(|name, state| {
        let is_shared = name.starts_with("shared/");
        if is_shared {
            shared.insert(name.clone(), state.clone());
        }
        !is_shared
    });
    for (name, state) in shared {
        let tried =
            known.iter().any(|one| one.shared.contains(&(name.clone(), state.value.clone())));
        assert!(tried, "seed {seed}: nobody wrote what `{name}` has");
    }
    let mut done = 0;
    for one in &known {
        done += one.done;
        // What was under way was done whole, or not at all.
        let after = one.under_way.iter().all(|(name, state)| found.get(name) == state.as_ref());
        let before = one.under_way.keys().all(|name| found.get(name) == one.sure.get(name));
        assert!(after || before, "seed {seed}: {:?} was done in part", one.under_way);
        for (name, state) in &one.sure {
            if !one.under_way.contains_key(name) {
                assert_eq!(found.get(name), Some(state), "seed {seed}: `{name}`");
            }
            found.remove(name);
        }
        one.under_way.keys().for_each(|name| drop(found.remove(name)));
    }
    assert!(found.is_empty(), "seed {seed}: nobody wrote {:?}", found.keys());
    assert!(done as u64 > KILLS, "seed {seed}: only {done} writes were acknowledged");
    let said = vault.act(&ActRequest::new("verify", Parameters::new(), soon())).unwrap().message;
    assert!(said.starts_with("everything is as it was written"), "seed {seed}: {said}");
}
