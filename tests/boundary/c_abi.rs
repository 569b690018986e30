//! Plugins of the C ABI that break its rules. Each fault is one clear error of one vault: in both
//! placements if the host can detect the fault, otherwise isolated.

use std::path::Path;

use keystead::Placement;
use keystead::api::Value;

use crate::plugin_files::{plugin, rule_breaker};
use crate::scene::{Scene, story};

const BOTH: [Placement; 2] = [Placement::Isolated, Placement::InProcess];

fn dir() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Returns the error of a `get` or a `list` from the hostile vault; the other vault still works.
fn told(scene: &Scene, call: &str, what: &str) -> String {
    let odd = keystead::api::VaultName::parse("odd").unwrap();
    let answer = match call {
        "get" => scene.get(&odd, what).map(drop),
        // A pattern without a wildcard causes a lookup, no listing.
        _ => scene.list(&odd, Some(&format!("{what}*"))).map(drop),
    };
    let told = story(&answer.unwrap_err());
    let other = keystead::api::VaultName::parse("other").unwrap();
    assert_eq!(scene.get(&other, "a").unwrap().secret.value, Value::text("sound"));
    told
}

fn scene(file: &Path, placement: Placement) -> Scene {
    let scene = Scene::new();
    scene.vault("odd", file, placement);
    scene.vault("other", &plugin("in-order"), placement);
    scene
}

#[test]
fn invalid_c_reply_is_misbehaviour_of_that_call() {
    let dir = dir();
    let file = rule_breaker(dir.path(), &[]);
    for placement in BOTH {
        let scene = scene(&file, placement);
        let odd = keystead::api::VaultName::parse("odd").unwrap();
        for (call, what, fault) in [
            ("get", "no-value", "success was answered and no value"),
            ("get", "two-values", "a value was told twice"),
            ("get", "entry", "an entry was told to a call that asks for none"),
            ("get", "status", "the status 4000 was answered, which is unknown here"),
            ("get", "status-told", "in my own words"),
            ("get", "null-value", "a text is missing"),
            ("get", "long-value", "a text has 9223372036854775807 bytes; the most is 16777216"),
            (
                "get",
                "long-message",
                "a message has 1152921504606846976 bytes; the most is 16777216",
            ),
            ("get", "not-utf-8", "the text is not UTF-8 from byte 0 on"),
            ("get", "short-form", "the value's bytes end too early"),
            ("get", "wide-map", "the value has more than 10000 entries"),
            ("get", "null-metadata", "a piece of metadata is null"),
            ("get", "odd-metadata", "a piece of metadata is misaligned"),
            ("get", "null-challenge", "a challenge is null"),
            ("get", "short-entry", "an entry says that it has 8 bytes"),
            ("get", "huge-entry", "an entry says that it has 4294967295 bytes"),
            ("get", "choices", "`choices` has more than 32 items"),
            ("get", "written", "a written version was told to a call that asks for none"),
            ("get", "locked", "a challenge's id is missing"),
            ("get", "locked-for-nothing", "a challenge asks for nothing and waits for nothing"),
            ("get", "prompt-twice", "a challenge asks for `prompt-twice` twice"),
            ("get", "prompts", "a challenge has more than 16 prompts"),
            ("get", "no-reply", "success was answered and no value"),
            ("list", "over", "the entries are more than 1000"),
            ("list", "still", "the page's cursor does not advance"),
            ("list", "cycle", "the cursor of a listing stands still"),
            ("list", "long-cursor", "the page's cursor has 5000 bytes; the most is 4096"),
            ("list", "two-cursors", "a cursor was told twice"),
            ("list", "name", "a secret's name is not UTF-8"),
            ("list", "control", "a secret's name has the control character U+001B"),
            ("list", "empty", "a secret's name is empty"),
            ("list", "value", "a value was told to a call that asks for none"),
            ("list", "metadata", "metadata was told before an entry"),
        ] {
            let told = told(&scene, call, what);
            let head = "E12.misbehaved: plugin `hostile` misbehaved in vault `odd`: ";
            assert_eq!(told.to_lowercase(), format!("{head}{fault}").to_lowercase());
            // The fault of a call does not affect the next call.
            assert_eq!(scene.get(&odd, "sound").unwrap().secret.value, Value::text("sound"));
        }
        scene.end();
    }
}

