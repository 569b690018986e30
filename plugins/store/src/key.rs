//! Keys of 32 bytes, and values made from them: other keys, and tags that only an owner of the key
//! can make. All use BLAKE2b.

use blake2::digest::array::{Array, ArraySize};
use blake2::digest::consts::{U8, U16, U32, U64};
use blake2::digest::typenum::{IsLessOrEqual, True};
use blake2::digest::{KeyInit, Mac};
use blake2::{Blake2b, Blake2bMac, Digest};
use keystead_plugin_api::{Error, Result, SecretBytes};
use zeroize::Zeroizing;

/// Length of a key in bytes.
pub(crate) const KEY_BYTES: usize = 32;

/// Length in bytes of a tag, which detects changes.
pub(crate) const TAG_BYTES: usize = 16;

/// Prefix of every label: a key of this format is useless in another.
const FORMAT: &[u8] = b"keystead-store 1 ";

/// A key, wiped on drop. It lives on the heap, so that a move leaves no copy.
pub(crate) struct Key(SecretBytes);

impl Key {
    /// Returns a new random key.
    pub(crate) fn random() -> Result<Self> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        fill(&mut bytes[..])?;
        Ok(Self(SecretBytes::copy_of(&bytes[..])))
    }

    /// Returns the key with these bytes; `None` if the length is wrong.
    pub(crate) fn of(bytes: SecretBytes) -> Option<Self> {
        (bytes.len() == KEY_BYTES).then_some(Self(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.expose()
    }

    /// Returns another key for one purpose, which does not reveal this one.
    pub(crate) fn derive(&self, purpose: &str) -> Self {
        let bytes =
            Zeroizing::new(mac::<U32, KEY_BYTES>(self.bytes(), &[FORMAT, purpose.as_bytes()]));
        Self(SecretBytes::copy_of(&bytes[..]))
    }

    /// Returns a key from material that cannot be guessed, such as a key file: never from a
    /// password.
    pub(crate) fn of_material(purpose: &str, material: &[u8]) -> Self {
        let mut hash = Blake2b::<U32>::new();
        [FORMAT, purpose.as_bytes(), material]
            .iter()
            .for_each(|part| Digest::update(&mut hash, part));
        let bytes = Zeroizing::new(<[u8; KEY_BYTES]>::from(hash.finalize()));
        Self(SecretBytes::copy_of(&bytes[..]))
    }

    /// Returns the tag of these bytes.
    pub(crate) fn tag(&self, parts: &[&[u8]]) -> [u8; TAG_BYTES] {
        mac::<U16, TAG_BYTES>(self.bytes(), parts)
    }

    /// Returns an eight-byte keyed hash of these bytes, evenly spread and secret.
    pub(crate) fn place(&self, bytes: &[u8]) -> [u8; 8] {
        mac::<U8, 8>(self.bytes(), &[bytes])
    }

    /// Returns whether the tag matches these bytes, in a time that does not reveal how much of it
    /// is right.
    pub(crate) fn fits(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        let mut mac = keyed::<U16>(self.bytes());
        parts.iter().for_each(|part| Mac::update(&mut mac, part));
        mac.verify_slice(tag).is_ok()
    }
}

/// Returns a checksum of these bytes, which needs no key.
pub(crate) fn checksum(parts: &[&[u8]]) -> [u8; TAG_BYTES] {
    // Not a MAC with an empty key: the crate's uses a block of zeros for it.
    let mut hash = Blake2b::<U16>::new();
    parts.iter().for_each(|part| Digest::update(&mut hash, part));
    hash.finalize().into()
}

/// Fills the buffer with random bytes from the system.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes)
        .map_err(|error| Error::unavailable(format!("the system gives no randomness: {error}")))
}

fn keyed<N>(key: &[u8]) -> Blake2bMac<N>
where
    N: ArraySize + IsLessOrEqual<U64, Output = True>,
{
    Blake2bMac::new_from_slice(key).expect("a key has at most 64 bytes")
}

fn mac<N, const BYTES: usize>(key: &[u8], parts: &[&[u8]]) -> [u8; BYTES]
where
    N: ArraySize + IsLessOrEqual<U64, Output = True>,
    Array<u8, N>: Into<[u8; BYTES]>,
{
    let mut mac = keyed::<N>(key);
    parts.iter().for_each(|part| Mac::update(&mut mac, part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compared with Python's `hashlib.blake2b(…, key=…, digest_size=…)`.
    #[test]
    fn keys_and_checksums_match_blake2b_vectors() {
        let key = Key::of(SecretBytes::new((0..32).collect())).unwrap();
        assert_eq!(key.tag(&[b"key", b"stead"]), hex("1bfad90b7be29f55ba32442cf369e87f"));
        assert_eq!(checksum(&[b"keystead"]), hex("d1ae0f74641e58c69dd2f5b1cf1605ae"));
        assert_eq!(key.place(b"keystead"), hex("cc95a6fcfe7f83bb"));
        let material = Key::of_material("a", b"b");
        assert_eq!(
            material.bytes(),
            hex::<32>("ca327306fd493c2562d7d3b239f5f2155068bb58e889a69831edbc96b20079c5")
        );
        assert_eq!(
            key.derive("x").bytes(),
            hex::<32>("8130dd9600270da268807e2209ff0540a8f56c47714cd7fc4ef2aca4e9595d49")
        );
    }

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        std::array::from_fn(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap())
    }

    #[test]
    fn tag_matches_only_its_bytes_and_key() {
        let (key, other) = (Key::random().unwrap(), Key::random().unwrap());
        let mut tag = key.tag(&[b"a", b"b"]);
        assert!(key.fits(&[b"ab"], &tag));
        assert!(!key.fits(&[b"abc"], &tag));
        assert!(!other.fits(&[b"ab"], &tag));
        assert!(!key.fits(&[b"ab"], &tag[..15]));
        tag[15] ^= 1;
        assert!(!key.fits(&[b"ab"], &tag));
    }
}
