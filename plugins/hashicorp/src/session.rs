//! A session: the token and its lifetime.

use std::time::Duration;

use keystead_plugin_api::{SecretBytes, SecretText, Session};

use crate::ticket::{Origin, Ticket};

/// Marker of this session format; later formats have another.
const MARK: &str = "keystead-hashicorp-1";

/// Returns the secret of a session for a ticket.
pub(crate) fn write(ticket: &Ticket) -> SecretBytes {
    let ends = ticket.ends.unwrap_or(-1);
    let head = format!("{MARK} {ends} {} {} ", ticket.span.as_secs(), u8::from(ticket.renewable));
    let token = ticket.token.expose().as_bytes();
    let mut bytes = Vec::with_capacity(head.len() + token.len());
    bytes.extend_from_slice(head.as_bytes());
    bytes.extend_from_slice(token);
    SecretBytes::new(bytes)
}

/// Returns the ticket of a session; `None` if the session has another format.
pub(crate) fn read(session: &Session) -> Option<Ticket> {
    let text = std::str::from_utf8(session.secret.expose()).ok()?;
    let mut words = text.splitn(5, ' ');
    if words.next()? != MARK {
        return None;
    }
    let ends: i64 = words.next()?.parse().ok()?;
    let span = words.next()?.parse().ok()?;
    let renewable = words.next()? == "1";
    let token = words.next()?;
    if token.is_empty() || token.contains(char::is_control) {
        return None;
    }
    let mut ticket = Ticket::unknown(SecretText::new(token), Origin::Session);
    ticket.ends = (ends >= 0).then_some(ends);
    ticket.span = Duration::from_secs(span);
    ticket.renewable = renewable;
    Some(ticket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_round_trips_login_token() {
        let mut ticket = Ticket::unknown(SecretText::new("hvs.canary"), Origin::Answered);
        ticket.ends = Some(crate::now() + 60_000);
        ticket.span = Duration::from_secs(90);
        ticket.renewable = true;
        let session = ticket.session().unwrap();
        assert!(session.lifetime <= Duration::from_secs(60));
        let again = read(&session).unwrap();
        assert_eq!((again.ends, again.span, again.renewable), (ticket.ends, ticket.span, true));
        assert!(again.token == ticket.token && again.origin == Origin::Session);
        for wrong in [&b"nonsense"[..], b"", b"\xff", b"keystead-hashicorp-1 1 2 1 "] {
            let lifetime = Duration::from_secs(1);
            let session = Session::new(SecretBytes::copy_of(wrong), lifetime);
            assert!(read(&session).is_none());
        }
    }
}
