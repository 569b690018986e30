//! The suites `kernels…`: the kernels that older Debian systems run, booted as they are packaged in an
//! emulated machine, and in it doctor, the main job, the runner's own tests, the sandbox's grants and
//! the hostile plugins. The processor is emulated, so that it takes long and needs nothing of the
//! machine it runs on.

mod machine;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Run;
use crate::Result;
use crate::provision::debian;
use crate::report::Outcome;
use crate::workspace::{CLI, HOST, Workspace};
use machine::Machine;

/// A release of Debian, its name, and what doctor prints there, of a machine where nothing else is wrong.
const RELEASES: [(&str, &str, &str); 2] = [
    (
        "bookworm",
        "Debian 12",
        "\
Note: the landlock of this kernel does not know the cutting short of files (Linux 6.2), TCP ports (Linux 6.7), the controls of devices (Linux 6.10), signals and abstract sockets (Linux 6.12): the filter of system calls holds plugins there, and nothing behind it
  Why:   nothing is open; the cage has one wall here where newer kernels have two
  Code:  E11.sandbox

All is sound.
",
    ),
    ("trixie", "Debian 13", "All is sound.\n"),
];

/// A step of `steps.sh`, its name here, and whether its output is that of tests.
const STEPS: [(&str, &str, bool); 6] = [
    ("root", "main job, by root", false),
    ("user", "main job, by a user", false),
    ("runner", "tests of the runner", true),
    ("grants", "tests of the sandbox's grants", true),
    ("zoo", "hostile plugins", true),
    ("rounds", "hostile plugins, a hundred rounds", true),
];

/// The longest that a step may take: an emulated processor is slow, and slower beside others.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Runs all of it, or what is of one release.
pub(super) fn run(run: &mut Run, wanted: &str) -> Result<()> {
    let Run { workspace, cache, report, .. } = run;
    if !report.command("build", &mut workspace.cargo("build --workspace")) {
        return Ok(());
    }
    let tests = built_tests(workspace)?;
    let wanted = RELEASES.iter().filter(|(release, ..)| release.starts_with(wanted));
    for (release, debian, doctor) in wanted {
        let lock = cache.lock()?;
        let kernel = debian::kernel(cache, release)?;
        drop(lock);
        let version = fs_err::read_to_string(kernel.join("version"))?;
        let log = report.logs().join(format!("{release}.console"));
        let mut machine = Machine::boot(&kernel, workspace, &tests, &log)?;
        let mut step = |step: &str, name: &str, judge: &dyn Fn(i32, String) -> Outcome| {
            report.step(&format!("{debian}: {name}"), |_| match machine.step(step, LONGEST) {
                Ok((code, printed)) => judge(code, printed),
                Err(error) => Outcome::one(Err(error)),
            })
        };
        let is_booted = step("kernel", &format!("Linux {version}"), &|_, printed| {
            let mut lines = printed.lines();
            let is_right = lines.next() == Some(&version) && lines.any(|line| line == "landlock");
            Outcome { passed: is_right.into(), failed: (!is_right).into(), output: printed }
        });
        if !is_booted {
            continue;
        }
        step("doctor", "doctor", &|code, printed| {
            let is_right = code == 0 && printed == *doctor;
            let output = format!("exit code {code}:\n{printed}\nand expected:\n{doctor}");
            Outcome { passed: is_right.into(), failed: (!is_right).into(), output }
        });
        for (name, what, is_tests) in STEPS {
            step(name, what, if is_tests { &tests_outcome } else { &job_outcome });
        }
    }
    Ok(())
}

fn tests_outcome(code: i32, printed: String) -> Outcome {
    Outcome::tests(code == 0, printed)
}

fn job_outcome(code: i32, output: String) -> Outcome {
    let lines = |word| output.lines().filter(|line| line.starts_with(word)).count();
    let (passed, failed) = (lines("ok: "), lines("FAILED: "));
    Outcome { passed, failed: failed.max(usize::from(code != 0 || passed == 0)), output }
}

/// Builds the tests that are run there and returns their files, relative to the checkout's
/// `target`: that of the library, and that of the commands and plugins.
fn built_tests(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let mut build = workspace
        .cargo(&format!("test --package {HOST} --package {CLI} --lib --test main --no-run"));
    let mut files = Vec::new();
    for artifact in workspace.artifacts(&mut build)? {
        if let (true, Some(file)) =
            (artifact["profile"]["test"] == true, artifact["executable"].as_str())
        {
            files.push(Path::new(file).strip_prefix(workspace.target())?.to_owned());
        }
    }
    if files.len() == 2 { Ok(files) } else { Err(format!("not two tests: {files:?}").into()) }
}
