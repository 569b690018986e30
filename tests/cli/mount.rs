//! Grants for a directory with two paths, because it is mounted twice or in an overlay. The
//! directory decides, not the path. Each command runs as root in its own mount namespace.

use std::path::Path;
use std::process::Command;

use super::sandbox::{Answer, Sandbox};
use crate::plugin_files::{able, actor};

/// Runs a command after shell lines that mount directories; `$ROOT` is the sandbox.
fn mounted(sandbox: &Sandbox, mounts: &str, words: &str, more: &[&str]) -> Answer {
    let inner = sandbox.command(words, more);
    let mut outer = Command::new("unshare");
    outer.args(["--mount", "--propagation", "private", "sh", "-euc"]);
    outer.arg(format!("{mounts}\nexec \"$0\" \"$@\""));
    outer.arg(inner.get_program()).args(inner.get_args()).env_clear();
    let variables = inner.get_envs().filter_map(|(name, value)| Some((name, value?)));
    outer.envs(variables).env("ROOT", sandbox.root());
    if let Some(dir) = inner.get_current_dir() {
        outer.current_dir(dir);
    }
    sandbox.answer(outer, b"")
}

/// Returns a home with the plugin `able` and, as vault `able`, its directory `own`.
fn home() -> Sandbox {
    let sandbox = Sandbox::empty();
    let file = able(sandbox.root(), &[]);
    sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
    std::fs::create_dir(sandbox.here("own")).unwrap();
    sandbox.run("vault register able --plugin able --param folder=own", &[]).succeeds();
    sandbox
}

fn lists(path: &Path) -> String {
    format!("list:{}", path.display())
}

#[test]
fn bind_mount_of_keystead_dirs_is_not_granted() {
    let sandbox = home();
    std::fs::create_dir(sandbox.here("second")).unwrap();
    std::fs::create_dir_all(sandbox.root().join("data/settings")).unwrap();
    for (mounts, dir) in [
        // Another path to a parent of a Keystead directory, to that directory, or to a part of it.
        ("mount --bind $ROOT/home $ROOT/here/second", "second"),
        ("mount --bind $ROOT/home/.config $ROOT/here/second", "second"),
        ("mount --bind $ROOT/home/.config $ROOT/here/second", "second/keystead/vaults/new"),
        ("mount --bind $ROOT/home/.config/keystead/vaults $ROOT/here/second", "second"),
        ("mount --bind $ROOT/home/.local/share/keystead/pins.d $ROOT/here/second", "second/x"),
        // The Keystead directory is the second path, and the parameter names the first one.
        (
            "cp -a $ROOT/home/.config/. $ROOT/data/settings
             mount --bind $ROOT/data/settings $ROOT/home/.config",
            "../data",
        ),
        // A Keystead directory is mounted below, or has a part that is mounted from elsewhere.
        ("mkdir second/deep; mount --bind $ROOT/home/.config $ROOT/here/second/deep", "second"),
        ("mount --bind $ROOT/home/.config/keystead/vaults $ROOT/here/second/deep", "second"),
        (
            "cp -a $ROOT/home/.config/keystead/vaults $ROOT/data/vaults
             mount --bind $ROOT/data/vaults $ROOT/home/.config/keystead/vaults",
            "../data",
        ),
        // A write to the overlay goes into the Keystead directory.
        (
            "mount -t tmpfs t $ROOT/here/second; cd $ROOT/here/second; mkdir w m u
             cp -a $ROOT/home/.config/keystead/. u; mount --bind u $ROOT/home/.config/keystead
             mount -t overlay o -o lowerdir=$ROOT/here,upperdir=$PWD/u,workdir=$PWD/w m
             cd $ROOT/here",
            "second/m",
        ),
    ] {
        let parameter = format!("folder={dir}");
        let words = "vault register other --plugin able --param";
        let answer = mounted(&sandbox, mounts, words, &[&parameter]);
        assert!(answer.ends_with(1).stderr.contains("E07.own-folder"), "{mounts}: {answer}");
    }
    // The same mount of another directory is granted.
    let mounts = "mount --bind $ROOT/here/own $ROOT/here/second";
    let words = "vault register other --plugin able --param folder=second";
    mounted(&sandbox, mounts, words, &[]).succeeds();
    // The registration was made while the path led to another directory.
    let get = [lists(&sandbox.here("second"))];
    let get: Vec<&str> = get.iter().map(String::as_str).collect();
    let answer = mounted(&sandbox, mounts, "get --vault other", &get);
    assert_eq!(answer.succeeds(), b"nothing");
    let mounts = "mount --bind $ROOT/home/.config $ROOT/here/second";
    let answer = mounted(&sandbox, mounts, "get --vault other", &get);
    assert!(answer.ends_with(1).stderr.contains("E07.own-folder"), "{answer}");
}

