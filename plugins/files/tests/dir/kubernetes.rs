//! Volumes of Kubernetes: a link `..data` to a directory that holds the files, switched as a whole
//! during reads.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use keystead_plugin_api::{ErrorKind, GetManyRequest, ListRequest, Value};

use crate::world::{
    World, ask, get, mode, names, refused, set, soon, to_describe, to_remove, to_test,
};

/// Minimum number of reads during switches.
const READS: usize = 2_000;

/// Writes a generation of a volume as the kubelet does, and removes the previous one.
fn publish(world: &World, generation: usize, files: &[(&str, &str)]) {
    let old = fs::read_link(world.path("..data")).ok();
    let new = format!("..2026_11_26_02_23_32.{generation:010}");
    fs::create_dir(world.path(&new)).unwrap();
    for (name, content) in files {
        let path = world.path(&new).join(name);
        fs::write(&path, content).unwrap();
        mode(&path, 0o644);
        if fs::symlink_metadata(world.path(name)).is_err() {
            symlink(format!("..data/{name}"), world.path(name)).unwrap();
        }
    }
    mode(&world.path(&new), 0o755);
    symlink(&new, world.path("..data_tmp")).unwrap();
    fs::rename(world.path("..data_tmp"), world.path("..data")).unwrap();
    if let Some(old) = old {
        fs::remove_dir_all(world.dir().join(old)).unwrap();
    }
}

#[test]
fn kubernetes_volume_lists_only_its_keys() {
    let world = World::new();
    mode(&world.dir(), 0o1777);
    publish(&world, 1, &[("user", "bob"), (".dockerconfigjson", "{}"), ("password", "canary")]);
    let mut vault = world.read_only();
    assert_eq!(names(&mut *vault), [".dockerconfigjson", "password", "user"]);
    assert_eq!(get(&mut *vault, "password").unwrap(), Value::text("canary"));
    vault.describe(&to_describe("user")).unwrap();
    vault.test(&to_test()).unwrap();
    assert_eq!(world.logged(), ["every user may read 3 of the files"]);
    for name in ["..data", "..2026_11_26_02_23_32.0000000001", "..data/password"] {
        assert_eq!(get(&mut *vault, name).unwrap_err().kind(), ErrorKind::NotFound, "{name}");
    }
    // Publishes the next generation; the handle stays open.
    publish(&world, 2, &[("password", "canary-2"), ("user", "bob")]);
    assert_eq!(get(&mut *vault, "password").unwrap(), Value::text("canary-2"));
    assert_eq!(names(&mut *vault), ["password", "user"]);
    assert_eq!(get(&mut *vault, ".dockerconfigjson").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn write_to_kubernetes_volume_is_rejected() {
    let world = World::new();
    publish(&world, 1, &[("password", "canary")]);
    let mut vault = world.read_write();
    assert_eq!(get(&mut *vault, "password").unwrap(), Value::text("canary"));
    let words = "is a volume of Kubernetes, which alone writes to it";
    refused(set(&mut *vault, "new", Value::text("canary")), ErrorKind::Unsupported, words);
    refused(vault.remove(&to_remove("password")), ErrorKind::Unsupported, words);
    assert_eq!(names(&mut *vault), ["password"]);
}

#[test]
fn reads_during_volume_swaps_see_single_generation() {
    let world = World::new();
    let write = |generation: usize| {
        let content = format!("canary of {generation}");
        // One key alternates, so that listings differ between generations.
        let third = if generation.is_multiple_of(2) { "even" } else { "odd" };
        publish(&world, generation, &[("user", &content), ("password", &content), (third, "x")]);
        // Stale links are removed last, as by the kubelet.
        let stale = if generation.is_multiple_of(2) { "odd" } else { "even" };
        let _ = fs::remove_file(world.path(stale));
    };
    write(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut generation = 0;
            while !done.load(Ordering::Relaxed) {
                generation += 1;
                write(generation);
            }
        });
        // A failure here must not leave the writer running.
        let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut vault = world.read_only();
            let mut seen = std::collections::BTreeSet::new();
            let mut reads = 0;
            // Reads until two generations were seen, and at least `READS` times.
            while reads < READS || seen.len() < 2 {
                reads += 1;
                let both = vault
                    .get_many(&GetManyRequest::new(vec![ask("user"), ask("password")]))
                    .unwrap();
                let [user, password] = both
                    .results
                    .try_into()
                    .ok()
                    .map(|both: [_; 2]| both.map(|one| one.unwrap().value))
                    .unwrap();
                assert_eq!(user, password);
                if let Value::Text(text) = user {
                    seen.insert(text.expose().to_owned());
                }
                get(&mut *vault, "user").unwrap();
                vault.describe(&to_describe("password")).unwrap();
                let listed = names(&mut *vault);
                assert!(
                    listed == ["even", "password", "user"] || listed == ["odd", "password", "user"],
                    "{listed:?}"
                );
            }
        }));
        done.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        read.unwrap();
    });
}

#[test]
fn listing_pages_come_from_single_generation() {
    let world = World::new();
    publish(&world, 1, &[("a", "1"), ("b", "1"), ("c", "1")]);
    let mut vault = world.read_only();
    let mut request = ListRequest::new(soon());
    request.limit = 1;
    let first = vault.list(&request).unwrap();
    publish(&world, 2, &[("a", "2"), ("d", "2")]);
    request.cursor = first.next_cursor;
    request.limit = 10;
    let rest = vault.list(&request).unwrap();
    let listed: Vec<_> = rest.entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!((listed, rest.next_cursor), (vec!["b", "c"], None));
    assert_eq!(names(&mut *vault), ["a", "d"]);
    // A cursor from another handle marks its position in the alphabet.
    request.cursor = Some("b".to_owned());
    let listed = vault.list(&request).unwrap();
    assert_eq!(listed.entries[0].name.as_str(), "d");
}

#[test]
fn data_link_to_anything_but_sibling_dir_is_rejected() {
    let world = World::new();
    let outside = world.above().join("..outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("password"), "canary").unwrap();
    symlink(&outside, world.path("..link")).unwrap();
    fs::write(world.path("..file"), "canary").unwrap();
    let absolute = outside.to_str().unwrap();
    let targets = [absolute, "../..outside", "..", ".", "../secrets", "plain", "..link", "..file"];
    for target in targets {
        let _ = fs::remove_file(world.path("..data"));
        symlink(target, world.path("..data")).unwrap();
        let words = "does not lead to a directory beside it";
        refused(get(&mut *world.read_only(), "password"), ErrorKind::PermissionDenied, words);
        refused(
            world.read_only().list(&ListRequest::new(soon())),
            ErrorKind::PermissionDenied,
            words,
        );
    }
    // A link without a target counts as a switch in progress until the deadline.
    fs::remove_file(world.path("..data")).unwrap();
    symlink("..gone", world.path("..data")).unwrap();
    let mut late = ask("password");
    late.deadline = keystead_plugin_api::Deadline::after(std::time::Duration::from_millis(20));
    assert_eq!(world.read_only().get(&late).unwrap_err().kind(), ErrorKind::TimedOut);
}
