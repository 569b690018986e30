//! Encryption of SecretStore: AES-256-CBC with a key and an IV from a password or an account's
//! name, by a thousand rounds of PBKDF2-HMAC-SHA1. It is weak; Keystead never writes it.

use aes::Aes256;
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use hmac::{Hmac, KeyInit, Mac};
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The salt of every store, from the public source of SecretStore 1.0.6.
const SALT: [u8; 32] = [
    0x9a, 0x92, 0x3a, 0xcc, 0x07, 0x7c, 0xed, 0x84, 0xf8, 0x5f, 0x9e, 0xf3, 0x6c, 0xeb, 0xa3, 0x67,
    0x94, 0x5f, 0xcd, 0xbe, 0x6d, 0xb8, 0x74, 0x5c, 0x9b, 0x0c, 0x06, 0x63, 0x00, 0x5b, 0x36, 0xfa,
];

/// Number of rounds of PBKDF2, from the same source.
const ROUNDS: u32 = 1_000;

/// Sizes in bytes of the store's key and its IV.
pub(super) const KEY_BYTES: usize = 32;
pub(super) const IV_BYTES: usize = 16;

/// The key of the HMAC over the store's file.
pub(super) type Seal = Zeroizing<[u8; 64]>;

/// Decrypts data of a key and an IV. Creating a cipher takes two thousand rounds.
pub struct Cipher {
    key: Zeroizing<[u8; KEY_BYTES]>,
    iv: Zeroizing<[u8; IV_BYTES]>,
}

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Cipher {
    /// Returns the cipher for a password in UTF-16LE or an account's name in UTF-8, and the store's
    /// own key and IV.
    pub fn new(secret: &[u8], key: &[u8; 32], iv: &[u8; 16]) -> Self {
        Self { key: derived(secret, key), iv: derived(secret, iv) }
    }

    /// Returns a copy, without repeating the rounds.
    pub fn duplicate(&self) -> Self {
        Self { key: self.key.clone(), iv: self.iv.clone() }
    }

    /// Returns the cipher for the two small files of this account.
    pub(super) fn of_account(name: &str) -> Self {
        let key: Zeroizing<[u8; KEY_BYTES]> = derived(name.as_bytes(), &SALT);
        Self::new(name.as_bytes(), &key, &[0; IV_BYTES])
    }

    /// Returns whether the final padding is right, without decrypting the data before it.
    pub(super) fn fits(&self, encrypted: &[u8]) -> bool {
        let (blocks, []) = encrypted.as_chunks::<IV_BYTES>() else { return false };
        let [before @ .., last] = blocks else { return false };
        let iv = before.last().unwrap_or(&self.iv);
        let mut last = Zeroizing::new(*last);
        let cbc = Decryptor::<Aes256>::new((&*self.key).into(), iv.into());
        cbc.decrypt_padded::<Pkcs7>(&mut *last).is_ok()
    }

    /// Returns the decrypted data; `None` if its padding is wrong. Padding proves little: in 1 of
    /// 256 random texts it is right.
    pub(super) fn decrypt(&self, encrypted: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut bytes = Zeroizing::new(encrypted.to_vec());
        let cbc = Decryptor::<Aes256>::new((&*self.key).into(), (&*self.iv).into());
        let len = cbc.decrypt_padded::<Pkcs7>(&mut bytes).ok()?.len();
        bytes.truncate(len);
        Some(bytes)
    }
}

/// Returns the key of the HMAC for this secret.
pub(super) fn seal(secret: &[u8]) -> Seal {
    derived(secret, &SALT)
}

/// Returns whether this HMAC-SHA256 is right, in a time that does not depend on it.
pub(super) fn is_sealed(seal: &Seal, mac: &[u8], data: &[u8]) -> bool {
    let mut hmac = Hmac::<Sha256>::new_from_slice(&**seal).expect("HMAC takes keys of any length");
    hmac.update(data);
    hmac.verify_slice(mac).is_ok()
}

fn derived<const N: usize>(secret: &[u8], salt: &[u8]) -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    pbkdf2_hmac::<Sha1>(secret, salt, ROUNDS, &mut *bytes);
    bytes
}
