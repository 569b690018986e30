//! The key that binds a session to one login.

use std::path::{Path, PathBuf};

use keystead_plugin_api::{Parameters, SecretText};
use zeroize::Zeroizing;

use crate::paths::Layer;
use crate::plugin::pins::Digest;
use crate::registry::{Placement, Registration, Setting};

/// The key of a session, which stands for a login. Keys are compared as a whole. They exclude the
/// vault's name: vaults that log in the same way share one session.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionKey {
    /// The layer of the registration.
    pub layer: Layer,
    /// The hash of the plugin's file.
    pub plugin: Digest,
    /// The kind of vault.
    pub kind: String,
    /// The hash of the registered settings that decide which login opens: see
    /// [`SessionKey::registered()`].
    pub registered: Digest,
    /// The hash of the values that references gave: of parameters and, with `keep-login`, of unlock
    /// references. A different value means a different account.
    pub account: Digest,
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The account is omitted: it is made from secrets.
        f.debug_struct("SessionKey")
            .field("layer", &self.layer)
            .field("plugin", &self.plugin)
            .field("kind", &self.kind)
            .field("registered", &self.registered)
            .finish_non_exhaustive()
    }
}

impl SessionKey {
    /// Returns the hash of the plugin's id, the registered parameters (references unresolved), the
    /// unlock references, the grants, the placement and the home directory. Defaults with `~/`
    /// start from that home; its spelling does not matter. The hash omits the parameters in
    /// `beside`, which the login does not need, and what describes a vault.
    pub fn registered(entry: &Registration, beside: &[String], home: Option<&Path>) -> Digest {
        let mut text = Vec::with_capacity(512);
        let mut part = |tag: u8, bytes: &[u8]| part(&mut text, tag, bytes);
        part(b'i', entry.plugin.as_bytes());
        for (name, setting) in entry.parameters.iter().filter(|(name, _)| !beside.contains(name)) {
            part(b'n', name.as_bytes());
            match setting {
                Setting::Text(text) => part(b't', text.as_bytes()),
                Setting::Integer(number) => part(b'#', &number.to_le_bytes()),
                Setting::Boolean(yes) => part(b'b', &[u8::from(*yes)]),
                Setting::Reference(reference) => part(b'r', reference.to_string().as_bytes()),
            }
        }
        for (prompt, reference) in &entry.unlock {
            part(b'u', prompt.as_bytes());
            part(b'r', reference.to_string().as_bytes());
        }
        for grant in &entry.grants {
            part(b'g', grant.as_bytes());
        }
        part(b'p', entry.placement.map_or("", Placement::as_str).as_bytes());
        let home = home.map(same);
        part(b'h', home.as_ref().map_or(&[][..], |home| home.as_os_str().as_encoded_bytes()));
        Digest::of(&text)
    }

    /// Returns the hash of the values that references among the parameters gave, except those in
    /// `beside`, and of these answers to prompts. A prompt without an answer gives another account
    /// than a prompt with any answer.
    pub fn account<'a>(
        entry: &Registration,
        beside: &[String],
        resolved: &Parameters,
        answers: impl Iterator<Item = (&'a String, &'a SecretText)> + Clone,
    ) -> Digest {
        // Allocated in full at once: a buffer that grows leaves copies of secrets.
        let answers = || answers.clone().map(|(prompt, answer)| (prompt, answer.expose()));
        let secrets = || {
            entry.parameters.iter().filter_map(|(name, setting)| {
                let is_login = matches!(setting, Setting::Reference(_)) && !beside.contains(name);
                resolved.secret(name).filter(|_| is_login).map(|secret| (name, secret.expose()))
            })
        };
        let room = |(name, secret): (&String, &str)| name.len() + secret.len() + 2 * PART_BYTES;
        let mut text =
            Zeroizing::new(Vec::with_capacity(secrets().chain(answers()).map(room).sum()));
        for (name, secret) in secrets() {
            part(&mut text, b'n', name.as_bytes());
            part(&mut text, b's', secret.as_bytes());
        }
        for (prompt, answer) in answers() {
            part(&mut text, b'u', prompt.as_bytes());
            part(&mut text, b'a', answer.as_bytes());
        }
        Digest::of(&text)
    }

    /// Returns the name of the lock for logins with this key. No part of it is made from a secret.
    pub(super) fn lock_name(&self) -> String {
        let mut text = Vec::with_capacity(256);
        part(&mut text, b'l', self.layer.as_str().as_bytes());
        part(&mut text, b'p', self.plugin.as_bytes());
        part(&mut text, b'k', self.kind.as_bytes());
        part(&mut text, b'r', self.registered.as_bytes());
        format!("asking-{}.lock", &Digest::of(&text).to_string()[..32])
    }
}

/// Returns the same path for all paths to a directory: no links, no `.`, no slash at the end.
fn same(dir: &Path) -> PathBuf {
    std::fs::canonicalize(dir).unwrap_or_else(|_| dir.components().collect())
}

/// Bytes that a part needs beside its text: tag and length.
const PART_BYTES: usize = 9;

