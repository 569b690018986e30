//! Selection of vaults and names: `KEYSTEAD_VAULT`, vaults outside of searches, equal names in
//! several vaults, names that differ by case or look like patterns.

use snapbox::{assert_data_eq, str};

use super::sandbox::{Answer, CANARY, Sandbox};

/// Returns a home with the vaults `home`, the default vault, and `work`.
fn two_vaults() -> Sandbox {
    let sandbox = Sandbox::installed();
    for vault in ["home", "work"] {
        let words = format!("vault register {vault} --plugin memory --param file={vault}.secrets");
        sandbox.run(&words, &[]).succeeds();
    }
    sandbox
}

/// Sets a secret whose value names its vault.
fn set(sandbox: &Sandbox, vault: &str, name: &str) {
    let mut command = sandbox.command("set --stdin -V", &[vault, "--", name]);
    command.stdin(std::process::Stdio::piped());
    sandbox.answer(command, value(vault, name).as_bytes()).succeeds();
}

fn value(vault: &str, name: &str) -> String {
    format!("{CANARY} {vault} {name}")
}

/// Runs a command with `KEYSTEAD_VAULT` set to this vault.
fn with_vault(sandbox: &Sandbox, vault: &str, words: &str, input: &str) -> Answer {
    let mut command = sandbox.command(words, &[]);
    command.env("KEYSTEAD_VAULT", vault);
    sandbox.answer(command, input.as_bytes())
}

