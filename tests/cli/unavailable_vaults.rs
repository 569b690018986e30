//! Vaults that are locked, broken, time out, crash or misbehave, between two other vaults. A search
//! reports such a vault, and a listing omits only that vault.

use std::path::PathBuf;

use snapbox::{assert_data_eq, str};

use super::sandbox::{CANARY, Sandbox};
use crate::plugin_files::plugin;

/// Returns a home with the vaults `early`, the default, and `late`, both of the reference plugin.
/// Each test registers the vault in between.
fn home() -> Sandbox {
    let sandbox = Sandbox::installed();
    for vault in ["early", "late"] {
        let file = format!("vault register {vault} --plugin memory --param file={vault}.secrets");
        sandbox.run(&file, &[]).succeeds();
    }
    sandbox.feed(CANARY, "set first -V early --stdin").succeeds();
    sandbox.feed(CANARY, "set last -V late --stdin").succeeds();
    sandbox
}

/// Returns such a home with the vault `fishy` of this plugin in between.
fn with(file: PathBuf, id: &str) -> Sandbox {
    let sandbox = home();
    sandbox.run("plugin install --yes -q", &[file.to_str().unwrap()]).succeeds();
    sandbox.run("vault register fishy --plugin", &[id]).succeeds();
    sandbox
}

/// Returns the terminal output of each command.
fn told(sandbox: &Sandbox, lines: &[&str]) -> String {
    let mut all = String::new();
    for line in lines {
        let answer = sandbox.run(line, &[]);
        // The tests compare values themselves.
        let answer = answer.to_string().replace(CANARY, "[VALUE]");
        all += &format!("$ keystead {line}\n{answer}");
    }
    without_times(&all)
}

/// Replaces durations, which differ from run to run.
fn without_times(told: &str) -> String {
    let mut words: Vec<&str> = told.split(' ').collect();
    for at in 1..words.len() {
        if words[at].starts_with("ms") && words[at - 1].parse::<u64>().is_ok() {
            words[at - 1] = "[TIME]";
        }
    }
    words.join(" ")
}

/// Commands of all tests: the vault before `fishy`, past `fishy`, with `--any`, and all vaults.
const ALL: [&str; 5] =
    ["-q get first", "-q get last", "-q get last --any", "-q show last", "-q list"];

