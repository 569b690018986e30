//! Grants are shown and stored. A new prompt follows if a plugin or parameter needs more.

use snapbox::{assert_data_eq, str};

use super::sandbox::Sandbox;
use crate::plugin_files::{able, able_with, actor_with};

/// Returns a home with the vault `able`, whose plugin requests only its directory.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::empty();
    install(&sandbox, "install", &[]);
    sandbox.run("vault register able --plugin able --param folder=own", &[]).succeeds();
    sandbox
}

/// Installs or trusts the plugin with these additional permissions.
fn install(sandbox: &Sandbox, verb: &str, permissions: &[&str]) {
    let file = able(sandbox.root(), permissions);
    sandbox.run(&format!("plugin {verb} --yes"), &[file.to_str().unwrap()]).succeeds();
}

#[test]
fn upgraded_plugin_requires_grant_of_new_permissions() {
    let sandbox = sandbox();
    assert_eq!(sandbox.run("get variable:PATH", &[]).succeeds(), b"none");
    install(&sandbox, "trust", &["network", "env:PATH"]);
    assert_data_eq!(
        sandbox.run("get variable:PATH", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Vault `able` cannot be opened
Caused by: plugin `able` requests permissions that vault `able` does not grant: network, env:PATH
Hint: run `keystead vault grant able` to see what is new, and to grant it
Hint: run `keystead vault show able` to see its registration
Code: E07.not-granted

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault grant able", &[]),
        str![[r#"
exit code 4
--- stderr
Plugin `able` as vault `able` asks for more:
  may use the network
  may read the environment variable PATH
Error: Confirmation needed: Grant this to vault `able`?
Hint: add `--yes` to grant it without being asked

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault grant able --dry-run", &[]),
        str![[r#"
exit code 0
--- stderr
Plugin `able` as vault `able` asks for more:
  may use the network
  may read the environment variable PATH
Would grant this to vault `able`; nothing was changed

"#]]
    );
    sandbox.run("get variable:PATH", &[]).ends_with(1);
    assert_data_eq!(
        sandbox.run("vault grant able --yes --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"able","plugin":"able","permissions":["may use the network","may read the environment variable PATH"],"dry_run":false}

"#]]
    );
    assert_eq!(sandbox.run("get variable:PATH", &[]).succeeds(), b"/usr/bin:/bin");
    assert_data_eq!(
        sandbox.run("vault grant able", &[]),
        str![[r#"
exit code 0
--- stderr
Vault `able` grants all that its plugin asks for.

"#]]
    );
    // The new grant drops a permission that the plugin no longer requests.
    install(&sandbox, "trust", &[]);
    sandbox.run("vault grant able", &[]).succeeds();
    assert_eq!(sandbox.run("get variable:PATH", &[]).succeeds(), b"none");
}

#[test]
fn changed_path_parameter_requires_new_grant() {
    let sandbox = sandbox();
    let file = sandbox.root().join("home/.config/keystead/vaults/able.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let other = sandbox.here("other");
    std::fs::create_dir(&other).unwrap();
    let changed = text.replace(
        &format!("folder = \"{}\"", sandbox.here("own").display()),
        &format!("folder = \"{}\" # moved", other.display()),
    );
    assert_ne!(text, changed);
    std::fs::write(&file, changed).unwrap();
    let list = format!("list:{}", other.display());
    sandbox.run("get", &[&list]).ends_with(1);
    assert_data_eq!(
        sandbox.run("vault grant able --yes", &[]),
        str![[r#"
exit code 0
--- stderr
Plugin `able` as vault `able` asks for more:
  may read and write files under [ROOT]/here/other
Vault `able` grants what its plugin asks for.

"#]]
    );
    assert_eq!(sandbox.run("get", &[&list]).succeeds(), b"nothing");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("# moved") && text.contains("/here/other/:rw"), "{text}");
    // A grant covers the parts of a granted directory.
    let within = text.replace("/here/other\"", "/here/other/within\"");
    std::fs::write(&file, within).unwrap();
    std::fs::create_dir(other.join("within")).unwrap();
    let list = format!("list:{}", other.join("within").display());
    assert_eq!(sandbox.run("get", &[&list]).succeeds(), b"nothing");
    // The plugin gets only that part.
    let list = format!("list:{}", other.display());
    assert_eq!(sandbox.run("get", &[&list]).succeeds(), b"EACCES");
}

#[test]
fn keystead_dirs_are_never_granted() {
    let sandbox = sandbox();
    for dir in ["", ".config", ".config/keystead", ".local/share/keystead/pins.d/x"] {
        let dir = sandbox.root().join("home").join(dir);
        let parameter = format!("folder={}", dir.display());
        let answer = sandbox.run("vault register own --plugin able --param", &[&parameter]);
        assert!(answer.ends_with(1).stderr.contains("E07.own-folder"), "{answer}");
    }
    assert_data_eq!(
        sandbox.run("vault register own --plugin able --param folder=../home", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Vault `own` would let plugin `able` write under [ROOT]/home/, and so to [ROOT]/home/.config/keystead, which controls plugin permissions
Hint: give the vault a directory of its own
Code: E07.own-folder

"#]]
    );
    let below = format!("folder={}/home/.local/share/keystead/own", sandbox.root().display());
    sandbox.run("vault register own --plugin able --param", &[&below]).succeeds();
    let file = sandbox.root().join("home/.config/keystead/vaults/own.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("/.local/share/keystead/own", "/.config")).unwrap();
    let answer = sandbox.run("get a --vault own", &[]);
    assert!(answer.ends_with(1).stderr.contains("E07.own-folder"), "{answer}");
    let report = sandbox.run("doctor", &[]);
    assert!(report.ends_with(1).to_string().contains("E07.own-folder"), "{report}");
}

#[test]
fn grant_for_unregistered_vault_exits_3() {
    let sandbox = sandbox();
    let answer = sandbox.run("vault grant none --yes", &[]);
    assert!(answer.ends_with(3).stderr.contains("No vault `none`"), "{answer}");
}

#[test]
fn reference_through_plugin_writable_path_is_rejected() {
    let sandbox = sandbox();
    let own = sandbox.here("own");
    std::fs::create_dir_all(own.join("dir")).unwrap();
    std::fs::create_dir(sandbox.here("private")).unwrap();
    for file in ["own/plain", "private/key", "private/token"] {
        std::fs::write(sandbox.here(file), "text").unwrap();
    }
    for (link, target) in [("own/token", "../private/key"), ("own/dir/to", "../../private")] {
        std::os::unix::fs::symlink(target, sandbox.here(link)).unwrap();
    }
    std::os::unix::fs::symlink("own/plain", sandbox.here("mine")).unwrap();
    for path in ["own/plain", "mine", "private/key"] {
        assert_eq!(sandbox.run("get", &[&format!("file:{path}")]).succeeds(), b"text", "{path}");
    }
    for path in ["own/token", "own/dir/to/token"] {
        let answer = sandbox.run("get", &[&format!("file:{path}")]);
        let stderr = &answer.ends_with(1).stderr;
        assert!(stderr.contains("lies in a directory that vault `able` lets"), "{answer}");
    }
    let tool = own.join("tool");
    std::fs::copy("/bin/echo", &tool).unwrap();
    let there = sandbox.here("tool");
    std::os::unix::fs::symlink(&tool, &there).unwrap();
    for program in [&tool, &there] {
        let answer = sandbox.run("get", &[&format!("command:[\"{}\"]", program.display())]);
        let stderr = &answer.ends_with(1).stderr;
        assert!(stderr.contains("lies in a directory that vault `able` lets"), "{answer}");
    }
}

#[test]
fn default_path_outside_plugin_data_requires_confirmation() {
    for (default, is_confirmed) in [
        ("~/.ssh", true),
        ("{data}/../../.ssh", true),
        ("{data}/store/{vault}", true),
        ("{data}/actor/../store/work", true),
        ("{data}/actor/{vault}", false),
    ] {
        let sandbox = Sandbox::empty();
        let nowhere = std::path::Path::new("/nonexistent");
        let asked = ["files:{place}/:rw"];
        let file = actor_with(sandbox.root(), &asked, nowhere, Some(default));
        sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
        let register = "vault register actor --plugin actor";
        let answer = sandbox.run(register, &[]);
        assert!(answer.stderr.contains("may read and write files under "), "{answer}");
        if !is_confirmed {
            answer.succeeds();
            continue;
        }
        assert!(answer.ends_with(4).stderr.contains("by a default of its own"), "{answer}");
        sandbox.run("vault show actor", &[]).ends_with(3);
        sandbox.run(register, &["--yes"]).succeeds();
        let typed = format!("place={}", sandbox.here("own").display());
        sandbox.run(register, &["--replace", "--param", &typed]).succeeds();
    }
}

/// Permissions that this test's vault kind requests: one required, the others optional.
const REQUESTS: &str = r#""env:PATH",{"permission":"env:HOME","optional":true,"why":"greets you"},{"permission":"files:{folder}/near:r","optional":true},{"permission":"levitate:high","optional":true,"why":"later"}"#;

#[test]
fn optional_permission_is_granted_by_name_and_kept() {
    let sandbox = Sandbox::empty();
    let file = able_with(sandbox.root(), &[], REQUESTS);
    let file = file.to_str().unwrap();
    let shown = sandbox.run("plugin show", &[file]).succeeds().to_vec();
    let shown = String::from_utf8(shown).unwrap();
    for line in [
        "  may read and write files under {folder}",
        "  may read the environment variable PATH",
        "  may read the environment variable HOME, if granted with `--grant env:HOME`: greets you",
        "  may read files under {folder}/near, if granted with `--grant files:{folder}/near:r`",
        "  vaults of kind `hostile` lack the permission `levitate:high`: this host does not know it",
    ] {
        assert!(shown.lines().any(|own| own == line), "{line} in\n{shown}");
    }
    sandbox.run("plugin install --yes", &[file]).succeeds();
    assert_data_eq!(
        sandbox.run("vault register able --plugin able --param folder=own", &[]),
        str![[r#"
exit code 0
--- stderr
Warning: vaults of kind `hostile` lack the permission `levitate:high`: this host does not know it
Plugin `able` as vault `able`:
  may read and write files under [ROOT]/here/own
  may read the environment variable PATH
  env:HOME (optional, not granted): may read the environment variable HOME: greets you
  files:[ROOT]/here/own/near:r (optional, not granted): may read files under [ROOT]/here/own/near
Registered vault `able`.
It is the default vault.

"#]]
    );
    // The vault opens without the optional permissions.
    assert_eq!(sandbox.run("get variable:PATH", &[]).succeeds(), b"/usr/bin:/bin");
    assert_eq!(sandbox.run("get variable:HOME", &[]).succeeds(), b"none");
    let answer = sandbox.run("vault grant able env:HOME", &[]);
    assert!(answer.ends_with(4).stderr.contains("variable HOME\n"), "{answer}");
    sandbox.run("vault grant able env:HOME --yes", &[]).succeeds();
    let home = sandbox.root().join("home").display().to_string();
    assert_eq!(sandbox.run("get variable:HOME", &[]).succeeds(), home.as_bytes());
    // The grant stays. A new registration takes it as written in the manifest.
    sandbox.run("vault grant able", &[]).succeeds();
    assert_eq!(sandbox.run("get variable:HOME", &[]).succeeds(), home.as_bytes());
    let register = "vault register able --plugin able --param folder=own --replace --grant";
    sandbox.run(register, &["files:{folder}/near:r"]).succeeds();
    let text = sandbox.run("vault show able", &[]).succeeds().to_vec();
    let text = String::from_utf8(text).unwrap();
    let (granted, not) = text.split_once("Not granted:").unwrap();
    assert!(granted.contains("here/own/near:r") && !granted.contains("env:HOME"), "{text}");
    assert!(not.contains("  env:HOME (optional, not granted): "), "{text}");
    // The registration that doctor suggests has the same grants.
    let file = sandbox.root().join("home/.config/keystead/vaults/able.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("folder = ", "colour = \"teal\"\nfolder = ")).unwrap();
    let report = sandbox.run("doctor", &[]).to_string();
    assert!(report.contains(" --grant 'files:{folder}/near:r' --replace"), "{report}");
}

#[test]
fn undeclared_optional_permission_is_rejected() {
    let sandbox = Sandbox::empty();
    let file = able_with(sandbox.root(), &[], r#"{"permission":"network","optional":true}"#);
    sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
    assert_data_eq!(
        sandbox.run("vault register able --plugin able --grant dbus", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Plugin `able` has no optional permission `dbus` for vault `able`: it has network
Hint: run `keystead plugin show able` to see what it can be granted
Code: E07.not-requested

"#]]
    );
    sandbox.run("vault register able --plugin able --grant network", &[]).succeeds();
    let answer = sandbox.run("vault grant able env:HOME --yes", &[]);
    assert!(answer.ends_with(1).stderr.contains("E07.not-requested"), "{answer}");
}
