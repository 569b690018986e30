//! Address of a server: scheme, host and port, with a path at the start of all requests.

use std::fmt;

use keystead_plugin_api::{Error, Result};
use ureq::http::Uri;

/// The address of a server, such as `https://vault.example:8200`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    scheme: Scheme,
    /// In lower case, with the brackets of an IPv6 address.
    host: String,
    port: u16,
    /// Without a slash at its end; usually empty.
    path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl Address {
    /// Returns the parsed address.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](keystead_plugin_api::ErrorKind::Invalid) unless the text is `http://`
    /// or `https://`, a host, and optionally a port and a path. A user name or a password is not
    /// allowed.
    pub fn parse(text: &str) -> Result<Self> {
        Self::read(text).ok_or_else(|| {
            Error::invalid(
                "the server's address is not like `https://vault.example:8200`: a scheme, a host \
                 and perhaps a port, and nothing that logs in",
            )
        })
    }

    /// Returns the address of a text without a query; `None` for any other text.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let scheme = match uri.scheme_str()? {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        let authority = uri.authority()?;
        if authority.as_str().contains('@') || authority.host().is_empty() || uri.query().is_some()
        {
            return None;
        }
        Some(Self {
            scheme,
            host: authority.host().to_ascii_lowercase(),
            // `Uri` ignores a port that is not a number.
            port: match authority.as_str().strip_prefix(authority.host())? {
                "" => scheme.port(),
                rest => rest.strip_prefix(':')?.parse().ok()?,
            },
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Returns whether the connection is not encrypted.
    pub fn is_clear(&self) -> bool {
        self.scheme == Scheme::Http && !self.is_loopback()
    }

    /// Returns whether the host is this machine.
    pub fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        bare == "localhost"
            || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Returns whether the server uses TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// Returns whether both have the same origin: scheme, host and port.
    pub(crate) fn is_origin_of(&self, other: &Self) -> bool {
        (self.scheme, &self.host, self.port) == (other.scheme, &other.host, other.port)
    }

    /// Returns the path at the start of all requests.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// Shows only the origin, for errors.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls() { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == self.scheme.port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Returns a path with everything percent-encoded except letters, digits and `-._~/`: no secret
/// name changes the destination of a request.
pub fn encoded(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_normalized_and_invalid_address_rejected() {
        let shown = |text: &str| Address::parse(text).unwrap().to_string();
        assert_eq!(shown("https://Vault.Example:8200/"), "https://vault.example:8200");
        assert_eq!(shown("https://vault.example:443/team"), "https://vault.example");
        assert_eq!(shown("http://[::1]:80"), "http://[::1]");
        assert_eq!(Address::parse("https://v/team/").unwrap().path(), "/team");
        for wrong in [
            "",
            "vault.example",
            "ftp://v",
            "https://",
            "https://u:canary@v",
            "https://v?x=1",
            "https://v:0x50",
            "https://v:99999",
            "//v",
        ] {
            let error = Address::parse(wrong).unwrap_err();
            assert!(!error.message().contains("canary"), "{wrong}");
        }
    }

    #[test]
    fn only_remote_http_address_counts_as_unencrypted() {
        for (text, clear) in [
            ("http://127.0.0.1:8200", false),
            ("http://[::1]:8200", false),
            ("http://localhost", false),
            ("http://vault.example", true),
            ("https://vault.example", false),
        ] {
            assert_eq!(Address::parse(text).unwrap().is_clear(), clear, "{text}");
        }
    }

    #[test]
    fn name_is_percent_encoded_by_byte() {
        assert_eq!(encoded("a b/%?#ü&=*"), "a%20b/%25%3F%23%C3%BC%26%3D%2A");
        assert_eq!(encoded("AZaz09-._~/"), "AZaz09-._~/");
    }
}
