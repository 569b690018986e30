//! The directory of PowerShell's SecretStore: three encrypted files of an account, with or without
//! a password. Read only, since its encryption is weak.
//!
//! `storeconfig` records whether there is a password, `storeaux` has the key, `storefile` has all
//! secrets below one HMAC.

mod blob;
mod crypt;
mod entries;
mod metadata;

use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use fs_err::OpenOptions;
use fs_err::os::unix::fs::OpenOptionsExt;
use keystead_plugin_api::{SecretBytes, SecretText};
use zeroize::Zeroizing;

use self::blob::{integer, to_utf16};
use self::crypt::{IV_BYTES, KEY_BYTES, is_sealed, seal};
use super::Error;
use super::input::MAX_BYTES;
use keystead::internals::json::tree::{self, Tree};

pub use crypt::Cipher;
pub use entries::Entries;

pub(super) const FORM: &str = "a SecretStore";

/// Names of the three files.
const CONFIG: &str = "storeconfig";
const KEY: &str = "storeaux";
const DATA: &str = "storefile";

/// Maximum size in bytes of the two small files, which have about a hundred.
const MAX_SMALL_BYTES: usize = 64 * 1024;

/// The account of a store, and its password.
#[derive(Debug, Default)]
pub struct Owner {
    /// The name of the account that SecretStore ran as.
    pub user: String,
    /// The store's password; `None` if there is none.
    pub password: Option<SecretText>,
}

/// Returns whether a directory has the three files.
pub(super) fn is_store(dir: &Path) -> bool {
    [CONFIG, KEY, DATA].iter().all(|name| dir.join(name).is_file())
}

/// Opens a store and unlocks it.
///
/// # Errors
/// Those of [`Store::open`] and [`Store::unlock`].
pub fn read(dir: &Path, owner: &Owner) -> Result<Entries, Error> {
    Store::open(dir, &owner.user)?.unlock(owner.password.as_ref())
}

/// A store that is not unlocked yet, but known to have a password or not.
pub struct Store {
    user: String,
    has_password: bool,
    key: Zeroizing<[u8; KEY_BYTES]>,
    iv: Zeroizing<[u8; IV_BYTES]>,
    /// The content of `storefile`.
    data: Vec<u8>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Store");
        shown.field("user", &self.user).field("has_password", &self.has_password);
        shown.finish_non_exhaustive()
    }
}

impl Store {
    /// Reads the files of an account's store.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::WrongAccount`] if `storeconfig` belongs to another account;
    /// [`Error::NotOfForm`] if a file is missing, has more than 64 MiB or unknown content, or
    /// `storeaux` is damaged.
    pub fn open(dir: &Path, user: &str) -> Result<Self, Error> {
        let config = content(dir, CONFIG, MAX_SMALL_BYTES)?;
        let key = content(dir, KEY, MAX_SMALL_BYTES)?;
        Self::new(user, &config, &key, content(dir, DATA, MAX_BYTES)?)
    }

    /// Returns the store with these contents of the three files.
    ///
    /// # Errors
    /// As those of [`Store::open`].
    pub fn new(user: &str, config: &[u8], key: &[u8], data: Vec<u8>) -> Result<Self, Error> {
        let ciphers: Vec<Cipher> =
            spellings(user).iter().map(|name| Cipher::of_account(name)).collect();
        Self::decrypted_with(&ciphers, user, config, key, data)
    }

    fn decrypted_with(
        ciphers: &[Cipher],
        user: &str,
        config: &[u8],
        key: &[u8],
        data: Vec<u8>,
    ) -> Result<Self, Error> {
        let has_password = ciphers.iter().find_map(|one| has_password(&one.decrypt(config)?));
        let has_password = has_password
            .ok_or_else(|| Error::WrongAccount { user: user.to_owned() })?
            .map_err(|why| Error::NotOfForm { form: FORM, why })?;
        let found = ciphers.iter().find_map(|one| key_and_iv(&one.decrypt(key)?));
        let (key, iv) = found.ok_or_else(|| damaged(KEY))?;
        Ok(Self { user: user.to_owned(), has_password, key, iv, data })
    }

    /// Returns whether the store has a password.
    pub fn has_password(&self) -> bool {
        self.has_password
    }

