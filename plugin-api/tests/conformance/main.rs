//! The conformance suite itself: it passes what is sound, and names the one obligation
//! that a vault breaks.

mod faulty;
mod paced;
mod place;
mod slow;

use std::collections::BTreeSet;

use keystead_plugin_api::manifest::Capability;
use keystead_plugin_api::testing::{self, Declared, Outcome, Stop, Subject};
use keystead_plugin_api::{Error, ErrorKind, Result, Session, Value, Vault};

use faulty::{Faults, PASSWORD};

fn outcomes(subject: &dyn Subject, declared: &Declared) -> Vec<Outcome> {
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
fn documented_obligations_match_checks() {
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
fn correct_vault_passes_and_suite_leaves_no_secrets() {
    let sound = Faults::new("none");
    sound.insert("keystead-conformance", "of somebody else", Value::text("canary"));
    sound.insert("keystead-conformance", "keystead-conformance-left-behind", Value::text("x"));
    let declared = sound.declared();
    let outcomes = outcomes(&sound, &declared);
    assert_eq!(broken(&outcomes), [""; 0], "{outcomes:#?}");
    assert_eq!(skipped(&outcomes), ["unsupported", "set-kind"]);
    let reported: Vec<&str> = outcomes.iter().map(Outcome::obligation).collect();
    assert_eq!(reported, testing::obligations().collect::<Vec<_>>());
    assert_eq!(sound.names("keystead-conformance"), ["of somebody else"]);
    assert_eq!(sound.names("keystead-conformance-2"), [""; 0]);
}

#[test]
fn read_only_vault_passes_without_writes() {
    let mut sound = Faults::new("none");
    sound.capabilities.clear();
    sound.locked = false;
    for n in 0..25 {
        sound.insert("keystead-conformance", &format!("secret {n:02}"), Value::text("canary"));
    }
    let before = sound.names("keystead-conformance");
    let declared = sound.declared();
    let outcomes = outcomes(&sound, &declared);
    assert_eq!(broken(&outcomes), [""; 0], "{outcomes:#?}");
    for obligation in ["unsupported", "get-missing", "get-many-each", "list-limit", "deadline"] {
        assert!(!skipped(&outcomes).contains(&obligation), "{obligation} was not checked");
    }
    assert_eq!(sound.names("keystead-conformance"), before);
}

#[test]
fn each_broken_obligation_alone_is_reported() {
    for fault in testing::obligations() {
        let faulty = Faults::new(fault);
        let mut declared = faulty.declared();
        declared.many = Some(50);
        let outcomes = outcomes(&faulty, &declared);
        assert_eq!(broken(&outcomes), [fault], "{outcomes:#?}");
        let shown = outcomes.iter().find(|outcome| outcome.is_broken()).unwrap().to_string();
        assert!(shown.starts_with(&format!("{fault}: expected ")), "{shown}");
    }
}

#[test]
fn locked_vault_without_answers_breaks_no_obligation() {
    let sound = Faults::new("none");
    let mut declared = sound.declared();
    declared.answers.clear();
    let outcomes = outcomes(&sound, &declared);
    assert_eq!(broken(&outcomes), [""; 0], "{outcomes:#?}");
    let why = outcomes.iter().find(|outcome| outcome.obligation() == "get-missing").unwrap();
    assert!(why.to_string().contains("no answer was given for its prompt `password`"), "{why}");
}

#[test]
fn report_redacts_prompt_answer() {
    struct Telling(Faults);
    impl Subject for Telling {
        fn open(&self, vault: &str, session: Option<Session>) -> Result<Box<dyn Vault>> {
            self.0.open(vault, session)
        }

        fn logged(&self) -> Vec<String> {
            vec![format!("unlocked with {PASSWORD}")]
        }
    }
    let faults = Faults::new("none");
    let mut declared = faults.declared();
    declared.many = Some(1);
    let outcomes = outcomes(&Telling(faults), &declared);
    assert_eq!(broken(&outcomes), ["no-secret-in-error"]);
    assert!(!format!("{outcomes:?}").contains(PASSWORD), "{outcomes:?}");
}

#[test]
fn vault_that_fails_to_open_is_error_without_results() {
    struct Closed;
    impl Subject for Closed {
        fn open(&self, _: &str, _: Option<Session>) -> Result<Box<dyn Vault>> {
            Err(Error::unavailable("the server is away"))
        }
    }
    let declared = Faults::new("none").declared();
    let error = testing::run(&Closed, &declared, &mut |_| unreachable!()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn path_created_by_open_breaks_open_no_effect() {
    struct Making(Faults, std::path::PathBuf);
    impl Subject for Making {
        fn open(&self, vault: &str, session: Option<Session>) -> Result<Box<dyn Vault>> {
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
    let outcomes = outcomes(&Making(faults, path), &declared);
    assert_eq!(broken(&outcomes), ["open-no-effect"]);
}

#[test]
fn stopped_check_removes_its_secrets_and_ends_report() {
    for after in ["open-no-effect", "get-what-was-set", "list-no-values"] {
        let sound = Faults::new("none");
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
        testing::run(&sound, &declared, report).unwrap();
        assert_eq!(reported.last(), Some(&after));
        assert_eq!(sound.names("keystead-conformance"), [""; 0]);
        assert_eq!(stop.left(), 0);
    }
}

#[test]
fn check_stopped_during_write_removes_its_secrets() {
    let mut sound = Faults::new("none");
    let mut declared = sound.declared();
    declared.many = Some(100);
    declared.stop = Stop::new();
    sound.stops = Some(("keystead-conformance-many-00050", declared.stop.clone()));
    let mut last = "";
    testing::run(&sound, &declared, &mut |outcome| last = outcome.obligation()).unwrap();
    assert_eq!(last, "version-missing");
    assert_eq!(sound.names("keystead-conformance"), [""; 0]);
    assert_eq!(declared.stop.left(), 0);
}

#[test]
fn stopped_check_counts_unremovable_secrets() {
    let mut stuck = Faults::new("removes nothing");
    let mut declared = stuck.declared();
    declared.many = Some(100);
    declared.stop = Stop::new();
    stuck.stops = Some(("keystead-conformance-many-00005", declared.stop.clone()));
    testing::run(&stuck, &declared, &mut |_| {}).unwrap();
    let names = stuck.names("keystead-conformance");
    let many = names.iter().filter(|name| name.contains("-many-")).count();
    let standing = ["missing-but-longer", "some-b", "some-c"];
    let standing =
        names.iter().filter(|name| standing.iter().any(|end| name.ends_with(end))).count();
    assert_eq!((many, standing, declared.stop.left()), (6, 3, 9));
}

#[test]
fn endless_listing_ends_check() {
    let empty = Faults::new("empty pages for ever");
    let declared = empty.declared();
    let found = outcomes(&empty, &declared);
    assert_eq!(broken(&found), ["list-advances"], "{found:#?}");
    let shown = found.iter().find(|outcome| outcome.is_broken()).unwrap().to_string();
    assert!(shown.ends_with("found 1000 empty pages in a row"), "{shown}");

    let full = Faults::new("the same page for ever");
    let declared = full.declared();
    let found = outcomes(&full, &declared);
    assert_eq!(broken(&found), ["list-all"], "{found:#?}");

    let new = Faults::new("new names for ever");
    let declared = new.declared();
    let found = outcomes(&new, &declared);
    assert_eq!(broken(&found), [""; 0], "{found:#?}");
    assert!(skipped(&found).contains(&"list-all"), "{found:#?}");
}
