//! `cargo xtask test`: everything CI runs, in one order, with one closing line; or suites of it.
//!
//! A step that fails does not stop the others: one run tells everything that is wrong.

mod built;
mod docs;
mod kernels;
mod links;
mod source;

use std::env;
use std::process::ExitCode;

use crate::Result;
use crate::bench::gate;
use crate::cache::Cache;
use crate::contract;
use crate::library;
use crate::obligations;
use crate::process::captured;
use crate::provision::{Tools, markers};
use crate::report::{Outcome, Report};
use crate::vaults;
use crate::workspace::Workspace;

/// A part of the run that can be run by its name: what it is about, the tools it needs (`tests` are all
/// that tests need), and what runs it.
type Suite = (&'static str, &'static str, &'static [&'static str], fn(&mut Run) -> Result<()>);

/// All suites, in the order in which they are run. Those of kernels run only by name.
#[rustfmt::skip]
const SUITES: &[Suite] = &[
    ("sources", "shape of files, place of unsafe, directions", &[], sources),
    ("documents", "error codes, obligations, links, tables", &[], documents),
    ("contract", "the boundary grows at its ends", &[], |run| run.check("contract: grows at its ends", contract::faults)),
    ("deny", "licences, bans, sources", &["cargo-deny"], deny),
    ("format", "rustfmt, in every workspace", &[], format),
    ("clippy", "no warning", &[], |run| run.cargo("clippy", "clippy --workspace --all-targets -- -D warnings")),
    ("rustdoc", "no warning", &[], rustdoc),
    ("tests", "tests that need no tool", &[], |run| tests(run, false)),
    ("tools", "tests that need a tool, a server or root", &["tests"], |run| tests(run, true)),
    ("sanitizer", "the boundary under AddressSanitizer", &[], sanitizer),
    ("doctests", "examples in the sources", &[], doctests),
    ("fuzz", "every fuzz target", &["cargo-fuzz", "c++"], fuzz),
    ("install", "install, its tour, README and docs, gate", &["valgrind"], install),
    ("kernels", "older kernels, emulated (only by name)", &["qemu", "kmod"], |run| kernels::run(run, "")),
    ("kernels:bookworm", "that of Debian 12 alone", &["qemu", "kmod"], |run| kernels::run(run, "bookworm")),
    ("kernels:trixie", "that of Debian 13 alone", &["qemu", "kmod"], |run| kernels::run(run, "trixie")),
];

/// What all suites of a run share.
struct Run {
    workspace: Workspace,
    cache: Cache,
    tools: Tools,
    report: Report,
    /// How long each fuzz target runs.
    fuzz_seconds: u32,
}

/// Runs everything, or the suites that are named.
pub(crate) fn run(words: &[String]) -> Result<ExitCode> {
    let mut suites: Vec<&Suite> = Vec::new();
    let mut fuzz_seconds = 20;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--list" {
            SUITES.iter().for_each(|(name, about, ..)| println!("{name:<18}{about}"));
            return Ok(ExitCode::SUCCESS);
        } else if word == "--fuzz-seconds" {
            let number = words.next().and_then(|number| number.parse().ok());
            fuzz_seconds = number.ok_or("`--fuzz-seconds` needs a number of seconds")?;
        } else {
            // A platform is the suite of its name: what needs long set-up is run by name alone.
            let word = match word == "--platform" {
                true => words.next().ok_or("`--platform` needs a name")?,
                false => word,
            };
            let suite = SUITES.iter().find(|(name, ..)| name == word);
            suites.push(suite.ok_or_else(|| format!("no suite `{word}`: see `test --list`"))?);
        }
    }
    if suites.is_empty() {
        suites = SUITES.iter().filter(|(name, ..)| !name.starts_with("kernels")).collect();
    }
    let (workspace, cache) = (Workspace::here()?, Cache::open()?);
    let mut report = Report::new(cache.fresh_logs(workspace.root())?);
    let names: Vec<&str> = suites.iter().flat_map(|(_, _, tools, _)| *tools).copied().collect();
    let is_ci = env::var_os("CI").is_some_and(|ci| ci == "true");
    let mut provided = None;
    report.step("tools", |_| match Tools::provide(&workspace, &cache, &names) {
        Ok(tools) => match provided.insert(tools).missing().filter(|_| is_ci) {
            Some(missing) => Outcome::one(Err(missing.into())),
            None => Outcome::default(),
        },
        Err(error) => Outcome::one(Err(error)),
    });
    let Some(tools) = provided else { return Ok(report.finish()) };
    let missing = tools.missing();
    let mut run = Run { workspace, cache, tools, report, fuzz_seconds };
    for (name, _, _, suite) in suites {
        if let Err(error) = suite(&mut run) {
            run.report.step(name, |_| Outcome::one(Err(error)));
        }
    }
    if let Some(missing) = missing {
        println!("\n{missing}");
    }
    Ok(run.report.finish())
}

