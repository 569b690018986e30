//! Tests of reading: which files are accepted, and which are rejected.

use super::*;
use crate::reference::Reference;

const FULL: &str = r#"
schema = 1
plugin = "vendor-safe"
kind = "safe"
description = "the team's safe"
placement = "in-process"
search = false
grants = ["network", "files:/srv/safe:rw"]

[parameters]
path = "/srv/safe"
port = 8_200
strict = true
token = { from = "env:TOKEN" }

[unlock]
password = "keystead:///safe/password"
"#;

#[test]
fn every_registration_key_is_parsed() {
    let sandbox = Sandbox::new();
    sandbox.put("user/vaults/Work.toml", FULL);
    let entry = sandbox.registry.entry(&name("work")).unwrap();
    let mut expected = Registration::new(name("Work"), "vendor-safe");
    assert_eq!(entry.name.as_str(), "Work");
    expected.kind = Some("safe".into());
    expected.description = "the team's safe".into();
    expected.placement = Some(Placement::InProcess);
    expected.search = false;
    expected.grants = vec!["network".into(), "files:/srv/safe:rw".into()];
    let token = Setting::Reference(Reference::parse("env:TOKEN").unwrap());
    expected.parameters = [
        ("path".to_owned(), Setting::Text("/srv/safe".into())),
        ("port".to_owned(), Setting::Integer(8200)),
        ("strict".to_owned(), Setting::Boolean(true)),
        ("token".to_owned(), token),
    ]
    .into();
    let password = Reference::parse("keystead:///safe/password").unwrap();
    expected.unlock = [("password".to_owned(), password)].into();
    assert_eq!(entry, expected);
}

