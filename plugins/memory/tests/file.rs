//! The file of the memory plugin: shared between processes, damaged, or at unusual paths.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use keystead_plugin_api::*;
use keystead_plugin_memory::Memory;

/// Returns an empty directory for this test alone.
fn dir(test: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

fn name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

fn try_open(file: &Path) -> Result<Box<dyn Vault>> {
    let mut parameters = Parameters::new();
    parameters.insert("file", ParameterValue::Text(file.to_str().unwrap().to_owned()));
    let vault = VaultName::parse("test").unwrap();
    Memory::open(OpenRequest::new(vault, "memory", parameters, soon()), Context::silent())
}

fn open(file: &Path) -> Box<dyn Vault> {
    try_open(file).unwrap()
}

fn set(vault: &mut dyn Vault, key: &str, value: &str) -> Result<()> {
    vault.set(SetRequest::new(name(key), Value::text(value), soon())).map(drop)
}

fn get(vault: &mut dyn Vault, key: &str) -> Result<Value> {
    vault.get(&GetRequest::new(name(key), soon())).map(|secret| secret.value)
}

fn files(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn secret_persists_after_reopening_vault() {
    let dir = dir("again");
    let file = dir.join("secrets");
    let mut vault = open(&file);
    assert!(!file.exists(), "opening creates nothing");
    set(vault.as_mut(), "a", "1").unwrap();
    drop(vault);
    assert_eq!(get(open(&file).as_mut(), "a"), Ok(Value::text("1")));
    assert_eq!(files(&dir), ["secrets"]);

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn set_many_changes_file_completely_or_not_at_all() {
    let dir = dir("many");
    let file = dir.join("secrets");
    let mut vault = open(&file);
    set(vault.as_mut(), "taken", "old").unwrap();
    let state = || (fs::read(&file).unwrap(), fs::metadata(&file).unwrap().modified().unwrap());
    let first_line = |content: &[u8]| content.split(|byte| *byte == b'\n').next().unwrap().to_vec();
    let request = |key: &str, mode| {
        let mut request = SetRequest::new(name(key), Value::text("new"), soon());
        request.mode = mode;
        request
    };
    let many = (0..100).map(|n| request(&n.to_string(), WriteMode::CreateOnly));
    let many = many.chain([request("taken", WriteMode::CreateOnly)]).collect();
    let before = state();
    let results = vault.set_many(SetManyRequest::new(many)).unwrap().results;
    assert_eq!(results[100].as_ref().unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert!(results[..100].iter().all(Result::is_ok) && results.len() == 101);
    assert_ne!(first_line(&state().0), first_line(&before.0), "nothing was written");
    let mut other = open(&file);
    assert_eq!(get(other.as_mut(), "99"), Ok(Value::text("new")));
    assert_eq!(get(other.as_mut(), "taken"), Ok(Value::text("old")));

    // A failed batch writes nothing.
    let before = state();
    fs::write(dir.join(".secrets.0123456789abcdef.new"), "another writer").unwrap();
    let late = Deadline::after(Duration::ZERO);
    let mut request = request("late", WriteMode::Upsert);
    request.deadline = late;
    assert_eq!(
        vault.set_many(SetManyRequest::new(vec![request])).unwrap_err().kind(),
        ErrorKind::TimedOut
    );
    assert_eq!(state(), before);
    assert_eq!(get(vault.as_mut(), "late").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn write_by_another_vault_is_seen_by_next_call() {
    let file = dir("seen").join("secrets");
    let (mut one, mut other) = (open(&file), open(&file));
    for turn in 0..50 {
        set(one.as_mut(), "a", &turn.to_string()).unwrap();
        assert_eq!(get(other.as_mut(), "a"), Ok(Value::text(turn.to_string())));
        set(other.as_mut(), "a", "x").unwrap();
        assert_eq!(get(one.as_mut(), "a"), Ok(Value::text("x")));
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(get(one.as_mut(), "a").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn damaged_file_is_reported_by_line_and_never_overwritten() {
    let file = dir("damaged").join("secrets");
    let mut vault = open(&file);
    set(vault.as_mut(), "a", "canary-1").unwrap();
    set(vault.as_mut(), "b", "canary-2").unwrap();
    let sound = fs::read_to_string(&file).unwrap();
    assert_eq!(sound.lines().count(), 4);

    let lines: Vec<&str> = sound.lines().collect();
    let joined = |lines: &[&str]| lines.join("\n") + "\n";
    let flipped = sound.replacen("2d31", "2d32", 1);
    let cases = [
        (String::new(), "line 1: it ends too early"),
        ("\n".to_owned(), "line 1: it was not written by this plugin"),
        ("secret\n".to_owned(), "line 1: it was not written by this plugin"),
        (sound.replacen(" 2 ", " 3 ", 1), "line 1: it was written by another version"),
        (sound.replacen(" 2 ", " 2  ", 1), "line 1: the first line is too long"),
        (flipped, "line 2: the checksum does not fit"),
        (joined(&[lines[0], lines[1], lines[3]]), "line 3: the count does not fit"),
        (joined(&lines[..3]), "line 3: the line with the count is missing"),
        (joined(&[lines[0], lines[1], lines[1], lines[3]]), "line 3: the secret is there twice"),
        (sound[..sound.len() - 1].to_owned(), "line 4: it ends too early"),
        (sound.clone() + "x\n", "line 5: something follows the end"),
    ];
    for (content, fault) in cases {
        fs::write(&file, &content).unwrap();
        for vault in [&mut vault, &mut open(&file)] {
            let read = get(vault.as_mut(), "a").unwrap_err();
            let written = set(vault.as_mut(), "c", "canary-3").unwrap_err();
            for error in [read, written] {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                assert!(error.message().contains(fault), "{error} is not {fault}");
                assert!(error.message().contains(file.to_str().unwrap()), "{error}");
                assert!(!error.message().contains("canary"), "{error}");
            }
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
    }

    fs::write(&file, &sound).unwrap();
    assert_eq!(get(vault.as_mut(), "a"), Ok(Value::text("canary-1")));
}

#[test]
fn cut_or_changed_file_gives_no_wrong_value() {
    let file = dir("bytes").join("secrets");
    set(open(&file).as_mut(), "a", "canary").unwrap();
    let sound = fs::read(&file).unwrap();
    let first_line = sound.iter().position(|byte| *byte == b'\n').unwrap();
    for at in 0..sound.len() {
        fs::write(&file, &sound[..at]).unwrap();
        assert_eq!(get(open(&file).as_mut(), "a").unwrap_err().kind(), ErrorKind::Corrupt);
        let mut changed = sound.clone();
        changed[at] ^= 1;
        fs::write(&file, &changed).unwrap();
        match get(open(&file).as_mut(), "a") {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt),
            // The number in the first line only shows that the file has changed.
            Ok(value) => assert!(at < first_line && value == Value::text("canary"), "byte {at}"),
        }
    }
}

#[test]
fn path_that_is_no_file_is_rejected_without_blocking() {
    let dir = dir("odd");
    for path in ["", "relative", "/", "/.."] {
        assert_eq!(try_open(Path::new(path)).err().unwrap().kind(), ErrorKind::Invalid, "{path}");
    }
    let mut vault = open(&dir);
    assert_eq!(get(vault.as_mut(), "a").unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(set(vault.as_mut(), "a", "1").unwrap_err().kind(), ErrorKind::Invalid);

    #[cfg(unix)]
    {
        let pipe = dir.join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut vault = open(&pipe);
        assert_eq!(get(vault.as_mut(), "a").unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(set(vault.as_mut(), "a", "1").unwrap_err().kind(), ErrorKind::Invalid);
    }

    // A file's path cannot be the parent of a directory.
    fs::write(dir.join("a file"), "").unwrap();
    let mut vault = open(&dir.join("a file/secrets"));
    let error = set(vault.as_mut(), "a", "1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("a file"), "{error}");
}

#[cfg(unix)]
#[test]
fn first_secret_creates_private_dir() {
    use std::os::unix::fs::PermissionsExt;

    let dir = dir("missing").join("no such directory");
    let mut vault = open(&dir.join("secrets"));
    assert_eq!(get(vault.as_mut(), "a").unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!dir.exists());
    set(vault.as_mut(), "a", "1").unwrap();
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
}

const SECRETS_EACH: usize = 25;

/// Writer process of the following tests; an ordinary run does nothing here.
#[test]
fn writer() {
    let file = match std::env::var_os("MEMORY_TEST_FILE") {
        Some(file) => PathBuf::from(file),
        None => return,
    };
    let id = std::env::var("MEMORY_TEST_ID").unwrap();
    let mut vault = open(&file);
    for n in 0..SECRETS_EACH {
        set(vault.as_mut(), &format!("{id}-{n}"), &id).unwrap();
        let create = |vault: &mut dyn Vault, key: &str| {
            let mut request = SetRequest::new(name(key), Value::text(id.as_str()), soon());
            request.mode = WriteMode::CreateOnly;
            vault.set(request)
        };
        // Exactly one process creates each of these.
        match create(vault.as_mut(), &format!("contested-{n}")) {
            Ok(_) => set(vault.as_mut(), &format!("made-{n}-{id}"), &id).unwrap(),
            Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}"),
        }
    }
}

fn spawn_writer(file: &Path, id: usize) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writer", "--quiet"])
        .env("MEMORY_TEST_FILE", file)
        .env("MEMORY_TEST_ID", id.to_string())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

fn names(vault: &mut dyn Vault) -> Vec<String> {
    let page = vault.list(&ListRequest::new(soon())).unwrap();
    assert_eq!(page.next_cursor, None);
    page.entries.iter().map(|entry| entry.name.to_string()).collect()
}

#[test]
fn concurrent_writer_processes_lose_nothing() {
    let dir = dir("eight");
    let file = dir.join("secrets");
    let writers: Vec<_> = (0..8).map(|id| spawn_writer(&file, id)).collect();
    for mut writer in writers {
        assert!(writer.wait().unwrap().success());
    }
    let names = names(open(&file).as_mut());
    for id in 0..8 {
        for n in 0..SECRETS_EACH {
            assert!(names.contains(&format!("{id}-{n}")), "{id}-{n} is lost");
        }
    }
    for n in 0..SECRETS_EACH {
        let start = format!("made-{n}-");
        let made = names.iter().filter(|name| name.starts_with(&start)).count();
        assert_eq!(made, 1, "contested-{n} was made {made} times");
    }
    assert_eq!(files(&dir), ["secrets"]);
}

#[test]
fn killed_writer_damages_nothing_and_blocks_briefly() {
    let dir = dir("killed");
    let file = dir.join("secrets");
    set(open(&file).as_mut(), "kept", "canary").unwrap();
    for round in 0..20 {
        let mut writer = spawn_writer(&file, round);
        std::thread::sleep(Duration::from_millis(5 + 3 * round as u64));
        writer.kill().unwrap();
        writer.wait().unwrap();
        assert_eq!(get(open(&file).as_mut(), "kept"), Ok(Value::text("canary")));
    }
    // Leftover of a process that was killed during a write.
    fs::write(dir.join(".secrets.0123456789abcdef.new"), "half a li").unwrap();
    let start = Instant::now();
    set(open(&file).as_mut(), "after", "1").unwrap();
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert_eq!(files(&dir), ["secrets"]);
}

#[test]
fn set_waiting_for_other_writer_times_out_at_deadline() {
    let dir = dir("waits");
    let file = dir.join("secrets");
    fs::write(dir.join(".secrets.0123456789abcdef.new"), "").unwrap();
    // Neither another file's claim nor a file with a similar name blocks the write.
    fs::write(dir.join(".secrets2.0123456789abcdef.new"), "").unwrap();
    fs::write(dir.join(".secrets.old.new"), "").unwrap();
    let mut vault = open(&file);
    let deadline = Deadline::after(Duration::from_millis(50));
    let error = vault.set(SetRequest::new(name("a"), Value::text("1"), deadline)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    fs::remove_file(dir.join(".secrets.0123456789abcdef.new")).unwrap();
    set(vault.as_mut(), "a", "1").unwrap();
}
