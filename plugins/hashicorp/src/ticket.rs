//! A login token and its lifetime.

use std::time::Duration;

use keystead_plugin_api::{Error, MAX_SESSION_LIFETIME, Result, SecretText, Session};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Source of a token, which decides what happens when the server rejects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The registration, or a file that it names.
    Registered,
    /// A login with the registration's secret, which can be repeated.
    LoggedIn,
    /// A user's answer to a prompt.
    Answered,
    /// A session from an earlier unlock.
    Session,
}

/// A token with its lifetime.
pub(crate) struct Ticket {
    pub(crate) token: SecretText,
    pub(crate) origin: Origin,
    /// Expiry time in milliseconds since 1970; `None` if unknown or unlimited.
    pub(crate) ends: Option<i64>,
    /// Lifetime from its creation or last renewal.
    pub(crate) span: Duration,
    pub(crate) renewable: bool,
}

/// Reply to a login or a renewal.
#[derive(Deserialize)]
pub(crate) struct Auth {
    client_token: String,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

/// The server's information on a token.
#[derive(Deserialize)]
pub(crate) struct Known {
    #[serde(default)]
    ttl: u64,
    #[serde(default)]
    renewable: bool,
}

impl Ticket {
    /// Returns a token with unknown lifetime.
    pub(crate) fn unknown(token: SecretText, origin: Origin) -> Self {
        Self { token, origin, ends: None, span: Duration::ZERO, renewable: false }
    }

    /// Returns the token from the reply to a login.
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

    /// Updates the lifetime from the server's information.
    pub(crate) fn known(&mut self, known: &Known) {
        self.good_for(known.ttl, known.renewable);
    }

    /// Updates the lifetime after a renewal; the token stays.
    pub(crate) fn renewed(&mut self, auth: &RawValue) {
        match serde_json::from_str::<Auth>(auth.get()) {
            Ok(auth) => {
                let _token = SecretText::new(auth.client_token);
                self.good_for(auth.lease_duration, auth.renewable);
            }
            Err(_) => self.renewable = false,
        }
    }

    /// Sets the lifetime; zero seconds means unlimited, as for root tokens.
    fn good_for(&mut self, seconds: u64, renewable: bool) {
        self.span = Duration::from_secs(seconds);
        let millis = i64::try_from(self.span.as_millis()).unwrap_or(i64::MAX);
        self.ends = (seconds > 0).then(|| crate::now().saturating_add(millis));
        self.renewable = renewable;
    }

    /// Returns whether the token is due for renewal: less than a third of its lifetime is left.
    pub(crate) fn is_short(&self) -> bool {
        let third = i64::try_from(self.span.as_millis() / 3).unwrap_or(i64::MAX);
        self.renewable && self.ends.is_some_and(|ends| ends.saturating_sub(crate::now()) < third)
    }

    /// Returns a session that reopens the vault while the token is valid, at most a day.
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
