//! Version of a file's content: the text that a plugin reads and passes back. The user sees its
//! size and time if another version is there by now.

use std::fmt;

use jiff::Timestamp;
use keystead_plugin_api::{Error, Result};
use rustix::fs::Stat;
use sha2::{Digest as _, Sha256};

/// One content of a file. Its text is `SIZE SECONDS SHA256`, for the host alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    size: u64,
    /// Time of the last write, in seconds.
    written: i64,
    sha256: [u8; 32],
}

impl Version {
    /// Returns the version of a file with this content and in this state.
    pub(super) fn of(content: &[u8], stat: &Stat) -> Self {
        #[allow(clippy::unnecessary_cast, reason = "its width differs by platform")]
        let written = stat.st_mtime as i64;
        Self { size: content.len() as u64, written, sha256: Sha256::digest(content).into() }
    }

    /// Returns whether both have the same content, whenever it was written.
    pub(super) fn has_content_of(&self, other: &Self) -> bool {
        self.sha256 == other.sha256
    }

    /// Returns the text that a plugin stores.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{} {} ", self.size, self.written);
        for byte in self.sha256 {
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }

    /// Returns the version with this text.
    ///
    /// # Errors
    /// Invalid: no host wrote the text.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let parsed = || {
            let mut parts = text.split(' ');
            let (size, written) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            let digits = parts.next().filter(|hex| hex.len() == 64 && hex.is_ascii())?;
            let mut sha256 = [0; 32];
            for (at, byte) in sha256.iter_mut().enumerate() {
                *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
            }
            let version = Self { size, written, sha256 };
            (version.text() == text).then_some(version)
        };
        parsed().ok_or_else(|| Error::invalid("the version expected is none that the host gave"))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.size)?;
        match Timestamp::from_second(self.written) {
            Ok(time) => write!(f, " of {time}"),
            Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_text_not_written_by_host_is_rejected() {
        let version = Version { size: 3, written: -1, sha256: [0xa5; 32] };
        let text = version.text();
        assert_eq!(Version::parse(&text).unwrap(), version);
        assert_eq!(version.to_string(), "3 bytes of 1969-12-31T23:59:59Z");
        let long = format!("{text} ");
        let (upper, plus) = (text.to_uppercase(), format!("+{text}"));
        for wrong in ["", "3", "3 -1", "3 -1 ab", &text[1..], &long, &upper, &plus, "é"] {
            let error = Version::parse(wrong).unwrap_err();
            assert_eq!(error.kind(), keystead_plugin_api::ErrorKind::Invalid, "{wrong}");
        }
    }
}
