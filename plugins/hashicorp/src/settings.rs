//! Settings of a registration, read once.

use std::path::PathBuf;

use keystead_plugin_api::{Error, Parameters, Result};
use keystead_rest::{Address, Authorities, Identity};

use crate::login::Login;

/// The largest reply that is read: a value of 16 MiB in base64 and JSON quotes, or a folder of half
/// a million names.
const MOST_BYTES: usize = 48 * 1024 * 1024;

/// Connection settings of the server.
pub(crate) struct Settings {
    pub(crate) address: Address,
    pub(crate) namespace: Option<String>,
    pub(crate) authorities: Authorities,
    pub(crate) identity: Option<Identity>,
    pub(crate) proxy: Option<String>,
    pub(crate) login: Login,
}

impl Settings {
    /// Returns the settings in these parameters.
    ///
    /// # Errors
    /// `Invalid` if they are inconsistent.
    pub(crate) fn read(parameters: &Parameters) -> Result<Self> {
        let text = |name: &str| parameters.text(name).map(str::to_owned);
        let path = |name: &str| parameters.text(name).map(PathBuf::from);
        let address = text("address").ok_or_else(|| Error::invalid("`address` is missing"))?;
        let identity = match (path("client-cert-file"), path("client-key-file")) {
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
            (None, None) => None,
            _ => {
                let message = "`client-cert-file` and `client-key-file` go together";
                return Err(Error::invalid(message));
            }
        };
        let namespace = text("namespace").map(|text| folder("namespace", &text)).transpose()?;
        Ok(Self {
            address: Address::parse(&address)?,
            namespace: namespace.filter(|name| !name.is_empty()),
            authorities: path("ca-file").map_or(Authorities::System, Authorities::File),
            identity,
            proxy: text("proxy"),
            login: Login::read(parameters)?,
        })
    }

    /// Returns a client of the server.
    pub(crate) fn client(&self) -> Result<keystead_rest::Client> {
        keystead_rest::Client::new(keystead_rest::Settings {
            address: self.address.clone(),
            authorities: self.authorities.clone(),
            identity: self.identity.clone(),
            proxy: self.proxy.clone(),
            agent: concat!("keystead-hashicorp/", env!("CARGO_PKG_VERSION")).into(),
            most: MOST_BYTES,
        })
    }
}

/// Returns a path parameter without leading and trailing slashes.
///
/// # Errors
/// `Invalid` for a path with an empty part, `.` or `..`.
pub(crate) fn folder(parameter: &str, text: &str) -> Result<String> {
    let path = text.trim_matches('/');
    if path.is_empty() || is_path(path) {
        return Ok(path.to_owned());
    }
    Err(Error::invalid(format!("`{parameter}` is no path on the server: `{text}`")))
}

/// Returns whether the server keeps a path unchanged: it has no empty part, no `.` or `..`, and
/// only characters that the server considers printable.
pub(crate) fn is_path(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "." | "..")) && path.chars().all(is_printable)
}

/// Returns whether a character counts as printable here. The server decides on marks and symbols:
/// its tables are Go's and may be older than ours.
fn is_printable(c: char) -> bool {
    let invisible = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}'
        | '\u{e0000}'..='\u{10ffff}');
    !invisible && !c.is_control() && (c == ' ' || !c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_mount_and_prefix_paths_are_rejected() {
        for good in ["a", "a/b c", "a/...", "*?%", "ü/日本", "a/b..c"] {
            assert!(is_path(good), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", ".", "a/../b", "a/.", "a\u{202e}b", "a\nb", "a\u{a0}b"]
        {
            assert!(!is_path(bad), "{bad}");
        }
        assert_eq!(folder("mount", "/team/kv/").unwrap(), "team/kv");
        assert_eq!(folder("prefix", "/").unwrap(), "");
        assert!(folder("prefix", "../sys").is_err());
    }
}
