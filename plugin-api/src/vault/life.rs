//! What unlocking, locking, testing and the end of a registration are told and answer.

use std::time::Duration;

use super::Deadline;
use crate::value::{SecretBytes, SecretText};

/// One answer to a [`Prompt`](crate::Prompt).
#[non_exhaustive]
#[derive(Debug)]
pub struct Answer {
    /// The prompt's name.
    pub name: String,
    /// What was typed.
    pub value: SecretText,
}

impl Answer {
    /// Answers the prompt of this name.
    pub fn new(name: impl Into<String>, value: SecretText) -> Self {
        Self { name: name.into(), value }
    }
}

/// Answers a challenge.
#[non_exhaustive]
#[derive(Debug)]
pub struct UnlockRequest {
    /// The challenge's id.
    pub challenge: String,
    /// An answer to each of its prompts.
    pub answers: Vec<Answer>,
    /// Until when: unlocking has a deadline of its own, for key derivation.
    pub deadline: Deadline,
}

impl UnlockRequest {
    /// Answers this challenge.
    pub fn new(challenge: impl Into<String>, answers: Vec<Answer>, deadline: Deadline) -> Self {
        Self { challenge: challenge.into(), answers, deadline }
    }

    /// Returns the answer to the prompt of this name.
    pub fn answer(&self, name: &str) -> Option<&SecretText> {
        self.answers.iter().find(|answer| answer.name == name).map(|answer| &answer.value)
    }
}

/// An opaque secret that reopens a vault without another login.
#[non_exhaustive]
#[derive(Debug)]
pub struct Session {
    /// What [`Plugin::open`](crate::Plugin::open) may be given back: at most
    /// [`MAX_SESSION_BYTES`](crate::MAX_SESSION_BYTES).
    pub secret: SecretBytes,
    /// For how long the vault will take it.
    pub lifetime: Duration,
}

impl Session {
    /// Returns a session that is good for this long.
    pub fn new(secret: SecretBytes, lifetime: Duration) -> Self {
        Self { secret, lifetime }
    }
}

/// The answers were right. A session goes to
/// [`Context::keep_session`](crate::Context::keep_session).
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unlocked {}

/// Requests that say nothing but until when.
macro_rules! plain_requests {
    ($( $(#[$doc:meta])* $name:ident; )*) => {$(
        $(#[$doc])*
        #[non_exhaustive]
        #[derive(Debug, Clone, Copy)]
        pub struct $name {
            /// Until when.
            pub deadline: Deadline,
        }

        impl $name {
            /// Returns a request with this deadline.
            pub fn new(deadline: Deadline) -> Self {
                Self { deadline }
            }
        }
    )*};
}

plain_requests! {
    /// Asks a vault to forget what unlocked it.
    LockRequest;
    /// Asks whether the vault could do its work.
    TestRequest;
    /// Tells a vault that its registration ends.
    UnregisterRequest;
    /// Asks what only this vault can do.
    ActionsRequest;
    /// Asks for the rules of the vault.
    RulesRequest;
}

/// The vault is locked.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Locked {}

/// The vault could do its work.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestReport {}

/// The vault knows that its registration ends.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unregistered {}
