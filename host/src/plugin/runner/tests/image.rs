//! A plugin that is a file of root's: mapped as it is, for as long as it is what was proven.

use std::fs;

use super::*;
use crate::fs::Rule;
use crate::fs::walk;

/// Returns the setup of a plugin that is this file.
fn of_roots(file: &Path) -> Setup {
    let file = walk::open(file, Rule::System).expect("this test is for root");
    Setup { image: Image::of_roots(file, [7; 32], Abi::Rust), ..stage("").setup }
}

/// Ends the runner's process, so that the next call starts another one.
fn end(runner: &mut Runner) {
    failure(runner, "exit", amply());
}

#[test]
fn the_file_itself_is_what_the_runner_has_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plugin");
    fs::write(&path, "").unwrap();
    let mut runner = Runner::open(of_roots(&path), request(amply())).unwrap();
    let has = |path: &str| format!("/dev/null /dev/null pipe socket {path}");
    assert_eq!(text(&mut runner, "descriptors"), has(path.to_str().unwrap()));
    // Replaced, it is still there for the next process, as it was.
    let new = folder.path().join("new");
    fs::write(&new, "another plugin").unwrap();
    fs::rename(new, &path).unwrap();
    end(&mut runner);
    let removed = format!("{} (deleted)", path.display());
    assert_eq!(text(&mut runner, "descriptors"), has(&removed));
}

#[test]
fn what_is_no_longer_roots_alone_is_not_run() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plugin");
    fs::write(&path, "").unwrap();
    let mut runner = Runner::open(of_roots(&path), request(amply())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
    end(&mut runner);
    assert_eq!(failure(&mut runner, "folder", amply()).code(), "E11.spawn");
}

#[test]
fn what_was_written_to_the_file_since_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plugin");
    fs::write(&path, "").unwrap();
    let mut runner = Runner::open(of_roots(&path), request(amply())).unwrap();
    assert_eq!(text(&mut runner, "folder"), "/");
    fs::write(&path, "another plugin").unwrap();
    end(&mut runner);
    let refused = failure(&mut runner, "folder", amply());
    assert_eq!(refused.code(), "E11.spawn");
    let told = crate::error::story(&refused);
    assert!(told.ends_with("the plugin's file has changed since it was checked"), "{told}");
}
