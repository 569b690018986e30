//! A plugin outside of this repository, with its own lock file and plugin-api from `cargo package`.
//! Several compilers and profiles build the plugin against today's contract and a later one. Hosts
//! of both load the result.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use keystead::Placement;
use keystead::api::{Metadata, SecretName, Value, WriteMode};
use keystead::{NewSecret, NonInteractive, RunMode, SearchScope};

use super::skew::matrix::{Language, check};
use crate::plugin_files::{
    Contract, Profile, cargo, cargo_of, copy_dir, copy_one, packaged_api, repository, succeed,
    target,
};
use crate::scene::Scene;

/// Returns the directory that keeps build results from run to run.
pub(super) fn cache() -> PathBuf {
    std::env::var_os("KEYSTEAD_TEST_CACHE").map_or_else(target, PathBuf::from).join("out-of-tree")
}

/// A directory outside of any workspace, with plugin-api as packaged and copies of the reference
/// plugin and of `skew`.
struct Project {
    plugin: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

/// Returns the project. With a cache its path is the same each time, so that cargo rebuilds only
/// changed files.
fn project(compiler: &str) -> Project {
    if std::env::var_os("KEYSTEAD_TEST_CACHE").is_some() {
        let plugin = copied(&cache().join("source").join(compiler));
        return Project { plugin, _temporary: None };
    }
    let dir = tempfile::tempdir().unwrap();
    Project { plugin: copied(dir.path()), _temporary: Some(dir) }
}

fn copied(root: &Path) -> PathBuf {
    let repository = repository();
    copy_dir(packaged_api(), &root.join("plugin-api"));
    let plugin = root.join("plugins/outside");
    copy_dir(&repository.join("plugins/memory/src"), &plugin.join("src"));
    copy_dir(&repository.join("tests/plugins/skew/src"), &plugin.join("skew"));
    for file in ["Cargo.toml", "Cargo.lock"] {
        let fixture = repository.join("tests/plugins/out-of-tree").join(file);
        copy_one(&fixture, &plugin.join(file));
    }
    plugin
}

/// Returns a directory with the sources of all packages in the lock. An old cargo cannot fetch them
/// itself, as registries no longer support its protocol.
fn vendored(plugin: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    fs::read(plugin.join("Cargo.lock")).unwrap().hash(&mut hasher);
    let dir = cache().join(format!("vendor-{:016x}", hasher.finish()));
    if !dir.exists() {
        let new = cache().join(format!("vendor-new-{}", std::process::id()));
        succeed(cargo(plugin).args(["vendor", "--locked", "--versioned-dirs"]).arg(&new));
        // The rename is atomic; a copy that another process made is as good.
        let _ = fs::rename(&new, &dir);
        let _ = fs::remove_dir_all(&new);
    }
    dir
}

/// Builds the plugins with this contract and returns their paths.
pub(super) fn build(
    mut cargo: Command,
    compiler: &str,
    profile: &str,
    contract: Contract,
) -> (PathBuf, PathBuf) {
    let (own, features) = match contract {
        Contract::Today => (cache().join(compiler), &[][..]),
        Contract::Next => (cache().join("next").join(compiler), &["--features", "next"][..]),
    };
    cargo.args(["build", "--locked", "--lib", "--examples", "--profile", profile]).args(features);
    succeed(cargo.env("CARGO_TARGET_DIR", &own));
    let dir = own.join(if profile == "dev" { "debug" } else { profile });
    (dir.join("liboutside.so"), dir.join("examples/libskew.so"))
}

/// Builds the plugins with each profile and both contracts, and loads them in hosts of both.
fn matrix(compiler: &str, profiles: &[&str], command: impl Fn() -> Command) {
    for profile in profiles {
        for plugin in [Contract::Today, Contract::Next] {
            let (outside, skew) = build(command(), compiler, profile, plugin);
            use_it(&outside);
            for host in Contract::ALL {
                let what = format!("built by Rust {compiler}, {profile}");
                check(&what, Language::Rust, (plugin, &skew), (host, Profile::Release));
            }
        }
    }
}

/// Installs the file and uses the plugin, in both placements.
pub(super) fn use_it(file: &Path) {
    let scene = Scene::new();
    let id = scene.install(file);
    for (name, placement) in
        [("isolated", Placement::Isolated), ("in-process", Placement::InProcess)]
    {
        let vault = scene.register(name, &id, placement);
        let secret = SecretName::parse("db/password").unwrap();
        let new = NewSecret {
            name: secret.clone(),
            vault: Some(vault.clone()),
            value: Value::credential("bob", "hunter2"),
            field: None,
            metadata: Some(Metadata::new()),
            mode: WriteMode::CreateOnly,
            run: RunMode::Apply,
        };
        scene.host.set(new, &mut NonInteractive).unwrap();
        let found = scene
            .host
            .get(&secret, &SearchScope::Vault(vault.clone()), &mut NonInteractive)
            .unwrap();
        assert_eq!(found.secret.value, Value::credential("bob", "hunter2"));
        assert_eq!(scene.list(&vault, None).unwrap(), 1);
        assert_eq!(scene.list(&vault, Some("x*")).unwrap(), 0);
    }
    scene.end();
}

#[test]
fn out_of_tree_plugin_with_current_rust_works() {
    let project = project("this");
    matrix("this", &["dev", "release", "small"], || cargo(&project.plugin));
}

/// Builds with another compiler, whose path `cargo xtask test` provides.
fn with_another(name: &str, profiles: &[&str], vendor: bool) {
    let tool = |kind: &str| std::env::var_os(format!("KEYSTEAD_TEST_{kind}_{name}"));
    let (Some(rustc), Some(other_cargo)) = (tool("RUSTC"), tool("CARGO")) else {
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "KEYSTEAD_TEST_RUSTC_{name} and KEYSTEAD_TEST_CARGO_{name} are not set"
        );
        #[allow(clippy::print_stderr, reason = "it must not be left out in silence")]
        {
            eprintln!("left out: no other compiler; `cargo xtask test` provides it");
        }
        return;
    };
    let compiler = name.to_lowercase();
    let project = project(&compiler);
    let sources = vendor.then(|| vendored(&project.plugin));
    matrix(&compiler, profiles, || {
        let mut other = cargo_of(&other_cargo, &project.plugin);
        other.env("RUSTC", &rustc).env_remove("RUSTUP_TOOLCHAIN");
        if let Some(sources) = &sources {
            let dir = format!("source.vendored.directory={:?}", sources.display().to_string());
            other.args(["--offline", "--config", "source.crates-io.replace-with='vendored'"]);
            other.args(["--config", &dir]);
        }
        other
    });
}

#[test]
#[ignore = "needs rust-163"]
fn out_of_tree_plugin_with_needs_rust_163_works() {
    with_another("163", &["dev", "small"], true);
}

#[test]
#[ignore = "needs rust-web"]
fn out_of_tree_plugin_with_needs_rust_web_works() {
    with_another("WEB", &["dev", "small"], false);
}
