//! `doctor`: one broken home per finding, and checks that the suggested fix works.

mod kernel;
mod plugin;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use snapbox::{assert_data_eq, str};

use super::sandbox::Sandbox;

impl Sandbox {
    fn config(&self, name: &str) -> PathBuf {
        self.root().join("home/.config/keystead").join(name)
    }

    fn data(&self, name: &str) -> PathBuf {
        self.root().join("home/.local/share/keystead").join(name)
    }

    fn doctor(&self) -> super::sandbox::Answer {
        self.run("doctor", &[])
    }

    /// Runs a suggestion of the first finding in a shell, and checks that no finding is left.
    fn fixes(&self, nth: usize) {
        let report = self.run("doctor --json", &[]);
        let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
        let command = report["findings"][0]["fixes"][nth]["command"].as_str().unwrap().to_owned();
        // The shell is non-interactive.
        let asks = ["keystead plugin", "keystead vault grant"];
        let asks = asks.iter().any(|start| command.starts_with(start));
        let yes = if asks { " --yes" } else { "" };
        let command = command + yes;
        let mut shell = std::process::Command::new("/bin/sh");
        let own = PathBuf::from(env!("CARGO_BIN_EXE_keystead"));
        shell.args(["-c", &format!("keystead() {{ {} \"$@\"; }}; {command}", own.display())]);
        let like = self.command("", &[]);
        shell.env_clear().current_dir(like.get_current_dir().unwrap());
        for (name, value) in like.get_envs() {
            shell.env(name, value.unwrap());
        }
        assert!(shell.status().unwrap().success(), "{command}");
        let after = self.doctor();
        assert!(
            after.status == 0 && after.stdout == b"No problems found.\n",
            "{command}:\n{after}"
        );
    }
}

#[test]
fn doctor_finds_no_problems_in_correct_home() {
    assert_data_eq!(
        Sandbox::empty().doctor(),
        str![[r#"
exit code 0
--- stdout
No problems found.

"#]]
    );
    assert_data_eq!(
        Sandbox::with_work().run("doctor --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"ok":true,"errors":0,"warnings":0,"findings":[]}

"#]]
    );
}

#[test]
fn doctor_reports_world_writable_dir() {
    let sandbox = Sandbox::with_work();
    let dir = sandbox.config("vaults");
    std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o777)).unwrap();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 1
--- stdout
Error: `[ROOT]/home/.config/keystead/vaults` is not safe to use: `[ROOT]/home/.config/keystead/vaults` can be written by everyone (mode 0777)
  Why:   whoever can change it decides which code runs and where secrets go, so that nothing in it is used
  Fix:   chmod go-w [ROOT]/home/.config/keystead/vaults
         (look at what is in it first: others could change it)
  Code:  E02.others-write

1 error, 0 warnings.

"#]]
    );
    sandbox.fixes(0);
}

#[test]
fn doctor_reports_world_writable_registration() {
    let sandbox = Sandbox::with_work();
    let file = sandbox.config("vaults/work.toml");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o666)).unwrap();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 1
--- stdout
Error: `[ROOT]/home/.config/keystead/vaults/work.toml` is not safe to use: `[ROOT]/home/.config/keystead/vaults/work.toml` can be written by everyone (mode 0666)
  Why:   whoever can change it decides which code runs and where secrets go, so that nothing in it is used
  Fix:   chmod go-w [ROOT]/home/.config/keystead/vaults/work.toml
         (look at what is in it first: others could change it)
  Code:  E02.others-write

1 error, 0 warnings.

"#]]
    );
    sandbox.fixes(0);
}

#[test]
fn doctor_reports_world_writable_pins() {
    let sandbox = Sandbox::with_work();
    std::fs::set_permissions(sandbox.data("pins.d"), PermissionsExt::from_mode(0o722)).unwrap();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 1
--- stdout
Error: `[ROOT]/home/.local/share/keystead/pins.d` is not safe to use: `[ROOT]/home/.local/share/keystead/pins.d` can be written by everyone (mode 0722)
  Why:   whoever can change it decides which code runs and where secrets go, so that nothing in it is used
  Fix:   chmod go-w [ROOT]/home/.local/share/keystead/pins.d
         (look at what is in it first: others could change it)
  Code:  E02.others-write

1 error, 0 warnings.

"#]]
    );
    sandbox.fixes(0);
}

