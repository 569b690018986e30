//! A test file that nobody lists is never run: this is the test that says so.

use std::path::Path;

/// Folders that are no part of this binary: workspaces of their own, and files for tests.
const OTHERS: [&str; 2] = ["plugins", "fixtures"];

fn check(folder: &Path, parent: &Path, missing: &mut Vec<String>) {
    let list = std::fs::read_to_string(parent).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path == parent || OTHERS.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            check(&path, &folder.join(format!("{name}.rs")), missing);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !list.lines().any(|line| line.trim().ends_with(&format!("mod {name};")))
        {
            missing.push(path.display().to_string());
        }
    }
}

#[test]
fn every_test_file_is_listed() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
    let mut missing = Vec::new();
    check(&tests, &tests.join("main.rs"), &mut missing);
    assert!(missing.is_empty(), "not listed: {missing:?}");
}
