//! A real OpenID provider for logins by a person: a package of npm, in the cache folder.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::crates::last_lines;
use super::{debian, on_path};
use crate::Result;
use crate::cache::Cache;
use crate::process::captured;

/// The variable that names the folder in which the package is installed.
pub(super) const VARIABLE: &str = "KEYSTEAD_TEST_OIDC";

/// The words in the names of the tests that need it.
pub(super) const MARKER: &str = "needs_oidc";

/// The version known to work.
const PACKAGE: &str = "oidc-provider@9.13.3";

/// Returns the folder: the one that is named, or one of our own.
pub(super) fn provide(cache: &Cache) -> Result<PathBuf> {
    debian::system("node", "nodejs")?;
    if let Some(named) = env::var_os(VARIABLE).map(PathBuf::from) {
        return is_there(&named).map(|()| named);
    }
    let done = cache.root().join("npm-oidc-provider");
    if is_there(&done).is_err() {
        debian::system("npm", "npm")?;
        let npm = on_path("npm").ok_or("there is no npm on PATH")?;
        println!("installing {PACKAGE} once, into {}", done.display());
        fs_err::create_dir_all(&done)?;
        let mut install = Command::new(npm);
        install.args(["install", "--no-save", "--no-audit", "--no-fund", "--prefix"]).arg(&done);
        match captured(install.arg(PACKAGE).current_dir(&done)) {
            (true, _) => is_there(&done)?,
            (false, output) => return Err(last_lines(&output, 3).into()),
        }
    }
    Ok(done)
}

/// Returns the command by which a person adds it.
pub(super) fn by_hand() -> String {
    format!("npm install --prefix FOLDER {PACKAGE}, then {VARIABLE}=FOLDER cargo xtask test")
}

fn is_there(folder: &Path) -> Result<()> {
    match folder.join("node_modules/oidc-provider/package.json").is_file() {
        true => Ok(()),
        false => Err(format!("{} has no oidc-provider", folder.display()).into()),
    }
}
