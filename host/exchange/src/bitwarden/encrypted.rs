//! Bitwarden's JSON encrypted with a password: a key by PBKDF2 or Argon2id, and a text in
//! AES-256-CBC with an HMAC. The format is that of bitwarden/clients
//! (`bitwarden-password-protected-importer.ts`); Keystead never writes it.

use std::ops::Range;

use aes::Aes256;
use argon2::{Algorithm, Argon2, Params, Version};
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use hmac::{Hmac, KeyInit, Mac};
use keystead::internals::json::{base64, tree};
use keystead_plugin_api::{SecretBytes, SecretText};
use pbkdf2::pbkdf2_hmac;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::super::Error;
use super::wrong;

/// Limits that Bitwarden sets for users, so that no file decides how much work it takes.
const MAX_ROUNDS: i64 = 2_000_000;
const MAX_PASSES: i64 = 10;
const MAX_MEBIBYTES: i64 = 1_024;
const MAX_LANES: i64 = 16;

type Key = Zeroizing<[u8; 32]>;

/// Returns the text of an export, decrypted with this password.
///
/// # Errors
/// [`Error::NoPassword`], [`Error::WrongPassword`], or [`Error::NotOfForm`].
pub(super) fn decrypted(
    text: &str,
    members: &[(String, Range<usize>)],
    password: Option<&SecretText>,
) -> Result<SecretText, Error> {
    let member = |name: &str| {
        let place = members.iter().find(|(present, _)| present == name).map(|(_, place)| place);
        place.and_then(|place| tree::parse(text, place).ok())
    };
    let broken = |name: &str| wrong(format!("its member `{name}` is missing or broken"));
    let string =
        |name: &str| member(name).and_then(tree::Tree::into_text).ok_or_else(|| broken(name));
    let number = |name: &str, most: i64| {
        let number = member(name).and_then(|tree| tree.as_integer()).ok_or_else(|| broken(name))?;
        match u32::try_from(number) {
            Ok(number) if (1..=most).contains(&i64::from(number)) => Ok(number),
            _ => Err(wrong(format!("its `{name}` is {number}; the most is {most}"))),
        }
    };
    let password = password.ok_or(Error::NoPassword)?;
    let password = password.expose().as_bytes();
    let salt = string("salt")?;
    let salt = salt.expose().as_bytes();
    let mut key = Key::default();
    match member("kdfType").and_then(|tree| tree.as_integer()) {
        Some(0) => {
            pbkdf2_hmac::<Sha256>(password, salt, number("kdfIterations", MAX_ROUNDS)?, &mut *key);
        }
        Some(1) => {
            let memory = 1_024 * number("kdfMemory", MAX_MEBIBYTES)?;
            let passes = number("kdfIterations", MAX_PASSES)?;
            let lanes = number("kdfParallelism", MAX_LANES)?;
            let params = Params::new(memory, passes, lanes, Some(key.len()));
            let params = params.map_err(|_| broken("kdfMemory"))?;
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password_into(password, &Sha256::digest(salt), &mut *key)
                .map_err(|_| broken("salt"))?;
        }
        _ => return Err(broken("kdfType")),
    }
    let keys = (expanded(&key, b"enc"), expanded(&key, b"mac"));
    let decrypt = |name: &str| -> Result<Option<SecretBytes>, Error> {
        opened(string(name)?.expose(), &keys).ok_or_else(|| broken(name))
    };
    if decrypt("encKeyValidation_DO_NOT_EDIT")?.is_none() {
        return Err(Error::WrongPassword { file: "the export" });
    }
    let data = decrypt("data")?.ok_or_else(|| wrong("it was changed or damaged".into()))?;
    SecretText::from_bytes(data).map_err(|_| wrong("it is not UTF-8".into()))
}

/// Returns a key expanded by a block of HKDF.
fn expanded(key: &Key, info: &[u8]) -> Key {
    Zeroizing::new(hmac(key).chain_update(info).chain_update([1]).finalize().into_bytes().into())
}

fn hmac(key: &Key) -> Hmac<Sha256> {
    Hmac::new_from_slice(&**key).expect("HMAC takes keys of any length")
}

