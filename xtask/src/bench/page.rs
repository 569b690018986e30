//! Prints what was measured: the measured part of docs/reference/performance.md, by `page.md`, and its chart, by
//! `chart.svg`.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::PLUGINS;
use super::measure::Measured;
use crate::Result;
use crate::part::{Part, rendered};
use crate::process::{command, stdout};
use crate::workspace::Workspace;

const CHART: &str = "docs/reference/performance.svg";

/// What is written by `bench --write`.
const PART: Part = Part {
    page: "docs/reference/performance.md",
    name: "measured",
    command: "bench",
    make: |_| Err("it is measured, and not made".into()),
};

/// Tables by the words of the scripts. Bulk work has a scale of its own and is not drawn.
const TABLES: [(&str, &str); 4] = [
    ("one", "Read a secret, the only one there"),
    ("many", "Read one secret of many"),
    ("write", "Write a secret, onto the disk"),
    ("bulk", "All secrets at once"),
];

/// The most that the sandbox may cost: milliseconds more than in-process, microseconds a call, and MiB
/// of its process alone.
const MOST: [f64; 3] = [2.0, 10.0, 3.0];

/// All that one run found out.
#[derive(Default)]
pub(super) struct Findings {
    /// The share of the processors' time that others took: above 5 %, times are not to be compared with
    /// those of another run.
    pub(super) busy: f64,
    pub(super) versions: Vec<(String, String)>,
    pub(super) measured: Vec<Measured>,
    /// Of a plugin that is open in its sandbox: nanoseconds a call, and bytes that no other process has.
    pub(super) sandbox: Vec<[f64; 2]>,
    /// By plugin: nanoseconds a call with one thread, and with four.
    pub(super) threads: Vec<[f64; 2]>,
    /// What is not here, or would not do, and why.
    pub(super) left_out: Vec<String>,
}

impl Findings {
    /// Writes page and chart into the checkout.
    pub(super) fn write(&self, workspace: &Workspace, text: &str) -> Result<()> {
        PART.write(workspace, text)?;
        let chart = rendered(include_str!("chart.svg"), &self.json()?)?;
        fs_err::write(workspace.root().join(CHART), chart)?;
        println!("written: {CHART}");
        Ok(())
    }

    /// Returns the measured part of the page.
    pub(super) fn markdown(&self) -> Result<String> {
        rendered(include_str!("page.md"), &self.json()?)
    }

    fn json(&self) -> Result<Value> {
        let of = |table| {
            let mut rows: Vec<&Measured> =
                self.measured.iter().filter(|own| own.row.table == table).collect();
            rows.sort_by(|a, b| a.median.total_cmp(&b.median));
            rows
        };
        let drawn =
            || self.measured.iter().filter(|own| own.row.table != "bulk").map(|own| own.median);
        let least = drawn().fold(f64::INFINITY, f64::min) / 2.0;
        let scale = (drawn().fold(least * 2.0, f64::max) / least).log10();
        let mut height = 40;
        let mut tables = Vec::new();
        for (key, title) in TABLES {
            let (rows, is_drawn) = (of(key), key != "bulk");
            height += if rows.is_empty() || !is_drawn { 0 } else { 32 + rows.len() * 20 };
            let rows = rows.into_iter().map(|own| {
                let name = if own.row.whose == "floor" { format!("floor: {}", own.row.name) } else { own.row.name.clone() };
                let label = if own.row.whose == "ours" { format!("**{name}**") } else { name.clone() };
                let width = ((own.median / least).log10() / scale * 400.0).round();
                json!({ "name": name, "label": label, "whose": own.row.whose, "typed": own.typed, "runs": own.runs,
                    "median": duration(own.median), "fastest": duration(own.fastest), "also": own.also, "width": width })
            });
            let rows: Vec<Value> = rows.collect();
            let also = if is_drawn { "instructions" } else { "most memory" };
            if !rows.is_empty() {
                tables.push(
                    json!({ "title": title, "also": also, "is_drawn": is_drawn, "rows": rows }),
                );
            }
        }
        let micro = |nanoseconds: f64| format!("{:.1} µs", nanoseconds / 1e3);
        let thread_rows = PLUGINS.iter().zip(&self.threads).map(|(id, [one, four])| {
            [format!("a `get` of `{id}`, isolated"), micro(*one), micro(*four)]
        });
        let mut sandbox = Vec::new();
        for plugin in PLUGINS.iter().chain(&["hashicorp"]) {
            let median = |placement| {
                let name = format!("keystead get, {plugin}, {placement}");
                Some(self.measured.iter().find(|own| own.row.name == name)?.median)
            };
            if let (Some(own), Some(isolated)) = (median("in-process"), median("isolated")) {
                let name = format!("`get` of `{plugin}`, more than in-process");
                sandbox.push([name, duration(isolated - own), format!("{} ms", MOST[0])]);
            }
        }
        for [call, memory] in &self.sandbox {
            sandbox.push(["a call to `memory`".into(), micro(*call), format!("{} µs", MOST[1])]);
            let memory = format!("{:.1} MiB", memory / 1_048_576.0);
            sandbox.push([
                "memory of the process alone".into(),
                memory,
                format!("{} MiB", MOST[2]),
            ]);
        }
        Ok(json!({
            "busy": (self.busy * 100.0).round(),
            "date": stdout(&mut command("date -u +%Y-%m-%d"))?.trim(),
            "machine": stdout(command("sh -c").arg(MACHINE))?.trim(),
            "height": height,
            "tables": tables,
            "sandbox": sandbox,
            "threads": thread_rows.collect::<Vec<_>>(),
            "versions": self.versions,
            "left_out": self.left_out,
        }))
    }
}

/// Prints what was measured on.
const MACHINE: &str = "\
echo \"$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, \
$(awk '/MemTotal/ { printf \"%.0f\", $2 / 1048576 }' /proc/meminfo) GiB, $(uname -sr)\"";

/// Returns milliseconds with as many digits as mean something.
fn duration(milliseconds: f64) -> String {
    match milliseconds {
        short if short < 10.0 => format!("{short:.2} ms"),
        middle if middle < 100.0 => format!("{middle:.1} ms"),
        long if long < 1_000.0 => format!("{long:.0} ms"),
        longer => format!("{:.2} s", longer / 1e3),
    }
}

/// Returns the share of all processors' time that was not idle, for three seconds in which we do nothing.
pub(super) fn busy() -> Result<f64> {
    let ticks = || -> Result<[u64; 2]> {
        // `cpu  user nice system idle iowait irq softirq steal …`: guests are in user already.
        let stat = fs_err::read_to_string("/proc/stat")?;
        let times = stat.split_whitespace().skip(1).take(8).filter_map(|time| time.parse().ok());
        let times: Vec<u64> = times.collect();
        Ok([times[3] + times[4], times.iter().sum()])
    };
    let before = ticks()?;
    thread::sleep(Duration::from_secs(3));
    let after = ticks()?;
    Ok(1.0 - (after[0] - before[0]) as f64 / (after[1] - before[1]).max(1) as f64)
}
