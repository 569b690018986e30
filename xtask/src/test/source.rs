//! Checks what no lint of the compiler, of clippy or of cargo-deny does: the shape of every Rust file,
//! where `unsafe` may be allowed and `abi_stable` be used, the directions of dependencies, and that
//! docs/reference/errors.md has every error code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::Result;
use crate::workspace::{CLI, EXCHANGE, HOST, HOST_DIRS, PLUGIN, Workspace, host_lib};

/// Longest file allowed, in lines: beyond it a reader loses the thread.
const LONGEST: usize = 599;

/// The crate roots that deny `unsafe` and allow it in a few files; all others forbid it.
const DENYING: [&str; 3] = [host_lib!("lib.rs"), "plugin-api/src/lib.rs", "host/cli/src/main.rs"];

/// Files that may allow `unsafe`, in themselves or in a module. The compiler denies it in all others, by
/// the workspace's lints.
const UNSAFE: [&str; 9] = [
    host_lib!("ids.rs"),
    host_lib!("plugin.rs"),
    host_lib!("plugin/abi_check.rs"),
    host_lib!("platform/linux/session.rs"),
    host_lib!("plugin/runner/child.rs"),
    host_lib!("platform/linux/sandbox/listener.rs"),
    host_lib!("platform/linux/sandbox/walls/attributes.rs"),
    "plugin-api/src/lib.rs",
    "host/cli/src/streams.rs",
];

/// Files and directories that may use `abi_stable`: the last writes the boundary's layouts down.
const ABI: [&str; 4] = [
    "plugin-api/src/abi",
    host_lib!("plugin/loader"),
    host_lib!("plugin/abi_check"),
    "plugin-api/tests/layout",
];

/// Plugins that misbehave on purpose.
const FAULTY: &str = "tests/plugins";

/// The package of the plugin API.
const API: &str = "keystead-plugin-api";

/// What plugins for vaults behind a server share.
const REST: &str = "keystead-rest";

/// Packages of ours that a package may depend on; tests of the host may use any plugin.
#[rustfmt::skip]
const DIRECTIONS: [(&str, &[&str]); 9] = [
    (API, &[]),
    (REST, &[API]),
    ("keystead-plugin-memory", &[API]), // the reference, which needs nothing of others either
    (PLUGIN, &[API, REST]),
    (HOST, &[API]),
    (EXCHANGE, &[HOST, API]),
    (CLI, &[EXCHANGE, HOST, API]),
    ("keystead-fuzz", &[EXCHANGE, HOST, API]),
    ("xtask", &[]),
];

/// Returns the Rust files with their texts.
fn files(workspace: &Workspace) -> Result<BTreeMap<PathBuf, String>> {
    let files = workspace.files("rs")?.into_iter();
    files.map(|file| workspace.read(&file).map(|text| (file, text))).collect()
}

/// Checks that every file says its job in its first line, is short enough to be read, and is compiled.
pub(super) fn shape(workspace: &Workspace) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let files = files(workspace)?;
    for (file, text) in &files {
        let lines = text.lines().count();
        let mut check = |is_right: bool, what: &str| {
            if !is_right {
                faults.push(format!("{}: {what}", file.display()));
            }
        };
        check(text.starts_with("//!"), "the first line is not a `//!` line that says its job");
        check(lines <= LONGEST, &format!("{lines} lines, at most {LONGEST} are allowed"));
        check(is_compiled(&files, file), "no other file names it with `mod`: it is never compiled");
    }
    Ok(faults)
}

/// Says whether cargo finds a file, its parent module has a `mod` line for it, or a file names its path.
fn is_compiled(files: &BTreeMap<PathBuf, String>, file: &Path) -> bool {
    const TARGETS: [&str; 5] = ["examples", "benches", "bin", "fuzz_targets", "tests"];
    let dir = file.parent().unwrap_or(file);
    let (name, dir_name) =
        (file.file_name().unwrap_or_default(), dir.file_name().unwrap_or_default());
    let is_target = TARGETS.iter().any(|own| dir_name == *own) && dir != Path::new("tests");
    let wanted = format!("mod {};", file.file_stem().unwrap_or_default().display());
    let parents = ["lib.rs", "main.rs", "mod.rs"].map(|name| dir.join(name));
    let is_module = parents
        .iter()
        .chain([&dir.with_extension("rs")])
        .any(|parent| files.get(parent).is_some_and(|text| text.contains(&wanted)));
    let named = format!("/{}\"", Path::new(dir_name).join(name).display());
    name == "build.rs"
        || parents.contains(&file.to_owned())
        || is_target
        || is_module
        || files.values().any(|text| text.contains(&named))
}

