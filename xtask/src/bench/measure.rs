//! Measures a row: its time with hyperfine, its instructions with callgrind, its memory by looking.
//!
//! Instructions are counted by callgrind itself, without a bench crate: gungraun 0.20 (iai-callgrind
//! before; Apache-2.0 OR MIT) counts programs too, but wants a bench target and a runner of its own
//! installed, and compares with its own last run on the machine, where the gate compares with a figure
//! in the repository. What is needed of callgrind is the line `totals:`.

use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::process::{captured, last_line, succeed};
use crate::provision::Tools;

use super::home::Home;

/// Runs whose median is taken: so many where all of them fit into the time for one row, and no
/// fewer than the least.
const MOST_RUNS: f64 = 300.0;
const LEAST_RUNS: f64 = 20.0;
const MILLISECONDS_A_ROW: f64 = 15_000.0;

/// One command to be measured, as a script of `programs/` names it.
pub(super) struct Row {
    pub(super) table: String,
    /// `floor`, `ours` or `peer`.
    pub(super) whose: String,
    /// What is found out beside the time: `instructions` of all processes, `memory` of the process, which
    /// is all where the command is run `once`, or `-`.
    also: String,
    /// What it must answer.
    answer: Option<String>,
    /// A command that is run before each run and not measured.
    before: Option<String>,
    pub(super) name: String,
    /// The command: words without a space or a quote.
    pub(super) line: String,
}

impl Row {
    /// Parses what the function `row` of `prelude.sh` writes.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [table, whose, also, answer, before, name, line] = fields[..] else { return None };
        let [table, whose, also, name, line] = [table, whose, also, name, line].map(str::to_owned);
        let [answer, before] = [answer, before].map(|text| (text != "-").then(|| text.to_owned()));
        Some(Self { table, whose, also, answer, before, name, line })
    }
}

/// What a row came to. Times are in milliseconds.
pub(super) struct Measured {
    pub(super) row: Row,
    pub(super) typed: String,
    pub(super) median: f64,
    pub(super) fastest: f64,
    pub(super) runs: usize,
    /// Instructions or memory.
    pub(super) also: String,
}

/// What measures, with a directory for files that are read at once.
pub(super) struct Meter<'a> {
    pub(super) tools: &'a Tools,
    pub(super) dir: &'a Path,
}

