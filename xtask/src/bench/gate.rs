//! The gate: the instructions of one `keystead get` against a committed figure. CI fails where
//! they are more, and says so where they are fewer.
//!
//! Valgrind's processor is the same everywhere but for what it takes from the real one (AVX2 or
//! not), and the count depends on the compiler and on glibc: these stand beside the figure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::Result;
use crate::process::captured;
use crate::provision::Tools;
use crate::workspace::Workspace;

use super::callgrind::Profile;
use super::home::Home;
use super::machine::said;
use super::own::{OWN, Own, get};
use super::{data, measure};

/// Where the figure is.
const FIGURE: &str = "xtask/src/bench/instructions.json";

/// The command that makes it anew.
const ACCEPT: &str = "cargo xtask bench --accept";

/// How far a count may be from the figure before anything is said. Between two runs it varies
/// by less than a thousandth: hash tables have another seed each time.
const TOLERANCE_PERCENT: u64 = 3;

/// Counts by case, and what they depend on.
#[derive(Debug, PartialEq, Eq)]
struct Counted {
    by: BTreeMap<String, String>,
    instructions: BTreeMap<String, u64>,
}

/// Compares what is installed below a prefix with the figure: what it says is for all to read,
/// and an error where it is too much.
pub(crate) fn check(workspace: &Workspace, tools: &Tools, prefix: &Path) -> Result<String> {
    let text = fs_err::read_to_string(workspace.root().join(FIGURE))?;
    let figure = Counted::parse(&text)?;
    compared(&figure, &Counted::of(workspace, tools, prefix)?)
}

/// Writes the figure anew.
pub(super) fn accept(workspace: &Workspace, tools: &Tools, prefix: &Path) -> Result<()> {
    let counted = Counted::of(workspace, tools, prefix)?;
    fs_err::write(workspace.root().join(FIGURE), counted.text())?;
    for (case, count) in &counted.instructions {
        println!("{case}: {}", grouped(*count));
    }
    println!("written: {FIGURE}");
    Ok(())
}

impl Counted {
    /// Counts what is installed below a prefix.
    fn of(workspace: &Workspace, tools: &Tools, prefix: &Path) -> Result<Self> {
        // Names of one length, in a folder that is at one place on every machine: the host
        // looks at every part of the way to a plugin.
        let folder = tempfile::Builder::new().prefix("keystead-gate-").tempdir_in("/tmp")?;
        let own = folder.path().join("prefix");
        fs_err::create_dir(&own)?;
        let mut copy = Command::new("cp");
        copy.arg("-a").args(["bin", "lib"].map(|part| prefix.join(part))).arg(&own);
        if let (false, said) = captured(&mut copy) {
            return Err(said.into());
        }
        let home = Home::new(folder.path().join("home"), super::search_path(&own))?;
        let mut instructions = BTreeMap::new();
        for plugin in OWN.iter().filter(|own| own.is_in(workspace)) {
            for secrets in plugin.gated {
                let (case, count) = count(tools, &home, &own, plugin, *secrets)?;
                instructions.insert(case, count);
            }
        }
        let valgrind = tools.path_of("KEYSTEAD_TEST_VALGRIND")?;
        let by = [
            ("rustc", said(&["rustc", "--version"])?),
            ("glibc", said(&["getconf", "GNU_LIBC_VERSION"])?),
            ("valgrind", said(&[&valgrind.to_string_lossy(), "--version"])?),
        ];
        let by = by.map(|(tool, version)| (tool.to_owned(), version)).into();
        Ok(Self { by, instructions })
    }

    fn parse(text: &str) -> Result<Self> {
        let json: Value = serde_json::from_str(text)?;
        let table = |name: &str| json[name].as_object().ok_or(format!("{FIGURE} has no `{name}`"));
        let mut counted = Self { by: BTreeMap::new(), instructions: BTreeMap::new() };
        for (tool, version) in table("by")? {
            let version = version.as_str().ok_or(format!("{FIGURE}: `{tool}` is no text"))?;
            counted.by.insert(tool.clone(), version.to_owned());
        }
        for (case, count) in table("instructions")? {
            let count = count.as_u64().ok_or(format!("{FIGURE}: `{case}` is no number"))?;
            counted.instructions.insert(case.clone(), count);
        }
        Ok(counted)
    }

    fn text(&self) -> String {
        let json = json!({ "by": self.by, "instructions": self.instructions });
        format!("{json:#}\n")
    }
}

