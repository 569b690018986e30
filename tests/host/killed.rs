//! State after a killed move: each secret is complete in at least one of the two vaults.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use keystead::Placement;
use keystead::api::{Metadata, MetadataValue, Value, VaultName};
use keystead::{Error, Host, NonInteractive, SearchScope};

use super::{filed, new_secret, scene, secret};
use crate::scene::Scene;

const SECRETS: usize = 300;

/// Number of moves to kill.
const KILLS: usize = 40;

fn name(number: usize) -> String {
    format!("many/{number:03}")
}

fn value(number: usize) -> Value {
    Value::credential(format!("user {number}"), format!("canary {number}"))
}

fn metadata(number: usize) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.insert("number", MetadataValue::Integer(number as i64)).unwrap();
    metadata
}

fn fill(host: &Host, vault: &VaultName) {
    for number in 0..SECRETS {
        let mut new = new_secret(Some(vault), &name(number), "");
        (new.value, new.metadata) = (value(number), Some(metadata(number)));
        host.set(new, &mut NonInteractive).unwrap();
    }
}

/// Returns whether the vault has the secret, and checks that the secret is complete.
fn has(host: &Host, vault: &VaultName, number: usize) -> bool {
    match host.get(&secret(&name(number)), &SearchScope::Vault(vault.clone()), &mut NonInteractive)
    {
        Ok(found) => {
            assert_eq!(found.secret.value, value(number), "{vault}, {number}");
            assert_eq!(found.secret.metadata, metadata(number), "{vault}, {number}");
            true
        }
        Err(Error::NoSuchSecret { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Returns the command that moves all remaining secrets.
fn the_move(scene: &Scene, from: &VaultName, to: &VaultName) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keystead"));
    command
        .args(["move", "many/*", "--from", from.as_str(), "--to", to.as_str()])
        .env_clear()
        .env("KEYSTEAD_CONFIG_DIR", scene.path().join("config"))
        .env("KEYSTEAD_DATA_DIR", scene.path().join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// A killed writer leaves its claim, which delays the next writer for five seconds. The next writer
/// would remove the claim itself.
fn remove_claims(scene: &Scene) {
    for entry in std::fs::read_dir(scene.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "new") {
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn killed_move_loses_nothing_and_is_completed_by_next_move() {
    let scene = scene();
    // This process inspects the vaults; the command moves the secrets, in runners.
    let host = &scene.host;
    let [mut from, mut to] = ["a", "b"].map(|name| filed(&scene, name, Placement::Isolated));
    fill(host, &from);
    let (mut killed, mut finished) = (0, 0);
    while killed < KILLS {
        let mut child = the_move(&scene, &from, &to).spawn().unwrap();
        let wait = RandomState::new().build_hasher().finish() % 250;
        let until = Instant::now() + Duration::from_millis(wait);
        while Instant::now() < until && child.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        // The command may have ended already.
        let _ = child.kill();
        let output = child.wait_with_output().unwrap();
        let was_killed = output.status.signal() == Some(9);
        assert!(was_killed || output.status.success(), "{output:?}");
        killed += usize::from(was_killed);
        finished += usize::from(!was_killed);
        // The command's runners end with it, at any point of their work.
        thread::sleep(Duration::from_millis(20));
        remove_claims(&scene);

        let left = (0..SECRETS).filter(|&number| {
            let (in_source, in_target) = (has(host, &from, number), has(host, &to, number));
            assert!(in_source || in_target, "{number} is lost after {killed} kills");
            in_source
        });
        let left = left.count();
        assert!(was_killed || left == 0, "{left} are left of a move that was done");
        if left == 0 {
            std::mem::swap(&mut from, &mut to);
        }
    }
    let output = the_move(&scene, &from, &to).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    for number in 0..SECRETS {
        assert!(has(host, &to, number) && !has(host, &from, number), "{number}");
    }
    println!("{killed} killed, {finished} finished");
    scene.end();
}
