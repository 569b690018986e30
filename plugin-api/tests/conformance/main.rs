//! The conformance suite itself: it passes what is sound, and names the one obligation
//! that a vault breaks.

mod faulty;
mod paced;
mod place;

use std::collections::BTreeSet;
use std::time::Duration;

use keystead_plugin_api::manifest::Capability;
use keystead_plugin_api::testing::{self, Declared, Outcome, Stop, Subject};
use keystead_plugin_api::{Error, ErrorKind, Result, Session, Value, ValueKind, Vault};

use faulty::{Faults, PASSWORD};
use paced::Paced;

fn outcomes(subject: &mut dyn Subject, declared: &Declared) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    testing::run(subject, declared, &mut |outcome| outcomes.push(outcome.clone())).unwrap();
    outcomes
}

fn broken(outcomes: &[Outcome]) -> Vec<&'static str> {
    outcomes.iter().filter(|outcome| outcome.is_broken()).map(Outcome::obligation).collect()
}

fn skipped(outcomes: &[Outcome]) -> Vec<&'static str> {
    let is_skipped = |outcome: &&Outcome| matches!(outcome, Outcome::NotApplicable { .. });
    outcomes.iter().filter(is_skipped).map(Outcome::obligation).collect()
}

#[test]
fn every_obligation_in_the_docs_has_a_check_and_no_check_is_without_one() {
    let mut promised = BTreeSet::new();
    for source in [include_str!("../../src/vault.rs"), include_str!("../../src/plugin.rs")] {
        for line in source.lines() {
            if let Some(rest) = line.trim_start().strip_prefix("/// - **") {
                let (name, _) = rest.split_once("**:").expect("a bullet is `- **name**: text`");
                assert!(promised.insert(name), "{name} is promised twice");
            }
        }
    }
    let checked: BTreeSet<&str> = testing::obligations().collect();
    assert_eq!(promised, checked);
    assert_eq!(testing::obligations().count(), checked.len(), "a check is there twice");
}

#[test]
fn a_sound_vault_passes_and_nothing_of_the_suite_is_left_in_it() {
    let mut sound = Faults::new("none");
    sound.insert("keystead-conformance", "of somebody else", Value::text("canary"));
    sound.insert("keystead-conformance", "keystead-conformance-left-behind", Value::text("x"));
    let declared = sound.declared();
    let outcomes = outcomes(&mut sound, &declared);
    assert_eq!(broken(&outcomes), [""; 0], "{outcomes:#?}");
    assert_eq!(skipped(&outcomes), ["unsupported", "set-kind"]);
    let reported: Vec<&str> = outcomes.iter().map(Outcome::obligation).collect();
    assert_eq!(reported, testing::obligations().collect::<Vec<_>>());
    assert_eq!(sound.names("keystead-conformance"), ["of somebody else"]);
    assert_eq!(sound.names("keystead-conformance-2"), [""; 0]);
}

#[test]
fn a_vault_that_cannot_be_written_to_passes_and_is_read_only() {
    let mut sound = Faults::new("none");
    sound.capabilities.clear();
    sound.locked = false;
    for n in 0..25 {
        sound.insert("keystead-conformance", &format!("secret {n:02}"), Value::text("canary"));
    }
    let before = sound.names("keystead-conformance");
    let declared = sound.declared();
    let outcomes = outcomes(&mut sound, &declared);
    assert_eq!(broken(&outcomes), [""; 0], "{outcomes:#?}");
    for obligation in ["unsupported", "get-missing", "get-many-each", "list-limit", "deadline"] {
        assert!(!skipped(&outcomes).contains(&obligation), "{obligation} was not checked");
    }
    assert_eq!(sound.names("keystead-conformance"), before);
}

#[test]
fn each_broken_obligation_is_named_and_no_other() {
    for fault in testing::obligations() {
        let mut faulty = Faults::new(fault);
        let mut declared = faulty.declared();
        declared.many = Some(50);
        let outcomes = outcomes(&mut faulty, &declared);
        assert_eq!(broken(&outcomes), [fault], "{outcomes:#?}");
        let shown = outcomes.iter().find(|outcome| outcome.is_broken()).unwrap().to_string();
        assert!(shown.starts_with(&format!("{fault}: expected ")), "{shown}");
    }
}

/// Returns how many secrets each obligation was tried with that was tried with fewer than it could be.
fn tried(outcomes: &[Outcome]) -> Vec<(&'static str, usize)> {
    let tried = |outcome: &Outcome| match outcome {
        Outcome::Passed { obligation, tried, .. } => tried.map(|tried| (*obligation, tried)),
        _ => None,
    };
    outcomes.iter().filter_map(tried).collect()
}