impl Run {
    /// Runs a check of the sources.
    fn check(&mut self, name: &str, faults: fn(&Workspace) -> Result<Vec<String>>) -> Result<()> {
        self.report.step(name, |_| Outcome::faults(faults(&self.workspace)));
        Ok(())
    }

    /// Runs cargo with some words.
    fn cargo(&mut self, name: &str, line: &str) -> Result<()> {
        self.report.command(name, &mut self.workspace.cargo(line));
        Ok(())
    }
}

fn sources(run: &mut Run) -> Result<()> {
    run.check("sources: shape of every file", source::shape)?;
    run.check("sources: place of unsafe and abi_stable", source::places)?;
    run.check("dependencies: directions", source::directions)
}

fn documents(run: &mut Run) -> Result<()> {
    run.check("documents: every error code", source::error_codes)?;
    run.check("documents: obligations", |workspace| obligations::PART.faults(workspace))?;
    run.check("documents: links", links::broken)?;
    run.check("documents: tables of docs/reference/vault-kinds.md", |workspace| {
        vaults::PART.faults(workspace)
    })
}

fn deny(Run { workspace, report, tools, .. }: &mut Run) -> Result<()> {
    if tools.has("cargo-deny") {
        let mut deny = workspace.cargo("deny --all-features check bans licenses sources");
        report.command("dependencies: licences, bans, sources", tools.lend(&mut deny));
    }
    Ok(())
}

/// Checks the format of every workspace of the checkout, as one step.
fn format(run: &mut Run) -> Result<()> {
    run.check("format", |workspace| {
        let manifests = workspace.manifests()?.into_iter();
        let checked = manifests.map(|manifest| {
            captured(workspace.cargo("fmt --all --check --manifest-path").arg(manifest))
        });
        Ok(checked.filter(|(ok, _)| !ok).map(|(_, printed)| printed).collect())
    })
}

/// Warnings are errors, and the pages of plugin-api show the contract. Flags as cargo takes them where
/// a path may have spaces.
fn rustdoc(run: &mut Run) -> Result<()> {
    let Run { workspace, report, .. } = run;
    let header = workspace.root().join("plugin-api/docs/rustdoc.html");
    let flags = format!("-Dwarnings\u{1f}--html-in-header\u{1f}{}", header.display());
    let mut doc = workspace.cargo("doc --workspace --no-deps");
    report.command("docs", doc.env("CARGO_ENCODED_RUSTDOCFLAGS", flags));
    run.check("documents: the library's items and crates", |workspace| {
        library::PART.faults(workspace)
    })
}

/// Runs the tests that need a tool, or all others.
fn tests(run: &mut Run, by_tools: bool) -> Result<()> {
    // The plugins' libraries and the binary, where tests expect them.
    run.cargo("build", "build --workspace")?;
    let Run { workspace, report, tools, .. } = run;
    let mut tests = workspace.cargo("test --workspace --all-targets --no-fail-fast --");
    let mut skipped: Vec<&str> =
        if by_tools { tools.unmet().collect() } else { markers().collect() };
    skipped.push(built::ASAN);
    tests.args(skipped.iter().flat_map(|marker| ["--skip", marker]));
    if by_tools {
        tests.arg("--include-ignored").args(markers());
    }
    let name = if by_tools { "tests that need a tool, a server or root" } else { "tests" };
    report.cargo_test(name, tools.lend(&mut tests));
    Ok(())
}

fn sanitizer(Run { workspace, report, tools, .. }: &mut Run) -> Result<()> {
    report.counted("boundary under AddressSanitizer", || built::sanitizer(workspace, tools))
}

fn doctests(Run { workspace, report, .. }: &mut Run) -> Result<()> {
    report.cargo_test("doctests", &mut workspace.cargo("test --workspace --doc --no-fail-fast"));
    Ok(())
}

fn fuzz(Run { workspace, report, cache, tools, fuzz_seconds }: &mut Run) -> Result<()> {
    if tools.has("cargo-fuzz") && tools.has("c++") {
        report.counted("fuzz targets", || built::fuzz(workspace, cache, tools, *fuzz_seconds))?;
    }
    Ok(())
}

/// Installs, and tries what was installed.
fn install(Run { workspace, report, tools, .. }: &mut Run) -> Result<()> {
    let prefix = tempfile::Builder::new().prefix("keystead-prefix-").tempdir()?;
    let mut install = workspace.cargo("xtask install --prefix");
    if report.command("install, with its tour", install.arg(prefix.path())) {
        report.counted("README and docs, executed", || docs::executed(workspace, prefix.path()))?;
        if tools.has("valgrind") {
            let mut printed = String::new();
            report.step("instructions of a get, against the figure", |_| {
                let checked = gate::check(workspace, tools, prefix.path());
                Outcome::one(checked.inspect(|text| printed.clone_from(text)))
            });
            // What is a little more or less is for all to see, too.
            print!("{printed}");
        }
    }
    Ok(())
}
