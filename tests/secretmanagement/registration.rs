//! The life of a registration: register, set as default, test, unregister.

use keystead::api::{SecretName, Value, VaultName};
use keystead::paths::Layer;
use keystead::{DefaultChoice, Placement, Replace};
use keystead::{Error, ErrorClass, NonInteractive, RunMode};

use super::oracle;
use super::world::{Kind, World, new, vault_name};
use crate::scene::story;

/// Returns the registered vaults, each with whether it is the default.
fn registered(world: &World) -> Vec<(String, bool)> {
    let (vaults, faults) = world.host().vaults().unwrap();
    assert!(faults.is_empty(), "{faults:?}");
    vaults.into_iter().map(|vault| (vault.name.to_string(), vault.is_default)).collect()
}

fn is_default(world: &World, vault: &VaultName) -> bool {
    world.host().vault(vault).unwrap().info.is_default
}

fn unregister(world: &World, vault: &VaultName) -> keystead::Unregistered {
    world.host().unregister(vault, Layer::User, RunMode::Apply).unwrap()
}

oracle! {
    /// One parameter name is reserved, in any case, as in SecretManagement. A parameter reaches the
    /// plugin only if its schema has the name, so any other name is refused too. All faults are
    /// reported at once, and nothing is registered.
    sm_22_a_reserved_parameter_and_an_unknown_one_are_refused for all |world| {
        let mut wrong = world.registration("work");
        for name in ["Verbose", "verbose", "debug"] {
            wrong.parameters.insert(name.into(), "true".into());
        }
        let error = world.host().plan_registration(wrong).unwrap_err();
        assert_eq!((error.code(), error.class()), ("E01.parameters", ErrorClass::CannotDo));
        let Error::Parameters { faults, .. } = &error else { panic!("{error:?}") };
        let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "the parameter name `Verbose` is reserved",
                "there is no parameter `debug`",
                "the parameter name `verbose` is reserved",
            ]
        );
        assert_eq!(registered(world), []);
        assert!(!world.scene.path().join("config").exists());
    }

    /// SecretManagement registers anything, and a mistake appears at the first use. Here every
    /// fault against the schema is refused at once. The vault itself reports only faults that the
    /// schema cannot express.
    sm_23_parameters_are_held_against_the_schema_and_what_they_mean_is_the_vaults for most |world| {
        let (wrong, faults, meaningless, words) = match world.kind {
            Kind::Memory => (
                [("flie", "x"), ("locked", "canary-5d1f")],
                2,
                ("file", "/usr/share"),
                "E12.invalid: vault `work` answered: /usr/share is not a file",
            ),
            Kind::Store => (
                [("paht", "x"), ("case-sensitive", "perhaps")],
                2,
                ("path", "/dev/null"),
                "E12.unavailable: vault `work` answered: cannot read /dev/null/store.db: Not a \
                 directory (os error 20)",
            ),
            Kind::Files => (
                [("fodler", "x"), ("trim-newline", "perhaps")],
                2,
                ("folder", "/dev/null"),
                "E12.invalid: vault `work` answered: /dev/null is not a directory",
            ),
            Kind::Bao => (
                [("adress", "x"), ("kv-version", "two")],
                2,
                ("mount", "../sys"),
                "E10.open: vault `work` cannot be opened: plugin `hashicorp` refused to open it: \
                 `mount` is no path on the server: `../sys`",
            ),
            _ => (
                [("remarks", "many"), ("shut", "perhaps")],
                2,
                ("clerk", "ann"),
                "E10.open: vault `work` cannot be opened: plugin `ledger` refused to open it: \
                 `clerk` and `pin` go together",
            ),
        };
        let mut refused = world.registration("work");
        refused.parameters.extend(wrong.map(|(key, text)| (key.to_owned(), text.to_owned())));
        let error = world.host().plan_registration(refused).unwrap_err();
        assert!(
            matches!(&error, Error::Parameters { faults: all, .. } if all.len() == faults),
            "{error:?}"
        );
        assert!(!format!("{error:?} {}", story(&error)).contains("canary"));
        assert_eq!(registered(world), []);

        let mut new = world.registration("work");
        new.parameters.insert(meaningless.0.into(), meaningless.1.into());
        let vault = world.register(new);
        assert_eq!(story(&world.get(&vault, "a").unwrap_err()), words);
    }

    /// A vault that fails its test is reported in its plugin's words.
    sm_24_a_vault_fails_its_test_in_its_own_words for most |world| {
        let mut new = world.registration("work");
        let words = match world.kind {
            Kind::Memory => "line 1: it was not written by this plugin",
            Kind::Store => "store.db is damaged: its header",
            Kind::Files => "if that is not meant",
            Kind::Bao => "does not know the token: it has expired, was revoked, or is none",
            _ => {
                new.parameters.insert("shut".into(), "true".into());
                "E12.unavailable: vault `work` answered: the counter is shut: come back tomorrow"
            }
        };
        let vault = world.register(new);
        if world.kind == Kind::Store {
            world.set(&vault, "token", Value::text("canary-5d1f"));
        }
        if world.kind != Kind::Book {
            world.damage("work");
        }
        let error = world.host().test(&vault, &mut NonInteractive).unwrap_err();
        assert!(story(&error).ends_with(words), "{}", story(&error));
        assert_eq!(error.class(), ErrorClass::CannotDo);
    }

    /// The only vault is the default.
    sm_25_the_only_vault_is_the_default_one for all |world| {
        let vault = world.vault("work");
        assert_eq!(registered(world), [("work".to_owned(), true)]);
        assert_eq!(world.host().default_vault().unwrap(), Some(vault));
    }

    /// A vault is unregistered by its name, in any case.
    sm_27_a_vault_is_unregistered_by_its_name for all |world| {
        world.vault("work");
        let gone = unregister(world, &vault_name("WORK"));
        assert!(gone.was_default && gone.warning.is_none(), "{gone:?}");
        assert_eq!(registered(world), []);
    }

    /// The name is free again, for other parameters and with a description.
    sm_28_a_name_is_registered_again_after_it_was_unregistered for all |world| {
        let vault = world.vault("work");
        world.set(&vault, "token", Value::text("canary-5d1f"));
        unregister(world, &vault);
        let mut again = world.registration("other");
        again.name = vault.clone();
        again.description = "another file".into();
        world.register(again);
        assert_eq!(world.get(&vault, "token").unwrap_err().code(), "E12.no-such-secret");
        world.set(&vault, "token", Value::text("canary-5d1f"));
        assert_eq!(registered(world), [("work".to_owned(), true)]);
    }

    /// A description is kept unchanged.
    sm_29_a_description_is_kept_to_the_letter for all |world| {
        let words = "  \"Secrets\" of the team\u{2019}s # [vault] = { \\t \u{1f511} }  ";
        let mut new = world.registration("work");
        new.description = words.into();
        let vault = world.register(new);
        assert_eq!(world.host().vault(&vault).unwrap().info.entry.unwrap().description, words);
    }

    /// A registered name is replaced only on request, and then as a whole.
    sm_30_a_registered_name_is_taken_over_only_on_demand for all |world| {
        world.vault("work");
        let error = world.host().plan_registration(world.registration("Work")).unwrap_err();
        assert_eq!((error.code(), error.class()), ("E01.exists", ErrorClass::CannotDo));
        let mut replacing = world.registration("other");
        (replacing.name, replacing.replace) = (vault_name("work"), Replace::Whole);
        let vault = world.register(replacing);
        world.set(&vault, "token", Value::text("canary-5d1f"));
        assert!(world.is_made("other") && !world.is_made("work"));
    }

    /// A vault is tested as it is registered: with its parameters, which appear in its log. No
    /// error here is `True` in PowerShell.
    sm_31_a_vault_passes_its_test_with_its_parameters for most |world| {
        let mut new = world.registration("work");
        if world.kind == Kind::Book {
            new.parameters.insert("shut".into(), "false".into());
            new.parameters.insert("remarks".into(), "1".into());
        }
        let vault = world.register(new);
        world.host().test(&vault, &mut NonInteractive).unwrap();
        let arrived = match world.kind {
            Kind::Memory => {
                let file = world.file("work");
                vec![format!("work Warning: secrets are kept in clear text in {}", file.display())]
            }
            Kind::Store => {
                vec!["work Warning: there is no vault yet: the first secret makes it".to_owned()]
            }
            Kind::Files => {
                vec!["work Warning: there is no directory yet: the first secret makes it".to_owned()]
            }
            Kind::Bao => vec![format!("work Info: {}", world.remark())],
            _ => vec![
                "work Warning: remark 1: the ink is dry".to_owned(),
                "work Info: remark 1: the pen is mended".to_owned(),
            ],
        };
        assert_eq!(world.scene.log.all(), arrived);
        // The test made no vault.
        assert!(!world.is_made("work"));
    }

    /// An unregistered vault cannot be the default, and the default stays.
    sm_37_a_vault_that_is_not_there_cannot_be_the_default_one for most |world| {
        let vault = world.vault("work");
        let unknown = vault_name("wrok");
        let error = world.host().set_default(Some(&unknown), Layer::User, RunMode::Apply).unwrap_err();
        assert_eq!((error.code(), error.class()), ("E01.no-such-vault", ErrorClass::NoSuch));
        assert!(matches!(&error, Error::NoSuchVault { similar: Some(near), .. } if *near == vault));
        assert!(is_default(world, &vault));
    }

    /// A vault becomes the default, and the previous default no longer is.
    sm_38_a_vault_is_made_the_default_one for most |world| {
        let [first, second] = ["first", "second"].map(|name| world.vault(name));
        world.host().set_default(Some(&second), Layer::User, RunMode::Apply).unwrap();
        assert!(is_default(world, &second) && !is_default(world, &first));
    }

    /// The default is cleared: there is no default vault, and a write without a vault is an error
    /// that names the existing vaults.
    sm_39_the_default_is_cleared for most |world| {
        let vault = world.vault("work");
        world.host().set_default(None, Layer::User, RunMode::Apply).unwrap();
        assert!(!is_default(world, &vault));
        assert_eq!(world.host().default_vault().unwrap(), None);
        let error = world.host().set(new(None, "a", Value::text("x"), None), &mut NonInteractive);
        assert!(
            matches!(error.unwrap_err(), Error::NoDefaultVault { vaults } if vaults == [vault])
        );
    }

    /// A secret that is set without a vault is read unchanged from the default vault by its name.
    sm_40_what_is_set_in_the_default_vault_is_got_from_it_by_name for most |world| {
        world.vault("first");
        let vault = world.vault("second");
        world.host().set_default(Some(&vault), Layer::User, RunMode::Apply).unwrap();
        let value = || Value::text("canary-5d1f {\"to\": 'the' letter} ");
        world.host().set(new(None, "GetDefault", value(), None), &mut NonInteractive).unwrap();
        assert_eq!(world.get(&vault, "GetDefault").unwrap(), value());
    }

    /// A plugin with the capability is called while the vault is still registered; other plugins
    /// are not. If the call fails, the registration still ends, with a warning: a plugin cannot
    /// prevent the end of its registration.
    sm_41_a_vault_is_told_before_it_is_unregistered for most |world| {
        let mut new = world.registration("work");
        if world.kind == Kind::Book {
            new.parameters.insert("bell".into(), "bell.given".into());
        }
        let vault = world.register(new);
        world.set(&vault, "token", Value::text("canary-5d1f"));
        let before = world.kept("work");
        let gone = unregister(world, &vault);
        assert!(gone.warning.is_none(), "{gone:?}");
        assert_eq!(world.bell(), if world.kind == Kind::Book { "work: closed\n" } else { "" });
        assert_eq!(registered(world), []);
        assert_eq!(world.kept("work"), before);

        if world.kind == Kind::Book {
            let mut stuck = world.registration("stuck");
            stuck.parameters.insert("bell".into(), "no/such/directory".into());
            let vault = world.register(stuck);
            let warning = unregister(world, &vault).warning.unwrap();
            assert!(story(&warning).contains("is stuck"), "{}", story(&warning));
            assert_eq!(registered(world), []);
        }
    }

    /// Secrets belong to the vault: a registration under another name has all of them.
    d6_secrets_outlive_their_registration for all |world| {
        let vault = world.vault("LocalStore");
        world.set(&vault, "token", Value::text("canary-5d1f"));
        unregister(world, &vault);
        let mut again = world.registration("LocalStore");
        again.name = vault_name("Renamed");
        let renamed = world.register(again);
        assert_eq!(world.get(&renamed, "token").unwrap(), Value::text("canary-5d1f"));
        let listed = world.list(None, "*");
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].entry.name, SecretName::parse("token").unwrap());
    }

    /// The first vault becomes the default by itself, unless the registration declines; the second
    /// does not. Unlike in PowerShell, no vault replaces an unregistered default: a later write
    /// must not go to an unexpected vault.
    d11_the_first_vault_becomes_the_default_one for all |world| {
        let first = world.vault("zebra");
        world.vault("aardvark");
        assert_eq!(registered(world), [("aardvark".to_owned(), false), ("zebra".to_owned(), true)]);
        unregister(world, &first);
        assert_eq!(registered(world), [("aardvark".to_owned(), false)]);
        unregister(world, &vault_name("aardvark"));
        let mut quiet = world.registration("quiet");
        quiet.default = DefaultChoice::No;
        world.register(quiet);
        assert_eq!(registered(world), [("quiet".to_owned(), false)]);
    }
}
