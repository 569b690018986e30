//! A writer of stores for tests: valid stores, and stores that SecretStore itself never writes.
#![allow(dead_code)] // each of its three users takes what it needs

use std::path::Path;

use aes::Aes256;
use cbc::Encryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
use hmac::{Hmac, KeyInit, Mac};
use pbkdf2::pbkdf2_hmac_array;
use sha1::Sha1;

const SALT: [u8; 32] = *b"\x9a\x92\x3a\xcc\x07\x7c\xed\x84\xf8\x5f\x9e\xf3\x6c\xeb\xa3\x67\
                          \x94\x5f\xcd\xbe\x6d\xb8\x74\x5c\x9b\x0c\x06\x63\x00\x5b\x36\xfa";

/// The store's key and IV, in every store that is written here.
pub(crate) const KEY: [u8; 32] = [7; 32];
pub(crate) const IV: [u8; 16] = [9; 16];

/// A key and an IV derived from a secret.
#[derive(Clone)]
pub(crate) struct Lock([u8; 32], [u8; 16]);

impl Lock {
    pub(crate) fn new(secret: &[u8], key: &[u8], iv: &[u8]) -> Self {
        Self(derived(secret, key), derived(secret, iv))
    }

    pub(crate) fn encrypt(&self, bytes: &[u8]) -> Vec<u8> {
        let mut padded = bytes.to_vec();
        padded.resize((bytes.len() / 16 + 1) * 16, 0);
        let cbc = Encryptor::<Aes256>::new((&self.0).into(), (&self.1).into());
        cbc.encrypt_padded::<Pkcs7>(&mut padded, bytes.len()).unwrap();
        padded
    }
}

fn derived<const N: usize>(secret: &[u8], salt: &[u8]) -> [u8; N] {
    pbkdf2_hmac_array::<Sha1, N>(secret, salt, 1_000)
}

/// A store to write to its three files.
pub(crate) struct Written {
    /// The account's name, from which a key is derived: in upper case, except for old versions.
    user: Vec<u8>,
    /// Secret that encrypts the data: the password in UTF-16LE, or the user.
    secret: Vec<u8>,
    has_password: bool,
    pub(crate) lock: Lock,
    /// The entries of the list, in JSON.
    pub(crate) entries: Vec<String>,
    /// All encrypted values, concatenated.
    pub(crate) blobs: Vec<u8>,
}

impl Written {
    pub(crate) fn new(user: &str, password: Option<&str>) -> Self {
        let secret = match password {
            Some(password) => utf16(password),
            None => user.as_bytes().to_vec(),
        };
        let lock = Lock::new(&secret, &KEY, &IV);
        let (entries, blobs) = (Vec::new(), Vec::new());
        Self { user: user.into(), secret, has_password: password.is_some(), lock, entries, blobs }
    }

    /// Returns a store with a given lock, for its list and its values only.
    pub(crate) fn empty(lock: Lock) -> Self {
        let (entries, blobs) = (Vec::new(), Vec::new());
        Self { user: Vec::new(), secret: Vec::new(), has_password: false, lock, entries, blobs }
    }

    /// Adds an entry with this metadata, in JSON.
    pub(crate) fn with(mut self, name: &str, kind: &str, value: &[u8], metadata: &str) -> Self {
        let encrypted = self.lock.encrypt(value);
        let (offset, size) = (self.blobs.len(), encrypted.len());
        self.blobs.extend(encrypted);
        let name = name.replace('\\', "\\\\").replace('"', "\\\"");
        self.entries.push(format!(
            "{{\"Name\":\"{name}\",\"Type\":\"{kind}\",\"Offset\":{offset},\"Size\":{size},\
             \"Attributes\":{{\"Tag\":\"PSItem\"}},\"AdditionalData\":{metadata}}}"
        ));
        self
    }

    pub(crate) fn text(self, name: &str, value: &str) -> Self {
        self.with(name, "StringType", value.as_bytes(), "{}")
    }

    /// Adds a map's list of members, but not the members.
    pub(crate) fn map(self, name: &str, members: &[&str]) -> Self {
        let bytes = list(members);
        self.with(name, "HashtableType", &bytes, "{}")
    }

    /// Adds an unchanged entry of the list.
    pub(crate) fn entry(mut self, json: &str) -> Self {
        self.entries.push(json.to_owned());
        self
    }

    pub(crate) fn listing(&self) -> String {
        format!("{{\"MetaData\":[{}]}}", self.entries.join(","))
    }

    /// Returns the contents of `storeconfig`, `storeaux` and `storefile`.
    pub(crate) fn files(&self) -> [Vec<u8>; 3] {
        let lock = Lock::new(&self.user, &derived::<32>(&self.user, &SALT), &[0; 16]);
        let config = format!(
            "{{\"ConfigData\":{{\"StoreScope\":1,\"PasswordTimeout\":900,\
             \"Authentication\":{},\"Interaction\":0}}}}",
            u8::from(self.has_password)
        );
        let key = [&[32, 0, 0, 0, 16, 0, 0, 0][..], &KEY, &IV].concat();
        [lock.encrypt(config.as_bytes()), lock.encrypt(&key), self.data(self.listing().as_bytes())]
    }

    /// Returns a `storefile` with this list.
    pub(crate) fn data(&self, listing: &[u8]) -> Vec<u8> {
        let listing = self.lock.encrypt(listing);
        let len = i32::try_from(listing.len()).unwrap().to_le_bytes();
        let sealed = [&len[..], &listing, &self.blobs].concat();
        let seal: [u8; 64] = derived(&self.secret, &SALT);
        let mut hmac = Hmac::<sha2::Sha256>::new_from_slice(&seal).unwrap();
        hmac.update(&sealed);
        [&[32, 0, 0, 0][..], &hmac.finalize().into_bytes(), &sealed].concat()
    }

    /// Writes the three files into a directory.
    pub(crate) fn write(&self, dir: &Path) {
        std::fs::create_dir_all(dir).unwrap();
        for (name, bytes) in ["storeconfig", "storeaux", "storefile"].iter().zip(self.files()) {
            std::fs::write(dir.join(name), bytes).unwrap();
        }
    }
}

/// Returns the list of a map's members.
pub(crate) fn list(members: &[&str]) -> Vec<u8> {
    let number = |len: usize| i32::try_from(len).unwrap().to_le_bytes();
    let mut bytes = number(members.len()).to_vec();
    for member in members {
        bytes.extend(number(member.len()));
        bytes.extend(member.as_bytes());
    }
    bytes
}

pub(crate) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
