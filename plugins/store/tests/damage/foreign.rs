//! Files that another user made, with each part of SQLite's format that could run code, lead
//! elsewhere or take forever. Every call returns a fitting error and changes nothing.

use std::os::unix::fs::symlink;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use blake2::digest::consts::U16;
use blake2::{Blake2b, Digest};
use keystead_plugin_api::{
    Answer, Deadline, Error, ErrorKind, SecretText, TestRequest, UnlockRequest, Value, Vault,
};
use rusqlite::Connection;

use crate::vault::{self, Home, amply, chmod, get, list, set, verify};

/// Makes the schema's own table writable.
const SCHEMA: &str = "PRAGMA writable_schema=ON;";

/// Schema changes that another user can make to an undamaged file.
fn schemas() -> Vec<(&'static str, String)> {
    let value = "CREATE TABLE value (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL)";
    let row = |kind: &str, name: &str, root: &str, sql: &str| {
        let sql = sql.replace('\'', "''");
        format!(
            "{SCHEMA} INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) \
             VALUES ('{kind}', '{name}', '{name}', {root}, '{sql}')"
        )
    };
    let sql = |table: &str, new: &str| {
        let new = new.replace('\'', "''");
        format!("{SCHEMA} UPDATE sqlite_schema SET sql = '{new}' WHERE name = '{table}'")
    };
    let set = |what: &str| format!("{SCHEMA} UPDATE sqlite_schema SET {what} WHERE name = 'value'");
    let renamed = |table: &str, view: &str| {
        format!("ALTER TABLE {table} RENAME TO hidden; CREATE VIEW {table} AS {view}")
    };
    let deep = format!("CREATE VIEW v AS SELECT {}1{}", "(".repeat(300), ")".repeat(300));
    let long = format!("CREATE VIEW v AS SELECT 1 /*{}*/", "x".repeat(1_000_000));
    let columns: Vec<String> = (0..1_900).map(|number| format!("c{number}")).collect();
    let unions = vec!["SELECT 1"; 400].join(" UNION ALL ");
    let mut all: Vec<(&str, String)> = vec![
        ("trigger", "CREATE TRIGGER t AFTER INSERT ON secret BEGIN DELETE FROM value; END".into()),
        (
            "trigger on update",
            "CREATE TRIGGER t BEFORE UPDATE ON header BEGIN DELETE FROM secret; END".into(),
        ),
        ("view", "CREATE VIEW v AS SELECT * FROM secret".into()),
        ("view in a table's place", renamed("secret", "SELECT * FROM hidden WHERE place < 0")),
        (
            "endless view in a table's place",
            renamed(
                "header",
                "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) \
             SELECT 1 AS id, x'00' AS body FROM n WHERE id < 0",
            ),
        ),
        ("index", "CREATE INDEX i ON secret (value)".into()),
        ("unique index", "CREATE UNIQUE INDEX i ON secret (value)".into()),
        ("index of an expression", "CREATE INDEX i ON secret (length(overview) % 2)".into()),
        ("index of a part", "CREATE INDEX i ON secret (value) WHERE value > 1".into()),
        ("another table", "CREATE TABLE other (a)".into()),
        ("table that counts", "CREATE TABLE other (a INTEGER PRIMARY KEY AUTOINCREMENT)".into()),
        ("statistics", "ANALYZE".into()),
        ("generated column", "ALTER TABLE value ADD COLUMN g AS (length(sealed))".into()),
        ("column with a default", "ALTER TABLE secret ADD COLUMN d DEFAULT 1".into()),
        (
            "check",
            sql(
                "value",
                "CREATE TABLE value (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL CHECK (length(sealed) > 1))",
            ),
        ),
        (
            "endless check",
            sql(
                "value",
                "CREATE TABLE value (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL, CHECK (randomblob(1000000000) > 1))",
            ),
        ),
        (
            "foreign key",
            sql(
                "value",
                "CREATE TABLE value (id INTEGER PRIMARY KEY REFERENCES secret ON DELETE CASCADE, sealed BLOB NOT NULL)",
            ),
        ),
        ("table without row numbers", sql("value", &format!("{value} WITHOUT ROWID"))),
        ("other letters", sql("value", &value.replace("CREATE", "create"))),
        ("comment", sql("value", &format!("{value} -- "))),
        ("other type", sql("value", &value.replace("BLOB", "TEXT"))),
        ("no statement", set("sql = NULL")),
        ("statement of bytes", set("sql = CAST(sql AS BLOB)")),
        ("root of another table", set("rootpage = 4")),
        ("root of the schema", set("rootpage = 1")),
        ("root beyond the file", set("rootpage = 2147483647")),
        ("root below zero", set("rootpage = -1")),
        ("root that is text", set("rootpage = 'x'")),
        ("no root", set("rootpage = NULL")),
        ("another name", set("name = 'Value'")),
        ("another table's name", set("tbl_name = 'secret'")),
        ("index without a statement", row("index", "sqlite_autoindex_value_1", "5", "")),
        ("table twice", row("table", "value", "5", value)),
        (
            "table once more, if it is not there",
            row("table", "value", "5", &value.replace("TABLE", "TABLE IF NOT EXISTS")),
        ),
        ("no table", format!("{SCHEMA} DELETE FROM sqlite_schema WHERE name = 'value'")),
        ("no tables", format!("{SCHEMA} DELETE FROM sqlite_schema")),
        ("deep view", row("view", "v", "0", &deep)),
        ("long view", row("view", "v", "0", &long)),
        ("view of many parts", row("view", "v", "0", &format!("CREATE VIEW v AS {unions}"))),
        (
            "table of many columns",
            row("table", "wide", "5", &format!("CREATE TABLE wide ({})", columns.join(","))),
        ),
        ("statement that is no schema", row("table", "x", "5", "DELETE FROM secret")),
        ("kind that is none", row("x", "x", "5", "CREATE TABLE x (a)")),
    ];
    for module in
        ["fts3", "fts4", "fts5", "rtree", "dbstat", "json_each", "sqlite_dbpage", "nobody"]
    {
        let create = format!("CREATE VIRTUAL TABLE v USING {module}(a)");
        all.push(("virtual table", row("table", "v", "0", &create)));
    }
    all
}

