//! Content of a decrypted file: a password in the first line and lines of `key: value` below. Any
//! other text stays unchanged: its parts could not restore it, and its first line may not be a
//! password.

use keystead_plugin_api::{SecretBytes, SecretName, SecretText, Value};

use super::super::item::Item;
use super::super::left_out::LeftOut;
use super::super::{BadRow, Position, Row};

/// Maximum number of characters of a key; longer text before a colon is a sentence.
const MAX_KEY: usize = 64;

/// First line of older gopass files, in which another line is the password.
const GOPASS_MARK: &str = "GOPASS-SECRET-1.0";

/// Returns the row of a decrypted file: bytes if it is not UTF-8; a credential of a user and a
/// password; a map of a password and more; else the text.
pub fn decrypted(bytes: SecretBytes, at: Position, name: SecretName) -> Result<Row, BadRow> {
    let mut item = Item::default();
    match SecretText::from_bytes(bytes.duplicate()) {
        Err(_) => item.value("value", Value::Bytes(bytes)),
        Ok(text) => match parts(text.expose()) {
            Some(parts) => parts.into_iter().for_each(|(part, text)| match part {
                Part::Url => item.url(copy(text)),
                Part::Field(label) => item.field(label, copy(text)),
            }),
            None => item.field("value", Some(text)),
        },
    }
    item.into_row(at, name, &mut LeftOut::default())
}

/// Kind of a file's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    Url,
    Field(&'a str),
}

/// Returns the parts of a text that is a password and lines of `key: value`, each key once; `None`
/// for any other text, which its parts could not restore.
fn parts(text: &str) -> Option<Vec<(Part<'_>, &str)>> {
    let first = text.trim_end_matches(['\r', '\n']);
    if !first.contains('\n') {
        // A password, or the address of a one-time password, and no more than the end of its line.
        let label = if first.starts_with("otpauth://") { "totp" } else { "password" };
        return Some(vec![(Part::Field(label), first)]);
    }
    let mut lines = text.strip_suffix('\n').unwrap_or(text).split('\n').peekable();
    let first = lines.next()?;
    let mut parts = Vec::new();
    if first == GOPASS_MARK {
        // An empty line follows its lines.
        let body = text.strip_suffix("\n\n").unwrap_or(text.strip_suffix('\n').unwrap_or(text));
        lines = body.split('\n').peekable();
        lines.next();
    } else {
        let is_document = first.is_empty()
            || part(first).is_some()
            || first.starts_with("-----BEGIN ")
            || first.contains('\r');
        if is_document {
            return None;
        }
        parts.push((Part::Field("password"), first));
        // Marks YAML below in gopass.
        lines.next_if_eq(&"---");
    }
    for line in lines {
        let (part, value) = part(line)?;
        let is_same = |(other, _): &(Part<'_>, &str)| match (part, other) {
            (Part::Field(label), Part::Field(other)) => {
                label.to_lowercase() == other.to_lowercase()
            }
            (part, other) => part == *other,
        };
        if parts.iter().any(is_same) {
            return None;
        }
        parts.push((part, value));
    }
    parts.iter().any(|(part, _)| *part == Part::Field("password")).then_some(parts)
}

/// Returns a line's kind and its value; `None` if it is not `key: value`.
fn part(line: &str) -> Option<(Part<'_>, &str)> {
    if line.starts_with("otpauth://") {
        return (line.trim() == line).then_some((Part::Field("totp"), line));
    }
    let (key, value) = pair(line)?;
    let part = match key.to_lowercase().as_str() {
        "user" | "username" | "login" => Part::Field("user"),
        "password" => Part::Field("password"),
        "totp" | "otp" => Part::Field("totp"),
        "url" | "uri" | "website" => Part::Url,
        _ => Part::Field(key),
    };
    Some((part, value))
}

fn copy(text: &str) -> Option<SecretText> {
    Some(SecretText::new(text))
}