/// Checks where `unsafe` is allowed and `abi_stable` used.
pub(super) fn places(workspace: &Workspace) -> Result<Vec<String>> {
    const ROOTS: [&str; 3] = ["src/lib.rs", "src/main.rs", "keystead/main.rs"];
    let mut faults = Vec::new();
    for (file, text) in files(workspace)? {
        if file.starts_with(FAULTY) || file.starts_with("xtask/src/test") {
            continue;
        }
        let path = file.to_string_lossy();
        let word = if DENYING.contains(&&*path) { "deny" } else { "forbid" };
        let shuts = format!("#![{word}(unsafe_code)]");
        let is_root = ROOTS.iter().any(|root| file.ends_with(root));
        if is_root && !text.lines().any(|line| line == shuts) {
            faults.push(format!("{path}: a crate root must say `{shuts}`"));
        }
        // These are not under the workspace's lints.
        let is_apart = path.starts_with("fuzz/") || path.starts_with("plugin-api/tests/");
        for (index, line) in text.lines().enumerate() {
            let place = format!("{path}:{}", index + 1);
            let has = |words: &[&str]| {
                words.iter().any(|word| line.contains(word)) && !line.trim().starts_with("//")
            };
            // The text of a new plugin's project shuts it, in a string.
            let allows = has(&["unsafe_code"]) && line != shuts && !has(&["(unsafe_code)]\\n"]);
            let says = is_apart && has(&["unsafe {", "unsafe fn", "unsafe impl"]);
            if says || (allows && !UNSAFE.contains(&&*path)) {
                faults.push(format!("{place}: `unsafe` is allowed only in {}", UNSAFE.join(", ")));
            }
            if has(&["abi_stable::"]) && !ABI.iter().any(|place| path.starts_with(place)) {
                faults.push(format!("{place}: `abi_stable` is used only in {}", ABI.join(", ")));
            }
        }
    }
    Ok(faults)
}

/// Checks that dependencies run one way: `binary -> host -> plugin-api <- plugins`.
pub(super) fn directions(workspace: &Workspace) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for manifest in workspace.manifests()? {
        for package in workspace.packages(&manifest)? {
            let from = package["name"].as_str().unwrap_or_default();
            let dir = Path::new(package["manifest_path"].as_str().unwrap_or_default());
            let is_faulty = dir.starts_with(workspace.root().join(FAULTY));
            let dependencies = package["dependencies"].as_array().into_iter().flatten();
            for dependency in dependencies.filter(|to| !is_allowed(from, is_faulty, to)) {
                faults.push(format!("{from} may not depend on {}", dependency["name"]));
            }
        }
    }
    Ok(faults)
}

fn is_allowed(from: &str, is_faulty: bool, dependency: &serde_json::Value) -> bool {
    let to = dependency["name"].as_str().unwrap_or_default();
    let is_plugin = from.starts_with(PLUGIN);
    let mut rows = DIRECTIONS.iter();
    match rows.find(|(name, _)| from == *name || (*name == PLUGIN && is_plugin)) {
        _ if to == "abi_stable" => from == API || from == HOST || is_faulty,
        // They are plugins, and what tests and hosts of other versions are made of.
        _ if is_faulty => ![HOST, EXCHANGE, CLI, "xtask"].contains(&to),
        None => false,
        Some((HOST | CLI, _)) if dependency["kind"] == "dev" && to.starts_with(PLUGIN) => true,
        Some((HOST, _)) if dependency["kind"] != "dev" && is_for_people(to) => false,
        Some((_, allowed)) if allowed.contains(&to) => true,
        Some((name, _)) => !dependency["path"].is_string() && !name.ends_with("-memory"),
    }
}

/// Returns whether a crate is there for the command line, or to read and write files of other programs.
fn is_for_people(name: &str) -> bool {
    let formats = ["aes", "cbc", "hmac", "miniz_oxide", "pbkdf2", "sha1"];
    let terminal = ["anstream", "anstyle", "indicatif", "signal-hook"];
    name.starts_with("clap") || formats.contains(&name) || terminal.contains(&name)
}

/// Checks that docs/reference/errors.md has a heading for every error code of the sources, and no other,
/// and that every code on a page is one.
pub(super) fn error_codes(workspace: &Workspace) -> Result<Vec<String>> {
    const DOCUMENT: &str = "docs/reference/errors.md";
    let mut codes = BTreeSet::new();
    for (file, text) in files(workspace)? {
        let is_test = file.ends_with("tests.rs") || file.iter().any(|part| part == "tests");
        if !is_test && HOST_DIRS.iter().any(|dir| file.starts_with(dir)) {
            let code = text.split("mod tests {").next().unwrap_or_default();
            codes.extend(code.split('"').filter(|text| is_code(text)).map(str::to_owned));
        }
    }
    let document = workspace.read(DOCUMENT)?;
    let headings =
        document.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    let mut faults = Vec::new();
    let mut missing = codes.clone();
    for code in headings {
        if !missing.remove(code) {
            faults.push(format!("{DOCUMENT}: no source has `{code}`, or it is there twice"));
        }
    }
    faults.extend(missing.iter().map(|code| format!("{DOCUMENT}: `{code}` is missing")));
    let mut pages = workspace.files_below("docs")?;
    pages.push(PathBuf::from("README.md"));
    // Decisions stay as they were written.
    pages.retain(|page| page.extension().is_some_and(|end| end == "md"));
    pages.retain(|page| !page.starts_with("docs/decisions"));
    for page in pages {
        let text = workspace.read(&page)?;
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-');
        let named =
            words.map(|word| word.trim_end_matches(['.', '-'])).filter(|word| is_code(word));
        for code in named.filter(|code| !codes.contains(*code)).collect::<BTreeSet<_>>() {
            faults.push(format!("{}: no source has `{code}`", page.display()));
        }
    }
    Ok(faults)
}

/// Says whether a text is a code: `E`, two digits, a dot, and lower-case letters or dashes.
fn is_code(text: &str) -> bool {
    text.split_once('.').is_some_and(|(family, word)| {
        ("E01"..="E14").contains(&family)
            && family.len() == 3
            && !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    })
}