#[test]
fn doctor_reports_world_writable_plugin_file() {
    let sandbox = Sandbox::with_work();
    let file = plugin_file(&sandbox);
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o522)).unwrap();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 1
--- stdout
Error: `[ROOT]/home/.local/share/keystead/plugins/[SHA256].so` is not safe to use: `[ROOT]/home/.local/share/keystead/plugins/[SHA256].so` can be written by everyone (mode 0522)
  Why:   whoever can change it decides which code runs and where secrets go, so that nothing in it is used; it is the plugin of vault `work`
  Fix:   chmod go-w [ROOT]/home/.local/share/keystead/plugins/[SHA256].so
         (look at what is in it first: others could change it)
  Code:  E02.others-write

1 error, 0 warnings.

"#]]
    );
    sandbox.fixes(0);
}

#[test]
fn doctor_reports_link_loop() {
    let sandbox = Sandbox::empty();
    std::fs::create_dir_all(sandbox.config("")).unwrap();
    symlink("vaults", sandbox.config("vaults")).unwrap();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 1
--- stdout
Error: `[ROOT]/home/.config/keystead/vaults` leads through more than 40 symbolic links
  Why:   what it holds is not used, and commands that need it fail
  Fix:   mv [ROOT]/home/.config/keystead/vaults [ROOT]/home/.config/keystead/vaults.old
         (put it out of the way)
  Code:  E02.link-loop

1 error, 0 warnings.

"#]]
    );
    sandbox.fixes(0);
}

#[test]
fn doctor_reports_malformed_registration() {
    let sandbox = Sandbox::with_work();
    std::fs::write(sandbox.config("vaults/broken.toml"), "schema = 1\nplugin = \n").unwrap();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 1
--- stdout
Error: `[ROOT]/home/.config/keystead/vaults/broken.toml`, line 2, column 10: string values must be quoted, expected literal string
  Why:   vault `broken` answers every request with this error
  Fix:   ${EDITOR:-vi} +2 [ROOT]/home/.config/keystead/vaults/broken.toml
         (put it right there)
     or: keystead vault unregister broken
         (give the registration up; the vault's secrets stay where they are)
  Code:  E01.not-toml

1 error, 0 warnings.

"#]]
    );
    sandbox.fixes(1);
}

#[test]
fn doctor_reports_registration_with_bad_file_name() {
    let sandbox = Sandbox::with_work();
    std::fs::write(sandbox.config("vaults/a b's.toml"), "plugin = 'memory'").unwrap();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 0
--- stdout
Warning: `[ROOT]/home/.config/keystead/vaults/a b's.toml` is not named after a vault
  Why:   no vault is registered by it
  Fix:   mv '[ROOT]/home/.config/keystead/vaults/a b'/''s.toml' '[ROOT]/home/.config/keystead/vaults/a b'/''s.toml.old'
         (put it out of the way)
  Code:  E01.bad-file-name

0 errors, 1 warning.

"#]]
    );
    sandbox.fixes(0);
}

#[test]
fn doctor_reports_registrations_differing_in_case() {
    let sandbox = Sandbox::with_work();
    std::fs::copy(sandbox.config("vaults/work.toml"), sandbox.config("vaults/Work.toml")).unwrap();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 1
--- stdout
Error: `[ROOT]/home/.config/keystead/vaults/Work.toml` and `[ROOT]/home/.config/keystead/vaults/work.toml` register the same vault: names are compared without case
  Why:   vault `Work` answers every request with this error
  Fix:   mv [ROOT]/home/.config/keystead/vaults/work.toml [ROOT]/home/.config/keystead/vaults/work.toml.old
         (put one of them out of the way)
  Code:  E01.case-collision

1 error, 0 warnings.

"#]]
    );
    sandbox.fixes(0);
}

#[test]
fn doctor_reports_invalid_parameters() {
    let sandbox = Sandbox::with_work();
    let text = "plugin = 'memory'\n[parameters]\nflie = 'x'\nfile = 7\nsize = 3\n";
    std::fs::write(sandbox.config("vaults/work.toml"), text).unwrap();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 1
--- stdout
Error: the parameters of vault `work` do not fit its plugin `memory`
  Cause: parameter `file` must be a path in UTF-8
  Cause: there is no parameter `flie`
  Cause: there is no parameter `size`
  Why:   the vault answers every request with this error
  Fix:   keystead vault register work --plugin memory --param file=VALUE --replace
         (register it anew)
     or: keystead vault unregister work
         (give the registration up; the vault's secrets stay where they are)
  Code:  E01.parameters

1 error, 0 warnings.

"#]]
    );
}

