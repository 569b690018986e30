//! Tests of changes: which files are written, and which stay unchanged.

use std::time::Duration;

use super::*;
use crate::fs::{Rule, SafeDir};
use crate::reference::Reference;

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn default_of(sandbox: &Sandbox) -> Option<String> {
    sandbox.registry.default().unwrap().map(|name| name.to_string())
}

fn full(text: &str) -> Registration {
    let mut entry = Registration::new(name(text), "vendor-safe");
    entry.kind = Some("safe".into());
    entry.description = "\"quoted\", 'so', \\ and é".into();
    entry.placement = Some(Placement::Isolated);
    entry.keep_login = true;
    entry.search = false;
    entry.grants = vec!["network".into()];
    let from = |text| Reference::parse(text).unwrap();
    entry.parameters = [
        ("a key".to_owned(), Setting::Text("/srv/\"x\"".into())),
        ("port".to_owned(), Setting::Integer(i64::MIN)),
        ("strict".to_owned(), Setting::Boolean(false)),
        ("token".to_owned(), Setting::Reference(from("command:[\"pass\",\"a 'b\"]"))),
    ]
    .into();
    entry.unlock = [("pass.word".to_owned(), from("env:PW"))].into();
    entry
}

#[test]
fn registration_round_trips() {
    let sandbox = Sandbox::new();
    let entry = full("Work");
    let edit =
        sandbox.registry.register(Layer::User, entry.clone(), Replace::Never, DefaultChoice::First);
    let plan = edit.apply().unwrap();
    let actions: Vec<_> = plan.steps.iter().map(|step| (step.action(), &step.path)).collect();
    assert_eq!(
        actions,
        [
            (FileAction::Create, &sandbox.path("user/vaults/Work.toml")),
            (FileAction::Create, &sandbox.path("user/config.toml")),
        ]
    );
    assert_eq!(sandbox.registry.entry(&name("work")).unwrap(), entry);
}

#[test]
fn user_files_are_private_and_system_files_are_readable() {
    let sandbox = Sandbox::new();
    sandbox.register(Layer::User, "mine").unwrap();
    sandbox.register(Layer::System, "ours").unwrap();
    for (layer, dir, file) in [("user", 0o700, 0o600), ("system", 0o755, 0o644)] {
        assert_eq!(mode_of(&sandbox.path(layer)), dir);
        assert_eq!(mode_of(&sandbox.path(&format!("{layer}/vaults"))), dir);
        assert_eq!(mode_of(&sandbox.path(&format!("{layer}/config.toml"))), file);
    }
    assert_eq!(mode_of(&sandbox.path("user/vaults/mine.toml")), 0o600);
    assert_eq!(mode_of(&sandbox.path("system/vaults/ours.toml")), 0o644);
}

#[test]
fn first_vault_becomes_default_unless_declined() {
    let sandbox = Sandbox::new();
    sandbox.register(Layer::User, "one").unwrap();
    sandbox.register(Layer::User, "two").unwrap();
    assert_eq!(default_of(&sandbox).as_deref(), Some("one"));
    let register = |text: &str, default| {
        let entry = Registration::new(name(text), "memory");
        sandbox.registry.register(Layer::User, entry, Replace::Never, default).apply().unwrap()
    };
    register("three", DefaultChoice::Yes);
    assert_eq!(default_of(&sandbox).as_deref(), Some("three"));

    let sandbox = Sandbox::new();
    let entry = Registration::new(name("one"), "memory");
    let edit = sandbox.registry.register(Layer::User, entry, Replace::Never, DefaultChoice::No);
    edit.apply().unwrap();
    assert_eq!(default_of(&sandbox), None);
    // The new vault is not the first one.
    sandbox.register(Layer::User, "two").unwrap();
    assert_eq!(default_of(&sandbox), None);
}

#[test]
fn first_user_vault_beside_system_vault_is_not_default() {
    let sandbox = Sandbox::new();
    sandbox.register(Layer::System, "ours").unwrap();
    sandbox.register(Layer::User, "mine").unwrap();
    assert_eq!(default_of(&sandbox).as_deref(), Some("ours"));
    assert!(!sandbox.exists("user/config.toml"));
}

