//! What threads of one program cost each other: a `get` of an isolated vault with one thread, and
//! with four that share the calls.

use std::path::PathBuf;
use std::process::Command;

use crate::Result;
use crate::process;
use crate::workspace::Workspace;

/// The plugins that are measured.
pub(super) const PLUGINS: [&str; 3] = ["store", "memory", "files"];

/// What was measured, by plugin: nanoseconds a call with one thread, and with four.
pub(super) struct Callers(Vec<(String, f64, f64)>);

impl Callers {
    /// Measures the plugins whose files these are.
    pub(super) fn measure(workspace: &Workspace, plugins: &[PathBuf]) -> Result<Self> {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["run", "--quiet", "--locked", "--release", "--package", "keystead"]);
        cargo.args(["--example", "callers", "--"]).args(plugins);
        let output = process::output(cargo.current_dir(workspace.root()))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let measured: Option<Vec<_>> = said.lines().map(line).collect();
        match measured {
            Some(measured) if measured.len() == plugins.len() => Ok(Self(measured)),
            _ => Err(format!(
                "callers says `{}`",
                said.trim().to_owned() + &String::from_utf8_lossy(&output.stderr)
            )
            .into()),
        }
    }

    /// Returns the lines of a table: what it is, with one thread, and with four.
    pub(super) fn lines(&self) -> Vec<[String; 3]> {
        let shown = |nanoseconds: f64| format!("{:.1} µs", nanoseconds / 1e3);
        let line = |(plugin, one, four): &(String, f64, f64)| {
            [format!("a `get` of `{plugin}`, isolated"), shown(*one), shown(*four)]
        };
        self.0.iter().map(line).collect()
    }
}

/// Returns what a line of the example says.
fn line(line: &str) -> Option<(String, f64, f64)> {
    let mut words = line.split(' ');
    let (plugin, one, four) = (words.next()?, words.next()?, words.next()?);
    Some((plugin.to_owned(), one.parse().ok()?, four.parse().ok()?))
}
