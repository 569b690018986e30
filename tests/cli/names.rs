//! Which names are one secret is the open vault's answer: in imports, in copies, in listings.

use super::sandbox::{Sandbox, store};

/// Returns a sandbox with a vault `folded` and one `exact`, both of the plugin `store`.
fn two_stores() -> Sandbox {
    let sandbox = Sandbox::installed();
    sandbox.run("plugin install --yes", &[store().to_str().unwrap()]).succeeds();
    let register = |words: &str| {
        sandbox.run(&format!("vault register --plugin store --yes {words}"), &[]).succeeds();
    };
    register("folded --param key-file=folded.key");
    register("exact --param key-file=exact.key --param case-sensitive=true");
    sandbox
}

fn names(sandbox: &Sandbox, vault: &str) -> Vec<String> {
    let listed = sandbox.run(&format!("list -q -V {vault}"), &[]).succeeds().to_vec();
    let lines = String::from_utf8(listed).unwrap();
    lines.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[test]
fn import_of_two_spellings_of_one_name_refuses_the_second() {
    let sandbox = two_stores();
    let rows = "{\"schema\":1,\"name\":\"Stra\u{df}e\",\"value\":{\"text\":\"one\"}}\n\
                {\"schema\":1,\"name\":\"STRA\u{1e9e}E\",\"value\":{\"text\":\"two\"}}\n";
    std::fs::write(sandbox.here("rows.given"), rows).unwrap();
    let import = |vault: &str, more: &str| {
        sandbox.run(&format!("import rows.given --from jsonl -V {vault} --yes {more}"), &[])
    };
    for more in ["", "--replace"] {
        let answer = import("folded", more);
        answer.ends_with(5);
        assert!(answer.to_string().contains("its name stood in line 1 already"), "{answer}");
        assert_eq!(sandbox.run("get -q stra\u{df}e -V folded", &[]).succeeds(), b"one");
    }
    import("exact", "").succeeds();
    assert_eq!(names(&sandbox, "exact").len(), 2);
}

#[test]
fn case_sensitive_store_takes_its_own_backup() {
    let sandbox = two_stores();
    for name in ["Token", "token", "TOKEN"] {
        sandbox
            .feed(format!("value of {name}"), &format!("set {name} -V exact --stdin"))
            .succeeds();
    }
    sandbox.run("export -o backup.given --to jsonl -V exact --yes", &[]).succeeds();
    for name in ["Token", "token", "TOKEN"] {
        sandbox.run(&format!("remove {name} -V exact --yes"), &[]).succeeds();
    }
    sandbox.run("import backup.given --from jsonl -V exact --yes", &[]).succeeds();
    for name in ["Token", "token", "TOKEN"] {
        let got = sandbox.run(&format!("get -q {name} -V exact"), &[]).succeeds().to_vec();
        assert_eq!(String::from_utf8(got).unwrap(), format!("value of {name}"));
    }
}

#[test]
fn copies_that_would_be_one_secret_are_refused() {
    let sandbox = two_stores();
    for name in ["Token", "token"] {
        sandbox.feed(name, &format!("set {name} -V exact --stdin")).succeeds();
    }
    let answer = sandbox.run("copy * --from exact --to folded", &[]);
    answer.ends_with(1);
    assert!(answer.to_string().contains("it would be the same secret there"), "{answer}");
    assert!(names(&sandbox, "folded").is_empty());
}

#[test]
fn listing_is_sorted_by_the_vaults_rule() {
    let sandbox = two_stores();
    for name in ["b", "A", "C", "a2"] {
        for vault in ["folded", "exact"] {
            sandbox.feed("x", &format!("set {name} -V {vault} --stdin")).succeeds();
        }
    }
    assert_eq!(names(&sandbox, "folded"), ["A", "a2", "b", "C"]);
    assert_eq!(names(&sandbox, "exact"), ["A", "C", "a2", "b"]);
}
