//! `import --from vaultinfo`: proposes registrations for the vaults of SecretManagement.

use snapbox::{assert_data_eq, str};

use super::sandbox::{CANARY, Sandbox};

/// Writes a registry and a directory of SecretStore to the paths that SecretManagement uses.
fn there() -> Sandbox {
    let sandbox = Sandbox::with_work();
    let text = r#"{
  "DefaultVaultName": "LocalStore",
  "Vaults": {
    "LocalStore": {
      "ModuleName": "Microsoft.PowerShell.SecretStore",
      "ModulePath": "/opt/Modules/Microsoft.PowerShell.SecretStore/1.0.6",
      "Description": "mine", "SetSecretSupportsMetadata": true, "VaultParameters": { }
    },
    "Team keys": {
      "ModuleName": "SecretManagement.KeePass",
      "VaultParameters": { "Path": "/srv/team keys.kdbx", "MasterPassword": "CANARY", "UseMasterPassword": true }
    },
    "cloud": {
      "ModuleName": "Az.KeyVault",
      "VaultParameters": { "AZKVaultName": "CANARY", "ClientSecret": "CANARY" }
    },
    "odd": []
  }
}"#;
    let shared = sandbox.root().join("home/.secretmanagement");
    std::fs::create_dir_all(shared.join("secretvaultregistry")).unwrap();
    std::fs::create_dir_all(shared.join("localstore")).unwrap();
    // The registry itself has no canary: only `*.given` files may, and its file name is fixed.
    std::fs::write(shared.join("secretvaultregistry/vaultinfo"), text).unwrap();
    std::fs::write(sandbox.here("vaults.given"), text.replace("CANARY", CANARY)).unwrap();
    sandbox
}

#[test]
fn import_of_vaultinfo_proposes_registrations_only() {
    let sandbox = there();
    let shared = sandbox.root().join("home/.secretmanagement");
    let shared = shared.to_str().unwrap();
    assert_data_eq!(
        sandbox.run("import --from vaultinfo", &[shared]),
        str![[r#"
exit code 5
--- stdout
# LocalStore: module Microsoft.PowerShell.SecretStore, the default vault
#   plugin `store` is not installed
# keystead vault register LocalStore --plugin store --description=mine --default
# keystead import [ROOT]/home/.secretmanagement/localstore --from secretstore --vault LocalStore

# Team keys: module SecretManagement.KeePass
#   its name is none here; `Team-keys` is like it
#   plugin `keepass` is not installed
#   without `MasterPassword`: it may be a secret, and is not shown: give the plugin a reference to it, such as `env:VAR`
#   without `UseMasterPassword`: nothing of the plugin is known to be like it
# keystead vault register Team-keys --plugin keepass --param 'path=/srv/team keys.kdbx'

# cloud: module Az.KeyVault
#   there is no plugin for it
#   without `AZKVaultName`: there is no plugin
#   without `ClientSecret`: it may be a secret, and is not shown
--- stderr
Warning: item 4, `odd`: it is no object
Nothing was registered: read the commands, and run those that you want.

"#]]
    );
    for place in ["secretvaultregistry", "secretvaultregistry/vaultinfo"] {
        let whole = sandbox.run("import --from vaultinfo", &[shared]).to_string();
        assert_eq!(sandbox.run("import", &[&format!("{shared}/{place}")]).to_string(), whole);
    }
    assert_data_eq!(
        sandbox.run("import --json", &[shared]),
        str![[r#"
exit code 5
--- stdout
{"schema":1,"vaults":[{"name":"LocalStore","module":"Microsoft.PowerShell.SecretStore","default":true,"vault":"LocalStore","plugin":"store","ready":false,"commands":["keystead vault register LocalStore --plugin store --description=mine --default","keystead import [ROOT]/home/.secretmanagement/localstore --from secretstore --vault LocalStore"],"kept":[],"left_out":[],"notes":["plugin `store` is not installed"]},{"name":"Team keys","module":"SecretManagement.KeePass","default":false,"vault":"Team-keys","plugin":"keepass","ready":false,"commands":["keystead vault register Team-keys --plugin keepass --param 'path=/srv/team keys.kdbx'"],"kept":["Path"],"left_out":[{"name":"MasterPassword","why":"it may be a secret, and is not shown: give the plugin a reference to it, such as `env:VAR`"},{"name":"UseMasterPassword","why":"nothing of the plugin is known to be like it"}],"notes":["its name is none here; `Team-keys` is like it","plugin `keepass` is not installed"]},{"name":"cloud","module":"Az.KeyVault","default":false,"vault":"cloud","plugin":null,"ready":false,"commands":[],"kept":[],"left_out":[{"name":"AZKVaultName","why":"there is no plugin"},{"name":"ClientSecret","why":"it may be a secret, and is not shown"}],"notes":["there is no plugin for it"]}],"broken":["item 4, `odd`: it is no object"]}
--- stderr
{"schema":1,"warning":"item 4, `odd`: it is no object"}

"#]]
    );
    // A copy of the file with secrets in it gives the same output.
    let whole = sandbox.run("import --from vaultinfo", &[shared]).to_string();
    assert_eq!(sandbox.run("import vaults.given --from vaultinfo", &[]).to_string(), whole);
    assert_data_eq!(
        sandbox.run("vault list", &[]),
        str![[r#"
exit code 0
--- stdout
work	default	user	memory	isolated (default)	

"#]]
    );
}

#[test]
fn vaultinfo_proposal_is_valid_shell_script() {
    let sandbox = Sandbox::installed();
    let registry = r#"{"DefaultVaultName":"","Vaults":{"x":{"ModuleName":"Nobody.Knows"}}}"#;
    assert_data_eq!(
        sandbox.feed(registry, "import - --from vaultinfo"),
        str![[r#"
exit code 0
--- stdout
# x: module Nobody.Knows
#   there is no plugin for it
--- stderr
Nothing was registered: read the commands, and run those that you want.

"#]]
    );
    let script = sandbox.feed(registry, "import - --from vaultinfo").stdout;
    std::fs::write(sandbox.here("script"), script).unwrap();
    let done = std::process::Command::new("sh").arg("-eu").arg(sandbox.here("script")).output();
    assert!(done.unwrap().status.success());
}

#[test]
fn import_of_vaultinfo_rejects_write_options_and_bad_input() {
    let sandbox = there();
    assert_data_eq!(
        sandbox.run("import vaults.given --from vaultinfo --vault work", &[]),
        str![[r#"
exit code 2
--- stderr
Error: `--vault` is not for `--from vaultinfo`
Hint: it writes to no vault, and only shows what to do

"#]]
    );
    for words in ["--prefix a", "--replace", "--skip-existing", "--user bob", "--column name=a"] {
        sandbox.run(&format!("import vaults.given --from vaultinfo {words}"), &[]).ends_with(2);
    }
    std::fs::write(sandbox.here("x"), "{}").unwrap();
    assert_data_eq!(
        sandbox.run("import x --from vaultinfo", &[]),
        str![[r#"
exit code 1
--- stderr
Error: This is not a registry of SecretManagement: it has no `Vaults`
Code: E13.not-of-form

"#]]
    );
    std::fs::create_dir(sandbox.here("directory")).unwrap();
    assert_data_eq!(
        sandbox.run("import directory --from vaultinfo", &[]),
        str![[r#"
exit code 1
--- stderr
Error: This is not a registry of SecretManagement: it is a directory
Code: E13.not-of-form

"#]]
    );
}
