//! An isolated plugin: each of its faults is an error of its vault. The other vaults go on, and no
//! process is left running.

use std::time::{Duration, Instant};

use keystead::Placement;
use keystead::api::Value;

use crate::plugin_files::plugin;
use crate::scene::{Scene, story};

/// Time limit of calls that must not time out, even on a busy machine.
const AMPLE: Duration = Duration::from_secs(20);

/// Time limit of calls that must time out.
const SHORT: Duration = Duration::from_millis(400);

enum Call {
    Get,
    List,
}

/// Makes one plugin misbehave beside a correct one, and returns the error.
fn misbehave(name: &str, call: &Call, timeout: Duration) -> String {
    let scene = Scene::with_timeout(timeout);
    let odd = scene.vault("odd", &plugin(name), Placement::Isolated);
    let other = scene.vault("other", &plugin("in-order"), Placement::Isolated);
    let sound = || {
        // The other vault's runner may have to start while the machine is busy.
        let until = Instant::now() + AMPLE;
        loop {
            match scene.get(&other, "a") {
                Ok(found) => break assert_eq!(found.secret.value, Value::text("sound")),
                Err(error) if error.code().ends_with("late") && Instant::now() < until => {
                    scene.host.reload();
                }
                Err(error) => panic!("{}", story(&error)),
            }
        }
    };
    sound();
    let answer = match call {
        Call::Get => scene.get(&odd, "a").map(drop),
        Call::List => scene.list(&odd, None).map(drop),
    };
    let told = story(&answer.unwrap_err());
    sound();
    scene.end();
    told
}

fn get(name: &str) -> String {
    misbehave(name, &Call::Get, AMPLE)
}

#[test]
fn panic_error_has_location_without_message() {
    assert_eq!(
        get("panics"),
        "E12.misbehaved: plugin `panics` misbehaved in vault `odd`: the plugin panicked in `get` \
         at panics/src/lib.rs:7"
    );
}

#[test]
fn panic_in_open_makes_faulty_vault() {
    assert_eq!(
        get("panics-on-open"),
        "E10.open: vault `odd` cannot be opened: plugin `panics-on-open` refused to open it: the \
         plugin panicked in `open` at panics-on-open/src/lib.rs:4"
    );
}

#[test]
fn runner_exit_error_has_status_or_signal() {
    for (name, how) in [
        ("exits", "exit status 7"),
        ("aborts", "signal 6 (SIGABRT)"),
        ("segfaults", "signal 11 (SIGSEGV)"),
        ("overflows", "signal 6 (SIGABRT)"),
    ] {
        assert_eq!(
            get(name),
            format!(
                "E11.died: plugin `{name}` failed in vault `odd`: the plugin's process ended \
                 during `get`: {how}"
            )
        );
    }
}

#[test]
fn runner_exit_during_load_makes_faulty_vault() {
    assert_eq!(
        get("constructor-exits"),
        "E11.died: vault `odd` cannot be opened: plugin `constructor-exits` failed in vault \
         `odd`: the plugin's process ended during `open`: exit status 7"
    );
}

#[test]
fn runner_that_exited_between_calls_is_replaced() {
    let scene = Scene::new();
    let odd = scene.vault("odd", &plugin("exits-later"), Placement::Isolated);
    for _ in 0..2 {
        assert_eq!(scene.get(&odd, "a").unwrap().secret.value, Value::text("sound"));
        std::thread::sleep(Duration::from_millis(300));
    }
    scene.end();
}

#[test]
fn hanging_call_times_out_and_runner_is_killed() {
    let told = misbehave("hangs", &Call::Get, SHORT);
    let (before, after) = told.split_once("killed after ").unwrap();
    assert_eq!(
        before,
        "E11.late: plugin `hangs` failed in vault `odd`: the plugin process timed out during \
         `get` and was "
    );
    let millis: u64 = after.strip_suffix(" ms").unwrap().parse().unwrap();
    assert!((400..10_000).contains(&millis), "{told}");
}

#[test]
fn hanging_constructor_times_out() {
    let told = misbehave("constructor-hangs", &Call::Get, SHORT);
    let expected = "E11.late: vault `odd` cannot be opened: plugin `constructor-hangs` failed in \
                    vault `odd`: the plugin process timed out during `open`";
    assert!(told.starts_with(expected), "{told}");
}

#[test]
fn invalid_replies_are_misbehaviour() {
    for (name, call, what) in [
        (
            "value-long",
            Call::Get,
            "the value has 16777217 bytes in its encoded form; the most is 16777216",
        ),
        ("page-over", Call::List, "`entries` has more than 1000 items"),
        ("cursor-still", Call::List, "the page's cursor does not advance"),
        ("cursor-cycles", Call::List, "the cursor of a listing stands still"),
    ] {
        assert_eq!(
            misbehave(name, &call, AMPLE),
            format!("E12.misbehaved: plugin `{name}` misbehaved in vault `odd`: {what}")
        );
    }
}

#[test]
fn plugin_after_three_crashes_is_quarantined() {
    let scene = Scene::new();
    let odd = scene.vault("odd", &plugin("segfaults"), Placement::Isolated);
    let mut codes = Vec::new();
    for _ in 0..4 {
        codes.push(scene.get(&odd, "a").unwrap_err().code());
        scene.host.reload();
    }
    assert_eq!(codes, ["E11.died", "E11.died", "E11.died", "E07.quarantined"]);
    scene.end();
}

#[test]
fn plugin_output_is_logged_as_escaped_single_lines() {
    let scene = Scene::new();
    let odd = scene.vault("odd", &plugin("chatters"), Placement::Isolated);
    assert_eq!(scene.get(&odd, "a").unwrap().secret.value, Value::text("sound"));
    let log = scene.log.all();
    let of_plugin = |line: &&String| line.starts_with("odd Warning: logged");
    assert_eq!(
        log.iter().filter(of_plugin).collect::<Vec<_>>(),
        ["odd Warning: logged by the plugin\\u{1b}[2J  keystead: forged \\u{202e}line"]
    );
    assert!(log.iter().all(|line| line.len() < 5_000 && !line.chars().any(char::is_control)));
    scene.end();
}

#[test]
fn plugin_sees_only_granted_variables() {
    let scene = Scene::new();
    let vault = scene.vault("odd", &plugin("reads-variables"), Placement::Isolated);
    let path = scene.get(&vault, "PATH").unwrap().secret.value;
    assert_eq!(path, Value::text(std::env::var("PATH").unwrap()));
    let other = "CARGO_MANIFEST_DIR";
    assert!(std::env::var_os(other).is_some(), "the host has it");
    assert_eq!(scene.get(&vault, other).unwrap_err().code(), "E12.no-such-secret");
    scene.end();
}

#[test]
fn plugin_thread_ends_with_runner() {
    let scene = Scene::new();
    let odd = scene.vault("odd", &plugin("thread-stays"), Placement::Isolated);
    scene.get(&odd, "a").unwrap();
    assert_eq!(scene.runners(), 1);
    let log = std::sync::Arc::clone(&scene.log);
    scene.end();
    let before = log.all().len();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(log.all().len(), before);
}
