//! Writing: complete or not at all, one writer at a time, without leftovers.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use keystead_plugin_api::{Deadline, ErrorKind, SetManyRequest, Value, WriteMode};
use rustix::fs::FlockOperation;

use crate::world::{World, get, mode, names, refused, set, to_remove, to_set, to_test};

/// Temporary file of a write.
const TEMPORARY: &str = "..keystead-new";

fn bits(world: &World, name: &str) -> u32 {
    fs::metadata(world.path(name)).unwrap().permissions().mode() & 0o7777
}

#[test]
fn first_secret_creates_private_dir() {
    let world = World::new();
    fs::remove_dir(world.dir()).unwrap();
    let mut vault = world.read_write();
    assert_eq!(vault.remove(&to_remove("token")).unwrap_err().kind(), ErrorKind::NotFound);
    let mut replace = to_set("a/b", Value::text("canary"));
    refused(vault.set(replace), ErrorKind::Invalid, "cannot be the name of a file: it has a `/`");
    replace = to_set("token", Value::credential("bob", "canary"));
    refused(vault.set(replace), ErrorKind::Unsupported, "this is a credential");
    assert!(!world.dir().exists(), "what was refused made it");

    set(&mut *vault, "token", Value::text("canary")).unwrap();
    assert_eq!((bits(&world, ""), bits(&world, "token")), (0o700, 0o600));
}

#[test]
fn set_replaces_file_atomically() {
    let world = World::new();
    world.file("token", "canary-old");
    mode(&world.path("token"), 0o444);
    let mut before = File::open(world.path("token")).unwrap();
    set(&mut *world.read_write(), "token", Value::text("canary-new")).unwrap();
    let mut seen = String::new();
    before.read_to_string(&mut seen).unwrap();
    assert_eq!(seen, "canary-old", "who was reading sees no mix");
    assert_eq!(fs::read(world.path("token")).unwrap(), b"canary-new");
    assert_eq!(bits(&world, "token"), 0o600);
    assert_ne!(before.metadata().unwrap().ino(), fs::metadata(world.path("token")).unwrap().ino());
    assert!(!world.path(TEMPORARY).exists());
}

#[test]
fn temporary_file_of_killed_writer_is_hidden_and_replaced() {
    let world = World::new();
    world.file(TEMPORARY, "canary-half");
    let mut vault = world.read_write();
    assert!(names(&mut *vault).is_empty());
    assert_eq!(get(&mut *vault, TEMPORARY).unwrap_err().kind(), ErrorKind::NotFound);
    refused(set(&mut *vault, TEMPORARY, Value::text("canary")), ErrorKind::Invalid, "begins with");
    set(&mut *vault, "token", Value::text("canary")).unwrap();
    assert_eq!(fs::read_dir(world.dir()).unwrap().count(), 1);
}

#[test]
fn set_waits_for_dir_lock_until_deadline() {
    let world = World::new();
    world.file("token", "canary-old");
    let other = File::open(world.dir()).unwrap();
    rustix::fs::flock(&other, FlockOperation::LockExclusive).unwrap();
    let mut vault = world.read_write();
    let mut late = to_set("token", Value::text("canary-new"));
    late.deadline = Deadline::after(Duration::from_millis(20));
    assert_eq!(vault.set(late).unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(fs::read(world.path("token")).unwrap(), b"canary-old");
    // Reading needs no lock.
    assert_eq!(get(&mut *vault, "token").unwrap(), Value::text("canary-old"));
    drop(other);
    set(&mut *vault, "token", Value::text("canary-new")).unwrap();
}

#[test]
fn concurrent_creates_of_secret_have_single_winner() {
    let world = World::new();
    fs::remove_dir(world.dir()).unwrap();
    let won: Vec<usize> = std::thread::scope(|scope| {
        let create = |number: usize| {
            let mut vault = world.read_write();
            let mut request = to_set("token", Value::text(format!("canary {number}")));
            request.mode = WriteMode::CreateOnly;
            match vault.set(request) {
                Ok(_) => Some(number),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
                    None
                }
            }
        };
        let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || create(number))).collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    });
    let [winner] = won[..] else { panic!("{won:?}") };
    let expected = Value::text(format!("canary {winner}"));
    assert_eq!(get(&mut *world.read_write(), "token").unwrap(), expected);
}

#[test]
fn dangling_symlink_as_dir_is_rejected() {
    let world = World::new();
    fs::remove_dir(world.dir()).unwrap();
    std::os::unix::fs::symlink("nowhere", world.dir()).unwrap();
    let mut vault = world.read_write();
    let words = "is no directory that stays, and none can be made";
    refused(set(&mut *vault, "token", Value::text("canary")), ErrorKind::Unavailable, words);
    assert_eq!(fs::read_dir(world.above()).unwrap().count(), 1);
}

#[test]
fn write_to_read_only_vault_is_rejected() {
    let world = World::new();
    world.file("token", "canary");
    let mut vault = world.read_only();
    let words = "this vault is read-only: one of the kind `read-write` is written to";
    refused(set(&mut *vault, "token", Value::text("canary-new")), ErrorKind::Unsupported, words);
    refused(vault.remove(&to_remove("token")), ErrorKind::Unsupported, words);
    let each = SetManyRequest::new(vec![to_set("a", Value::text("canary"))]);
    for answer in vault.set_many(each).unwrap().results {
        refused(answer, ErrorKind::Unsupported, words);
    }
    assert_eq!(fs::read(world.path("token")).unwrap(), b"canary");
    assert_eq!(fs::read_dir(world.dir()).unwrap().count(), 1);
}

#[test]
fn set_many_keeps_order_and_continues_after_rejection() {
    let world = World::new();
    let mut create = to_set("a", Value::text("canary-3"));
    create.mode = WriteMode::CreateOnly;
    let mut vault = world.read_write();
    let results = vault
        .set_many(SetManyRequest::new(vec![
            to_set("a", Value::text("canary-1")),
            to_set("a/b", Value::text("canary")),
            to_set("a", Value::text("canary-2")),
            create,
            to_set("map", Value::Map(keystead_plugin_api::Map::new())),
            to_set("bytes", Value::bytes(b"canary".to_vec())),
        ]))
        .unwrap()
        .results;
    let kinds: Vec<_> =
        results.into_iter().map(|result| result.err().map(|error| error.kind())).collect();
    use ErrorKind::{AlreadyExists, Invalid, Unsupported};
    let expected = [None, Some(Invalid), None, Some(AlreadyExists), Some(Unsupported), None];
    assert_eq!(kinds, expected);
    assert_eq!(names(&mut *vault), ["a", "bytes"]);
    assert_eq!(get(&mut *vault, "a").unwrap(), Value::text("canary-2"));
    assert_eq!(get(&mut *vault, "bytes").unwrap(), Value::bytes(b"canary".to_vec()));
    vault.test(&to_test()).unwrap();
    assert!(world.logged().is_empty());
}
