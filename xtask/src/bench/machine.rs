//! The machine that is measured on, and whether it had anything else to do.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::Result;
use crate::process::output;

/// The share of the processors' time that others may take: above it, times are not to be
/// compared with those of another run.
const QUIET: f64 = 0.05;

/// How long the processors are watched.
const WATCH: Duration = Duration::from_secs(3);

/// What can be said of the machine and of the tools.
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) memory_gib: u64,
    pub(super) kernel: String,
    /// What the measured files lie on.
    pub(super) file_system: String,
    /// The share of the processors' time that others took, before and after.
    pub(super) busy: f64,
    pub(super) date: String,
}

impl Machine {
    /// Looks around, and watches for a moment how busy the machine is.
    pub(super) fn look(folder: &Path) -> Result<Self> {
        let cpu = fs_err::read_to_string("/proc/cpuinfo")?;
        let memory = fs_err::read_to_string("/proc/meminfo")?;
        let kib = number_after(&memory, "MemTotal:").unwrap_or_default();
        Ok(Self {
            processor: value_of(&cpu, "model name").unwrap_or("an unknown processor").to_owned(),
            cores: thread::available_parallelism()?.get(),
            memory_gib: kib.div_ceil(1024 * 1024),
            kernel: said(&["uname", "-sr"])?,
            file_system: said(&["stat", "-f", "-c", "%T", &folder.to_string_lossy()])?,
            busy: busy()?,
            date: said(&["date", "-u", "+%Y-%m-%d"])?,
        })
    }

    /// Looks again at the end.
    pub(super) fn look_again(&mut self) -> Result<()> {
        self.busy = self.busy.max(busy()?);
        Ok(())
    }

    /// Says whether times mean what they say.
    pub(super) fn is_quiet(&self) -> bool {
        self.busy <= QUIET
    }
}

/// Runs a command and returns the first line that it says.
pub(super) fn said(words: &[&str]) -> Result<String> {
    let answer = output(Command::new(words[0]).args(&words[1..]))?;
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// Returns the share of all processors' time that was not idle, while we do nothing.
fn busy() -> Result<f64> {
    let before = ticks()?;
    thread::sleep(WATCH);
    let after = ticks()?;
    let (idle, all) = (after.0 - before.0, after.1 - before.1);
    Ok(if all == 0 { 0.0 } else { 1.0 - idle as f64 / all as f64 })
}

/// Returns how long the processors were idle, and all their time.
fn ticks() -> Result<(u64, u64)> {
    let stat = fs_err::read_to_string("/proc/stat")?;
    let line = stat.lines().next().unwrap_or_default();
    // `cpu  user nice system idle iowait irq softirq steal …`: guests are in user already.
    let times: Vec<u64> =
        line.split_whitespace().skip(1).take(8).filter_map(|time| time.parse().ok()).collect();
    if times.len() < 5 {
        return Err("/proc/stat does not tell what the processors do".into());
    }
    Ok((times[3] + times[4], times.iter().sum()))
}

fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim())
}

fn number_after(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}
