//! Measures a row: its time with hyperfine, its instructions with callgrind, its memory by
//! looking.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::process::{captured, family, last_line};
use crate::provision::Tools;

use super::callgrind::Profile;
use super::row::{Also, Measured, Row, Runs, Whose};

/// Runs whose median is taken: so many where all of them fit into the time for one row, and no
/// fewer than the least.
const MOST_RUNS: f64 = 300.0;
const LEAST_RUNS: f64 = 20.0;
const MILLISECONDS_A_ROW: f64 = 15_000.0;

/// What measures.
pub(super) struct Meter<'a> {
    pub(super) tools: &'a Tools,
    /// For files that are read at once.
    pub(super) folder: PathBuf,
    /// The search path on which the host is that is counted: the same build with its symbols.
    pub(super) counted: OsString,
}

impl Meter<'_> {
    /// Measures a row, and returns the profiles of its processes beside, the first started
    /// first.
    pub(super) fn measure(&self, row: &Row) -> Result<(Measured, Vec<Profile>)> {
        let mut measured = Measured {
            race: row.race,
            whose: row.whose,
            name: row.name.clone(),
            typed: row.typed(),
            median: 0.0,
            fastest: 0.0,
            runs: 1,
            instructions: None,
            memory: None,
        };
        let (once, memory) = tried(row)?;
        if row.also == Also::Memory {
            measured.memory = Some(memory);
        }
        match row.runs {
            Runs::Once => (measured.median, measured.fastest) = (once, once),
            Runs::Many => {
                let runs = (MILLISECONDS_A_ROW / once).clamp(LEAST_RUNS, MOST_RUNS);
                (measured.median, measured.fastest) = self.times(row, runs as usize)?;
                measured.runs = runs as usize;
            }
        }
        let mut profiles = Vec::new();
        if row.also == Also::Instructions {
            match self.profiles(row) {
                Ok(counted) => {
                    measured.instructions = Some(counted.iter().map(Profile::total).sum());
                    profiles = counted;
                }
                // Some programs do not run on valgrind's processor.
                Err(error) if row.whose == Whose::Peer => {
                    eprintln!("{}: not counted: {}", row.name, last_line(&error.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok((measured, profiles))
    }

    /// Returns the median and the shortest time of a row, in milliseconds.
    fn times(&self, row: &Row, runs: usize) -> Result<(f64, f64)> {
        let out = self.folder.join("times.json");
        let mut hyperfine = row.home.command(self.tools.path_of("KEYSTEAD_TEST_HYPERFINE")?);
        hyperfine.args(["--shell=none", "--style", "none", "--runs"]).arg(runs.to_string());
        hyperfine.args(["--warmup", &(runs / 10).to_string(), "--export-json"]).arg(&out);
        if let Some(before) = &row.before {
            hyperfine.arg("--prepare").arg(quoted(before));
        }
        let (ok, output) = captured(hyperfine.arg(quoted(&row.words)));
        if !ok {
            return Err(output.into());
        }
        let json: serde_json::Value = serde_json::from_slice(&fs_err::read(&out)?)?;
        let seconds =
            |name: &str| json["results"][0][name].as_f64().ok_or("hyperfine wrote no times");
        Ok((seconds("median")? * 1e3, seconds("min")? * 1e3))
    }

    /// Runs a row under callgrind and returns the profile of each of its processes.
    fn profiles(&self, row: &Row) -> Result<Vec<Profile>> {
        match &row.before {
            Some(before) => drop(row.home.run(before)?),
            // Once before, so that what is cached is cached: under valgrind too, where our
            // running program has another name, and a verdict of its own.
            None if row.whose == Whose::Ours => {
                self.count(row, tempfile::tempdir_in(&self.folder)?.path())?;
            }
            None => {}
        }
        let out = tempfile::tempdir_in(&self.folder)?;
        self.count(row, out.path())?;
        read_profiles(out.path())
    }

    /// Runs a row under callgrind, which writes into a folder.
    fn count(&self, row: &Row, out: &Path) -> Result<()> {
        let valgrind = self.tools.path_of("KEYSTEAD_TEST_VALGRIND")?;
        let mut home = row.home.clone();
        match row.whose {
            Whose::Ours => home = home.with_path(&self.counted),
            // The signals by which Go's runtime interrupts itself are more than callgrind bears.
            _ => home.variables.push(("GODEBUG", "asyncpreemptoff=1".into())),
        }
        match captured(callgrind(home.command(valgrind), out).args(&row.words)) {
            (true, _) => Ok(()),
            (false, output) => Err(output.into()),
        }
    }
}

/// Makes valgrind count into a folder.
///
/// A runner is killed when its host has what it wanted, and then writes nothing. So it dumps
/// what it has counted before each of its replies: after the last it may be gone already.
pub(super) fn callgrind(mut valgrind: Command, out: &Path) -> Command {
    valgrind.args(["--tool=callgrind", "--trace-children=yes"]);
    valgrind.arg("--dump-before=keystead::plugin::runner::link::Link::reply");
    valgrind.arg(format!("--callgrind-out-file={}/%p.out", out.display()));
    valgrind
}

/// Reads what callgrind wrote into a folder, the first process first.
pub(super) fn read_profiles(out: &Path) -> Result<Vec<Profile>> {
    let mut dumps: BTreeMap<u32, BTreeMap<u32, String>> = BTreeMap::new();
    for file in fs_err::read_dir(out)? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        let mut numbers = name.split('.').filter_map(|part| part.parse::<u32>().ok());
        let process = numbers.next().ok_or_else(|| format!("callgrind wrote `{name}`"))?;
        // The file without a number is written last.
        let part = numbers.next().unwrap_or(u32::MAX);
        let text = String::from_utf8_lossy(&fs_err::read(file.path())?).into_owned();
        dumps.entry(process).or_default().insert(part, text);
    }
    dumps
        .into_values()
        .map(|dumps| Profile::parse(&dumps.into_values().collect::<Vec<String>>()))
        .collect()
}

/// Runs a row once: checks what it answers, and returns how long it took, in milliseconds, and
/// the most memory that its processes had, in bytes.
fn tried(row: &Row) -> Result<(f64, u64)> {
    if let Some(before) = &row.before {
        row.home.run(before)?;
    }
    let (program, rest) = row.words.split_first().ok_or("a row without a command")?;
    let (answer, said) = (tempfile::NamedTempFile::new()?, tempfile::NamedTempFile::new()?);
    let mut command = row.home.command(program);
    command.args(rest).stdin(Stdio::null());
    command.stdout(answer.reopen()?).stderr(said.reopen()?);
    let began = Instant::now();
    let mut child = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
    let mut most: BTreeMap<u32, u64> = BTreeMap::new();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if row.also == Also::Memory {
            for id in family(child.id())? {
                let memory = peak(id).unwrap_or_default();
                most.entry(id).and_modify(|most| *most = memory.max(*most)).or_insert(memory);
            }
        }
        // Seldom enough not to be in the way of what takes long.
        let pause = began.elapsed() / 50;
        thread::sleep(pause.clamp(Duration::from_millis(1), Duration::from_millis(20)));
    };
    let took = began.elapsed().as_secs_f64() * 1e3;
    let text = String::from_utf8_lossy(&fs_err::read(answer.path())?).into_owned();
    if !status.success() || row.answer.as_ref().is_some_and(|wanted| wanted != text.trim_end()) {
        let said = fs_err::read_to_string(said.path())?;
        return Err(format!("{}: {status}: {text}{said}", row.typed()).into());
    }
    Ok((took, most.values().sum()))
}

/// Returns the most memory that a process had so far, in bytes, while it lives.
fn peak(id: u32) -> Option<u64> {
    let status = fs_err::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// Returns a command as hyperfine reads it.
fn quoted(words: &[OsString]) -> String {
    let quoted = |word: &OsStr| format!("'{}'", word.display());
    words.iter().map(|word| quoted(word)).collect::<Vec<String>>().join(" ")
}
