//! The vaults that are read and written if none is named, and the content of a listing.

use keystead::NonInteractive;
use keystead::Placement;
use keystead::api::{MetadataValue, SecretName, Value, ValueKind};

use super::oracle;
use super::world::{Kind, World, metadata, new, secret_name};

oracle! {
    /// The description of a secret is a plain value: name, kind, vault and metadata as stored, each
    /// metadata value with its type.
    sm_21_what_describes_a_secret_is_what_was_set for both |world| {
        let vault = world.vault("work");
        let about = metadata(&[
            ("data1", MetadataValue::Text("hello".into())),
            ("data2", MetadataValue::Integer(-7)),
            ("data3", MetadataValue::Boolean(true)),
            ("data4", MetadataValue::Timestamp(1_700_000_000_123)),
        ]);
        world.set_with(&vault, "MyName", &about).unwrap();
        let place = keystead::SearchScope::Vault(vault.clone());
        let described = world.host().describe(&secret_name("MyName"), &place, &mut NonInteractive).unwrap();
        assert_eq!(described.entry.name, SecretName::parse("MyName").unwrap());
        assert_eq!(described.entry.kind, Some(ValueKind::Text));
        assert_eq!((described.vault, described.entry.metadata.writable()), (vault, about));
    }

    /// A write without a vault goes to the default vault, and returns its name.
    sm_26_a_secret_set_without_a_vault_goes_to_the_default_one for most |world| {
        let first = world.vault("zebra");
        let other = world.vault("aardvark");
        let set = world.host().set(new(None, "TestDefault", Value::text("x"), None), &mut NonInteractive);
        assert_eq!(set.unwrap(), first);
        assert_eq!(world.get(&first, "TestDefault").unwrap(), Value::text("x"));
        world.get(&other, "TestDefault").unwrap_err();
    }

    /// The default vault answers before any other, whatever the names are.
    d1_the_default_vault_is_asked_before_any_other for most |world| {
        let default = world.vault("zebra");
        let other = world.vault("aardvark");
        world.set(&other, "token", Value::text("the other's"));
        world.set(&default, "token", Value::text("the default's"));
        assert_eq!(world.search("token").unwrap(), (default, Value::text("the default's")));
    }

    /// Only the first vault that has the secret answers, never a mix. After the default vault the
    /// order is by name. Unlike in PowerShell, an earlier unavailable vault is an error, since a
    /// later vault's secret of that name could be the wrong one.
    d2_the_first_vault_that_has_it_answers_alone for most |world| {
        let _default = world.vault("m");
        let [first, second] = ["b", "c"].map(|name| world.vault(name));
        world.set(&second, "token", Value::text("second"));
        assert_eq!(world.search("token").unwrap(), (second.clone(), Value::text("second")));
        world.set(&first, "token", Value::text("first"));
        assert_eq!(world.search("token").unwrap(), (first.clone(), Value::text("first")));
        world.damage("b");
        let error = world.search("token").unwrap_err();
        assert_eq!(error.code(), "E12.search-incomplete");
    }

    /// Without a vault, a listing has all vaults, with equal names once for each vault.
    d3_without_a_vault_all_are_listed for all |world| {
        let [a, b, c] = ["a", "b", "c"].map(|name| world.vault(name));
        for vault in [&c, &a, &b] {
            world.set(vault, "shared", Value::text("x"));
        }
        world.set(&b, "own", Value::text("x"));
        let listed = world.list(None, "*");
        let told: Vec<_> =
            listed.iter().map(|one| (one.entry.name.as_str(), one.vault.as_str())).collect();
        assert_eq!(told, [("own", "b"), ("shared", "a"), ("shared", "b"), ("shared", "c")]);
    }
}
