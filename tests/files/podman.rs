//! Secrets of Podman, which mounts them into a container as Docker does. Keystead runs inside,
//! in a root folder that has nothing else but a shell.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{answer, run, tool};
use crate::cli::sandbox;

/// Podman with folders of its own, and a root folder for containers.
struct Podman {
    root: tempfile::TempDir,
}

impl Podman {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let podman = Self { root };
        for folder in ["home", "tmp", "rootfs/bin"] {
            fs::create_dir_all(podman.path(folder)).unwrap();
        }
        // Containers enter below it under other users.
        fs::set_permissions(podman.root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        podman.make_tmp();
        podman.write_settings();
        podman.fill("bin/sh", Path::new("/bin/sh"));
        podman.fill("bin/keystead", Path::new(env!("CARGO_BIN_EXE_keystead")));
        podman.fill("files.so", sandbox::files());
        podman
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Puts a program into the root folder, with the libraries that it is linked with.
    fn fill(&self, name: &str, program: &Path) {
        let root = self.path("rootfs");
        fs::copy(program, root.join(name)).unwrap();
        let linked = answer(Command::new("ldd").arg(program), b"");
        for word in String::from_utf8(linked).unwrap().split_whitespace() {
            let Some(library) = word.strip_prefix('/') else { continue };
            let place = root.join(library);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::copy(word, place).unwrap();
        }
    }

    /// Writes what podman reads instead of the system's settings.
    fn write_settings(&self) {
        // Limits that a container asks for and this machine may not give are left out. They are
        // a list in one line, without brackets in it.
        let runc = tool("KEYSTEAD_TEST_RUNC");
        let script = format!(
            "#!/bin/sh\nlast=\nfor word; do\n  if [ \"$last\" = --bundle ]; then\n    \
             sed -i 's/\"rlimits\":\\[[^]]*\\]/\"rlimits\":[]/' \"$word/config.json\"\n  fi\n  last=$word\ndone\n\
             exec '{}' \"$@\"\n",
            runc.display()
        );
        let runtime = self.path("runtime");
        fs::write(&runtime, script).unwrap();
        fs::set_permissions(&runtime, fs::Permissions::from_mode(0o755)).unwrap();
        let settings = format!(
            // Locks of its own: in memory that all podmen share they would be made by two at once.
            "[engine]\nlock_type = \"file\"\nconmon_path = [\"{}\"]\n\
             conmon_env_vars = [\"PATH=/usr/sbin:/usr/bin:/sbin:/bin\", \"LD_LIBRARY_PATH={}\"]\n",
            tool("KEYSTEAD_TEST_CONMON").display(),
            libraries().display(),
        );
        fs::write(self.path("containers.conf"), settings).unwrap();
        fs::write(self.path("policy.json"), "{\"default\":[{\"type\":\"reject\"}]}").unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut podman = Command::new(tool("KEYSTEAD_TEST_PODMAN"));
        podman.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        podman.env("HOME", self.path("home")).env("TMPDIR", self.path("tmp"));
        podman.env("CONTAINERS_CONF", self.path("containers.conf"));
        for (option, folder) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
            podman.arg(option).arg(self.path(folder));
        }
        podman.args(["--cgroup-manager", "cgroupfs", "--events-backend", "file"]);
        podman.args(["--storage-driver", "vfs", "--runtime"]).arg(self.path("runtime"));
        podman.args(words);
        podman
    }

    fn secret(&self, name: &str, content: &[u8]) {
        answer(&mut self.command(&["secret", "create", name, "-"]), content);
    }

    /// Removes what a container left in its root folder.
    fn sweep(&self) {
        fs::remove_dir_all(self.path("rootfs/tmp")).unwrap();
        self.make_tmp();
    }

    /// Makes the folder that everybody in a container may write to.
    fn make_tmp(&self) {
        let tmp = self.path("rootfs/tmp");
        fs::create_dir_all(&tmp).unwrap();
        fs::set_permissions(&tmp, fs::Permissions::from_mode(0o1777)).unwrap();
    }

