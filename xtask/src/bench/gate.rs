//! The gate: the instructions of one `keystead get` against a committed figure. CI fails where
//! they are more, and says so where they are fewer.
//!
//! Valgrind's processor is the same everywhere but for what it takes from the real one (AVX2 or
//! not), and the count depends on the compiler and on glibc: these stand beside the figure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::grouped;
use super::home::Home;
use super::measure::count;
use super::program::Program;
use crate::Result;
use crate::process::{command, stdout, succeed};
use crate::provision::Tools;
use crate::workspace::{HOST, Workspace};

/// Where the figure is.
const FIGURE: &str = "xtask/src/bench/instructions.json";

/// The command that makes it anew.
const ACCEPT: &str = "cargo xtask bench --accept";

/// How far a count may be from the figure before anything is said. Between two runs it varies
/// by less than a thousandth: hash tables have another seed each time.
const TOLERANCE_PERCENT: u64 = 3;

/// Compares what is installed below a prefix with the figure: what it returns is for all to read,
/// and an error where it is too much.
pub(crate) fn check(workspace: &Workspace, tools: &Tools, prefix: &Path) -> Result<String> {
    let figure = serde_json::from_str(&workspace.read(FIGURE)?)?;
    compared(&figure, &counted(workspace, tools, prefix)?)
}

/// Writes the figure anew.
pub(super) fn accept(workspace: &Workspace, tools: &Tools, prefix: &Path) -> Result<()> {
    let counted = format!("{:#}\n", counted(workspace, tools, prefix)?);
    fs_err::write(workspace.root().join(FIGURE), &counted)?;
    println!("{counted}written: {FIGURE}");
    Ok(())
}

/// Counts what is installed below a prefix: by case, and with what the counts depend on.
fn counted(workspace: &Workspace, tools: &Tools, prefix: &Path) -> Result<Value> {
    // Names of one length, in a directory that is at one place on every machine: the host
    // looks at every part of the way to a plugin.
    let dir = tempfile::Builder::new().prefix("keystead-gate-").tempdir_in("/tmp")?;
    let own = dir.path().join("prefix");
    fs_err::create_dir(&own)?;
    let parts = ["bin", "lib"].map(|part| prefix.join(part));
    succeed(Command::new("cp").arg("-a").args(parts).arg(&own))?;
    let mut path = own.join("bin").into_os_string();
    path.push(":/usr/bin:/bin");
    let mut home = Home::new(dir.path().join("home"), path)?;
    let mut instructions = BTreeMap::new();
    for program in Program::all(workspace)?.iter().rev() {
        for size in program.numbers("gated") {
            let rows = program.ready(&mut home, size, &[("GATE", "yes".to_owned())])?;
            let row = rows.first().ok_or("no command to count")?;
            let line = row.line.replacen(HOST, &own.join("bin/keystead").to_string_lossy(), 1);
            // The first fills the cache: under valgrind the running program has another name.
            count(tools, &home, &line)?;
            let name = row.name.split(", in-process").next().unwrap_or_default();
            let case = format!("{name}, 1 of {}", grouped(size));
            instructions.insert(case, count(tools, &home, &line)?);
        }
    }
    let valgrind = tools.path_of("KEYSTEAD_TEST_VALGRIND")?;
    let version = |mut command: Command| stdout(&mut command).map(|text| text.trim().to_owned());
    let by = json!({
        "rustc": version(command("rustc --version"))?,
        "glibc": version(command("getconf GNU_LIBC_VERSION"))?,
        "valgrind": version(command(&format!("{} --version", valgrind.display())))?,
    });
    Ok(json!({ "by": by, "instructions": instructions }))
}

/// Compares counts with the figure.
fn compared(figure: &Value, counted: &Value) -> Result<String> {
    let table = |value: &Value, name: &str| value[name].as_object().cloned().unwrap_or_default();
    let (figures, counts) = (table(figure, "instructions"), table(counted, "instructions"));
    let mut text = String::new();
    let (mut is_fault, mut is_fewer) = (false, false);
    let cases: BTreeSet<&String> = figures.keys().chain(counts.keys()).collect();
    for case in cases {
        let number = |of: &serde_json::Map<String, Value>| of.get(case).and_then(Value::as_u64);
        let (Some(figure), Some(count)) = (number(&figures), number(&counts)) else {
            let _ = writeln!(text, "{case}: has a figure or a count, and not both");
            is_fault = true;
            continue;
        };
        let change = (count as f64 / figure as f64 - 1.0) * 100.0;
        is_fault |= count * 100 > figure * (100 + TOLERANCE_PERCENT);
        is_fewer |= count * 100 < figure * (100 - TOLERANCE_PERCENT);
        let (count, figure) = (grouped(count), grouped(figure));
        let _ =
            writeln!(text, "{case}: {count} instructions, the figure is {figure} ({change:+.1} %)");
    }
    if is_fault || is_fewer {
        for (tool, version) in table(counted, "by") {
            let was = &figure["by"][&tool];
            if *was != version {
                let _ = writeln!(text, "the figure was made with {was}, this with {version}");
            }
        }
    }
    if is_fault {
        let _ =
            writeln!(text, "at most {TOLERANCE_PERCENT} % above the figure in {FIGURE} is allowed");
        let _ = write!(text, "where that is as it must be: `{ACCEPT}` writes the figure anew");
        return Err(text.into());
    }
    if is_fewer {
        let _ = writeln!(text, "lower the figure, so that it holds what was gained: `{ACCEPT}`");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_over_three_percent_above_baseline_is_rejected() {
        let of = |count: u64| json!({ "by": { "rustc": count }, "instructions": { "get": count } });
        let figure = of(1_000_000);
        assert!(!compared(&figure, &of(1_030_000)).unwrap().contains(ACCEPT));
        let error = compared(&figure, &of(1_030_001)).unwrap_err().to_string();
        assert!(error.contains("made with 1000000, this with 1030001"), "{error}");
        assert!(!compared(&figure, &of(970_000)).unwrap().contains(ACCEPT));
        assert!(compared(&figure, &of(969_999)).unwrap().contains(ACCEPT));
        assert!(compared(&figure, &json!({ "instructions": {} })).is_err());
    }
}
