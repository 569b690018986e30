//! Base64 (RFC 4648, with padding) of secret bytes, without a buffer that is not wiped.

use keystead_plugin_api::SecretBytes;
use zeroize::Zeroizing;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Hands out the encoded bytes, four at a time.
pub fn encode(bytes: &[u8], mut put: impl FnMut(&[u8])) {
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(*group.get(index).unwrap_or(&0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        let mut four = Zeroizing::new([b'='; 4]);
        for (index, out) in four.iter_mut().enumerate().take(group.len() + 1) {
            *out = ALPHABET[(bits >> (18 - 6 * index) & 63) as usize];
        }
        put(&*four);
    }
}

/// Returns the decoded bytes; `None` where the text is not exactly what [`encode`] makes.
pub fn decode(text: &str) -> Option<SecretBytes> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut bytes = Zeroizing::new(vec![0_u8; text.len() / 4 * 3]);
    let digits = &text[..text.len() - padding];
    for (digits, out) in digits.chunks(4).zip(bytes.chunks_mut(3)) {
        let mut bits = 0_u32;
        for index in 0..4 {
            let digit = match digits.get(index) {
                Some(&byte) => value(byte)?,
                None => 0,
            };
            bits = bits << 6 | digit;
        }
        let [_, whole @ ..] = bits.to_be_bytes();
        out.copy_from_slice(&whole);
    }
    let (kept, rest) = bytes.split_at(bytes.len() - padding);
    // Bits that no encoder sets would make two texts of one value.
    rest.iter().all(|&byte| byte == 0).then(|| SecretBytes::copy_of(kept))
}

fn value(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(bytes: &[u8]) -> String {
        let mut text = Vec::new();
        encode(bytes, |four| text.extend_from_slice(four));
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn the_vectors_of_the_standard_hold_both_ways() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encoded(bytes.as_bytes()), text);
            assert_eq!(decode(text).unwrap().expose(), bytes.as_bytes());
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encoded(&all)).unwrap().expose(), all);
    }

    #[test]
    fn what_no_encoder_makes_is_refused() {
        for text in
            ["Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zm 9", "Zm9v\n", "Zg==Zg=="]
        {
            assert!(decode(text).is_none(), "{text}");
        }
    }
}
