//! Conversion of a status to an error of the plugin API, if the vendor has no better error.

use keystead_plugin_api::{Error, ErrorDetail, ErrorKind};

use crate::Reply;

/// Returns the error for a reply that is not a success, with a message on who refused what.
///
/// A 404 is [`ErrorKind::Unavailable`]: only a plugin knows when it means a missing secret.
pub fn refusal(reply: &Reply, message: impl Into<String>) -> Error {
    let kind = match reply.status {
        400 | 411 | 413 | 414 | 422 | 431 => ErrorKind::Invalid,
        401 | 403 | 407 => ErrorKind::PermissionDenied,
        405 | 501 => ErrorKind::Unsupported,
        _ => ErrorKind::Unavailable,
    };
    let error = match reply.status {
        429 => Error::detailed(ErrorDetail::Throttled, message),
        _ => Error::new(kind, message),
    };
    match reply.wait {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystead_plugin_api::SecretBytes;
    use std::time::Duration;

    #[test]
    fn http_status_never_maps_to_not_found() {
        for status in 200..600 {
            let reply = Reply { status, body: SecretBytes::new(Vec::new()), wait: None };
            assert_ne!(refusal(&reply, "x").kind(), ErrorKind::NotFound, "{status}");
        }
        let wait = Some(Duration::from_secs(3));
        let busy = Reply { status: 429, body: SecretBytes::new(Vec::new()), wait };
        let error = refusal(&busy, "x");
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Unavailable, wait));
        assert_eq!(error.detail(), Some(ErrorDetail::Throttled));
    }
}
