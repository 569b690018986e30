//! `plugin install`, `upgrade`, `trust` and `remove` with `--system`: as root, with private mounts
//! over the system's directories. Also the result for an ordinary user.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

/// An ordinary user.
const USER: u32 = 12_345;

/// Runs a script as root with private mounts. Returns its standard output and error as one text.
fn session(script: &str) -> String {
    assert!(rustix::process::geteuid().is_root(), "this test mounts directories: run it as root");
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    open(root);
    for name in ["lib", "etc", "home"] {
        fs::create_dir(root.join(name)).unwrap();
        open(&root.join(name));
    }
    chown(root.join("home"), Some(USER), Some(USER)).unwrap();
    for name in ["passwd", "group"] {
        fs::copy(Path::new("/etc").join(name), root.join("etc").join(name)).unwrap();
    }
    let keystead = env!("CARGO_BIN_EXE_keystead");
    for (from, name) in [(Path::new(keystead), "keystead"), (super::sandbox::plugin(), "memory.so")]
    {
        // A separate process copies: a test that starts a program at this moment would inherit the
        // open file, and then the copy cannot be run.
        assert!(Command::new("cp").arg(from).arg(root.join(name)).status().unwrap().success());
    }
    let mut other = fs::read(root.join("memory.so")).unwrap();
    other.push(0);
    fs::write(root.join("other.so"), other).unwrap();
    let script = format!(
        "exec 2>&1
        mount --bind lib /usr/local/lib && mount --bind etc /etc || exit 99
        chmod 755 keystead
        keystead() {{ HOME=/root ./keystead --yes \"$@\" || echo \"exit $?\"; }}
        user() {{ setpriv --reuid {USER} --regid {USER} --clear-groups ./keystead --yes \"$@\" || echo \"exit $?\"; }}
        {{ {script}
        }} 2>&1 | sed 's/[0-9a-f]\\{{64\\}}/HASH/g'"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]).env_clear().current_dir(root);
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", root.join("home"));
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stdout).unwrap().replace(root.to_str().unwrap(), "[ROOT]")
}

#[test]
#[ignore = "needs root"]
fn plugin_for_all_users_is_installed_upgraded_and_removed_needs_root() {
    let told = session(
        "umask 077
        keystead -q plugin install --system memory.so
        stat -c '%a %U %n' /usr/local/lib/keystead /usr/local/lib/keystead/plugins /usr/local/lib/keystead/plugins/* \
            /etc/keystead /etc/keystead/pins.d /etc/keystead/pins.d/*
        grep -v sha256 /etc/keystead/pins.d/memory.toml | grep -v trusted-at | grep -v size
        user plugin list --json | grep -o '\"layer\":\"[a-z]*\"'
        user -q vault register notes --plugin memory --param \"file=$HOME/kept/file\"
        echo kept | user -q set a --stdin
        user -q get a
        keystead -q plugin upgrade --system other.so
        ls /usr/local/lib/keystead/plugins | wc -l
        user -q get a
        keystead -q plugin remove --system memory
        ls /usr/local/lib/keystead/plugins | wc -l
        user -q get a",
    );
    snapbox::assert_data_eq!(
        told,
        snapbox::str![[r#"
755 root /usr/local/lib/keystead
755 root /usr/local/lib/keystead/plugins
444 root /usr/local/lib/keystead/plugins/HASH.so
755 root /etc/keystead
755 root /etc/keystead/pins.d
644 root /etc/keystead/pins.d/memory.toml
schema = 1
id = "memory"
trust-source = "administrator"
version = "0.1.0"
source = "[ROOT]/memory.so"
"layer":"administrator"
kept1
kept0
Error: Vault `notes` cannot be opened
Caused by: no plugin `memory` is installed
Hint: run `keystead plugin list` to see the plugins
Hint: run `keystead plugin install FILE` to install one
Hint: run `keystead vault show notes` to see its registration
Code: E03.not-pinned
exit 1

"#]]
    );
}

#[test]
#[ignore = "needs root"]
fn plugin_for_all_users_is_roots_to_change_needs_root() {
    let told = session(
        "user -q plugin install --system memory.so
        keystead -q plugin upgrade --system memory.so
        keystead -q plugin install --system memory.so
        keystead -q plugin install --system other.so
        user -q plugin remove memory
        user -q plugin trust memory --danger-in-process
        user -q plugin remove --system memory
        printf 'schema = 1\\ndeny = true\\nid = \"bad\"\\n' >/etc/keystead/pins.d/bad.toml
        chmod 644 /etc/keystead/pins.d/bad.toml
        keystead -q plugin remove --system bad
        ls /etc/keystead/pins.d",
    );
    snapbox::assert_data_eq!(
        told,
        snapbox::str![[r#"
Error: Only root can change the plugins of all users
Hint: run the command as root, for example with `sudo`
exit 1
Error: Plugin `memory` is not installed
Hint: run `keystead plugin install memory.so`
exit 1
Error: The id `memory` is taken by the administrator pin `/etc/keystead/pins.d/memory.toml` of another file (SHA-256 HASH)
Hint: run `keystead plugin show memory` to see what is installed
Hint: run `keystead plugin upgrade FILE` to put the new file in its place
Code: E07.id-taken
exit 1
Error: Plugin `memory` is pinned in `/etc/keystead/pins.d/memory.toml`, which only the administrator can change
Hint: add `--system`, as root
Code: E07.not-yours
exit 1
Error: Plugin `memory` is pinned in `/etc/keystead/pins.d/memory.toml`, which only the administrator can change
Hint: add `--system`, as root
Code: E07.not-yours
exit 1
Error: Only root can change the plugins of all users
Hint: run the command as root, for example with `sudo`
exit 1
Error: The administrator denies plugin `bad` in `/etc/keystead/pins.d/bad.toml`
Code: E07.denied
exit 1
bad.toml
memory.toml

"#]]
    );
}