/// Returns vaults that are only read, with a thousand secrets.
fn only_read() -> Faults {
    let mut vaults = Faults::new("none");
    vaults.capabilities.clear();
    vaults.locked = false;
    vaults.page = 1_000;
    for n in 0..1_000 {
        let name = format!("secret {n:04}");
        vaults.insert("keystead-conformance", &name, Value::text("canary"));
    }
    vaults
}

/// Returns vaults that can do what most can do.
fn ordinary() -> Faults {
    let mut vaults = Faults::new("none");
    vaults.capabilities = vec![Capability::Write, Capability::Metadata];
    vaults.values = vec![ValueKind::Text, ValueKind::Credential];
    vaults.locked = false;
    vaults
}

/// Returns vaults that can do everything.
fn with_everything() -> Faults {
    Faults::new("none")
}

#[test]
fn slow_vault_is_checked_with_few_calls_and_the_report_says_how_many_secrets_were_tried() {
    // Vaults, milliseconds of a call, and how many seconds the check may take.
    type Case = (fn() -> Faults, u64, u64);
    let cases: [Case; 12] = [
        (only_read, 1, 3),
        (only_read, 20, 4),
        (only_read, 50, 5),
        (only_read, 200, 14),
        (ordinary, 1, 4),
        (ordinary, 20, 8),
        (ordinary, 50, 15),
        (ordinary, 200, 58),
        (with_everything, 1, 4),
        (with_everything, 20, 12),
        (with_everything, 50, 28),
        (with_everything, 200, 110),
    ];
    for (vaults, pause, most) in cases {
        let vaults = vaults();
        let declared = vaults.declared();
        let writable = declared.can(Capability::Write);
        let mut slow = Paced::new(vaults, Duration::from_millis(pause));
        let found = outcomes(&mut slow, &declared);
        assert_eq!(broken(&found), [""; 0], "{found:#?}");
        assert!(slow.spent() <= Duration::from_secs(most), "{pause} ms: {:?}", slow.spent());
        let tried = tried(&found);
        let has = |name: &str| tried.iter().any(|(obligation, _)| *obligation == name);
        assert!(tried.iter().all(|(_, count)| *count > 0), "{tried:?}");
        assert_eq!(has("list-all"), writable, "{tried:?}");
        assert_eq!(has("set-atomic") && has("remove-only-that"), writable && pause >= 20);
        assert_eq!(has("get-missing"), pause >= 20, "{tried:?}");
        assert!(has("list-limit") || (writable && pause < 20), "{tried:?}");
    }
}

#[test]
fn very_slow_vault_is_tried_for_each_obligation_all_the_same() {
    let [quick, slow] = [1, 200].map(|pause| {
        let vaults = ordinary();
        let declared = vaults.declared();
        skipped(&outcomes(&mut Paced::new(vaults, Duration::from_millis(pause)), &declared))
    });
    assert_eq!(quick, slow);
}

#[test]
fn number_of_secrets_that_is_given_is_written_however_slow_the_vault_is() {
    let vaults = Faults::new("none");
    let mut declared = vaults.declared();
    declared.many = Some(90);
    let found = outcomes(&mut Paced::new(vaults, Duration::from_millis(50)), &declared);
    assert!(tried(&found).contains(&("list-all", 90)), "{found:#?}");
    let shown = found.iter().find(|outcome| outcome.obligation() == "list-all").unwrap();
    assert_eq!(shown.to_string(), "list-all: passed with 90 secrets");
}

#[test]
fn a_locked_vault_without_answers_is_not_blamed() {
    let mut sound = Faults::new("none");
    let mut declared = sound.declared();
    declared.answers.clear();
    let outcomes = outcomes(&mut sound, &declared);
    assert_eq!(broken(&outcomes), [""; 0], "{outcomes:#?}");
    let why = outcomes.iter().find(|outcome| outcome.obligation() == "get-missing").unwrap();
    assert!(why.to_string().contains("no answer was given for its prompt `password`"), "{why}");
}

#[test]
fn a_report_never_shows_the_answer_to_a_prompt() {
    struct Telling(Faults);
    impl Subject for Telling {
        fn open(&mut self, vault: &str, session: Option<Session>) -> Result<Box<dyn Vault>> {
            self.0.open(vault, session)
        }

        fn logged(&mut self) -> Vec<String> {
            vec![format!("unlocked with {PASSWORD}")]
        }
    }
    let faults = Faults::new("none");
    let mut declared = faults.declared();
    declared.many = Some(1);
    let outcomes = outcomes(&mut Telling(faults), &declared);
    assert_eq!(broken(&outcomes), ["no-secret-in-error"]);
    assert!(!format!("{outcomes:?}").contains(PASSWORD), "{outcomes:?}");
}