#[test]
fn doctor_reports_missing_vault_kind() {
    let sandbox = Sandbox::with_work();
    let text = "plugin = 'memory'\nkind = 'safe'\n";
    std::fs::write(sandbox.config("vaults/work.toml"), text).unwrap();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 1
--- stdout
Error: vault `work` is of kind `safe`, which plugin `memory` does not have: it has `memory`
  Why:   the vault answers every request with this error
  Fix:   keystead vault register work --plugin memory:memory --replace
         (register it anew)
     or: keystead vault unregister work
         (give the registration up; the vault's secrets stay where they are)
  Code:  E01.no-such-kind

1 error, 0 warnings.

"#]]
    );
    sandbox.fixes(0);
}

#[test]
fn doctor_reports_missing_grants() {
    let sandbox = Sandbox::with_work();
    let file = sandbox.here("wide/a b.secrets");
    let text = format!(
        "plugin = 'memory'\ndescription = \"it's mine\"\nsearch = false\n[parameters]\nfile = '{}'\n",
        file.display()
    );
    std::fs::write(sandbox.config("vaults/work.toml"), text).unwrap();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 1
--- stdout
Error: plugin `memory` requests permissions that vault `work` does not grant: files:[ROOT]/here/wide/:rw
  Why:   the vault answers every request with this error
  Fix:   keystead vault grant work
         (see what it asks for beyond that, and grant it)
     or: keystead vault unregister work
         (give the registration up; the vault's secrets stay where they are)
  Code:  E07.not-granted

1 error, 0 warnings.

"#]]
    );
    sandbox.fixes(0);
}

#[test]
fn doctor_reports_forbidden_placement() {
    let sandbox = Sandbox::with_work();
    let text = "plugin = 'memory'\nplacement = 'in-process'\n";
    std::fs::write(sandbox.config("vaults/work.toml"), text).unwrap();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 1
--- stdout
Error: vault `work` is to run plugin `memory` in the host's own process, and nobody allows that
  Why:   the vault answers every request with this error
  Fix:   keystead vault register work --plugin memory --replace
         (register it anew)
     or: keystead plugin trust memory --danger-in-process
         (let it: it can then read all that Keystead can)
  Code:  E07.in-process-forbidden

1 error, 0 warnings.

"#]]
    );
    sandbox.fixes(0);
}

#[test]
fn doctor_reports_reference_to_unregistered_vault() {
    let sandbox = Sandbox::with_work();
    sandbox
        .run("vault register other --plugin memory --param locked=keystead://wrok/pass", &[])
        .succeeds();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 1
--- stdout
Error: `locked` of vault `other` is taken from vault `wrok`, which is not registered
  Why:   vault `other` cannot be opened or unlocked without it
  Fix:   keystead vault register other --plugin memory --param locked=keystead://work/pass --replace
         (register it anew)
     or: keystead vault register wrok --plugin PLUGIN
         (register the vault that is missing)
     or: keystead vault unregister other
         (give the registration up; the vault's secrets stay where they are)
  Code:  E01.no-such-vault

1 error, 0 warnings.

"#]]
    );
    sandbox.fixes(0);
}

#[test]
fn doctor_reports_reference_cycle() {
    let sandbox = Sandbox::with_work();
    for (name, other) in [("one", "two"), ("two", "one")] {
        let text = format!(
            "plugin = 'memory'\n[parameters]\nlocked = {{ from = 'keystead://{other}/x' }}"
        );
        std::fs::write(sandbox.config(&format!("vaults/{name}.toml")), text).unwrap();
    }
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 1
--- stdout
Error: references lead in a circle: `one` -> `two` -> `one`
  Why:   none of these vaults can be opened or unlocked
  Fix:   keystead vault register one --plugin memory --param locked=env:VARIABLE --replace
         (take its secret from elsewhere, such as a variable)
     or: keystead vault unregister one
         (give the registration up; the vault's secrets stay where they are)
  Code:  E01.cycle

1 error, 0 warnings.

"#]]
    );
    sandbox.fixes(0);
}

