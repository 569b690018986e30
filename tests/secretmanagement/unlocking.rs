//! Vaults that prompt before use, and vaults that never do.

use keystead::Placement;
use keystead::api::Value;
use keystead::{NonInteractive, SearchScope};

use super::oracle;
use super::world::{Kind, Person, World, new, reference, secret_name};

oracle! {
    /// PowerShell passes one password to a vault, on the command line. Here a vault names its
    /// prompts. The caller's prompter or the registration's unlock references answer them. The
    /// answers reach the vault, and the vault stays unlocked.
    sm_36_unlocking_reaches_the_vault_with_what_it_asks_for for both |world| {
        let vault = world.register(world.locked("work"));
        let mut person = Person::new(world.right());
        let set = world.host().set(new(None, "a", Value::text("canary-5d1f"), None), &mut person);
        assert_eq!(set.unwrap(), vault);
        let (asked, rung) = match world.kind {
            Kind::Memory | Kind::Bao => ("work: Password (hidden)", ""),
            Kind::Store => ("work: Password for the new vault (hidden)", ""),
            _ => ("work: Clerk (shown), PIN (hidden)", "work: ann was here\n"),
        };
        assert_eq!(person.asked, [asked]);
        assert_eq!(world.bell(), rung);
        assert_eq!(world.get(&vault, "a").unwrap(), Value::text("canary-5d1f"));

        // Without a prompter the vault stays locked, and the error has its challenge.
        world.host().reload();
        let error = world.get(&vault, "a").unwrap_err();
        assert_eq!(error.code(), "E12.locked");
        assert_eq!(world.bell(), rung);

        // Answers in a registration are references.
        let mut standing = world.locked("standing");
        for (field, answer) in world.right() {
            let path = world.scene.path().join(field);
            std::fs::write(&path, answer).unwrap();
            let from = reference(&format!("file:{}", path.display()));
            standing.unlock.insert(field.to_owned(), from);
        }
        let vault = world.register(standing);
        world.set(&vault, "b", Value::text("canary-5d1f"));
        world.get(&vault, "b").unwrap();
    }

    /// Unlock references of a vault that is never locked are not even resolved. In PowerShell this
    /// gives a warning.
    d5_what_would_unlock_a_vault_that_is_never_locked_is_not_used for all |world| {
        let mut new = world.registration("work");
        let mark = world.scene.path().join("mark");
        let touch = reference(&format!("command:[\"/usr/bin/touch\", \"{}\"]", mark.display()));
        for field in ["password", "clerk", "pin"] {
            new.unlock.insert(field.to_owned(), touch.clone());
        }
        let vault = world.register(new);
        let mut person = Person::new(Vec::new());
        world.set(&vault, "a", Value::text("canary-5d1f"));
        world.host().get(&secret_name("a"), &SearchScope::Vault(vault.clone()), &mut person).unwrap();
        world.host().test(&vault, &mut NonInteractive).unwrap();
        assert!(person.asked.is_empty() && !mark.exists());
    }
}
