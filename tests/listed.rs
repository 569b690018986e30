//! Checks that every test file is listed as a module; an unlisted file never runs.

use std::path::Path;

/// Directories outside of this binary: separate workspaces, and files for tests.
const OTHERS: [&str; 2] = ["plugins", "fixtures"];

fn check(dir: &Path, parent: &Path, missing: &mut Vec<String>) {
    let list = std::fs::read_to_string(parent).unwrap();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path == parent || OTHERS.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            check(&path, &dir.join(format!("{name}.rs")), missing);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !list.lines().any(|line| line.trim().ends_with(&format!("mod {name};")))
        {
            missing.push(path.display().to_string());
        }
    }
}

#[test]
fn every_test_file_is_listed() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
    let mut missing = Vec::new();
    check(&tests, &tests.join("main.rs"), &mut missing);
    assert!(missing.is_empty(), "not listed: {missing:?}");
}

/// Collects the text of the Rust files below a directory.
fn sources(dir: &Path, all: &mut String) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "target" {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn threat_model_names_existing_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut all = String::new();
    for dir in ["host", "plugin-api", "plugins", "tests"] {
        sources(&root.join(dir), &mut all);
    }
    let page = std::fs::read_to_string(root.join("docs/internals/threat-model.md")).unwrap();
    let is_test = |name: &&str| {
        let is_word = |c: char| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit();
        name.chars().all(is_word) && name.matches('_').count() > 2
    };
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(is_test).collect();
    assert!(named.len() > 40, "{named:?}");
    let missing: Vec<_> =
        named.iter().filter(|name| !all.contains(&format!("fn {name}()"))).collect();
    assert!(
        missing.is_empty(),
        "docs/internals/threat-model.md names tests that are not there: {missing:?}"
    );
}
