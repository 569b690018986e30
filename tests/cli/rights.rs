//! Programs with more privileges than their user, and users without a number: real copies of the
//! command, which only root can make.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use keystead::paths::Paths;
use keystead::trust::InProcess;
use keystead::trust::{self, OnIdConflict, PluginStore, Privilege, TrustDecision};
use rustix::fs::{StatVfsMountFlags, XattrFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// Owner of the set-ID copies.
const OWNER: u32 = 23_456;

/// User that starts the copies.
const USER: u32 = 12_345;

/// Complete output of a refused command.
const REFUSED: &str = "Error: The real, effective and saved IDs of this process differ, as in a \
                       set-user-ID program: Keystead does not run in it\nCode: E07.set-id\n";

/// A directory that every user can enter, with a home of the user that starts the copies.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let home = dir.path().join("home");
        fs::create_dir(&home).unwrap();
        chown(&home, Some(USER), Some(USER)).unwrap();
        Self(dir)
    }

    /// Returns a copy of the command with this mode; set-ID copies belong to `OWNER`.
    fn copy(&self, name: &str, mode: u32) -> PathBuf {
        self.copy_of(Path::new(env!("CARGO_BIN_EXE_keystead")), name, mode)
    }

    fn copy_of(&self, program: &Path, name: &str, mode: u32) -> PathBuf {
        let copy = self.0.path().join(name);
        // A separate process copies: a test that starts a program at this moment would inherit the
        // open file, and then the copy cannot be run.
        assert!(Command::new("cp").arg(program).arg(&copy).status().unwrap().success());
        let owner = if mode & 0o6000 == 0 { 0 } else { OWNER };
        chown(&copy, Some(owner), Some(owner)).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(mode)).unwrap();
        let flags = rustix::fs::statvfs(&copy).unwrap().f_flag;
        assert!(
            !flags.contains(StatVfsMountFlags::NOSUID),
            "this test makes set-ID programs: set TMPDIR to a directory that is not mounted nosuid"
        );
        copy
    }

    /// Returns a copy with the capability for raw sockets, which is effective at once or not.
    fn capable(&self, name: &str, in_effect: bool) -> PathBuf {
        const NET_RAW: u32 = 1 << 13;
        let copy = self.copy(name, 0o755);
        let head = 0x0200_0000 | u32::from(in_effect);
        let value: Vec<u8> =
            [head, NET_RAW, 0, 0, 0].iter().flat_map(|n| n.to_le_bytes()).collect();
        rustix::fs::setxattr(&copy, "security.capability", &value, XattrFlags::empty()).unwrap();
        copy
    }

    fn home(&self) -> PathBuf {
        self.0.path().join("home")
    }

    fn run(&self, program: &Path, words: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(words).env_clear().env("HOME", self.home()).current_dir("/");
        command.uid(USER).gid(USER).stdin(Stdio::null()).output().unwrap()
    }
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
#[ignore = "needs root"]
fn set_id_copy_of_command_does_nothing_needs_root() {
    let place = Place::new();
    let marker = place.home().join("marker");
    let mark = format!("command:[\"/usr/bin/touch\",{:?}]", marker.display().to_string());
    let agent = place.home().join("agent");
    let commands: &[&[&str]] = &[
        &["get", "a"],
        &["get", &mark],
        &["list", "--json"],
        &["vault", "list", "--config-dir", "/"],
        &["plugin", "test", "/nowhere.so"],
        &["doctor"],
        &["--help"],
        &["--version"],
        &["completions", "bash"],
        &["no-such-command"],
        &["__runner"],
        &["__agent", agent.to_str().unwrap()],
        &["__complete", "fish", "--", "get", ""],
        &[],
    ];
    let set_ids = [("set-user", 0o4755), ("set-group", 0o2755), ("both", 0o6755)];
    for (name, mode) in set_ids {
        let copy = place.copy(name, mode);
        for words in commands {
            let output = place.run(&copy, words);
            assert_eq!(output.status.code(), Some(1), "{name} {words:?}");
            assert_eq!(errors(&output), REFUSED, "{name} {words:?}");
            assert!(output.stdout.is_empty(), "{name} {words:?}");
        }
    }
    assert!(!marker.exists() && !agent.exists());
    // The same command works without the privileges of another user.
    let copy = place.copy("plain", 0o755);
    assert_eq!(place.run(&copy, &["get", &mark]).status.code(), Some(0));
    assert!(marker.exists());
}