/// Returns a vault with a few secrets, and its bytes.
fn sound() -> (Home, Vec<u8>) {
    let home = Home::new();
    vault::fill(&mut *home.open(), &vault::dozen());
    let file = std::fs::read(home.file()).unwrap();
    (home, file)
}

/// Returns a copy of a vault that was changed with SQLite itself.
fn tampered(home: &Home, what: &str, sql: &str) -> Home {
    let copy = home.copied();
    let file = Connection::open(copy.file()).unwrap();
    file.execute_batch(sql).unwrap_or_else(|error| panic!("{what}: {error}"));
    drop(file);
    copy
}

/// Returns the result of each kind of call. No call may take forever.
pub(crate) fn said(home: &Home) -> Vec<(&'static str, Result<(), ErrorKind>)> {
    let path = home.path().to_owned();
    let (done, result) = mpsc::channel();
    thread::spawn(move || {
        let mut vault = Home::at(path).open();
        let kind = |error: keystead_plugin_api::Error| error.kind();
        let _ = done.send(vec![
            ("get", get(&mut *vault, "text").map(drop).map_err(kind)),
            ("list", list(&mut *vault, 5).map(drop).map_err(kind)),
            ("check", verify(&mut *vault).map(drop).map_err(kind)),
            ("set", set(&mut *vault, "new", Value::text("x")).map_err(kind)),
            ("remove", vault::remove(&mut *vault, "text").map_err(kind)),
        ]);
    });
    result.recv_timeout(Duration::from_secs(250)).expect("a call hangs or panics")
}

#[track_caller]
fn all_damaged(home: &Home, what: &str) {
    for (call, result) in said(home) {
        assert_eq!(result, Err(ErrorKind::Corrupt), "{what}: {call}");
    }
}

#[test]
fn changed_schema_is_damage_and_is_not_executed() {
    let (home, _) = sound();
    for (what, sql) in schemas() {
        let copy = tampered(&home, what, &sql);
        let file = std::fs::read(copy.file()).unwrap();
        all_damaged(&copy, what);
        assert!(std::fs::read(copy.file()).unwrap() == file, "{what}: the file was changed");
    }
}

