//! Whole vaults of the C ABI, in C and in Go. They pass the same conformance suite as every other
//! plugin, in both placements; some tests check the user's output.

use std::fs;
use std::path::Path;

use keystead::Placement;
use keystead::api::testing::Outcome;
use keystead::internals::Check;
use keystead::reference::Reference;
use keystead::trust::PluginId;

use super::home::Home;
use crate::plugin_files::{c_vault, c_vault_of_later, go_vault, repository};
use crate::scene::Scene;

/// Runs the suite on an installed plugin and returns the obligations it keeps. Panics if one is
/// broken.
fn kept(scene: &Scene, id: &str, placement: Placement, check: &Check) -> Vec<&'static str> {
    let (mut kept, mut broken) = (Vec::new(), Vec::new());
    let id = PluginId::parse(id).unwrap();
    let report = &mut |outcome: &Outcome| match outcome {
        Outcome::Passed { obligation, .. } => kept.push(*obligation),
        Outcome::NotApplicable { .. } => {}
        other => broken.push(other.to_string()),
    };
    keystead::internals::check_installed(&scene.host, &id, placement, check, report).unwrap();
    assert!(broken.is_empty(), "{placement:?}: {broken:#?}");
    kept
}

/// The suite's obligations for a writable vault.
const OF_WRITING: [&str; 6] = [
    "get-what-was-set",
    "list-all",
    "set-create-only",
    "set-many-each",
    "remove-missing",
    "deadline",
];

pub(super) fn passes(file: &Path, id: &str, check: impl Fn(&Scene) -> Check, more: &[&str]) {
    for placement in [Placement::Isolated, Placement::InProcess] {
        let scene = Scene::new();
        scene.install(file);
        let kept = kept(&scene, id, placement, &check(&scene));
        for obligation in OF_WRITING.iter().chain(more) {
            assert!(kept.contains(obligation), "{obligation} was not checked: {kept:?}");
        }
        scene.end();
    }
}

#[test]
fn c_vault_keeps_every_obligation() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = c_vault(dir.path());
    keeps_every_promise(&file, dir.path());
}

/// Runs the suite on the vault in C, without a password and with one from a file in `dir`.
pub(super) fn keeps_every_promise(file: &Path, dir: &Path) {
    let of_metadata = [
        "set-metadata-with-value",
        "set-metadata-replaces",
        "describe-as-listed",
        "set-if-version",
        "remove-if-version",
        "set-metadata-if-version",
        "rules-names",
    ];
    let open = |scene: &Scene| {
        let mut check = Check::new(scene.apart());
        // Enough for a second page of the largest size.
        check.many = Some(1_200);
        check
    };
    passes(file, "c-vault", open, &of_metadata);

    let password = dir.join("password");
    fs::write(&password, "a password\n").unwrap();
    let reference = format!("file:{}", password.display());
    let locked = |scene: &Scene| {
        let mut check = open(scene);
        check.parameters.insert("password".to_owned(), reference.clone());
        check.unlock.insert("password".to_owned(), Reference::parse(&reference).unwrap());
        check
    };
    let of_locking = ["unlock-right", "unlock-wrong", "unlock-stale", "lock-locks", "no-prompt"];
    passes(file, "c-vault", locked, &of_locking);
}

#[test]
#[ignore = "needs go"]
fn go_vault_keeps_every_obligation_needs_go() {
    let in_file = |scene: &Scene| {
        let mut check = Check::new(scene.apart());
        check.parameters.insert("file".to_owned(), "{vault}.json".to_owned());
        // Each write rewrites the whole file.
        check.many = Some(300);
        check
    };
    passes(&go_vault(), "go-vault", in_file, &["own-handle", "open-no-effect", "set-many-kept"]);
}

