//! Links, pipes, sockets and directories in a vault's directory, and names that would lead
//! elsewhere. The vault does not wait for them, follow them or write through them.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use keystead_plugin_api::{ErrorKind, Value};
use rustix::fs::{CWD, FileType, Mode};

use crate::world::{World, get, mode, names, refused, set, to_describe, to_remove, to_test};

#[test]
fn symlinks_are_never_followed() {
    let world = World::new();
    fs::write(world.above().join("outside"), "canary").unwrap();
    world.file("inside", "canary");
    let links =
        [("up", "../outside"), ("root", "/etc/passwd"), ("beside", "inside"), ("lost", "nowhere")];
    for (name, target) in links {
        symlink(target, world.path(name)).unwrap();
    }
    for mut vault in [world.read_only(), world.read_write()] {
        for (name, _) in links {
            let words = format!("{} is a link, which is not followed", world.path(name).display());
            refused(get(&mut *vault, name), ErrorKind::PermissionDenied, &words);
            refused(vault.describe(&to_describe(name)), ErrorKind::PermissionDenied, &words);
        }
        assert_eq!(names(&mut *vault), ["inside"]);
    }
    let mut own = world.read_write();
    for (name, _) in links {
        refused(
            set(&mut *own, name, Value::text("canary new")),
            ErrorKind::PermissionDenied,
            "is a link",
        );
        refused(own.remove(&to_remove(name)), ErrorKind::PermissionDenied, "is a link");
    }
    assert_eq!(fs::read(world.above().join("outside")).unwrap(), b"canary");
    assert_eq!(fs::read(world.path("inside")).unwrap(), b"canary");
}

#[test]
fn pipes_and_sockets_are_rejected_without_blocking() {
    let world = World::new();
    rustix::fs::mknodat(CWD, world.path("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
        .unwrap();
    // The path of a socket is limited to 107 bytes.
    let short = tempfile::tempdir().unwrap();
    let _socket = UnixListener::bind(short.path().join("s")).unwrap();
    fs::rename(short.path().join("s"), world.path("socket"))
        .or_else(|_| {
            // On another file system.
            let own = FileType::Socket;
            rustix::fs::mknodat(CWD, world.path("socket"), own, Mode::RUSR | Mode::WUSR, 0)
        })
        .unwrap();
    world.file("token", "canary");
    for mut vault in [world.read_only(), world.read_write()] {
        for name in ["pipe", "socket"] {
            refused(
                get(&mut *vault, name),
                ErrorKind::PermissionDenied,
                "a pipe, a socket or a device",
            );
        }
        assert_eq!(names(&mut *vault), ["token"]);
        vault.test(&to_test()).unwrap();
        assert_eq!(
            world.logged(),
            [
                "left out: `pipe` is a pipe, a socket or a device",
                "left out: `socket` is a pipe, a socket or a device"
            ]
        );
    }
    let mut own = world.read_write();
    refused(set(&mut *own, "pipe", Value::text("canary")), ErrorKind::PermissionDenied, "a pipe");
}

#[test]
fn pipe_swapped_in_during_reads_never_blocks() {
    let world = World::new();
    let own = Mode::RUSR | Mode::WUSR;
    world.file("token", "canary");
    let done = AtomicBool::new(false);
    let mut vault = world.read_only();
    std::thread::scope(|scope| {
        let swapper = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                rustix::fs::mknodat(CWD, world.path("..new"), FileType::Fifo, own, 0).unwrap();
                fs::rename(world.path("..new"), world.path("token")).unwrap();
                world.file("..new", "canary");
                fs::rename(world.path("..new"), world.path("token")).unwrap();
            }
        });
        let (tell, told) = mpsc::sync_channel(16);
        // A thread outside the scope: the test does not wait for a blocked reader.
        std::thread::spawn(move || {
            // Ends when the receiver is dropped.
            while tell.send(get(&mut *vault, "token").map_err(|error| error.kind())).is_ok() {}
        });
        let mut seen = (0, 0);
        // Until both results were seen, and at least 20,000 times.
        while seen.0 + seen.1 < 20_000 || seen.0 == 0 || seen.1 == 0 {
            // A reader that waits for a pipe never ends.
            match told.recv_timeout(Duration::from_secs(30)) {
                Ok(Ok(value)) => {
                    assert_eq!(value, Value::text("canary"));
                    seen.0 += 1;
                }
                Ok(Err(kind)) => {
                    assert_eq!(kind, ErrorKind::PermissionDenied);
                    seen.1 += 1;
                }
                Err(_) => {
                    done.store(true, Ordering::Relaxed);
                    panic!("reading waits for a pipe");
                }
            }
        }
        drop(told);
        done.store(true, Ordering::Relaxed);
        swapper.join().unwrap();
    });
}

#[test]
fn name_with_path_cannot_leave_dir() {
    let world = World::new();
    fs::write(world.above().join("outside"), "canary").unwrap();
    fs::create_dir(world.path("below")).unwrap();
    fs::write(world.path("below/token"), "canary").unwrap();
    let absolute = world.above().join("outside");
    let outside = ["../outside", absolute.to_str().unwrap(), "below/../../outside", ".", ".."];
    for name in outside.into_iter().chain(["below/token", "below"]) {
        for mut vault in [world.read_only(), world.read_write()] {
            assert_eq!(get(&mut *vault, name).unwrap_err().kind(), ErrorKind::NotFound, "{name}");
            let described = vault.describe(&to_describe(name));
            assert_eq!(described.unwrap_err().kind(), ErrorKind::NotFound, "{name}");
        }
        let mut own = world.read_write();
        assert_eq!(own.remove(&to_remove(name)).unwrap_err().kind(), ErrorKind::NotFound, "{name}");
        let kind = set(&mut *own, name, Value::text("canary new")).unwrap_err().kind();
        let expected =
            if name == "below" { ErrorKind::PermissionDenied } else { ErrorKind::Invalid };
        assert_eq!(kind, expected, "{name}");
    }
    assert_eq!(fs::read(absolute).unwrap(), b"canary");
    assert_eq!(fs::read(world.path("below/token")).unwrap(), b"canary");
    assert_eq!(fs::read_dir(world.above()).unwrap().count(), 2);
}

#[test]
fn unnameable_files_are_skipped_and_reported_by_vault_test() {
    use std::os::unix::ffi::OsStrExt;
    let world = World::new();
    world.file("token", "canary");
    fs::create_dir(world.path("below")).unwrap();
    mode(&world.path("below"), 0o700);
    for name in [&b"not-utf8-\xff"[..], b"two\nlines", b"\x1b[2Jclear"] {
        fs::write(world.dir().join(std::ffi::OsStr::from_bytes(name)), "canary").unwrap();
    }
    let mut vault = world.read_only();
    assert_eq!(names(&mut *vault), ["token"]);
    vault.test(&to_test()).unwrap();
    let logged = world.logged();
    assert_eq!(
        logged,
        [
            "left out: `\\u{1b}[2Jclear` is not UTF-8 or has control characters",
            "left out: `below` is a directory",
            "left out: `not-utf8-\u{fffd}` is not UTF-8 or has control characters",
            "left out: `two\\nlines` is not UTF-8 or has control characters",
        ]
    );
}
