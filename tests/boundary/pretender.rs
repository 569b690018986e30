//! Files that look like plugins until use. None of their code runs before that, and then the code
//! runs where it does no harm.

use std::fs;

use super::home::Home;
use crate::plugin_files::{mark, plugin, unchecked};

#[test]
fn fake_plugin_header_runs_first_on_use_in_runner() {
    let home = Home::new();
    let fake = home.fake("fake.so", &[]);
    home.run(&["plugin", "show", fake.to_str().unwrap()]);
    home.installs(&fake, "fake");
    home.run(&["plugin", "show", "fake"]);
    home.run(&["plugin", "verify"]);
    assert!(!home.mark().exists(), "it ran before it was used");
    assert_eq!(
        home.run(&["get", "a", "--vault", "odd"]),
        "exit 70\n\
         Error: Vault `odd` cannot be opened\n\
         Caused by:\n  \
           1: plugin `fake` failed in vault `odd`\n  \
           2: the plugin's process ended during `open`: signal 11 (SIGSEGV)\n\
         Hint: report this to the vendor shown by `keystead plugin show fake`\n\
         Hint: run `keystead vault show odd` to see its registration\n\
         Code: E11.died\n"
    );
    let told = home.run(&["get", "a", "--vault", "odd", "-vv"]);
    assert!(told.contains("constructed"), "its constructor has not run: this test proves nothing");
    assert!(!home.mark().exists(), "it has left its sandbox");
}

#[test]
fn plugin_constructor_runs_only_on_first_use() {
    let home = Home::new();
    let _ = fs::remove_file(mark());
    let file = plugin("constructor-marks");
    home.run(&["plugin", "show", file.to_str().unwrap()]);
    home.installs(&file, "constructor-marks");
    for command in [&["plugin", "list"][..], &["plugin", "verify"], &["vault", "show", "odd"]] {
        home.run(command);
    }
    assert!(!mark().exists(), "it ran before it was used");
    assert_eq!(home.run(&["get", "a", "--vault", "odd"]), "exit 0\nsound");
    let told = home.run(&["get", "a", "--vault", "odd", "-vv"]);
    assert!(told.contains("constructed"), "its constructor has not run: this test proves nothing");
    assert!(!mark().exists(), "it has left its sandbox");
}

#[test]
fn plugin_with_layout_check_disabled_is_not_started() {
    let home = Home::new();
    home.installs(&plugin("no-layout"), "no-layout");
    assert_eq!(
        home.run(&["get", "a", "--vault", "odd"]),
        "exit 1\n\
         Error: Vault `odd` cannot be opened\n\
         Caused by:\n  \
           1: plugin `no-layout` failed in vault `odd`\n  \
           2: [HOME]/home/.local/share/keystead/plugins/[SHA256].so has its layout check switched \
         off\n\
         Hint: run `keystead vault show odd` to see its registration\n\
         Code: E09.layout-check-disabled\n"
    );
}

#[test]
fn invalid_names_from_plugin_are_misbehaviour() {
    let home = Home::new();
    home.installs(&unchecked("rude-names"), "rude-names");
    for (pattern, fault) in [
        ("utf-8", "a secret's name is not UTF-8"),
        ("long", "a secret's name has 1025 bytes; the most is 1024"),
        ("control", "a secret's name has the control character U+001B"),
        ("empty", "a secret's name is empty"),
    ] {
        let told = home.run(&["list", &format!("{pattern}*"), "--vault", "odd"]);
        let expected = format!("plugin `rude-names` misbehaved in vault `odd`: {fault}\n");
        assert!(told.to_lowercase().contains(&expected.to_lowercase()), "{told}");
    }
}
