//! A vault in a single file that the host replaces for its plugin, in both placements. The plugin
//! cannot reach the rest of the home directory. No change of another program is lost.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use keystead::NewRegistration;
use keystead::Placement;
use keystead::api::{Value, VaultName};
use snapbox::{assert_data_eq, str};

use crate::cli::sandbox::Sandbox;
use crate::plugin_files::{able, plugin};
use crate::scene::Scene;

/// Returns a home with the vault `safe` in `~/safe.db`.
fn home(placement: &str) -> Sandbox {
    let sandbox = Sandbox::empty();
    let file = plugin("one-file");
    let file = file.to_str().unwrap();
    sandbox.run("plugin install --yes", &[file]).succeeds();
    sandbox.run("plugin trust one-file --danger-in-process --yes", &[]).succeeds();
    let register = "vault register safe --plugin one-file --param file=../home/safe.db --placement";
    let answer = sandbox.run(register, &[placement]);
    answer.succeeds();
    let sentence = "/home/safe.db, and have Keystead replace it as a whole\n";
    assert!(answer.stderr.contains(sentence), "{answer}");
    sandbox
}

fn file(sandbox: &Sandbox) -> PathBuf {
    sandbox.root().join("home/safe.db")
}

#[test]
fn single_file_vault_in_home_works_in_both_placements() {
    for placement in ["isolated", "in-process"] {
        let sandbox = home(placement);
        let file = file(&sandbox);
        sandbox.run("get a", &[]).ends_with(3);
        assert!(!file.exists(), "who only reads makes nothing");
        sandbox.feed("one", "set a --stdin").succeeds();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let inode = fs::metadata(&file).unwrap().ino();
        sandbox.feed("two", "set b --stdin").succeeds();
        let after = fs::metadata(&file).unwrap();
        assert_eq!(after.mode() & 0o7777, 0o640);
        assert_ne!(after.ino(), inode);
        assert_eq!(fs::read_to_string(&file).unwrap(), "61 6f6e65\n62 74776f\n");
        assert_eq!(sandbox.run("get a", &[]).succeeds(), b"one");
        sandbox.run("remove a", &[]).succeeds();
        assert_eq!(sandbox.run("get b", &[]).succeeds(), b"two");
        let answer = sandbox.feed("new", "set b --stdin -v");
        assert!(answer.stderr.contains("replaces the file "), "{answer}");
    }
}

#[test]
fn keystead_dirs_and_special_files_cannot_be_replaced() {
    let sandbox = Sandbox::empty();
    let file = able(sandbox.root(), &[]);
    sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
    let answer = sandbox.run("vault register own --plugin able --param folder=../home", &[]);
    assert!(answer.ends_with(1).stderr.contains("E07.own-folder"), "{answer}");
    let file = plugin("one-file");
    sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
    let refused = |path: &str, code: &str| {
        let parameter = format!("file={path}");
        let answer = sandbox.run("vault register x --plugin one-file --param", &[&parameter]);
        assert!(answer.ends_with(1).stderr.contains(code), "{path}: {answer}");
    };
    refused("../home/.config/keystead/config.toml", "E07.own-folder");
    refused("../home/.local/share/keystead/pins.d/able.toml", "E07.own-folder");
    refused("/proc/self/environ", "E02.not-a-file");
    refused("/dev/null", "E02.not-a-file");
    refused("../home", "E07.own-folder");
    refused("../tmp", "E02.not-a-file");
}