#[test]
#[ignore = "needs root"]
fn set_id_program_using_library_is_rejected_needs_root() {
    let place = Place::new();
    crate::host::build(&["--package", "keystead", "--example", "embed"]);
    let embed = crate::host::target().join("debug/examples/embed");
    let plugin = place.0.path().join("memory.so");
    fs::copy(crate::host::memory(), &plugin).unwrap();
    for (name, mode, code) in
        [("set-user", 0o4755, 1), ("set-group", 0o2755, 1), ("plain", 0o755, 0)]
    {
        let copy = place.copy_of(&embed, name, mode);
        let output = place.run(&copy, &[plugin.to_str().unwrap()]);
        let told = errors(&output);
        assert_eq!(output.status.code(), Some(code), "{name} {told}");
        let refused = "the real, effective and saved IDs of this process differ";
        assert_eq!(told.starts_with(refused), code == 1, "{name} {told}");
        // With the hidden argument the program is a runner, which fails with the same error.
        let runner = place.run(&copy, &["__runner"]);
        assert_eq!(runner.status.code(), Some(if code == 1 { 1 } else { 2 }), "{name}");
        assert_eq!(errors(&runner).contains("E07.set-id"), code == 1, "{name}");
    }
}

#[test]
#[ignore = "needs root"]
fn process_with_differing_ids_is_rejected_needs_root() {
    let place = Place::new();
    let copy = place.copy("plain", 0o755);
    for words in
        [["--ruid", "12345"], ["--euid", "12345"], ["--rgid", "12345"], ["--egid", "12345"]]
    {
        let mut command = Command::new("setpriv");
        if words[0].ends_with("gid") {
            command.arg("--clear-groups");
        }
        command.args(words).arg(&copy).args(["get", "env:HOME"]).env("HOME", place.home());
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert_eq!(
            (output.status.code(), errors(&output)),
            (Some(1), REFUSED.to_owned()),
            "{words:?}"
        );
    }
}

#[test]
#[ignore = "needs root"]
fn file_capabilities_limit_command_to_system_dirs_needs_root() {
    let place = Place::new();
    let plain = place.copy("plain", 0o755);
    let registration = place.home().join(".config/keystead/vaults/mine.toml");
    fs::create_dir_all(registration.parent().unwrap()).unwrap();
    fs::write(&registration, "plugin = \"memory\"\ngrants = []\n").unwrap();
    let config = place.home().join(".config/keystead");
    let list = place.run(&plain, &["vault", "list"]);
    assert!(String::from_utf8(list.stdout).unwrap().contains("mine"), "an ordinary copy has it");
    for (name, in_effect) in [("effective", true), ("permitted", false)] {
        let copy = place.capable(name, in_effect);
        let list = place.run(&copy, &["vault", "list"]);
        assert_eq!((list.status.code(), list.stdout.as_slice()), (Some(0), &b""[..]), "{name}");
        for (words, code, said) in [
            (&["vault", "list", "--config-dir", config.to_str().unwrap()][..], 2, "`--config-dir`"),
            (&["get", "env:HOME"], 2, "follows no reference that is typed"),
            (&["get", "command:[\"/usr/bin/id\"]"], 2, "follows no reference that is typed"),
            (&["get", "a", "--unlock", "password=env:HOME"], 2, "`--unlock`"),
            (&["vault", "test", "mine"], 3, "no vault `mine` is registered"),
            (&["__agent", "/nowhere"], 1, "E07.more-rights"),
            (&["__runner"], 1, "E07.more-rights"),
        ] {
            let output = place.run(&copy, words);
            let told = errors(&output);
            assert_eq!(output.status.code(), Some(code), "{name} {words:?} {told}");
            assert!(told.to_lowercase().contains(&said.to_lowercase()), "{name} {words:?} {told}");
        }
    }
}

