//! The least a program of this kind can cost: built here from a few lines, to be measured
//! beside the real thing with the same tools.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::cache::Cache;
use crate::process::captured;
use crate::workspace::Workspace;

use super::data;
use super::home::Home;
use super::own::Scope;
use super::row::{Race, Row, Whose};

const HELLO: &str = r#"fn main() { println!("hello"); }"#;

/// Opens the library it is given, as the host does, and calls nothing in it.
const DLOPEN: &str = r#"
use std::{env, ffi::{c_char, c_int, c_void, CString}, os::unix::ffi::OsStringExt};
extern "C" { fn dlopen(file: *const c_char, flags: c_int) -> *mut c_void; }
fn main() {
    let file = CString::new(env::args_os().nth(1).expect("a library").into_vec()).expect("no NUL");
    // RTLD_NOW, which implies nothing global.
    let opened = unsafe { dlopen(file.as_ptr(), 2) };
    assert!(!opened.is_null());
    println!("hello");
}
"#;

/// Bare SQLite, clear text, opened as the plugin `store` opens it: nothing overwritten or
/// written late that it does not overwrite or write late.
const SQLITE: &str = r#"
use rusqlite::{params, Connection};
fn main() -> rusqlite::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let (file, verb, rest) = (&words[1], words[2].as_str(), &words[3..]);
    let mut db = Connection::open(file)?;
    let write = |db: &mut Connection, rows: &mut dyn Iterator<Item = (String, String)>| {
        db.pragma_update(None, "secure_delete", "ON")?;
        db.pragma_update_and_check(None, "journal_mode", "TRUNCATE", |_| Ok(()))?;
        let change = db.transaction()?;
        for (name, value) in rows {
            let put = "INSERT OR REPLACE INTO secret (name, value) VALUES (?1, ?2)";
            change.prepare_cached(put)?.execute(params![name, value])?;
        }
        change.commit()
    };
    match verb {
        "make" => {
            db.execute("CREATE TABLE secret (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID", [])?;
            let count: usize = rest[0].parse().expect("a number");
            // The names and values of all the others.
            let row = |index: usize| {
                (format!("SECRET_{index:07}"), format!("value-{index:07}-0123456789abcdefgh"))
            };
            write(&mut db, &mut (0..count).map(row))
        }
        "set" => {
            // Another value each time: SQLite leaves a page alone in which nothing changes.
            let value = format!("{}{:010}", &rest[1][..22], std::process::id());
            write(&mut db, &mut std::iter::once((rest[0].clone(), value)))
        }
        _ => {
            let get = "SELECT value FROM secret WHERE name = ?1";
            let value: String = db.query_row(get, [&rest[0]], |row| row.get(0))?;
            print!("{value}");
            Ok(())
        }
    }
}
"#;

/// Returns the rows of the floors; their programs are built into the home.
pub(super) fn rows(
    cache: &Cache,
    workspace: &Workspace,
    home: &Home,
    plugin: &Path,
    scope: Scope,
) -> Result<Vec<Row>> {
    let file = home.at("value");
    fs_err::write(&file, data::value(0))?;
    let floor = |name: &str, words: &[&std::ffi::OsStr]| {
        Row::read(Race::One, Whose::Floor, name, home).words(words.iter().copied())
    };
    // A copy, for a name that a reader of the commands knows.
    let library = home.at("plugin.so");
    fs_err::copy(plugin, &library)?;
    let (hello, dlopen) = (build(home, "hello", HELLO)?, build(home, "dlopen", DLOPEN)?);
    let mut rows = vec![
        floor("cat FILE", &["/bin/cat".as_ref(), file.as_ref()]).answers(data::value(0)),
        floor("hello world in Rust", &[hello.as_ref()]),
        floor("hello world + dlopen of our plugin", &[dlopen.as_ref(), library.as_ref()]),
    ];
    let Some(sqlite) = sqlite(cache, workspace)? else { return Ok(rows) };
    let mut sizes = vec![(Race::One, 1)];
    if scope == Scope::Whole {
        sizes.push((Race::Many, 1_000_000));
    }
    for (race, secrets) in sizes {
        let file = home.at(format!("{secrets}.sqlite"));
        home.run(&[
            sqlite.as_os_str(),
            file.as_ref(),
            "make".as_ref(),
            secrets.to_string().as_ref(),
        ])?;
        let (index, name) =
            (data::measured(secrets), format!("bare SQLite, 1 of {}", data::grouped(secrets)));
        let words = [sqlite.as_os_str(), file.as_ref(), "get".as_ref()].map(OsString::from);
        let words = words.into_iter().chain([data::name(index).into()]);
        rows.push(
            Row::read(race, Whose::Floor, name, home).words(words).answers(data::value(index)),
        );
        if secrets == 1 {
            let words = [sqlite.as_os_str(), file.as_ref(), "set".as_ref()].map(OsString::from);
            let words = words.into_iter().chain(["written".into(), data::value(1).into()]);
            rows.push(Row::read(Race::Write, Whose::Floor, "bare SQLite", home).words(words));
        }
    }
    Ok(rows)
}

/// Builds a program of one file into a home.
fn build(home: &Home, name: &str, source: &str) -> Result<PathBuf> {
    let (text, program) = (home.at(format!("{name}.rs")), home.at(name));
    fs_err::write(&text, source)?;
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition=2021", "-Copt-level=3", "-Cstrip=symbols", "-o"]);
    match captured(rustc.arg(&program).arg(&text)) {
        (true, _) => Ok(program),
        (false, output) => Err(output.into()),
    }
}

/// Builds the program with SQLite, where the workspace has SQLite: the same version, in the
/// cache folder, since it takes a minute.
fn sqlite(cache: &Cache, workspace: &Workspace) -> Result<Option<PathBuf>> {
    let lock = fs_err::read_to_string(workspace.root().join("Cargo.lock"))?;
    let Some((_, after)) = lock.split_once("name = \"rusqlite\"\nversion = \"") else {
        return Ok(None);
    };
    let version = after.split('"').next().unwrap_or_default();
    let folder = cache.folder("bench-sqlite")?;
    fs_err::create_dir_all(folder.join("src"))?;
    fs_err::write(folder.join("src/main.rs"), SQLITE)?;
    fs_err::write(
        folder.join("Cargo.toml"),
        format!(
            "[package]\nname = \"floor\"\nedition = \"2021\"\n\n[dependencies]\n\
             rusqlite = {{ version = \"={version}\", default-features = false, features = [\"bundled\", \"cache\"] }}\n\n\
             [profile.release]\nlto = \"fat\"\ncodegen-units = 1\nstrip = true\n\n[workspace]\n"
        ),
    )?;
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release", "--quiet"]).current_dir(&folder);
    cargo.env("CARGO_TARGET_DIR", folder.join("target"));
    match captured(&mut cargo) {
        (true, _) => Ok(Some(folder.join("target/release/floor"))),
        (false, output) => Err(output.into()),
    }
}
