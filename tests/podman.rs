//! Podman, started by root or another user. Containers get a root directory with a shell, the
//! command and the plugin `files`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::cli::sandbox;
use crate::files::{answer, run, tool};

/// User of rootless Podman, whom the machine does not know.
const USER: u32 = 65_529;

/// First subordinate id that this user may use in containers.
const SUBORDINATE: u32 = 2_000_000_000;

/// The user that starts Podman.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Root. A user id is the same in a container as outside.
    Rootful,
    /// Another user, who is root in a container; other ids are subordinate ids outside.
    Rootless,
}

impl Mode {
    pub(crate) const BOTH: [Self; 2] = [Self::Rootful, Self::Rootless];
}

/// Podman with its own directories, and a root directory for containers.
pub(crate) struct Podman {
    mode: Mode,
    root: tempfile::TempDir,
}

impl Podman {
    pub(crate) fn new(mode: Mode) -> Self {
        let podman = Self { mode, root: tempfile::tempdir().unwrap() };
        // Containers access directories below as other users.
        fs::set_permissions(podman.root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for dir in ["rootfs/bin", "own", "etc"] {
            fs::create_dir_all(podman.path(dir)).unwrap();
        }
        for dir in ["home", "tmp", "root", "run", "user"] {
            fs::DirBuilder::new().mode(0o700).create(podman.path(dir)).unwrap();
            podman.hand_over(&podman.path(dir));
        }
        podman.make_tmp();
        podman.write_settings();
        podman.fill("bin/sh", Path::new("/bin/sh"));
        podman.fill("bin/keystead", Path::new(env!("CARGO_BIN_EXE_keystead")));
        podman.fill("files.so", sandbox::files());
        podman
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Gives a file or directory and its contents to the user that starts Podman.
    fn hand_over(&self, path: &Path) {
        if self.mode == Mode::Rootless {
            let owner = format!("{USER}:{USER}");
            answer(Command::new("chown").args(["-hR", &owner]).arg(path), b"");
        }
    }

    /// Copies a program and its linked libraries to the root directory.
    pub(crate) fn fill(&self, name: &str, program: &Path) {
        let root = self.path("rootfs");
        fs::copy(program, root.join(name)).unwrap();
        let linked = answer(Command::new("ldd").arg(program), b"");
        for word in String::from_utf8(linked).unwrap().split_whitespace() {
            let Some(library) = word.strip_prefix('/') else { continue };
            let place = root.join(library);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::copy(word, place).unwrap();
        }
        self.hand_over(&root);
    }

    /// Writes Podman's settings, in place of the system's.
    fn write_settings(&self) {
        // Removes resource limits of a container, which this machine may not permit. They are a
        // list in one line, without brackets in it.
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
            // Separate file locks: two podmen at once would both create the shared locks in memory.
            "[engine]\nlock_type = \"file\"\nconmon_path = [\"{}\"]\n\
             conmon_env_vars = [\"PATH=/usr/sbin:/usr/bin:/sbin:/bin\", \"LD_LIBRARY_PATH={}\"]\n",
            tool("KEYSTEAD_TEST_CONMON").display(),
            // A program that conmon starts needs the unpacked libraries of podman as well.
            unpacked("KEYSTEAD_TEST_PODMAN").join("usr/lib/x86_64-linux-gnu").display(),
        );
        fs::write(self.path("containers.conf"), settings).unwrap();
        fs::write(self.path("policy.json"), "{\"default\":[{\"type\":\"reject\"}]}").unwrap();
        if self.mode == Mode::Rootless {
            let name = "keystead-test";
            let known = [
                ("passwd", format!("root:x:0:0::/:/bin/sh\n{name}:x:{USER}:{USER}::/:/bin/sh\n")),
                ("group", format!("root:x:0:\n{name}:x:{USER}:\n")),
                ("subuid", format!("{name}:{SUBORDINATE}:65536\n")),
                ("subgid", format!("{name}:{SUBORDINATE}:65536\n")),
            ];
            for (file, content) in known {
                fs::write(self.path("etc").join(file), content).unwrap();
            }
            fs::write(self.path("enter"), self.entering()).unwrap();
        }
    }

    /// Returns the script that starts a program as the user. It uses a mount namespace where the
    /// machine knows this user, and changes nothing outside.
    fn entering(&self) -> String {
        let own = self.path("own").display().to_string();
        let mut script =
            format!("set -e\ncd /\nmount -t tmpfs -o mode=0755 own '{own}'\nmkdir '{own}/bin'\n");
        for (variable, name) in
            [("KEYSTEAD_TEST_NEWUIDMAP", "newuidmap"), ("KEYSTEAD_TEST_NEWGIDMAP", "newgidmap")]
        {
            // The program itself instead of its start script: only here it has root's rights.
            let tool = PathBuf::from(tool(variable));
            let program = unpacked(variable).join("usr/bin").join(name);
            let program = if program.is_file() { program } else { tool };
            let place = format!("{own}/bin/{name}");
            writeln!(script, "cp '{}' '{place}'\nchmod 4755 '{place}'", program.display()).unwrap();
        }
        // The user may lack access to the tools' directory, for example below root's home. An empty
        // directory with only the tools covers the inaccessible one.
        let tools = ["KEYSTEAD_TEST_PODMAN", "KEYSTEAD_TEST_CONMON", "KEYSTEAD_TEST_RUNC"];
        let dirs = BTreeSet::from(tools.map(unpacked));
        let shut: Vec<_> = dirs.iter().filter_map(|dir| Some((dir, shut_above(dir)?))).collect();
        for (number, (dir, _)) in shut.iter().enumerate() {
            let kept = format!("{own}/{number}");
            writeln!(script, "mkdir '{kept}'\nmount --bind '{}' '{kept}'", dir.display()).unwrap();
        }
        for hidden in shut.iter().map(|(_, above)| above).collect::<BTreeSet<_>>() {
            writeln!(script, "mount -t tmpfs -o mode=0755 own '{}'", hidden.display()).unwrap();
        }
        for (number, (dir, _)) in shut.iter().enumerate() {
            let dir = dir.display();
            writeln!(script, "mkdir -p '{dir}'\nmount --bind '{own}/{number}' '{dir}'").unwrap();
        }
        let etc = self.path("etc");
        writeln!(script, "mount --bind '{}' /etc", etc.display()).unwrap();
        writeln!(script, "exec setpriv --reuid {USER} --regid {USER} --clear-groups \"$@\"")
            .unwrap();
        script
    }

    fn command(&self, words: &[&str]) -> Command {
        let podman = tool("KEYSTEAD_TEST_PODMAN");
        let path = "/usr/sbin:/usr/bin:/sbin:/bin";
        let mut command = match self.mode {
            Mode::Rootful => Command::new(podman),
            Mode::Rootless => {
                let mut enter = Command::new("unshare");
                enter.args(["--mount", "/bin/sh"]).arg(self.path("enter")).arg(podman);
                enter
            }
        };
        command.env_clear().current_dir("/").env("PATH", path);
        if self.mode == Mode::Rootless {
            command.env("PATH", format!("{}:{path}", self.path("own/bin").display()));
            command.env("XDG_RUNTIME_DIR", self.path("user"));
        }
        command.env("HOME", self.path("home")).env("TMPDIR", self.path("tmp"));
        command.env("CONTAINERS_CONF", self.path("containers.conf"));
        for (option, dir) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
            command.arg(option).arg(self.path(dir));
        }
        command.args(["--cgroup-manager", "cgroupfs", "--events-backend", "file"]);
        command.args(["--storage-driver", "vfs", "--runtime"]).arg(self.path("runtime"));
        command.args(words);
        command
    }

