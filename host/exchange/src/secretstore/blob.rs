//! Decodes the decrypted bytes of an entry, by its type. Integers are little-endian and have 32
//! bits. A reason never repeats data that was read.

use keystead_plugin_api::{Credential, MAX_VALUE_ENTRIES, SecretBytes, SecretText, Value};
use zeroize::Zeroizing;

/// Types of entries in SecretStore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    SecureText,
    Bytes,
    Credential,
    /// A list of the names of its members, which are entries themselves.
    Map,
}

impl Type {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "StringType" => Some(Self::Text),
            "SecureStringType" => Some(Self::SecureText),
            "ByteArrayType" => Some(Self::Bytes),
            "CredentialType" => Some(Self::Credential),
            "HashtableType" => Some(Self::Map),
            _ => None,
        }
    }
}

/// Returns the value of an entry of any type but a map.
///
/// # Errors
/// The reason why these bytes are not valid.
pub(super) fn value(kind: Type, mut bytes: Zeroizing<Vec<u8>>) -> Result<Value, &'static str> {
    match kind {
        Type::Text => {
            let bytes = SecretBytes::new(std::mem::take(&mut *bytes));
            SecretText::from_bytes(bytes).map(Value::Text).map_err(|_| "its text is not UTF-8")
        }
        Type::SecureText => utf16(&bytes).map(Value::Text),
        Type::Bytes => Ok(Value::Bytes(SecretBytes::new(std::mem::take(&mut *bytes)))),
        Type::Credential => credential(&bytes).map(Value::Credential),
        Type::Map => Err("a map cannot be in a map"),
    }
}

/// Returns a credential. Its bytes are the password's offset, the user's name, the password.
fn credential(bytes: &[u8]) -> Result<Credential, &'static str> {
    const WRONG: &str = "its credential is cut off, or its lengths are wrong";
    let (start, _) = integer(bytes).ok_or(WRONG)?;
    let user = bytes.get(4..start).ok_or(WRONG)?;
    let user = std::str::from_utf8(user).map_err(|_| "its user's name is not UTF-8")?.to_owned();
    let password = utf16(&bytes[start..])?;
    Ok(Credential::new(user, password))
}

/// Returns the names of a map's members, from their number, then each with its length before it.
///
/// # Errors
/// The reason why these bytes are not valid.
pub(super) fn members(bytes: &[u8]) -> Result<Vec<String>, &'static str> {
    const WRONG: &str = "the list of its members is cut off, or its lengths are wrong";
    let (count, mut rest) = integer(bytes).ok_or(WRONG)?;
    if count > MAX_VALUE_ENTRIES && count <= rest.len() / 4 {
        return Err("it has more members than a map can have");
    }
    let mut names = Vec::new();
    for _ in 0..count {
        let (len, behind) = integer(rest).ok_or(WRONG)?;
        let (name, behind) = behind.split_at_checked(len).ok_or(WRONG)?;
        let name = std::str::from_utf8(name).map_err(|_| "the name of a member is not UTF-8")?;
        names.push(name.to_owned());
        rest = behind;
    }
    if rest.is_empty() { Ok(names) } else { Err(WRONG) }
}

/// Returns a number that is not negative, and the bytes after it.
pub(super) fn integer(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((usize::try_from(i32::from_le_bytes(*number)).ok()?, rest))
}

/// Returns the text of UTF-16LE bytes.
fn utf16(bytes: &[u8]) -> Result<SecretText, &'static str> {
    const WRONG: &str = "its text is not UTF-16";
    let (units, []) = bytes.as_chunks::<2>() else { return Err(WRONG) };
    // Capacity for the whole text, since growth leaves copies: a unit is at most three bytes.
    let mut text = Zeroizing::new(String::with_capacity(units.len() * 3));
    for letter in char::decode_utf16(units.iter().map(|unit| u16::from_le_bytes(*unit))) {
        text.push(letter.map_err(|_| WRONG)?);
    }
    Ok(SecretText::new(std::mem::take(&mut *text)))
}

/// Returns a text as UTF-16LE.
pub(super) fn to_utf16(text: &str) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() * 2));
    for unit in text.encode_utf16() {
        bytes.extend_from_slice(&unit.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: Type, bytes: &[u8]) -> Result<Value, &'static str> {
        value(kind, Zeroizing::new(bytes.to_vec()))
    }

    #[test]
    fn secretstore_value_types_are_decoded_or_rejected() {
        assert_eq!(of(Type::Text, "ü".as_bytes()), Ok(Value::text("ü")));
        assert_eq!(of(Type::Text, b"\xff"), Err("its text is not UTF-8"));
        assert_eq!(of(Type::SecureText, b"\xac\x20\x3d\xd8\x00\xde"), Ok(Value::text("€😀")));
        for wrong in [&b"a"[..], b"a\0b", b"\x3d\xd8", b"\x00\xdea\0"] {
            assert_eq!(of(Type::SecureText, wrong), Err("its text is not UTF-16"), "{wrong:?}");
        }
        assert_eq!(of(Type::Bytes, b"\0\xff"), Ok(Value::bytes(vec![0, 255])));
        assert_eq!(of(Type::Map, b"\0\0\0\0"), Err("a map cannot be in a map"));
    }

    #[test]
    fn credential_with_wrong_lengths_is_rejected() {
        assert_eq!(
            of(Type::Credential, b"\x07\0\0\0bobp\0w\0"),
            Ok(Value::credential("bob", "pw"))
        );
        assert_eq!(of(Type::Credential, b"\x04\0\0\0"), Ok(Value::credential("", "")));
        for wrong in [
            &b""[..],
            b"\x04\0\0",
            b"\x03\0\0\0",
            b"\x05\0\0\0",
            b"\xff\xff\xff\xff",
            b"\0\0\0\x7f",
        ] {
            let why = "its credential is cut off, or its lengths are wrong";
            assert_eq!(of(Type::Credential, wrong), Err(why), "{wrong:?}");
        }
        assert_eq!(of(Type::Credential, b"\x05\0\0\0\xff"), Err("its user's name is not UTF-8"));
        assert_eq!(of(Type::Credential, b"\x05\0\0\0bp"), Err("its text is not UTF-16"));
    }

    #[test]
    fn map_member_list_with_wrong_lengths_is_rejected() {
        assert_eq!(members(b"\x02\0\0\0\x01\0\0\0a\0\0\0\0").unwrap(), ["a", ""]);
        assert_eq!(members(b"\0\0\0\0").unwrap(), [""; 0]);
        for wrong in [
            &b""[..],
            b"\x01\0\0\0",
            b"\0\0\0\0x",
            b"\xff\xff\xff\x7f\0\0\0\0",
            b"\xff\xff\xff\xff",
            b"\x01\0\0\0\x02\0\0\0a",
            b"\x01\0\0\0\xff\xff\xff\xffa",
        ] {
            let why = "the list of its members is cut off, or its lengths are wrong";
            assert_eq!(members(wrong), Err(why), "{wrong:?}");
        }
        assert_eq!(members(b"\x01\0\0\0\x01\0\0\0\xff"), Err("the name of a member is not UTF-8"));
        let many = |count: usize| {
            let number = i32::try_from(count).unwrap().to_le_bytes();
            members(&[&number[..], &vec![0; 4 * count]].concat()).map(|names| names.len())
        };
        assert_eq!(many(MAX_VALUE_ENTRIES), Ok(MAX_VALUE_ENTRIES));
        assert_eq!(many(MAX_VALUE_ENTRIES + 1), Err("it has more members than a map can have"));
    }
}
