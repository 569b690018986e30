//! Zig, for the test that reads the C headers with it: PyPI's package in a virtual environment of the
//! cache folder. One version, as the language still changes.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use super::crates::last_lines;
use super::on_path;
use crate::Result;
use crate::cache::Cache;
use crate::process::captured;

/// The variable that names the program.
pub(super) const VARIABLE: &str = "KEYSTEAD_TEST_ZIG";

/// The words in the names of the tests that need it.
pub(super) const MARKER: &str = "needs_zig";

/// The version that the test is written for.
const VERSION: &str = "0.13.0";

/// Where the package has its program.
const FIND: &str =
    "import os, ziglang; print(os.path.join(os.path.dirname(ziglang.__file__), 'zig'))";

/// Returns the program: the one that is named, or one of our own.
pub(super) fn provide(cache: &Cache) -> Result<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE).map(PathBuf::from) {
        return is_zig(&named).map(|()| named);
    }
    let done = cache.root().join(format!("python-ziglang-{VERSION}"));
    let python = done.join("bin/python");
    // A virtual environment knows its place and is made there: one without Zig is not done.
    if run(Command::new(&python).args(["-c", FIND])).is_err() {
        let system = on_path("python3").ok_or("there is no python3 on PATH")?;
        println!("installing ziglang {VERSION} once, into {}", done.display());
        run(Command::new(system).args(["-m", "venv", "--clear"]).arg(&done))?;
        let package = format!("ziglang=={VERSION}");
        run(Command::new(&python).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            &package,
        ]))?;
    }
    let zig = PathBuf::from(run(Command::new(&python).args(["-c", FIND]))?.trim());
    is_zig(&zig).map(|()| zig)
}

/// Returns the command by which a person adds it.
pub(super) fn by_hand() -> String {
    format!(
        "python3 -m venv FOLDER && FOLDER/bin/pip install ziglang=={VERSION}, then {VARIABLE}=/path/to/zig cargo xtask test"
    )
}

fn is_zig(program: &PathBuf) -> Result<()> {
    let version = run(Command::new(program).arg("version"))?;
    if version.trim() == VERSION {
        return Ok(());
    }
    Err(format!(
        "{} is Zig {}; the test is written for {VERSION}",
        program.display(),
        version.trim()
    )
    .into())
}

fn run(command: &mut Command) -> Result<String> {
    match captured(command) {
        (true, output) => Ok(last_lines(&output, 1)),
        (false, output) => Err(last_lines(&output, 3).into()),
    }
}