    pub(crate) fn secret(&self, name: &str, content: &[u8]) {
        answer(&mut self.command(&["secret", "create", name, "-"]), content);
    }

    /// Returns the option for a container's system call filter, stored under this name. The filter
    /// refuses only these calls.
    pub(crate) fn refusing(&self, name: &str, calls: &[&str]) -> String {
        let path = self.path(name);
        let filter = format!(
            "{{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{{\"names\":{calls:?},\
             \"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":1}}]}}"
        );
        fs::write(&path, filter).unwrap();
        format!("--security-opt=seccomp={}", path.display())
    }

    /// Removes the files that a container left in its root directory.
    pub(crate) fn sweep(&self) {
        fs::remove_dir_all(self.path("rootfs/tmp")).unwrap();
        self.make_tmp();
    }

    /// Makes the directory that every user in a container may write to.
    fn make_tmp(&self) {
        let tmp = self.path("rootfs/tmp");
        fs::create_dir_all(&tmp).unwrap();
        fs::set_permissions(&tmp, fs::Permissions::from_mode(0o1777)).unwrap();
        self.hand_over(&tmp);
    }

    /// Runs a shell line in a container with these options.
    pub(crate) fn run(&self, options: &[&str], line: &str) -> (Option<i32>, Vec<u8>, String) {
        let mut podman = self.command(&["run", "--rm", "--network=none", "--env=HOME=/tmp/home"]);
        podman.args(options).arg("--rootfs").arg(self.path("rootfs"));
        run(podman.args(["/bin/sh", "-c", line]), b"")
    }

    /// Returns processes that rootless Podman left: the one that keeps the user's namespaces, and
    /// those that clean up after a container. Their arguments or environment name this directory.
    fn left(&self) -> Vec<Pid> {
        let root = self.root.path().as_os_str().as_bytes();
        let is_ours = |process: &Path| {
            ["cmdline", "environ"].iter().any(|file| {
                let words = fs::read(process.join(file)).unwrap_or_default();
                words.windows(root.len()).any(|part| part == root)
            })
        };
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let processes = processes.filter(|process| is_ours(&process.path()));
        processes
            .filter_map(|process| Pid::from_raw(process.file_name().to_str()?.parse().ok()?))
            .collect()
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        if self.mode == Mode::Rootful {
            // These processes end with the command that started them.
            return;
        }
        // Killed processes may take a moment to disappear, and may have just started another.
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            let left = self.left();
            if left.is_empty() {
                return;
            }
            for process in left {
                // The process may have ended by itself.
                let _ = kill_process(process, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Returns the directory with the unpacked files of a cached program.
fn unpacked(variable: &str) -> PathBuf {
    let tool = PathBuf::from(tool(variable));
    tool.parent().unwrap().parent().unwrap().to_path_buf()
}

/// Returns the topmost parent of this directory that another user may not enter.
fn shut_above(dir: &Path) -> Option<PathBuf> {
    let mut way: Vec<&Path> = dir.ancestors().skip(1).collect();
    way.reverse();
    let is_shut = |above: &&Path| fs::metadata(above).unwrap().mode() & 0o001 == 0;
    way.into_iter().find(is_shut).map(Path::to_path_buf)
}
