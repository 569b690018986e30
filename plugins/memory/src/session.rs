//! Sessions, from an unlock for a later open: the moment of expiry, then the password.
//!
//! A real vault would return a key that becomes useless on expiry; this plugin has no cryptography
//! and no server.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keystead_plugin_api::{SecretBytes, SecretText, Session};

/// Lifetime of a session: long enough for a script, shorter than a lunch break.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// Returns a session that opens a vault with this password, valid from now.
pub(crate) fn new(password: &SecretText) -> Session {
    Session::new(until(now() + LIFETIME, password), LIFETIME)
}

/// Returns whether a session is for this password and has not expired.
pub(crate) fn is_good(session: &Session, password: &SecretText) -> bool {
    let mut end = [0; 8];
    match session.secret.expose().get(..8) {
        Some(bytes) => end.copy_from_slice(bytes),
        None => return false,
    }
    let end = Duration::from_secs(u64::from_be_bytes(end));
    let now = now();
    // `new` never writes an expiry further ahead than one lifetime.
    now < end && end <= now + LIFETIME && session.secret == until(end, password)
}

fn until(end: Duration, password: &SecretText) -> SecretBytes {
    SecretBytes::new([&end.as_secs().to_be_bytes(), password.expose().as_bytes()].concat())
}

/// Returns the time since 1970; with an earlier clock, sessions are never valid.
fn now() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_secs(now.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_with_other_password_or_expired_is_rejected() {
        let password = SecretText::new("canary-password");
        assert!(is_good(&new(&password), &password));
        assert!(!is_good(&new(&password), &SecretText::new("another")));

        for end in [now(), now() - LIFETIME, now() + LIFETIME * 2, Duration::ZERO] {
            let secret = until(end, &password);
            assert!(!is_good(&Session::new(secret, LIFETIME), &password), "{end:?}");
        }
        for bytes in [&b""[..], &[0xff; 7], &[0xff; 8], &[0xff; 40]] {
            let secret = SecretBytes::copy_of(bytes);
            assert!(!is_good(&Session::new(secret, LIFETIME), &password));
        }
    }
}
