//! Moves within one vault that can rename its secrets.

use keystead::Placement;

use super::scene;
use super::transfer::{moved, named, names, run};
use crate::plugin_files::plugin;

#[test]
fn move_within_vault_uses_rename_call() {
    let scene = scene();
    let host = &scene.host;
    // This plugin supports neither writes nor removals.
    let vault = scene.vault("renames", &plugin("renames"), Placement::Isolated);
    let renamed = |from, to| run(host, named(moved(from, &vault, &vault), to));
    assert_eq!(renamed("a", "b").unwrap(), ["a: written"]);
    assert_eq!(names(host, &vault), ["b"]);
    // If the vault rejects the rename, the host copies and removes instead. Here the copy fails.
    let told = format!("opened by keystead {}", env!("CARGO_PKG_VERSION"));
    assert!(scene.log.all().iter().any(|line| line.contains(&told)), "{:?}", scene.log.all());
    let stuck = renamed("b", "stuck").unwrap();
    assert!(stuck[0].contains("this vault cannot be written to"), "{stuck:?}");
    assert_eq!(names(host, &vault), ["b"]);
    scene.end();
}
