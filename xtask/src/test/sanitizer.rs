//! Runs the tests of the plugin boundary under AddressSanitizer: both ABIs' own tests, built with it, and
//! plugins in hosts of all versions, which a test builds with it. Each proves by a planted fault that the
//! sanitizer is on.
//!
//! The toolchain has the sanitizer's library, and a stable compiler accepts the option for it where
//! `RUSTC_BOOTSTRAP` is set: no other toolchain is needed. Leaks are not looked for: a vault whose
//! plugin panicked is left as it is, and a library stays mapped.

use std::process::Command;

use crate::Result;
use crate::process::{self, captured};
use crate::provision::Tools;
use crate::report::{Counted, Outcome};
use crate::workspace::Workspace;

/// Marks the tests that need the sanitizer: they are run here alone.
pub(super) const MARKER: &str = "needs_asan";

/// Which tests are built with it: the packages' options, and the words in the tests' names.
const TESTS: [(&[&str], &[&str]); 2] = [
    (&["-p", "keystead-plugin-api", "--lib", "--test", "boundary"], &[]),
    (
        &["-p", "keystead", "--lib"],
        &[
            "plugin::abi_check",
            "plugin::c_door::tests::attack",
            "plugin::c_door::tests::plugin",
            "plugin::loader",
        ],
    ),
];

/// Builds and runs all of them; counts each test.
pub(super) fn run(workspace: &Workspace, tools: &Tools) -> Result<Outcome> {
    let target = host_target()?;
    let folder = workspace.target().join("asan");
    let mut all = Outcome::quiet();
    for (options, names) in TESTS {
        let mut tests = workspace.cargo();
        tests.args(["test", "--no-fail-fast", "--target", &target, "--target-dir"]).arg(&folder);
        tests.args(options).arg("--").args(names);
        // Only what is built for the target: neither macros nor build scripts.
        tests.env("RUSTC_BOOTSTRAP", "1").env("CARGO_ENCODED_RUSTFLAGS", "-Zsanitizer=address");
        add(&mut all, &mut tests);
    }
    let mut pairs = workspace.cargo();
    pairs.args(["test", "-p", "keystead", "--test", "main", "--", MARKER]);
    add(&mut all, tools.lend(&mut pairs));
    Ok(all)
}

/// Runs tests and adds what came of them.
fn add(all: &mut Outcome, tests: &mut Command) {
    tests.env("ASAN_OPTIONS", "detect_leaks=0");
    let (ok, output) = captured(tests);
    let Outcome { passed, failed, output } = Counted::outcome(ok, output);
    all.passed += passed;
    all.failed += failed;
    all.output += &output;
}

/// Returns the target that the compiler builds for by itself.
fn host_target() -> Result<String> {
    let output = process::output(Command::new("rustc").arg("-vV"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let target = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(target.ok_or("`rustc -vV` does not name its target")?.to_owned())
}
