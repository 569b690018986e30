//! UTF-8 bytes are read back as bytes, by an index beside the files. The kind of content from other
//! programs depends on its bytes.

use std::fs::{self, File, FileTimes};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use keystead_plugin_api::{ErrorKind, SetManyRequest, Value, WriteMode};

use crate::world::{World, get, names, refused, set, to_remove, to_set, to_test};

/// Name of the index file.
const INDEX: &str = "..keystead-bytes";

fn bytes() -> Value {
    Value::bytes(b"canary".to_vec())
}

fn lines(world: &World) -> Vec<String> {
    let text = fs::read_to_string(world.path(INDEX)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Appends to the index a line that another program wrote, or an incomplete one.
fn append(world: &World, text: &str) {
    let mut file = File::options().append(true).open(world.path(INDEX)).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn kind_is_stored_in_private_index_and_not_in_file() {
    let world = World::new();
    set(&mut *world.read_write(), "key", bytes()).unwrap();
    assert_eq!(fs::read(world.path("key")).unwrap(), b"canary");
    let mut names = [0u8; 256];
    let len = rustix::fs::listxattr(world.path("key"), &mut names[..]).unwrap_or(0);
    assert!(!String::from_utf8_lossy(&names[..len]).contains("keystead"));
    let about = fs::metadata(world.path("key")).unwrap();
    let line = format!(
        "bytes {} {} {} {} key",
        about.ino(),
        about.len(),
        about.mtime(),
        about.mtime_nsec()
    );
    assert_eq!(lines(&world), [line]);
    let index = fs::metadata(world.path(INDEX)).unwrap();
    assert_eq!(index.permissions().mode() & 0o7777, 0o600);
}

#[test]
fn index_is_not_listed_readable_or_writable_as_secret() {
    let world = World::new();
    let mut vault = world.read_write();
    set(&mut *vault, "key", bytes()).unwrap();
    assert!(world.path(INDEX).exists());
    for mut vault in [vault, world.read_only()] {
        assert_eq!(names(&mut *vault), ["key"]);
        assert_eq!(get(&mut *vault, INDEX).unwrap_err().kind(), ErrorKind::NotFound);
        vault.test(&to_test()).unwrap();
    }
    assert!(world.logged().is_empty());
    let mut vault = world.read_write();
    refused(set(&mut *vault, INDEX, bytes()), ErrorKind::Invalid, "begins with");
    assert_eq!(vault.remove(&to_remove(INDEX)).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn renamed_or_time_preserving_copy_stays_bytes() {
    let world = World::new();
    set(&mut *world.read_write(), "key", bytes()).unwrap();
    fs::rename(world.path("key"), world.path("renamed")).unwrap();
    assert_eq!(get(&mut *world.read_only(), "renamed").unwrap(), bytes());

    // A restored directory has other inode numbers, but the same names and times.
    let restored = World::new();
    set(&mut *world.read_write(), "key", bytes()).unwrap();
    for name in ["key", INDEX] {
        restored.file(name, fs::read(world.path(name)).unwrap());
    }
    assert_eq!(get(&mut *restored.read_only(), "key").unwrap(), Value::text("canary"));
    let at = fs::metadata(world.path("key")).unwrap().modified().unwrap();
    let times = FileTimes::new().set_modified(at);
    File::options().write(true).open(restored.path("key")).unwrap().set_times(times).unwrap();
    assert_eq!(get(&mut *restored.read_only(), "key").unwrap(), bytes());
}

#[test]
fn file_changed_by_another_program_becomes_text() {
    let world = World::new();
    let mut vault = world.read_write();
    for replaces in [true, false] {
        set(&mut *vault, "key", bytes()).unwrap();
        if replaces {
            world.file("new", "canarx");
            fs::rename(world.path("new"), world.path("key")).unwrap();
        } else {
            fs::write(world.path("key"), "canarx").unwrap();
            // The next moment that the file clock distinguishes.
            let at = fs::metadata(world.path("key")).unwrap().modified().unwrap();
            let times = FileTimes::new().set_modified(at + std::time::Duration::from_millis(1));
            File::options().write(true).open(world.path("key")).unwrap().set_times(times).unwrap();
        }
        assert_eq!(get(&mut *vault, "key").unwrap(), Value::text("canarx"), "{replaces}");
    }
}

#[test]
fn rapid_writes_of_equal_size_keep_their_kinds() {
    let world = World::new();
    let mut vault = world.read_write();
    for round in 0..100 {
        set(&mut *vault, "key", bytes()).unwrap();
        assert_eq!(get(&mut *vault, "key").unwrap(), bytes(), "{round}");
        set(&mut *vault, "key", Value::text("canary")).unwrap();
        assert_eq!(get(&mut *vault, "key").unwrap(), Value::text("canary"), "{round}");
    }
    let mut each = Vec::new();
    for number in 0..50 {
        each.push(to_set(&format!("bytes-{number}"), bytes()));
        each.push(to_set(&format!("text-{number}"), Value::text("canary")));
    }
    assert!(vault.set_many(SetManyRequest::new(each)).unwrap().results.iter().all(Result::is_ok));
    for number in 0..50 {
        assert_eq!(get(&mut *vault, &format!("bytes-{number}")).unwrap(), bytes());
        assert_eq!(get(&mut *vault, &format!("text-{number}")).unwrap(), Value::text("canary"));
    }
}

#[test]
fn kind_survives_writer_killed_at_any_step() {
    let world = World::new();
    set(&mut *world.read_write(), "key", bytes()).unwrap();
    // Killed after the index was written and before the file was renamed.
    append(&world, "bytes 1 6 1700000000 5 key\n");
    world.file("..keystead-new", "canarx");
    assert_eq!(get(&mut *world.read_only(), "key").unwrap(), bytes());
    // Killed within a line of the index.
    append(&world, "bytes 1 6 170000");
    assert_eq!(get(&mut *world.read_only(), "key").unwrap(), bytes());
    set(&mut *world.read_write(), "other", bytes()).unwrap();
    for name in ["key", "other"] {
        assert_eq!(get(&mut *world.read_only(), name).unwrap(), bytes(), "{name}");
    }
    // Killed while the index was rewritten.
    world.file("..keystead-bytes-new", "bytes 1");
    world.read_write().remove(&to_remove("other")).unwrap();
    assert_eq!(get(&mut *world.read_only(), "key").unwrap(), bytes());
    assert_eq!(lines(&world).len(), 1);
    assert!(!world.path("..keystead-bytes-new").exists());
}

#[test]
fn index_drops_removed_names_and_stays_small() {
    let world = World::new();
    let mut vault = world.read_write();
    set(&mut *vault, "key", bytes()).unwrap();
    set(&mut *vault, "other", bytes()).unwrap();
    vault.remove(&to_remove("key")).unwrap();
    assert_eq!(lines(&world).len(), 1);
    assert!(lines(&world)[0].ends_with(" other"));
    // A text has no line.
    set(&mut *vault, "other", Value::text("canary")).unwrap();
    assert!(!world.path(INDEX).exists());
    // Repeated writes do not make the index grow without limit.
    for _ in 0..200 {
        set(&mut *vault, "key", bytes()).unwrap();
    }
    assert!(lines(&world).len() < 100, "{}", lines(&world).len());
    assert_eq!(get(&mut *vault, "key").unwrap(), bytes());
}

#[test]
fn index_writable_by_other_users_or_symlink_is_ignored() {
    let world = World::new();
    let mut vault = world.read_write();
    set(&mut *vault, "key", bytes()).unwrap();
    crate::world::mode(&world.path(INDEX), 0o666);
    assert_eq!(get(&mut *vault, "key").unwrap(), Value::text("canary"));
    set(&mut *vault, "key", bytes()).unwrap();
    assert_eq!(get(&mut *vault, "key").unwrap(), bytes());
    assert_eq!(lines(&world).len(), 1);
    // A link is not followed either.
    let elsewhere = world.above().join("elsewhere");
    fs::rename(world.path(INDEX), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, world.path(INDEX)).unwrap();
    assert_eq!(get(&mut *vault, "key").unwrap(), Value::text("canary"));
    let before = fs::read(&elsewhere).unwrap();
    set(&mut *vault, "key", bytes()).unwrap();
    assert_eq!(get(&mut *vault, "key").unwrap(), bytes());
    assert_eq!(fs::read(&elsewhere).unwrap(), before);
}

#[test]
fn rejected_create_keeps_kind_of_existing_secret() {
    let world = World::new();
    let mut vault = world.read_write();
    set(&mut *vault, "key", bytes()).unwrap();
    let mut create = to_set("key", Value::text("canarx"));
    create.mode = WriteMode::CreateOnly;
    assert_eq!(vault.set(create).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(get(&mut *vault, "key").unwrap(), bytes());
}

#[test]
fn file_with_legacy_bytes_attribute_is_bytes() {
    let world = World::new();
    world.file("key", "canary");
    let flags = rustix::fs::XattrFlags::empty();
    let marked = rustix::fs::setxattr(world.path("key"), "user.keystead.kind", b"bytes", flags);
    // On a file system without attributes, no earlier build could write such a file.
    let expected = if marked.is_ok() { bytes() } else { Value::text("canary") };
    assert_eq!(get(&mut *world.read_only(), "key").unwrap(), expected);
    let mut vault = world.read_write();
    set(&mut *vault, "key", Value::text("canary")).unwrap();
    assert_eq!(get(&mut *vault, "key").unwrap(), Value::text("canary"));
}