#[test]
fn doctor_reports_unregistered_default_vault() {
    let sandbox = Sandbox::with_work();
    std::fs::write(sandbox.config("config.toml"), "default = 'nosuch'\n").unwrap();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 1
--- stdout
Error: the default vault of the user layer, `nosuch`, is not registered
  Why:   commands that name no vault go to it, and fail
  Fix:   keystead vault default --clear
         (have no default vault)
  Code:  E01.no-such-vault

1 error, 0 warnings.

"#]]
    );
    sandbox.fixes(0);
    let mut command = sandbox.command("doctor", &[]);
    command.env("KEYSTEAD_VAULT", "wrok");
    assert_data_eq!(
        sandbox.answer(command, b""),
        str![[r#"
exit code 1
--- stdout
Error: `KEYSTEAD_VAULT` is `wrok`, and no such vault is registered
  Why:   commands that name no vault go to it, and fail
  Fix:   export KEYSTEAD_VAULT=work
         (name the vault that looks like it)
     or: unset KEYSTEAD_VAULT
         (have the usual default vault)
  Code:  E01.no-such-vault

1 error, 0 warnings.

"#]]
    );
}

#[test]
fn doctor_reports_malformed_settings() {
    let sandbox = Sandbox::with_work();
    std::fs::write(sandbox.config("config.toml"), "schema = 1\ndefualt = 'work'\n").unwrap();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 1
--- stdout
Error: `[ROOT]/home/.config/keystead/config.toml`, line 2, column 1: unknown key `defualt`
  Why:   which vault is the default one cannot be told
  Fix:   ${EDITOR:-vi} +2 [ROOT]/home/.config/keystead/config.toml
         (put it right there)
  Code:  E01.unknown-key

1 error, 0 warnings.

"#]]
    );
}

#[test]
fn doctor_reports_leftover_temporary_file() {
    let sandbox = Sandbox::with_work();
    // No process has this number: it is above the limit of Linux.
    let file = sandbox.config("vaults/.work.toml.4194305-0.tmp");
    std::fs::write(&file, "plugin").unwrap();
    let running = sandbox.config(&format!("vaults/.work.toml.{}-0.tmp", std::process::id()));
    std::fs::write(&running, "plugin").unwrap();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 0
--- stdout
Warning: `[ROOT]/home/.config/keystead/vaults/.work.toml.4194305-0.tmp` was left behind half-written
  Why:   nothing reads it; a process was ended while it wrote
  Fix:   rm [ROOT]/home/.config/keystead/vaults/.work.toml.4194305-0.tmp
         (remove it)
  Code:  E02.left-over

0 errors, 1 warning.

"#]]
    );
    sandbox.fixes(0);
    assert!(running.exists());
}

#[test]
fn doctor_fix_repeats_config_dir_option() {
    let sandbox = Sandbox::installed();
    let dir = sandbox.here("it's");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("config.toml"), "default = 'nosuch'\n").unwrap();
    assert_data_eq!(
        sandbox.run("doctor --config-dir", &["it's"]),
        str![[r#"
exit code 1
--- stdout
Error: the default vault of the user layer, `nosuch`, is not registered
  Why:   commands that name no vault go to it, and fail
  Fix:   keystead vault default --clear --config-dir '[ROOT]/here/it'/''s'
         (have no default vault)
  Code:  E01.no-such-vault

1 error, 0 warnings.

"#]]
    );
}

#[test]
fn doctor_changes_nothing() {
    let sandbox = Sandbox::with_work();
    // Cached results about the plugin are not needed, and `doctor` writes none.
    std::fs::remove_dir_all(sandbox.root().join("home/.cache")).ok();
    let before = tree(&sandbox);
    sandbox.doctor().succeeds();
    assert_eq!(tree(&sandbox), before);
    std::fs::remove_dir_all(sandbox.data("")).unwrap();
    sandbox.doctor().ends_with(1);
    assert!(!sandbox.data("").exists());
}

/// Returns every file and directory with its modification time.
fn tree(sandbox: &Sandbox) -> Vec<(PathBuf, std::time::SystemTime)> {
    let mut files = Vec::new();
    let mut dirs = vec![sandbox.root().to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                dirs.push(path.clone());
            }
            files.push((path, metadata.modified().unwrap()));
        }
    }
    files.sort();
    files
}

fn plugin_file(sandbox: &Sandbox) -> PathBuf {
    let mut files = std::fs::read_dir(sandbox.data("plugins")).unwrap();
    files.next().unwrap().unwrap().path()
}
