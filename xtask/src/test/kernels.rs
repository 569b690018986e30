//! `cargo xtask test --platform kernels`: the kernels that older Debian systems run, booted as they
//! are packaged in an emulated machine, and in it doctor, the main job, the runner's own tests, the
//! cage's grants and the zoo. The processor is emulated, so that it takes long and needs nothing of
//! the machine it runs on.

mod machine;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use crate::Result;
use crate::cache::Cache;
use crate::process;
use crate::provision::kernels;
use crate::report::{Counted, Outcome, Report};
use crate::workspace::Workspace;
use machine::{Job, Machine};

/// A release of Debian, and what is expected of its kernel.
struct Old {
    debian: &'static str,
    release: &'static str,
    /// What doctor says, of a machine where nothing else is wrong.
    doctor: &'static str,
}

const OLD: [Old; 2] = [
    Old {
        debian: "Debian 12",
        release: "bookworm",
        doctor: "\
Note: the landlock of this kernel does not know the cutting short of files (Linux 6.2), TCP ports (Linux 6.7), the controls of devices (Linux 6.10), signals and abstract sockets (Linux 6.12): the filter of system calls holds plugins there, and nothing behind it
  Why:   nothing is open; the cage has one wall here where newer kernels have two
  Code:  E11.sandbox

All is sound.
",
    },
    Old { debian: "Debian 13", release: "trixie", doctor: "All is sound.\n" },
];