#[test]
fn keystead_vault_variable_sets_default_vault() {
    let sandbox = two_vaults();
    for vault in ["home", "work"] {
        set(&sandbox, vault, "token");
    }
    let get = |vault: &str| with_vault(&sandbox, vault, "-q get token", "").succeeds().to_vec();
    assert_eq!(get("work"), value("work", "token").into_bytes());
    assert_eq!(get("WORK"), value("work", "token").into_bytes());
    assert_eq!(get("home"), value("home", "token").into_bytes());
    // An empty variable counts as not set.
    assert_eq!(get(""), value("home", "token").into_bytes());
    with_vault(&sandbox, "work", "-q set new --stdin", CANARY).succeeds();
    assert_data_eq!(
        sandbox.run("-q list new", &[]),
        str![[r#"
exit code 0
--- stdout
new	work	text	

"#]]
    );
    // An option overrides the variable.
    let named = with_vault(&sandbox, "work", "-q get token -V home", "");
    assert_eq!(named.succeeds(), value("home", "token").as_bytes());
}

#[test]
fn keystead_vault_variable_with_unknown_vault_is_error() {
    let sandbox = two_vaults();
    set(&sandbox, "home", "token");
    assert_data_eq!(
        with_vault(&sandbox, "wrok", "-q get token", ""),
        str![[r#"
exit code 3
--- stderr
Error: No vault `wrok` is registered
Hint: did you mean `work`?
Hint: run `keystead vault list` to see the vaults
Code: E01.no-such-vault

"#]]
    );
    assert_data_eq!(
        with_vault(&sandbox, "wrok", "-q set token --stdin", CANARY),
        str![[r#"
exit code 3
--- stderr
Error: No vault `wrok` is registered
Hint: did you mean `work`?
Hint: run `keystead vault list` to see the vaults
Code: E01.no-such-vault

"#]]
    );
    assert_data_eq!(
        with_vault(&sandbox, "wrok", "-q remove token", ""),
        str![[r#"
exit code 3
--- stderr
Error: No vault `wrok` is registered
Hint: did you mean `work`?
Hint: run `keystead vault list` to see the vaults
Code: E01.no-such-vault

"#]]
    );
    let any = with_vault(&sandbox, "wrok", "-q get token --any", "");
    assert_eq!(any.succeeds(), value("home", "token").as_bytes());
    assert_data_eq!(
        with_vault(&sandbox, "../work", "-q get token", ""),
        str![[r#"
exit code 2
--- stderr
Error: `KEYSTEAD_VAULT` is not a vault's name
Hint: run `keystead vault list` to see the names

"#]]
    );
    assert_data_eq!(
        with_vault(&sandbox, "wrok", "-q list", ""),
        str![[r#"
exit code 0
--- stdout
token	home	text	

"#]]
    );
}

#[test]
fn vault_excluded_from_search_is_listed_and_found_by_name() {
    let sandbox = two_vaults();
    let words = "vault register attic --no-search --plugin memory --param file=attic.secrets";
    sandbox.run(words, &[]).succeeds();
    set(&sandbox, "attic", "token");
    assert_data_eq!(
        sandbox.run("-q get token", &[]),
        str![[r#"
exit code 3
--- stderr
Error: No secret `token` in the vaults `home`, `work`
Hint: run `keystead list` to see what there is
Code: E12.no-such-secret

"#]]
    );
    assert_data_eq!(
        sandbox.run("-q show token", &[]),
        str![[r#"
exit code 3
--- stderr
Error: No secret `token` in the vaults `home`, `work`
Hint: run `keystead list` to see what there is
Code: E12.no-such-secret

"#]]
    );
    assert_data_eq!(
        sandbox.run("-q list", &[]),
        str![[r#"
exit code 0
--- stdout
token	attic	text	

"#]]
    );
    let named = sandbox.run("-q get token -V attic", &[]);
    assert_eq!(named.succeeds(), value("attic", "token").as_bytes());
    let default = with_vault(&sandbox, "attic", "-q get token", "");
    assert_eq!(default.succeeds(), value("attic", "token").as_bytes());
}

#[test]
fn show_searches_vaults_in_order_of_get() {
    let sandbox = two_vaults();
    sandbox.run("vault register aardvark --plugin memory --param file=a.secrets", &[]).succeeds();
    set(&sandbox, "work", "token");
    assert_data_eq!(
        sandbox.run("-q show token", &[]),
        str![[r#"
exit code 0
--- stdout
Name:  token
Vault: work
Kind:  text

"#]]
    );
    set(&sandbox, "aardvark", "token");
    assert_data_eq!(
        sandbox.run("-q show token --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"token","vault":"aardvark","kind":"text","metadata":{}}

"#]]
    );
    set(&sandbox, "home", "token");
    assert_data_eq!(
        sandbox.run("-q show token --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"token","vault":"home","kind":"text","metadata":{}}

"#]]
    );
}

#[test]
fn names_differing_in_case_are_distinct_secrets() {
    let sandbox = two_vaults();
    for name in ["Token", "token", "TOKEN"] {
        set(&sandbox, "home", name);
    }
    for name in ["Token", "token", "TOKEN"] {
        let found = sandbox.run("-q get", &[name]);
        assert_eq!(found.succeeds(), value("home", name).as_bytes());
    }
    sandbox.run("-q remove Token", &[]).succeeds();
    assert_data_eq!(
        sandbox.run("-q list", &[]),
        str![[r#"
exit code 0
--- stdout
TOKEN	home	text	
token	home	text	

"#]]
    );
    assert_data_eq!(
        sandbox.run("-q get Token", &[]),
        str![[r#"
exit code 3
--- stderr
Error: No secret `Token` in the vaults `home`, `work`
Hint: run `keystead list` to see what there is
Code: E12.no-such-secret

"#]]
    );
}

#[test]
fn pattern_like_names_are_taken_literally() {
    let sandbox = two_vaults();
    let names = ["*", "?", "[ab]", "a*", "ab", "a?", "-V", "a"];
    for name in names {
        set(&sandbox, "home", name);
    }
    for name in names {
        let found = sandbox.run("-q get --", &[name]);
        assert_eq!(found.succeeds(), value("home", name).as_bytes());
    }
    assert_data_eq!(
        sandbox.run("-q show --", &["a?"]),
        str![[r#"
exit code 0
--- stdout
Name:  a?
Vault: home
Kind:  text

"#]]
    );
    assert_data_eq!(
        sandbox.run("-q list", &["[ab]"]),
        str![[r#"
exit code 0
--- stdout
[ab]	home	text	

"#]]
    );
    assert_data_eq!(
        sandbox.run("-q list", &["a?"]),
        str![[r#"
exit code 0
--- stdout
a*	home	text	
a?	home	text	
ab	home	text	

"#]]
    );
    assert_data_eq!(
        sandbox.run("-q list", &["?"]),
        str![[r#"
exit code 0
--- stdout
*	home	text	
?	home	text	
a	home	text	

"#]]
    );
    // `remove` removes one name, never the matches of a pattern.
    sandbox.run("-q remove", &["*"]).succeeds();
    sandbox.run("-q remove", &["a*"]).succeeds();
    assert_data_eq!(
        sandbox.run("-q remove", &["*"]),
        str![[r#"
exit code 3
--- stderr
Error: No secret `*` in vault `home`
Hint: run `keystead list` to see what there is
Code: E12.no-such-secret

"#]]
    );
    assert_data_eq!(
        sandbox.run("-q list", &[]),
        str![[r#"
exit code 0
--- stdout
-V	home	text	
?	home	text	
[ab]	home	text	
a	home	text	
a?	home	text	
ab	home	text	

"#]]
    );
}

#[test]
fn list_is_sorted_by_name_then_vault() {
    let sandbox = two_vaults();
    sandbox.run("vault register Attic --plugin memory --param file=attic.secrets", &[]).succeeds();
    for vault in ["work", "Attic", "home"] {
        for name in ["b", "B", "a/b", "a-b", "\u{e9}", "e", "\u{1f511}"] {
            set(&sandbox, vault, name);
        }
    }
    set(&sandbox, "work", "a b");
    assert_data_eq!(
        sandbox.run("-q list", &[]),
        str![[r#"
exit code 0
--- stdout
B	Attic	text	
B	home	text	
B	work	text	
a b	work	text	
a-b	Attic	text	
a-b	home	text	
a-b	work	text	
a/b	Attic	text	
a/b	home	text	
a/b	work	text	
b	Attic	text	
b	home	text	
b	work	text	
e	Attic	text	
e	home	text	
e	work	text	
é	Attic	text	
é	home	text	
é	work	text	
🔑	Attic	text	
🔑	home	text	
🔑	work	text	

"#]]
    );
    assert_data_eq!(
        sandbox.run("-q list", &["a?b", "--json"]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"a b","vault":"work","kind":"text","metadata":{}}
{"schema":1,"name":"a-b","vault":"Attic","kind":"text","metadata":{}}
{"schema":1,"name":"a-b","vault":"home","kind":"text","metadata":{}}
{"schema":1,"name":"a-b","vault":"work","kind":"text","metadata":{}}
{"schema":1,"name":"a/b","vault":"Attic","kind":"text","metadata":{}}
{"schema":1,"name":"a/b","vault":"home","kind":"text","metadata":{}}
{"schema":1,"name":"a/b","vault":"work","kind":"text","metadata":{}}

"#]]
    );
}
