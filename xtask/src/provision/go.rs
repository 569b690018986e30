//! Debian's Go, for the plugin in Go: on PATH, or unpacked into the cache folder.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use super::{debian, on_path};
use crate::Result;
use crate::cache::Cache;
use crate::process;

/// The variable by which tests find it.
pub(super) const VARIABLE: &str = "KEYSTEAD_TEST_GO";

/// What the names of tests that need it hold.
pub(super) const MARKER: &str = "needs_go";

/// Debian's package.
const PACKAGE: &str = "golang-go";

/// Returns where `go` is, unpacking it where it is not there yet.
pub(super) fn provide(cache: &Cache) -> Result<PathBuf> {
    let named = env::var_os(VARIABLE).map(PathBuf::from).or_else(|| on_path("go"));
    let go = match named {
        Some(path) => path,
        None => debian::unpacked(cache, "debian-go", &[PACKAGE])?.join("go"),
    };
    let output = process::output(Command::new(&go).arg("version").env("GOTOOLCHAIN", "local"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && said.starts_with("go version go1.") {
        return Ok(go);
    }
    let said = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
    Err(format!("{} version says `{}`", go.display(), said.trim()).into())
}

/// Returns the command by which a person adds it.
pub(super) fn by_hand() -> String {
    format!("apt-get install {PACKAGE}   (as root)")
}