impl Meter<'_> {
    /// Measures a row.
    pub(super) fn measure(&self, home: &Home, row: Row) -> Result<Measured> {
        // For who waits: it can take minutes.
        eprintln!("measuring: {}", row.name);
        let mut typed: String =
            home.variables.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        typed += &row.line;
        typed.extend(row.before.iter().map(|before| format!("   # before each: {before}")));
        let dir = home.at("").to_string_lossy().trim_end_matches('/').to_owned();
        let typed = typed.replace(&dir, "~");
        let (once, memory) = first_run(home, &row)?;
        let (mut median, mut fastest, mut runs) = (once, once, 1);
        if row.also != "once" {
            runs = (MILLISECONDS_A_ROW / once).clamp(LEAST_RUNS, MOST_RUNS) as usize;
            (median, fastest) = self.times(home, &row, runs)?;
        }
        let also = match row.also.as_str() {
            "instructions" => self.instructions(home, &row)?,
            "-" => None,
            _ => memory.map(|bytes| format!("{:.1} MiB", bytes as f64 / 1_048_576.0)),
        };
        let also = also.unwrap_or_else(|| "–".into());
        Ok(Measured { row, typed, median, fastest, runs, also })
    }

    /// Returns the median and the shortest time of a row, by hyperfine.
    fn times(&self, home: &Home, row: &Row, runs: usize) -> Result<(f64, f64)> {
        let out = self.dir.join("times.json");
        let program = self.tools.path_of("KEYSTEAD_TEST_HYPERFINE")?;
        let mut hyperfine = home.command(&format!(
            "{} --shell=none --style none --runs {runs} --warmup {} --export-json {}",
            program.display(),
            runs / 10,
            out.display()
        ));
        hyperfine.args(row.before.iter().flat_map(|before| ["--prepare", before]));
        succeed(hyperfine.arg(&row.line))?;
        let json: serde_json::Value = serde_json::from_slice(&fs_err::read(&out)?)?;
        let of = |name: &str| json["results"][0][name].as_f64().ok_or("hyperfine wrote no times");
        Ok((of("median")? * 1e3, of("min")? * 1e3))
    }

    fn instructions(&self, home: &Home, row: &Row) -> Result<Option<String>> {
        match &row.before {
            Some(before) => drop(home.run(before)?),
            // Once before, so that what is cached is cached: under valgrind our running program has
            // another name, and a verdict of its own.
            None if row.whose == "ours" => drop(count(self.tools, home, &row.line)?),
            None => {}
        }
        match count(self.tools, home, &row.line) {
            Ok(count) => Ok(Some(format!("{:.3} M", count as f64 / 1e6))),
            // Some programs do not run on valgrind's processor.
            Err(error) if row.whose == "peer" => {
                eprintln!("{}: not counted: {}", row.name, last_line(&error.to_string()));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Returns the instructions of all processes that a command starts.
pub(super) fn count(tools: &Tools, home: &Home, line: &str) -> Result<u64> {
    let valgrind = tools.path_of("KEYSTEAD_TEST_VALGRIND")?;
    let out = tempfile::tempdir_in(home.at(""))?;
    // Valgrind may have been started by a script that shows it libraries of its own: the loader of what is
    // counted must not look for them. And the signals by which Go's runtime interrupts itself are more
    // than callgrind bears.
    let mut command = home.command(&format!(
        "{} --tool=callgrind --trace-children=yes --callgrind-out-file={}/%p.out \
         /usr/bin/env -u LD_LIBRARY_PATH {line}",
        valgrind.display(),
        out.path().display()
    ));
    if let (false, printed) = captured(command.env("GODEBUG", "asyncpreemptoff=1")) {
        return Err(printed.into());
    }
    let mut sum = 0;
    for file in fs_err::read_dir(out.path())? {
        let text = fs_err::read(file?.path())?;
        let text = String::from_utf8_lossy(&text);
        let totals = text.lines().filter_map(|line| line.strip_prefix("totals:"));
        sum += totals.filter_map(|total| total.trim().parse::<u64>().ok()).sum::<u64>();
    }
    if sum == 0 { Err("callgrind wrote no totals".into()) } else { Ok(sum) }
}

/// Runs a row once: checks what it answers, and returns how long it took, in milliseconds, and
/// the most memory that its process had, in bytes.
fn first_run(home: &Home, row: &Row) -> Result<(f64, Option<u64>)> {
    row.before.as_ref().map(|before| home.run(before)).transpose()?;
    let (out, err) = (tempfile::NamedTempFile::new()?, tempfile::NamedTempFile::new()?);
    let mut command = home.command(&row.line);
    command.stdin(Stdio::null()).stdout(out.reopen()?).stderr(err.reopen()?);
    let began = Instant::now();
    let mut child = command.spawn().map_err(|error| format!("{}: {error}", row.line))?;
    let mut memory = None;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let status =
            fs_err::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
        memory =
            most.and_then(|kib| kib.trim().parse::<u64>().ok()).map(|kib| kib * 1024).or(memory);
        // Seldom enough not to be in the way of what takes long.
        let pause = began.elapsed() / 50;
        thread::sleep(pause.clamp(Duration::from_millis(1), Duration::from_millis(20)));
    };
    let took = began.elapsed().as_secs_f64() * 1e3;
    let text = String::from_utf8_lossy(&fs_err::read(out.path())?).into_owned();
    if !status.success() || row.answer.as_ref().is_some_and(|wanted| wanted != text.trim_end()) {
        let printed = fs_err::read_to_string(err.path())?;
        return Err(format!("{}: {status}: {text}{printed}", row.line).into());
    }
    Ok((took, memory))
}