#[test]
fn registered_name_is_rejected_unless_replaced() {
    let sandbox = Sandbox::new();
    sandbox.register(Layer::User, "Work").unwrap();
    sandbox.register(Layer::User, "other").unwrap();
    let before = sandbox.text("user/vaults/Work.toml");
    for spelling in ["Work", "work"] {
        let error = sandbox.register(Layer::User, spelling).unwrap_err();
        assert_eq!(
            sandbox.shown(&error),
            format!(
                "E01.exists: vault `{spelling}` is already registered, in `./user/vaults/Work.toml`"
            )
        );
    }
    assert_eq!(sandbox.text("user/vaults/Work.toml"), before);

    let replace = |default| {
        let edit = sandbox.registry.register(Layer::User, full("work"), Replace::Whole, default);
        edit.apply().unwrap();
    };
    replace(DefaultChoice::First);
    assert_eq!(default_of(&sandbox).as_deref(), Some("Work"));
    assert_eq!(sandbox.registry.entry(&name("work")).unwrap(), full("Work"));
    assert_eq!(texts(&sandbox.registry.names().unwrap()), ["other", "Work"]);
    replace(DefaultChoice::No);
    assert_eq!(default_of(&sandbox).as_deref(), Some("Work"));
}

#[test]
fn system_name_is_replaceable_by_user_unless_locked() {
    let sandbox = Sandbox::new();
    sandbox.put("system/vaults/ours.toml", "plugin = \"m\"");
    sandbox.put("system/vaults/fixed.toml", "plugin = \"m\"\nlocked = true");
    assert_eq!(sandbox.register(Layer::User, "Ours").unwrap_err().code(), "E01.exists");
    let replace = |text: &str| {
        let entry = Registration::new(name(text), "mine");
        let first = DefaultChoice::First;
        sandbox.registry.register(Layer::User, entry, Replace::Whole, first).apply()
    };
    replace("Ours").unwrap();
    assert_eq!(sandbox.registry.entry(&name("ours")).unwrap().plugin, "mine");
    assert_eq!(replace("Fixed").unwrap_err().code(), "E01.locked");
    assert!(!sandbox.exists("user/vaults/Fixed.toml"));
}

#[test]
fn unregistered_default_is_not_replaced() {
    let sandbox = Sandbox::new();
    for vault in ["one", "two"] {
        sandbox.register(Layer::User, vault).unwrap();
    }
    sandbox.registry.unregister(Layer::User, name("ONE")).apply().unwrap();
    assert_eq!(default_of(&sandbox), None);
    assert_eq!(texts(&sandbox.registry.names().unwrap()), ["two"]);
    sandbox.register(Layer::User, "one").unwrap();
    assert_eq!(default_of(&sandbox), None);
}

#[test]
fn unregistered_non_default_vault_keeps_default() {
    let sandbox = Sandbox::new();
    for vault in ["one", "two"] {
        sandbox.register(Layer::User, vault).unwrap();
    }
    sandbox.registry.unregister(Layer::User, name("two")).apply().unwrap();
    assert_eq!(default_of(&sandbox).as_deref(), Some("one"));
}

#[test]
fn unregistered_user_default_does_not_restore_system_default() {
    let sandbox = Sandbox::new();
    sandbox.register(Layer::System, "ours").unwrap();
    let entry = Registration::new(name("mine"), "memory");
    let edit = sandbox.registry.register(Layer::User, entry, Replace::Never, DefaultChoice::Yes);
    edit.apply().unwrap();
    sandbox.registry.unregister(Layer::User, name("mine")).apply().unwrap();
    assert_eq!(default_of(&sandbox), None);
    assert_eq!(sandbox.text("user/config.toml"), "schema = 1\ndefault = \"\"\n");
}

#[test]
fn missing_or_system_vault_cannot_be_unregistered_by_user() {
    let sandbox = Sandbox::new();
    sandbox.register(Layer::System, "ours").unwrap();
    let error = sandbox.registry.unregister(Layer::User, name("nope")).apply().unwrap_err();
    assert_eq!(error.code(), "E01.no-such-vault");
    let error = sandbox.registry.unregister(Layer::User, name("ours")).apply().unwrap_err();
    assert_eq!(
        sandbox.shown(&error),
        "E01.other-layer: vault `ours` is registered in the system layer, in \
         `./system/vaults/ours.toml`"
    );
    assert!(!sandbox.exists("user"));
}

#[test]
fn damaged_registration_can_be_unregistered() {
    let sandbox = Sandbox::new();
    sandbox.put("user/vaults/bad.toml", "{");
    sandbox.registry.unregister(Layer::User, name("bad")).apply().unwrap();
    assert!(!sandbox.exists("user/vaults/bad.toml"));
}

#[test]
fn only_registered_vault_can_be_default() {
    let sandbox = Sandbox::new();
    for vault in ["one", "Two"] {
        sandbox.register(Layer::User, vault).unwrap();
    }
    let set = |vault: Option<&str>| {
        sandbox.registry.set_default(Layer::User, vault.map(name)).apply().map(|_| ())
    };
    assert_eq!(set(Some("three")).unwrap_err().code(), "E01.no-such-vault");
    assert_eq!(default_of(&sandbox).as_deref(), Some("one"));
    set(Some("two")).unwrap();
    assert_eq!(default_of(&sandbox).as_deref(), Some("Two"));
    set(None).unwrap();
    assert_eq!(default_of(&sandbox), None);
    set(None).unwrap();
}

