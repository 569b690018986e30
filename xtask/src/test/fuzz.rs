//! Runs every fuzz target of `fuzz/` for a while, as many at once as there are processors.
//!
//! They are built without a sanitizer, and so they need no nightly compiler: nothing they reach
//! is unsafe, but for `c_door`, where what is followed is what the target itself gives. Corpora
//! grow in the cache folder from run to run.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use crate::Result;
use crate::cache::Cache;
use crate::process::{self, captured};
use crate::provision::Tools;
use crate::report::Outcome;
use crate::workspace::Workspace;

/// Slowest input allowed, in seconds: parsers answer in microseconds.
const SLOWEST: u32 = 10;

/// Builds the targets and runs each for some seconds; counts each.
pub(super) fn run(
    workspace: &Workspace,
    cache: &Cache,
    tools: &Tools,
    seconds: u32,
) -> Result<Outcome> {
    let built = workspace.target().join("fuzz");
    let mut list = workspace.cargo();
    let output = process::output(tools.lend(list.args(["fuzz", "list"])))?;
    let names = String::from_utf8(output.stdout)?;
    let mut targets: Vec<&str> = names.split_whitespace().collect();
    if !output.status.success() || targets.is_empty() {
        return Err(format!(
            "`cargo fuzz list` names no target: {}",
            String::from_utf8_lossy(&output.stderr)
        )
        .into());
    }
    let mut build = workspace.cargo();
    build.args(["fuzz", "build", "--sanitizer", "none", "--target-dir"]).arg(&built);
    let (ok, said) = captured(tools.lend(&mut build));
    if !ok {
        return Err(said.into());
    }

    let folder = binaries(&built)?;
    let outcome = Mutex::new(Outcome::quiet());
    targets.reverse();
    let queue = Mutex::new(targets);
    let next = || queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(target) = next() {
                    let (ok, said) = match command(cache, &folder, target, seconds) {
                        Ok(mut command) => captured(&mut command),
                        Err(error) => (false, error.to_string()),
                    };
                    let mut outcome =
                        outcome.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    outcome.passed += usize::from(ok);
                    outcome.failed += usize::from(!ok);
                    let _ = writeln!(outcome.output, "{target}:\n{said}");
                }
            });
        }
    });
    Ok(outcome.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()))
}

/// Returns the folder of the built targets: `TRIPLE/release`, below the folder built into.
fn binaries(built: &Path) -> Result<PathBuf> {
    for entry in fs_err::read_dir(built)? {
        let folder = entry?.path().join("release");
        if folder.is_dir() {
            return Ok(folder);
        }
    }
    Err(format!("cargo fuzz built nothing below {}", built.display()).into())
}

/// Returns the command that runs one target.
fn command(cache: &Cache, folder: &Path, target: &str, seconds: u32) -> Result<Command> {
    let mut run = Command::new(folder.join(target));
    run.arg(format!("-max_total_time={seconds}")).arg(format!("-timeout={SLOWEST}"));
    run.arg("-print_final_stats=1");
    // A crashing input is kept where the next run does not wipe it, to be made a test of.
    run.arg(format!(
        "-artifact_prefix={}/",
        cache.folder(&format!("fuzz/crashes/{target}"))?.display()
    ));
    run.arg(cache.folder(&format!("fuzz/corpus/{target}"))?);
    Ok(run)
}
