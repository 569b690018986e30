//! `cargo xtask bench`: what Keystead costs as a whole process, in time and in instructions,
//! beside the least any program could cost and beside what others use; and where the
//! instructions go.
//!
//! Times are of the binary as installed; instructions of the same build with its symbols.

mod cage;
mod callers;
mod callgrind;
mod chart;
mod data;
mod floor;
pub(crate) mod gate;
mod home;
mod machine;
mod measure;
mod own;
mod page;
mod peer;
mod row;
mod step;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use crate::Result;
use crate::cache::Cache;
use crate::install;
use crate::provision::Tools;
use crate::workspace::Workspace;

use callgrind::Profile;
use home::Home;
use machine::{Machine, said};
use measure::Meter;
use own::{OWN, Own, Scope};
use page::Findings;
use peer::Peers;
use row::{Measured, Race, Row, Whose};

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Task {
    /// Measure, and print.
    Print(Scope),
    /// Measure everything, and write docs/speed.md and its chart too.
    Write,
    /// Hold the instructions to the figure, as `cargo xtask test` does.
    Gate,
    /// Write the figure anew.
    Accept,
}

impl Task {
    fn parse(words: &[String]) -> Result<Self> {
        match words {
            [] => Ok(Self::Print(Scope::Whole)),
            [word] if word == "--quick" => Ok(Self::Print(Scope::Quick)),
            [word] if word == "--write" => Ok(Self::Write),
            [word] if word == "--gate" => Ok(Self::Gate),
            [word] if word == "--accept" => Ok(Self::Accept),
            _ => Err("usage: cargo xtask bench [--quick | --write | --gate | --accept]".into()),
        }
    }
}

/// Measures and prints.
pub(crate) fn run(words: &[String]) -> Result<ExitCode> {
    let task = Task::parse(words)?;
    let workspace = Workspace::here()?;
    let cache = Cache::open()?;
    let tools = {
        let _lock = cache.lock()?;
        Tools::for_bench(&cache)?
    };
    if let Some(missing) = tools.missing() {
        return Err(missing.into());
    }
    let scratch = tempfile::Builder::new().prefix("keystead-bench-").tempdir()?;
    let folder = scratch.path();
    let prefix = folder.join("prefix");
    let own: Vec<&Own> = OWN.iter().filter(|own| own.is_in(&workspace)).collect();
    let first = own.first().ok_or("there is no plugin of ours to measure")?;
    let plugin = install::bare(&workspace, &prefix, "release", first.id)?;
    let scope = match task {
        Task::Gate => {
            print!("{}", gate::check(&workspace, &tools, &prefix)?);
            return Ok(ExitCode::SUCCESS);
        }
        Task::Accept => {
            gate::accept(&workspace, &tools, &prefix)?;
            return Ok(ExitCode::SUCCESS);
        }
        Task::Print(scope) => scope,
        Task::Write => Scope::Whole,
    };
    let symbols = folder.join("symbols");
    install::bare(&workspace, &symbols, "profiling", first.id)?;

    let meter = Meter { tools: &tools, folder: folder.to_owned(), counted: search_path(&symbols) };
    let mut bench = Bench { meter, measured: Vec::new(), profiles: Vec::new() };
    let home = Home::new(folder.join("floors"), search_path(&prefix))?;
    let floors = floor::rows(&cache, &workspace, &home, &plugin, scope)?;
    let mut machine = Machine::look(folder)?;
    for row in &floors {
        bench.measure(row)?;
    }
    for own in own {
        let home = Home::new(folder.join(own.id), search_path(&prefix))?;
        let vaults = own.vaults(&home, scope)?;
        for row in &vaults.rows {
            bench.measure(row)?;
        }
    }
    let memory = install::bare(&workspace, &prefix, "release", "memory")?;
    let caged = cage::Caged::measure(&workspace, &memory)?;
    let files = callers::PLUGINS.map(|id| install::bare(&workspace, &prefix, "release", id));
    let files = files.into_iter().collect::<Result<Vec<_>>>()?;
    let callers = callers::Callers::measure(&workspace, &files)?;
    let peers = match scope {
        Scope::Quick => Peers::default(),
        Scope::Whole => peer::each(&cache, folder, &prefix, &mut |row| bench.measure(row))?,
    };
    machine.look_again()?;

    let versions = versions(&workspace, &tools, &prefix)?;
    let Bench { measured, profiles, .. } = bench;
    let mut findings = Findings { machine, versions, measured, caged, callers, peers };
    findings.sort();
    println!("{}", findings.text());
    print_steps(&profiles);
    if task == Task::Write {
        findings.write(&workspace)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What has been measured so far.
struct Bench<'a> {
    meter: Meter<'a>,
    measured: Vec<Measured>,
    /// Where the instructions of our small vaults go.
    profiles: Vec<(String, Vec<Profile>)>,
}

impl Bench<'_> {
    fn measure(&mut self, row: &Row) -> Result<()> {
        // For who waits: it can take minutes.
        eprintln!("measuring: {}", row.name);
        let (measured, profiles) = self.meter.measure(row)?;
        if row.whose == Whose::Ours && row.race == Race::One {
            self.profiles.push((row.name.clone(), profiles));
        }
        self.measured.push(measured);
        Ok(())
    }
}

fn print_steps(profiles: &[(String, Vec<Profile>)]) {
    for (name, profiles) in profiles {
        for (process, profile) in ["", " (the runner)"].iter().zip(profiles) {
            println!("\nwhere the instructions go: {name}{process}");
            for (step, cost) in step::shares(profile) {
                println!("{:>12.3} M  {step}", cost / 1e6);
            }
        }
    }
}

/// Returns the search path on which a prefix's host is.
fn search_path(prefix: &Path) -> OsString {
    let mut path = prefix.join("bin").into_os_string();
    path.push(":/usr/bin:/bin");
    path
}

/// Returns what we are, and what measured and built us.
fn versions(workspace: &Workspace, tools: &Tools, prefix: &Path) -> Result<Vec<(String, String)>> {
    let root = workspace.root().to_string_lossy().into_owned();
    let commit = said(&["git", "-C", &root, "describe", "--always", "--dirty"])?;
    let keystead = said(&[&prefix.join("bin/keystead").to_string_lossy(), "--version"])?;
    let of = |variable: &str| -> Result<String> {
        said(&[&tools.path_of(variable)?.to_string_lossy(), "--version"])
    };
    Ok(vec![
        ("Keystead".into(), format!("{keystead}, commit {commit}")),
        ("built by".into(), said(&["rustc", "--version"])?),
        ("C library".into(), said(&["getconf", "GNU_LIBC_VERSION"])?),
        ("times by".into(), of("KEYSTEAD_TEST_HYPERFINE")?),
        ("instructions by".into(), of("KEYSTEAD_TEST_VALGRIND")?),
    ])
}