#[test]
fn user_vault_cannot_be_system_default() {
    let sandbox = Sandbox::new();
    sandbox.register(Layer::User, "mine").unwrap();
    let edit = sandbox.registry.set_default(Layer::System, Some(name("mine")));
    assert_eq!(edit.apply().unwrap_err().code(), "E01.no-such-vault");
}

#[test]
fn comments_and_spelling_survive_replacement() {
    let sandbox = Sandbox::new();
    let old = "# the team's\n\
               plugin = 'vendor-safe' # why this one\n\
               kind = \"old\"\n\
               \n\
               [parameters] # all of them\n\
               # where it is\n\
               path = '/srv/safe'   # mounted\n\
               port = 1 # soon 2\n\
               gone = true\n\
               # the end\n";
    sandbox.put("user/vaults/work.toml", old);
    let mut entry = Registration::new(name("work"), "vendor-safe");
    entry.parameters = [
        ("path".to_owned(), Setting::Text("/srv/safe".into())),
        ("port".to_owned(), Setting::Integer(2)),
        ("new".to_owned(), Setting::Boolean(true)),
    ]
    .into();
    let edit =
        sandbox.registry.register(Layer::User, entry.clone(), Replace::Whole, DefaultChoice::First);
    edit.apply().unwrap();
    assert_eq!(
        sandbox.text("user/vaults/work.toml"),
        "# the team's\n\
         plugin = 'vendor-safe' # why this one\n\
         schema = 1\n\
         \n\
         [parameters] # all of them\n\
         # where it is\n\
         path = '/srv/safe'   # mounted\n\
         port = 2 # soon 2\n\
         new = true\n\
         # the end\n"
    );
    assert_eq!(sandbox.registry.entry(&name("work")).unwrap(), entry);
}

#[test]
fn config_comments_survive_change() {
    let sandbox = Sandbox::new();
    sandbox.register(Layer::User, "one").unwrap();
    sandbox.put("user/config.toml", "# mine\ndefault = 'two' # for now\n# end\n");
    sandbox.registry.set_default(Layer::User, Some(name("one"))).apply().unwrap();
    assert_eq!(
        sandbox.text("user/config.toml"),
        "# mine\ndefault = \"one\" # for now\nschema = 1\n# end\n"
    );
}

#[test]
fn every_table_form_can_be_replaced() {
    let mut entry = Registration::new(name("v"), "m");
    entry.parameters = [("a".to_owned(), Setting::Integer(2))].into();
    entry.unlock = [("b".to_owned(), Reference::parse("env:B").unwrap())].into();
    for old in [
        "plugin = \"m\"\nparameters = { a = 1, c = 2 }\nunlock = {}\n",
        "plugin = \"m\"\nparameters.a = 1\nparameters.c = 2\n",
        "plugin = \"m\"\n[parameters]\na.from = \"env:A\"\n[unlock]\nz = \"env:Z\"\n",
        "plugin = \"m\"\n[parameters.a]\nfrom = \"env:A\"\n",
    ] {
        let sandbox = Sandbox::new();
        sandbox.put("user/vaults/v.toml", old);
        let first = DefaultChoice::First;
        let edit = sandbox.registry.register(Layer::User, entry.clone(), Replace::Whole, first);
        edit.apply().unwrap();
        assert_eq!(sandbox.registry.entry(&name("v")).unwrap(), entry, "{old}");
    }
}

#[test]
fn damaged_file_is_never_rewritten() {
    let sandbox = Sandbox::new();
    for bad in ["{", "schema = 2\n", "plugin = \"m\"\nx = 1\n"] {
        sandbox.put("user/vaults/bad.toml", bad);
        let entry = Registration::new(name("bad"), "memory");
        let first = DefaultChoice::First;
        let edit = sandbox.registry.register(Layer::User, entry, Replace::Whole, first);
        assert!(edit.apply().is_err());
        assert_eq!(sandbox.text("user/vaults/bad.toml"), bad);
    }
    sandbox.registry.unregister(Layer::User, name("bad")).apply().unwrap();

    sandbox.put("user/config.toml", "defalt = 1");
    let error = sandbox.register(Layer::User, "one").unwrap_err();
    assert_eq!(error.code(), "E01.unknown-key");
    assert!(!sandbox.exists("user/vaults/one.toml"));
    assert!(sandbox.registry.set_default(Layer::User, None).apply().is_err());
    assert_eq!(sandbox.text("user/config.toml"), "defalt = 1");
}