/// Appends a text after its tag and length, so that different lists give different bytes.
fn part(to: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    to.push(tag);
    to.extend((bytes.len() as u64).to_le_bytes());
    to.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystead_plugin_api::{ParameterValue, SecretText, VaultName};

    use crate::reference::Reference;

    fn entry(change: impl FnOnce(&mut Registration)) -> Digest {
        let mut entry = Registration::new(VaultName::parse("work").unwrap(), "memory");
        entry.parameters.insert("file".into(), Setting::Text("/a".into()));
        entry.grants.push("files:/a:rw".into());
        change(&mut entry);
        SessionKey::registered(&entry, &["beside".to_owned()], Some(Path::new("/home/ann")))
    }

    #[test]
    fn key_differs_with_plugin_parameters_grants_or_placement() {
        let plain = entry(|_| {});
        let reference = |text| Setting::Reference(Reference::parse(text).unwrap());
        let changed = [
            entry(|e| e.plugin = "other".into()),
            entry(|e| drop(e.parameters.insert("file".into(), Setting::Text("/b".into())))),
            entry(|e| drop(e.parameters.insert("more".into(), Setting::Boolean(true)))),
            entry(|e| drop(e.parameters.insert("more".into(), Setting::Integer(1)))),
            entry(|e| drop(e.parameters.insert("more".into(), reference("env:A")))),
            entry(|e| drop(e.parameters.insert("more".into(), reference("env:B")))),
            entry(|e| drop(e.parameters.insert("more".into(), Setting::Text("env:A".into())))),
            entry(|e| e.parameters.clear()),
            entry(|e| e.grants.push("network".into())),
            entry(|e| e.placement = Some(Placement::InProcess)),
            entry(|e| drop(e.unlock.insert("password".into(), Reference::parse("env:A").unwrap()))),
            entry(|e| drop(e.unlock.insert("password".into(), Reference::parse("env:B").unwrap()))),
            SessionKey::registered(
                &Registration::new(VaultName::parse("work").unwrap(), "memory"),
                &[],
                Some(Path::new("/home/bob")),
            ),
        ];
        for (at, key) in changed.iter().enumerate() {
            assert_ne!(*key, plain, "{at}");
            assert!(!changed[..at].contains(key), "{at}");
        }
    }

    #[test]
    fn key_is_the_same_however_home_is_spelled() {
        let entry = Registration::new(VaultName::parse("work").unwrap(), "memory");
        let of = |home: &Path| SessionKey::registered(&entry, &[], Some(home));
        for same in ["/home/ann/", "/home//ann", "/home/./ann/."] {
            assert_eq!(of(Path::new(same)), of(Path::new("/home/ann")), "{same}");
        }
        let dir = tempfile::tempdir().unwrap();
        let (home, link) = (dir.path().join("home"), dir.path().join("link"));
        std::fs::create_dir(&home).unwrap();
        std::os::unix::fs::symlink(&home, &link).unwrap();
        assert_eq!(of(&home), of(&link));
        assert_eq!(of(&home), of(&dir.path().join("home/../home/")));
        assert_ne!(of(&home), of(dir.path()));
    }

    #[test]
    fn parameter_text_cannot_imitate_next_parameter_in_key() {
        let two = entry(|e| {
            e.parameters.clear();
            e.parameters.insert("a".into(), Setting::Text("b".into()));
            e.parameters.insert("c".into(), Setting::Text("d".into()));
        });
        let one = entry(|e| {
            e.parameters.clear();
            e.parameters.insert("a".into(), Setting::Text("bn\u{1}c".into()));
        });
        assert_ne!(one, two);
    }

    #[test]
    fn key_ignores_name_description_and_non_login_parameters() {
        let described = entry(|e| {
            e.description = "for work".into();
            e.search = false;
            e.name = VaultName::parse("other").unwrap();
            e.parameters.insert("beside".into(), Setting::Text("mount".into()));
            e.keep_login = true;
        });
        assert_eq!(described, entry(|_| {}));
    }

    #[test]
    fn key_differs_with_resolved_secret() {
        let of = |name: &str, secret: &str| {
            let mut entry = Registration::new(VaultName::parse("work").unwrap(), "memory");
            let from = Setting::Reference(Reference::parse("env:A").unwrap());
            entry.parameters.insert(name.into(), from);
            let mut resolved = Parameters::new();
            resolved.insert(name, ParameterValue::Secret(SecretText::new(secret)));
            let answers = std::iter::empty();
            SessionKey::account(&entry, &["beside".to_owned()], &resolved, answers)
        };
        assert_eq!(of("token", "a"), of("token", "a"));
        assert_ne!(of("token", "a"), of("token", "b"));
        assert_ne!(of("token", "a"), of("other", "a"));
        assert_eq!(of("beside", "a"), of("beside", "b"));
    }

    #[test]
    fn key_differs_with_prompt_answers() {
        let of = |answers: &[(&str, &str)]| {
            let entry = Registration::new(VaultName::parse("work").unwrap(), "memory");
            let answer = |(name, text): &(&str, &str)| ((*name).to_owned(), SecretText::new(*text));
            let answers: Vec<_> = answers.iter().map(answer).collect();
            let answers = answers.iter().map(|(name, text)| (name, text));
            SessionKey::account(&entry, &[], &Parameters::new(), answers)
        };
        let all: [&[(&str, &str)]; 6] = [
            &[],
            &[("user", "a")],
            &[("user", "b")],
            &[("user", "")],
            &[("password", "a")],
            &[("user", "a"), ("password", "a")],
        ];
        for (at, answers) in all.iter().enumerate() {
            assert_eq!(of(answers), of(answers));
            assert!(all[..at].iter().all(|other| of(other) != of(answers)), "{at}");
        }
    }
}
