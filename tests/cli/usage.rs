//! The command line itself: help, errors, completions, manual.

use snapbox::{assert_data_eq, file, str};

use super::sandbox::Sandbox;

#[test]
fn invalid_command_line_exits_2() {
    let sandbox = Sandbox::empty();
    assert_data_eq!(
        sandbox.run("gte a", &[]),
        str![[r#"
exit code 2
--- stderr
Error: unrecognized subcommand 'gte'

  tip: a similar subcommand exists: 'get'

Usage: keystead [OPTIONS] <COMMAND>

For more information, try '--help'.

"#]]
    );
    assert_data_eq!(
        sandbox.run("get", &[]),
        str![[r#"
exit code 2
--- stderr
Error: the following required arguments were not provided:
  <NAME|REF>

Usage: keystead get <NAME|REF>

For more information, try '--help'.

"#]]
    );
    assert_data_eq!(
        sandbox.run("get a --filed x", &[]),
        str![[r#"
exit code 2
--- stderr
Error: unexpected argument '--filed' found

  tip: a similar argument exists: '--field'

Usage: keystead get --field <FIELD> <NAME|REF>

For more information, try '--help'.

"#]]
    );
    assert_data_eq!(
        sandbox.run("get a --json --filed x", &[]),
        str![[r#"
exit code 2
--- stderr
{"schema":1,"error":{"code":null,"exit":2,"message":"unexpected argument '--filed' found","causes":[],"hints":[]}}

"#]]
    );
    assert_data_eq!(
        sandbox.run("get a --timeout soon", &[]),
        str![[r#"
exit code 2
--- stderr
Error: invalid value 'soon' for '--timeout <DURATION>': expected a whole number with its unit, such as `500ms`, `10s`, `2m` or `1h`

For more information, try '--help'.

"#]]
    );
    assert_data_eq!(
        sandbox.run("get a -V work --any", &[]),
        str![[r#"
exit code 2
--- stderr
Error: the argument '--vault <VAULT>' cannot be used with '--any'

Usage: keystead get --vault <VAULT> <NAME|REF>

For more information, try '--help'.

"#]]
    );
    sandbox.run("", &[]).ends_with(2);
}

#[test]
fn man_writes_page_for_each_command() {
    let sandbox = Sandbox::empty();
    sandbox.run("man --dir pages", &[]).succeeds();
    for page in ["keystead", "keystead-get", "keystead-vault-register", "keystead-plugin-show"] {
        let text = std::fs::read_to_string(sandbox.here(&format!("pages/{page}.1"))).unwrap();
        assert!(text.contains(".SH NAME"), "{page}");
    }
    std::fs::write(sandbox.here("file"), "").unwrap();
    assert_data_eq!(
        sandbox.run("man --dir file", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Cannot write to `file`
Caused by: failed to create directory `file`: File exists (os error 17)

"#]]
    );
}

#[test]
fn cli_reference_page_matches_command_tree() {
    let sandbox = Sandbox::empty();
    let answer = sandbox.run("man --markdown", &[]);
    let page = String::from_utf8(answer.succeeds().to_vec()).unwrap();
    // `SNAPSHOTS=overwrite` writes this page, as all expected texts.
    assert_data_eq!(page, file!["../../docs/reference/cli.md"].raw());
}

#[test]
#[ignore = "needs groff"]
fn man_pages_render_without_warning_needs_groff() {
    let groff = std::env::var_os("KEYSTEAD_TEST_GROFF").expect("`cargo xtask test` provides groff");
    let sandbox = Sandbox::empty();
    sandbox.run("man --dir pages", &[]).succeeds();
    let mut pages = 0;
    for page in std::fs::read_dir(sandbox.here("pages")).unwrap() {
        let page = page.unwrap().path();
        let mut set = std::process::Command::new(&groff);
        let output = set.args(["-man", "-ww", "-Kutf8", "-Tutf8"]).arg(&page).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{}: {said}", page.display());
        pages += 1;
    }
    assert!(pages > 20, "{pages}");
}

#[test]
fn word_of_another_program_is_answered_with_the_command_for_it() {
    let sandbox = Sandbox::empty();
    for (words, command) in [
        ("rename a b", "keystead move OLD NEW"),
        ("delete a", "keystead remove NAME"),
        ("insert a", "keystead set NAME"),
        ("unlock work", "keystead vault unlock VAULT"),
        ("vault rm work", "keystead vault unregister VAULT"),
        ("plugin add x.so", "keystead plugin install FILE"),
        ("Get-Secret -Name a", "keystead get NAME"),
        ("item get a", "keystead get NAME"),
        ("item create --title a", "keystead set NAME"),
        ("kv put a", "keystead set NAME"),
    ] {
        let refused = sandbox.run(words, &[]);
        refused.ends_with(2);
        assert!(refused.stderr.contains(&format!("tip: run `{command}`\n")), "{refused}");
    }
    // A typing error still gets its suggestion.
    let refused = sandbox.run("lsit", &[]);
    assert!(refused.stderr.contains("'list'") || refused.stderr.contains("'ls'"), "{refused}");
}

#[test]
fn help_of_a_command_is_its_own() {
    let sandbox = Sandbox::empty();
    for words in [
        "get --help",
        "get -h",
        "help set",
        "vault list --help",
        "vault --help",
        "plugin install -h",
    ] {
        let help = sandbox.run(words, &[]);
        let help = String::from_utf8(help.succeeds().to_vec()).unwrap();
        assert!(!help.contains("--config-dir") && !help.contains("--dry-run"), "{words}: {help}");
        let line = "Options of every command, such as `--json`: `keystead --help`";
        assert_eq!(help.matches(line).count(), 1, "{words}: {help}");
    }
    let help = sandbox.run("--help", &[]);
    assert!(String::from_utf8_lossy(help.succeeds()).contains("--config-dir"), "{help}");
}

#[test]
fn version_is_printed_to_stdout() {
    assert_data_eq!(
        Sandbox::empty().run("--version", &[]),
        str![[r#"
exit code 0
--- stdout
keystead [VERSION]

"#]]
    );
}
