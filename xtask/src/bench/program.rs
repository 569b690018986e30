//! The programs that are measured: the least that any could cost, ours, and those that others use to keep
//! secrets. Each is a script of `programs/`, whose first lines say what it is.
//!
//! A peer that is not installed is left out. Nothing is installed here: `docs/reference/performance.md` says
//! how to.

use std::net::TcpListener;
use std::path::Path;

use super::home::Home;
use super::{grouped, measure::Row};
use crate::Result;
use crate::process::{command, output, succeed};
use crate::workspace::Workspace;

const PRELUDE: &str = include_str!("programs/prelude.sh");

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

/// A script of `programs/`.
pub(super) struct Program(String);

impl Program {
    /// Reads all scripts.
    pub(super) fn all(workspace: &Workspace) -> Result<Vec<Self>> {
        let mut files = workspace.files_below("xtask/src/bench/programs")?;
        files.retain(|file| !file.ends_with("prelude.sh"));
        files.iter().map(|file| Ok(Self(workspace.read(file)?))).collect()
    }

    /// Returns what the first lines say of it under a key.
    pub(super) fn about<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .lines()
            .filter_map(move |line| line.strip_prefix("# ")?.strip_prefix(key)?.strip_prefix(": "))
    }

    /// Returns numbers that the first lines say under a key.
    pub(super) fn numbers(&self, key: &str) -> Vec<u64> {
        let words = self.about(key).flat_map(|line| line.split(' '));
        words.filter_map(|word| word.parse().ok()).collect()
    }

    /// Makes the program ready in a home with so many secrets, and returns the commands to be measured.
    pub(super) fn ready(
        &self,
        home: &mut Home,
        count: u64,
        variables: &[(&str, String)],
    ) -> Result<Vec<Row>> {
        let name = |index: u64| format!("SECRET_{index:07}");
        // 32 characters, no two alike.
        let value = |index: u64| format!("value-{index:07}-0123456789abcdefgh");
        let lines: String =
            (0..count).map(|index| format!("{} {}\n", name(index), value(index))).collect();
        fs_err::write(home.at("secrets"), lines)?;
        fs_err::write(home.at("rows"), "")?;
        // In the middle, where no order favours it.
        let read = count / 2;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
        let shown = grouped(count);
        let of = if count == 1 { String::new() } else { format!(", 1 of {shown}") };
        let table = if count == 1 { "one" } else { "many" };
        let dir = home.at("").to_string_lossy().trim_end_matches('/').to_owned();
        for line in self.about("env") {
            let line = line.replace("$HOME", &dir).replace("$PORT", &port);
            home.variables.extend(
                line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())),
            );
        }
        home.end = self.about("end").next().unwrap_or_default().to_owned();
        let mut all =
            vec![("COUNT", count.to_string()), ("SHOWN", shown), ("READ", table.to_owned())];
        all.extend([("NAME", name(read)), ("VALUE", value(read)), ("PORT", port), ("OF", of)]);
        all.extend_from_slice(variables);
        home.set_up(&format!("{PRELUDE}{}", self.0), &all)?;
        let rows = fs_err::read_to_string(home.at("rows"))?;
        rows.lines()
            .map(|line| Row::parse(line).ok_or_else(|| format!("no row: {line}").into()))
            .collect()
    }

    /// Returns the first word of what a peer prints that looks like a version, and how it keeps secrets.
    pub(super) fn version(&self, home: &Home) -> Result<String> {
        let answer = output(&mut home.command(self.about("version").next().unwrap_or_default()))?;
        let text = [answer.stdout, answer.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let mut words = text.split([' ', '\n', ',']).map(|word| word.trim_start_matches('v'));
        let looks_so = |word: &&str| {
            word.contains('.') && word.starts_with(|first: char| first.is_ascii_digit())
        };
        let version = words.find(looks_so).unwrap_or("of unknown version");
        Ok(format!("{version}: {}", self.about("kept").next().unwrap_or_default()))
    }
}

/// Builds the programs that the floors are measured with into a directory.
pub(super) fn build_floors(workspace: &Workspace, dir: &Path) -> Result<()> {
    fs_err::create_dir(dir)?;
    for (name, source) in [("hello", HELLO), ("dlopen", DLOPEN)] {
        let text = dir.join(format!("{name}.rs"));
        fs_err::write(&text, source)?;
        let mut rustc = command("rustc --edition=2021 -Copt-level=3 -Cstrip=symbols -o");
        succeed(rustc.arg(dir.join(name)).arg(text))?;
    }
    // Bare SQLite, clear text, opened and written as the plugin `store` does it.
    let mut build =
        workspace.cargo("build --release --package keystead-plugin-store --example bare_sqlite");
    let built = workspace.artifacts(&mut build)?;
    let sqlite = built.iter().find_map(|artifact| artifact["executable"].as_str());
    fs_err::copy(sqlite.ok_or("cargo built no bare_sqlite")?, dir.join("bare_sqlite"))?;
    Ok(())
}
