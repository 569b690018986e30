//! Names of secrets as file names in one directory: no name can form a path.

use keystead_plugin_api::{Error, Result, SecretName};

/// The most bytes in a file name on Linux.
pub(crate) const MAX_BYTES: usize = 255;

/// Prefix of names that are never secrets, and that Kubernetes does not allow for keys. Such names
/// are Kubernetes' own `..data` and `..2026_01_31…`, the directory `..`, the temporary file of a
/// write, and the index of kinds.
const RESERVED: &str = "..";

/// Temporary name of a file during a write. One name is enough, since each writer holds the
/// directory's lock.
pub(crate) const TEMPORARY: &str = "..keystead-new";

/// Index of the files that hold bytes ([`crate::kinds`]).
pub(crate) const INDEX: &str = "..keystead-bytes";

/// Temporary name of the index while it is rewritten.
pub(crate) const NEW_INDEX: &str = "..keystead-bytes-new";

/// Returns the reason why a file with this name cannot be a secret; `None` if it can.
fn fault(name: &str) -> Option<&'static str> {
    if name.contains('/') {
        Some("it has a `/`")
    } else if name == "." || name.starts_with(RESERVED) {
        Some("it is `.` or begins with `..`")
    } else if name.len() > MAX_BYTES {
        Some("it has more than 255 bytes")
    } else {
        None
    }
}

/// Returns the file name of a secret; `None` if no file, and so no secret, can have the name.
pub(crate) fn of(secret: &SecretName) -> Option<&str> {
    let name = secret.as_str();
    fault(name).is_none().then_some(name)
}

/// Returns the file name for writing a secret.
///
/// # Errors
/// `Invalid` if no file can have it.
pub(crate) fn to_write(secret: &SecretName) -> Result<&str> {
    let name = secret.as_str();
    match fault(name) {
        None => Ok(name),
        Some(why) => Err(Error::invalid(format!("`{name}` cannot be the name of a file: {why}"))),
    }
}

/// Returns the secret's name for a file name: `Ok(None)` if the name is reserved.
///
/// # Errors
/// If no secret can have this name: it is not UTF-8, or has control characters.
pub(crate) fn of_file(name: &[u8]) -> Result<Option<SecretName>, ()> {
    if name == b"." || name.starts_with(RESERVED.as_bytes()) {
        return Ok(None);
    }
    let name = std::str::from_utf8(name).map_err(drop)?;
    SecretName::parse(name).map(Some).map_err(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

    use super::*;
    use keystead_plugin_api::ErrorKind;

    fn secret(name: &str) -> SecretName {
        SecretName::parse(name).unwrap()
    }

    #[test]
    fn path_and_reserved_names_are_rejected() {
        let long = "n".repeat(256);
        for name in [
            ".",
            "..",
            "../x",
            "a/b",
            "/etc/passwd",
            "a/../b",
            "/",
            "..data",
            TEMPORARY,
            INDEX,
            &long,
        ] {
            assert_eq!(of(&secret(name)), None, "{name}");
            let error = to_write(&secret(name)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{name}");
            assert!(error.message().contains(name), "{error}");
        }
        // A NUL would end the name early; no secret's name has one.
        SecretName::parse("a\0b").unwrap_err();
    }

    #[test]
    fn unusual_file_names_are_accepted() {
        let long = "n".repeat(255);
        for name in [".dockerconfigjson", ".env", "-rf", "a b ", "*", "back\\slash", "ü", &long] {
            assert_eq!(of(&secret(name)), Some(name));
            assert_eq!(to_write(&secret(name)).unwrap(), name);
            assert_eq!(of_file(name.as_bytes()), Ok(Some(secret(name))));
        }
    }

    #[test]
    fn reserved_and_unnameable_files_are_distinguished() {
        for name in
            [&b"."[..], b"..", b"..data", b"..2026_11_26", TEMPORARY.as_bytes(), INDEX.as_bytes()]
        {
            assert_eq!(of_file(name), Ok(None));
        }
        for name in [&b"\xff"[..], b"a\nb", b"\x1b[0m", b""] {
            assert_eq!(of_file(name), Err(()));
        }
    }
}
