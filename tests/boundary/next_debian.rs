//! The first-party plugins in their sandboxes on the C library of Debian's next release: other
//! system calls, another loader. The root directory initially has only that library.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::bao::{Bao, ROOT};
use crate::cli::sandbox::{files, hashicorp, plugin, store};

/// A system with the C library, this Keystead and its plugins.
struct System {
    root: tempfile::TempDir,
}

impl System {
    fn new() -> Self {
        let library = std::env::var_os("KEYSTEAD_TEST_NEXT_DEBIAN")
            .expect("KEYSTEAD_TEST_NEXT_DEBIAN names a root directory with a C library");
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let system = Self { root };
        let copied = Command::new("cp")
            .arg("-a")
            .arg(PathBuf::from(library).join("."))
            .arg(system.path(""))
            .status();
        assert!(copied.unwrap().success());
        for dir in ["bin", "proc", "dev", "etc", "tmp", "home"] {
            fs::create_dir_all(system.path(dir)).unwrap();
        }
        fs::set_permissions(system.path("home"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(system.path("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
        fs::copy(env!("CARGO_BIN_EXE_keystead"), system.path("bin/keystead")).unwrap();
        for file in [plugin(), store(), files(), hashicorp()] {
            let name = file.file_name().unwrap().to_str().unwrap();
            fs::copy(file, system.path(&format!("home/{name}"))).unwrap();
            system.succeeds(&format!("plugin install --yes /home/{name}"), "");
        }
        system
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Runs the command in the system.
    fn run(&self, words: &str, input: &str) -> Output {
        const INSIDE: &str = "root=$1; shift
            mount --rbind /proc \"$root/proc\" && mount --rbind /dev \"$root/dev\" &&
            exec chroot \"$root\" /bin/keystead \"$@\"";
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        command.args(["/bin/sh", "-c", INSIDE, "sh"]).arg(self.root.path());
        command.args(words.split_whitespace()).env_clear();
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/home");
        command.env("BAO_TOKEN", ROOT);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads no input may end before this write.
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn succeeds(&self, words: &str, input: &str) -> String {
        let output = self.run(words, input);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words}: {told}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Checks that a vault stores, returns, lists and removes a secret.
    fn keeps(&self, vault: &str) {
        self.succeeds(&format!("set a --vault {vault} --stdin"), "canary");
        assert_eq!(self.succeeds(&format!("get a --vault {vault}"), ""), "canary");
        assert_eq!(self.succeeds(&format!("list --vault {vault} --json"), "").lines().count(), 1);
        self.succeeds(&format!("remove a --vault {vault} --yes"), "");
        let gone = self.run(&format!("get a --vault {vault}"), "");
        assert_eq!(gone.status.code(), Some(3), "{}", String::from_utf8_lossy(&gone.stderr));
    }
}

#[test]
#[ignore = "needs bao and next-debian"]
fn needs_next_debian_needs_bao_shipped_plugins_run_sandboxed() {
    let system = System::new();
    let library = Path::new("usr/lib/x86_64-linux-gnu/libc.so.6");
    let next = fs::read(system.path(library.to_str().unwrap())).unwrap();
    let here = fs::read(Path::new("/").join(library)).unwrap();
    assert!(next != here, "it is this system's own library");
    for words in [
        "memory --plugin memory --param file=/home/memory/secrets",
        "store --plugin store --param key-file=/home/store.key",
        "files --plugin files:read-write",
    ] {
        system.succeeds(&format!("vault register {words} --placement isolated"), "");
    }
    let port = Bao::shared().at.rsplit_once(':').unwrap().1;
    system.succeeds(
        &format!(
            "vault register server --plugin hashicorp --placement isolated --param prefix=next \
             --param address=http://localhost:{port} --param token=env:BAO_TOKEN"
        ),
        "",
    );
    for vault in ["memory", "store", "files", "server"] {
        system.keeps(vault);
    }
    let report = system.succeeds("doctor --json", "");
    // A chroot has no namespaces for runners. The report has no other finding.
    assert!(report.contains("no mount point, as in a `chroot`"), "{report}");
    assert!(report.contains("\"errors\":0,\"warnings\":1,"), "{report}");
}