#[test]
fn columns_with_wrong_type_or_length_are_damage() {
    let (home, _) = sound();
    for (what, sql) in [
        ("header of text", "UPDATE header SET body = 'text'"),
        ("header that is a number", "UPDATE header SET body = 1"),
        ("no header", "DELETE FROM header"),
        ("header of another number", "UPDATE header SET id = 2"),
        ("empty header", "UPDATE header SET body = x''"),
        ("long header", "UPDATE header SET body = body || zeroblob(1000000)"),
        ("header beyond all limits", "UPDATE header SET body = zeroblob(50000000)"),
    ] {
        all_damaged(&tampered(&home, what, sql), what);
    }
    // Each change damages secrets: their reads report damage, and none is absent.
    for (what, sql) in [
        ("links of text", "UPDATE secret SET link = 'text'"),
        ("links that are numbers", "UPDATE secret SET link = 1"),
        ("empty links", "UPDATE secret SET link = x''"),
        ("long links", "UPDATE secret SET link = zeroblob(1000000)"),
        ("next that is text", "UPDATE secret SET next = 'text'"),
        ("next that is a fraction", "UPDATE secret SET next = 0.5"),
        ("overviews of text", "UPDATE secret SET overview = 'text'"),
        ("overviews that are numbers", "UPDATE secret SET overview = 1"),
        ("overviews beyond all limits", "UPDATE secret SET overview = zeroblob(20000000)"),
        ("no rows", "DELETE FROM secret"),
        ("no head", "DELETE FROM secret WHERE place = -9223372036854775808"),
        ("rows without secrets", "DELETE FROM secret WHERE place > -9223372036854775808"),
    ] {
        let copy = tampered(&home, what, sql);
        for (call, result) in said(&copy) {
            if matches!(call, "list" | "check") {
                assert_eq!(result, Err(ErrorKind::Corrupt), "{what}: {call}");
            }
            assert_ne!(result, Err(ErrorKind::NotFound), "{what}: {call}");
        }
    }
    for (what, sql) in [
        ("values of text", "UPDATE value SET sealed = 'text'"),
        ("values that are numbers", "UPDATE value SET sealed = 1"),
        ("values beyond all limits", "UPDATE value SET sealed = zeroblob(20000000)"),
        ("numbers of values that are text", "UPDATE secret SET value = 'text'"),
        ("numbers of values that are a fraction", "UPDATE secret SET value = 0.5"),
    ] {
        let copy = tampered(&home, what, sql);
        for (call, result) in said(&copy) {
            if matches!(call, "get" | "check") {
                assert_eq!(result, Err(ErrorKind::Corrupt), "{what}: {call}");
            }
            assert_ne!(result, Err(ErrorKind::NotFound), "{what}: {call}");
        }
    }
}

#[test]
fn write_ahead_log_is_rejected_and_not_created() {
    let (home, _) = sound();
    let copy = tampered(&home, "log", "PRAGMA journal_mode=WAL");
    all_damaged(&copy, "a file that says it has a log");
    assert_eq!(std::fs::read_dir(copy.dir()).unwrap().count(), 1, "a log was made");

    // A log beside a file whose header has none, with content and empty.
    for log in [&b"anything"[..], b""] {
        let copy = home.copied();
        std::fs::write(copy.dir().join("store.db-wal"), log).unwrap();
        all_damaged(&copy, "a log beside it");
        assert_eq!(std::fs::read(copy.dir().join("store.db-wal")).unwrap(), log);
    }
    // A log that appears while the vault is open.
    let mut vault = home.open();
    assert!(get(&mut *vault, "text").is_ok());
    std::fs::write(home.dir().join("store.db-wal"), b"").unwrap();
    assert_eq!(get(&mut *vault, "text").unwrap_err().kind(), ErrorKind::Corrupt);
}

/// Start of a SQLite journal.
const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// Returns a journal that SQLite accepts as that of an interrupted write: a rollback restores these
/// pages and truncates the file to `size` pages.
fn journal(pages: &[(u32, &[u8])], size: u32, page_size: u32) -> Vec<u8> {
    let numbers = [pages.len() as u32, 7, size, 512, page_size];
    let mut journal = MAGIC.to_vec();
    numbers.iter().for_each(|number| journal.extend(number.to_be_bytes()));
    journal.resize(512, 0);
    for (number, page) in pages {
        journal.extend(number.to_be_bytes());
        journal.extend(*page);
        let sum = (1..page.len().div_ceil(200)).map(|at| u32::from(page[page.len() - 200 * at]));
        journal.extend((7 + sum.sum::<u32>()).to_be_bytes());
    }
    journal
}

