//! Tests of the proposals for registered vaults, and of data that is never repeated.

use std::fmt::Write as _;
use std::io::Cursor;
use std::path::Path;

use keystead_plugin_api::VaultName;
use snapbox::IntoData as _;

use super::*;

fn of(text: &str) -> Result<ForeignRegistry, Error> {
    read(ImportSource::Stream(Box::new(Cursor::new(text.to_owned()))))
}

/// Returns all proposals if these plugins are installed, with their parameters.
fn proposed(text: &str, installed: &[(&str, &[&str])], vaults: &[&str]) -> String {
    let plugin = |id: &str| {
        let (_, parameters) = installed.iter().find(|(known, _)| *known == id)?;
        Some(parameters.iter().map(|&name| name.to_owned()).collect())
    };
    let vaults: Vec<VaultName> =
        vaults.iter().map(|name| VaultName::parse(name).unwrap()).collect();
    let store = Path::new("/home/ann/.secretmanagement/localstore");
    let registry = of(text).unwrap();
    let mut out = String::new();
    for one in registry.proposals(&Here { plugin: &plugin, vaults: &vaults, store }) {
        let Proposal { registered, vault, plugin, is_ready, commands, kept, left_out, notes } = one;
        writeln!(out, "{} -> {vault} {plugin:?} ready: {is_ready}", registered.name).unwrap();
        commands.iter().for_each(|command| writeln!(out, "  $ {command}").unwrap());
        kept.iter().for_each(|name| writeln!(out, "  + {name}").unwrap());
        left_out.iter().for_each(|left| writeln!(out, "  - {}: {}", left.name, left.why).unwrap());
        notes.iter().for_each(|note| writeln!(out, "  {note}").unwrap());
    }
    for bad in registry.vaults.iter().filter_map(|one| one.as_ref().err()) {
        writeln!(out, "BAD {bad}").unwrap();
    }
    let shown = format!("{out}{registry:?}");
    assert!(!shown.contains("canary"), "{shown}");
    out
}

/// In the format of ConvertTo-Json.
const WRITTEN: &str = r#"{
  "DefaultVaultName": "localstore",
  "Vaults": {
    "Work db": {
      "ModuleName": "SecretManagement.KeePass",
      "ModulePath": "/home/ann/.local/share/powershell/Modules/SecretManagement.KeePass",
      "Description": "it's \"ours\"\n",
      "SetSecretSupportsMetadata": false,
      "VaultParameters": {
        "Path": "/home/ann/my keys.kdbx",
        "KeyPath": "/home/ann/key",
        "UseMasterPassword": true,
        "MasterPassword": "canary",
        "Colour": "canary"
      }
    },
    "LocalStore": {
      "ModuleName": "Microsoft.PowerShell.SecretStore",
      "Description": "",
      "VaultParameters": {}
    },
    "hc": {
      "ModuleName": "SecretManagement.Hashicorp.Vault.KV",
      "VaultParameters": { "VaultServer": "https://ann:canary@vault.example", "VaultAuthType": "Token", "VaultToken": "canary", "KVVersion": 2 }
    },
    "Azure": { "ModuleName": "Az.KeyVault", "VaultParameters": { "AZKVaultName": "canary", "ClientSecret": "canary" } },
    "1p": { "ModuleName": "SecretManagement.1Password" },
    "again": { "ModuleName": "microsoft.powershell.secretstore", "VaultParameters": null }
  }
}"#;

