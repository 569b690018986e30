//! Checks that dependencies run one way: `cli -> exchange -> lib -> plugin-api <- plugins`.

use std::path::Path;

use serde_json::Value;

use crate::Result;
use crate::workspace::Workspace;

const API: &str = "keystead-plugin-api";
const HOST: &str = "keystead";
const EXCHANGE: &str = "keystead-exchange";
const CLI: &str = "keystead-cli";
const REFERENCE: &str = "keystead-plugin-memory";
/// What plugins for vaults behind a server share; it knows no plugin.
const REST: &str = "keystead-rest";
const PLUGIN: &str = "keystead-plugin-";
const XTASK: &str = "xtask";

/// One arrow from a package of ours to what it depends on.
struct Arrow<'a> {
    to: &'a str,
    ours: bool,
    dev: bool,
}

/// Returns what is wrong, one line a fault.
pub(super) fn faults(workspace: &Workspace) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for manifest in workspace.manifests()? {
        let metadata = workspace.metadata(&manifest)?;
        for package in list(&metadata["packages"]) {
            let name = package["name"].as_str().unwrap_or_default();
            let folder = package["manifest_path"].as_str().unwrap_or_default();
            let faulty = Path::new(folder).starts_with(workspace.root().join("tests/plugins"));
            for dependency in list(&package["dependencies"]) {
                let arrow = Arrow {
                    to: dependency["name"].as_str().unwrap_or_default(),
                    ours: dependency["path"].is_string(),
                    dev: dependency["kind"].as_str() == Some("dev"),
                };
                if let Some(reason) = refused(name, faulty, &arrow) {
                    faults.push(format!("{name} -> {}: {reason}", arrow.to));
                }
            }
        }
    }
    Ok(faults)
}

/// Returns why a package may not depend on another, where it may not.
fn refused(from: &str, faulty: bool, arrow: &Arrow<'_>) -> Option<&'static str> {
    let plugin = from.starts_with(PLUGIN) && from != API;
    match arrow.to {
        XTASK => Some("nothing depends on xtask"),
        HOST | EXCHANGE | CLI if from == API || plugin || faulty => {
            Some("no plugin and no author sees the host")
        }
        EXCHANGE | CLI if from == HOST => Some("the library knows none of its users"),
        CLI => Some("nothing is built on the command line"),
        "abi_stable" if from != API && from != HOST && !faulty => {
            Some("only plugin-api and the host know abi_stable")
        }
        _ if from == API && arrow.ours => Some("plugin-api stands alone"),
        _ if from == REFERENCE && arrow.to != API => {
            Some("the reference plugin needs plugin-api and nothing else")
        }
        to if arrow.ours && from == REST && to != API => Some("what plugins share knows none"),
        REST if !plugin => Some("only plugins speak to servers"),
        to if arrow.ours && plugin && to != API && to != REST => Some("no plugin sees another"),
        to if arrow.ours && from == HOST && to != API && !arrow.dev => {
            Some("the host knows plugin-api only")
        }
        to if from == HOST && !arrow.dev && is_for_people(to) => {
            Some("the library speaks to no person and reads no file of another program")
        }
        to if to.starts_with(PLUGIN) && to != API && (from == EXCHANGE || from == CLI) => {
            Some("plugins are loaded, not linked")
        }
        _ if arrow.ours && from == XTASK => Some("xtask builds the others and links none of them"),
        _ => None,
    }
}

/// Says whether a crate is there for the command line, or to read and write files of other programs.
fn is_for_people(name: &str) -> bool {
    const CRATES: [&str; 10] = [
        "aes",
        "anstream",
        "anstyle",
        "cbc",
        "hmac",
        "indicatif",
        "miniz_oxide",
        "pbkdf2",
        "sha1",
        "signal-hook",
    ];
    CRATES.contains(&name) || name.starts_with("clap")
}

/// Returns the items of a JSON list, or none where there is no list.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(from: &str, to: &str, ours: bool, dev: bool) -> bool {
        refused(from, false, &Arrow { to, ours, dev }).is_none()
    }

    #[test]
    fn arrows_run_downwards_only() {
        assert!(allowed(HOST, API, true, false));
        assert!(allowed(REFERENCE, API, true, false));
        assert!(allowed("keystead-plugin-store", "rusqlite", false, false));
        assert!(allowed(HOST, REFERENCE, true, true));
        assert!(!allowed(HOST, REFERENCE, true, false));
        assert!(!allowed(REFERENCE, HOST, true, true));
        assert!(!allowed(API, HOST, true, true));
        assert!(!allowed("keystead-plugin-store", REFERENCE, true, false));
        assert!(!allowed("keystead-plugin-store", "abi_stable", false, false));
        assert!(!allowed(REFERENCE, "serde", false, false));
        assert!(allowed("keystead-plugin-hashicorp", REST, true, false));
        assert!(allowed(REST, API, true, false));
        assert!(!allowed(REST, "keystead-plugin-hashicorp", true, true));
        assert!(!allowed(REFERENCE, REST, true, false));
        assert!(!allowed(HOST, REST, true, true));
        assert!(!allowed(XTASK, HOST, true, false));
        assert!(allowed(CLI, EXCHANGE, true, false));
        assert!(allowed(CLI, HOST, true, false));
        assert!(allowed(EXCHANGE, HOST, true, false));
        assert!(!allowed(EXCHANGE, CLI, true, false));
        assert!(!allowed(HOST, EXCHANGE, true, true));
        assert!(!allowed(HOST, CLI, true, true));
        assert!(!allowed(CLI, REFERENCE, true, true));
        assert!(!allowed("keystead-plugin-hashicorp", EXCHANGE, true, false));
        assert!(!allowed(HOST, "clap", false, false));
        assert!(!allowed(HOST, "aes", false, false));
        assert!(allowed(HOST, "signal-hook", false, true));
    }
}
