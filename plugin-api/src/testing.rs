//! The conformance suite: one check for each obligation that the contract names, over
//! anything that can open vaults. [`check`] is for an author's own tests; [`run`] is what
//! `keystead plugin test` calls with a plugin file.
//!
//! The suite writes only secrets whose names begin with [`NAME_PREFIX`], and removes them
//! again; what else is in the vault it lists and never reads, unless the vault cannot be
//! written to.

mod bench;
mod call;
mod concurrent;
mod life;
mod linked;
mod lock;
mod many;
mod pace;
mod pages;
mod read;
mod sample;
mod stop;
mod version;
mod write;

use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use crate::error::Result;
use crate::manifest::{Capability, Kind, NameRule};
use crate::value::{SecretText, ValueKind};
use crate::vault::{Answer, Session, Vault};

use bench::{Bench, Fault, Verdict};
pub use call::MARGIN;
pub use linked::{check, Linked};
pub use stop::Stop;

/// What the name of every secret starts with that the suite writes.
pub const NAME_PREFIX: &str = "keystead-conformance-";

/// Something that opens the vaults which are to be checked.
pub trait Subject {
    /// Opens the vault of this name, with the same parameters each time. The suite opens
    /// two names, `keystead-conformance` and `keystead-conformance-2`, and may hold several
    /// handles of each.
    fn open(&mut self, vault: &str, session: Option<Session>) -> Result<Box<dyn Vault>>;

    /// Takes the session that a vault handed over last, to
    /// [`Context::keep_session`](crate::Context::keep_session); none after `forget_session`.
    fn kept_session(&mut self) -> Option<Session> {
        None
    }

    /// Says whether vaults of different names keep their secrets in different places.
    fn places(&self) -> Places {
        Places::PerhapsShared
    }

    /// Returns the files and folders that the vault's parameters name: opening must not
    /// make them.
    fn paths(&self, vault: &str) -> Vec<PathBuf> {
        let _ = vault;
        Vec::new()
    }

    /// Returns the time: the suite tries a slow vault with fewer secrets.
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// Takes what the plugin has logged since the last call, where that is known.
    fn logged(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// Whether vaults of different names keep their secrets in different places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Places {
    /// They do: their parameters differ, or a vault's secrets end with its handle.
    Separate,
    /// They may well be two doors to one place.
    PerhapsShared,
}

/// What is said of a kind of vault before it is checked.
#[non_exhaustive]
#[derive(Debug)]
pub struct Declared {
    /// What it can do beyond reading.
    pub capabilities: Vec<Capability>,
    /// Which values it can hold.
    pub values: Vec<ValueKind>,
    /// Whether case matters in names.
    pub names: NameRule,
    /// Right answers to the prompts of a vault that is locked when it is opened.
    pub answers: Vec<Answer>,
    /// How many secrets to write for a listing of many pages; absent: as many as the vault writes
    /// in half a second, at most 2,500.
    pub many: Option<usize>,
    /// Stops the check.
    pub stop: Stop,
}

impl Declared {
    /// Returns a declaration of a vault that is never locked.
    pub fn new(
        capabilities: impl Into<Vec<Capability>>,
        values: impl Into<Vec<ValueKind>>,
        names: NameRule,
    ) -> Self {
        Self {
            capabilities: capabilities.into(),
            values: values.into(),
            names,
            answers: Vec::new(),
            many: None,
            stop: Stop::new(),
        }
    }

    /// Returns what a manifest declares of this kind.
    pub fn of(kind: &Kind) -> Self {
        Self::new(kind.capabilities, kind.values, kind.names)
    }

    /// Adds the right answer to the prompt of this name.
    pub fn answering(mut self, prompt: impl Into<String>, answer: SecretText) -> Self {
        self.answers.push(Answer::new(prompt.into(), answer));
        self
    }

    /// Returns whether the kind has this capability.
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}

/// What one check found.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The vault keeps the obligation, as far as can be seen from outside.
    #[non_exhaustive]
    Passed {
        /// The obligation's name.
        obligation: &'static str,
        /// With how many secrets it was tried, where that depends on the vault's speed.
        tried: Option<usize>,
    },
    /// The vault breaks the obligation.
    Broken {
        /// The obligation's name.
        obligation: &'static str,
        /// What would have been right.
        expected: String,
        /// What the vault did instead. Never the bytes of a secret.
        found: String,
    },
    /// The obligation could not be checked on this vault.
    NotApplicable {
        /// The obligation's name.
        obligation: &'static str,
        /// Why not.
        why: String,
    },
}