/// Decrypts `2.IV|TEXT|MAC`: outer `None` if it is no such text, inner `None` if its MAC is wrong.
#[expect(clippy::option_option, reason = "broken, and of another key, are two answers")]
fn opened(text: &str, (key, mac_key): &(Key, Key)) -> Option<Option<SecretBytes>> {
    let mut parts = text.strip_prefix("2.")?.split('|');
    let mut part = || base64::decode(parts.next()?);
    let (iv, data, mac) = (part()?, part()?, part()?);
    let iv: &[u8; 16] = iv.expose().try_into().ok()?;
    let sum = hmac(mac_key).chain_update(iv).chain_update(data.expose());
    if sum.verify_slice(mac.expose()).is_err() {
        return Some(None);
    }
    let mut bytes = Zeroizing::new(data.expose().to_vec());
    let cbc = Decryptor::<Aes256>::new((&**key).into(), iv.into());
    let len = cbc.decrypt_padded::<Pkcs7>(&mut bytes).ok()?.len();
    bytes.truncate(len);
    Some(Some(SecretBytes::new(std::mem::take(&mut *bytes))))
}

#[cfg(test)]
mod tests {
    use cbc::Encryptor;
    use cbc::cipher::BlockModeEncrypt;

    use super::super::super::shown::shown;
    use super::super::read;
    use super::*;

    fn encode(bytes: &[u8]) -> String {
        let mut text = Vec::new();
        base64::encode(bytes, |piece| text.extend_from_slice(piece));
        String::from_utf8(text).unwrap()
    }

    fn sealed(plain: &[u8], key: &Key) -> String {
        let (enc, mac) = (expanded(key, b"enc"), expanded(key, b"mac"));
        let iv = [7; 16];
        let cbc = Encryptor::<Aes256>::new((&*enc).into(), (&iv).into());
        let data = cbc.encrypt_padded_vec::<Pkcs7>(plain);
        let sum = hmac(&mac).chain_update(iv).chain_update(&data).finalize().into_bytes();
        format!("2.{}|{}|{}", encode(&iv), encode(&data), encode(&sum))
    }

    fn export(kdf: &str, key: &Key) -> String {
        let text = br#"{"items":[{"type":2,"name":"a","notes":"canary"}]}"#;
        format!(
            r#"{{"encrypted":true,"passwordProtected":true,"salt":"c2FsdA==",{kdf},
                "encKeyValidation_DO_NOT_EDIT":"{}","data":"{}"}}"#,
            sealed(b"x", key),
            sealed(text, key)
        )
    }

    fn told(text: &str, password: Option<&str>) -> String {
        let password = password.map(SecretText::new);
        match read(text.as_bytes(), password.as_ref()) {
            Ok(items) => shown(items).unwrap(),
            Err(error) => format!("{}: {error}", error.code()),
        }
    }

    #[test]
    fn export_opens_with_its_password_only() {
        let mut key = Key::default();
        pbkdf2_hmac::<Sha256>(b"canary pw", b"c2FsdA==", 3, &mut *key);
        let text = export(r#""kdfType":0,"kdfIterations":3"#, &key);
        assert_eq!(
            told(&text, Some("canary pw")),
            "item 1, `a`: a\n  \"canary\"\n  [category] note\n"
        );
        assert!(told(&text, Some("other")).starts_with("E13.wrong-password: "));
        assert!(told(&text, None).starts_with("E13.locked: "));
        let at = text.rfind("2.Bwc").unwrap();
        let damaged = format!("{}2.Bwd{}", &text[..at], &text[at + 5..]);
        assert!(told(&damaged, Some("canary pw")).ends_with("it was changed or damaged"));
    }

    #[test]
    fn argon2_export_opens_and_excessive_work_is_refused() {
        let mut key = Key::default();
        let params = Params::new(16 * 1_024, 2, 1, Some(32)).unwrap();
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(b"canary pw", &Sha256::digest(b"c2FsdA=="), &mut *key)
            .unwrap();
        let kdf = |iterations: i64, memory: i64| {
            let kdf = format!(
                r#""kdfType":1,"kdfIterations":{iterations},"kdfMemory":{memory},"kdfParallelism":1"#
            );
            told(&export(&kdf, &key), Some("canary pw"))
        };
        assert!(kdf(2, 16).contains("\"canary\""));
        assert!(kdf(11, 16).ends_with("its `kdfIterations` is 11; the most is 10"));
        assert!(kdf(2, 1_025).ends_with("its `kdfMemory` is 1025; the most is 1024"));
        let text = export(r#""kdfType":0,"kdfIterations":2000001"#, &key);
        assert!(told(&text, Some("x")).ends_with("is 2000001; the most is 2000000"));
    }
}
