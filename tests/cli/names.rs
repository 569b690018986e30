//! The open vault decides which names are one secret: in imports, copies and listings.

use super::sandbox::{Sandbox, files, store};
use crate::plugin_files::ledger;

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
fn import_of_equal_names_rejects_second_spelling() {
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
fn case_sensitive_vault_imports_its_own_export() {
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
fn list_is_sorted_by_name_equality_rule_of_vault() {
    let sandbox = two_stores();
    for name in ["b", "A", "C", "a2"] {
        for vault in ["folded", "exact"] {
            sandbox.feed("x", &format!("set {name} -V {vault} --stdin")).succeeds();
        }
    }
    assert_eq!(names(&sandbox, "folded"), ["A", "a2", "b", "C"]);
    assert_eq!(names(&sandbox, "exact"), ["A", "C", "a2", "b"]);
}

/// Returns a sandbox with a vault `slip` that ignores case and does not report this, and one
/// `exact`, in memory.
fn slip() -> Sandbox {
    let sandbox = Sandbox::installed();
    sandbox.run("plugin install --yes", &[ledger().to_str().unwrap()]).succeeds();
    let register = "vault register slip --plugin ledger:slip --yes --param ledger=slip.secrets";
    sandbox.run(register, &[]).succeeds();
    sandbox.run("vault register exact --plugin memory --param file=exact.secrets", &[]).succeeds();
    sandbox
}

/// Each case: the vault's first secret, the names of the rows, and the import option.
#[test]
fn import_with_unknown_name_rule_rejects_second_spelling() {
    for (there, names, more) in [
        (Some("TOKEN"), ["Token", "token"], "--replace"),
        (Some("TOKEN"), ["Token", "TOKEN"], "--replace"),
        (Some("TOKEN"), ["TOKEN", "Token"], "--replace"),
        (None, ["Token", "token"], "--replace"),
        (None, ["Token", "token"], "--skip-existing"),
        (Some("one"), ["ONE", "One"], "--replace"),
    ] {
        let sandbox = slip();
        if let Some(there) = there {
            // `one` already has the value of the first row, so that this row needs no write.
            let value = if there == "one" { "one" } else { "old" };
            sandbox.feed(value, &format!("set {there} -V slip --stdin")).succeeds();
        }
        let row = |name: &str, value: &str| {
            format!("{{\"schema\":1,\"name\":\"{name}\",\"value\":{{\"text\":\"{value}\"}}}}\n")
        };
        let rows = row(names[0], "one") + &row(names[1], "two");
        std::fs::write(sandbox.here("rows.given"), rows).unwrap();
        let import = format!("import rows.given --from jsonl -V slip --yes {more}");
        let answer = sandbox.run(&import, &[]);
        answer.ends_with(5);
        let shown = answer.to_string();
        assert!(shown.contains("its name stood in line 1 already"), "{names:?}: {shown}");
        let name = names[0];
        assert_eq!(sandbox.run(&format!("get -q {name} -V slip"), &[]).succeeds(), b"one");
    }
}

#[test]
fn list_and_export_patterns_use_name_rule_of_vault() {
    let sandbox = two_stores();
    for name in ["Token", "Stra\u{df}e"] {
        for vault in ["folded", "exact"] {
            sandbox.feed(name, &format!("set {name} -V {vault} --stdin")).succeeds();
        }
    }
    let matching = |vault: &str, pattern: &str| {
        let listed = sandbox.run("list -q -V", &[vault, pattern]).succeeds().to_vec();
        let exported = sandbox.run("export -q --yes -V", &[vault, pattern]);
        let text = String::from_utf8(listed).unwrap();
        let names: Vec<String> =
            text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect();
        let rows = String::from_utf8(exported.stdout.clone()).unwrap();
        assert_eq!(rows.lines().count(), names.len(), "{vault} {pattern}: {exported}");
        names
    };
    for pattern in ["Token", "token", "TOKEN", "tok*", "?OKEN", "*KEN"] {
        assert_eq!(matching("folded", pattern), ["Token"], "{pattern}");
    }
    for pattern in ["stra\u{df}e", "STRA\u{1e9e}E", "STRA*E"] {
        assert_eq!(matching("folded", pattern), ["Stra\u{df}e"], "{pattern}");
    }
    for pattern in ["Token", "Tok*"] {
        assert_eq!(matching("exact", pattern), ["Token"], "{pattern}");
    }
    for pattern in ["tok*", "?OKEN"] {
        assert!(matching("exact", pattern).is_empty(), "{pattern}");
    }
    sandbox.run("export -q --yes -V exact token", &[]).ends_with(3);
}

#[test]
fn export_of_missing_secret_exits_3() {
    let sandbox = two_stores();
    sandbox.feed("x", "set Token -V folded --stdin").succeeds();
    for words in ["export NOSUCH", "export NOSUCH -V folded", "export NOSUCH --dry-run"] {
        let answer = sandbox.run(&format!("{words} --yes"), &[]);
        answer.ends_with(3);
        assert!(answer.to_string().contains("NOSUCH"), "{answer}");
    }
    sandbox.run("export TOKEN -V folded --yes", &[]).succeeds();
    sandbox.run("export NOSUCH* -V folded --yes", &[]).succeeds();
    // A vault that cannot answer may have the secret.
    std::fs::write(sandbox.here("bad.secrets"), "no vault").unwrap();
    sandbox.run("vault register bad --plugin memory --param file=bad.secrets", &[]);
    sandbox.run("export NOSUCH --yes", &[]).ends_with(5);
}

#[test]
fn vault_with_unknown_name_rule_is_queried_for_name() {
    let sandbox = slip();
    sandbox.feed("x", "set Token -V slip --stdin").succeeds();
    for words in ["list -q TOKEN -V slip", "export -q TOKEN -V slip --yes"] {
        let answer = sandbox.run(words, &[]);
        assert!(String::from_utf8_lossy(answer.succeeds()).contains("Token"), "{words}: {answer}");
    }
}

#[test]
fn copy_and_move_keep_spelling_of_source() {
    let sandbox = two_stores();
    for name in ["Copied", "Moved", "db*"] {
        sandbox.feed("x", &format!("set {name} -V folded --stdin")).succeeds();
    }
    sandbox.feed("x", "set DB2 -V folded --stdin").succeeds();
    sandbox.run("copy COPIED --from folded --to exact", &[]).succeeds();
    sandbox.run("move moved --from folded --to exact", &[]).succeeds();
    // A pattern that equals a name, by the vault's rule, selects only that secret.
    sandbox.run("copy --from folded --to exact", &["DB*"]).succeeds();
    assert_eq!(names(&sandbox, "exact"), ["Copied", "Moved", "db*"]);
    let slip = slip();
    slip.feed("x", "set Token -V slip --stdin").succeeds();
    slip.run("copy TOKEN --from slip --to exact", &[]).succeeds();
    assert_eq!(names(&slip, "exact"), ["Token"]);
}

#[test]
fn move_to_other_spelling_renames_secret() {
    let sandbox = two_stores();
    sandbox.feed("x", "set Token -V folded --stdin").succeeds();
    sandbox.run("move Token --as TOKEN --from folded --to folded", &[]).succeeds();
    assert_eq!(names(&sandbox, "folded"), ["TOKEN"]);
    assert_eq!(sandbox.run("get -q token -V folded", &[]).succeeds(), b"x");
    let move_ = |name: &str, words: &str| {
        let answer = sandbox.run(&format!("move {name} --from folded --to folded {words}"), &[]);
        answer.ends_with(1);
        assert_eq!(sandbox.run("get -q token -V folded", &[]).succeeds(), b"x", "{answer}");
    };
    move_("token", "--as TOKEN");
    // Without its metadata, the move is a copy that replaces itself.
    move_("TOKEN", "--as Token --without-metadata");
    assert_eq!(names(&sandbox, "folded"), ["TOKEN"]);
}

#[test]
fn rejected_name_error_describes_allowed_names() {
    let sandbox = Sandbox::installed();
    sandbox.run("plugin install --yes", &[files().to_str().unwrap()]).succeeds();
    let register = "vault register work --plugin files:read-write --yes --param folder=work";
    sandbox.run(register, &[]).succeeds();
    let answer = sandbox.feed("x", "set a/b -V work --stdin");
    answer.ends_with(1);
    let hint = "Hint: vault `work` takes as a name: what a file can be called";
    assert!(answer.stderr.contains(hint), "{answer}");
}
