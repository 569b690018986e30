//! Findings of `doctor` about plugins and pins: changed, missing, malformed, in quarantine.

use std::os::unix::fs::PermissionsExt;

use snapbox::{assert_data_eq, str};

use super::plugin_file;
use crate::cli::sandbox::{Sandbox, plugin};

#[test]
fn doctor_reports_changed_plugin_file() {
    let sandbox = Sandbox::with_work();
    let file = plugin_file(&sandbox);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.push(0);
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::write(&file, bytes).unwrap();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 1
--- stdout
Error: plugin `memory` has changed since it was pinned: `[ROOT]/home/.local/share/keystead/plugins/[SHA256].so` has SHA-256 [SHA256], and [SHA256] is pinned; if the change is meant, `keystead plugin trust memory` accepts it
  Why:   it is not the file that was vouched for, and does not run: an upgrade past Keystead, damage, or an attack; it is the plugin of vault `work`
  Fix:   keystead plugin show [ROOT]/home/.local/share/keystead/plugins/[SHA256].so
         (look at it without running it)
     or: keystead plugin trust memory
         (accept it, if it is meant)
     or: keystead plugin remove memory
         (be rid of it)
  Code:  E03.hash-mismatch

1 error, 0 warnings.

"#]]
    );
    sandbox.fixes(1);
}

#[test]
fn doctor_reports_pin_without_file() {
    let sandbox = Sandbox::with_work();
    std::fs::remove_file(plugin_file(&sandbox)).unwrap();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 1
--- stdout
Error: plugin `memory` is pinned, and its file `[SHA256].so` is in no plugin directory
  Why:   a plugin without its file cannot run; it is the plugin of vault `work`
  Fix:   keystead plugin install [PLUGIN]
         (install it again)
     or: keystead plugin remove memory
         (be rid of it)
  Code:  E03.file-missing

1 error, 0 warnings.

"#]]
    );
    sandbox.fixes(0);
}

#[test]
fn doctor_reports_file_without_pin() {
    let sandbox = Sandbox::installed();
    std::fs::remove_file(sandbox.data("pins.d/memory.toml")).unwrap();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 0
--- stdout
Warning: no pin stands for the plugin file `[ROOT]/home/.local/share/keystead/plugins/[SHA256].so`
  Why:   it is never used; an installation was broken off, or a pin was removed
  Fix:   rm [ROOT]/home/.local/share/keystead/plugins/[SHA256].so
         (remove it)
  Code:  E03.unpinned

0 errors, 1 warning.

"#]]
    );
    sandbox.fixes(0);
}

#[test]
fn doctor_reports_malformed_pin() {
    let sandbox = Sandbox::with_work();
    std::fs::write(sandbox.data("pins.d/memory.toml"), "schema = 1\nid = memory\n").unwrap();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 1
--- stdout
Error: the pin `[ROOT]/home/.local/share/keystead/pins.d/memory.toml` is malformed in line 2, column 6: string values must be quoted, expected literal string
  Why:   a pin that is not understood is never passed over, so that the plugin does not run; it is the plugin of vault `work`
  Fix:   keystead plugin remove memory
         (be rid of the pin; then install the plugin's file again)
     or: ${EDITOR:-vi} +2 [ROOT]/home/.local/share/keystead/pins.d/memory.toml
         (put it right there)
  Code:  E03.pin-malformed

1 error, 0 warnings.

"#]]
    );
    sandbox.run("plugin remove memory --yes", &[]).succeeds();
    sandbox.run(&format!("plugin install --yes {}", plugin().display()), &[]).succeeds();
    assert_eq!(sandbox.doctor().succeeds(), b"No problems found.\n");
}

#[test]
fn doctor_reports_quarantined_plugin() {
    let sandbox = Sandbox::with_work();
    let file = plugin_file(&sandbox);
    let hash = file.file_stem().unwrap().to_str().unwrap();
    std::fs::create_dir_all(sandbox.data("crashes")).unwrap();
    std::fs::write(sandbox.data("crashes").join(hash), "quarantined").unwrap();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 1
--- stdout
Error: plugin `memory` is quarantined after repeated crashes (SHA-256 [SHA256]); `keystead plugin trust memory` gives it another chance
  Why:   it does not run until somebody gives it another chance; it is the plugin of vault `work`
  Fix:   keystead plugin trust memory
         (give it another chance)
  Code:  E07.quarantined

1 error, 0 warnings.

"#]]
    );
    sandbox.fixes(0);
}

#[test]
fn doctor_reports_missing_plugin() {
    let sandbox = Sandbox::with_work();
    sandbox.run("plugin remove memory --yes", &[]).succeeds();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 1
--- stdout
Error: plugin `memory` of vault `work` is not installed
  Why:   the vault answers every request with this error
  Fix:   keystead plugin install FILE
         (install it)
     or: keystead vault unregister work
         (give the registration up; the vault's secrets stay where they are)
  Code:  E03.not-pinned

1 error, 0 warnings.

"#]]
    );
    sandbox.fixes(1);
}

#[test]
fn doctor_reports_unlock_reference_of_never_locked_vault() {
    let sandbox = Sandbox::empty();
    let ledger = crate::plugin_files::ledger();
    sandbox.run("plugin install --yes", &[ledger.to_str().unwrap()]).succeeds();
    sandbox
        .run("vault register notes --plugin ledger:slip --param ledger=l.secrets", &[])
        .succeeds();
    let file = sandbox.config("vaults/notes.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text + "\n[unlock]\npassword = \"env:PASSWORD\"\n").unwrap();
    assert_data_eq!(
        sandbox.doctor(),
        str![[r#"
exit code 0
--- stdout
Warning: vault `notes` has standing answers for `password`, and its kind of vault is never locked
  Why:   they are never used, and name where a secret is kept
  Fix:   keystead vault register notes --plugin ledger:slip --param ledger=[ROOT]/here/l.secrets --replace
         (register it anew)
  Code:  E01.answer-unneeded

0 errors, 1 warning.

"#]]
    );
    sandbox.fixes(0);
}
