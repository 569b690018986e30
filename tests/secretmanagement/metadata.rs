//! Metadata of secrets.

use keystead::Placement;
use keystead::api::{Metadata, MetadataValue, Value, VaultName};
use keystead::metadata::{Change, Changed, MetadataEdit};
use keystead::{ErrorClass, NonInteractive, RunMode};

use super::oracle;
use super::world::{Kind, World, metadata, secret_name};
use crate::scene::story;

fn listed(world: &World, vault: &VaultName, name: &str) -> Metadata {
    let mut listed = world.list(Some(vault), name);
    assert_eq!(listed.len(), 1);
    listed.remove(0).entry.metadata.writable()
}

/// Changes a secret's metadata alone.
fn edit(
    world: &World,
    vault: &VaultName,
    name: &str,
    edit: MetadataEdit,
) -> keystead::Result<Changed> {
    let (name, vault) = (secret_name(name), Some(vault.clone()));
    let change = Change { name, vault, edit, run: RunMode::Apply };
    world.host().change_metadata(&change, &mut NonInteractive)
}

/// Replaces all metadata of a secret.
fn change(
    world: &World,
    vault: &VaultName,
    name: &str,
    metadata: &Metadata,
) -> keystead::Result<Changed> {
    edit(world, vault, name, MetadataEdit::Replace(metadata.clone()))
}

fn text(text: &str) -> MetadataValue {
    MetadataValue::Text(text.into())
}