#[test]
fn a_vault_that_does_not_open_is_an_error_and_breaks_nothing() {
    struct Closed;
    impl Subject for Closed {
        fn open(&mut self, _: &str, _: Option<Session>) -> Result<Box<dyn Vault>> {
            Err(Error::unavailable("the server is away"))
        }
    }
    let declared = Faults::new("none").declared();
    let error = testing::run(&mut Closed, &declared, &mut |_| unreachable!()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn a_path_that_opening_makes_is_found() {
    struct Making(Faults, std::path::PathBuf);
    impl Subject for Making {
        fn open(&mut self, vault: &str, session: Option<Session>) -> Result<Box<dyn Vault>> {
            std::fs::write(&self.1, "").unwrap();
            self.0.open(vault, session)
        }

        fn paths(&self, _: &str) -> Vec<std::path::PathBuf> {
            vec![self.1.clone()]
        }
    }
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("made-by-opening");
    let _ = std::fs::remove_file(&path);
    let faults = Faults::new("none");
    let mut declared = faults.declared();
    declared.many = Some(1);
    assert!(declared.can(Capability::Write));
    let outcomes = outcomes(&mut Making(faults, path), &declared);
    assert_eq!(broken(&outcomes), ["open-no-effect"]);
}

#[test]
fn stopped_check_removes_what_it_wrote_and_reports_nothing_more() {
    for after in ["open-no-effect", "get-what-was-set", "list-no-values"] {
        let mut sound = Faults::new("none");
        let mut declared = sound.declared();
        let stop = Stop::new();
        declared.stop = stop.clone();
        let mut reported = Vec::new();
        let report = &mut |outcome: &Outcome| {
            reported.push(outcome.obligation());
            if outcome.obligation() == after {
                stop.stop();
            }
        };
        testing::run(&mut sound, &declared, report).unwrap();
        assert_eq!(reported.last(), Some(&after));
        assert_eq!(sound.names("keystead-conformance"), [""; 0]);
        assert_eq!(stop.left(), 0);
    }
}

#[test]
fn check_stopped_while_it_writes_removes_what_it_wrote() {
    let mut sound = Faults::new("none");
    let mut declared = sound.declared();
    declared.many = Some(100);
    declared.stop = Stop::new();
    sound.stops = Some(("keystead-conformance-many-00050", declared.stop.clone()));
    let mut last = "";
    testing::run(&mut sound, &declared, &mut |outcome| last = outcome.obligation()).unwrap();
    assert_eq!(last, "version-missing");
    assert_eq!(sound.names("keystead-conformance"), [""; 0]);
    assert_eq!(declared.stop.left(), 0);
}

#[test]
fn stopped_check_counts_what_it_cannot_remove() {
    let mut stuck = Faults::new("removes nothing");
    let mut declared = stuck.declared();
    declared.many = Some(100);
    declared.stop = Stop::new();
    stuck.stops = Some(("keystead-conformance-many-00005", declared.stop.clone()));
    testing::run(&mut stuck, &declared, &mut |_| {}).unwrap();
    let names = stuck.names("keystead-conformance");
    let many = names.iter().filter(|name| name.contains("-many-")).count();
    assert_eq!((many, declared.stop.left()), (6, 6));
}

#[test]
fn listing_without_an_end_ends_the_check() {
    let mut empty = Faults::new("empty pages for ever");
    let declared = empty.declared();
    let found = outcomes(&mut empty, &declared);
    assert_eq!(broken(&found), ["list-advances"], "{found:#?}");
    let shown = found.iter().find(|outcome| outcome.is_broken()).unwrap().to_string();
    assert!(shown.ends_with("found 1000 empty pages in a row"), "{shown}");

    let mut full = Faults::new("the same page for ever");
    let declared = full.declared();
    let found = outcomes(&mut full, &declared);
    assert_eq!(broken(&found), ["list-all"], "{found:#?}");

    let mut new = Faults::new("new names for ever");
    let declared = new.declared();
    let found = outcomes(&mut new, &declared);
    assert_eq!(broken(&found), [""; 0], "{found:#?}");
    assert!(skipped(&found).contains(&"list-all"), "{found:#?}");
}
