//! Tools that cargo builds from source, kept in `tools/` of the cache folder.

use crate::Result;
use crate::cache::Cache;
use crate::process::captured;
use crate::provision::on_path;
use crate::workspace::Workspace;

/// Builds a tool unless it is in the cache or on PATH already.
pub(super) fn provide(
    workspace: &Workspace,
    cache: &Cache,
    name: &str,
    version: &str,
) -> Result<()> {
    if cache.root().join("tools/bin").join(name).is_file() || on_path(name).is_some() {
        return Ok(());
    }
    println!("building {name} {version} once, into {}", cache.root().display());
    let mut install = workspace.cargo();
    install
        .args(["install", "--locked", "--version", version, "--root"])
        .arg(cache.root().join("tools"))
        .arg(name)
        .env("CARGO_TARGET_DIR", cache.root().join("tools-target"));
    match captured(&mut install) {
        (true, _) => Ok(()),
        (false, output) => Err(last_lines(&output, 3).into()),
    }
}

/// Returns the end of an output, where the reason of a failure stands.
pub(super) fn last_lines(output: &str, count: usize) -> String {
    let lines: Vec<&str> = output.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join(" / ")
}
