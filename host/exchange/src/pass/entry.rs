//! What is in a decrypted file: a password in the first line, then lines of `key: value`, and
//! whatever else was noted.

use keystead_plugin_api::{SecretBytes, SecretName, SecretText, Value};
use zeroize::Zeroizing;

use super::super::item::Item;
use super::super::left_out::LeftOut;
use super::super::{BadRow, Position, Row};

/// The most characters of a key; what is longer before a colon is a sentence.
const MAX_KEY: usize = 64;

/// What gopass once began its files with; the password is one of the lines then.
const GOPASS_MARK: &str = "GOPASS-SECRET-1.0";

/// Returns what a decrypted file becomes: bytes where it is not UTF-8, text where it is one
/// line or a key in PEM, a credential of a user and a password, else a map.
pub fn decrypted(bytes: SecretBytes, at: Position, name: SecretName) -> Result<Row, BadRow> {
    let mut item = Item::default();
    match SecretText::from_bytes(bytes.duplicate()) {
        Err(_) => item.value("value", Value::Bytes(bytes)),
        Ok(text) if text.expose().starts_with("-----BEGIN ") => item.field("value", Some(text)),
        Ok(text) => lines(&mut item, text.expose()),
    }
    item.into_row(at, name, &mut LeftOut::default())
}

fn lines(item: &mut Item, text: &str) {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    if first.starts_with("otpauth://") {
        item.field("totp", copy(first));
    } else if first != GOPASS_MARK {
        item.field("password", copy(first));
    }
    let mut notes = Vec::new();
    for line in lines {
        if line.starts_with("otpauth://") {
            item.field("totp", copy(line));
            continue;
        }
        match pair(line) {
            // Where gopass has YAML below.
            None if line == "---" && notes.is_empty() => {}
            None => notes.push(line),
            Some((key, value)) => match key.to_lowercase().as_str() {
                "user" | "username" | "login" => item.field("user", copy(value)),
                "password" => item.field("password", copy(value)),
                "totp" | "otp" => item.field("totp", copy(value)),
                "url" | "uri" | "website" => item.url(copy(value)),
                _ => item.field(key, copy(value)),
            },
        }
    }
    let is_blank = |line: &&str| line.trim().is_empty();
    let start = notes.iter().take_while(|line| is_blank(line)).count();
    let end = notes.len() - notes[start..].iter().rev().take_while(|line| is_blank(line)).count();
    let notes = &notes[start..end];
    let len = notes.iter().map(|line| line.len() + 1).sum();
    let mut joined = Zeroizing::new(Vec::with_capacity(len));
    for (index, line) in notes.iter().enumerate() {
        if index > 0 {
            joined.push(b'\n');
        }
        joined.extend_from_slice(line.as_bytes());
    }
    let joined = SecretBytes::new(std::mem::take(&mut *joined));
    let joined = SecretText::from_bytes(joined);
    item.field("notes", Some(joined.expect("lines of a text, joined by line feeds")));
}

fn copy(text: &str) -> Option<SecretText> {
    Some(SecretText::new(text))
}

/// Returns the key and the value of a line that has both. An address is none, and neither is a
/// line that is indented: that belongs to the one above it.
fn pair(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    let value = value.strip_prefix([' ', '\t'])?.trim();
    let is_key = key.chars().next().is_some_and(char::is_alphanumeric)
        && key.chars().all(|c| c.is_alphanumeric() || " _-./".contains(c))
        && key.chars().count() <= MAX_KEY;
    (is_key && !value.is_empty()).then_some((key.trim_end(), value))
}

#[cfg(test)]
mod tests {
    use super::super::super::shown::{changed, shown};
    use super::*;

    fn of(text: &str) -> String {
        let name = SecretName::parse("x").unwrap();
        let row = decrypted(SecretBytes::copy_of(text.as_bytes()), Position::Line(1), name);
        let text = shown(std::iter::once(Ok(row))).unwrap();
        text.strip_prefix("line 1: ").unwrap().replace("\\n", "|")
    }

    #[test]
    fn one_line_is_a_text() {
        assert_eq!(of("canary: a b \n"), "x\n  \"canary: a b \"\n");
        assert_eq!(of("canary\r\n\r\n"), "x\n  \"canary\"\n");
        assert_eq!(of("canary"), "x\n  \"canary\"\n");
        assert_eq!(of("\n\n"), "BAD: there is nothing in it\n");
        assert_eq!(of(""), "BAD: there is nothing in it\n");
    }

    #[test]
    fn user_and_password_are_a_credential() {
        for key in ["user", "Username", "login"] {
            let text = format!("canary\n{key}: bob\nurl: https://x.example\n");
            assert_eq!(of(&text), "x\n  \"bob\" / \"canary\"\n  [url] https://x.example\n");
        }
    }

    #[test]
    fn more_is_a_map() {
        assert_eq!(
            of(
                "canary\nlogin: bob\nuser: alice\nPIN: 1\npin:\t2\notpauth://totp/x?secret=canary\n\
                https://x.example/\n\nSay: \"hello\"\n key: indented\nempty:\n- a: b\n\n"
            ),
            "x\n  password: \"canary\"\n  user: \"bob\"\n  user (2): \"alice\"\n  PIN: \"1\"\n  \
             pin (2): \"2\"\n  totp: \"otpauth://totp/x?secret=canary\"\n  Say: \"\\\"hello\\\"\"\n  \
             notes: \"https://x.example/|| key: indented|empty:|- a: b\"\n"
        );
        assert_eq!(
            of("otpauth://totp/x?secret=canary\n"),
            "x\n  totp: \"otpauth://totp/x?secret=canary\"\n"
        );
    }

    #[test]
    fn gopass_is_read_as_well() {
        assert_eq!(
            of("canary\n---\nuser: bob\nlist:\n  - 1\n"),
            "x\n  password: \"canary\"\n  user: \"bob\"\n  notes: \"list:|  - 1\"\n"
        );
        assert_eq!(
            of("GOPASS-SECRET-1.0\nPassword: canary\nUser: bob\n\n"),
            "x\n  \"bob\" / \"canary\"\n"
        );
    }

    #[test]
    fn keys_and_bytes_are_kept_as_they_are() {
        let pem = "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary: x\n-----END-----\n";
        assert_eq!(of(pem), format!("x\n  \"{}\"\n", pem.replace('\n', "|")));
        let name = SecretName::parse("x").unwrap();
        let row = decrypted(SecretBytes::copy_of(b"\xff\n"), Position::Line(1), name).unwrap();
        assert_eq!(row.value, Value::bytes(b"\xff\n".to_vec()));
    }

    #[test]
    fn no_change_of_a_text_makes_it_panic() {
        let good =
            "canary\nlogin: bob\nurl: https://x.example\n---\nPIN:\t1\notpauth://totp/x\n\nnote\n";
        changed(good.as_bytes(), |bytes| {
            let name = SecretName::parse("x").unwrap();
            let _ = decrypted(SecretBytes::copy_of(bytes), Position::Line(1), name);
        });
    }
}
