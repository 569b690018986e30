//! `cargo xtask bench`: what one `keystead get` costs as a whole process, in instructions and
//! in time, beside the least any program could cost, and where the instructions go.
//!
//! Times are of the binary as installed; instructions of the same build with its symbols.

mod callgrind;
mod floor;
mod step;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::Result;
use crate::cache::Cache;
use crate::install;
use crate::process::captured;
use crate::provision::Tools;
use crate::workspace::Workspace;

use callgrind::Profile;

/// Runs of each command whose median is printed, and runs before them that fill the caches.
const RUNS: &str = "300";
const WARM_UP: &str = "30";

/// One thing measured.
struct Row {
    words: Vec<OsString>,
    /// Whether the host's verdicts are forgotten before each run.
    forget: bool,
}

/// A home with two vaults, in which everything is measured.
struct Scene {
    home: PathBuf,
    path: OsString,
}

impl Scene {
    /// Registers one vault for each placement and sets a secret in both.
    fn set(home: &Path, prefix: &Path) -> Result<Self> {
        fs_err::create_dir(home)?;
        let mut path = prefix.join("bin").into_os_string();
        path.push(":/usr/bin:/bin");
        let scene = Self { home: home.to_owned(), path };
        for placement in ["in-process", "isolated"] {
            scene.typed(&format!(
                "keystead vault register {placement} --plugin memory --placement {placement} --param file=\"$HOME/{placement}\"\n\
                 printf value | keystead set greeting --vault {placement} --stdin"
            ))?;
        }
        Ok(scene)
    }

    fn command(&self, program: &OsString) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", &self.home).env("PATH", &self.path).current_dir(&self.home);
        command
    }

    fn typed(&self, script: &str) -> Result<()> {
        match captured(self.command(&"/bin/sh".into()).args(["-e", "-c", script])) {
            (true, _) => Ok(()),
            (false, output) => Err(output.into()),
        }
    }

    /// Makes the host check its plugins as if it had never seen them.
    fn forget(&self) -> Result<()> {
        self.typed(&self.forgetting())
    }

    fn forgetting(&self) -> String {
        format!("rm -rf '{}'", self.home.join(".local/share/keystead/verdicts").display())
    }
}

/// Measures and prints.
pub(crate) fn run(words: &[String]) -> Result<ExitCode> {
    if let Some(word) = words.first() {
        return Err(format!("`bench` knows no `{word}`").into());
    }
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
    let plugin = install::bare(&workspace, &prefix, "release")?;
    let symbols = folder.join("symbols");
    install::bare(&workspace, &symbols, "profiling")?;
    let floors = floor::build(folder)?;

    let timed = Scene::set(&folder.join("timed"), &prefix)?;
    let counted = Scene::set(&folder.join("counted"), &symbols)?;

    println!(
        "\n{:<44}{:>14}{:>12}{:>12}",
        "one whole process", "instructions", "median", "fastest"
    );
    let mut tables = Vec::new();
    for (name, words, forget) in [
        ("floor: cat FILE", vec!["/bin/cat".into(), timed.home.join("in-process").into()], false),
        ("floor: hello world in Rust", vec![floors.hello.clone()], false),
        ("floor: the same + dlopen of the plugin", vec![floors.dlopen.clone(), plugin], false),
        ("keystead get, in-process", get("in-process"), false),
        ("keystead get, isolated", get("isolated"), false),
        ("keystead get, in-process, new plugin file", get("in-process"), true),
    ] {
        let row = Row { words, forget };
        let profiles = profiles(&tools, &counted, &row, folder)?;
        let total: u64 = profiles.iter().map(Profile::total).sum();
        let (median, fastest) = times(&tools, &timed, &row, folder)?;
        println!("{name:<44}{:>12.3} M{median:>9.2} ms{fastest:>9.2} ms", total as f64 / 1e6);
        if name.starts_with("keystead") {
            tables.push((name, profiles));
        }
    }
    for (name, profiles) in &tables {
        for (process, profile) in ["", " (the runner)"].iter().zip(profiles) {
            println!("\nwhere the instructions go: {name}{process}");
            for (step, cost) in step::shares(profile) {
                println!("{:>12.3} M  {step}", cost / 1e6);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the command that reads the secret of one placement.
fn get(placement: &str) -> Vec<OsString> {
    ["keystead", "get", "greeting", "--vault", placement].map(OsString::from).into()
}

/// Runs a row under callgrind and returns the profile of each of its processes, the first
/// started first.
fn profiles(tools: &Tools, scene: &Scene, row: &Row, folder: &Path) -> Result<Vec<Profile>> {
    // Once before, so that what is cached is cached: under valgrind too, where the running
    // program has another name, and a verdict of its own.
    if row.forget {
        scene.forget()?;
    } else {
        counted(tools, scene, row, tempfile::tempdir_in(folder)?.path())?;
    }
    let out = tempfile::tempdir_in(folder)?;
    counted(tools, scene, row, out.path())?;
    let mut dumps: BTreeMap<u32, BTreeMap<u32, String>> = BTreeMap::new();
    for file in fs_err::read_dir(out.path())? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        let mut numbers = name.split('.').filter_map(|part| part.parse::<u32>().ok());
        let process = numbers.next().ok_or_else(|| format!("callgrind wrote `{name}`"))?;
        // The file without a number is written last.
        let part = numbers.next().unwrap_or(u32::MAX);
        dumps.entry(process).or_default().insert(part, fs_err::read_to_string(file.path())?);
    }
    dumps
        .into_values()
        .map(|dumps| Profile::parse(&dumps.into_values().collect::<Vec<String>>()))
        .collect()
}

/// Runs a row under callgrind, which writes into a folder.
///
/// A runner is killed when its host has what it wanted, and then writes nothing: so it dumps
/// what it has counted after each of its replies.
fn counted(tools: &Tools, scene: &Scene, row: &Row, out: &Path) -> Result<()> {
    let mut valgrind = scene.command(&tools.path_of("KEYSTEAD_TEST_VALGRIND")?);
    valgrind.args(["--tool=callgrind", "--trace-children=yes"]);
    valgrind.arg("--dump-after=keystead::plugin::runner::link::Link::reply");
    valgrind.arg(format!("--callgrind-out-file={}/%p.out", out.display()));
    match captured(valgrind.args(&row.words)) {
        (true, _) => Ok(()),
        (false, output) => Err(output.into()),
    }
}

/// Returns the median and the shortest time of a row, in milliseconds.
fn times(tools: &Tools, scene: &Scene, row: &Row, folder: &Path) -> Result<(f64, f64)> {
    let out = folder.join("times.json");
    let words: Vec<String> = row.words.iter().map(|word| format!("'{}'", word.display())).collect();
    let mut hyperfine = scene.command(&tools.path_of("KEYSTEAD_TEST_HYPERFINE")?);
    hyperfine.args([
        "--shell=none",
        "--runs",
        RUNS,
        "--warmup",
        WARM_UP,
        "--style",
        "none",
        "--export-json",
    ]);
    hyperfine.arg(&out);
    if row.forget {
        hyperfine.arg("--prepare").arg(scene.forgetting());
    }
    let (ok, output) = captured(hyperfine.arg(words.join(" ")));
    if !ok {
        return Err(output.into());
    }
    let json: serde_json::Value = serde_json::from_slice(&fs_err::read(&out)?)?;
    let seconds = |name: &str| json["results"][0][name].as_f64().ok_or("hyperfine wrote no times");
    Ok((seconds("median")? * 1e3, seconds("min")? * 1e3))
}
