//! A Python with PyNaCl, for the reader of the local vault's file that is not ours: a virtual
//! environment in the cache folder. The system's Python stays as it is.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::crates::last_lines;
use super::on_path;
use crate::Result;
use crate::cache::Cache;
use crate::process::captured;

/// The variable that names the Python.
pub(super) const VARIABLE: &str = "KEYSTEAD_TEST_PYTHON";

/// The words in the names of the tests that need it.
pub(super) const MARKER: &str = "needs_pynacl";

/// The version known to work.
const PYNACL: &str = "PyNaCl==1.6.2";

/// Returns a Python that has PyNaCl: the one that is named, the one on PATH, or one of our own.
pub(super) fn provide(cache: &Cache) -> Result<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE).map(PathBuf::from) {
        return has_pynacl(&named).map(|()| named);
    }
    let python = on_path("python3").ok_or("there is no python3 on PATH")?;
    if has_pynacl(&python).is_ok() {
        return Ok(python);
    }
    let done = cache.root().join("python-pynacl");
    let own = done.join("bin/python");
    // A virtual environment knows its place and is made there: one without PyNaCl is not done.
    if has_pynacl(&own).is_err() {
        println!("installing {PYNACL} once, into {}", done.display());
        run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&done))?;
        run(Command::new(&own).args(["-m", "pip", "install", "--quiet", "--no-input", PYNACL]))?;
        has_pynacl(&own)?;
    }
    Ok(own)
}

/// Returns the command by which a person adds it.
pub(super) fn by_hand() -> String {
    format!(
        "python3 -m venv FOLDER && FOLDER/bin/pip install {PYNACL}, then {VARIABLE}=FOLDER/bin/python cargo xtask test"
    )
}

fn has_pynacl(python: &Path) -> Result<()> {
    run(Command::new(python).args(["-c", "import nacl.bindings"]))
}

fn run(command: &mut Command) -> Result<()> {
    match captured(command) {
        (true, _) => Ok(()),
        (false, output) => Err(last_lines(&output, 3).into()),
    }
}
