//! `cargo xtask bench`: what Keystead costs as a whole process, in time and in instructions,
//! beside the least any program could cost and beside what others use.

pub(crate) mod gate;
mod home;
mod measure;
mod page;
mod program;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cache::Cache;
use crate::process::{command, last_line, stdout};
use crate::provision::{Tools, on_search_path};
use crate::workspace::{HOST, Workspace};
use crate::{Result, install};

use home::Home;
use measure::{Measured, Meter};
use page::Findings;
use program::Program;

/// The plugins that are measured; the last in its sandbox, too.
const PLUGINS: [&str; 3] = ["store", "files", "memory"];

/// Measures and prints.
pub(crate) fn run(words: &[String]) -> Result<ExitCode> {
    let task = match words {
        [] => "",
        [word] if ["--quick", "--write", "--gate", "--accept"].contains(&word.as_str()) => word,
        _ => return Err("usage: cargo xtask bench [--quick | --write | --gate | --accept]".into()),
    };
    let (workspace, cache) = (Workspace::here()?, Cache::open()?);
    let tools = Tools::provide(&workspace, &cache, &["hyperfine", "valgrind"])?;
    if let Some(missing) = tools.missing() {
        return Err(missing.into());
    }
    let scratch = tempfile::Builder::new().prefix("keystead-bench-").tempdir()?;
    let prefix = scratch.path().join("prefix");
    let plugins = install::bare(&workspace, &prefix, &PLUGINS)?;
    match task {
        "--gate" => print!("{}", gate::check(&workspace, &tools, &prefix)?),
        "--accept" => gate::accept(&workspace, &tools, &prefix)?,
        _ => {
            let mut findings = Findings { busy: page::busy()?, ..Findings::default() };
            let is_quick = task == "--quick";
            let bench = Bench { workspace: &workspace, scratch: scratch.path(), plugins, is_quick };
            bench.programs(&tools, &bench.search_path(&cache, &prefix)?, &mut findings)?;
            findings.sandbox = bench.example("caged_call", &bench.plugins[PLUGINS.len() - 1..])?;
            findings.threads = bench.example("callers", &bench.plugins)?;
            findings.busy = findings.busy.max(page::busy()?);
            let text = findings.markdown()?;
            println!("\n{text}");
            if task == "--write" {
                findings.write(&workspace, &text)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

struct Bench<'a> {
    workspace: &'a Workspace,
    scratch: &'a Path,
    plugins: Vec<PathBuf>,
    /// Only floors and ours with one secret.
    is_quick: bool,
}

impl Bench<'_> {
    /// Returns the search path of all that is measured: us, the floors, what was installed for us alone,
    /// and the caller's.
    fn search_path(&self, cache: &Cache, prefix: &Path) -> Result<OsString> {
        let floors = self.scratch.join("floors");
        program::build_floors(self.workspace, &floors)?;
        let mut paths = vec![prefix.join("bin"), floors];
        paths.extend(["peers/bin", "peers/venv/bin"].map(|dir| cache.at(dir)));
        paths.extend(std::env::split_paths(&cache.search_path()));
        Ok(std::env::join_paths(paths)?)
    }

    /// Measures all programs that are here.
    fn programs(&self, tools: &Tools, path: &OsString, findings: &mut Findings) -> Result<()> {
        let meter = Meter { tools, dir: self.scratch };
        let mut homes = 0;
        let mut home = || {
            homes += 1;
            Home::new(self.scratch.join(format!("home-{homes}")), path.clone())
        };
        for program in Program::all(self.workspace)? {
            let peer = program.about("peer").next();
            let mut sizes = program.numbers("sizes");
            if self.is_quick {
                sizes.retain(|size| peer.is_none() && *size == 1);
            }
            if sizes.is_empty() {
                continue;
            }
            let mut needs = program.about("needs").flat_map(|line| line.split(' '));
            if let (Some(peer), Some(missing)) =
                (peer, needs.find(|own| on_search_path(path, own).is_none()))
            {
                findings.left_out.push(format!("{peer}: there is no `{missing}` on PATH"));
                continue;
            }
            let before = findings.measured.len();
            for size in sizes {
                match (self.measured(&meter, &program, home()?, size), peer) {
                    (Ok(rows), _) => findings.measured.extend(rows),
                    (Err(error), None) => return Err(error),
                    (Err(error), Some(peer)) => {
                        let error = error.to_string();
                        findings
                            .left_out
                            .push(format!("{peer} with {size}: {}", last_line(&error)));
                    }
                }
            }
            if let Some(peer) = peer.filter(|_| findings.measured.len() > before) {
                findings.versions.push((peer.to_owned(), program.version(&home()?)?));
            }
        }
        let home = home()?;
        let version = |line: &str| home.run(line).map(|text| text.trim().to_owned());
        let of = |tool| version(&format!("{} --version", tools.path_of(tool)?.display()));
        let root = self.workspace.root().display();
        let commit = version(&format!("git -C {root} describe --always --dirty"))?;
        let own = [
            ("Keystead", format!("{}, commit {commit}", version("keystead --version")?)),
            ("built by", stdout(&mut command("rustc --version"))?.trim().to_owned()),
            ("C library", version("getconf GNU_LIBC_VERSION")?),
            ("times by", of("KEYSTEAD_TEST_HYPERFINE")?),
            ("instructions by", of("KEYSTEAD_TEST_VALGRIND")?),
        ];
        findings.versions.splice(0..0, own.map(|(name, version)| (name.to_owned(), version)));
        Ok(())
    }

    /// Measures a program with so many secrets.
    fn measured(
        &self,
        meter: &Meter<'_>,
        program: &Program,
        mut home: Home,
        size: u64,
    ) -> Result<Vec<Measured>> {
        let plugin = ("PLUGIN", self.plugins[0].display().to_string());
        let rows = program.ready(&mut home, size, &[plugin])?;
        rows.into_iter().map(|row| meter.measure(&home, row)).collect()
    }

    /// Runs an example of the host with plugins, and returns the numbers of each of its lines.
    fn example(&self, name: &str, plugins: &[PathBuf]) -> Result<Vec<[f64; 2]>> {
        let line = format!("run --quiet --locked --release --package {HOST} --example {name} --");
        let text = stdout(self.workspace.cargo(&line).args(plugins))?;
        let numbers: Vec<f64> =
            text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        match numbers.as_chunks() {
            (lines, []) if lines.len() == plugins.len() => Ok(lines.to_vec()),
            _ => Err(format!("{name} prints `{}`", text.trim()).into()),
        }
    }
}

/// Returns a number as people read it: `1,000,000`.
fn grouped(number: u64) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1000), number % 1000),
    }
}
