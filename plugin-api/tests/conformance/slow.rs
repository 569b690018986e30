//! Vaults whose calls take long: the suite ends in time, says what it tried, and finds what it finds
//! of a quick one.

use std::time::{Duration, Instant};

use keystead_plugin_api::manifest::Capability;
use keystead_plugin_api::testing::{self, Outcome, Places, Stop};
use keystead_plugin_api::{Value, ValueKind};

use crate::faulty::Faults;
use crate::paced::Paced;
use crate::{broken, outcomes, skipped};

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

/// Returns the obligations that there was no time for.
fn not_tried(outcomes: &[Outcome]) -> Vec<&'static str> {
    let is_left = |outcome: &&Outcome| matches!(outcome, Outcome::NotTried { .. });
    outcomes.iter().filter(is_left).map(Outcome::obligation).collect()
}

/// Who else may call the vault while a check does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    /// Whoever has a vault with a place of its own.
    Apart,
    /// Whoever has a handle of the same vault.
    Handles,
    /// Nobody.
    Nobody,
}

fn paced(mut vaults: Faults, beside: Beside, pause: u64) -> Paced {
    // How many secrets others have just now makes no call more.
    vaults.page = 1_000;
    vaults.capabilities.retain(|capability| *capability != Capability::Concurrent);
    if beside == Beside::Handles {
        vaults.capabilities.push(Capability::Concurrent);
    }
    let mut slow = Paced::new(vaults, Duration::from_millis(pause));
    slow.places = match beside {
        Beside::Apart => Places::Separate,
        Beside::Handles | Beside::Nobody => Places::PerhapsShared,
    };
    slow
}

#[test]
fn slow_vault_check_ends_in_10_s_and_reports_untried() {
    use Beside::{Apart, Handles, Nobody};
    // Vaults, who else may call them, milliseconds of a call, and whether everything is tried.
    type Case = (fn() -> Faults, Beside, u64, bool);
    let cases: [Case; 30] = [
        (only_read, Nobody, 1, true),
        (only_read, Nobody, 20, true),
        (only_read, Nobody, 50, true),
        (only_read, Nobody, 100, true),
        (only_read, Nobody, 200, false),
        (only_read, Handles, 100, true),
        (only_read, Handles, 200, false),
        (ordinary, Nobody, 1, true),
        (ordinary, Nobody, 10, true),
        (ordinary, Nobody, 20, true),
        (ordinary, Nobody, 50, false),
        (ordinary, Apart, 1, true),
        (ordinary, Apart, 20, true),
        (ordinary, Apart, 50, true),
        (ordinary, Apart, 200, true),
        (ordinary, Handles, 20, true),
        (ordinary, Handles, 50, true),
        (ordinary, Handles, 100, true),
        (ordinary, Handles, 200, false),
        (with_everything, Nobody, 10, true),
        (with_everything, Nobody, 50, false),
        (with_everything, Apart, 1, true),
        (with_everything, Apart, 20, true),
        (with_everything, Apart, 50, true),
        (with_everything, Apart, 100, true),
        (with_everything, Apart, 200, false),
        (with_everything, Handles, 20, true),
        (with_everything, Handles, 50, true),
        (with_everything, Handles, 100, true),
        (with_everything, Handles, 200, false),
    ];
    for (vaults, beside, pause, whole) in cases {
        let slow = paced(vaults(), beside, pause);
        let mut declared = slow.vaults.declared();
        declared.most = Some(Duration::from_secs(9));
        let found = outcomes(&slow, &declared);
        let case = format!("{} {:?} {} ms", declared.capabilities.len(), beside, pause);
        let left = not_tried(&found);
        assert_eq!(broken(&found), [""; 0], "{case}: {found:#?}");
        assert_eq!(found.len(), testing::obligations().count(), "{case}");
        assert!(slow.spent() <= Duration::from_secs(10), "{case}: {:?}", slow.spent());
        assert_eq!(left.is_empty(), whole, "{case}: {left:?} in {:?}", slow.spent());
        for vault in slow.vaults.vaults() {
            let ours = |name: &String| name.starts_with(testing::NAME_PREFIX);
            assert!(!slow.vaults.names(&vault).iter().any(ours), "{case}: {vault}");
        }
    }
}

