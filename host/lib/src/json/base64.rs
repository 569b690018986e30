//! Base64 (RFC 4648, with padding) of secret bytes, without a buffer that is not wiped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keystead_plugin_api::SecretBytes;
use zeroize::Zeroizing;

/// Number of bytes that are encoded at once: a multiple of 3, so that only the end is padded.
const PIECE_BYTES: usize = 768;

/// Passes the encoded bytes to `put`, piece by piece.
pub fn encode(bytes: &[u8], mut put: impl FnMut(&[u8])) {
    let mut encoded = Zeroizing::new([0; PIECE_BYTES / 3 * 4]);
    for piece in bytes.chunks(PIECE_BYTES) {
        let len = STANDARD.encode_slice(piece, &mut *encoded);
        put(&encoded[..len.expect("a piece has at most three quarters of the buffer's bytes")]);
    }
}

/// Returns the decoded bytes; `None` if the text is not exactly the output of [`encode`].
pub fn decode(text: &str) -> Option<SecretBytes> {
    let mut bytes = Zeroizing::new(vec![0; text.len().div_ceil(4) * 3]);
    let len = STANDARD.decode_slice(text, &mut bytes).ok()?;
    // Shorter by the padding alone, so this neither grows nor copies.
    bytes.truncate(len);
    Some(SecretBytes::new(std::mem::take(&mut *bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(bytes: &[u8]) -> String {
        let mut text = Vec::new();
        encode(bytes, |piece| text.extend_from_slice(piece));
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn rfc4648_vectors_encode_and_decode() {
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
        let all: Vec<u8> = (0..=255).cycle().take(3 * PIECE_BYTES + 1).collect();
        assert_eq!(decode(&encoded(&all)).unwrap().expose(), all);
    }

    #[test]
    fn non_canonical_base64_is_rejected() {
        for text in
            ["Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zm 9", "Zm9v\n", "Zg==Zg=="]
        {
            assert!(decode(text).is_none(), "{text}");
        }
    }
}