#[test]
fn search_stops_at_locked_vault() {
    let sandbox = home();
    std::fs::write(sandbox.here("pass.given"), CANARY).unwrap();
    let words = "vault register fishy --plugin memory --param file=fishy.secrets \
                 --param locked=file:pass.given";
    sandbox.run(words, &[]).succeeds();
    assert_data_eq!(
        told(&sandbox, &ALL),
        str![[r#"
$ keystead -q get first
exit code 0
--- stdout
[VALUE]<no newline>
$ keystead -q get last
exit code 5
--- stderr
Error: Vault `fishy` could not be asked for `last`
Caused by:
  1: vault `fishy` is locked
  2: it asks for `password`, and prompting is not possible
Hint: run the command in a terminal, or pass `--unlock password=env:VAR` here or to `keystead vault register`
Hint: a search asks for the default vault only: run `keystead vault unlock fishy` first
Hint: name a vault with `-V VAULT`, or take any that answers with `--any`
Code: E12.search-incomplete
$ keystead -q get last --any
exit code 0
--- stdout
[VALUE]<no newline>
$ keystead -q show last
exit code 5
--- stderr
Error: Vault `fishy` could not be asked for `last`
Caused by:
  1: vault `fishy` is locked
  2: it asks for `password`, and prompting is not possible
Hint: run the command in a terminal, or pass `--unlock password=env:VAR` here or to `keystead vault register`
Hint: a search asks for the default vault only: run `keystead vault unlock fishy` first
Hint: name a vault with `-V VAULT`, or take any that answers with `--any`
Code: E12.search-incomplete
$ keystead -q list
exit code 5
--- stdout
first	early	text	
last	late	text	
--- stderr
Warning: vault `fishy` is not listed: vault `fishy` is locked

"#]]
    );
}

#[test]
fn search_stops_at_vault_with_missing_plugin() {
    let sandbox = with(plugin("in-order"), "in-order");
    sandbox.run("plugin remove in-order --yes", &[]).succeeds();
    assert_data_eq!(
        told(&sandbox, &ALL),
        str![[r#"
$ keystead -q get first
exit code 0
--- stdout
[VALUE]<no newline>
$ keystead -q get last
exit code 5
--- stderr
Error: Vault `fishy` could not be asked for `last`
Caused by:
  1: vault `fishy` cannot be opened
  2: no plugin `in-order` is installed
Hint: run `keystead plugin list` to see the plugins
Hint: run `keystead plugin install FILE` to install one
Hint: run `keystead vault show fishy` to see its registration
Hint: name a vault with `-V VAULT`, or take any that answers with `--any`
Code: E12.search-incomplete
$ keystead -q get last --any
exit code 0
--- stdout
[VALUE]<no newline>
$ keystead -q show last
exit code 5
--- stderr
Error: Vault `fishy` could not be asked for `last`
Caused by:
  1: vault `fishy` cannot be opened
  2: no plugin `in-order` is installed
Hint: run `keystead plugin list` to see the plugins
Hint: run `keystead plugin install FILE` to install one
Hint: run `keystead vault show fishy` to see its registration
Hint: name a vault with `-V VAULT`, or take any that answers with `--any`
Code: E12.search-incomplete
$ keystead -q list
exit code 5
--- stdout
first	early	text	
last	late	text	
--- stderr
Warning: vault `fishy` is not listed: vault `fishy` cannot be opened: no plugin `in-order` is installed

"#]]
    );
}

#[test]
fn search_stops_at_vault_that_times_out() {
    let sandbox = with(plugin("hangs"), "hangs");
    let lines = ["-q get first", "-q get last --timeout 3s", "-q get last --any --timeout 3s"];
    assert_data_eq!(
        told(&sandbox, &lines),
        str![[r#"
$ keystead -q get first
exit code 0
--- stdout
[VALUE]<no newline>
$ keystead -q get last --timeout 3s
exit code 5
--- stderr
Error: Vault `fishy` could not be asked for `last`
Caused by:
  1: plugin `hangs` failed in vault `fishy`
  2: the plugin process timed out during `get` and was killed after [TIME] ms
Hint: give it longer with `--timeout`
Hint: name a vault with `-V VAULT`, or take any that answers with `--any`
Code: E12.search-incomplete
$ keystead -q get last --any --timeout 3s
exit code 0
--- stdout
[VALUE]<no newline>

"#]]
    );
    let sandbox = with(plugin("list-hangs"), "list-hangs");
    let lines = ["-q get last", "-q show last --timeout 3s", "-q list --timeout 3s"];
    assert_data_eq!(
        told(&sandbox, &lines),
        str![[r#"
$ keystead -q get last
exit code 0
--- stdout
[VALUE]<no newline>
$ keystead -q show last --timeout 3s
exit code 5
--- stderr
Error: Vault `fishy` could not be asked for `last`
Caused by:
  1: plugin `list-hangs` failed in vault `fishy`
  2: the plugin process timed out during `describe` and was killed after [TIME] ms
Hint: give it longer with `--timeout`
Hint: name a vault with `-V VAULT`, or take any that answers with `--any`
Code: E12.search-incomplete
$ keystead -q list --timeout 3s
exit code 5
--- stdout
first	early	text	
last	late	text	
--- stderr
Warning: vault `fishy` is not listed: plugin `list-hangs` failed in vault `fishy`: the plugin process timed out during `list` and was killed after [TIME] ms

"#]]
    );
}

#[test]
fn list_warns_once_per_unavailable_vault() {
    let sandbox = home();
    let bad = ["list-hangs", "page-over", "cursor-still", "panics-on-open", "in-order"];
    for id in bad {
        sandbox.run("plugin install --yes -q", &[plugin(id).to_str().unwrap()]).succeeds();
        sandbox.run("vault register", &[id, "--plugin", id]).succeeds();
    }
    assert_data_eq!(
        told(&sandbox, &["-q list --timeout 5s"]),
        str![[r#"
$ keystead -q list --timeout 5s
exit code 5
--- stdout
a	in-order	text	
first	early	text	
last	late	text	
--- stderr
Warning: vault `cursor-still` is not listed: plugin `cursor-still` misbehaved in vault `cursor-still`: the page's cursor does not advance
Warning: vault `list-hangs` is not listed: plugin `list-hangs` failed in vault `list-hangs`: the plugin process timed out during `list` and was killed after [TIME] ms
Warning: vault `page-over` is not listed: plugin `page-over` misbehaved in vault `page-over`: `entries` has more than 1000 items
Warning: vault `panics-on-open` is not listed: vault `panics-on-open` cannot be opened: plugin `panics-on-open` refused to open it: the plugin panicked in `open` at panics-on-open/src/lib.rs:4

"#]]
    );
}
