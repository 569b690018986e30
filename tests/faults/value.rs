//! Names and values at the limits and beyond. A value at the limit is stored whole. A value beyond
//! is rejected with a message, and nothing is written.

use std::os::unix::ffi::OsStrExt;

use keystead::api::{MAX_VALUE_BYTES, MAX_VALUE_DEPTH, MAX_VALUE_ENTRIES};
use snapbox::{assert_data_eq, str};

use crate::cli::sandbox::{CANARY, Sandbox};

/// Returns the output of each command that takes a name, for this name.
fn tell_name(sandbox: &Sandbox, name: &str) -> String {
    let shown = name.replace(&"x".repeat(100), "x{100}");
    let mut told = String::new();
    for words in ["set --stdin", "get", "show", "remove"] {
        let mut command = sandbox.command(words, &["--", name]);
        command.env("KEYSTEAD_VAULT", "work");
        let answer = sandbox.answer(command, CANARY.as_bytes()).to_string();
        let answer = answer.replace(&"x".repeat(100), "x{100}");
        told += &format!("$ keystead {words} {shown:?}\n{answer}");
    }
    told
}

fn nothing_is_in(sandbox: &Sandbox) {
    assert_eq!(sandbox.run("list", &[]).succeeds(), b"");
}

#[test]
fn secret_name_over_1024_bytes_is_rejected() {
    let sandbox = Sandbox::with_work();
    assert_data_eq!(
        tell_name(&sandbox, &"x".repeat(1_025)),
        str![[r#"
$ keystead set --stdin "x{100}x{100}x{100}x{100}x{100}x{100}x{100}x{100}x{100}x{100}xxxxxxxxxxxxxxxxxxxxxxxxx"
exit code 2
--- stderr
Error: invalid value 'x{100}x{100}x{100}x{100}x{100}x{100}x{100}x{100}x{100}x{100}xxxxxxxxxxxxxxxxxxxxxxxxx' for '<NAME>': a secret's name has 1025 bytes; the most is 1024

For more information, try '--help'.
$ keystead get "x{100}x{100}x{100}x{100}x{100}x{100}x{100}x{100}x{100}x{100}xxxxxxxxxxxxxxxxxxxxxxxxx"
exit code 2
--- stderr
Error: The argument is neither a secret's name nor a reference
Caused by: a secret's name has 1025 bytes; the most is 1024
$ keystead show "x{100}x{100}x{100}x{100}x{100}x{100}x{100}x{100}x{100}x{100}xxxxxxxxxxxxxxxxxxxxxxxxx"
exit code 2
--- stderr
Error: invalid value 'x{100}x{100}x{100}x{100}x{100}x{100}x{100}x{100}x{100}x{100}xxxxxxxxxxxxxxxxxxxxxxxxx' for '<NAME>': a secret's name has 1025 bytes; the most is 1024

For more information, try '--help'.
$ keystead remove "x{100}x{100}x{100}x{100}x{100}x{100}x{100}x{100}x{100}x{100}xxxxxxxxxxxxxxxxxxxxxxxxx"
exit code 2
--- stderr
Error: invalid value 'x{100}x{100}x{100}x{100}x{100}x{100}x{100}x{100}x{100}x{100}xxxxxxxxxxxxxxxxxxxxxxxxx' for '<NAME>': a secret's name has 1025 bytes; the most is 1024

For more information, try '--help'.

"#]]
    );
    nothing_is_in(&sandbox);

    let longest = format!("{}é", "x".repeat(1_022));
    assert_eq!(longest.len(), 1_024);
    let set = sandbox.command("set --stdin", &[&longest]);
    sandbox.answer(set, CANARY.as_bytes()).succeeds();
    assert_eq!(sandbox.run("get", &[&longest]).succeeds(), CANARY.as_bytes());
}

#[test]
fn secret_name_with_control_character_is_rejected() {
    let sandbox = Sandbox::with_work();
    let told: String = ["a\nb", "a\tb", "\u{1b}[31mred", "\u{7f}", "a\u{85}b"]
        .map(|name| tell_name(&sandbox, name))
        .concat();
    assert!(!told.contains(['\u{1b}', '\u{7f}', '\u{85}']));
    assert_data_eq!(
        told,
        str![[r#"
$ keystead set --stdin "a/nb"
exit code 2
--- stderr
Error: invalid value 'a b' for '<NAME>': a secret's name has the control character U+000A

For more information, try '--help'.
$ keystead get "a/nb"
exit code 2
--- stderr
Error: The argument is neither a secret's name nor a reference
Caused by: a secret's name has the control character U+000A
$ keystead show "a/nb"
exit code 2
--- stderr
Error: invalid value 'a b' for '<NAME>': a secret's name has the control character U+000A

For more information, try '--help'.
$ keystead remove "a/nb"
exit code 2
--- stderr
Error: invalid value 'a b' for '<NAME>': a secret's name has the control character U+000A

For more information, try '--help'.
$ keystead set --stdin "a/tb"
exit code 2
--- stderr
Error: invalid value 'a b' for '<NAME>': a secret's name has the control character U+0009

For more information, try '--help'.
$ keystead get "a/tb"
exit code 2
--- stderr
Error: The argument is neither a secret's name nor a reference
Caused by: a secret's name has the control character U+0009
$ keystead show "a/tb"
exit code 2
--- stderr
Error: invalid value 'a b' for '<NAME>': a secret's name has the control character U+0009

For more information, try '--help'.
$ keystead remove "a/tb"
exit code 2
--- stderr
Error: invalid value 'a b' for '<NAME>': a secret's name has the control character U+0009

For more information, try '--help'.
$ keystead set --stdin "/u{1b}[31mred"
exit code 2
--- stderr
Error: invalid value '/u{1b}[31mred' for '<NAME>': a secret's name has the control character U+001B

For more information, try '--help'.
$ keystead get "/u{1b}[31mred"
exit code 2
--- stderr
Error: The argument is neither a secret's name nor a reference
Caused by: a secret's name has the control character U+001B
$ keystead show "/u{1b}[31mred"
exit code 2
--- stderr
Error: invalid value '/u{1b}[31mred' for '<NAME>': a secret's name has the control character U+001B

For more information, try '--help'.
$ keystead remove "/u{1b}[31mred"
exit code 2
--- stderr
Error: invalid value '/u{1b}[31mred' for '<NAME>': a secret's name has the control character U+001B

For more information, try '--help'.
$ keystead set --stdin "/u{7f}"
exit code 2
--- stderr
Error: invalid value '/u{7f}' for '<NAME>': a secret's name has the control character U+007F

For more information, try '--help'.
$ keystead get "/u{7f}"
exit code 2
--- stderr
Error: The argument is neither a secret's name nor a reference
Caused by: a secret's name has the control character U+007F
$ keystead show "/u{7f}"
exit code 2
--- stderr
Error: invalid value '/u{7f}' for '<NAME>': a secret's name has the control character U+007F

For more information, try '--help'.
$ keystead remove "/u{7f}"
exit code 2
--- stderr
Error: invalid value '/u{7f}' for '<NAME>': a secret's name has the control character U+007F

For more information, try '--help'.
$ keystead set --stdin "a/u{85}b"
exit code 2
--- stderr
Error: invalid value 'a/u{85}b' for '<NAME>': a secret's name has the control character U+0085

For more information, try '--help'.
$ keystead get "a/u{85}b"
exit code 2
--- stderr
Error: The argument is neither a secret's name nor a reference
Caused by: a secret's name has the control character U+0085
$ keystead show "a/u{85}b"
exit code 2
--- stderr
Error: invalid value 'a/u{85}b' for '<NAME>': a secret's name has the control character U+0085

For more information, try '--help'.
$ keystead remove "a/u{85}b"
exit code 2
--- stderr
Error: invalid value 'a/u{85}b' for '<NAME>': a secret's name has the control character U+0085

For more information, try '--help'.

"#]]
    );
    nothing_is_in(&sandbox);
}

#[test]
fn secret_name_with_invalid_utf8_is_rejected() {
    let sandbox = Sandbox::with_work();
    let mut told = String::new();
    for words in ["set --stdin", "get", "show", "remove", "list"] {
        let mut command = sandbox.command(words, &[]);
        command.arg(std::ffi::OsStr::from_bytes(b"a\xff"));
        told += &format!("$ keystead {words}\n{}", sandbox.answer(command, CANARY.as_bytes()));
    }
    assert_data_eq!(
        told,
        str![[r#"
$ keystead set --stdin
exit code 2
--- stderr
Error: invalid UTF-8 was detected in one or more arguments

Usage: keystead set [OPTIONS] <NAME>

For more information, try '--help'.
$ keystead get
exit code 2
--- stderr
Error: invalid UTF-8 was detected in one or more arguments

Usage: keystead get [OPTIONS] <NAME|REF>

For more information, try '--help'.
$ keystead show
exit code 2
--- stderr
Error: invalid UTF-8 was detected in one or more arguments

Usage: keystead show [OPTIONS] <NAME>

For more information, try '--help'.
$ keystead remove
exit code 2
--- stderr
Error: invalid UTF-8 was detected in one or more arguments

Usage: keystead remove [OPTIONS] <NAME>

For more information, try '--help'.
$ keystead list
exit code 2
--- stderr
Error: invalid UTF-8 was detected in one or more arguments

Usage: keystead list [OPTIONS] [PATTERN]

For more information, try '--help'.

"#]]
    );
    nothing_is_in(&sandbox);
}

#[test]
fn empty_values_are_kept() {
    let sandbox = Sandbox::with_work();
    for (name, kind) in [("t", "text"), ("b", "bytes")] {
        sandbox.feed("", &format!("set {name} --kind {kind} --stdin --allow-empty")).succeeds();
        assert_eq!(sandbox.run(&format!("get {name}"), &[]).succeeds(), b"");
    }
    sandbox.feed("", "set c --user bob --stdin --allow-empty").succeeds();
    sandbox.feed("{}", "set m --kind map --stdin").succeeds();
    assert_data_eq!(
        ["get t --json", "get b --json", "get c --json", "get m --json", "get nosuch --json"]
            .map(|words| sandbox.run(words, &[]).to_string())
            .concat(),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"t","vault":"work","kind":"text","metadata":{},"value":{"text":""}}
exit code 0
--- stdout
{"schema":1,"name":"b","vault":"work","kind":"bytes","metadata":{},"value":{"base64":""}}
exit code 0
--- stdout
{"schema":1,"name":"c","vault":"work","kind":"credential","metadata":{},"value":{"user":"bob","password":""}}
exit code 0
--- stdout
{"schema":1,"name":"m","vault":"work","kind":"map","metadata":{},"value":{"map":{}}}
exit code 3
--- stderr
{"schema":1,"error":{"code":"E12.no-such-secret","exit":3,"message":"no secret `nosuch` in vault `work`","causes":[],"hints":["run `keystead list` to see what there is"]}}

"#]]
    );
}

#[test]
fn value_over_16_mib_is_rejected() {
    let sandbox = Sandbox::with_work();
    // The limit applies to the encoded form, which adds a few bytes for kind and length.
    let most = MAX_VALUE_BYTES - encoded_overhead();
    let mut value = CANARY.as_bytes().to_vec();
    value.resize(most, b'x');
    sandbox.feed(&value, "set a --stdin --exact --quiet").succeeds();
    assert!(sandbox.run("get a", &[]).succeeds() == value, "it came back changed");

    value.push(b'x');
    for kind in ["text", "bytes"] {
        let words = format!("set a --kind {kind} --stdin");
        let words = if kind == "text" { words + " --exact" } else { words };
        sandbox.feed(&value, &words).ends_with(1);
    }
    assert_data_eq!(
        sandbox.feed(&value, "set a --stdin --exact"),
        str![[r#"
exit code 1
--- stderr
Error: Vault `work` answered: the value has 16777217 bytes in its encoded form; the most is 16777216
Code: E12.invalid

"#]]
    );
    std::fs::write(sandbox.here("big.given"), &value).unwrap();
    assert_data_eq!(
        sandbox.run("set a --file big.given", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Vault `work` answered: the value has 16777217 bytes in its encoded form; the most is 16777216
Code: E12.invalid

"#]]
    );
    let huge = vec![b'x'; MAX_VALUE_BYTES + 2];
    assert_data_eq!(
        sandbox.feed(&huge, "set a --stdin --exact"),
        str![[r#"
exit code 1
--- stderr
Error: Vault `work` answered: the value has 16777222 bytes in its encoded form; the most is 16777216
Code: E12.invalid

"#]]
    );
    std::fs::write(sandbox.here("big.given"), &huge).unwrap();
    assert_data_eq!(
        sandbox.run("set a --file big.given", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Vault `work` answered: the value has 16777222 bytes in its encoded form; the most is 16777216
Code: E12.invalid

"#]]
    );
    value.pop();
    assert!(sandbox.run("get a", &[]).succeeds() == value, "it was overwritten");
}

/// Returns the bytes that encoding adds to a text.
fn encoded_overhead() -> usize {
    keystead::api::Value::text("x").encode().unwrap().len() - 1
}

#[test]
fn value_deeper_than_16_levels_is_rejected() {
    let sandbox = Sandbox::with_work();
    // The innermost text is also a level.
    let nested = |depth: usize| {
        format!("{}\"{CANARY}\"{}", "{\"m\":".repeat(depth - 1), "}".repeat(depth - 1))
    };
    assert_eq!(MAX_VALUE_DEPTH, 16);
    sandbox.feed(nested(16), "set a --kind map --stdin").succeeds();
    let kept = sandbox.run("get a --json", &[]).succeeds().to_vec();
    assert_eq!(String::from_utf8(kept).unwrap().matches("\"m\"").count(), 15);
    assert_data_eq!(
        sandbox.feed(nested(17), "set a --kind map --stdin"),
        str![[r#"
exit code 1
--- stderr
Error: Vault `work` answered: the value has more than 16 levels
Code: E12.invalid

"#]]
    );
    assert_data_eq!(
        sandbox.feed(nested(100_000), "set a --kind map --stdin"),
        str![[r#"
exit code 1
--- stderr
Error: The map is no JSON object
Caused by: line 1, column 161: a value has at most 16 levels

"#]]
    );
}

#[test]
fn map_with_over_10_000_entries_is_rejected() {
    let sandbox = Sandbox::with_work();
    let wide = |entries: usize| {
        let members: Vec<String> =
            (0..entries).map(|number| format!("\"k{number}\":\"{CANARY}\"")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(MAX_VALUE_ENTRIES, 10_000);
    sandbox.feed(wide(10_000), "set a --kind map --stdin").succeeds();
    let last = sandbox.run("get a --field k9999", &[]);
    assert_eq!(last.succeeds(), CANARY.as_bytes());
    assert_data_eq!(
        sandbox.feed(wide(10_001), "set a --kind map --stdin"),
        str![[r#"
exit code 1
--- stderr
Error: Vault `work` answered: the value has more than 10000 entries
Code: E12.invalid

"#]]
    );
    assert_data_eq!(
        sandbox.feed(wide(100_000), "set a --kind map --stdin"),
        str![[r#"
exit code 1
--- stderr
Error: The map is no JSON object
Caused by: line 1, column 448901: there are too many members

"#]]
    );
    // One more field for a map at the limit.
    assert_data_eq!(
        sandbox.feed(CANARY, "set a --field more --stdin"),
        str![[r#"
exit code 1
--- stderr
Error: Vault `work` answered: the value has more than 10000 entries
Code: E12.invalid

"#]]
    );
}

#[test]
fn map_with_invalid_utf8_or_duplicate_key_is_rejected() {
    let sandbox = Sandbox::with_work();
    let twice = format!("{{\"a\":\"{CANARY}\",\"b\":\"x\",\n \"a\":\"{CANARY}2\"}}");
    let escaped = format!("{{\"a\":\"{CANARY}\",\"\\u0061\":\"x\"}}");
    let deeper = format!("{{\"m\":{{\"a\":\"{CANARY}\",\"a\":\"x\"}}}}");
    let mut broken = format!("{{\"a\":\"{CANARY}").into_bytes();
    broken.extend(b"\xff\"}");
    let told: String = [twice.into_bytes(), escaped.into_bytes(), deeper.into_bytes(), broken]
        .map(|json| sandbox.feed(json, "set a --kind map --stdin").to_string())
        .concat();
    assert_data_eq!(
        told,
        str![[r#"
exit code 1
--- stderr
Error: The map is no JSON object
Caused by: line 2, column 2: this name stands in the object twice
exit code 1
--- stderr
Error: The map is no JSON object
Caused by: line 1, column 20: this name stands in the object twice
exit code 1
--- stderr
Error: The map is no JSON object
Caused by: line 1, column 25: this name stands in the object twice
exit code 1
--- stderr
Error: The map is not JSON
Caused by: it is not UTF-8

"#]]
    );
    nothing_is_in(&sandbox);
}
