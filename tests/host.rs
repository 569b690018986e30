//! The library without the command, as a program that embeds the host uses it.

mod callers;
mod calls;
mod conformance;
mod doctor;
mod example;
mod incomplete;
mod killed;
mod listing;
mod many;
mod metadata;
mod once;
mod permission;
mod renaming;
mod search;
mod session;
mod transfer;
mod unlocking;
mod waits;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use keystead::api::{SecretName, SecretText, Value, VaultName, WriteMode};
use keystead::paths::Paths;
use keystead::reference::Reference;
use keystead::trust::Digest;
use keystead::{Host, NewRegistration, NewSecret, NonInteractive, Options, RunMode, SearchScope};
use keystead::{Placement, Replace};

use crate::plugin_files::{repository, succeed};
use crate::scene::Scene;

const PLACEMENTS: [Placement; 2] = [Placement::Isolated, Placement::InProcess];

/// Returns cargo's target directory for these tests.
pub(crate) fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_path_buf()
}

/// Builds a part of this workspace, with the same settings as these tests.
pub(crate) fn build(arguments: &[&str]) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked"]).args(arguments).current_dir(repository());
    succeed(cargo.env("CARGO_TARGET_DIR", target()));
}

/// Returns the file of the plugin `memory`, built once.
pub(crate) fn memory() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| build(&["--package", "keystead-plugin-memory"]));
    target().join("debug/libkeystead_plugin_memory.so")
}

fn vault(name: &str) -> VaultName {
    VaultName::parse(name).unwrap()
}

fn secret(name: &str) -> SecretName {
    SecretName::parse(name).unwrap()
}

/// Returns the host's options with the directories of a scene.
fn options(scene: &Scene) -> Options {
    let root = scene.path();
    let paths = Paths {
        system_config: root.join("etc"),
        user_config: Some(root.join("config")),
        user_data: Some(root.join("data")),
        packaged: Vec::new(),
    };
    Options::new(paths, root.join("keystead"))
}

/// Returns a registration of the plugin `memory`; relative paths start at the scene's directory.
fn registration(
    scene: &Scene,
    name: &str,
    parameters: &[(&str, &str)],
    unlock: &[(&str, &str)],
) -> NewRegistration {
    let mut new = NewRegistration::new(vault(name), "memory", scene.path().to_path_buf());
    // Outside of Keystead's own directories, where no plugin may write.
    let owned = |(key, text): &(&str, &str)| match *key {
        "file" => ("file".to_owned(), format!("here/{text}")),
        key => (key.to_owned(), (*text).to_owned()),
    };
    new.parameters = parameters.iter().map(owned).collect();
    let parse = |(key, text): &(&str, &str)| ((*key).to_owned(), Reference::parse(text).unwrap());
    new.unlock = unlock.iter().map(parse).collect();
    new
}

fn register(host: &Host, new: NewRegistration) -> VaultName {
    host.register(host.plan_registration(new).unwrap()).unwrap().name
}

/// Registers a vault that stores its secrets in a file of the same name.
fn filed(scene: &Scene, name: &str, placement: Placement) -> VaultName {
    let mut new = registration(scene, name, &[("file", name)], &[]);
    new.placement = Some(placement);
    register(&scene.host, new)
}

/// Returns a scene with the plugin `memory`.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.install(&memory());
    scene
}

fn new_secret(vault: Option<&VaultName>, name: &str, text: &str) -> NewSecret {
    NewSecret {
        name: secret(name),
        vault: vault.cloned(),
        value: Value::text(text),
        field: None,
        metadata: None,
        mode: WriteMode::Upsert,
        run: RunMode::Apply,
    }
}

fn set(host: &Host, vault: &VaultName, name: &str, text: &str) {
    host.set(new_secret(Some(vault), name, text), &mut NonInteractive).unwrap();
}

fn get(host: &Host, name: &str, place: &SearchScope) -> keystead::Result<String> {
    let found = host.get(&secret(name), place, &mut NonInteractive)?;
    Ok(format!("{}: {}", found.vault, text(&found.secret.value)))
}

fn get_in(host: &Host, vault: &VaultName, name: &str) -> keystead::Result<String> {
    get(host, name, &SearchScope::Vault(vault.clone()))
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => SecretText::expose(text).to_owned(),
        other => panic!("a {} was not expected", other.kind()),
    }
}

/// Writes a registration as a user with an editor does.
fn write_registration(scene: &Scene, name: &str, text: &str) {
    let dir = scene.path().join("config/vaults");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).unwrap();
    write(&dir.join(format!("{name}.toml")), &format!("schema = 1\n{text}"));
}

/// Writes a file that only its owner may read and write.
fn write(path: &Path, text: &str) {
    let _ = fs::remove_file(path);
    let mut file = fs::OpenOptions::new();
    let mut file = file.write(true).create_new(true).mode(0o600).open(path).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}

/// Returns every file below a directory with its hash, except the verdict cache.
fn files(dir: &Path) -> BTreeMap<PathBuf, Digest> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("verdicts") {
            // A cache: its files depend on how busy the machine is.
        } else if path.is_dir() {
            found.insert(path.clone(), Digest::of(b""));
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), Digest::of(&fs::read(&path).unwrap()));
        }
    }
    found
}

/// Returns a registration that replaces the existing one of this name.
fn replacing(mut new: NewRegistration) -> NewRegistration {
    new.replace = Replace::Whole;
    new
}
