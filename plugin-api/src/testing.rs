//! The conformance suite: one check for each obligation that the contract names, over
//! anything that can open vaults. [`check`] is for an author's own tests; [`run`] is what
//! `keystead plugin test` calls with a plugin file.
//!
//! The suite writes only secrets whose names begin with [`NAME_PREFIX`], and removes them
//! again; what else is in the vault it lists and never reads, unless the vault cannot be
//! written to.

mod bench;
mod call;
mod checks;
mod concurrent;
mod handle;
mod lane;
mod life;
mod linked;
mod lock;
mod many;
mod pace;
mod pages;
mod read;
mod sample;
mod schedule;
mod stop;
mod version;
mod write;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::manifest::{Capability, Kind, NameRule};
use crate::value::{SecretText, ValueKind};
use crate::vault::{Answer, Session, Vault};

pub use call::MARGIN;
use checks::CHECKS;
pub use linked::{check, Linked};
pub use schedule::run;
pub use stop::Stop;

/// What the name of every secret starts with that the suite writes.
pub const NAME_PREFIX: &str = "keystead-conformance-";

/// Something that opens the vaults which are to be checked, from several threads.
pub trait Subject: Sync {
    /// Opens the vault of this name, with the same parameters each time. The suite opens
    /// two names, `keystead-conformance` and `keystead-conformance-2`, and may hold several
    /// handles of each. Where calls take long and vaults are in [different places](Places::Separate),
    /// it tries further names, which end in `-3` to `-18`, and does without those that do not open.
    fn open(&self, vault: &str, session: Option<Session>) -> Result<Box<dyn Vault>>;

    /// Takes the session that a vault handed over last, to
    /// [`Context::keep_session`](crate::Context::keep_session); none after `forget_session`.
    fn kept_session(&self) -> Option<Session> {
        None
    }

    /// Says whether vaults of different names keep their secrets in different places.
    fn places(&self) -> Places {
        Places::PerhapsShared
    }

    /// Returns the files and directories that the vault's parameters name: opening must not
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
    fn logged(&self) -> Vec<String> {
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
    /// How long the suite may take; absent: until everything was tried. What does not fit is
    /// [not tried](Outcome::NotTried).
    pub most: Option<Duration>,
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
            most: None,
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
    /// The obligation was not checked because there was no time left: see [`Declared::most`].
    #[non_exhaustive]
    NotTried {
        /// The obligation's name.
        obligation: &'static str,
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
        if let Outcome::NotApplicable { obligation, .. } | Outcome::NotTried { obligation } =
            outcome
        {
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
            | Self::NotApplicable { obligation, .. }
            | Self::NotTried { obligation } => obligation,
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
            Self::NotTried { obligation } => {
                write!(f, "{obligation}: not tried, there was no time left")
            }
        }
    }
}

/// Returns the name of every obligation, in the order they are checked.
pub fn obligations() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|check| check.obligation)
}
