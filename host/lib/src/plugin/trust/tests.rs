//! From a file to its proof, with real ELF files and directories: a changed file, pin, policy or
//! owner behind the store's back must show.

mod people;

use std::borrow::Cow;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use super::*;
use crate::plugin::AbiCompatibility;
use crate::plugin::verdict::record_layout;

/// Bytes that the fixture reserves for its manifest.
const ROOM: usize = 2_048;

/// Returns a plugin of the C ABI, which the system's compiler makes once. Each test writes its own
/// manifest into the reserved room.
fn plugin(id: &str, version: &str, permissions: &str) -> Vec<u8> {
    static BASE: OnceLock<Vec<u8>> = OnceLock::new();
    let mut bytes = BASE.get_or_init(compile).clone();
    let json = format!(
        r#"{{"schema":1,"id":"{id}","version":"{version}","api":"1.0.0","description":"for tests","vendor":"V","license":"MIT","homepage":"","kinds":[{{"name":"one","description":"a kind","names":"case-sensitive","capabilities":["write"],"values":["text"],"parameters":[{{"name":"path","kind":"path","description":"","required":false,"secret":false,"default":""}}]}}],"permissions":[{permissions}]}}"#
    );
    let at = bytes.windows(8).position(|window| window == b"KEYSTEAD").unwrap() + 32;
    bytes[at..at + json.len()].copy_from_slice(json.as_bytes());
    bytes
}

