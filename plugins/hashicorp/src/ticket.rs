//! A token that logs in, and what is known of it.

use std::time::Duration;

use keystead_plugin_api::{Error, MAX_SESSION_LIFETIME, Result, SecretText, Session};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Where a token came from: that decides what is done when it is not taken any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The registration says it, or a file that it names.
    Registered,
    /// We logged in with what the registration says, and can again.
    LoggedIn,
    /// Somebody answered a prompt.
    Answered,
    /// A session that an earlier unlock gave out.
    Session,
}

/// A token.
pub(crate) struct Ticket {
    pub(crate) token: SecretText,
    pub(crate) origin: Origin,
    /// When the server will not take it any more, in milliseconds since 1970, where known.
    pub(crate) ends: Option<i64>,
    /// How long it was good for when it was given out or renewed.
    pub(crate) span: Duration,
    pub(crate) renewable: bool,
}

/// What a login answers, and a renewal.
#[derive(Deserialize)]
pub(crate) struct Auth {
    client_token: String,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

/// What the server knows of a token.
#[derive(Deserialize)]
pub(crate) struct Known {
    #[serde(default)]
    ttl: u64,
    #[serde(default)]
    renewable: bool,
}

impl Ticket {
    /// Returns a token that nothing is known of.
    pub(crate) fn unknown(token: SecretText, origin: Origin) -> Self {
        Self { token, origin, ends: None, span: Duration::ZERO, renewable: false }
    }

    /// Returns the token that a login gave out.
    pub(crate) fn of_login(auth: &RawValue, origin: Origin) -> Option<Self> {
        let auth: Auth = serde_json::from_str(auth.get()).ok()?;
        let token = SecretText::new(auth.client_token);
        if token.expose().is_empty() {
            return None;
        }
        let mut ticket = Self::unknown(token, origin);
        ticket.good_for(auth.lease_duration, auth.renewable);
        Some(ticket)
    }

    /// Takes in what the server knows of the token.
    pub(crate) fn known(&mut self, known: &Known) {
        self.good_for(known.ttl, known.renewable);
    }

    /// Takes in a renewal; the token stays.
    pub(crate) fn renewed(&mut self, auth: &RawValue) {
        match serde_json::from_str::<Auth>(auth.get()) {
            Ok(auth) => {
                let _token = SecretText::new(auth.client_token);
                self.good_for(auth.lease_duration, auth.renewable);
            }
            Err(_) => self.renewable = false,
        }
    }

    /// Zero is for ever: root tokens are so.
    fn good_for(&mut self, seconds: u64, renewable: bool) {
        self.span = Duration::from_secs(seconds);
        let millis = i64::try_from(self.span.as_millis()).unwrap_or(i64::MAX);
        self.ends = (seconds > 0).then(|| crate::now().saturating_add(millis));
        self.renewable = renewable;
    }

    /// Says whether it should be renewed now: a third of its time is left.
    pub(crate) fn is_short(&self) -> bool {
        let third = i64::try_from(self.span.as_millis() / 3).unwrap_or(i64::MAX);
        self.renewable && self.ends.is_some_and(|ends| ends.saturating_sub(crate::now()) < third)
    }

    /// Returns a session that reopens the vault as long as the token is good, at most a day.
    pub(crate) fn session(&self) -> Result<Session> {
        let lifetime = match self.ends {
            None => MAX_SESSION_LIFETIME,
            Some(ends) => {
                let left = u64::try_from(ends.saturating_sub(crate::now())).unwrap_or(0);
                Duration::from_millis(left).min(MAX_SESSION_LIFETIME)
            }
        };
        if lifetime.is_zero() {
            return Err(Error::permission_denied("the token has expired already"));
        }
        Ok(Session::new(crate::session::write(self), lifetime))
    }
}
