//! Decision whether to repeat a request, and the pause before that.

use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, SystemTime};

use crate::fault::Fault;
use crate::{Repeat, Reply};

/// The most times one request is sent.
pub(crate) const MOST: u32 = 4;

/// Upper bound of the first random pause. The bound doubles each time.
const FIRST: Duration = Duration::from_millis(100);

/// The longest pause that a server may request: an hour. More would be pointless.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Returns the pause after this reply; `None` if the reply is final.
pub(crate) fn after_reply(reply: &Reply, repeat: Repeat, sent: u32) -> Option<Duration> {
    let again = match reply.status {
        // Over the limit, the server rejects a request before doing anything.
        429 => true,
        500 | 502 | 503 | 504 => repeat == Repeat::Harmless,
        _ => false,
    };
    if !again || sent >= MOST {
        return None;
    }
    Some(reply.wait.unwrap_or_default().max(jitter(sent)))
}

/// Returns the pause after this fault; `None` if the fault is final.
pub(crate) fn after_fault(fault: &Fault, repeat: Repeat, sent: u32) -> Option<Duration> {
    let again = fault.passes && (!fault.sent || repeat == Repeat::Harmless);
    (again && sent < MOST).then(|| jitter(sent))
}

/// Returns a uniformly random pause, so that clients rejected together do not retry together.
fn jitter(sent: u32) -> Duration {
    let most = FIRST * 2u32.pow(sent.saturating_sub(1).min(10));
    // The standard library seeds this anew each time: random enough for a pause.
    let drawn = std::collections::hash_map::RandomState::new().build_hasher().finish();
    most.mul_f64(drawn as f64 / u64::MAX as f64)
}

/// Parses `Retry-After`: seconds, or a date.
pub(crate) fn wait(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    let wait = if header.bytes().all(|byte| byte.is_ascii_digit()) && !header.is_empty() {
        // A number with too many digits is a long time.
        Duration::from_secs(header.parse().unwrap_or(u64::MAX))
    } else {
        let at = httpdate::parse_http_date(header).ok()?;
        at.duration_since(now).unwrap_or_default()
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystead_plugin_api::{Error, SecretBytes};

    fn reply(status: u16, wait: Option<Duration>) -> Reply {
        Reply { status, body: SecretBytes::new(Vec::new()), wait }
    }

    #[test]
    fn request_that_may_have_taken_effect_is_not_retried() {
        let again = |status, repeat| after_reply(&reply(status, None), repeat, 1).is_some();
        assert!(again(429, Repeat::Never) && again(429, Repeat::Harmless));
        assert!(again(503, Repeat::Harmless) && !again(503, Repeat::Never));
        assert!(!again(200, Repeat::Harmless) && !again(404, Repeat::Harmless));
        assert!(!again(501, Repeat::Harmless));
        let fault = |sent, passes| Fault { error: Error::timed_out(), sent, passes };
        assert!(after_fault(&fault(false, true), Repeat::Never, 1).is_some());
        assert!(after_fault(&fault(true, true), Repeat::Never, 1).is_none());
        assert!(after_fault(&fault(true, true), Repeat::Harmless, 1).is_some());
        assert!(after_fault(&fault(false, false), Repeat::Harmless, 1).is_none());
        assert!(after_reply(&reply(429, None), Repeat::Harmless, MOST).is_none());
    }

    #[test]
    fn retry_delay_follows_server_or_random_jitter() {
        let wish = Duration::from_secs(7);
        assert_eq!(after_reply(&reply(429, Some(wish)), Repeat::Never, 1), Some(wish));
        for sent in 1..MOST {
            assert!(jitter(sent) <= FIRST * 2u32.pow(sent - 1));
        }
        let drawn: std::collections::HashSet<_> = (0..50).map(|_| jitter(1)).collect();
        assert!(drawn.len() > 25, "{}", drawn.len());
    }

    #[test]
    fn retry_after_accepts_seconds_or_date_up_to_maximum() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let read = |header: &str| wait(header, now);
        assert_eq!(read(" 120 "), Some(Duration::from_secs(120)));
        assert_eq!(read("Sun, 06 Nov 1994 08:50:07 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("99999999999999999999999"), Some(LONGEST));
        assert_eq!(read("-1"), None);
        assert_eq!(read(""), None);
        assert_eq!(read("soon"), None);
    }
}
