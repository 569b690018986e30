//! `cargo xtask test`: everything CI runs, in one order, with one closing line.
//!
//! A step that fails does not stop the others: one run tells everything that is wrong.

mod dependency;
mod docs;
mod errors;
mod fuzz;
mod kernels;
mod links;
mod place;
mod sanitizer;
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
use crate::provision::Tools;
use crate::report::{Outcome, Report};
use crate::vaults;
use crate::workspace::Workspace;

/// What the command line asks of a test run.
struct Options {
    /// How long each fuzz target runs.
    fuzz_seconds: u32,
    /// Which releases' kernels are tested instead of all else.
    kernels: Option<kernels::Which>,
}

impl Options {
    fn parse(words: &[String]) -> Result<Self> {
        let mut options = Self { fuzz_seconds: 60, kernels: None };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--fuzz-seconds" => {
                    let number = words.next().ok_or("`--fuzz-seconds` needs a number")?;
                    options.fuzz_seconds = number
                        .parse()
                        .map_err(|_| format!("`{number}` is not a number of seconds"))?;
                }
                "--platform" => {
                    let platform = words.next().map_or("", String::as_str);
                    options.kernels = Some(kernels::Which::parse(platform)?);
                }
                other => return Err(format!("`test` knows no `{other}`").into()),
            }
        }
        Ok(options)
    }
}

/// Runs everything.
pub(crate) fn run(words: &[String]) -> Result<ExitCode> {
    let options = Options::parse(words)?;
    if let Some(which) = &options.kernels {
        return kernels::run(which);
    }
    let workspace = Workspace::here()?;
    let cache = Cache::open()?;
    let mut report = Report::new(cache.fresh_logs(workspace.root())?);
    let mut tools = None;
    report.ready("tools", || match provided(&workspace, &cache, &mut tools) {
        Ok(()) => Outcome::quiet(),
        Err(error) => Outcome::one(Err(error)),
    });
    let Some(tools) = tools else { return Ok(report.finish()) };

    report.step("sources: shape of every file", || outcome(source::faults(&workspace)));
    report.step("sources: place of unsafe and abi_stable", || outcome(place::faults(&workspace)));
    report.step("dependencies: directions", || outcome(dependency::faults(&workspace)));
    report.step("documents: every error code", || outcome(errors::faults(&workspace)));
    report.step("documents: obligations", || outcome(obligations::faults(&workspace)));
    report.step("contract: grows at its ends", || outcome(contract::faults(&workspace)));
    report.step("documents: links", || outcome(links::broken(&workspace)));
    if tools.has("cargo-deny") {
        report.command(
            "dependencies: licences, bans, sources",
            tools.lend(workspace.cargo().args([
                "deny",
                "--all-features",
                "check",
                "bans",
                "licenses",
                "sources",
            ])),
        );
    }

    report.step("format", || counted(format(&workspace)));
    report.command(
        "clippy",
        workspace.cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    );
    report.command(
        "docs",
        workspace
            .cargo()
            .args(["doc", "--workspace", "--no-deps"])
            .env("CARGO_ENCODED_RUSTDOCFLAGS", rustdoc_flags(&workspace)),
    );
    report
        .step("documents: the library's items and crates", || outcome(library::faults(&workspace)));
    // The plugins' libraries and the binary, where the tests expect them.
    report.command("build", workspace.cargo().args(["build", "--workspace"]));
    report.step("documents: tables of docs/vaults.md", || outcome(vaults::faults(&workspace)));
    let mut tests = workspace.cargo();
    tests.args(["test", "--workspace", "--all-targets", "--no-fail-fast", "--"]);
    let unmet = tools.unmet().chain([sanitizer::MARKER]);
    tests.args(unmet.flat_map(|marker| ["--skip", marker]));
    report.cargo_test("tests", tools.lend(&mut tests));
    report.step("boundary under AddressSanitizer", || counted(sanitizer::run(&workspace, &tools)));
    report.cargo_test(
        "doctests",
        workspace.cargo().args(["test", "--workspace", "--doc", "--no-fail-fast"]),
    );
    if tools.can_fuzz() {
        report.step("fuzz targets", || {
            counted(fuzz::run(&workspace, &cache, &tools, options.fuzz_seconds))
        });
    }
    let prefix = tempfile::Builder::new().prefix("keystead-prefix-").tempdir()?;
    let mut install = workspace.cargo();
    install.args(["xtask", "install", "--prefix"]).arg(prefix.path());
    if report.command("install, with its tour", &mut install) {
        report.step("README and docs, executed", || {
            counted(docs::executed(&workspace, prefix.path()))
        });
        if tools.has("valgrind") {
            let mut said = String::new();
            report.step("instructions of a get, against the figure", || {
                Outcome::one(
                    gate::check(&workspace, &tools, prefix.path())
                        .inspect(|text| said.clone_from(text)),
                )
            });
            // What is a little more or less is for all to see, too.
            print!("{said}");
        }
    }
    if let Some(missing) = tools.missing() {
        println!("\n{missing}");
    }
    Ok(report.finish())
}

/// Provides the tools; with `CI=true` what is left out is an error.
fn provided(workspace: &Workspace, cache: &Cache, tools: &mut Option<Tools>) -> Result<()> {
    let _lock = cache.lock()?;
    let tools = tools.insert(Tools::for_tests(workspace, cache)?);
    match tools.missing() {
        Some(missing) if env::var_os("CI").is_some_and(|ci| ci == "true") => Err(missing.into()),
        _ => Ok(()),
    }
}

/// Returns what rustdoc is told, as cargo takes it where a path may have spaces: warnings are errors,
/// and the contract's pages show the contract.
fn rustdoc_flags(workspace: &Workspace) -> String {
    let header = workspace.root().join("plugin-api/docs/rustdoc.html");
    ["-Dwarnings", "--html-in-header", &header.to_string_lossy()].join("\u{1f}")
}

/// Checks the format of every workspace of the checkout, as one step.
fn format(workspace: &Workspace) -> Result<Outcome> {
    let mut wrong = String::new();
    for manifest in workspace.manifests()? {
        let mut fmt = workspace.cargo();
        fmt.args(["fmt", "--all", "--check", "--manifest-path", &manifest]);
        let (ok, said) = captured(&mut fmt);
        if !ok {
            wrong.push_str(&said);
        }
    }
    Ok(Outcome::one(if wrong.is_empty() { Ok(wrong) } else { Err(wrong.into()) }))
}

/// Turns what a check found into the outcome of its step.
fn outcome(faults: Result<Vec<String>>) -> Outcome {
    match faults {
        Ok(faults) => Outcome::faults(&faults),
        Err(error) => Outcome::one(Err(error)),
    }
}

/// Returns the counts of a step, or one failure where it could not be run.
fn counted(result: Result<Outcome>) -> Outcome {
    result.unwrap_or_else(|error| Outcome::one(Err(error)))
}