/// Asserts that a vault keeps every obligation, and that each was checked but these.
///
/// # Panics
/// At the first obligation that is broken, and where others than these were not checked.
#[track_caller]
pub fn assert_kept(outcomes: &[Outcome], not_applicable: &[&str]) {
    let mut skipped = Vec::new();
    for outcome in outcomes {
        assert!(!outcome.is_broken(), "{}", outcome);
        if let Outcome::NotApplicable { obligation, .. } = outcome {
            skipped.push(*obligation);
        }
    }
    skipped.sort_unstable();
    let mut expected = not_applicable.to_vec();
    expected.sort_unstable();
    assert_eq!(skipped, expected);
}

impl Outcome {
    /// Returns the name of the obligation that was checked.
    pub fn obligation(&self) -> &'static str {
        match self {
            Self::Passed { obligation, .. }
            | Self::Broken { obligation, .. }
            | Self::NotApplicable { obligation, .. } => obligation,
        }
    }

    /// Returns whether the vault breaks the obligation.
    pub fn is_broken(&self) -> bool {
        matches!(self, Self::Broken { .. })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed { obligation, tried: None } => write!(f, "{obligation}: passed"),
            Self::Passed { obligation, tried: Some(1) } => {
                write!(f, "{obligation}: passed with 1 secret")
            }
            Self::Passed { obligation, tried: Some(tried) } => {
                write!(f, "{obligation}: passed with {tried} secrets")
            }
            Self::Broken { obligation, expected, found } => {
                write!(f, "{obligation}: expected {expected}, found {found}")
            }
            Self::NotApplicable { obligation, why } => {
                write!(f, "{obligation}: not checked, {why}")
            }
        }
    }
}

