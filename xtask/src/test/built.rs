//! Tests that are built in a way of their own: the fuzz targets, and the plugin boundary under
//! AddressSanitizer.

use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::Result;
use crate::cache::Cache;
use crate::process::{captured, command, stdout};
use crate::provision::Tools;
use crate::report::Outcome;
use crate::workspace::{CLI, HOST, Workspace};

/// Marks the tests that need the sanitizer: they are run here alone.
pub(super) const ASAN: &str = "needs_asan";

/// Slowest input allowed, in seconds: parsers answer in microseconds.
const SLOWEST: u32 = 10;

/// Runs every fuzz target of `fuzz/` for some seconds, as many at once as there are processors; counts
/// each.
///
/// They are built without a sanitizer, and so they need no nightly compiler: nothing they reach
/// is unsafe, but for `c_abi`, where what is followed is what the target itself gives. Corpora
/// grow in the cache directory from run to run.
pub(super) fn fuzz(
    workspace: &Workspace,
    cache: &Cache,
    tools: &Tools,
    seconds: u32,
) -> Result<Outcome> {
    let names = stdout(tools.lend(&mut workspace.cargo("fuzz list")))?;
    let built = workspace.target().join("fuzz");
    let mut build = workspace.cargo("fuzz build --sanitizer none --target-dir");
    let (ok, printed) = captured(tools.lend(build.arg(&built)));
    if !ok || names.trim().is_empty() {
        return Err(format!("no fuzz target was built\n{printed}").into());
    }
    let binaries = built.join(native_target()?).join("release");
    // A crashing input is kept where the next run does not wipe it, to be made a test of.
    let run = |target: &str| -> Result<(bool, String)> {
        let crashes = cache.dir(&format!("fuzz/crashes/{target}"))?;
        let mut run = Command::new(binaries.join(target));
        run.arg(format!("-max_total_time={seconds}")).arg(format!("-timeout={SLOWEST}"));
        run.arg("-print_final_stats=1").arg(format!("-artifact_prefix={}/", crashes.display()));
        Ok(captured(run.arg(cache.dir(&format!("fuzz/corpus/{target}"))?)))
    };
    let (outcome, queue) = (Mutex::new(Outcome::default()), Mutex::new(names.split_whitespace()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                while let Some(target) = next() {
                    let (ok, printed) =
                        run(target).unwrap_or_else(|error| (false, error.to_string()));
                    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                    let output = format!("{target}:\n{printed}\n");
                    outcome.add(Outcome { passed: ok.into(), failed: (!ok).into(), output });
                }
            });
        }
    });
    Ok(outcome.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Runs the tests of the plugin boundary under AddressSanitizer, and counts each: both ABIs' own tests,
/// built with it, and plugins in hosts of all versions, which a test builds with it. Each proves by a
/// planted fault that the sanitizer is on.
///
/// The toolchain has the sanitizer's library, and a stable compiler accepts the option for it where
/// `RUSTC_BOOTSTRAP` is set: no other toolchain is needed. Leaks are not looked for: a vault whose
/// plugin panicked is left as it is, and a library stays mapped.
pub(super) fn sanitizer(workspace: &Workspace, tools: &Tools) -> Result<Outcome> {
    let options = format!("--no-fail-fast --target {} --target-dir", native_target()?);
    let mut all = Outcome::default();
    for words in [
        "-p keystead-plugin-api --lib --test boundary".to_owned(),
        format!(
            "-p {HOST} --lib -- --include-ignored plugin::abi_check plugin::c_abi::tests::attack \
             plugin::c_abi::tests::plugin plugin::loader"
        ),
    ] {
        let mut tests = workspace.cargo(&format!("test {options}"));
        tests.arg(workspace.target().join("asan")).args(words.split(' '));
        // Only what is built for the target: neither macros nor build scripts.
        tests.env("RUSTC_BOOTSTRAP", "1").env("CARGO_ENCODED_RUSTFLAGS", "-Zsanitizer=address");
        let (ok, output) = captured(tests.env("ASAN_OPTIONS", "detect_leaks=0"));
        all.add(Outcome::tests(ok, output));
    }
    let mut pairs = workspace.cargo(&format!("test -p {CLI} --test main -- --ignored {ASAN}"));
    let (ok, output) = captured(tools.lend(pairs.env("ASAN_OPTIONS", "detect_leaks=0")));
    all.add(Outcome::tests(ok, output));
    Ok(all)
}

/// Returns the target that the compiler builds for by itself.
fn native_target() -> Result<String> {
    let version = stdout(&mut command("rustc -vV"))?;
    let target = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(target.ok_or("`rustc -vV` does not name its target")?.to_owned())
}
