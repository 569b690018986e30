//! Ends of processes of these tests, and what evidence each leaves of whose doing it was.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::*;

/// Where it is set, the test is the process that ends, with its marker there.
const INSIDE: &str = "KEYSTEAD_TEST_INSIDE";

/// Says which end it is.
const END: &str = "KEYSTEAD_TEST_END";

/// How a process ended, and what its marker had in it then.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    code: Option<i32>,
    signal: Option<i32>,
    evidence: &'static str,
}

fn exits(code: i32, evidence: &'static str) -> Left {
    Left { code: Some(code), signal: None, evidence }
}

fn dies(signal: Signal, evidence: &'static str) -> Left {
    Left { code: None, signal: Some(signal as i32), evidence }
}

/// Ends a process of this test in this way.
fn end(test: &str, way: &str) -> (Left, Output) {
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("marker");
    // Whoever runs the tests in the background may have it ignored.
    let output = Command::new("env")
        .arg("--default-signal=INT")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("plugin::evidence::tests::{test}"), "--nocapture"])
        .envs([(INSIDE, marker.as_os_str()), (END, way.as_ref())])
        .output()
        .unwrap();
    let evidence = match &*fs::read(&marker).unwrap() {
        b"" => "",
        b"!" => "!",
        other => panic!("{way}: {other:?}"),
    };
    let status = output.status;
    (Left { code: status.code(), signal: status.signal(), evidence }, output)
}

fn raise(signal: Signal) {
    nix::sys::signal::raise(signal).unwrap();
}

/// Has another process send this one a signal.
fn be_sent(signal: &str) {
    let mut kill = Command::new("kill");
    kill.args(["-s", signal, &std::process::id().to_string()]);
    assert!(kill.status().unwrap().success());
}

fn overflow(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 512]);
    if depth == u64::MAX { 0 } else { overflow(depth + 1) + room[7] }
}

/// Ends this process; what returns has lived on.
fn be_ended(marker: &Path, way: &str) {
    let file = File::create(marker).unwrap();
    if way == "mended" {
        signal_hook::flag::register(libc::SIGTRAP, Arc::new(AtomicBool::new(false))).unwrap();
    }
    if way == "told" {
        let told = std::io::stderr();
        signal_hook::low_level::pipe::register(
            libc::SIGABRT,
            told.as_fd().try_clone_to_owned().unwrap(),
        )
        .unwrap();
    }
    let kept = Kept::take(&file).unwrap();
    let other = Kept::take(&File::create(marker.with_extension("other")).unwrap()).unwrap();
    if let Some(way) = way.strip_prefix("outside: ") {
        match way {
            "abort" => std::process::abort(),
            "exit" => std::process::exit(7),
            "in the plugin's code" => {
                let this = std::env::current_exe().unwrap();
                let (from, to) = super::watch::code_of(&this).unwrap();
                kept.has_code(from, to);
                other.has_code(1, from);
                // SAFETY: none: that is the point.
                unsafe { std::ptr::without_provenance_mut::<u8>(16).write_volatile(1) };
            }
            "of one that is gone" => {
                drop(kept);
                drop(file);
                std::process::abort()
            }
            other => panic!("{other}"),
        }
    }
    let _called = kept.called();
    match way {
        "abort" | "told" => std::process::abort(),
        "exit" => std::process::exit(7),
        "overflow" => assert_eq!(overflow(0), 0),
        "segv" => {
            // SAFETY: none: that is the point.
            unsafe { std::ptr::without_provenance_mut::<u8>(16).write_volatile(1) };
        }
        "raised" => raise(Signal::SIGFPE),
        // The standard library's handler takes it for a fault that will happen once more.
        "swallowed" => raise(Signal::SIGBUS),
        "sent" => be_sent("ABRT"),
        "interrupted" => be_sent("INT"),
        "mended" => raise(Signal::SIGTRAP),
        "called back" => {
            let _nobody = Called::nobody();
            std::process::abort()
        }
        "called the other" => {
            let _called = other.called();
            std::process::abort()
        }
        "called after the other" => {
            drop(other.called());
            std::process::abort()
        }
        other => panic!("{other}"),
    }
}

#[test]
fn evidence_is_left_of_a_plugins_own_doing_only() {
    if let Some(marker) = std::env::var_os(INSIDE) {
        be_ended(marker.as_ref(), &std::env::var(END).unwrap());
        unreachable!("it was to end");
    }
    let this = "evidence_is_left_of_a_plugins_own_doing_only";
    for (way, left) in [
        ("abort", dies(Signal::SIGABRT, "!")),
        ("segv", dies(Signal::SIGSEGV, "!")),
        ("raised", dies(Signal::SIGFPE, "!")),
        ("exit", exits(7, "!")),
        ("outside: in the plugin's code", dies(Signal::SIGSEGV, "!")),
        ("called after the other", dies(Signal::SIGABRT, "!")),
        ("called the other", dies(Signal::SIGABRT, "")),
        ("called back", dies(Signal::SIGABRT, "")),
        ("outside: abort", dies(Signal::SIGABRT, "")),
        ("outside: exit", exits(7, "")),
        ("outside: of one that is gone", dies(Signal::SIGABRT, "")),
        ("sent", dies(Signal::SIGABRT, "")),
        ("interrupted", dies(Signal::SIGINT, "")),
    ] {
        assert_eq!(end(this, way).0, left, "{way}");
    }
}

#[test]
fn what_was_there_before_is_done_still() {
    if let Some(marker) = std::env::var_os(INSIDE) {
        be_ended(marker.as_ref(), &std::env::var(END).unwrap());
        // By this signal unless somebody else's handler has mended the first.
        let left = fs::read(&marker).unwrap();
        std::process::exit(if left.is_empty() { 9 } else { 10 });
    }
    let this = "what_was_there_before_is_done_still";
    // The standard library's handler has its word, on its own stack.
    let (left, output) = end(this, "overflow");
    assert_eq!(left, dies(Signal::SIGABRT, "!"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("overflowed its stack"), "{told}");
    // A program's handler is called, and decides: what it mends was no crash.
    let (left, output) = end(this, "told");
    assert_eq!(left, dies(Signal::SIGABRT, "!"));
    assert!(output.stderr.ends_with(b"X"), "{:?}", output.stderr);
    for way in ["mended", "swallowed"] {
        assert_eq!(end(this, way).0, exits(9, ""), "{way}");
    }
}