fn compile() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let mut note = Vec::new();
    note.extend(9_u32.to_le_bytes());
    note.extend((32 + ROOM as u32).to_le_bytes());
    note.extend(1_u32.to_le_bytes());
    note.extend(b"Keystead\0\0\0\0KEYSTEAD");
    note.extend(1_u32.to_le_bytes());
    note.extend((ROOM as u32).to_le_bytes());
    note.extend(keystead_plugin_api::manifest::section::ABI_C);
    note.extend([b' '; ROOM]);
    let numbers: Vec<_> = note.iter().map(u8::to_string).collect();
    let code = format!(
        "void keystead_plugin_v1(void) {{}}\n\
         __attribute__((used, section(\".note.keystead\"), aligned(4)))\n\
         static const unsigned char note[] = {{{}}};\n",
        numbers.join(",")
    );
    std::fs::write(dir.path().join("p.c"), code).unwrap();
    let done = Command::new("cc")
        .args(["-shared", "-fPIC", "-s", "-o", "p.so", "p.c"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    std::fs::read(dir.path().join("p.so")).unwrap()
}

struct Machine {
    dir: tempfile::TempDir,
    paths: Paths,
    store: PluginStore,
}

fn machine() -> Machine {
    machine_in(tempfile::tempdir().unwrap())
}

fn machine_in(dir: tempfile::TempDir) -> Machine {
    let top = dir.path().canonicalize().unwrap();
    let paths = Paths {
        system_config: top.join("etc"),
        user_config: None,
        user_data: Some(top.join("data")),
        packaged: vec![top.join("local"), top.join("lib")],
    };
    let store = PluginStore::new(&paths, Privilege::Ordinary);
    Machine { dir, paths, store }
}

impl Machine {
    fn data(&self) -> &Path {
        self.paths.user_data.as_deref().unwrap()
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().canonicalize().unwrap().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn install_bytes(&self, bytes: &[u8], place: InstallTarget) -> Result<Trusted, Error> {
        let candidate = self.store.examine(&self.file("p.so", bytes))?;
        let decision = TrustDecision { place, in_process: InProcess::Never };
        self.store.install(candidate, &decision, OnIdConflict::Refuse)
    }

    fn install(&self, id: &str) -> Trusted {
        self.install_bytes(&plugin(id, "1.0.0", ""), InstallTarget::User).unwrap()
    }

    fn package(&self, id: &str, at: usize) -> Trusted {
        let place = InstallTarget::Packaged(self.paths.packaged[at].clone());
        self.install_bytes(&plugin(id, "1.0.0", ""), place).unwrap()
    }

    fn code(&self, id: &str) -> &'static str {
        self.store.find(&self::id(id)).map_or_else(|error| error.code(), |_| "ok")
    }

    fn etc(&self, name: &str, text: &str) {
        let path = self.paths.system_config.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn id(text: &str) -> PluginId {
    PluginId::parse(text).unwrap()
}

/// Returns whether the proof read the file; otherwise a verdict made that unnecessary.
fn by_its_bytes(trusted: &Trusted) -> bool {
    matches!(trusted.bytes().unwrap(), Cow::Borrowed(_))
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn overwrite(path: &Path, bytes: &[u8]) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Waits until a fresh file is old enough for a verdict.
fn settle() {
    std::thread::sleep(Duration::from_millis(80));
}

#[test]
fn install_keeps_inspected_bytes_after_file_change() {
    let machine = machine();
    let bytes = plugin("memory", "1.2.3", "\"network\"");
    let path = machine.file("p.so", &bytes);
    let candidate = machine.store.examine(&path).unwrap();
    assert_eq!(candidate.new_permissions().len(), 1);
    // Exchanged between inspection and consent.
    std::fs::write(&path, plugin("memory", "6.6.6", "\"dbus\"")).unwrap();
    let decision = TrustDecision { place: InstallTarget::User, in_process: InProcess::Never };
    let trusted = machine.store.install(candidate, &decision, OnIdConflict::Refuse).unwrap();
    assert_eq!(trusted.manifest().version.to_string(), "1.2.3");
    assert_eq!(*trusted.sha256(), Digest::of(&bytes));
    assert_eq!(trusted.bytes().unwrap(), bytes);
    assert_eq!(trusted.trust_source(), TrustSource::User);
    assert_eq!(trusted.in_process(), InProcess::Never);
    assert_eq!(trusted.fit(), None);
    let plugins = machine.data().join("plugins");
    assert_eq!(trusted.path(), plugins.join(format!("{}.so", Digest::of(&bytes))));
    assert_eq!((mode(&plugins), mode(trusted.path())), (0o500, 0o400));
    assert_eq!(mode(&machine.data().join("pins.d/memory.toml")), 0o600);
}

#[test]
fn cached_verdict_avoids_second_read_and_keeps_layout() {
    let machine = machine();
    machine.install("memory");
    settle();
    // On a busy machine the file was old enough for a verdict when it was installed.
    let _ = std::fs::remove_dir_all(machine.data().join("verdicts"));
    let first = machine.store.find(&id("memory")).unwrap();
    assert!(by_its_bytes(&first), "proven by its bytes");
    record_layout(&first, AbiCompatibility::PluginOlder);
    let second = machine.store.find(&id("memory")).unwrap();
    assert!(!by_its_bytes(&second), "proven by a verdict");
    assert_eq!(second.fit(), Some(AbiCompatibility::PluginOlder));
    assert_eq!(second.manifest(), first.manifest());
    assert_eq!(second.bytes().unwrap(), plugin("memory", "1.0.0", ""));
}

#[test]
fn damaged_verdict_is_ignored_and_file_is_read_again() {
    let machine = machine();
    let trusted = machine.install("memory");
    settle();
    machine.store.find(&id("memory")).unwrap();
    for entry in std::fs::read_dir(machine.data().join("verdicts")).unwrap() {
        std::fs::write(entry.unwrap().path(), b"keystead-verdict 1\nhost 0\n").unwrap();
    }
    let again = machine.store.find(&id("memory")).unwrap();
    assert!(by_its_bytes(&again));
    assert_eq!(again.manifest(), trusted.manifest());
}

#[test]
fn changed_plugin_file_reports_both_hashes_and_trust_hint() {
    let machine = machine();
    let trusted = machine.install("memory");
    settle();
    machine.store.find(&id("memory")).unwrap();
    let changed = plugin("memory", "1.0.1", "\"network\"");
    overwrite(trusted.path(), &changed);
    let error = machine.store.find(&id("memory")).unwrap_err();
    assert_eq!(error.code(), "E03.hash-mismatch");
    let (old, new) = (trusted.sha256(), Digest::of(&changed));
    assert_eq!(
        error.to_string(),
        format!(
            "plugin `memory` has changed since it was pinned: `{}` has SHA-256 {new}, and {old} \
             is pinned; if the change is meant, `keystead plugin trust memory` accepts it",
            trusted.path().display()
        )
    );
    let verified = machine.store.verify(Some(&id("memory"))).unwrap();
    assert_eq!(verified[0].outcome.as_ref().unwrap_err().code(), "E03.hash-mismatch");

    let candidate = machine.store.reexamine(&id("memory")).unwrap();
    assert_eq!(*candidate.sha256(), new);
    let accepted = machine
        .store
        .trust(
            candidate,
            &TrustDecision { place: InstallTarget::User, in_process: InProcess::Danger },
        )
        .unwrap();
    assert_eq!(*accepted.sha256(), new);
    assert_eq!(accepted.in_process(), InProcess::Danger);
    assert!(!trusted.path().exists(), "the old name is gone");
    assert_eq!(machine.code("memory"), "ok");
    assert!(machine.store.verify(None).unwrap()[0].outcome.is_ok());
}

#[test]
fn bytes_of_changed_file_are_not_returned() {
    let machine = machine();
    machine.install("memory");
    settle();
    machine.store.find(&id("memory")).unwrap();
    let trusted = machine.store.find(&id("memory")).unwrap();
    overwrite(trusted.path(), &plugin("memory", "1.0.1", ""));
    assert_eq!(trusted.bytes().unwrap_err().code(), "E02.changed");
}

#[test]
fn plugin_id_conflict_is_rejected_unless_replaced() {
    let machine = machine();
    machine.install("memory");
    let other = plugin("memory", "2.0.0", "\"network\"");
    let error = machine.install_bytes(&other, InstallTarget::User).unwrap_err();
    assert_eq!(error.code(), "E07.id-taken");
    assert!(error.to_string().contains("pins.d/memory.toml"), "{error}");
    assert_eq!(machine.store.find(&id("memory")).unwrap().manifest().version.major, 1);
    // The same file again counts as the same.
    machine.install("memory");

    let candidate = machine.store.examine(&machine.file("p.so", &other)).unwrap();
    assert_eq!(candidate.existing().unwrap().version.as_ref().unwrap().major, 1);
    assert_eq!(candidate.new_permissions().len(), 1);
    assert!(candidate.dropped_permissions().is_empty());
    let decision = TrustDecision { place: InstallTarget::User, in_process: InProcess::Never };
    let upgraded = machine.store.install(candidate, &decision, OnIdConflict::Replace).unwrap();
    assert_eq!(upgraded.manifest().version.major, 2);
    assert_eq!(std::fs::read_dir(machine.data().join("plugins")).unwrap().count(), 1);
}

#[test]
fn packaged_plugin_id_cannot_be_replaced_by_user() {
    let machine = machine();
    let packaged = machine.package("memory", 1);
    assert_eq!(packaged.trust_source(), TrustSource::Packaged);
    assert_eq!(mode(packaged.path()), 0o444);
    let candidate =
        machine.store.examine(&machine.file("q.so", &plugin("memory", "9.0.0", ""))).unwrap();
    let decision = TrustDecision { place: InstallTarget::User, in_process: InProcess::Never };
    let error = machine.store.install(candidate, &decision, OnIdConflict::Replace).unwrap_err();
    assert_eq!(error.code(), "E07.id-taken");
    // The same file: nothing to pin.
    assert_eq!(machine.install("memory").trust_source(), TrustSource::Packaged);
    assert!(!machine.data().join("pins.d").exists());
    assert_eq!(
        machine.store.remove(&id("memory"), &InstallTarget::User).unwrap_err().code(),
        "E07.not-yours"
    );
    let candidate = machine.store.reexamine(&id("memory")).unwrap();
    let error = machine
        .store
        .trust(
            candidate,
            &TrustDecision { place: InstallTarget::User, in_process: InProcess::Danger },
        )
        .unwrap_err();
    assert_eq!(error.code(), "E07.not-yours");
}

#[test]
fn administrator_pin_overrides_user_pin_and_denial_blocks() {
    let machine = machine();
    let user = machine.install("memory");
    let pin = |id: &str, sha256: &Digest| {
        format!(
            "schema = 1\nid = '{id}'\nsha256 = '{sha256}'\ntrust-source = 'administrator'\nin-process = true\n"
        )
    };
    machine.etc("pins.d/memory.toml", &pin("memory", user.sha256()));
    let found = machine.store.find(&id("memory")).unwrap();
    assert_eq!(found.trust_source(), TrustSource::Administrator);
    assert_eq!(found.in_process(), InProcess::Danger);
    assert_eq!(found.path(), user.path(), "a file is found by its hash, wherever it lies");

    machine.etc("pins.d/memory.toml", &pin("memory", &Digest::of(b"another")));
    assert_eq!(machine.code("memory"), "E03.file-missing");
    machine.etc("pins.d/memory.toml", "schema = 1\nid = 'memory'\nsha = 1\n");
    assert_eq!(machine.code("memory"), "E03.pin-malformed");
    machine.etc("pins.d/memory.toml", "schema = 1\nid = 'memory'\ndeny = true\n");
    assert_eq!(machine.code("memory"), "E07.denied");
    std::fs::remove_file(machine.paths.system_config.join("pins.d/memory.toml")).unwrap();
    assert_eq!(machine.code("memory"), "ok");
    let hash = user.sha256();
    let denial = format!("schema = 1\nsha256 = '{hash}'\ndeny = true\n");
    machine.etc(&format!("pins.d/{hash}.toml"), &denial);
    assert_eq!(machine.code("memory"), "E07.denied");
    let again = machine.install_bytes(&plugin("memory", "1.0.0", ""), InstallTarget::User);
    assert_eq!(again.unwrap_err().code(), "E07.denied");
}

#[test]
fn administrator_dir_not_owned_by_root_is_rejected() {
    let machine = machine();
    machine.install("memory");
    machine.etc("pins.d/x", "");
    chown(&machine.paths.system_config, Some(65_534), None).unwrap();
    assert_eq!(machine.code("memory"), "E02.owner");
}

#[test]
fn set_id_program_ignores_user_plugin_dirs() {
    let machine = machine();
    machine.install("mine");
    machine.package("theirs", 0);
    let store = PluginStore::new(&machine.paths, Privilege::SetId);
    assert_eq!(store.find(&id("mine")).unwrap_err().code(), "E03.not-pinned");
    assert!(store.find(&id("theirs")).is_ok());
    let candidate = store.examine(&machine.file("p.so", &plugin("new", "1.0.0", ""))).unwrap();
    let decision = TrustDecision { place: InstallTarget::User, in_process: InProcess::Never };
    let error = store.install(candidate, &decision, OnIdConflict::Refuse).unwrap_err();
    assert_eq!(error.code(), "E02.no-data-folder");
    chown(machine.paths.packaged[0].join("plugins"), Some(65_534), None).unwrap();
    assert_eq!(store.find(&id("theirs")).unwrap_err().code(), "E02.owner");
}

#[test]
fn policy_overrides_every_pin() {
    let machine = machine();
    let bytes = plugin("memory", "1.0.0", "\"network\"");
    machine.install_bytes(&bytes, InstallTarget::User).unwrap();
    for (text, code) in [
        ("user-plugins = false", "E07.user-plugins"),
        ("deny = ['memory']", "E07.policy-denied"),
        ("allow = ['store']", "E07.not-allowed"),
        ("permissions = ['files']", "E07.permission"),
        ("permisions = ['files']", "E07.policy-malformed"),
        ("placement = 'isolated'", "ok"),
    ] {
        machine.etc("policy.toml", text);
        assert_eq!(machine.code("memory"), code, "{text}");
        let again = machine.install_bytes(&bytes, InstallTarget::User);
        assert_eq!(again.map_or_else(|error| error.code(), |_| "ok"), code, "{text}");
    }
    machine.etc("policy.toml", "");
    let candidate = machine.store.reexamine(&id("memory")).unwrap();
    machine
        .store
        .trust(
            candidate,
            &TrustDecision { place: InstallTarget::User, in_process: InProcess::Danger },
        )
        .unwrap();
    machine.etc("policy.toml", "placement = 'isolated'");
    assert_eq!(machine.store.find(&id("memory")).unwrap().in_process(), InProcess::Never);
}

#[test]
fn pin_for_file_of_other_plugin_is_rejected() {
    let machine = machine();
    machine.install("memory");
    let pin = machine.data().join("pins.d/memory.toml");
    let text = std::fs::read_to_string(&pin).unwrap().replace("\"memory\"", "\"store\"");
    std::fs::write(machine.data().join("pins.d/store.toml"), text).unwrap();
    assert_eq!(machine.code("store"), "E03.id-differs");
    settle();
    machine.store.find(&id("memory")).unwrap();
    assert_eq!(machine.code("store"), "E03.id-differs", "from a verdict as well");
}

#[test]
fn removed_plugin_loses_pin_and_file_unless_shared() {
    let machine = machine();
    let trusted = machine.install("memory");
    settle();
    machine.store.find(&id("memory")).unwrap();
    let kept = machine.install("kept");
    machine.store.remove(&id("memory"), &InstallTarget::User).unwrap();
    assert!(!trusted.path().exists());
    assert!(kept.path().exists());
    assert_eq!(mode(&machine.data().join("plugins")), 0o500);
    assert_eq!(std::fs::read_dir(machine.data().join("verdicts")).unwrap().count(), 0);
    assert_eq!(machine.code("memory"), "E03.not-pinned");
    assert_eq!(
        machine.store.remove(&id("memory"), &InstallTarget::User).unwrap_err().code(),
        "E03.not-pinned"
    );

    std::fs::write(machine.data().join("pins.d/broken.toml"), "?").unwrap();
    machine.store.remove(&id("kept"), &InstallTarget::User).unwrap();
    assert!(kept.path().exists(), "the broken pin might have it");
    machine.store.remove(&id("broken"), &InstallTarget::User).unwrap();
    assert_eq!(machine.code("broken"), "E03.not-pinned");
}

#[test]
fn every_pin_is_listed_with_its_status() {
    let machine = machine();
    let gone = machine.install("gone");
    machine.install("memory");
    machine.package("packaged", 0);
    std::fs::remove_file(gone.path()).unwrap();
    std::fs::write(machine.data().join("pins.d/broken.toml"), "?").unwrap();
    machine.etc("pins.d/memory.toml", "schema = 1\nid = 'memory'\ndeny = true\n");
    let list = machine.store.list().unwrap();
    let told: Vec<_> = list
        .iter()
        .map(|one| {
            let problem = one.problem.as_ref().map_or("ok", Error::code);
            (&*one.name, one.layer.as_str(), one.shadowed_by.is_some(), problem)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("memory", "administrator", false, "ok"),
            ("packaged", "packaged", false, "ok"),
            ("broken", "user", false, "E03.pin-malformed"),
            ("gone", "user", false, "E03.file-missing"),
            ("memory", "user", true, "ok"),
        ]
    );
    let verified = machine.store.verify(None).unwrap();
    let told: Vec<_> = verified
        .iter()
        .map(|one| (&*one.name, one.outcome.as_ref().map_or_else(|e| e.code(), |_| "ok")))
        .collect();
    assert_eq!(
        told,
        [
            ("packaged", "ok"),
            ("broken", "E03.pin-malformed"),
            ("gone", "E03.file-missing"),
            ("memory", "ok")
        ]
    );
    let none = machine.store.verify(Some(&id("none")));
    assert_eq!(none.unwrap_err().code(), "E03.not-pinned");
}

#[test]
fn non_plugin_or_unsafe_file_is_rejected() {
    let machine = machine();
    let code = |path: &Path| machine.store.examine(path).map_or_else(|e| e.code(), |_| "ok");
    assert_eq!(code(&machine.file("empty.so", b"")), "E05.not-a-library");
    assert_eq!(code(&machine.file("text.so", b"#!/bin/sh\n")), "E05.not-a-library");
    let good = plugin("memory", "1.0.0", "");
    for tenth in 1..10 {
        let cut = machine.file("cut.so", &good[..good.len() * tenth / 10]);
        assert!(code(&cut).starts_with("E05."), "{tenth}/10: {}", code(&cut));
    }
    let path = machine.file("p.so", &good);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(code(&path), "E02.others-write");
    assert_eq!(code(&machine.dir.path().join("none.so")), "E02.missing");
    let looks_like_hash = machine.file("h.so", &plugin(&"a".repeat(64), "1.0.0", ""));
    assert_eq!(code(&looks_like_hash), "E01.plugin-id");
    assert!(!machine.data().exists(), "looking writes nothing");
}

#[test]
fn three_crashes_quarantine_plugin_until_trusted() {
    let machine = machine();
    let trusted = machine.install("memory");
    let other = machine.install("other");
    let crash = || machine.store.record_crash(trusted.sha256()).unwrap();
    assert_eq!((crash(), crash()), (Crashes::Counted(1), Crashes::Counted(2)));
    assert_eq!(machine.code("memory"), "ok");
    assert_eq!(crash(), Crashes::Quarantined);
    assert_eq!(machine.code("memory"), "E07.quarantined");
    let again = machine.install_bytes(&plugin("memory", "1.0.0", ""), InstallTarget::User);
    assert_eq!(again.unwrap_err().code(), "E07.quarantined");
    assert!(!machine.store.is_quarantined(other.sha256()).unwrap());
    let candidate = machine.store.reexamine(&id("memory")).unwrap();
    machine
        .store
        .trust(
            candidate,
            &TrustDecision { place: InstallTarget::User, in_process: InProcess::Never },
        )
        .unwrap();
    assert_eq!(machine.code("memory"), "ok");
}

#[test]
fn trusting_packaged_plugin_lifts_quarantine() {
    let machine = machine();
    let trusted = machine.package("memory", 0);
    for _ in 0..3 {
        // A user without plugins of their own also has a data directory.
        std::fs::create_dir_all(machine.data()).unwrap();
        machine.store.record_crash(trusted.sha256()).unwrap();
    }
    assert_eq!(machine.code("memory"), "E07.quarantined");
    let candidate = machine.store.reexamine(&id("memory")).unwrap();
    machine
        .store
        .trust(
            candidate,
            &TrustDecision { place: InstallTarget::User, in_process: InProcess::Never },
        )
        .unwrap();
    assert_eq!(machine.code("memory"), "ok");
}