/// Returns the key and the value of a line that has both, with `: ` and nothing else between them.
fn pair(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(": ")?;
    let is_key = key.chars().next().is_some_and(char::is_alphanumeric)
        && key.chars().all(|c| c.is_alphanumeric() || " _-./".contains(c))
        && key.chars().count() <= MAX_KEY
        && key.trim() == key;
    (is_key && !value.is_empty() && value.trim() == value).then_some((key, value))
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
    fn single_line_entry_becomes_text() {
        assert_eq!(of("canary: a b \n"), "x\n  \"canary: a b \"\n");
        assert_eq!(of("canary\r\n\r\n"), "x\n  \"canary\"\n");
        assert_eq!(of("canary"), "x\n  \"canary\"\n");
        assert_eq!(of("\n\n"), "BAD: there is nothing in it\n");
        assert_eq!(of(""), "BAD: there is nothing in it\n");
    }

    #[test]
    fn entry_with_user_and_password_becomes_credential() {
        for key in ["user", "Username", "login"] {
            let text = format!("canary\n{key}: bob\nurl: https://x.example\n");
            assert_eq!(of(&text), "x\n  \"bob\" / \"canary\"\n  [url] https://x.example\n");
        }
    }

    #[test]
    fn entry_with_more_fields_becomes_map() {
        assert_eq!(
            of("canary\nlogin: bob\nPIN: 1\notpauth://totp/x?secret=canary\nSay: \"hello\": x\n"),
            "x\n  password: \"canary\"\n  user: \"bob\"\n  PIN: \"1\"\n  \
             totp: \"otpauth://totp/x?secret=canary\"\n  Say: \"\\\"hello\\\": x\"\n"
        );
        assert_eq!(
            of("otpauth://totp/x?secret=canary\n"),
            "x\n  totp: \"otpauth://totp/x?secret=canary\"\n"
        );
    }

    #[test]
    fn any_other_text_stays_as_it_is() {
        for text in [
            // A document, whose first line is no password.
            "apiVersion: v1\nkind: Config\nusers:\n- name: canary\n",
            "[default]\naws_secret_access_key = canary\n",
            "{\n  \"canary\": 1\n}\n",
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES,canary\n\nMII\n-----END RSA PRIVATE KEY-----\n",
            "canary\n-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n-----END-----\n",
            "otpauth://totp/x?secret=canary\nuser: bob\n",
            // Blanks, order and repetitions cannot be restored.
            "canary\n\nuser: bob\n",
            "canary\nuser: bob\n\n",
            "canary\nuser: bob\nlogin: alice\n",
            "canary\nPIN: 1\npin: 2\n",
            "canary\nurl: https://a.example\nurl: https://b.example\n",
            "canary\nuser:  bob\n",
            "canary\nuser: bob \n",
            "canary\nPIN:\t1\n",
            "canary\nempty:\n",
            "canary\n indented: x\n",
            "canary\r\nuser: bob\r\n",
            "canary\nuser: bob\na note\n",
            "\nuser: canary\n",
            "canary\n---\nuser: bob\nlist:\n  - 1\n",
            "GOPASS-SECRET-1.0\nPassword: canary\n\nbody\n",
            "GOPASS-SECRET-1.0\nUser: canary\n\n",
        ] {
            let name = SecretName::parse("x").unwrap();
            let row = decrypted(SecretBytes::copy_of(text.as_bytes()), Position::Line(1), name);
            assert_eq!(row.unwrap().value, Value::text(text), "{text}");
        }
    }

    #[test]
    fn gopass_entries_are_parsed() {
        assert_eq!(of("canary\n---\nuser: bob\n"), "x\n  \"bob\" / \"canary\"\n");
        assert_eq!(
            of("GOPASS-SECRET-1.0\nPassword: canary\nUser: bob\n\n"),
            "x\n  \"bob\" / \"canary\"\n"
        );
    }

    #[test]
    fn private_key_and_binary_entries_are_kept_unchanged() {
        let pem = "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary: x\n-----END-----\n";
        assert_eq!(of(pem), format!("x\n  \"{}\"\n", pem.replace('\n', "|")));
        let name = SecretName::parse("x").unwrap();
        let row = decrypted(SecretBytes::copy_of(b"\xff\n"), Position::Line(1), name).unwrap();
        assert_eq!(row.value, Value::bytes(b"\xff\n".to_vec()));
    }

    #[test]
    fn changed_pass_entry_never_panics() {
        let good =
            "canary\nlogin: bob\nurl: https://x.example\n---\nPIN:\t1\notpauth://totp/x\n\nnote\n";
        changed(good.as_bytes(), |bytes| {
            let name = SecretName::parse("x").unwrap();
            let _ = decrypted(SecretBytes::copy_of(bytes), Position::Line(1), name);
        });
    }
}