/// One obligation and the function that checks it.
struct Check {
    obligation: &'static str,
    run: fn(&mut Bench<'_>) -> Verdict,
}

/// Every check. The one for deadlines goes first, since a vault that hangs would stop all
/// others; the one for messages goes last, when most messages were seen.
const CHECKS: &[Check] = &[
    Check { obligation: "open-no-login", run: call::open_no_login },
    Check { obligation: "open-no-effect", run: call::open_no_effect },
    Check { obligation: "deadline", run: call::deadline },
    Check { obligation: "no-prompt", run: lock::no_prompt },
    Check { obligation: "unlock-right", run: lock::unlock_right },
    Check { obligation: "unlock-wrong", run: lock::unlock_wrong },
    Check { obligation: "unlock-stale", run: lock::unlock_stale },
    Check { obligation: "lock-locks", run: lock::lock_locks },
    Check { obligation: "locked-no-effect", run: lock::locked_no_effect },
    Check { obligation: "open-own-handle", run: call::open_own_handle },
    Check { obligation: "own-handle", run: call::own_handle },
    Check { obligation: "not-found-only", run: call::not_found_only },
    Check { obligation: "unsupported", run: call::unsupported },
    Check { obligation: "get-what-was-set", run: read::get_what_was_set },
    Check { obligation: "get-missing", run: read::get_missing },
    Check { obligation: "get-empty", run: read::get_empty },
    Check { obligation: "get-no-effect", run: read::get_no_effect },
    Check { obligation: "get-many-each", run: read::get_many_each },
    Check { obligation: "versions-gettable", run: read::versions_gettable },
    Check { obligation: "version-missing", run: version::version_missing },
    Check { obligation: "list-all", run: read::list_all },
    Check { obligation: "list-limit", run: read::list_limit },
    Check { obligation: "list-advances", run: read::list_advances },
    Check { obligation: "list-as-given", run: read::list_as_given },
    Check { obligation: "list-no-values", run: read::list_no_values },
    Check { obligation: "describe-as-listed", run: read::describe_as_listed },
    Check { obligation: "describe-missing", run: read::describe_missing },
    Check { obligation: "set-atomic", run: write::set_atomic },
    Check { obligation: "set-create-only", run: write::set_create_only },
    Check { obligation: "set-replace", run: write::set_replace },
    Check { obligation: "set-kind", run: write::set_kind },
    Check { obligation: "set-metadata-with-value", run: write::set_metadata_with_value },
    Check { obligation: "set-many-each", run: many::set_many_each },
    Check { obligation: "set-many-order", run: many::set_many_order },
    Check { obligation: "set-many-kept", run: many::set_many_kept },
    Check { obligation: "set-many-refused", run: many::set_many_refused },
    Check { obligation: "set-metadata-replaces", run: write::set_metadata_replaces },
    Check { obligation: "set-metadata-missing", run: write::set_metadata_missing },
    Check { obligation: "set-metadata-only", run: write::set_metadata_only },
    Check { obligation: "set-metadata-read-only", run: write::set_metadata_read_only },
    Check { obligation: "remove-then-missing", run: write::remove_then_missing },
    Check { obligation: "remove-missing", run: write::remove_missing },
    Check { obligation: "remove-only-that", run: write::remove_only_that },
    Check { obligation: "set-if-version", run: version::set_if_version },
    Check { obligation: "remove-if-version", run: version::remove_if_version },
    Check { obligation: "set-metadata-if-version", run: version::set_metadata_if_version },
    Check { obligation: "restore-brings-back", run: version::restore_brings_back },
    Check { obligation: "restore-missing", run: version::restore_missing },
    Check { obligation: "restore-taken", run: version::restore_taken },
    Check { obligation: "list-removed-restorable", run: version::list_removed_restorable },
    Check { obligation: "purge-for-good", run: version::purge_for_good },
    Check { obligation: "purge-missing", run: version::purge_missing },
    Check { obligation: "rules-names", run: version::rules_names },
    Check { obligation: "rules-limits", run: version::rules_limits },
    Check { obligation: "rename-moves", run: write::rename_moves },
    Check { obligation: "rename-missing", run: write::rename_missing },
    Check { obligation: "rename-taken", run: write::rename_taken },
    Check { obligation: "concurrent-calls", run: concurrent::concurrent_calls },
    Check { obligation: "concurrent-shows", run: concurrent::concurrent_shows },
    Check { obligation: "concurrent-cursors", run: concurrent::concurrent_cursors },
    Check { obligation: "test-read-only", run: life::test_read_only },
    Check { obligation: "unregister-keeps", run: life::unregister_keeps },
    Check { obligation: "actions-named", run: life::actions_named },
    Check { obligation: "run-action-unknown", run: life::run_action_unknown },
    Check { obligation: "no-secret-in-error", run: call::no_secret_in_error },
];

/// Returns the name of every obligation, in the order they are checked.
pub fn obligations() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|check| check.obligation)
}

/// Checks every obligation and reports one outcome for each, in the order of
/// [`obligations`].
///
/// Calls have the deadline of a minute each. A panic of the vault is not caught here. A check that
/// [`Declared::stop`] has stopped reports nothing more.
///
/// # Errors
/// What [`Subject::open`] answered when the vault does not open at all; nothing was
/// checked then. (A vault that opens only for who has logged in breaks `open-no-login`,
/// and is no such error.)
pub fn run(
    subject: &mut dyn Subject,
    declared: &Declared,
    report: &mut dyn FnMut(&Outcome),
) -> Result<()> {
    let mut bench = Bench::new(subject, declared)?;
    for check in CHECKS {
        let obligation = check.obligation;
        let verdict = match bench.obstacle(obligation) {
            Some(why) => Err(Fault::Elsewhere { why }),
            None => (check.run)(&mut bench),
        };
        let tried = bench.tried.take();
        bench.clean();
        if declared.stop.is_stopped() {
            break;
        }
        report(&match verdict {
            Ok(()) => Outcome::Passed { obligation, tried },
            Err(Fault::Elsewhere { why }) => Outcome::NotApplicable { obligation, why },
            Err(Fault::Broken { expected, found }) => {
                Outcome::Broken { obligation, expected, found: bench.redact(found) }
            }
        });
    }
    Ok(())
}