    /// Runs a line of shell in a container with these options.
    fn run(&self, options: &[&str], line: &str) -> (Option<i32>, Vec<u8>, String) {
        let mut podman = self.command(&["run", "--rm", "--network=none", "--env=HOME=/tmp/home"]);
        podman.args(options).arg("--rootfs").arg(self.path("rootfs"));
        run(podman.args(["/bin/sh", "-c", line]), b"")
    }
}

/// Returns the libraries that podman was unpacked with: what it starts again needs them, too.
fn libraries() -> PathBuf {
    let podman = PathBuf::from(tool("KEYSTEAD_TEST_PODMAN"));
    podman.parent().unwrap().parent().unwrap().join("usr/lib/x86_64-linux-gnu")
}

/// What a container does before it reads: the plugin, in a process of its own, and the vault.
const READY: &str = "\
    keystead plugin install --yes -q /files.so >/tmp/told 2>&1 || exit 90; \
    keystead vault register run --plugin files --param path=/run/secrets >/tmp/told 2>&1 \
        || exit 91; ";

#[test]
fn secrets_that_podman_mounts_are_read_in_the_container_needs_podman() {
    let podman = Podman::new();
    podman.secret("password", b"canary-5d1f\n");
    podman.secret("key", b"canary\0\xff\x80");
    let secrets = [
        "--secret=password",
        "--secret=key,target=tls.key,mode=0400",
        "--secret=key,target=.hidden",
    ];
    let lines: [(&str, &[u8], i32); 5] = [
        ("keystead get password", b"canary-5d1f\n", 0),
        ("keystead get tls.key", b"canary\0\xff\x80", 0),
        ("keystead get nothing", b"", 3),
        ("keystead -q vault test", b"run: ok\n", 0),
        (
            "keystead list --json | while read -r l; do l=${l#*name}; echo ${l%%vault*}; done",
            b"\
            \":\".hidden\",\"\n\":\"password\",\"\n\":\"tls.key\",\"\n",
            0,
        ),
    ];
    for (line, expected, exit) in lines {
        // Each container is new: nothing is left of the one before.
        let (code, answer, told) = podman.run(&secrets, &format!("{READY} {line}"));
        assert_eq!((code, &*answer), (Some(exit), expected), "{line}: {told}");
        assert!(!told.contains("canary"), "{told}");
        podman.sweep();
    }
}

#[test]
fn what_is_mounted_read_only_is_believed_whoever_owns_it_needs_podman() {
    let podman = Podman::new();
    // As Compose mounts a secret that is a file of somebody's outside.
    let given = podman.path("given");
    fs::write(&given, "canary-5d1f").unwrap();
    fs::set_permissions(&given, fs::Permissions::from_mode(0o666)).unwrap();
    std::os::unix::fs::chown(&given, Some(1000), Some(1000)).unwrap();
    for (options, code, expected) in [("ro", 0, &b"canary-5d1f"[..]), ("rw", 1, b"")] {
        let volume = format!("--volume={}:/run/secrets/token:{options}", given.display());
        let (ended, answer, told) = podman.run(&[&volume], &format!("{READY} keystead get token"));
        assert_eq!((ended, &*answer), (Some(code), expected), "{options}: {told}");
        podman.sweep();
    }
}

#[test]
fn a_secret_of_another_user_is_for_that_user_alone_needs_podman() {
    let podman = Podman::new();
    podman.secret("password", b"canary-5d1f\n");
    let secret = "--secret=password,uid=1000,gid=1000,mode=0440";
    let line = format!("{READY} keystead get password");
    let (code, answer, told) = podman.run(&[secret, "--user=1000:1000"], &line);
    assert_eq!((code, &*answer), (Some(0), &b"canary-5d1f\n"[..]), "{told}");
    podman.sweep();
    let (code, answer, told) = podman.run(&[secret], &line);
    assert_eq!((code, &*answer), (Some(1), &b""[..]), "{told}");
    // Where the runner has a root of its own, no privilege over files is left to read it with.
    let words = ["belongs to another user (number 1000)", "Permission denied"];
    let is_told = words.iter().any(|words| told.contains(words));
    assert!(is_told && told.contains("/run/secrets/password"), "{told}");
    assert!(told.contains("E12.denied"), "{told}");
}