#[test]
fn slow_vault_report_states_reduced_secret_count() {
    for (pause, beside) in [(1, Beside::Apart), (20, Beside::Nobody), (20, Beside::Apart)] {
        let slow = paced(ordinary(), beside, pause);
        let found = outcomes(&slow, &slow.vaults.declared());
        let tried = tried(&found);
        let has = |name: &str| tried.iter().any(|(obligation, _)| *obligation == name);
        assert!(tried.iter().all(|(_, count)| *count > 0), "{tried:?}");
        assert!(has("list-all"), "{tried:?}");
        for name in ["set-atomic", "remove-only-that", "get-missing", "list-limit"] {
            assert_eq!(has(name), pause == 20, "{name}: {tried:?}");
        }
    }
}

#[test]
fn very_slow_vault_without_time_limit_tries_all_obligations() {
    for beside in [Beside::Apart, Beside::Handles, Beside::Nobody] {
        let [quick, slow] = [1, 200].map(|pause| {
            let slow = paced(with_everything(), beside, pause);
            let found = outcomes(&slow, &slow.vaults.declared());
            assert_eq!((not_tried(&found), broken(&found)), (vec![], vec![]), "{beside:?}");
            skipped(&found)
        });
        assert_eq!(quick, slow, "{beside:?}");
    }
}

#[test]
fn broken_obligation_alone_is_reported_in_parallel_checks() {
    // These show with more secrets than a slow vault is tried with.
    const SHOWN_BY_MORE: [&str; 4] = ["list-all", "list-advances", "list-as-given", "set-atomic"];
    for fault in testing::obligations().filter(|fault| !SHOWN_BY_MORE.contains(fault)) {
        let slow = Paced::new(Faults::new(fault), Duration::from_millis(50));
        let found = outcomes(&slow, &slow.vaults.declared());
        assert_eq!(broken(&found), [fault], "{found:#?}");
    }
}

#[test]
fn stopped_parallel_checks_remove_their_secrets() {
    for beside in [Beside::Apart, Beside::Handles] {
        let mut slow = paced(with_everything(), beside, 50);
        let mut declared = slow.vaults.declared();
        declared.stop = Stop::new();
        slow.vaults.stops = Some(("keystead-conformance-create-only", declared.stop.clone()));
        testing::run(&slow, &declared, &mut |outcome| {
            assert!(!outcome.is_broken(), "{outcome}");
        })
        .unwrap();
        assert!(declared.stop.is_stopped());
        for vault in slow.vaults.vaults() {
            assert_eq!(slow.vaults.names(&vault), [""; 0], "{vault}");
        }
        assert_eq!(declared.stop.left(), 0);
    }
}

#[test]
fn given_secret_count_is_kept_for_slow_vault() {
    let vaults = Faults::new("none");
    let mut declared = vaults.declared();
    declared.many = Some(90);
    let found = outcomes(&Paced::new(vaults, Duration::from_millis(50)), &declared);
    assert!(tried(&found).contains(&("list-all", 90)), "{found:#?}");
    let shown = found.iter().find(|outcome| outcome.obligation() == "list-all").unwrap();
    assert_eq!(shown.to_string(), "list-all: passed with 90 secrets");
}

/// On a clock that runs. All cases are the table of docs/guides/writing-a-plugin.md, and take minutes:
/// `KEYSTEAD_MEASURE=1`. Without it, the first one of the last vault.
#[test]
fn vault_with_real_delays_keeps_every_obligation() {
    type Case = (&'static str, fn() -> Faults);
    let all: [Case; 3] =
        [("only read", only_read), ("written to", ordinary), ("everything", with_everything)];
    let measures = std::env::var_os("KEYSTEAD_MEASURE").is_some();
    let (cases, orders, pauses) = match measures {
        true => {
            (&all[..], &[Beside::Apart, Beside::Handles, Beside::Nobody][..], &[1, 20, 50, 200][..])
        }
        false => (&all[2..], &[Beside::Apart][..], &[1][..]),
    };
    for (what, vaults) in cases {
        for (beside, pause) in
            orders.iter().flat_map(|beside| pauses.iter().map(move |ms| (*beside, *ms)))
        {
            let slow = paced(vaults(), beside, pause).sleeping();
            let mut declared = slow.vaults.declared();
            declared.most = Some(Duration::from_secs(9));
            let began = Instant::now();
            let found = outcomes(&slow, &declared);
            let (left, took) = (not_tried(&found).len(), began.elapsed());
            assert_eq!(broken(&found), [""; 0], "{found:#?}");
            println!("{what}, {beside:?}, {pause} ms: {took:.1?}, {left} not tried");
        }
    }
}