#[test]
fn c_error_status_overrides_earlier_reply() {
    let dir = dir();
    let file = rule_breaker(dir.path(), &[]);
    for placement in BOTH {
        let scene = scene(&file, placement);
        assert!(told(&scene, "get", "success-and-error").starts_with("E12.no-such-secret: "));
        let unknown = told(&scene, "get", "kind");
        assert!(unknown.starts_with("E12.unsupported: "), "{unknown}");
        assert!(unknown.ends_with("the value is of kind 77, unknown here"), "{unknown}");
        scene.end();
    }
}

#[test]
fn reply_used_after_its_call_is_reported_by_next_call() {
    let dir = dir();
    let file = rule_breaker(dir.path(), &[]);
    for placement in BOTH {
        let scene = scene(&file, placement);
        let odd = keystead::api::VaultName::parse("odd").unwrap();
        scene.get(&odd, "keep").unwrap();
        assert_eq!(
            told(&scene, "get", "use-kept"),
            "E12.misbehaved: plugin `hostile` misbehaved in vault `odd`: the reply was used \
             after its call returned"
        );
        assert_eq!(scene.get(&odd, "sound").unwrap().secret.value, Value::text("sound"));
        scene.end();
    }
}

#[test]
fn invalid_c_table_makes_faulty_vault() {
    for (macros, fault) in [
        (&["ANSWER=0"][..], "it is null"),
        (&["ANSWER=(uintptr_t)&table+1"], "its address is not one of a table"),
        (&["MAGIC=7"], "it does not begin as the header says"),
        (&["SIZE=0"], "it has 0 bytes; the first version has 192"),
        (&["SIZE=191"], "it has 191 bytes; the first version has 192"),
        (&["SIZE=65537"], "it says that it has 65537 bytes; the most is 65536"),
        (&["SIZE=(uint32_t)-1"], "it says that it has 4294967295 bytes; the most is 65536"),
        (&["GET_IS_NULL"], "its function `get` is null"),
    ] {
        let dir = dir();
        let file = rule_breaker(dir.path(), macros);
        for placement in BOTH {
            let scene = scene(&file, placement);
            for _ in 0..2 {
                let told = told(&scene, "get", "sound");
                assert!(told.starts_with("E09.table: "), "{told}");
                assert!(told.ends_with(&format!(" has no table of the C ABI: {fault}")), "{told}");
            }
            scene.end();
        }
    }
}

#[test]
fn newer_c_table_works_with_known_calls() {
    let dir = dir();
    let file = rule_breaker(dir.path(), &["SIZE=sizeof(table)"]);
    for placement in BOTH {
        let scene = scene(&file, placement);
        let odd = keystead::api::VaultName::parse("odd").unwrap();
        assert_eq!(scene.get(&odd, "sound").unwrap().secret.value, Value::text("sound"));
        scene.end();
    }
}

#[test]
fn c_open_without_vault_fails_without_close() {
    for (name, fault) in [
        ("OPENS_NOTHING", "the plugin opened a vault and gave none"),
        ("REFUSES_AND_OPENS", "not today"),
    ] {
        let dir = dir();
        let file = rule_breaker(dir.path(), &[name]);
        for placement in BOTH {
            let scene = scene(&file, placement);
            assert_eq!(
                told(&scene, "get", "sound"),
                format!(
                    "E10.open: vault `odd` cannot be opened: plugin `hostile` refused to open it: \
                     {fault}"
                )
            );
            scene.end();
        }
    }
}

#[test]
fn invalid_pointer_ends_only_the_runner() {
    let dir = dir();
    let file = rule_breaker(dir.path(), &[]);
    for (what, how) in [
        ("wild-pointer", "signal 11 (SIGSEGV)"),
        ("lying-length", "signal 11 (SIGSEGV)"),
        ("exit", "exit status 7"),
    ] {
        let scene = scene(&file, Placement::Isolated);
        assert_eq!(
            told(&scene, "get", what),
            format!(
                "E11.died: plugin `hostile` failed in vault `odd`: the plugin's process ended \
                 during `get`: {how}"
            )
        );
        scene.end();
    }
}
