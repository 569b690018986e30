//! Tests that need several processes, an ordinary user's rights, or a process that ends
//! during a write. The children run this test binary again.

use std::os::unix::fs::chown;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Output, Stdio};

use super::*;

const PART: &str = "KEYSTEAD_TEST_PART";
const DIR: &str = "KEYSTEAD_TEST_FOLDER";

/// The user `nobody`, which every machine has.
const NOBODY: u32 = 65_534;

/// Not a test: the code of the children of the tests below. On its own it does nothing.
#[test]
fn registry_child_process_runs_given_command() {
    let Ok(part) = std::env::var(PART) else { return };
    let dir = PathBuf::from(std::env::var_os(DIR).unwrap());
    let registry = Registry::open(&paths_in(&dir));
    let (part, argument) = part.split_once(' ').unwrap_or((&part, ""));
    let answer = match part {
        "register" => {
            let mut entry = Registration::new(name(argument), "memory");
            // More than one block, so that a limit takes effect during the write.
            entry.description = "x".repeat(5_000);
            registry
                .register(Layer::User, entry, Replace::Never, DefaultChoice::Yes)
                .apply()
                .map(|_| "registered".to_owned())
        }
        "first" => registry
            .register(
                Layer::User,
                Registration::new(name(argument), "memory"),
                Replace::Never,
                DefaultChoice::First,
            )
            .apply()
            .map(|_| "registered".to_owned()),
        "unregister" => {
            registry.unregister(Layer::User, name(argument)).apply().map(|_| "gone".to_owned())
        }
        "system" => registry
            .register(
                Layer::System,
                Registration::new(name(argument), "memory"),
                Replace::Never,
                DefaultChoice::First,
            )
            .apply()
            .map(|_| "registered".to_owned()),
        "read" => registry.entry(&name(argument)).map(|entry| entry.plugin),
        other => panic!("no part `{other}`"),
    };
    let answer = answer.unwrap_or_else(|error| {
        let source = std::error::Error::source(&error).map(|s| format!(": {s}"));
        format!("{}: {error}{}", error.code(), source.unwrap_or_default())
    });
    println!("\nanswer={answer}");
}

fn command(sandbox: &Sandbox, part: &str) -> Command {
    // The link, not the path: another user may not be able to reach the build directory.
    arguments(Command::new("/proc/self/exe"), sandbox, part)
}