#[test]
fn registered_vaults_get_matching_registration_commands() {
    snapbox::assert_data_eq!(
        proposed(WRITTEN, &[("store", &[]), ("keepass", &["path"])], &["HC"]),
        snapbox::str![[r#"
Work db -> Work-db Some("keepass") ready: true
  $ keystead vault register Work-db --plugin keepass --param 'path=/home/ann/my keys.kdbx' '--description=it'\''s "ours"'
  + Path
  - KeyPath: nothing of the plugin is known to be like it
  - UseMasterPassword: nothing of the plugin is known to be like it
  - MasterPassword: it may be a secret, and is not shown: give the plugin a reference to it, such as `env:VAR`
  - Colour: nothing of the plugin is known to be like it
  its name is none here; `Work-db` is like it
LocalStore -> LocalStore Some("store") ready: true
  $ keystead vault register LocalStore --plugin store --default
  $ keystead import /home/ann/.secretmanagement/localstore --from secretstore --vault LocalStore
hc -> hc Some("hashicorp") ready: false
  $ keystead vault register hc --plugin hashicorp
  - VaultServer: it may be a secret, and is not shown: give the plugin a reference to it, such as `env:VAR`
  - VaultAuthType: it may be a secret, and is not shown: give the plugin a reference to it, such as `env:VAR`
  - VaultToken: it may be a secret, and is not shown: give the plugin a reference to it, such as `env:VAR`
  - KVVersion: nothing of the plugin is known to be like it
  a vault `hc` is registered here already: choose another name, or add `--replace`
  plugin `hashicorp` is not installed
Azure -> Azure None ready: false
  - AZKVaultName: there is no plugin
  - ClientSecret: it may be a secret, and is not shown
  there is no plugin for it
1p -> 1p None ready: false
  $ keystead import FILE --from 1pux
  there is no plugin for it, but its exports can be imported
again -> again Some("store") ready: true
  it has the same secrets as `LocalStore`, so one vault is enough

"#]].raw()
    );
}

#[test]
fn missing_plugin_is_reported_with_its_command() {
    let out = proposed(WRITTEN, &[], &[]);
    assert!(out.contains("LocalStore -> LocalStore Some(\"store\") ready: false\n"), "{out}");
    assert!(out.contains("plugin `store` is not installed"), "{out}");
    assert!(out.contains("--param 'path=/home/ann/my keys.kdbx' --param key-file=/home/ann/key"));
}

#[test]
fn registration_without_foreign_default_uses_no_default() {
    let out = proposed(
        r#"{"DefaultVaultName":"","Vaults":{"a":{"ModuleName":"SecretManagement.LastPass"}}}"#,
        &[],
        &[],
    );
    assert!(out.contains("$ keystead vault register a --plugin lastpass --no-default\n"), "{out}");
}

#[test]
fn foreign_names_and_values_are_escaped_in_commands() {
    let keepass = |name: &str, path: &str, description: &str| {
        format!(
            "{name}:{{\"ModuleName\":\"SecretManagement.KeePass\",\"Description\":{description},\
             \"VaultParameters\":{{\"Path\":{path}}}}}"
        )
    };
    let vaults = [
        keepass(r#""a\nrm -rf ~""#, r#""/x\ny""#, r#""two\nlines\u202e \u001b[31m""#),
        keepass(r#""a-rm -rf ~""#, r#""/$(id)`id`'x""#, r#""-x""#),
        keepass(r#""""#, r#""""#, "7"),
        keepass(r#""$é""#, "[1]", "null"),
        keepass(&format!("\"{}\"", "n".repeat(100)), r#""/\u202ex""#, "\"\""),
        keepass(&format!("\"{}\"", "n".repeat(101)), r#""canary=1;password=canary@x/""#, "\"\""),
    ];
    let text = format!("{{\"Vaults\":{{{}}}}}", vaults.join(","));
    snapbox::assert_data_eq!(
        proposed(&text, &[("keepass", &["path", "key-file"])], &[]),
        snapbox::str![[r#"
a
rm -rf ~ -> a-rm--rf-- Some("keepass") ready: true
  $ keystead vault register a-rm--rf-- --plugin keepass '--description=two lines\u{202e} \u{1b}[31m' --no-default
  - Path: it is no text of one line
  its name is none here; `a-rm--rf--` is like it
a-rm -rf ~ -> a-rm--rf---2 Some("keepass") ready: true
  $ keystead vault register a-rm--rf---2 --plugin keepass --param 'path=/$(id)`id`'\''x' --description=-x --no-default
  + Path
  its name is none here; `a-rm--rf---2` is like it
 -> vault Some("keepass") ready: true
  $ keystead vault register vault --plugin keepass --description=7 --no-default
  - Path: it is no text of one line
  its name is none here; `vault` is like it
$é -> vault-2 Some("keepass") ready: true
  $ keystead vault register vault-2 --plugin keepass --no-default
  - Path: it is no text of one line
  its name is none here; `vault-2` is like it
nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn -> nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn Some("keepass") ready: true
  $ keystead vault register nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn --plugin keepass --no-default
  - Path: it is no text of one line
  its name is none here; `nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn` is like it
nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn -> nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn-2 Some("keepass") ready: true
  $ keystead vault register nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn-2 --plugin keepass --no-default
  - Path: it may be a secret, and is not shown: give the plugin a reference to it, such as `env:VAR`
  its name is none here; `nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn-2` is like it

"#]].raw()
    );
}

#[test]
fn broken_vaults_are_reported_individually() {
    snapbox::assert_data_eq!(
        proposed(
            r#"{"DefaultVaultName":null,"Vaults":{"a":1,"b":{},"c":{"ModuleName":"X"},"C":{"ModuleName":"Y"},"d":{"ModuleName":""},"e":{"a":1,"a":2}}}"#,
            &[],
            &[]
        ),
        snapbox::str![[r#"
c -> c None ready: false
  there is no plugin for it
BAD item 1, `a`: it is no object
BAD item 2, `b`: it has no `ModuleName`
BAD item 4, `C`: its name stands there twice
BAD item 5, `d`: it has no `ModuleName`
BAD item 6, `e`: a name stands in an object twice

"#]]
    );
}

#[test]
fn invalid_registry_is_rejected() {
    let many: Vec<String> = (0..=MAX_VAULTS).map(|n| format!("\"{n}\":0")).collect();
    let many = format!("{{\"Vaults\":{{{}}}}}", many.join(","));
    let all =
        ["", "[]", "{}", "{\"Vaults\":[]}", "{\"Vaults\":{}", "\u{feff}{\"Vaults\":null}", &many];
    let said: Vec<String> = all.iter().map(|text| of(text).unwrap_err().to_string()).collect();
    snapbox::assert_data_eq!(
        said.join("\n"),
        snapbox::str![[r#"
this is not a registry of SecretManagement: line 1, column 1: an object, `{...}`, is expected
this is not a registry of SecretManagement: line 1, column 1: an object, `{...}`, is expected
this is not a registry of SecretManagement: it has no `Vaults`
this is not a registry of SecretManagement: it has no `Vaults`
this is not a registry of SecretManagement: line 1, column 13: a `,` or the end must follow
this is not a registry of SecretManagement: it has no `Vaults`
this is not a registry of SecretManagement: it has more than 1000 vaults
"#]]
    );
    assert!(of("\u{feff}{\"Vaults\":{}}").unwrap().vaults.is_empty());
    assert!(read(ImportSource::Dir("/".into())).is_err());
}

#[test]
fn changed_registry_never_panics() {
    super::super::shown::changed(WRITTEN.as_bytes(), |bytes| {
        let Ok(registry) = read(ImportSource::Stream(Box::new(Cursor::new(bytes.to_vec())))) else {
            return;
        };
        let plugin = |_: &str| None;
        let store = Path::new("/store");
        let here = Here { plugin: &plugin, vaults: &[], store };
        for one in registry.proposals(&here) {
            assert!(one.commands.iter().all(|command| command.starts_with("keystead ")));
        }
    });
}
