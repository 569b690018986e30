//! An unlocked SecretStore, or what pretends to be one: changes to its list, to what was
//! encrypted, or to the encrypted bytes. What no key is needed for comes as it is.

#![no_main]

mod change;
mod rows;
#[path = "../../host/exchange/src/secretstore/written.rs"]
mod written;

use std::sync::LazyLock;

use keystead_exchange::secretstore::{Cipher, Entries, Store};
use keystead_plugin_api::{SecretBytes, SecretText};
use written::{IV, KEY, Lock, Written, list};

/// Made once: a thousand rounds for each input would be all that is done.
static LOCK: LazyLock<Lock> = LazyLock::new(|| Written::new("BOB", None).lock);
static CIPHERS: LazyLock<[Cipher; 2]> =
    LazyLock::new(|| [Cipher::new(b"BOB", &KEY, &IV), Cipher::new(b"bob", &KEY, &IV)]);

/// A store of every type, one of its values changed.
fn store(which: u8, changes: &[u8]) -> Written {
    let values: [(&str, &str, &[u8]); 7] = [
        ("text", "StringType", "hunter2 ü".as_bytes()),
        ("secure", "SecureStringType", b"s\x003\0c\0"),
        ("bytes", "ByteArrayType", b"\0\x01\x02\xff"),
        ("cred", "CredentialType", b"\x07\0\0\0bobp\0w\0"),
        ("map", "HashtableType", &list(&["psht:mapA", "psht:mapB"])),
        ("psht:mapA", "CredentialType", b"\x07\0\0\0evep\0w\0"),
        ("psht:mapB", "StringType", b"x"),
    ];
    let mut store = Written::empty(LOCK.clone());
    for (at, (name, kind, value)) in values.into_iter().enumerate() {
        let mut value = value.to_vec();
        if at == usize::from(which) % 8 {
            value = change::apply(value, changes);
        }
        let metadata = r#"{"Due":"\/Date(1651363200000+0200)\/","Count":42}"#;
        store = store.with(name, kind, &value, metadata);
    }
    store
}

fn check(listing: &[u8], blobs: &[u8]) {
    let Ok(listing) = SecretText::from_bytes(SecretBytes::copy_of(listing)) else { return };
    rows::check(|| {
        let ciphers = CIPHERS.iter().map(Cipher::duplicate).collect();
        Entries::new(listing.duplicate(), blobs.to_vec(), ciphers)
    });
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((which, rest)) = input.split_first() else { return };
    match which % 16 {
        0..8 => {
            let store = store(which % 16, rest);
            check(store.listing().as_bytes(), &store.blobs);
        }
        8..12 => {
            let store = store(7, b"");
            check(&change::apply(store.listing().into_bytes(), rest), &store.blobs);
        }
        12 | 13 => {
            let store = store(7, b"");
            check(store.listing().as_bytes(), &change::apply(store.blobs.clone(), rest));
        }
        14 => check(rest, &store(7, b"").blobs),
        // The outermost layer, where every try takes its rounds.
        _ => {
            let third = rest.len() / 3;
            let (config, rest) = rest.split_at(third);
            let (key, data) = rest.split_at(third);
            assert!(Store::new("bob", config, key, data.to_vec()).is_err());
        }
    }
});