oracle! {
    /// The vault writes value and metadata in one step. SecretManagement makes two calls for a
    /// vault that cannot do both in one, and the second may fail.
    sm_33_metadata_is_set_with_the_secret_and_false_stays_false for both |world| {
        let vault = world.vault("work");
        let about = metadata(&[("Fail", MetadataValue::Boolean(false)), ("Target", text("here"))]);
        world.set_with(&vault, "TestMetadata", &about).unwrap();
        assert_eq!(listed(world, &vault, "TestMetadata"), about);
        assert_eq!(world.get(&vault, "TestMetadata").unwrap(), Value::text("canary-5d1f"));
    }

    /// Metadata is changed later, and the value stays as it is.
    sm_34_metadata_is_changed_later_and_the_value_stays for both |world| {
        let vault = world.vault("work");
        world.set(&vault, "TestMetadata", Value::credential("bob", "canary-5d1f"));
        let about = metadata(&[("Fail", MetadataValue::Boolean(false))]);
        change(world, &vault, "TestMetadata", &about).unwrap();
        assert_eq!(listed(world, &vault, "TestMetadata"), about);
        let value = world.get(&vault, "TestMetadata").unwrap();
        assert_eq!(value, Value::credential("bob", "canary-5d1f"));
    }

    /// A vault that cannot change metadata gives its own reason. SecretManagement has one error id
    /// for all reasons; here the code identifies the kind of failure.
    sm_35_metadata_that_a_vault_cannot_change_is_its_error for all |world| {
        let vault = world.vault("work");
        world.set(&vault, "TestMetadata", Value::text("canary-5d1f"));
        let about = metadata(&[("Fail", MetadataValue::Boolean(true))]);
        let because = match world.kind {
            Kind::Slip | Kind::Files => {
                "E12.unsupported: vault `work` answered: this vault keeps no metadata"
            }
            Kind::Memory => {
                world.damage("work");
                "line 1: it was not written by this plugin"
            }
            Kind::Book => {
                world.damage("work");
                "byte 0: this is no entry of a ledger"
            }
            Kind::Store => {
                world.damage("work");
                "store.db is damaged: its header"
            }
            Kind::Bao => {
                world.damage("work");
                "does not know the token: it has expired, was revoked, or is none"
            }
        };
        let error = change(world, &vault, "TestMetadata", &about).unwrap_err();
        assert_eq!(error.class(), ErrorClass::CannotDo);
        assert!(story(&error).ends_with(because), "{}", story(&error));
        if !matches!(world.kind, Kind::Slip | Kind::Files) {
            let code = if world.kind == Kind::Bao { "E12.denied" } else { "E12.damaged" };
            assert_eq!(error.code(), code);
        }
    }

    /// The exact name of a secret lists the metadata that was set with it.
    ss_12_metadata_is_listed_with_its_secret for both |world| {
        let vault = world.vault("work");
        let about = metadata(&[("Id", text("WriteWithMetadata")), ("Size", MetadataValue::Integer(3))]);
        world.set_with(&vault, "TestMetadata", &about).unwrap();
        world.set_with(&vault, "TestMetadata2", &Metadata::new()).unwrap();
        assert_eq!(listed(world, &vault, "TestMetadata"), about);
        assert!(listed(world, &vault, "TestMetadata2").is_empty());
    }

    /// Changed metadata is listed with its new content, and stays so.
    ss_13_changed_metadata_is_listed_as_it_is_then for both |world| {
        let vault = world.vault("work");
        world.set_with(&vault, "TestMetadata", &metadata(&[("Id", text("before"))])).unwrap();
        let after = metadata(&[("Id", text("after"))]);
        change(world, &vault, "TestMetadata", &after).unwrap();
        for _ in 0..2 {
            assert_eq!(listed(world, &vault, "TestMetadata"), after);
            world.host().reload();
        }
    }

    /// A timestamp is metadata, to the millisecond and from the year 1 to 9999.
    ss_15_a_date_and_time_is_metadata for both |world| {
        use keystead::api::{MAX_TIMESTAMP_MILLIS, MIN_TIMESTAMP_MILLIS};
        let vault = world.vault("work");
        let about = metadata(&[
            ("first", MetadataValue::Timestamp(MIN_TIMESTAMP_MILLIS)),
            ("then", MetadataValue::Timestamp(1_616_161_616_161)),
            ("last", MetadataValue::Timestamp(MAX_TIMESTAMP_MILLIS)),
        ]);
        world.set_with(&vault, "TestMetadata", &about).unwrap();
        world.host().reload();
        assert_eq!(listed(world, &vault, "TestMetadata"), about);
    }

    /// There is no metadata without a secret: the error is not-found, and no secret is made.
    ss_16_metadata_of_what_is_not_there_is_not_found for both |world| {
        let vault = world.vault("work");
        let error = change(world, &vault, "nosuch", &metadata(&[("Id", text("x"))])).unwrap_err();
        assert_eq!((error.code(), error.class()), ("E12.no-such-secret", ErrorClass::NoSuch));
        assert!(world.list(Some(&vault), "*").is_empty());
    }

    /// Metadata for a vault without metadata is refused before the write of the secret, based on
    /// the plugin's manifest.
    d4_metadata_is_refused_before_anything_is_written for bare |world| {
        let vault = world.vault("LocalStore2");
        let about = metadata(&[("expires", text("soon"))]);
        let error = world.set_with(&vault, "PublishSecret", &about).unwrap_err();
        assert_eq!(
            story(&error),
            "E12.unsupported: vault `LocalStore2` answered: this vault keeps no metadata"
        );
        assert_eq!(world.scene.runners(), 0);
        assert!(!world.file("LocalStore2").exists());
        // Empty metadata counts as none.
        world.set_with(&vault, "PublishSecret", &Metadata::new()).unwrap();
    }

    /// Metadata that is set with a value replaces all old metadata, and so does an explicit
    /// replacement. In PowerShell every change does this and can lose keys. Here an ordinary change
    /// keeps the keys that it does not name.
    d7_metadata_takes_the_place_of_all_there_was_where_that_is_asked_for for both |world| {
        let vault = world.vault("work");
        let before = metadata(&[("kept", text("no")), ("Id", text("one"))]);
        world.set_with(&vault, "token", &before).unwrap();
        let after = metadata(&[("Id", text("two"))]);
        world.set_with(&vault, "token", &after).unwrap();
        assert_eq!(listed(world, &vault, "token"), after);
        // A value without metadata keeps the old metadata.
        world.set(&vault, "token", Value::text("canary-5d1f again"));
        assert_eq!(listed(world, &vault, "token"), after);

        let more = metadata(&[("Owner", text("ann"))]);
        edit(world, &vault, "token", MetadataEdit::Merge(more.clone())).unwrap();
        let both = metadata(&[("Id", text("two")), ("Owner", text("ann"))]);
        assert_eq!(listed(world, &vault, "token"), both);
        change(world, &vault, "token", &more).unwrap();
        assert_eq!(listed(world, &vault, "token"), more);
    }
}
