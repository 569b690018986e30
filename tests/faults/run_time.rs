//! Plugins that misbehave at run time: the user's output, other vaults that go on, and no process
//! left behind.

use std::path::Path;
use std::time::{Duration, Instant};

use snapbox::{assert_data_eq, str};

use super::session;
use crate::cli::sandbox::Sandbox;
use crate::plugin_files::plugin;

/// Returns a home with a vault `odd` of this plugin and a vault `sound`.
fn with(name: &str) -> Sandbox {
    let sandbox = Sandbox::empty();
    for (vault, name) in [("odd", name), ("sound", "in-order")] {
        let file = plugin(name);
        sandbox.run("plugin install --yes --quiet", &[file.to_str().unwrap()]).succeeds();
        sandbox.run("vault register", &[vault, "--plugin", name]).succeeds();
    }
    sandbox
}

/// Returns the output of these commands, and checks that no process is left.
#[track_caller]
fn tell(name: &str, lines: &[&str]) -> String {
    let sandbox = with(name);
    let told = session(&sandbox, lines);
    nothing_runs();
    told
}

/// Waits until each runner belongs to a running command, which may be one of a concurrent test.
#[track_caller]
fn nothing_runs() {
    let until = Instant::now() + Duration::from_secs(10);
    while let Some(process) = orphan() {
        assert!(Instant::now() < until, "{process} outlives its command");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn orphan() -> Option<String> {
    std::fs::read_dir("/proc").unwrap().find_map(|entry| {
        let process = entry.ok()?.path();
        let line = std::fs::read(process.join("cmdline")).ok()?;
        let is_runner = line.split(|byte| *byte == 0).nth(1) == Some(b"__runner");
        if !is_runner || !is_command(&process) {
            return None;
        }
        let status = std::fs::read_to_string(process.join("status")).ok()?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().to_owned();
        let is_left = !is_command(&Path::new("/proc").join(parent)) && process.exists();
        is_left.then(|| process.display().to_string())
    })
}

fn is_command(process: &Path) -> bool {
    std::fs::read_link(process.join("exe"))
        .is_ok_and(|exe| exe == Path::new(env!("CARGO_BIN_EXE_keystead")).canonicalize().unwrap())
}

#[test]
fn plugin_panic_in_call_is_fault_of_its_vault() {
    assert_data_eq!(
        tell("panics", &["get -V odd a", "get a", "list"]),
        str![[r#"
$ keystead get -V odd a
exit code 70
--- stderr
Error: Plugin `panics` misbehaved in vault `odd`: the plugin panicked in `get` at panics/src/lib.rs:7
Hint: report this to the vendor shown by `keystead plugin show panics`
Code: E12.misbehaved
$ keystead get a
exit code 5
--- stderr
Error: Vault `odd` could not be asked for `a`
Caused by: plugin `panics` misbehaved in vault `odd`: the plugin panicked in `get` at panics/src/lib.rs:7
Hint: report this to the vendor shown by `keystead plugin show panics`
Hint: name a vault with `-V VAULT`, or take any that answers with `--any`
Code: E12.search-incomplete
$ keystead list
exit code 0
--- stdout
a	odd	text	
a	sound	text	

"#]]
    );
}

#[test]
fn plugin_panic_in_open_is_fault_of_its_vault() {
    assert_data_eq!(
        tell("panics-on-open", &["get -V odd a", "list"]),
        str![[r#"
$ keystead get -V odd a
exit code 70
--- stderr
Error: Vault `odd` cannot be opened
Caused by: plugin `panics-on-open` refused to open it: the plugin panicked in `open` at panics-on-open/src/lib.rs:4
Hint: run `keystead vault show odd` to see its registration
Code: E10.open
$ keystead list
exit code 5
--- stdout
a	sound	text	
--- stderr
Warning: vault `odd` is not listed: vault `odd` cannot be opened: plugin `panics-on-open` refused to open it: the plugin panicked in `open` at panics-on-open/src/lib.rs:4

"#]]
    );
}

#[test]
fn in_process_plugin_panic_is_fault_of_its_vault() {
    let sandbox = with("panics");
    let lines = [
        "plugin trust --yes --quiet panics --danger-in-process",
        "vault register here --plugin panics --placement in-process",
        "get -V here a",
        "get -V sound a",
    ];
    assert_data_eq!(
        session(&sandbox, &lines),
        str![[r#"
$ keystead plugin trust --yes --quiet panics --danger-in-process
exit code 0
$ keystead vault register here --plugin panics --placement in-process
exit code 0
--- stderr
Registered vault `here`.
$ keystead get -V here a
exit code 70
--- stderr
Error: Plugin `panics` misbehaved in vault `here`: the plugin panicked in `get` at panics/src/lib.rs:7
Hint: report this to the vendor shown by `keystead plugin show panics`
Code: E12.misbehaved
$ keystead get -V sound a
exit code 0
--- stdout
sound<no newline>

"#]]
    );
}

#[test]
fn runner_exit_in_call_is_fault_of_its_vault() {
    assert_data_eq!(
        tell("exits", &["get -V odd a", "get -V sound a"]),
        str![[r#"
$ keystead get -V odd a
exit code 70
--- stderr
Error: Plugin `exits` failed in vault `odd`
Caused by: the plugin's process ended during `get`: exit status 7
Hint: report this to the vendor shown by `keystead plugin show exits`
Code: E11.died
$ keystead get -V sound a
exit code 0
--- stdout
sound<no newline>

"#]]
    );
    assert_data_eq!(
        tell("aborts", &["get -V odd a", "get -V sound a"]),
        str![[r#"
$ keystead get -V odd a
exit code 70
--- stderr
Error: Plugin `aborts` failed in vault `odd`
Caused by: the plugin's process ended during `get`: signal 6 (SIGABRT)
Hint: report this to the vendor shown by `keystead plugin show aborts`
Code: E11.died
$ keystead get -V sound a
exit code 0
--- stdout
sound<no newline>

"#]]
    );
    assert_data_eq!(
        tell("segfaults", &["get -V odd a", "get -V sound a"]),
        str![[r#"
$ keystead get -V odd a
exit code 70
--- stderr
Error: Plugin `segfaults` failed in vault `odd`
Caused by: the plugin's process ended during `get`: signal 11 (SIGSEGV)
Hint: report this to the vendor shown by `keystead plugin show segfaults`
Code: E11.died
$ keystead get -V sound a
exit code 0
--- stdout
sound<no newline>

"#]]
    );
}

#[test]
fn runner_exit_during_load_is_fault_of_its_vault() {
    assert_data_eq!(
        tell("constructor-exits", &["get -V odd a", "list"]),
        str![[r#"
$ keystead get -V odd a
exit code 70
--- stderr
Error: Vault `odd` cannot be opened
Caused by:
  1: plugin `constructor-exits` failed in vault `odd`
  2: the plugin's process ended during `open`: exit status 7
Hint: report this to the vendor shown by `keystead plugin show constructor-exits`
Hint: run `keystead vault show odd` to see its registration
Code: E11.died
$ keystead list
exit code 5
--- stdout
a	sound	text	
--- stderr
Warning: vault `odd` is not listed: vault `odd` cannot be opened: plugin `constructor-exits` failed in vault `odd`: the plugin's process ended during `open`: exit status 7

"#]]
    );
}

#[test]
fn runner_exit_between_calls_goes_unnoticed() {
    assert_data_eq!(
        tell("exits-later", &["get -V odd a", "list"]),
        str![[r#"
$ keystead get -V odd a
exit code 0
--- stdout
sound<no newline>
$ keystead list
exit code 0
--- stdout
a	odd	text	
a	sound	text	

"#]]
    );
}

#[test]
fn hanging_call_times_out_with_hint() {
    let told = tell("hangs", &["get -V odd a --timeout 1s", "list"]);
    assert_data_eq!(
        without_times(&told),
        str![[r#"
$ keystead get -V odd a --timeout 1s
exit code 1
--- stderr
Error: Plugin `hangs` failed in vault `odd`
Caused by: the plugin process timed out during `get` and was killed after [TIME] ms
Hint: give it longer with `--timeout`
Code: E11.late
$ keystead list
exit code 0
--- stdout
a	odd	text	
a	sound	text	

"#]]
    );
}

#[test]
fn hanging_constructor_times_out_with_hint() {
    let told = tell("constructor-hangs", &["get -V odd a --timeout 2s", "list --timeout 2s"]);
    assert_data_eq!(
        without_times(&told),
        str![[r#"
$ keystead get -V odd a --timeout 2s
exit code 1
--- stderr
Error: Vault `odd` cannot be opened
Caused by:
  1: plugin `constructor-hangs` failed in vault `odd`
  2: the plugin process timed out during `open` and was killed after [TIME] ms
Hint: give it longer with `--timeout`
Hint: run `keystead vault show odd` to see its registration
Code: E11.late
$ keystead list --timeout 2s
exit code 5
--- stdout
a	sound	text	
--- stderr
Warning: vault `odd` is not listed: vault `odd` cannot be opened: plugin `constructor-hangs` failed in vault `odd`: the plugin process timed out during `open` and was killed after [TIME] ms

"#]]
    );
}

/// Replaces durations, which differ from run to run.
fn without_times(told: &str) -> String {
    let words: Vec<_> = told.split(' ').collect();
    let is_time = |at: usize| words[at].parse::<u64>().is_ok() && words[at - 1] == "after";
    let shown = words.iter().enumerate();
    let shown = shown.map(|(at, word)| if at > 0 && is_time(at) { "[TIME]" } else { word });
    shown.collect::<Vec<_>>().join(" ")
}

#[test]
fn plugin_output_is_logged_to_stderr_escaped() {
    assert_data_eq!(
        tell("chatters", &["get -V odd a", "list"]),
        str![[r#"
$ keystead get -V odd a
exit code 0
--- stdout
sound<no newline>
--- stderr
vault `odd`: logged by the plugin/u{1b}[2J  keystead: forged /u{202e}line
vault `odd`: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
$ keystead list
exit code 0
--- stdout
a	odd	text	
a	sound	text	

"#]]
    );
}
