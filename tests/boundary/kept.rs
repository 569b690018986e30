//! Plugins built with each kept version of the contract (`cargo xtask contract`). The current host
//! loads them, and they keep their obligations. Their sources build with the current contract.

use std::fs;
use std::path::{Path, PathBuf};

use keystead::internals::Check;

use super::c_vaults;
use super::out_of_tree::{build, cache, use_it};
use super::skew::told;
use crate::plugin_files::{
    Contract, cargo, compiled, copy_dir, include, packaged_api, repository, succeed,
};
use crate::scene::Scene;

/// Returns each version with a kept copy, and the path of that copy.
fn versions() -> Vec<(String, PathBuf)> {
    let copies = fs::read_dir(repository().join("tests/fixtures/contract")).unwrap();
    let paths = copies.map(|entry| entry.unwrap().path());
    let named = |path: PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), path);
    let versions: Vec<_> = paths.map(named).collect();
    assert!(!versions.is_empty(), "run `cargo xtask contract --write`");
    versions
}

/// Copies a kept reference plugin and this plugin-api to a build directory, and returns that path.
fn project(label: &str, copy: &Path, api: &Path) -> PathBuf {
    let root = cache().join("source").join(label);
    copy_dir(api, &root.join("plugin-api"));
    copy_dir(&copy.join("plugins"), &root.join("plugins"));
    root.join("plugins/outside")
}

#[test]
fn rust_plugin_of_each_kept_contract_works_in_current_host() {
    for (version, copy) in versions() {
        let label = format!("kept-{version}");
        let plugin = project(&label, &copy, &copy.join("plugin-api"));
        let (file, skew) = build(cargo(&plugin), &label, "dev", Contract::Today);
        use_it(&file);
        for host in [Contract::Today, Contract::Next] {
            let told = told(host, &skew);
            assert!(told.starts_with("fit: exact\nget: w"), "{version} in {host:?}: {told}");
            assert!(told.contains("\nset_many: works\n"), "{version} in {host:?}: {told}");
        }
        let in_file = |scene: &Scene| {
            let mut check = Check::new(scene.apart());
            check.parameters.insert("file".to_owned(), "{vault}.secrets".to_owned());
            check.many = Some(300);
            check
        };
        let more =
            ["own-handle", "open-no-effect", "set-if-version", "rename-moves", "rules-names"];
        c_vaults::passes(&file, "memory", in_file, &more);
    }
}

#[test]
fn c_vault_of_each_kept_header_works_in_current_host() {
    for (_, copy) in versions() {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let headers = format!("-I{}", copy.join("plugin-api/include").display());
        let file = compiled(&dir.path().join("kept.so"), &copy.join("c_vault.c"), &headers);
        c_vaults::keeps_every_promise(&file, dir.path());
    }
}

#[test]
fn sources_of_each_kept_contract_build_with_current_api() {
    for (version, copy) in versions() {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        compiled(&dir.path().join("kept.so"), &copy.join("c_vault.c"), &include());
        let label = format!("kept-{version}-today");
        let plugin = project(&label, &copy, packaged_api());
        // Only checked: the tests of out-of-tree plugins build today's plugin in the same way.
        let mut check = cargo(&plugin);
        check.env("CARGO_TARGET_DIR", cache().join(&label));
        succeed(check.args(["check", "--locked"]));
    }
}