#[test]
fn user_link_to_file_is_followed_plugin_link_is_rejected() {
    let sandbox = Sandbox::empty();
    let one = plugin("one-file");
    sandbox.run("plugin install --yes", &[one.to_str().unwrap()]).succeeds();
    fs::create_dir(sandbox.here("real")).unwrap();
    symlink("real/it", sandbox.here("link")).unwrap();
    let register = "vault register safe --plugin one-file --replace --param";
    let answer = sandbox.run(register, &["file=link"]);
    answer.succeeds();
    assert!(answer.stderr.contains("/here/real/it\n"), "{answer}");
    sandbox.feed("one", "set a --stdin").succeeds();
    assert!(fs::symlink_metadata(sandbox.here("link")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(sandbox.here("real/it")).unwrap(), "61 6f6e65\n");
    // Another plugin creates the link where it may write: to the vault's own file, or elsewhere.
    let other = able(sandbox.root(), &[]);
    sandbox.run("plugin install --yes", &[other.to_str().unwrap()]).succeeds();
    sandbox.run("vault register other --plugin able --param folder=shared", &[]).succeeds();
    fs::create_dir(sandbox.here("shared")).unwrap();
    sandbox.run(register, &["file=shared/it"]).succeeds();
    symlink("../../home/notes", sandbox.here("shared/it")).unwrap();
    for words in ["set a --stdin -V safe", "get a -V safe"] {
        let answer = sandbox.feed("two", words);
        assert!(answer.ends_with(1).stderr.contains("lets its plugin write to"), "{answer}");
    }
    assert!(!sandbox.root().join("home/notes").exists());
}

#[test]
fn hard_linked_or_mounted_file_is_not_replaced() {
    let sandbox = home("isolated");
    let file = file(&sandbox);
    sandbox.feed("one", "set a --stdin").succeeds();
    fs::hard_link(&file, sandbox.here("second")).unwrap();
    assert_data_eq!(
        sandbox.feed("two", "set a --stdin"),
        str![[r#"
exit code 1
--- stderr
Error: Vault `safe` answered: Keystead cannot replace `[ROOT]/home/safe.db`: it has a second name (a hard link), which would keep the old content
Code: E12.unavailable

"#]]
    );
    fs::remove_file(sandbox.here("second")).unwrap();
    // The file is a mount point, has a second path by a mount, or is on a read-only mount.
    for (mounts, why) in [
        ("cp $1 $1.other; mount --bind $1.other $1; rm $1.other; touch $1", "it is a mount point"),
        (
            "touch $1.other; mount --bind $1 $1.other",
            "it is mounted at another place as well, which would keep the old content",
        ),
        (
            "d=$(dirname $1); mount --bind $d $d; mount --bind $d/.local $d/.local; \
             mount -o remount,bind,ro $d",
            "/home/safe.db`: Read-only file system (os error 30)",
        ),
    ] {
        let command = sandbox.command("set a --stdin", &[]);
        let mut shell = Command::new("unshare");
        shell.args(["--user", "--map-root-user", "--mount", "--", "/bin/sh", "-ec"]);
        shell.arg(format!("{mounts}; shift; exec \"$@\""));
        shell.arg("sh").arg(&file).arg(command.get_program()).args(command.get_args());
        shell.env_clear().envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        shell.current_dir(command.get_current_dir().unwrap());
        let answer = sandbox.answer(shell, b"two");
        assert!(answer.ends_with(1).stderr.contains(why), "{answer}");
        assert!(!answer.stderr.contains("is sandboxed"), "{answer}");
    }
    assert_eq!(sandbox.run("get a", &[]).succeeds(), b"one");
}

#[test]
fn temporary_file_of_killed_command_is_removed_by_next() {
    let sandbox = home("isolated");
    sandbox.feed("one", "set a --stdin").succeeds();
    let entries = || {
        let entries = fs::read_dir(sandbox.root().join("home")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(".keystead-replace-")).collect::<Vec<_>>()
    };
    assert!(entries().is_empty());
    // The temporary file's name is visible while a command writes.
    let mut left = None;
    for _ in 0..200 {
        let mut child = sandbox.command("set a --stdin", &[]);
        let child = child.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
        let mut child = child.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"two").unwrap();
        while child.try_wait().unwrap().is_none() {
            if let Some(name) = entries().pop() {
                left = Some(name);
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        if !entries().is_empty() {
            break;
        }
    }
    assert!(left.is_some(), "no new file was ever seen");
    assert_eq!(entries().len(), 1, "none was left");
    sandbox.feed("three", "set a --stdin").succeeds();
    assert_eq!(sandbox.run("get a", &[]).succeeds(), b"three");
    assert!(entries().is_empty());
}

#[test]
fn parallel_commands_on_single_file_lose_no_secret() {
    let sandbox = home("isolated");
    let names: Vec<String> = (0..24).map(|at| format!("secret-{at}")).collect();
    std::thread::scope(|scope| {
        for name in &names {
            let sandbox = &sandbox;
            scope.spawn(move || {
                sandbox.feed("text", &format!("set {name} --stdin")).succeeds().len()
            });
        }
    });
    for name in &names {
        assert_eq!(sandbox.run("get", &[name]).succeeds(), b"text", "{name}");
    }
}

#[test]
fn c_plugin_replacing_changed_file_gets_conflict() {
    for placement in [Placement::Isolated, Placement::InProcess] {
        let scene = Scene::new();
        let path = scene.apart().join("file");
        fs::write(&path, "first").unwrap();
        let asked = format!("replace:{}", path.display());
        let id = scene.install(&able(scene.path(), &[&asked]));
        let vault = VaultName::parse("safe").unwrap();
        let mut new = NewRegistration::new(vault.clone(), &id, PathBuf::from("/"));
        new.placement = Some(placement);
        let plan = scene.host.plan_registration(new).unwrap();
        scene.host.register(plan).unwrap();
        let does = |what: &str, more: &str| {
            let name = format!("{what}:{}{more}", path.display());
            match scene.get(&vault, &name).unwrap().secret.value {
                Value::Text(text) => text.expose().to_owned(),
                value => panic!("{value:?}"),
            }
        };
        assert_eq!(does("file", ""), "first");
        // The plugin has no other access to the file.
        if placement == Placement::Isolated {
            assert!(matches!(&*does("read", ""), "EACCES" | "ENOENT"), "{}", does("read", ""));
        }
        assert_eq!(does("put", ";;second"), "replaced");
        assert_eq!(does("file", ""), "second");
        assert_eq!(does("swap", ";;third"), "replaced");
        fs::write(&path, "another's").unwrap();
        let told = does("put", ";;fourth");
        assert!(told.contains("is no longer what the vault read: it had 5 bytes of "), "{told}");
        assert!(told.contains(", and has 9 bytes of ") && told.ends_with('!'), "{told}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "another's");
        let told = does("swap", ";;");
        assert!(told.contains("`content` has 16777217 bytes"), "{told}");
        for (what, more) in [("file", "/../file"), ("file", "x"), ("put", "x;;new")] {
            assert!(does(what, more).ends_with("is not granted"), "{}", does(what, more));
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(does("file", ""), "nothing");
        assert_eq!(does("put", ";;created"), "replaced");
        assert_eq!(fs::read_to_string(&path).unwrap(), "created");
        scene.end();
    }
}

#[test]
fn single_file_vault_keeps_every_obligation() {
    let sandbox = Sandbox::empty();
    let file = plugin("one-file");
    let file = file.to_str().unwrap();
    let test = "plugin test --many 20 --param file={vault}.db";
    let answer = sandbox.run(test, &[file]);
    assert!(answer.ends_with(0).stderr.contains(" 0 broken"), "{answer}");
    sandbox.run("plugin install --yes", &[file]).succeeds();
    sandbox.run("plugin trust one-file --danger-in-process --yes", &[]).succeeds();
    let answer = sandbox.run(test, &["one-file", "--placement", "in-process"]);
    assert!(answer.ends_with(0).stderr.contains(" 0 broken"), "{answer}");
}

#[test]
fn replaced_file_without_grant_is_not_opened() {
    let sandbox = home("isolated");
    let registration = sandbox.root().join("home/.config/keystead/vaults/safe.toml");
    let text = fs::read_to_string(&registration).unwrap();
    fs::write(&registration, text.replace("home/safe.db\"", "home/other.db\"")).unwrap();
    let text = fs::read_to_string(&registration).unwrap();
    fs::write(&registration, text.replacen("replace:", "replace:/x", 1)).unwrap();
    let answer = sandbox.run("get a", &[]);
    let not = "requests permissions that vault `safe` does not grant: replace:";
    assert!(answer.ends_with(1).stderr.contains(not), "{answer}");
}

#[test]
fn program_at_replaced_path_is_not_run() {
    let sandbox = Sandbox::empty();
    let file = plugin("one-file");
    sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
    let tool = sandbox.here("tool");
    fs::copy("/bin/echo", &tool).unwrap();
    let command = format!("command:[\"{}\"]", tool.display());
    sandbox.run("get", &[&command]).succeeds();
    sandbox.run("vault register safe --plugin one-file --param file=tool", &[]).succeeds();
    let answer = sandbox.run("get", &[&command]);
    let why = "lies in a directory that vault `safe` lets its plugin write to";
    assert!(answer.ends_with(1).stderr.contains(why), "{answer}");
}
