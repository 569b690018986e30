//! What a session is bound to: it opens nothing else.

use std::path::Path;

use keystead_plugin_api::VaultName;

use crate::paths::Layer;
use crate::plugin::pins::Digest;
use crate::registry::{Entry, Placement, Setting};

/// What a session is bound to. Keys are compared whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionKey {
    /// The vault's name.
    pub vault: VaultName,
    /// Where it is registered.
    pub layer: Layer,
    /// The hash of the plugin's file.
    pub plugin: Digest,
    /// The kind of vault.
    pub kind: String,
    /// The hash of what is registered and decides what is opened: see
    /// [`SessionKey::registered()`].
    pub registered: Digest,
}

impl SessionKey {
    /// Returns the hash of the plugin's id, the parameters as they are registered
    /// (references unresolved), the grants, the placement, and the home that defaults with
    /// `~/` start from. What describes a vault, or answers its prompts, is left out.
    pub fn registered(entry: &Entry, home: Option<&Path>) -> Digest {
        let mut text = Vec::with_capacity(512);
        let mut part = |tag: u8, bytes: &[u8]| {
            // With tag and length no two registrations have one text.
            text.push(tag);
            text.extend((bytes.len() as u64).to_le_bytes());
            text.extend(bytes);
        };
        part(b'i', entry.plugin.as_bytes());
        for (name, setting) in &entry.parameters {
            part(b'n', name.as_bytes());
            match setting {
                Setting::Text(text) => part(b't', text.as_bytes()),
                Setting::Integer(number) => part(b'#', &number.to_le_bytes()),
                Setting::Boolean(yes) => part(b'b', &[u8::from(*yes)]),
                Setting::Reference(reference) => part(b'r', reference.to_string().as_bytes()),
            }
        }
        for grant in &entry.grants {
            part(b'g', grant.as_bytes());
        }
        part(b'p', entry.placement.map_or("", Placement::as_str).as_bytes());
        part(b'h', home.map_or(&[][..], |home| home.as_os_str().as_encoded_bytes()));
        Digest::of(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;

    fn entry(change: impl FnOnce(&mut Entry)) -> Digest {
        let mut entry = Entry::new(VaultName::parse("work").unwrap(), "memory");
        entry.parameters.insert("file".into(), Setting::Text("/a".into()));
        entry.grants.push("files:/a:rw".into());
        change(&mut entry);
        SessionKey::registered(&entry, Some(Path::new("/home/ann")))
    }

    #[test]
    fn whatever_changes_what_is_opened_changes_the_key() {
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
            SessionKey::registered(
                &Entry::new(VaultName::parse("work").unwrap(), "memory"),
                Some(Path::new("/home/bob")),
            ),
        ];
        for (at, key) in changed.iter().enumerate() {
            assert_ne!(*key, plain, "{at}");
            assert!(!changed[..at].contains(key), "{at}");
        }
    }

    #[test]
    fn a_text_cannot_pass_for_the_next_parameter() {
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
    fn a_description_changes_nothing() {
        let described = entry(|e| {
            e.description = "for work".into();
            e.search = false;
            e.unlock.insert("password".into(), Reference::parse("env:PASS").unwrap());
        });
        assert_eq!(described, entry(|_| {}));
    }
}