#[test]
fn bind_mount_of_keystead_file_is_not_granted() {
    let sandbox = home();
    let file = actor(sandbox.root(), &["files:{keep.to}:rw"], Path::new("/nonexistent"));
    sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
    sandbox.run("vault register actor --plugin actor", &[]).succeeds();
    std::fs::write(sandbox.here("file"), "").unwrap();
    let mounts = "mount --bind $ROOT/home/.config/keystead/vaults/able.toml $ROOT/here/file";
    let answer = mounted(&sandbox, mounts, "vault do actor keep --param to=file", &[]);
    assert!(answer.ends_with(1).stderr.contains("E07.own-folder"), "{answer}");
}

#[test]
fn link_in_bind_mounted_plugin_writable_dir_is_rejected() {
    let sandbox = home();
    for dir in ["own/deep", "second", "secret"] {
        std::fs::create_dir(sandbox.here(dir)).unwrap();
    }
    std::os::unix::fs::symlink("../../secret", sandbox.here("own/deep/link")).unwrap();
    let mounts = "mount --bind $ROOT/here/own/deep $ROOT/here/second";
    let words = "vault register other --plugin able --param folder=second/link";
    let answer = mounted(&sandbox, mounts, words, &[]);
    assert!(answer.ends_with(1).stderr.contains("E07.link"), "{answer}");
    // The directory is mounted into the one that the plugin writes.
    std::fs::create_dir(sandbox.here("third")).unwrap();
    std::os::unix::fs::symlink("../secret", sandbox.here("third/link")).unwrap();
    let words = "vault register other --plugin able --param folder=third/link";
    let mounts = "mount --bind $ROOT/here/third $ROOT/here/own/deep";
    let answer = mounted(&sandbox, mounts, words, &[]);
    assert!(answer.ends_with(1).stderr.contains("E07.link"), "{answer}");
    mounted(&sandbox, ":", words, &[]).succeeds();
}

#[test]
fn overlay_file_stays_accessible_after_copy_up() {
    let sandbox = home();
    let merged = sandbox.here("merged");
    std::fs::create_dir(&merged).unwrap();
    let mounts = "mount -t tmpfs t $ROOT/here/merged; cd $ROOT/here/merged; mkdir l u w m
                  echo below > l/token
                  mount -t overlay o -o lowerdir=$PWD/l,upperdir=$PWD/u,workdir=$PWD/w m";
    let layered = merged.join("m");
    let parameter = format!("folder={}", layered.display());
    let words = "vault register layered --plugin able --param";
    mounted(&sandbox, mounts, words, &[&parameter]).succeeds();
    let token = layered.join("token");
    for (what, expected) in [("read", "below"), ("write", "done"), ("replace", "done")] {
        let name = format!("{what}:{}", token.display());
        let answer = mounted(&sandbox, mounts, "get --vault layered", &[&name]);
        assert_eq!(String::from_utf8_lossy(answer.succeeds()), expected, "{what}");
    }
    let up = format!("{mounts}; echo above > m/token");
    let read = format!("read:{}", token.display());
    let answer = mounted(&sandbox, &up, "get --vault layered", &[&read]);
    assert_eq!(answer.succeeds(), b"above");
}

#[test]
fn restored_home_keeps_grants() {
    let sandbox = home();
    std::fs::write(sandbox.here("own/file"), "kept").unwrap();
    let get = lists(&sandbox.here("own"));
    assert_eq!(sandbox.run("get", &[&get]).succeeds(), b"file");
    for dir in ["home", "here/own"] {
        let (from, to) = (sandbox.root().join(dir), sandbox.root().join("restored"));
        assert!(Command::new("cp").arg("-a").args([&from, &to]).status().unwrap().success());
        std::fs::remove_dir_all(&from).unwrap();
        std::fs::rename(&to, &from).unwrap();
    }
    assert_eq!(sandbox.run("get", &[&get]).succeeds(), b"file");
}

#[test]
fn home_behind_link_has_same_grants_under_both_paths() {
    let sandbox = home();
    let link = sandbox.root().join("link");
    std::os::unix::fs::symlink("home", &link).unwrap();
    let mut register =
        sandbox.command("vault register linked --plugin able --param folder=~/x", &[]);
    sandbox.answer(register.env("HOME", &link).take(), b"").succeeds();
    let below = sandbox.root().join("home/x");
    std::fs::create_dir(&below).unwrap();
    for home in [&link, &sandbox.root().join("home")] {
        let mut get = sandbox.command("get --vault linked", &[&lists(&link.join("x"))]);
        assert_eq!(sandbox.answer(get.env("HOME", home).take(), b"").succeeds(), b"nothing");
    }
    let mut own = sandbox.command("vault register own --plugin able --param folder=~/.config", &[]);
    let answer = sandbox.answer(own.env("HOME", &link).take(), b"");
    assert!(answer.ends_with(1).stderr.contains("E07.own-folder"), "{answer}");
}

/// A prepared command, by value.
trait Take {
    fn take(&mut self) -> Command;
}

impl Take for Command {
    fn take(&mut self) -> Command {
        std::mem::replace(self, Command::new("true"))
    }
}