/// The kernels that a run is about.
pub(super) struct Which(Vec<&'static Old>);

impl Which {
    /// Parses `kernels`, which are all of them, or `kernels:RELEASE`.
    pub(super) fn parse(word: &str) -> Result<Self> {
        let old: Vec<_> = match word.split_once(':') {
            None if word == "kernels" => OLD.iter().collect(),
            Some(("kernels", release)) => OLD.iter().filter(|old| old.release == release).collect(),
            _ => Vec::new(),
        };
        if old.is_empty() {
            let releases = OLD.each_ref().map(|old| format!("`kernels:{}`", old.release));
            return Err(format!("`--platform` takes `kernels` or {}", releases.join(" or ")).into());
        }
        Ok(Self(old))
    }
}

/// How a step in the machine is judged.
enum Judge {
    /// By its exit code.
    Code,
    /// By the lines of tests that were counted.
    Tests,
}

/// A step of `steps.sh`: its name there, its name here, its judge.
const STEPS: [(&str, &str, Judge); 6] = [
    ("root", "main job, by root", Judge::Code),
    ("user", "main job, by a user", Judge::Code),
    ("runner", "tests of the runner", Judge::Tests),
    ("grants", "tests of the cage's grants", Judge::Tests),
    ("zoo", "zoo", Judge::Tests),
    ("rounds", "zoo, a hundred rounds", Judge::Tests),
];

/// The longest that a step may take: an emulated processor is slow, and slower beside others.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Runs all of it.
pub(super) fn run(Which(olds): &Which) -> Result<ExitCode> {
    let (workspace, cache) = (Workspace::here()?, Cache::open()?);
    let releases: Vec<_> = olds.iter().map(|old| old.release).collect();
    let logs = cache.fresh_logs(&workspace.root().join(releases.join("-")))?;
    let mut report = Report::new(logs);
    let mut ready = None;
    report.ready("tools and kernels", || match provided(&cache, olds) {
        Ok(provided) => {
            ready = Some(provided);
            Outcome::quiet()
        }
        Err(error) => Outcome::one(Err(error)),
    });
    let Some((qemu, kernels)) = ready else { return Ok(report.finish()) };
    if !report.command("build", workspace.cargo().args(["build", "--workspace"])) {
        return Ok(report.finish());
    }
    let mut tests = Vec::new();
    report.step("build of the tests", || match built(&workspace) {
        Ok(files) => {
            tests = files;
            Outcome::quiet()
        }
        Err(error) => Outcome::one(Err(error)),
    });
    if tests.is_empty() {
        return Ok(report.finish());
    }
    let job = Job { root: workspace.root(), target: &workspace.target(), tests: &tests };
    for (old, kernel) in olds.iter().zip(kernels) {
        let log = report.folder().join(format!("{}.console", old.release));
        in_machine(&mut report, old, Machine::boot(&qemu, &kernel, &job, &log), &kernel)?;
    }
    Ok(report.finish())
}

/// Provides the program and the kernels.
fn provided(cache: &Cache, olds: &[&Old]) -> Result<(PathBuf, Vec<kernels::Kernel>)> {
    let _lock = cache.lock()?;
    let qemu = kernels::qemu()?;
    let all = olds.iter().map(|old| kernels::provide(cache, old.release));
    Ok((qemu, all.collect::<Result<_>>()?))
}

/// Takes the steps in one machine.
fn in_machine(
    report: &mut Report,
    old: &Old,
    booted: Result<Machine>,
    kernel: &kernels::Kernel,
) -> Result<()> {
    let version = kernel.version()?;
    let name = |what: &str| format!("{}: {what}", old.debian);
    let mut machine = None;
    report.step(&name(&format!("Linux {version}")), || {
        Outcome::one(booted.and_then(|booted| {
            let (_, said) = machine.insert(booted).step("kernel", LONGEST)?;
            let mut lines = said.lines();
            if lines.next() != Some(version.as_str()) || !lines.any(|line| line == "landlock") {
                return Err(format!("not this kernel, or without landlock:\n{said}").into());
            }
            Ok(said)
        }))
    });
    let Some(mut machine) = machine else { return Ok(()) };
    report.step(&name("doctor"), || {
        Outcome::one(machine.step("doctor", LONGEST).and_then(|(code, said)| {
            if code == 0 && said == old.doctor {
                return Ok(said);
            }
            Err(format!("exit code {code}:\n{said}\nand not:\n{}", old.doctor).into())
        }))
    });
    for (step, what, judge) in &STEPS {
        report.step(&name(what), || match (machine.step(step, LONGEST), judge) {
            (Ok((code, said)), Judge::Code) => {
                let ok = said.lines().filter(|line| line.starts_with("ok: ")).count();
                let failed = said.lines().filter(|line| line.starts_with("FAILED: ")).count();
                let failed = failed.max(usize::from(code != 0 || ok == 0));
                Outcome { passed: ok, failed, output: said }
            }
            (Ok((code, said)), Judge::Tests) => Counted::outcome(code == 0, said),
            (Err(error), _) => Outcome::one(Err(error)),
        });
    }
    Ok(())
}

/// Builds the tests that are run there and returns their files, relative to the checkout's
/// `target`: that of the library, and that of the commands and plugins.
fn built(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let mut build = workspace.cargo();
    build.args([
        "test",
        "--package",
        "keystead",
        "--package",
        "keystead-cli",
        "--lib",
        "--test",
        "main",
        "--no-run",
    ]);
    build.args(["--message-format", "json-render-diagnostics"]);
    let output = process::output(&mut build)?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let target = workspace.target();
    let files = String::from_utf8(output.stdout)?;
    let files = files.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let of_tests = message["profile"]["test"] == true;
        let file = Path::new(message["executable"].as_str()?);
        of_tests.then(|| file.strip_prefix(&target).ok().map(Path::to_owned))?
    });
    let files: Vec<PathBuf> = files.collect();
    if files.len() == 2 { Ok(files) } else { Err(format!("not two tests: {files:?}").into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kernels_or_one_are_named_and_nothing_else_is() {
        let named = |word| {
            let which = Which::parse(word).ok()?;
            Some(which.0.iter().map(|old| old.release).collect::<Vec<_>>())
        };
        assert_eq!(named("kernels").unwrap(), ["bookworm", "trixie"]);
        assert_eq!(named("kernels:trixie").unwrap(), ["trixie"]);
        for word in ["", "kernel", "kernels:", "kernels:sid", "trixie"] {
            assert_eq!(named(word), None, "{word}");
        }
    }
}
