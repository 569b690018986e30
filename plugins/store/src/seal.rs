//! Sealing: XChaCha20-Poly1305 with a random nonce. The associated data binds the sealed bytes to
//! their place. The sealed form is nonce (24), ciphertext, tag (16).

use std::borrow::Cow;

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use keystead_plugin_api::{Error, Result, SecretBytes};
use zeroize::Zeroizing;

use crate::key::{Key, fill};

/// Length of a nonce in bytes: long enough that random ones never repeat.
const NONCE_BYTES: usize = 24;

/// Length of the tag in bytes.
const TAG_BYTES: usize = 16;

/// Number of bytes that sealing adds.
pub(crate) const SEALED_BYTES: usize = NONCE_BYTES + TAG_BYTES;

/// Seals bytes under a key, for one place.
pub(crate) fn seal(key: &Key, belongs: &[&[u8]], plain: &[u8]) -> Result<Vec<u8>> {
    let mut sealed = vec![0; NONCE_BYTES];
    sealed.reserve_exact(plain.len() + TAG_BYTES);
    fill(&mut sealed)?;
    let nonce = XNonce::try_from(&sealed[..]).expect("it has 24 bytes");
    sealed.extend_from_slice(plain);
    let tag = cipher(key)
        .encrypt_inout_detached(&nonce, &joined(belongs), (&mut sealed[NONCE_BYTES..]).into())
        .map_err(|_| Error::invalid("the secret is too long to be sealed"))?;
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// Returns a unique name for these sealed bytes: half of their nonce, in hexadecimal.
pub(crate) fn name(sealed: &[u8]) -> String {
    let nonce = sealed.get(..NONCE_BYTES / 2).unwrap_or_default();
    nonce.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Opens sealed bytes; `None` if the key, the associated data or a byte differs.
pub(crate) fn open(key: &Key, belongs: &[&[u8]], sealed: &[u8]) -> Option<SecretBytes> {
    let (nonce, rest) = sealed.split_at_checked(NONCE_BYTES)?;
    let (cipher_text, tag) = rest.split_at_checked(rest.len().checked_sub(TAG_BYTES)?)?;
    let nonce = XNonce::try_from(nonce).ok()?;
    let tag = Tag::try_from(tag).ok()?;
    let mut plain = Zeroizing::new(cipher_text.to_vec());
    cipher(key)
        .decrypt_inout_detached(&nonce, &joined(belongs), (&mut plain[..]).into(), &tag)
        .ok()?;
    Some(SecretBytes::new(std::mem::take(&mut *plain)))
}

/// Returns the associated data; a single part is not copied, since listings open thousands.
fn joined<'a>(belongs: &[&'a [u8]]) -> Cow<'a, [u8]> {
    match belongs {
        [one] => Cow::Borrowed(one),
        several => Cow::Owned(several.concat()),
    }
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new_from_slice(key.bytes()).expect("a key has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_data_opens_only_unchanged_with_its_key_and_place() {
        let (key, other) = (Key::random().unwrap(), Key::random().unwrap());
        for plain in [&b""[..], b"x", &[7; 1_000]] {
            let sealed = seal(&key, &[b"here"], plain).unwrap();
            assert_eq!(sealed.len(), plain.len() + SEALED_BYTES);
            assert_eq!(open(&key, &[b"here"], &sealed).unwrap().expose(), plain);
            assert!(open(&other, &[b"here"], &sealed).is_none());
            assert!(open(&key, &[b"there"], &sealed).is_none());
            for at in 0..sealed.len() {
                let mut flipped = sealed.clone();
                flipped[at] ^= 1;
                assert!(open(&key, &[b"here"], &flipped).is_none(), "byte {at}");
                assert!(open(&key, &[b"here"], &sealed[..at]).is_none(), "cut at {at}");
            }
        }
    }

    #[test]
    fn sealing_equal_data_twice_gives_different_bytes() {
        let key = Key::random().unwrap();
        assert_ne!(seal(&key, &[], b"x").unwrap(), seal(&key, &[], b"x").unwrap());
    }
}