#[test]
#[ignore = "needs root"]
fn runner_serves_only_its_own_user_needs_root() {
    let place = Place::new();
    let copy = place.copy("plain", 0o755);
    let started = |user: u32| {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
                .unwrap();
        let mut child = Command::new(&copy)
            .arg("__runner")
            .env_clear()
            .uid(user)
            .gid(user)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // A runner that serves ends with another code if the input is no greeting.
        let sent = rustix::net::send(ours.as_fd(), b"x", rustix::net::SendFlags::NOSIGNAL);
        drop(ours);
        let code = child.wait().unwrap().code();
        (sent.is_ok(), code)
    };
    assert_eq!(started(0).1, Some(70), "it reads what its own user sends");
    assert_eq!(started(USER).1, Some(2));
}

#[test]
#[ignore = "needs root"]
fn home_of_another_user_is_named_where_it_is_refused_needs_root() {
    let place = Place::new();
    let home = place.0.path().join("home");
    fs::create_dir_all(home.join(".config/keystead/vaults")).unwrap();
    for words in [&["vault", "list"][..], &["get", "a"], &["set", "a", "--file", "/dev/null"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keystead"));
        command.args(words).env_clear().env("HOME", &home).stdin(Stdio::null());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
        let named = format!("`HOME` is `{}`, another user's, as with `sudo -E`", home.display());
        assert!(errors(&output).contains(&named), "{}", errors(&output));
    }
}

#[test]
#[ignore = "needs root"]
fn unmapped_user_id_owns_nothing_needs_root() {
    let place = Place::new();
    let copy = place.copy("plain", 0o755);
    let mut command = Command::new("unshare");
    command.arg("--user").arg(&copy).args(["vault", "list"]);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", place.home());
    let registration = place.home().join(".config/keystead/vaults/mine.toml");
    fs::create_dir_all(registration.parent().unwrap()).unwrap();
    fs::write(&registration, "plugin = \"memory\"\ngrants = []\n").unwrap();
    let output = command.stdin(Stdio::null()).output().unwrap();
    let told = errors(&output);
    assert!(told.contains("belongs to user id 65534"), "{told}");
    assert!(told.contains("E02.owner"), "{told}");
    assert!(!String::from_utf8(output.stdout).unwrap().contains("mine"));
}

#[test]
#[ignore = "needs root"]
fn system_vault_of_capable_copy_opens_in_runner_needs_root() {
    let place = Place::new();
    let root = place.0.path();
    place.capable("capable", true);
    place.copy("plain", 0o755);
    fs::create_dir_all(root.join("etc/keystead")).unwrap();
    let packaged = root.join("lib/keystead");
    fs::create_dir_all(&packaged).unwrap();
    let paths = Paths {
        system_config: root.join("etc/keystead"),
        user_config: None,
        user_data: None,
        packaged: vec![packaged.clone()],
    };
    let store = PluginStore::new(&paths, Privilege::Ordinary);
    let decision = TrustDecision {
        place: trust::InstallTarget::Packaged(packaged),
        in_process: InProcess::Never,
    };
    let candidate = store.examine(super::sandbox::plugin()).unwrap();
    store.install(candidate, &decision, OnIdConflict::Refuse).unwrap();
    for name in ["passwd", "group"] {
        fs::copy(Path::new("/etc").join(name), root.join("etc").join(name)).unwrap();
    }
    // Private mounts: the administrator's installation exists only in this namespace.
    let script = "
        set -e
        mount --bind lib /usr/local/lib
        mount --bind etc /etc
        ./plain vault register shared --system --yes --plugin memory >&2
        exec setpriv --reuid 12345 --regid 12345 --clear-groups ./capable vault test shared";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/bin")
        .env("HOME", root.join("home"))
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
}