    /// Returns the secrets. Ignores the password if the store has none.
    ///
    /// # Errors
    /// [`Error::NoPassword`]; [`Error::WrongPassword`], which may also mean damage;
    /// [`Error::NotOfForm`] for damage to a store without a password, or an invalid list of
    /// entries.
    pub fn unlock(self, password: Option<&SecretText>) -> Result<Entries, Error> {
        let secrets = match (self.has_password, password) {
            (true, None) => return Err(Error::NoPassword),
            (true, Some(password)) => vec![to_utf16(password.expose())],
            (false, _) => {
                let names = spellings(&self.user).into_iter();
                names.map(|name| Zeroizing::new(name.into_bytes())).collect()
            }
        };
        let wrong = || match self.has_password {
            true => Error::WrongPassword { file: "`storefile`" },
            false => damaged(DATA),
        };
        let (mac, sealed) = split(&self.data).ok_or_else(wrong)?;
        let right = secrets.iter().position(|secret| is_sealed(&seal(secret), mac, sealed));
        let right = right.ok_or_else(wrong)?;
        // An entry stays as it was encrypted when it was set. So the other spelling of the
        // name, that of older versions, may still be needed; one that is older than this
        // file cannot be.
        let ciphers = secrets[right..].iter().map(|one| Cipher::new(one, &self.key, &self.iv));
        let ciphers: Vec<Cipher> = ciphers.collect();
        let (len, rest) = integer(sealed).ok_or_else(|| damaged(DATA))?;
        let (listing, blobs) = rest.split_at_checked(len).ok_or_else(|| damaged(DATA))?;
        let mut listing = ciphers[0].decrypt(listing).ok_or_else(|| damaged(DATA))?;
        let listing = SecretBytes::new(std::mem::take(&mut *listing));
        let listing = SecretText::from_bytes(listing).map_err(|_| damaged(DATA))?;
        let start = self.data.len() - blobs.len();
        let mut data = self.data;
        Entries::new(listing, data.split_off(start), ciphers)
    }
}

/// Returns an account's name in the spellings from which SecretStore derives keys: in upper case,
/// letter by letter as in .NET; and unchanged, as in versions before 1.0.
fn spellings(user: &str) -> Vec<String> {
    let upper = |letter: char| {
        let mut upper = letter.to_uppercase();
        upper.next().filter(|_| upper.next().is_none()).unwrap_or(letter)
    };
    let mut names = vec![user.chars().map(upper).collect::<String>()];
    if names[0] != user {
        names.push(user.to_owned());
    }
    names
}

fn damaged(file: &str) -> Error {
    Error::NotOfForm { form: FORM, why: format!("its `{file}` is damaged") }
}

/// Returns whether a decrypted `storeconfig` requires a password; `None` if it is not valid.
fn has_password(bytes: &[u8]) -> Option<Result<bool, String>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let members = tree::document(text).ok()?;
    let (_, place) = members.iter().find(|(name, _)| name == "ConfigData")?;
    let config = tree::parse(text, place).ok()?;
    Some(match config.get("Authentication").and_then(Tree::as_integer) {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        _ => Err(format!("its `{CONFIG}` asks for what is neither a password nor nothing")),
    })
}

type KeyAndIv = (Zeroizing<[u8; KEY_BYTES]>, Zeroizing<[u8; IV_BYTES]>);

/// Returns the content of a decrypted `storeaux`, which has both lengths, then key and IV.
fn key_and_iv(bytes: &[u8]) -> Option<KeyAndIv> {
    let (KEY_BYTES, rest) = integer(bytes)? else { return None };
    let (IV_BYTES, rest) = integer(rest)? else { return None };
    let (key, rest) = rest.split_first_chunk()?;
    Some((
        Zeroizing::new(*key),
        Zeroizing::new(*rest.first_chunk().filter(|iv| iv.len() == rest.len())?),
    ))
}

/// Returns the HMAC of `storefile`, and all data that it covers.
fn split(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = integer(data)?;
    rest.split_at_checked(len)
}

/// Reads one of the files.
fn content(dir: &Path, name: &str, most: usize) -> Result<Vec<u8>, Error> {
    // Opening must not wait for a pipe in place of the file.
    let flags = rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).expect("flags of open have 32 bits");
    let path = dir.join(name);
    let read = || -> io::Result<Option<Vec<u8>>> {
        let file = OpenOptions::new().read(true).custom_flags(flags).open(&path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other(format!("`{name}` is no file")));
        }
        let mut bytes = Vec::new();
        file.take(most as u64 + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes).filter(|bytes| bytes.len() <= most))
    };
    let wrong = |why: String| Error::NotOfForm { form: FORM, why };
    match read() {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(wrong(format!("its `{name}` has more than {most} bytes"))),
        Err(fault) => Err(match fault.kind() {
            io::ErrorKind::NotFound => wrong(format!("it has no `{name}`")),
            io::ErrorKind::NotADirectory => wrong("it is no directory".to_owned()),
            _ => Error::Read(fault),
        }),
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod written;
