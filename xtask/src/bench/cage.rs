//! What the cage costs: a `get` more than in-process, a call, and memory of its own.

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::process;
use crate::workspace::Workspace;

use super::row::{Measured, Race, duration};

/// The most that each may be: milliseconds more than in-process, microseconds a call, and MiB.
const MOST: [f64; 3] = [2.0, 10.0, 3.0];

/// What was measured of a caged plugin that is open.
pub(super) struct Caged {
    /// Microseconds.
    call: f64,
    /// MiB that no other process has.
    private: f64,
}

impl Caged {
    /// Measures the plugin `memory`, whose file this is.
    pub(super) fn measure(workspace: &Workspace, plugin: &Path) -> Result<Self> {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["run", "--quiet", "--locked", "--release", "--package", "keystead"]);
        cargo.args(["--example", "caged_call", "--"]).arg(plugin);
        let output = process::output(cargo.current_dir(workspace.root()))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let numbers: Vec<f64> = said.split_whitespace().filter_map(|w| w.parse().ok()).collect();
        match numbers[..] {
            [call, private] => Ok(Self { call: call / 1e3, private: private / 1024.0 / 1024.0 }),
            _ => Err(format!(
                "caged_call says `{}`",
                said.trim().to_owned() + &String::from_utf8_lossy(&output.stderr)
            )
            .into()),
        }
    }

    /// Returns the lines of a table, with what each may be.
    pub(super) fn lines(&self, measured: &[Measured]) -> Vec<[String; 3]> {
        let at_most = |most: f64, unit: &str| format!("{most} {unit}");
        let mut lines = Vec::new();
        let of = |plugin: &str, placement: &str| {
            let name = format!("keystead get, {plugin}, {placement}");
            measured.iter().find(|row| row.race == Race::One && row.name == name)
        };
        for plugin in ["memory", "files", "store", "hashicorp"] {
            if let (Some(own), Some(caged)) = (of(plugin, "in-process"), of(plugin, "isolated")) {
                let more = duration(caged.median - own.median);
                let what = format!("`get` of `{plugin}`, more than in-process");
                lines.push([what, more, at_most(MOST[0], "ms")]);
            }
        }
        let call = format!("{:.1} µs", self.call);
        lines.push(["a call to `memory`".to_owned(), call, at_most(MOST[1], "µs")]);
        let private = format!("{:.1} MiB", self.private);
        let what = "memory of the process alone".to_owned();
        lines.push([what, private, at_most(MOST[2], "MiB")]);
        lines
    }
}