/// The guides for authors show tested code: in C and Go from the vaults above, in Rust from the
/// plugins of this repository.
#[test]
fn author_guides_show_only_tested_code() {
    let read = |path: &str| fs::read_to_string(repository().join(path)).unwrap();
    for (page, language, sources, at_least) in [
        // A test of its own compiles and runs the writer's part.
        (
            "docs/guides/writing-a-plugin-in-c.md",
            "```c\n",
            ["tests/plugins/c-vault/c_vault.c", "host/lib/src/plugin/c_abi/tests/writer.c"],
            4,
        ),
        (
            "docs/guides/writing-a-plugin-in-c.md",
            "```go\n",
            ["tests/plugins/go-vault/vault.go", "tests/plugins/go-vault/glue.c"],
            1,
        ),
        (
            "docs/guides/writing-a-plugin.md",
            "```rust\n",
            ["plugin-api/docs/memory.rs", "plugins/files/src/vault.rs"],
            2,
        ),
    ] {
        let sources = sources.map(read).concat();
        let page = read(page);
        let blocks: Vec<_> = page.split(language).skip(1).collect();
        for block in &blocks {
            let block = block.split("```").next().unwrap();
            assert!(sources.contains(block), "this is in no plugin:\n{block}");
        }
        assert!(blocks.len() >= at_least, "{} pieces of code in {language}", blocks.len());
    }
}

#[test]
fn c_vault_works_with_get_list_and_doctor() {
    let home = Home::new();
    let file = c_vault(home.path("").as_path());
    home.installs(&file, "c-vault");
    let shown = home.run(&["plugin", "show", "c-vault"]);
    assert!(shown.contains("\nContract:    1.0.0 (c-1)\n"), "{shown}");
    // Each command opens the vault again and its secrets are lost, as its description states.
    assert_eq!(
        home.run(&["get", "a", "--vault", "odd"]),
        "exit 3\nError: No secret `a` in vault `odd`\nHint: run `keystead list` to see what there is\n\
         Code: E12.no-such-secret\n"
    );
    assert_eq!(home.run(&["list", "--vault", "odd"]), "exit 0\n");
    let told = home.run(&["doctor"]);
    assert!(!told.contains("door"), "{told}");
}

#[test]
fn unknown_metadata_kind_is_warned_of_and_not_exported() {
    let home = Home::new();
    let file = c_vault_of_later(home.path("").as_path());
    home.installs(&file, "c-vault");
    let listed = home.run(&["list", "--vault", "odd"]);
    assert!(listed.contains("Warning: 1 secret has more metadata, of a kind"), "{listed}");
    let shown = home.run(&["show", "a", "--vault", "odd"]);
    assert!(shown.contains("Warning: there is more metadata, of a kind"), "{shown}");
    assert_eq!(home.run(&["get", "a", "--vault", "odd"]), "exit 0\ncanary");
    let exported = home.run(&["export", "--vault", "odd", "--yes"]);
    assert!(!exported.starts_with("exit 0") && !exported.contains("canary"), "{exported}");
    assert!(exported.contains("it has metadata of a kind that is unknown here"), "{exported}");
    let changed = home.run(&["meta", "set", "a", "x=1", "--vault", "odd"]);
    assert!(changed.contains("would be lost by this"), "{changed}");
}

#[test]
#[ignore = "needs go"]
fn go_vault_keeps_secrets_between_commands_needs_go() {
    let home = Home::new();
    let file = home.path("plugin.so");
    fs::copy(go_vault(), &file).unwrap();
    let file = file.to_str().unwrap();
    let told = home.run(&["plugin", "install", "--yes", file]);
    assert!(told.starts_with("exit 0\n"), "{told}");
    let register = ["vault", "register", "--yes", "odd", "--plugin", "go-vault"];
    let told = home.run(&[&register[..], &["--param", "file=own/secrets.json"]].concat());
    assert!(told.starts_with("exit 0\n"), "{told}");
    let value = home.file("value", b"correct horse");
    let set = ["set", "a/b", "--vault", "odd", "--file", value.to_str().unwrap()];
    let told = home.run(&set);
    assert!(told.starts_with("exit 0\n"), "{told}");
    assert_eq!(home.run(&["get", "a/b", "--vault", "odd"]), "exit 0\ncorrect horse");
    let told = home.run(&["list", "--vault", "odd", "--json"]);
    assert!(told.contains("\"name\":\"a/b\"") && told.contains("\"kind\":\"text\""), "{told}");
}
