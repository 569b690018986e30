//! `list`.

use snapbox::{assert_data_eq, str};

use super::sandbox::{CANARY, Sandbox};

fn two_vaults() -> Sandbox {
    let sandbox = Sandbox::with_work();
    sandbox.run("vault register home --plugin memory --param file=home.secrets", &[]).succeeds();
    sandbox.feed(CANARY, "set db/password -V work --stdin --meta env=dev").succeeds();
    sandbox.feed(CANARY, "set db/user -V home --stdin").succeeds();
    sandbox.feed(CANARY, "set token -V home --user bob --stdin").succeeds();
    sandbox.feed(CANARY, "set token -V work --kind bytes --stdin").succeeds();
    sandbox
}

#[test]
fn list_prints_all_vaults_without_values() {
    let sandbox = two_vaults();
    assert_data_eq!(
        sandbox.run("list -q", &[]),
        str![[r#"
exit code 0
--- stdout
db/password	work	text	env=dev
db/user	home	text	
token	home	credential	
token	work	bytes	

"#]]
    );
    assert_data_eq!(
        sandbox.run("ls -q --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"db/password","vault":"work","kind":"text","metadata":{"env":"dev"}}
{"schema":1,"name":"db/user","vault":"home","kind":"text","metadata":{}}
{"schema":1,"name":"token","vault":"home","kind":"credential","metadata":{}}
{"schema":1,"name":"token","vault":"work","kind":"bytes","metadata":{}}

"#]]
    );
    assert_data_eq!(
        sandbox.run("ls -q db/*", &[]),
        str![[r#"
exit code 0
--- stdout
db/password	work	text	env=dev
db/user	home	text	

"#]]
    );
    assert_data_eq!(
        sandbox.run("ls -V home", &[]),
        str![[r#"
exit code 0
--- stdout
db/user	home	text	
token	home	credential	

"#]]
    );
    assert_data_eq!(
        sandbox.run("ls -q nothing*", &[]),
        str![[r#"
exit code 0

"#]]
    );
}

#[test]
fn list_with_unavailable_vault_warns_and_exits_5() {
    let sandbox = two_vaults();
    std::fs::write(sandbox.here("home.secrets"), "no such format\n").unwrap();
    assert_data_eq!(
        sandbox.run("list -q", &[]),
        str![[r#"
exit code 5
--- stdout
db/password	work	text	env=dev
token	work	bytes	
--- stderr
Warning: vault `home` is not listed: vault `home` answered: [ROOT]/here/home.secrets, line 1: it was not written by this plugin

"#]]
    );
    assert_data_eq!(
        sandbox.run("list -q --json", &[]),
        str![[r#"
exit code 5
--- stdout
{"schema":1,"name":"db/password","vault":"work","kind":"text","metadata":{"env":"dev"}}
{"schema":1,"name":"token","vault":"work","kind":"bytes","metadata":{}}
--- stderr
{"schema":1,"warning":"vault `home` is not listed: vault `home` answered: [ROOT]/here/home.secrets, line 1: it was not written by this plugin"}

"#]]
    );
    assert_data_eq!(
        sandbox.run("list -V home", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Vault `home` answered: [ROOT]/here/home.secrets, line 1: it was not written by this plugin
Code: E12.damaged

"#]]
    );
}

#[test]
fn list_without_vaults_prints_nothing() {
    assert_data_eq!(
        Sandbox::empty().run("list", &[]),
        str![[r#"
exit code 0

"#]]
    );
}

#[test]
fn list_with_trailing_slash_lists_names_below() {
    let sandbox = two_vaults();
    sandbox.feed(CANARY, "set db/a/b --stdin").succeeds();
    sandbox.feed(CANARY, "set dbx --stdin").succeeds();
    for (words, expected) in [
        ("list -q db/", &["db/a/b", "db/password", "db/user"][..]),
        ("list -q db/a/", &["db/a/b"]),
        ("list -q */a/", &["db/a/b"]),
        ("list -q db/ -V home", &["db/user"]),
        ("list -q db", &[]),
        ("list -q web/", &[]),
    ] {
        let listed = sandbox.run(words, &[]);
        let listed = String::from_utf8(listed.succeeds().to_vec()).unwrap();
        let names: Vec<&str> = listed.lines().filter_map(|line| line.split('\t').next()).collect();
        assert_eq!(names, expected, "{words}");
    }
}