fn arguments(mut command: Command, sandbox: &Sandbox, part: &str) -> Command {
    command
        .args([
            "--exact",
            "registry::tests::processes::registry_child_process_runs_given_command",
            "--nocapture",
        ])
        .env_clear()
        .env(PART, part)
        .env(DIR, sandbox.dir.path())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Returns the child's answer, with the sandbox's directory shortened to `.`.
fn answer(sandbox: &Sandbox, output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let answer = text.lines().find_map(|line| line.strip_prefix("answer="));
    let answer = answer.unwrap_or_else(|| panic!("no answer: {output:?}"));
    let real = sandbox.dir.path().canonicalize().unwrap();
    answer.replace(real.to_str().unwrap(), ".").replace(sandbox.dir.path().to_str().unwrap(), ".")
}

/// Runs a part as a user for whom permissions count: as `nobody` if the tests run as root.
fn as_ordinary_user(sandbox: &Sandbox, part: &str) -> String {
    let mut command = command(sandbox, part);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    answer(sandbox, &command.output().unwrap())
}

/// Gives the user's layer, and the sandbox itself, to that user.
fn give_away(sandbox: &Sandbox) {
    let mut dirs = vec![sandbox.dir.path().to_owned()];
    while let Some(path) = dirs.pop() {
        if path.is_dir() && !path.ends_with("system") {
            dirs.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        if !path.starts_with(sandbox.path("system")) {
            chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
}

#[test]
fn concurrent_process_registrations_lose_nothing() {
    let sandbox = Sandbox::new();
    let children: Vec<_> =
        (0..20).map(|n| command(&sandbox, &format!("first v{n:02}")).spawn().unwrap()).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert_eq!(answer(&sandbox, &output), "registered");
    }
    let listing = sandbox.registry.all();
    assert!(listing.faults.is_empty(), "{:?}", listing.faults);
    assert_eq!(listing.vaults.len(), 20);
    assert!(listing.vaults.iter().all(|vault| vault.entry.is_ok()));
    // Exactly one of them was the first.
    let default = sandbox.registry.default().unwrap().unwrap();
    assert!(sandbox.registry.entry(&default).is_ok());
    // No half-written file is left.
    let mut left: Vec<_> =
        fs::read_dir(sandbox.path("user")).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [".lock", "config.toml", "vaults"]);
    assert_eq!(fs::read_dir(sandbox.path("user/vaults")).unwrap().count(), 20);
}

#[test]
fn concurrent_processes_register_same_name_once() {
    let sandbox = Sandbox::new();
    let children: Vec<_> =
        (0..20).map(|_| command(&sandbox, "first one").spawn().unwrap()).collect();
    let answers: Vec<_> = children
        .into_iter()
        .map(|child| answer(&sandbox, &child.wait_with_output().unwrap()))
        .collect();
    assert_eq!(answers.iter().filter(|answer| *answer == "registered").count(), 1);
    let exists = answers.iter().filter(|answer| answer.starts_with("E01.exists")).count();
    assert_eq!(exists, 19, "{answers:?}");
}

#[test]
fn concurrent_thread_edits_lose_nothing() {
    let sandbox = Sandbox::new();
    for n in 0..10 {
        sandbox.register(Layer::User, &format!("old{n}")).unwrap();
    }
    std::thread::scope(|scope| {
        for n in 0..10 {
            let sandbox = &sandbox;
            scope.spawn(move || sandbox.register(Layer::User, &format!("new{n}")).unwrap());
            scope.spawn(move || {
                let old = name(&format!("old{n}"));
                sandbox.registry.unregister(Layer::User, old).apply().unwrap()
            });
            // Readers see whole files only.
            scope.spawn(move || {
                let listing = sandbox.registry.all();
                assert!(listing.faults.is_empty());
                assert!(listing.vaults.iter().all(|vault| vault.entry.is_ok()), "{listing:?}");
            });
        }
    });
    let names = sandbox.registry.names().unwrap();
    assert_eq!(names.len(), 10);
    assert!(names.iter().all(|name| name.as_str().starts_with("new")));
    assert_eq!(sandbox.registry.default().unwrap(), None);
}

#[test]
fn ordinary_user_without_environment_registers_and_reads() {
    let sandbox = Sandbox::new();
    sandbox.put("system/vaults/ours.toml", "plugin = \"theirs\"");
    give_away(&sandbox);
    assert_eq!(as_ordinary_user(&sandbox, "first mine"), "registered");
    assert_eq!(as_ordinary_user(&sandbox, "read mine"), "memory");
    assert_eq!(as_ordinary_user(&sandbox, "read ours"), "theirs");
    assert_eq!(as_ordinary_user(&sandbox, "unregister mine"), "gone");
}

#[test]
fn ordinary_user_cannot_change_system_layer() {
    let sandbox = Sandbox::new();
    sandbox.put("system/vaults/ours.toml", "plugin = \"theirs\"");
    if !is_root() {
        sandbox.mode("system", 0o500);
    }
    give_away(&sandbox);
    let said = as_ordinary_user(&sandbox, "system mine");
    assert_eq!(said, "E02.io: cannot open `./system/.lock`: Permission denied (os error 13)");
    assert!(!sandbox.exists("system/vaults/mine.toml"));
    sandbox.mode("system", 0o755);
}

#[test]
fn unreadable_file_error_names_file_and_cause() {
    let sandbox = Sandbox::new();
    sandbox.put("user/vaults/closed.toml", "plugin = \"m\"");
    sandbox.put("user/vaults/open.toml", "plugin = \"m\"");
    give_away(&sandbox);
    sandbox.mode("user/vaults/closed.toml", 0o000);
    let said = as_ordinary_user(&sandbox, "read closed");
    assert_eq!(
        said,
        "E02.io: cannot open `./user/vaults/closed.toml`: Permission denied (os error 13)"
    );
    assert_eq!(as_ordinary_user(&sandbox, "read open"), "m");
    sandbox.mode("user/vaults", 0o000);
    let said = as_ordinary_user(&sandbox, "read open");
    assert!(said.starts_with("E02.io") && said.contains("`./user/vaults"), "{said}");
    sandbox.mode("user/vaults", 0o700);
}

#[test]
#[ignore = "needs root"]
fn ordinary_user_rejects_registration_of_other_user_needs_root() {
    let sandbox = Sandbox::new();
    sandbox.put("user/vaults/v.toml", "plugin = \"m\"");
    give_away(&sandbox);
    chown(sandbox.path("user/vaults/v.toml"), Some(12_345), None).unwrap();
    assert!(as_ordinary_user(&sandbox, "read v").starts_with("E02.owner"));
    // A file of root is accepted for every user.
    chown(sandbox.path("user/vaults/v.toml"), Some(0), None).unwrap();
    assert_eq!(as_ordinary_user(&sandbox, "read v"), "m");
}

#[test]
fn failed_edit_in_read_only_dir_is_rolled_back() {
    let sandbox = Sandbox::new();
    sandbox.register(Layer::User, "one").unwrap();
    give_away(&sandbox);
    let config = sandbox.text("user/config.toml");
    // The vault's file can be written, the configuration beside it cannot.
    sandbox.mode("user", 0o500);
    let said = as_ordinary_user(&sandbox, "register two");
    assert_eq!(said, "E02.io: cannot write `./user/config.toml`: Permission denied (os error 13)");
    assert!(!sandbox.exists("user/vaults/two.toml"));
    assert_eq!(sandbox.text("user/config.toml"), config);
    sandbox.mode("user/vaults", 0o500);
    let said = as_ordinary_user(&sandbox, "unregister one");
    assert!(said.contains("Permission denied"), "{said}");
    assert!(sandbox.exists("user/vaults/one.toml"));
    assert_eq!(sandbox.text("user/config.toml"), config);
    sandbox.mode("user", 0o700);
    let said = as_ordinary_user(&sandbox, "unregister one");
    assert!(said.contains("`./user/vaults/one.toml`"), "{said}");
    assert_eq!(sandbox.text("user/config.toml"), config);
    sandbox.mode("user/vaults", 0o700);
}

/// Runs a part in a process that may write files of 1,024 bytes. A longer write fails, as on
/// a full disk, or the process is killed.
fn with_little_room(sandbox: &Sandbox, part: &str, beyond: &str) -> Output {
    let mut shell = Command::new("/bin/sh");
    // A shell counts in blocks of 512 bytes or of 1,024.
    shell.args(["-c", &format!("{beyond} ulimit -c 0; ulimit -f 1; exec \"$0\" \"$@\"")]);
    shell.arg(std::env::current_exe().unwrap());
    arguments(shell, sandbox, part).output().unwrap()
}

#[test]
fn full_disk_fails_registration_and_keeps_files() {
    let sandbox = Sandbox::new();
    sandbox.register(Layer::User, "one").unwrap();
    let output = with_little_room(&sandbox, "register two", "trap '' XFSZ;");
    assert_eq!(
        answer(&sandbox, &output),
        "E02.io: cannot write `./user/vaults/two.toml`: File too large (os error 27)"
    );
    assert_eq!(fs::read_dir(sandbox.path("user/vaults")).unwrap().count(), 1);
    assert_eq!(sandbox.registry.default().unwrap(), Some(name("one")));
}

#[test]
fn process_killed_during_write_leaves_registry_intact() {
    let sandbox = Sandbox::new();
    sandbox.register(Layer::User, "one").unwrap();
    let output = with_little_room(&sandbox, "register two", "");
    assert!(output.status.signal().is_some(), "{output:?}");
    assert_eq!(texts(&sandbox.registry.names().unwrap()), ["one"]);
    assert!(sandbox.registry.all().faults.is_empty());
    // The killed process does not keep the lock.
    sandbox.register(Layer::User, "two").unwrap();
    assert_eq!(texts(&sandbox.registry.names().unwrap()), ["one", "two"]);
}
