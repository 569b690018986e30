//! HTML entities in a table of LastPass: only some of its exports write `&amp;` for `&`.

use keystead_plugin_api::{SecretBytes, SecretText};
use zeroize::Zeroizing;

use super::column::Role;
use super::record::Records;

/// Maximum size in bytes of an entity: `&#1114111;`.
const MAX_BYTES: usize = 10;

/// Returns whether a table's export writes entities: some are there, and no bare character that it
/// would have written as an entity.
pub(super) fn is_encoded(bytes: &[u8], mut records: Records, roles: &[Role]) -> bool {
    let mut is_encoded = false;
    while let Some(record) = records.next(bytes) {
        if record.fault.is_some() {
            continue;
        }
        // Addresses have bare ampersands in every export.
        for (column, _) in roles.iter().enumerate().filter(|(_, role)| **role != Role::Url) {
            let Some(text) = record.text(bytes, column) else { continue };
            if text.expose().contains(['<', '>', '"']) {
                return false;
            }
            for (at, _) in text.expose().match_indices('&') {
                if entity(&text.expose()[at..]).is_none() {
                    return false;
                }
                is_encoded = true;
            }
        }
    }
    is_encoded
}

/// Returns the text with entities decoded.
pub(super) fn decoded(text: SecretText) -> SecretText {
    if !text.expose().contains('&') {
        return text;
    }
    let mut rest = text.expose();
    let mut decoded = Zeroizing::new(Vec::with_capacity(rest.len()));
    while let Some(at) = rest.find('&') {
        decoded.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        match entity(rest) {
            Some((c, len)) => {
                decoded.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[len..];
            }
            None => {
                decoded.push(b'&');
                rest = &rest[1..];
            }
        }
    }
    decoded.extend_from_slice(rest.as_bytes());
    let decoded = SecretBytes::new(std::mem::take(&mut *decoded));
    SecretText::from_bytes(decoded).expect("pieces of a text, and characters")
}

/// Returns the character and the length of the entity at the start of a text.
fn entity(text: &str) -> Option<(char, usize)> {
    let len = text.bytes().take(MAX_BYTES).position(|byte| byte == b';')? + 1;
    Some((character(text.get(1..len - 1)?)?, len))
}

/// Returns the character of the entity of this name: `amp`, `#38`, `#x26`.
pub(in super::super) fn character(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        number => {
            let number = number.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|&c| c != '\0')?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_decoded_once_and_other_ampersands_stay() {
        for (text, expected) in [
            ("a&amp;b&lt;&gt;&quot;&#39;&#x41;&apos;", "a&b<>\"'A'"),
            ("&amp;lt;", "&lt;"),
            ("& &; &amp &nosuch; &#0; &#xd800; &", "& &; &amp &nosuch; &#0; &#xd800; &"),
            ("plain", "plain"),
        ] {
            assert_eq!(decoded(SecretText::new(text)).expose(), expected);
        }
    }
}
