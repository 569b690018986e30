//! Checks of file modes. The unit tests of the rule cover owners: only root could create files of
//! another user here.

use keystead_plugin_api::{ErrorKind, Value};

use crate::world::{World, get, mode, names, refused, set, to_test};

#[test]
fn file_writable_by_other_users_is_rejected() {
    let world = World::new();
    world.file("token", "canary");
    for allowed in [0o400, 0o600, 0o440, 0o444, 0o644, 0o755] {
        mode(&world.path("token"), allowed);
        assert_eq!(get(&mut *world.read_only(), "token").unwrap(), Value::text("canary"));
    }
    for wrong in [0o620, 0o602, 0o666, 0o777] {
        mode(&world.path("token"), wrong);
        let shown = world.path("token").display().to_string();
        let words = format!(
            "others may write {shown} (mode {wrong:03o}): run `chmod go-w {shown}` if that is not \
             meant"
        );
        for mut vault in [world.read_only(), world.read_write()] {
            refused(get(&mut *vault, "token"), ErrorKind::PermissionDenied, &words);
            // The secret is listed, and a test reports it.
            assert_eq!(names(&mut *vault), ["token"]);
            world.logged();
            refused(vault.test(&to_test()), ErrorKind::PermissionDenied, "one secret in");
            assert_eq!(world.logged(), [words.as_str()]);
        }
    }
    // A replacement has the correct mode.
    set(&mut *world.read_write(), "token", Value::text("canary")).unwrap();
    get(&mut *world.read_only(), "token").unwrap();
}

#[test]
fn dir_writable_by_other_users_is_rejected_unless_sticky() {
    let world = World::new();
    world.file("token", "canary");
    for wrong in [0o770, 0o702, 0o777] {
        mode(&world.dir(), wrong);
        let words = format!("others may write {} (mode {wrong:03o})", world.dir().display());
        for mut vault in [world.read_only(), world.read_write()] {
            refused(get(&mut *vault, "token"), ErrorKind::PermissionDenied, &words);
            refused(vault.test(&to_test()), ErrorKind::PermissionDenied, &words);
        }
        refused(
            set(&mut *world.read_write(), "b", Value::text("canary")),
            ErrorKind::PermissionDenied,
            &words,
        );
    }
    // The mode of a Kubernetes volume: other users may add files but not replace any.
    mode(&world.dir(), 0o1777);
    get(&mut *world.read_only(), "token").unwrap();
    let mut own = world.read_write();
    refused(set(&mut *own, "b", Value::text("canary")), ErrorKind::PermissionDenied, "mode 1777");
    refused(own.test(&to_test()), ErrorKind::PermissionDenied, "mode 1777");
    assert_eq!(names(&mut *own), ["token"]);
}

#[test]
fn vault_test_reports_files_readable_by_every_user() {
    let world = World::new();
    for name in ["a", "b"] {
        world.file(name, "canary");
        mode(&world.path(name), 0o444);
    }
    let mut vault = world.read_only();
    vault.test(&to_test()).unwrap();
    assert!(world.logged().is_empty(), "nobody else may enter the directory");
    mode(&world.dir(), 0o755);
    vault.test(&to_test()).unwrap();
    assert_eq!(world.logged(), ["every user may read 2 of the files"]);
}