/// Counts one case, its verdict cached.
fn count(
    tools: &Tools,
    home: &Home,
    prefix: &Path,
    plugin: &Own,
    secrets: usize,
) -> Result<(String, u64)> {
    let [vault, _] = plugin.register(home, secrets)?;
    home.run(&plugin.import(home, &vault, secrets)?)?;
    let mut last = 0;
    // The first fills the cache: under valgrind the running program has another name.
    for _ in 0..2 {
        let out = tempfile::tempdir_in(home.at(""))?;
        let valgrind = home.command(tools.path_of("KEYSTEAD_TEST_VALGRIND")?);
        let mut valgrind = measure::callgrind(valgrind, out.path());
        // Valgrind may have been started by a script that shows it libraries of its own: the
        // loader of what is counted must not look for them.
        valgrind.args(["/usr/bin/env", "-u", "LD_LIBRARY_PATH"]).arg(prefix.join("bin/keystead"));
        if let (false, said) = captured(valgrind.args(&get(&vault, secrets)[1..])) {
            return Err(said.into());
        }
        last = measure::read_profiles(out.path())?.iter().map(Profile::total).sum();
    }
    Ok((format!("keystead get, {}, 1 of {}", plugin.id, data::grouped(secrets)), last))
}

/// Compares counts with the figure.
fn compared(figure: &Counted, counted: &Counted) -> Result<String> {
    let mut text = String::new();
    let (mut more, mut fewer, mut unknown) = (false, false, false);
    for (case, count) in &counted.instructions {
        let Some(figure) = figure.instructions.get(case) else {
            let _ = writeln!(text, "{case}: {}, and there is no figure for it", grouped(*count));
            unknown = true;
            continue;
        };
        let change = *count as f64 / *figure as f64 - 1.0;
        more |= count * 100 > figure * (100 + TOLERANCE_PERCENT);
        fewer |= count * 100 < figure * (100 - TOLERANCE_PERCENT);
        let _ = writeln!(
            text,
            "{case}: {} instructions, the figure is {} ({:+.1} %)",
            grouped(*count),
            grouped(*figure),
            change * 100.0
        );
    }
    for case in figure.instructions.keys().filter(|case| !counted.instructions.contains_key(*case))
    {
        let _ = writeln!(text, "{case}: has a figure, and is not counted any more");
        unknown = true;
    }
    let mut others = String::new();
    for (tool, version) in counted.by.iter().filter(|(tool, own)| figure.by.get(*tool) != Some(own))
    {
        let was = figure.by.get(tool).map_or("nothing", String::as_str);
        let _ = writeln!(others, "the figure was made with {was}, this with {version}");
    }
    if more || unknown {
        text.push_str(&others);
        if more {
            let _ = writeln!(
                text,
                "that is more than {TOLERANCE_PERCENT} % above the figure in {FIGURE}"
            );
        }
        let _ = write!(text, "where that is as it must be: `{ACCEPT}` writes the figure anew");
        return Err(text.into());
    }
    if fewer {
        text.push_str(&others);
        let _ = writeln!(text, "lower the figure, so that it holds what was gained: `{ACCEPT}`");
    }
    Ok(text)
}

fn grouped(count: u64) -> String {
    data::grouped(usize::try_from(count).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(rustc: &str, cases: &[(&str, u64)]) -> Counted {
        Counted {
            by: [("rustc".to_owned(), rustc.to_owned())].into(),
            instructions: cases.iter().map(|(case, count)| ((*case).to_owned(), *count)).collect(),
        }
    }

    #[test]
    fn three_percent_more_is_too_much_and_three_percent_less_is_told() {
        let figure = counted("rustc 1", &[("get", 1_000_000)]);
        let said = |count| compared(&figure, &counted("rustc 1", &[("get", count)]));
        let within = "get: 1,030,000 instructions, the figure is 1,000,000 (+3.0 %)\n";
        assert_eq!(said(1_030_000).unwrap(), within);
        let error = said(1_030_001).unwrap_err().to_string();
        assert!(error.contains("more than 3 % above") && error.contains(ACCEPT), "{error}");
        assert!(!said(970_000).unwrap().contains("lower"));
        assert!(said(969_999).unwrap().contains(ACCEPT));
    }

    #[test]
    fn another_compiler_is_named_and_a_case_on_one_side_alone_is_a_fault() {
        let figure = counted("rustc 1", &[("get", 100)]);
        let error =
            compared(&figure, &counted("rustc 2", &[("get", 200)])).unwrap_err().to_string();
        assert!(error.contains("made with rustc 1, this with rustc 2"), "{error}");
        assert!(compared(&figure, &counted("rustc 1", &[("get", 100), ("new", 1)])).is_err());
        assert!(compared(&figure, &counted("rustc 1", &[])).is_err());
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let figure = counted("rustc 1", &[("get", 100), ("b", 7)]);
        assert_eq!(Counted::parse(&figure.text()).unwrap(), figure);
        assert!(Counted::parse("{\"by\":{}}").is_err());
    }
}
