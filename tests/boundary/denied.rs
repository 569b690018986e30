//! Errors of a plugin that its sandbox blocks: the missing permission, the grants, and how to grant
//! more.

use std::fs;
use std::net::TcpListener;

use snapbox::{assert_data_eq, str};

use crate::cli::sandbox::Sandbox;
use crate::plugin_files::{able, plugin};

/// Returns a home with a file `beside` and the vault `work`, whose plugin may read `here/own`.
fn home() -> Sandbox {
    let sandbox = Sandbox::empty();
    fs::create_dir(sandbox.here("own")).unwrap();
    for file in ["own/it", "beside"] {
        fs::write(sandbox.here(file), "text").unwrap();
    }
    let file = plugin("reaches-out");
    sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
    let register = "vault register work --plugin reaches-out --param folder=own";
    sandbox.run(register, &[]).succeeds();
    sandbox
}

fn on(sandbox: &Sandbox, what: &str, file: &str) -> String {
    format!("{what}:{}", sandbox.here(file).display())
}

#[test]
fn ungranted_file_error_names_permission_and_grants() {
    let sandbox = home();
    assert_eq!(sandbox.run("get", &[&on(&sandbox, "read", "own/it")]).succeeds(), b"done");
    assert_data_eq!(
        sandbox.run("get", &[&on(&sandbox, "read", "beside")]),
        str![[r#"
exit code 1
--- stderr
Error: Vault `work` answered: cannot read `[ROOT]/here/beside`: `files:[ROOT]/here/beside:r` is not granted
Hint: vault `work` is sandboxed, and grants files:[ROOT]/here/own:r
Hint: run `keystead vault grant work network` to grant that as well
Hint: run `keystead plugin show reaches-out` to see what it can be granted; a path is granted by the parameter that names it
Code: E12.not-granted

"#]]
    );
    let answer = sandbox.run("get", &[&on(&sandbox, "write", "own/it")]);
    let why = "/here/own/it:rw` is not granted";
    assert!(answer.ends_with(1).stderr.contains(why), "{answer}");
    // A granted file that does not exist gives the ordinary error.
    let answer = sandbox.run("get", &[&on(&sandbox, "read", "own/none")]);
    let why = "/here/own/none`: No such file or directory (os error 2)\n";
    assert!(answer.ends_with(1).stderr.contains(why), "{answer}");
}

#[test]
fn system_denial_error_lists_grants() {
    let sandbox = home();
    let answer = sandbox.run("get", &[&on(&sandbox, "plain", "beside")]);
    let stderr = &answer.ends_with(1).stderr;
    assert!(stderr.contains("(os error "), "{answer}");
    assert!(stderr.contains("\nHint: vault `work` is sandboxed, and grants files:"), "{answer}");
    let json = sandbox.run("get --json", &[&on(&sandbox, "plain", "beside")]);
    assert!(json.ends_with(1).stderr.contains("is sandboxed, and grants files:"), "{json}");
    // Nothing is granted. The host also recognises a C plugin that reports the text of `strerror`.
    let file = able(sandbox.root(), &[]);
    sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
    sandbox.run("vault register bare --plugin able", &[]).succeeds();
    for (permission, granted) in
        [("network", "not granted"), ("later", "not granted"), ("files:", "not granted")]
    {
        let told = sandbox.run("get -V bare", &[&format!("granted:{permission}")]);
        assert_eq!(told.succeeds(), granted.as_bytes());
    }
    for (fails, why) in [
        (on(&sandbox, "plain", "beside"), "/here/beside: No such file or directory\n"),
        ("reach:vault.invalid".to_owned(), "cannot reach vault.invalid: "),
    ] {
        let answer = sandbox.run("get -V bare", &[&fails]);
        let stderr = &answer.ends_with(1).stderr;
        assert!(stderr.contains(why), "{answer}");
        assert!(
            stderr.contains("\nHint: vault `bare` is sandboxed, and grants nothing"),
            "{answer}"
        );
    }
    // In-process there is no sandbox, so no hint about one.
    sandbox.run("plugin trust reaches-out --danger-in-process --yes", &[]).succeeds();
    let register = "vault register free --plugin reaches-out --placement in-process";
    sandbox.run(register, &[]).succeeds();
    assert_eq!(sandbox.run("get -V free", &[&on(&sandbox, "read", "beside")]).succeeds(), b"done");
    let answer = sandbox.run("get -V free", &[&on(&sandbox, "read", "none")]);
    let stderr = &answer.ends_with(1).stderr;
    assert!(stderr.contains("(os error 2)") && !stderr.contains("sandbox"), "{answer}");
}

#[test]
fn is_granted_normalizes_paths() {
    let sandbox = Sandbox::empty();
    let own = sandbox.here("own");
    fs::write(&own, "text").unwrap();
    let own = own.display().to_string();
    let file = able(sandbox.root(), &[&format!("files:{own}:r")]);
    sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
    sandbox.run("vault register work --plugin able --yes", &[]).succeeds();
    let (dir, _) = own.rsplit_once('/').unwrap();
    for (permission, granted) in [
        (format!("files:{own}:r"), true),
        (format!("files:{dir}/./x/../own:r"), true),
        (format!("files:{own}:rw"), false),
        ("files:/root/../etc/shadow:r".to_owned(), false),
        ("files:/root/a{b:r".to_owned(), false),
        (format!("files:{own}/../f/a:r"), false),
        ("files:rel:r".to_owned(), false),
        ("files:".to_owned(), false),
        ("gpu".to_owned(), false),
        ("network".to_owned(), false),
    ] {
        let told = sandbox.run("get -V work", &[&format!("granted:{permission}")]);
        let expected: &[u8] = if granted { b"granted" } else { b"not granted" };
        assert_eq!(told.succeeds(), expected, "{permission}");
    }
}

#[test]
fn ungranted_connection_and_open_errors_name_permission() {
    let sandbox = home();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("connect:{}", server.local_addr().unwrap().port());
    let answer = sandbox.run("get", &[&name]);
    let stderr = &answer.ends_with(1).stderr;
    assert!(stderr.contains("`network` is not granted\n"), "{answer}");
    assert!(stderr.contains("run `keystead vault grant work network`"), "{answer}");
    sandbox.run("vault grant work network --yes", &[]).succeeds();
    assert_eq!(sandbox.run("get", &[&name]).succeeds(), b"done");
    let first = on(&sandbox, "first", "beside").replacen(':', "=", 1);
    let register = "vault register at-once --plugin reaches-out --param";
    sandbox.run(register, &[&first]).succeeds();
    let answer = sandbox.run("get read:/x -V at-once", &[]);
    let stderr = &answer.ends_with(1).stderr;
    assert!(stderr.contains("/here/beside:r` is not granted\n"), "{answer}");
    assert!(stderr.contains("vault `at-once` is sandboxed, and grants nothing\n"), "{answer}");
}

#[test]
fn plugin_test_error_lists_sandbox_grants() {
    let sandbox = home();
    let file = plugin("reaches-out");
    let first = on(&sandbox, "first", "beside").replacen(':', "=", 1);
    let answer = sandbox.run("plugin test --param", &[&first, file.to_str().unwrap()]);
    let stderr = &answer.ends_with(1).stderr;
    assert!(answer.to_string().contains("/here/beside:r` is not granted)\n"), "{answer}");
    assert!(stderr.contains("\nHint: its sandbox grants files:"), "{answer}");
    assert!(stderr.contains("\nHint: add `--grant PERMISSION` to grant more"), "{answer}");
    // Also for a vault that cannot open because a file is missing.
    let missing = "plugin test --param folder=none --param first=none";
    let answer = sandbox.run(missing, &[file.to_str().unwrap()]);
    let stderr = &answer.ends_with(1).stderr;
    assert!(stderr.contains("/none`: No such file or directory (os error 2)\n"), "{answer}");
    assert!(stderr.contains("\nHint: its sandbox grants files:"), "{answer}");
}