#[test]
fn registration_that_cannot_be_read_back_is_not_written() {
    let sandbox = Sandbox::new();
    let refused = |change: fn(&mut Registration)| {
        let mut entry = Registration::new(name("v"), "m");
        change(&mut entry);
        let first = DefaultChoice::First;
        let edit = sandbox.registry.register(Layer::User, entry, Replace::Never, first);
        edit.apply().unwrap_err().code()
    };
    assert_eq!(refused(|entry| entry.plugin = "../m".into()), "E01.wrong-value");
    assert_eq!(refused(|entry| entry.description = "a\nb".into()), "E01.wrong-value");
    assert_eq!(refused(|entry| entry.locked = true), "E01.wrong-value");
    assert_eq!(refused(|entry| entry.description = "x".repeat(70_000)), "E02.too-large");
    let fd: fn(&mut Registration) = |entry| {
        entry.unlock.insert("p".into(), Reference::Fd(3));
    };
    assert_eq!(refused(fd), "E01.descriptor");
    assert!(!sandbox.exists("user"));
}

#[test]
fn edit_plan_changes_nothing_and_matches_result() {
    let sandbox = Sandbox::new();
    let registry = &sandbox.registry;
    let edit = registry.register(Layer::User, full("one"), Replace::Never, DefaultChoice::First);
    let planned = edit.plan().unwrap();
    assert!(!sandbox.exists("user"));
    assert_eq!(edit.apply().unwrap(), planned);
    assert_eq!(sandbox.text("user/vaults/one.toml"), *planned.steps[0].after.as_ref().unwrap());

    let edit = registry.unregister(Layer::User, name("one"));
    let planned = edit.plan().unwrap();
    let actions: Vec<_> = planned.steps.iter().map(FileChange::action).collect();
    assert_eq!(actions, [FileAction::Change, FileAction::Remove]);
    assert!(sandbox.exists("user/vaults/one.toml"));
    assert_eq!(default_of(&sandbox).as_deref(), Some("one"));
    assert_eq!(edit.apply().unwrap(), planned);
}

#[test]
fn edit_without_change_writes_nothing() {
    let sandbox = Sandbox::new();
    assert!(sandbox.registry.set_default(Layer::User, None).apply().unwrap().steps.is_empty());
    assert!(!sandbox.exists("user"));
    sandbox.register(Layer::User, "one").unwrap();
    let entry = Registration::new(name("one"), "memory");
    let again =
        sandbox.registry.register(Layer::User, entry, Replace::Whole, DefaultChoice::Yes).apply();
    assert!(again.unwrap().steps.is_empty());
}

#[test]
fn reference_cycle_is_rejected() {
    let sandbox = Sandbox::new();
    let register = |vault: &str, to: &str| {
        let mut entry = Registration::new(name(vault), "memory");
        entry.unlock.insert("password".into(), Reference::parse(to).unwrap());
        let first = DefaultChoice::First;
        sandbox.registry.register(Layer::User, entry, Replace::Whole, first).apply()
    };
    let cycle = |vault: &str, to: &str| sandbox.shown(&register(vault, to).unwrap_err());
    sandbox.register(Layer::User, "root").unwrap();
    register("a", "keystead://root/x").unwrap();
    register("b", "keystead://A/x").unwrap();
    register("c", "keystead://not-yet/x").unwrap();
    assert_eq!(
        cycle("not-yet", "keystead://C/x"),
        "E01.cycle: references lead in a circle: `not-yet` -> `c` -> `not-yet`"
    );
    assert_eq!(cycle("d", "keystead://D/x"), "E01.cycle: references lead in a circle: `d` -> `d`");
    assert_eq!(
        cycle("root", "keystead://b/x"),
        "E01.cycle: references lead in a circle: `root` -> `b` -> `a` -> `root`"
    );
    // A reference without a vault means the default vault.
    assert!(cycle("root", "keystead:///x").starts_with("E01.cycle"));
    register("e", "keystead:///x").unwrap();
}

#[test]
fn registry_lock_timeout_names_lock_file() {
    let sandbox = Sandbox::new();
    sandbox.register(Layer::User, "one").unwrap();
    let config = SafeDir::open(&sandbox.path("user"), Rule::User).unwrap();
    let lock = || edit::lock(&config, Duration::from_millis(50));
    let held = lock().unwrap();
    let error = lock().unwrap_err();
    assert_eq!(sandbox.shown(&error), "E01.busy: another process holds `./user/.lock`");
    drop(held);
    lock().unwrap();
}
