//! The local vault's files, settings and passwords. On Windows access rules protect the files; here
//! their Unix modes do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use keystead::api::{Value, ValueKind};
use keystead::paths::Layer;
use keystead::{Error, ErrorClass, NewRegistration, NonInteractive};
use keystead::{Placement, Replace};

use super::oracle;
use super::world::{Kind, Person, World, new, secret_name, vault_name};
use crate::scene::story;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// Runs a command that must succeed, under umask 0.
#[track_caller]
fn answer(world: &World, words: &str, input: &str) -> String {
    let (code, answer, told) = world.command_with("umask 0", words, input);
    assert_eq!(code, 0, "{words}: {told}");
    answer
}

oracle! {
    /// Directory, file, journal and key file are private, whatever the umask and the parent
    /// directories allow. A missing directory is made private. SecretStore's settings have their
    /// own file (SS-02, SS-06). Here they are in the registration, which holds no secret, and in
    /// the file's header. A path that became open to other users is refused, not fixed: another
    /// user may have read it.
    ss_01_08_the_dir_and_every_file_are_their_owners_alone for store |world| {
        let open = world.dir("open");
        fs::create_dir(&open).unwrap();
        set_mode(&open, 0o777);
        let (between, dir) = (open.join("between"), open.join("between/work"));
        let key_file = open.join("keys/work.key");
        let mut registration = world.registration("work");
        let shown = |path: &Path| path.to_str().unwrap().to_owned();
        registration.parameters.insert("path".into(), shown(&dir));
        registration.parameters.insert("key-file".into(), shown(&key_file));
        world.register(registration);
        answer(world, "set token --stdin", "canary-5d1f");
        // The journal exists from the first write to an existing vault.
        answer(world, "set token --stdin", "canary-5d1f again");
        assert_eq!(answer(world, "-q get token", ""), "canary-5d1f again");

        for dir in [&between, &dir, &open.join("keys")] {
            assert_eq!(mode(dir), 0o700, "{}", dir.display());
        }
        let mut files: Vec<_> =
            fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        files.sort();
        assert_eq!(files, ["store.db", "store.db-journal"]);
        for file in [dir.join("store.db"), dir.join("store.db-journal"), key_file.clone()] {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }

        for (path, wrong, right) in [
            (&dir, 0o701, 0o700),
            (&dir.join("store.db"), 0o640, 0o600),
            (&key_file, 0o604, 0o600),
        ] {
            set_mode(path, wrong);
            let (code, _, told) = world.command("-q get token -V work", "");
            assert_eq!(code, 1, "{told}");
            let chmod = format!("run `chmod {right:o} {}` if that is not meant", path.display());
            assert!(told.contains(&chmod), "{told}");
            set_mode(path, right);
        }
        assert_eq!(answer(world, "-q get token", ""), "canary-5d1f again");
    }

    /// The setup of a vault, made without a prompt, is read back: its path and key slot. In
    /// SecretStore this is `CurrentUser`, no password, no lock timeout, no prompts. If a vault's
    /// directory is deleted, the next write makes a new one.
    ss_09_what_a_vault_was_set_up_with_is_read_back for store |world| {
        let vault = world.vault("work");
        answer(world, "set token --stdin --no-input", "canary-5d1f");
        let shown: serde_json::Value =
            serde_json::from_str(&answer(world, "vault show work --json", "")).unwrap();
        assert_eq!(shown["layer"], "user");
        assert_eq!(shown["parameters"]["path"], world.dir("work").to_str().unwrap());
        let key_file = world.dir("work").with_extension("key");
        assert_eq!(shown["parameters"]["key-file"], key_file.to_str().unwrap());
        let slots = |world: &World| answer(world, "vault do work slots", "");
        assert_eq!(slots(world), "slot 1: key file\n");

        fs::remove_dir_all(world.dir("work")).unwrap();
        world.host().reload();
        // The key file shows that a vault existed: it is missing, not empty.
        let missing = |error: Error| error.class() == ErrorClass::CannotDo;
        let listed = world.host().list(Some("*"), Some(&vault), &mut NonInteractive);
        assert!(listed.is_err_and(missing));
        assert!(world.get(&vault, "token").is_err_and(missing));
        world.set(&vault, "token", Value::text("canary-5d1f"));
        assert_eq!(slots(world), "slot 1: key file\n");
    }

    /// A vault belongs to one user: a registration for all users has no default directory, and the
    /// error states this. With an explicit directory, the registration works for its owner.
    ss_10_a_vault_for_all_users_is_refused for store |world| {
        let dir = world.scene.path().to_path_buf();
        let mut all = NewRegistration::new(vault_name("work"), "store", dir);
        all.layer = Layer::System;
        let error = world.host().plan_registration(all).unwrap_err();
        assert_eq!(error.code(), "E01.parameters");
        let Error::Parameters { faults, .. } = &error else { panic!("{error:?}") };
        let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            ["parameter `path` is in one user's data directory by default, and here there is none"]
        );
        let mut named = world.registration("work");
        named.layer = Layer::System;
        world.host().plan_registration(named).unwrap();
    }

    /// A password for a vault that has none. With the key file no prompt appears, and the password
    /// is not even resolved, as for any vault that is never locked (D5). Without it, the error
    /// states that only a key file helps.
    ss_11_a_password_for_a_vault_without_one_is_an_error_that_says_so for store |world| {
        let vault = world.vault("work");
        world.set(&vault, "token", Value::text("canary-5d1f"));
        let mut person = Person::new(world.right());
        let words = "vault unlock work --unlock password=env:NO_SUCH_VARIABLE";
        let (code, _, told) = world.command(words, "");
        assert_eq!(code, 0, "{told}");
        assert_eq!(
            told,
            "Vault `work` does not need unlocking.\n\
             Warning: `password` of `--unlock` answered nothing: nothing was asked for\n"
        );

        let mut without = world.locked("work");
        without.replace = Replace::Whole;
        world.register(without);
        let set = world.host().set(new(Some(&vault), "a", Value::text("x"), None), &mut person);
        let error = set.unwrap_err();
        assert_eq!(
            story(&error),
            "E12.denied: vault `work` answered: this vault is opened by a key file alone: \
             register it with `key-file`"
        );
        assert!(person.asked.is_empty());
        let (code, _, told) = world.command(&words.replace("NO_SUCH_VARIABLE", "PATH"), "");
        assert_eq!(code, 1, "{told}");
        assert!(told.contains("this vault is opened by a key file alone"), "{told}");
    }

    /// Names are compared without case, in every script. A set with another case overwrites, and
    /// the secret is listed once, as typed last.
    d8_a_name_that_differs_by_case_overwrites for store |world| {
        let vault = world.vault("work");
        for (first, second, third) in
            [("Token", "tOKEN", "TOKEN"), ("Schlüssel/Ä", "SCHLÜSSEL/ä", "schlu\u{308}ssel/ä")]
        {
            world.set(&vault, first, Value::text("canary-5d1f first"));
            world.set(&vault, second, Value::credential("ann", "canary-5d1f"));
            let value = || Value::credential("ann", "canary-5d1f");
            for name in [first, second, third] {
                assert_eq!(world.get(&vault, name).unwrap(), value(), "{name}");
            }
            let listed: Vec<_> = world.list(Some(&vault), "*");
            let [one] = listed.as_slice() else { panic!("{listed:?}") };
            assert_eq!(one.entry.name.as_str(), second);
            assert_eq!(one.entry.kind, Some(ValueKind::Credential));
            world.remove(&vault, third).unwrap();
            assert!(world.list(Some(&vault), "*").is_empty());
        }
    }

    /// A locked vault without a prompter is a separate error with its own exit code, which names
    /// the missing answer. Nothing waits or prompts. This also holds before the vault is made: no
    /// password is chosen by accident.
    d12_a_locked_vault_and_nobody_to_ask_is_an_error_and_no_prompt for store |world| {
        let vault = world.register(world.locked("work"));
        let (code, answer, told) = world.command("set token --stdin --no-input", "canary-5d1f");
        assert_eq!((code, &*answer), (4, ""), "{told}");
        assert!(told.contains("it asks for `password` (Password for the new vault)"), "{told}");
        assert!(!world.dir("work").exists());

        let mut person = Person::new(world.right());
        let set = new(Some(&vault), "token", Value::text("canary-5d1f"), None);
        world.host().set(set, &mut person).unwrap();
        assert_eq!(person.asked, ["work: Password for the new vault (hidden)"]);
        world.host().reload();
        let place = keystead::SearchScope::Vault(vault.clone());
        let name = secret_name("token");
        let error = world.host().get(&name, &place, &mut NonInteractive).unwrap_err();
        assert_eq!((error.code(), error.class()), ("E12.locked", ErrorClass::NeedsInput));
        for words in ["get token -V work", "list -V work", "remove token", "vault do work slots"] {
            let (code, answer, told) = world.command(&format!("{words} --no-input"), "");
            assert_eq!((code, &*answer), (4, ""), "{words}: {told}");
            assert!(told.contains("it asks for `password`, and prompting is not possible"), "{told}");
            assert!(told.contains("--unlock password=env:VAR"), "{told}");
        }
    }
}
