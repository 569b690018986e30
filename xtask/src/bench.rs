//! `cargo xtask bench`: what one `keystead get` costs as a whole process, in instructions and
//! in time, beside the least any program could cost, and where the instructions go.

mod callgrind;
mod floor;
mod step;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::Result;
use crate::cache::Cache;
use crate::install;
use crate::process::captured;
use crate::provision::Tools;
use crate::workspace::Workspace;

/// Runs of each command whose median is printed, and runs before them that fill the caches.
const RUNS: &str = "300";
const WARM_UP: &str = "30";

/// One thing measured.
struct Row {
    name: String,
    command: Vec<OsString>,
    /// Whether the host's verdicts are forgotten before each run.
    forget: bool,
}

impl Row {
    fn new<S: Into<OsString>>(name: &str, command: impl IntoIterator<Item = S>) -> Self {
        Self {
            name: name.to_owned(),
            command: command.into_iter().map(Into::into).collect(),
            forget: false,
        }
    }
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
        format!("rm -rf '{}'", self.home.join(".cache/keystead").display())
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

    let scene = Scene::set(&folder.join("home"), &prefix)?;
    let keystead = prefix.join("bin/keystead");
    let get = |placement: &str| {
        ["get", "greeting", "--vault", placement].iter().fold(
            vec![keystead.clone().into_os_string()],
            |mut all, word| {
                all.push((*word).into());
                all
            },
        )
    };
    let mut rows = vec![
        Row::new(
            "floor: cat FILE",
            [OsString::from("/bin/cat"), scene.home.join("in-process").into()],
        ),
        Row::new("floor: hello world in Rust", [floors.hello.clone()]),
        Row::new("floor: the same + dlopen of the plugin", [floors.dlopen.clone(), plugin.clone()]),
        Row::new("keystead get, in-process", get("in-process")),
        Row::new("keystead get, isolated", get("isolated")),
        Row::new("keystead get, in-process, new plugin file", get("in-process")),
    ];
    if let Some(last) = rows.last_mut() {
        last.forget = true;
    }

    println!(
        "\n{:<44}{:>14}{:>12}{:>12}",
        "one whole process", "instructions", "median", "fastest"
    );
    for row in &rows {
        let counted = instructions(&tools, &scene, row, folder)?;
        let (median, fastest) = times(&tools, &scene, row, folder)?;
        println!(
            "{:<44}{:>12.3} M{median:>9.2} ms{fastest:>9.2} ms",
            row.name,
            counted as f64 / 1e6
        );
    }

    let scene = Scene::set(&folder.join("home-of-symbols"), &symbols)?;
    for placement in ["in-process", "isolated"] {
        let mut command = get(placement);
        command[0] = symbols.join("bin/keystead").into_os_string();
        let row = Row::new(placement, command);
        let profiles = profiles(&tools, &scene, &row, folder)?;
        println!("\nwhere the instructions of `get`, {placement}, go:");
        for (name, cost) in step::shares(&profiles) {
            println!("{:>12.3} M  {name}", cost / 1e6);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the instructions of a row, over all its processes.
fn instructions(tools: &Tools, scene: &Scene, row: &Row, folder: &Path) -> Result<u64> {
    Ok(profiles(tools, scene, row, folder)?.iter().map(callgrind::Profile::total).sum())
}

/// Runs a row under callgrind and returns the profile of each of its processes.
fn profiles(
    tools: &Tools,
    scene: &Scene,
    row: &Row,
    folder: &Path,
) -> Result<Vec<callgrind::Profile>> {
    let out = tempfile::tempdir_in(folder)?;
    // Once before, so that what is cached is cached.
    let (program, words) = row.command.split_first().ok_or("an empty command")?;
    let (ok, output) = captured(scene.command(program).args(words));
    if !ok {
        return Err(output.into());
    }
    if row.forget {
        scene.forget()?;
    }
    let mut valgrind = scene.command(&tools.path_of("KEYSTEAD_TEST_VALGRIND")?);
    valgrind.args(["--tool=callgrind", "--trace-children=yes"]);
    valgrind.arg(format!("--callgrind-out-file={}/%p.out", out.path().display()));
    let (ok, output) = captured(valgrind.args(&row.command));
    if !ok {
        return Err(output.into());
    }
    let mut profiles = Vec::new();
    for file in fs_err::read_dir(out.path())? {
        profiles.push(callgrind::Profile::parse(&fs_err::read_to_string(file?.path())?)?);
    }
    if profiles.is_empty() {
        return Err(format!("callgrind wrote no profile of {}", row.name).into());
    }
    Ok(profiles)
}

/// Returns the median and the shortest time of a row, in milliseconds.
fn times(tools: &Tools, scene: &Scene, row: &Row, folder: &Path) -> Result<(f64, f64)> {
    let out = folder.join("times.json");
    let words: Vec<String> =
        row.command.iter().map(|word| format!("'{}'", word.display())).collect();
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
