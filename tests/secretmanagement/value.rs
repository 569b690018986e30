//! Five value kinds, which are four here: a text is always protected in memory. Each is written,
//! read, listed and removed.

use keystead::Placement;
use keystead::api::{Map, SecretName, Value, ValueKind};
use keystead::{Error, ErrorClass, NonInteractive};

use super::oracle;
use super::world::{Kind, World, new, vault_name};
use crate::scene::story;

/// Bytes that are not UTF-8 text, including a NUL.
const BYTES: [u8; 4] = [0, 0xff, 0x0a, 0x80];

/// Returns a value of each kind that the vaults hold, with a name. Plain and protected strings of
/// PowerShell are both texts.
fn values(world: &World) -> Vec<(&'static str, Value)> {
    let all = [
        ("bytes", Value::bytes(BYTES.to_vec())),
        ("text", Value::text("canary-5d1f plain")),
        ("protected text", Value::text("canary-5d1f protected")),
        ("credential", Value::credential("bob", "canary-5d1f")),
        ("map", Value::Map(map())),
    ];
    all.into_iter().filter(|(_, value)| world.holds(value.kind())).collect()
}

fn map() -> Map {
    let mut map = Map::new();
    map.insert("bytes", Value::bytes(BYTES[..2].to_vec()));
    map.insert("text", Value::text("canary-5d1f\nin two lines"));
    map.insert("protected text", Value::text("canary-5d1f"));
    map.insert("credential", Value::credential("ann", "canary-5d1f"));
    map
}

/// Writes a value, reads it, lists it under the vault name of the caller, and removes it.
#[track_caller]
fn lives_and_goes(world: &World, name: &str, value: &Value) {
    let vault = world.vault("work");
    world.set(&vault, "neighbour", Value::text("canary-5d1f"));
    world.set(&vault, name, value.duplicate());
    assert_eq!(world.get(&vault, name).unwrap(), *value);

    // Vault names are compared without case, and reported as the caller spelled them.
    let as_called = vault_name("WORK");
    let listed = world.list(Some(&as_called), name);
    let [one] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!((one.entry.name.as_str(), one.entry.kind), (name, world.listed_as(value.kind())));
    assert_eq!(one.vault.as_str(), "WORK");

    world.remove(&vault, name).unwrap();
    let error = world.get(&vault, name).unwrap_err();
    assert!(matches!(error, Error::NoSuchSecret { .. }), "{error:?}");
    assert!(world.list(Some(&vault), name).is_empty());
    world.get(&vault, "neighbour").unwrap();
}

/// Calls [`lives_and_goes`] if the vault holds this kind of value. Otherwise checks that the write
/// is refused and nothing is written.
#[track_caller]
fn lives_or_is_refused(world: &World, name: &str, value: &Value) {
    if world.holds(value.kind()) {
        return lives_and_goes(world, name, value);
    }
    let vault = world.vault("work");
    let refused =
        world.host().set(new(Some(&vault), name, value.duplicate(), None), &mut NonInteractive);
    let error = refused.unwrap_err();
    assert_eq!((error.code(), error.class()), ("E12.unsupported", ErrorClass::CannotDo));
    assert!(story(&error).contains(value.kind().as_str()), "{}", story(&error));
    assert!(!world.file("work").exists());
}

oracle! {
    /// Each kind of value can be set. Both kinds of string are texts, and `Debug` shows no text.
    sm_01_05_set_writes_every_kind_of_value for most |world| {
        let vault = world.vault("work");
        for (name, value) in values(world) {
            assert!(!format!("{value:?}").contains("canary"));
            world.set(&vault, name, value);
        }
        assert_eq!(world.list(Some(&vault), "*").len(), values(world).len());
    }

    /// Each value is read back unchanged, also after the vault is opened again.
    sm_06_10_get_returns_what_was_set for most |world| {
        let vault = world.vault("work");
        for (name, value) in values(world) {
            world.set(&vault, name, value);
        }
        for _ in 0..2 {
            for (name, value) in values(world) {
                assert_eq!(world.get(&vault, name).unwrap(), value, "{name}");
            }
            world.host().reload();
        }
    }

    /// An exact name lists only that secret: with its vault's name as registered, and its kind if
    /// the vault knows that without opening the value.
    sm_11_15_an_exact_name_lists_one_secret_with_kind_and_vault for most |world| {
        let vault = world.vault("Work");
        for (name, value) in values(world) {
            world.set(&vault, name, value);
        }
        for (name, value) in values(world) {
            let listed = world.list(None, name);
            let [one] = listed.as_slice() else { panic!("{listed:?}") };
            assert_eq!(one.entry.name, SecretName::parse(name).unwrap());
            assert_eq!(one.entry.kind, world.listed_as(value.kind()));
            assert_eq!(one.vault.as_str(), "Work");
        }
    }

    /// A removed secret is gone. The error for it is always not-found, with its own code and exit
    /// code.
    sm_16_20_what_is_removed_is_not_found for most |world| {
        let vault = world.vault("work");
        for (name, value) in values(world) {
            world.set(&vault, name, value);
        }
        for (name, _) in values(world) {
            assert_eq!(world.remove(&vault, name).unwrap(), vault);
            let error = world.get(&vault, name).unwrap_err();
            assert_eq!((error.code(), error.class()), ("E12.no-such-secret", ErrorClass::NoSuch));
            // A vault with versions may add details.
            let text = error.to_string();
            assert!(text.starts_with(&format!("no secret `{name}` in vault `work`")), "{text}");
        }
        assert!(world.list(Some(&vault), "*").is_empty());
    }

    /// Bytes, from writing to removing.
    ss_17_20_bytes_live_and_go for most |world| {
        lives_and_goes(world, "TestByteArray", &Value::bytes(BYTES.to_vec()));
    }

    /// A text, unchanged: leading spaces and the final line end are part of it.
    ss_21_24_a_text_lives_and_goes for most |world| {
        lives_and_goes(world, "TestString", &Value::text("  canary-5d1f \u{e9}\u{1f511}\r\n"));
    }

    /// A protected text is a text: there is no other.
    ss_25_28_a_protected_text_lives_and_goes for most |world| {
        let value = Value::text("canary-5d1f");
        assert_eq!((value.kind(), &*format!("{value:?}")), (ValueKind::Text, "Text([redacted])"));
        lives_and_goes(world, "TestSecureString", &value);
    }

    /// A credential with its user name and password. A vault that cannot hold one refuses.
    ss_29_32_a_credential_lives_and_goes for most |world| {
        lives_or_is_refused(world, "TestPSCredential", &Value::credential("user", "canary-5d1f"));
    }

    /// A map is one secret whatever its content, and is removed as one.
    ss_33_36_a_map_lives_and_goes_as_one for most |world| {
        lives_or_is_refused(world, "TestHashtable", &Value::Map(map()));
        let vault = vault_name("work");
        for key in ["bytes", "text", "protected text", "credential"] {
            assert!(world.list(Some(&vault), &format!("*{key}*")).is_empty());
        }
    }
}
