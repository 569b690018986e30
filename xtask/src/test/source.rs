//! Checks the shape of every Rust file: it says its job in its first line, it is short enough
//! to be read, and some other file names it.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::workspace::Workspace;

/// Longest file allowed, in lines: beyond it a reader loses the thread.
const LONGEST: usize = 599;

/// Files that cargo finds by itself.
const ROOTS: [&str; 4] = ["lib.rs", "main.rs", "build.rs", "mod.rs"];

/// Returns what is wrong, one line a fault.
pub(super) fn faults(workspace: &Workspace) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let files = workspace.files("rs")?;
    let mut all = String::new();
    for file in &files {
        all.push_str(&fs_err::read_to_string(workspace.root().join(file))?);
    }
    for file in files {
        let text = fs_err::read_to_string(workspace.root().join(&file))?;
        let shown = file.display();
        if !text.lines().next().is_some_and(|line| line.starts_with("//!")) {
            faults.push(format!("{shown}: the first line is not a `//!` line that says its job"));
        }
        let lines = text.lines().count();
        if lines > LONGEST {
            faults.push(format!("{shown}: {lines} lines, at most {LONGEST} are allowed"));
        }
        if !is_listed(workspace.root(), &file) && !is_named(&all, &file) {
            faults
                .push(format!("{shown}: no other file names it with `mod`: it is never compiled"));
        }
    }
    Ok(faults)
}

/// Says whether a file is a root, or its parent module has a `mod` line for it.
fn is_listed(root: &Path, file: &Path) -> bool {
    let (Some(folder), Some(stem)) = (file.parent(), file.file_stem()) else {
        return false;
    };
    let name = file.file_name().unwrap_or_default();
    if ROOTS.iter().any(|own| name == *own) || is_target(folder) {
        return true;
    }
    let wanted = format!("mod {};", stem.display());
    parents(folder).iter().any(|parent| {
        fs_err::read_to_string(root.join(parent)).is_ok_and(|text| {
            text.lines().any(|line| line.trim_start_matches("pub").contains(&wanted))
        })
    })
}

/// Says whether some file names another by its path, as `#[path]` and `include_str!` do.
fn is_named(all: &str, file: &Path) -> bool {
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
    let end = Path::new(folder).join(file.file_name().unwrap_or_default());
    all.contains(&format!("/{}\"", end.display()))
}

/// Says whether cargo makes a target of every file in a folder.
fn is_target(folder: &Path) -> bool {
    let is = |name: &str| folder.file_name().is_some_and(|own| own == name);
    is("examples")
        || is("benches")
        || is("bin")
        || is("fuzz_targets")
        || (is("tests") && folder != Path::new("tests"))
}

/// Returns the files that may hold the `mod` line of a file in a folder.
fn parents(folder: &Path) -> Vec<PathBuf> {
    let mut parents: Vec<PathBuf> =
        ["lib.rs", "main.rs", "mod.rs"].map(|name| folder.join(name)).into();
    parents.push(folder.with_extension("rs"));
    parents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_file_that_nobody_names_is_found() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(folder.path().join("tests/cli")).unwrap();
        fs_err::write(folder.path().join("tests/main.rs"), "//! All.\nmod cli;\n").unwrap();
        fs_err::write(folder.path().join("tests/cli.rs"), "//! Cli.\npub mod get;\n").unwrap();
        assert!(is_listed(folder.path(), Path::new("tests/cli.rs")));
        assert!(is_listed(folder.path(), Path::new("tests/cli/get.rs")));
        assert!(!is_listed(folder.path(), Path::new("tests/cli/set.rs")));
        assert!(!is_listed(folder.path(), Path::new("tests/lost.rs")));
    }
}
