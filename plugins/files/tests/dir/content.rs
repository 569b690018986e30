//! Text, bytes, the size limit and metadata.

use std::fs::{self, File};
use std::time::{Duration, UNIX_EPOCH};

use keystead_plugin_api::{
    ErrorKind, GetManyRequest, MAX_VALUE_BYTES, Metadata, MetadataValue, Value,
};

use crate::world::{World, ask, entries, get, names, refused, set, to_describe, to_test};

#[test]
fn file_of_another_program_is_read_byte_for_byte() {
    let world = World::new();
    let cases: [(&str, &[u8], Value); 6] = [
        ("text", b"canary\n", Value::text("canary\n")),
        ("crlf", b"canary\r\n", Value::text("canary\r\n")),
        ("mark", b"\xef\xbb\xbfcanary", Value::text("\u{feff}canary")),
        ("nul", b"can\0ary", Value::text("can\0ary")),
        ("empty", b"", Value::text("")),
        ("binary", b"\x89PNG\r\n\x1a\n\xff", Value::bytes(b"\x89PNG\r\n\x1a\n\xff".to_vec())),
    ];
    for (name, bytes, _) in &cases {
        world.file(name, bytes);
    }
    for mut vault in [world.read_only(), world.read_write()] {
        for (name, _, value) in &cases {
            assert_eq!(get(&mut *vault, name).unwrap(), *value, "{name}");
        }
    }
    assert_eq!(get(&mut *world.trimmed(), "text").unwrap(), Value::text("canary"));
    assert_eq!(get(&mut *world.trimmed(), "binary").unwrap(), cases[5].2);
}

#[test]
fn utf8_bytes_stay_bytes_until_file_is_replaced() {
    let world = World::new();
    let mut vault = world.read_write();
    set(&mut *vault, "key", Value::bytes(b"canary".to_vec())).unwrap();
    assert_eq!(fs::read(world.path("key")).unwrap(), b"canary");
    assert_eq!(get(&mut *vault, "key").unwrap(), Value::bytes(b"canary".to_vec()));
    // A read-only vault also reads the mark.
    assert_eq!(get(&mut *world.read_only(), "key").unwrap(), Value::bytes(b"canary".to_vec()));

    set(&mut *vault, "key", Value::text("canary")).unwrap();
    assert_eq!(get(&mut *vault, "key").unwrap(), Value::text("canary"));

    set(&mut *vault, "key", Value::bytes(b"canary".to_vec())).unwrap();
    world.file("new", fs::read(world.path("key")).unwrap());
    fs::rename(world.path("new"), world.path("key")).unwrap();
    assert_eq!(get(&mut *vault, "key").unwrap(), Value::text("canary"));
}

#[test]
fn text_with_trim_newline_is_stored_with_final_newline() {
    let world = World::new();
    let mut vault = world.trimmed();
    for (value, bytes) in [("canary", "canary\n"), ("canary\n", "canary\n\n"), ("", "\n")] {
        set(&mut *vault, "token", Value::text(value)).unwrap();
        assert_eq!(fs::read(world.path("token")).unwrap(), bytes.as_bytes());
        assert_eq!(get(&mut *vault, "token").unwrap(), Value::text(value));
    }
}

#[test]
fn file_over_size_limit_is_listed_and_rejected_by_path() {
    let world = World::new();
    let large = |name: &str, len: u64| {
        world.file(name, "");
        File::options().write(true).open(world.path(name)).unwrap().set_len(len).unwrap();
    };
    let limit = u64::try_from(MAX_VALUE_BYTES).unwrap();
    large("fits", limit - 64);
    large("over", limit + 1);
    large("huge", 1 << 40);
    let mut vault = world.read_only();
    let Value::Text(text) = get(&mut *vault, "fits").unwrap() else { panic!("not a text") };
    assert_eq!(text.expose().len(), MAX_VALUE_BYTES - 64);
    for name in ["over", "huge"] {
        let shown = world.path(name).display().to_string();
        let words = format!("{shown} has more than the {MAX_VALUE_BYTES} bytes");
        refused(get(&mut *vault, name), ErrorKind::Unsupported, &words);
    }
    // The large secrets are listed nevertheless.
    assert_eq!(names(&mut *vault), ["fits", "huge", "over"]);
}

#[test]
fn file_metadata_is_modification_time_only() {
    let world = World::new();
    world.file("token", "canary");
    let at = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    File::options().write(true).open(world.path("token")).unwrap().set_modified(at).unwrap();
    let mut expected = Metadata::new();
    expected.insert_read_only("updated", MetadataValue::Timestamp(1_700_000_000_123)).unwrap();
    let mut vault = world.read_only();
    let [entry] = &entries(&mut *vault)[..] else { panic!("not one") };
    assert_eq!((entry.name.as_str(), entry.kind, &entry.metadata), ("token", None, &expected));
    assert_eq!(vault.describe(&to_describe("token")).unwrap(), *entry);
    assert_eq!(vault.get(&ask("token")).unwrap().metadata, expected);
}

#[test]
fn missing_dir_is_unavailable_only_in_read_only_vault() {
    let world = World::new();
    fs::remove_dir(world.dir()).unwrap();
    let mut vault = world.read_only();
    let words = format!("the directory {} is not there", world.dir().display());
    refused(get(&mut *vault, "token"), ErrorKind::Unavailable, &words);
    refused(vault.describe(&to_describe("token")), ErrorKind::Unavailable, &words);
    refused(vault.test(&to_test()), ErrorKind::Unavailable, &words);
    refused(
        vault.get_many(&GetManyRequest::new(vec![ask("token")])),
        ErrorKind::Unavailable,
        &words,
    );
    let list = keystead_plugin_api::ListRequest::new(crate::world::soon());
    refused(vault.list(&list), ErrorKind::Unavailable, &words);

    let mut own = world.read_write();
    assert_eq!(get(&mut *own, "token").unwrap_err().kind(), ErrorKind::NotFound);
    assert!(names(&mut *own).is_empty());
    own.test(&to_test()).unwrap();
    assert_eq!(world.logged(), ["there is no directory yet: the first secret makes it"]);
    assert!(!world.dir().exists());

    // The path leads to a file.
    fs::write(world.dir(), "canary").unwrap();
    refused(get(&mut *vault, "token"), ErrorKind::Invalid, "is not a directory");
}