#[test]
fn malformed_registration_is_rejected_with_position() {
    let sandbox = Sandbox::new();
    let cases = [
        (
            "plugin = ",
            "E01.not-toml: `./user/vaults/v.toml`, line 1, column 10: string values must be quoted, expected literal string",
        ),
        (
            "plugin = \"m\"\nplugn = 1",
            "E01.unknown-key: `./user/vaults/v.toml`, line 2, column 1: unknown key `plugn`",
        ),
        (
            "plugin = \"m\"\n\u{e9} = 1",
            "E01.not-toml: `./user/vaults/v.toml`, line 2, column 1: invalid unquoted key, expected letters, numbers, `-`, `_`",
        ),
        (
            "plugin = \"m\"\nplugin = \"m\"",
            "E01.not-toml: `./user/vaults/v.toml`, line 2, column 1: duplicate key",
        ),
        (
            "schema = 2\nnew = 1",
            "E01.newer-version: `./user/vaults/v.toml` has schema 2; this version of keystead reads schemas up to 1",
        ),
        (
            "schema = 0",
            "E01.wrong-value: `./user/vaults/v.toml`, line 1, column 10: `schema` must be the number 1",
        ),
        (
            "schema = \"1\"",
            "E01.wrong-value: `./user/vaults/v.toml`, line 1, column 10: `schema` must be the number 1",
        ),
        ("schema = 1", "E01.missing-key: `./user/vaults/v.toml` has no key `plugin`"),
        (
            "plugin = \"../m\"",
            "E01.wrong-value: `./user/vaults/v.toml`, line 1, column 10: `plugin` must be a plugin's id: lower-case letters, digits and dashes",
        ),
        (
            "plugin = \"m\"\nsearch = 1",
            "E01.wrong-value: `./user/vaults/v.toml`, line 2, column 10: `search` must be `true` or `false`",
        ),
        (
            "plugin = \"m\"\nplacement = \"here\"",
            "E01.wrong-value: `./user/vaults/v.toml`, line 2, column 13: `placement` must be `isolated` or `in-process`",
        ),
        (
            "plugin = \"m\"\ngrants = [\"a\", 1]",
            "E01.wrong-value: `./user/vaults/v.toml`, line 2, column 16: `grants` must be a list of texts without control characters",
        ),
        (
            "plugin = \"m\"\nlocked = true",
            "E01.wrong-value: `./user/vaults/v.toml`, line 2, column 10: `locked` must be in the administrator's registrations only",
        ),
        (
            "plugin = \"m\"\nparameters = 1",
            "E01.wrong-value: `./user/vaults/v.toml`, line 2, column 14: `parameters` must be a table",
        ),
        (
            "plugin = \"m\"\n[parameters]\na = 1.5",
            "E01.wrong-value: `./user/vaults/v.toml`, line 3, column 5: `a` must be a text, a whole number, `true`, `false` or `{ from = REFERENCE }`",
        ),
        (
            "plugin = \"m\"\n[parameters]\na = 9223372036854775808",
            "E01.wrong-value: `./user/vaults/v.toml`, line 3, column 5: `a` must be a text, a whole number, `true`, `false` or `{ from = REFERENCE }`",
        ),
        (
            "plugin = \"m\"\n[parameters]\na = { form = \"env:A\" }",
            "E01.unknown-key: `./user/vaults/v.toml`, line 3, column 7: unknown key `form`",
        ),
        (
            "plugin = \"m\"\n[parameters]\na = {}",
            "E01.wrong-value: `./user/vaults/v.toml`, line 3, column 5: `a` must be a text, a whole number, `true`, `false` or `{ from = REFERENCE }`",
        ),
        (
            "plugin = \"m\"\n[parameters]\na = { from = \"canary\" }",
            "E01.wrong-reference: `./user/vaults/v.toml`, line 3, column 14: `a` must be a reference",
        ),
        (
            "plugin = \"m\"\n[unlock]\npassword = \"canary\"",
            "E01.wrong-reference: `./user/vaults/v.toml`, line 3, column 12: `password` must be a reference",
        ),
        (
            "plugin = \"m\"\n[unlock]\npassword = \"fd:3\"",
            "E01.wrong-value: `./user/vaults/v.toml`, line 3, column 12: `password` must be a reference other than `fd:`",
        ),
    ];
    for (text, expected) in cases {
        sandbox.put("user/vaults/v.toml", text);
        assert_eq!(sandbox.fault("v"), expected, "{text}");
        let error = sandbox.registry.entry(&name("v")).unwrap_err();
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[test]
fn non_utf8_registration_is_rejected_with_position() {
    let sandbox = Sandbox::new();
    sandbox.put("user/vaults/v.toml", b"plugin = \"m\"\n# \xc3\xa9\xff");
    assert_eq!(
        sandbox.fault("v"),
        "E01.not-toml: `./user/vaults/v.toml`, line 2, column 4: this is not UTF-8"
    );
}

#[test]
fn unknown_key_is_escaped_and_gets_suggestion() {
    let sandbox = Sandbox::new();
    let long = "x".repeat(200);
    for (key, shown, meant) in [
        ("plugn", "plugn", Some("plugin")),
        ("\"\\u001b[0m\"", "\\u{1b}[0m", None),
        (long.as_str(), &*format!("{}...", "x".repeat(64)), None),
    ] {
        sandbox.put("user/vaults/v.toml", format!("plugin = \"m\"\n{key} = 1"));
        let error = sandbox.registry.entry(&name("v")).unwrap_err();
        let Error::UnknownKey { key, similar, .. } = error else { panic!("{error:?}") };
        assert_eq!((key.as_str(), similar), (shown, meant));
    }
}

#[test]
fn deeply_nested_registration_is_rejected() {
    let sandbox = Sandbox::new();
    sandbox.put("user/vaults/v.toml", format!("plugin = {}", "[".repeat(60_000)));
    assert!(sandbox.fault("v").starts_with("E01.not-toml"));
}

#[test]
fn oversized_registration_is_rejected_before_read() {
    let sandbox = Sandbox::new();
    sandbox.put("user/vaults/v.toml", "");
    let file = fs::File::options().write(true).open(sandbox.path("user/vaults/v.toml")).unwrap();
    file.set_len(100 * 1024 * 1024).unwrap();
    assert_eq!(
        sandbox.fault("v"),
        "E02.too-large: `./user/vaults/v.toml` has 104857600 bytes; the most is 65536"
    );
}

#[test]
fn special_file_as_registration_is_rejected() {
    let sandbox = Sandbox::new();
    sandbox.put("user/vaults/other.toml", "plugin = \"m\"");
    fs::create_dir(sandbox.path("user/vaults/directory.toml")).unwrap();
    let fifo = sandbox.path("user/vaults/fifo.toml");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    for vault in ["directory", "fifo"] {
        assert!(sandbox.fault(vault).starts_with("E02.not-a-file"), "{}", sandbox.fault(vault));
    }
    assert!(sandbox.registry.entry(&name("other")).is_ok());
}

#[test]
fn world_writable_registration_or_dir_is_rejected() {
    for path in ["user/vaults/v.toml", "user/vaults", "user"] {
        let sandbox = Sandbox::new();
        sandbox.put("user/vaults/v.toml", "plugin = \"m\"");
        assert!(sandbox.registry.entry(&name("v")).is_ok());
        let mode = if path.ends_with(".toml") { 0o666 } else { 0o777 };
        sandbox.mode(path, mode);
        let fault = sandbox.fault("v");
        assert!(fault.starts_with("E02.others-write"), "{path}: {fault}");
        assert!(fault.contains(&format!("`./{path}`")), "{path}: {fault}");
    }
}

#[test]
fn registrations_differing_only_by_case_collide() {
    let sandbox = Sandbox::new();
    sandbox.put("user/vaults/Work.toml", "plugin = \"m\"");
    sandbox.put("user/vaults/work.toml", "plugin = \"m\"");
    sandbox.put("user/vaults/other.toml", "plugin = \"m\"");
    let expected = "E01.case-collision: `./user/vaults/Work.toml` and `./user/vaults/work.toml` \
                    register the same vault: names are compared without case";
    for spelling in ["Work", "work", "WORK"] {
        assert_eq!(sandbox.fault(spelling), expected);
    }
    let listing = sandbox.registry.all();
    assert!(listing.faults.is_empty());
    assert_eq!(listing.vaults.len(), 2);
    assert!(listing.vaults[0].entry.is_ok());
    assert_eq!(sandbox.shown(listing.vaults[1].entry.as_ref().unwrap_err()), expected);
}

#[test]
fn broken_registration_is_reported_and_hides_no_other() {
    let sandbox = Sandbox::new();
    sandbox.put("user/vaults/good.toml", "plugin = \"m\"");
    sandbox.put("user/vaults/bad.toml", "{");
    sandbox.put("user/vaults/not a name.toml", "plugin = \"m\"");
    sandbox.put("user/vaults/good.toml~", "left by an editor");
    sandbox.put("user/vaults/.good.toml.1-1.tmp", "half a wri");
    sandbox.put("system/vaults/ours.toml", "plugin = \"m\"");
    let listing = sandbox.registry.all();
    let seen: Vec<_> = listing
        .vaults
        .iter()
        .map(|vault| (vault.name.as_str(), vault.layer, vault.entry.is_ok()))
        .collect();
    assert_eq!(
        seen,
        [("bad", Layer::User, false), ("good", Layer::User, true), ("ours", Layer::System, true)]
    );
    let faults: Vec<_> = listing.faults.iter().map(|fault| sandbox.shown(fault)).collect();
    assert_eq!(
        faults,
        ["E01.bad-file-name: `./user/vaults/not a name.toml` is not named after a vault"]
    );
    assert_eq!(texts(&sandbox.registry.names().unwrap()), ["bad", "good", "ours"]);
}

#[test]
fn unsafe_user_layer_does_not_hide_system_layer() {
    let sandbox = Sandbox::new();
    sandbox.put("user/vaults/mine.toml", "plugin = \"m\"");
    sandbox.put("system/vaults/ours.toml", "plugin = \"m\"");
    sandbox.mode("user", 0o777);
    let listing = sandbox.registry.all();
    assert_eq!(listing.vaults.len(), 1);
    assert_eq!(listing.vaults[0].name, name("ours"));
    assert_eq!(listing.faults.len(), 1);
    assert_eq!(listing.faults[0].code(), "E02.others-write");
}

#[test]
fn user_registration_overrides_system_registration() {
    let sandbox = Sandbox::new();
    sandbox.put("system/vaults/work.toml", "plugin = \"theirs\"");
    sandbox.put("user/vaults/Work.toml", "plugin = \"mine\"");
    assert_eq!(sandbox.registry.entry(&name("work")).unwrap().plugin, "mine");
    let listing = sandbox.registry.all();
    assert_eq!(listing.vaults.len(), 1);
    assert_eq!(listing.vaults[0].layer, Layer::User);
    assert_eq!(texts(&sandbox.registry.names().unwrap()), ["Work"]);
}

#[test]
fn locked_system_registration_is_kept_over_user_file() {
    let sandbox = Sandbox::new();
    sandbox.put("system/vaults/work.toml", "plugin = \"theirs\"\nlocked = true");
    sandbox.put("user/vaults/Work.toml", "plugin = \"mine\"");
    assert_eq!(sandbox.registry.entry(&name("Work")).unwrap().plugin, "theirs");
    let listing = sandbox.registry.all();
    assert_eq!(listing.vaults[0].entry.as_ref().unwrap().plugin, "theirs");
    assert_eq!(
        sandbox.shown(&listing.faults[0]),
        "E01.locked: vault `Work` is locked by the administrator in \
         `./system/vaults/work.toml`: `./user/vaults/Work.toml` has no effect"
    );
}

#[test]
fn damaged_system_registration_is_not_overridden() {
    let sandbox = Sandbox::new();
    sandbox.put("system/vaults/work.toml", "locked = true\nplugn = \"typo\"");
    sandbox.put("user/vaults/work.toml", "plugin = \"mine\"");
    assert!(sandbox.fault("work").contains("./system/vaults/work.toml"));
    let listing = sandbox.registry.all();
    assert_eq!(listing.vaults.len(), 1);
    assert_eq!(listing.vaults[0].layer, Layer::System);
    assert!(listing.vaults[0].entry.is_err());
}

#[test]
fn missing_registry_dirs_have_no_vaults() {
    let sandbox = Sandbox::new();
    assert!(sandbox.registry.names().unwrap().is_empty());
    assert!(sandbox.registry.all().vaults.is_empty());
    assert!(sandbox.registry.all().faults.is_empty());
    assert_eq!(sandbox.registry.default().unwrap(), None);
    assert_eq!(sandbox.fault("work"), "E01.no-such-vault: no vault `work` is registered");
    assert!(!sandbox.exists("user") && !sandbox.exists("system"));
}

#[test]
fn registry_without_user_has_only_system_layer() {
    let sandbox = Sandbox::new();
    sandbox.put("system/vaults/ours.toml", "plugin = \"m\"");
    sandbox.put("system/config.toml", "default = \"ours\"");
    sandbox.put("user/vaults/mine.toml", "plugin = \"m\"");
    let paths = Paths { user_config: None, ..paths_in(sandbox.dir.path()) };
    let registry = Registry::open(&paths);
    assert_eq!(texts(&registry.names().unwrap()), ["ours"]);
    assert_eq!(registry.default().unwrap(), Some(name("ours")));
    let edit = registry.set_default(Layer::User, None);
    assert_eq!(edit.apply().unwrap_err().code(), "E01.no-layer");
}

#[test]
fn missing_vault_error_suggests_similar_name() {
    let sandbox = Sandbox::new();
    sandbox.put("system/vaults/Personal.toml", "plugin = \"m\"");
    let error = sandbox.registry.entry(&name("persnal")).unwrap_err();
    let Error::NoSuchVault { similar, .. } = error else { panic!("{error:?}") };
    assert_eq!(similar.unwrap().as_str(), "Personal");
}

#[test]
fn user_default_overrides_system_default() {
    let sandbox = Sandbox::new();
    let default = || sandbox.registry.default().unwrap().map(|name| name.to_string());
    sandbox.put("system/config.toml", "default = \"ours\"");
    assert_eq!(default().as_deref(), Some("ours"));
    sandbox.put("user/config.toml", "default = \"mine\"");
    assert_eq!(default().as_deref(), Some("mine"));
    sandbox.put("user/config.toml", "default = \"\"");
    assert_eq!(default(), None);
    for (text, code) in [
        ("default = 1", "E01.wrong-value"),
        ("default = \"a/b\"", "E01.wrong-value"),
        ("defualt = \"a\"", "E01.unknown-key"),
        ("schema = 9", "E01.newer-version"),
        ("default", "E01.not-toml"),
    ] {
        sandbox.put("user/config.toml", text);
        assert_eq!(sandbox.registry.default().unwrap_err().code(), code, "{text}");
    }
}

#[test]
fn linked_registration_is_read_if_target_is_safe() {
    let sandbox = Sandbox::new();
    sandbox.put("dotfiles/work.toml", "plugin = \"m\"");
    sandbox.put("user/vaults/other.toml", "plugin = \"m\"");
    let link = sandbox.path("user/vaults/work.toml");
    std::os::unix::fs::symlink(sandbox.path("dotfiles/work.toml"), link).unwrap();
    assert!(sandbox.registry.entry(&name("work")).is_ok());
    sandbox.mode("dotfiles", 0o777);
    assert!(sandbox.fault("work").starts_with("E02.others-write"));
}