/// Writes a journal beside a vault's file.
fn put_journal(home: &Home, bytes: &[u8]) {
    let path = home.dir().join("store.db-journal");
    std::fs::write(&path, bytes).unwrap();
    chmod(&path, 0o600);
}

fn pages(file: &[u8]) -> Vec<(u32, &[u8])> {
    (1..).zip(file.chunks(4_096)).collect()
}

/// Without this, the other tests could pass because SQLite ignores the journal.
#[test]
fn journal_of_this_vault_rolls_back_interrupted_write() {
    let (home, before) = sound();
    set(&mut *home.open(), "text", Value::text("later")).unwrap();
    put_journal(&home, &journal(&pages(&before), (before.len() / 4_096) as u32, 4_096));
    let mut vault = home.open();
    assert_eq!(get(&mut *vault, "text").unwrap().value, Value::text("canary"));
    assert!(std::fs::read(home.file()).unwrap() == before);
}

#[test]
fn journal_with_super_journal_is_damage_and_deletes_nothing() {
    let (home, before) = sound();
    let victim = home.path().join("victim");
    std::fs::write(&victim, b"precious").unwrap();
    let mut bytes = journal(&pages(&before), (before.len() / 4_096) as u32, 4_096);
    let name = victim.to_str().unwrap().as_bytes();
    let sum: u32 = name.iter().map(|byte| u32::from(*byte)).sum();
    // After the page number that no file uses: that of SQLite's locks.
    bytes.extend((0x4000_0000_u32 / 4_096 + 1).to_be_bytes());
    bytes.extend(name);
    bytes.extend((name.len() as u32).to_be_bytes());
    bytes.extend(sum.to_be_bytes());
    bytes.extend(MAGIC);
    put_journal(&home, &bytes);
    all_damaged(&home, "a super-journal");
    assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
    // The same while the vault is open.
    std::fs::remove_file(home.dir().join("store.db-journal")).unwrap();
    let mut vault = home.open();
    assert!(get(&mut *vault, "text").is_ok());
    put_journal(&home, &bytes);
    assert_eq!(get(&mut *vault, "text").unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
}

#[test]
fn linked_journal_is_rejected_and_its_target_unchanged() {
    let (home, before) = sound();
    let victim = home.path().join("victim");
    let path = home.dir().join("store.db-journal");
    let hot = journal(&pages(&before), (before.len() / 4_096) as u32, 4_096);
    std::fs::remove_file(&path).unwrap();
    for content in [&b"precious"[..], b"", &hot] {
        for hard in [false, true] {
            std::fs::write(&victim, content).unwrap();
            chmod(&victim, 0o600);
            match hard {
                true => std::fs::hard_link(&victim, &path).unwrap(),
                false => symlink(&victim, &path).unwrap(),
            }
            for (call, result) in said(&home) {
                assert_eq!(result, Err(ErrorKind::PermissionDenied), "{call}");
            }
            assert_eq!(std::fs::read(&victim).unwrap(), content);
            std::fs::remove_file(&path).unwrap();
        }
    }
    symlink(home.path().join("nowhere"), &path).unwrap();
    assert_eq!(
        set(&mut *home.open(), "x", Value::text("x")).unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    assert!(!home.path().join("nowhere").exists());
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_eq!(get(&mut *home.open(), "text").unwrap_err().kind(), ErrorKind::PermissionDenied);
}

#[test]
fn forged_or_writable_journal_is_not_replayed() {
    let (home, before) = sound();
    let small: Vec<(u32, &[u8])> = (1..).zip(before.chunks(512)).collect();
    for (what, bytes) in [
        ("pages of 512 bytes", journal(&small, small.len() as u32, 512)),
        ("no pages", journal(&[], 0, 4_096)),
        ("the first page, of nothing", journal(&pages(&before)[..1], 0, 4_096)),
    ] {
        put_journal(&home, &bytes);
        all_damaged(&home, what);
        assert!(std::fs::read(home.file()).unwrap() == before, "{what}");
    }
    // Accessible to other users, as a copy may be: its author is unknown.
    put_journal(&home, &journal(&pages(&before), (before.len() / 4_096) as u32, 4_096));
    chmod(&home.dir().join("store.db-journal"), 0o666);
    assert_eq!(get(&mut *home.open(), "text").unwrap_err().kind(), ErrorKind::PermissionDenied);
}

/// SQLite cannot detect the journal's origin. The result is damage, and no secret is absent.
#[test]
fn journal_of_other_vault_hides_no_secret() {
    let (other, theirs) = sound();
    let theirs = pages(&theirs);
    drop(other);
    for some in
        [&theirs[..], &theirs[..1], &theirs[1..], &theirs[2..3], &theirs[3..4], &theirs[4..5]]
    {
        for size in [1, 3, theirs.len() as u32] {
            let (home, _) = sound();
            put_journal(&home, &journal(some, size, 4_096));
            for (call, result) in said(&home) {
                assert_ne!(result, Err(ErrorKind::NotFound), "{call}: {} of {size}", some.len());
                // With all pages the file is another vault, which our key does not open.
                assert!(some.len() < theirs.len() || result.is_err(), "{call}");
            }
        }
    }
}

/// Writes this cost into the header of a vault with one password, as its writer could.
fn with_cost(home: &Home, memory_kib: u32, passes: u32) {
    const MEMORY_AT: usize = 40 + 4 + 1 + 16;
    let file = Connection::open(home.file()).unwrap();
    let read = |row: &rusqlite::Row<'_>| row.get::<_, Vec<u8>>(0);
    let mut body = file.query_row("SELECT body FROM header", [], read).unwrap();
    body[MEMORY_AT..MEMORY_AT + 4].copy_from_slice(&memory_kib.to_le_bytes());
    body[MEMORY_AT + 4..MEMORY_AT + 8].copy_from_slice(&passes.to_le_bytes());
    let end = body.len() - 32;
    let sum = Blake2b::<U16>::digest(&body[..end]);
    body[end..end + 16].copy_from_slice(&sum);
    file.execute("UPDATE header SET body = ?1", [body]).unwrap();
}

fn unlock(vault: &mut dyn Vault, id: &str, deadline: Deadline) -> Result<(), Error> {
    let value = SecretText::new("canary-password");
    let answers = vec![Answer::new("password", value)];
    vault.unlock(&UnlockRequest::new(id, answers, deadline)).map(drop)
}

/// Two gigabytes and 32 passes blocked a call for 107 seconds.
#[test]
fn excessive_kdf_cost_is_rejected_and_allowed_cost_times_out() {
    let home = Home::new();
    let open = || vault::open(&home.dir(), None);
    let mut vault = open();
    let locked = set(&mut *vault, "text", Value::text("canary")).unwrap_err();
    unlock(&mut *vault, &locked.challenge().unwrap().id, amply()).unwrap();
    set(&mut *vault, "text", Value::text("canary")).unwrap();
    drop(vault);

    for (memory_kib, passes) in [(2 << 20, 32), (u32::MAX, u32::MAX), (8, 1_000), (64 << 10, 129)] {
        with_cost(&home, memory_kib, passes);
        for refused in [
            get(&mut *open(), "text").map(drop),
            unlock(&mut *open(), "password", amply()),
            open().test(&TestRequest::new(amply())).map(drop),
        ] {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert!(error.message().contains("asks for more work"), "{error}");
            assert!(error.message().contains(&format!("{passes} passes")), "{error}");
        }
    }
    for (memory_kib, passes) in [(7, 1), (64, 0)] {
        with_cost(&home, memory_kib, passes);
        assert_eq!(get(&mut *open(), "text").unwrap_err().kind(), ErrorKind::Corrupt);
    }
    // The most that is allowed: no machine fills 8 GiB in 20 milliseconds.
    with_cost(&home, 256 << 10, 32);
    for left in [Duration::ZERO, Duration::from_millis(20)] {
        let late = unlock(&mut *open(), "password", Deadline::after(left)).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
    }
}
