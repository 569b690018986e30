//! `cargo xtask vaults`: the tables of docs/reference/vault-kinds.md, made from the manifests of the plugins of
//! this workspace as the host reads them from the built files.

use std::fmt::Write as _;
use std::process::{Command, ExitCode};

use serde_json::Value;

use crate::Result;
use crate::part::Part;
use crate::process;
use crate::workspace::Workspace;

/// What is made.
const PART: Part = Part {
    page: "docs/reference/vault-kinds.md",
    begin: "<!-- manifests: begin, written by `cargo xtask vaults --write` -->\n",
    end: "<!-- manifests: end -->\n",
};

/// The columns that are capabilities.
const CAPABILITIES: [&str; 12] = [
    "write",
    "rename",
    "conditional",
    "concurrent",
    "metadata",
    "unlock",
    "versions",
    "list-removed",
    "restore",
    "purge",
    "actions",
    "unregister",
];

/// Compares the page with the manifests, or writes it.
pub(crate) fn run(words: &[String]) -> Result<ExitCode> {
    PART.run("vaults", made, words)
}

/// Returns what is wrong with the page, one line a fault.
pub(crate) fn faults(workspace: &Workspace) -> Result<Vec<String>> {
    PART.faults("vaults", made, workspace)
}

/// Returns the tables of the manifests as they are now.
fn made(workspace: &Workspace) -> Result<String> {
    tables(&manifests(workspace)?)
}

/// Builds the plugins and returns what the host reads from each.
fn manifests(workspace: &Workspace) -> Result<Vec<Value>> {
    let plugins = workspace.plugins()?;
    let mut build = workspace.cargo();
    build.args(["build", "--locked", "--quiet", "--package", "keystead-cli", "--bin", "keystead"]);
    build.arg("--lib");
    for (name, _) in &plugins {
        build.args(["--package", name]);
    }
    let (done, said) = process::captured(&mut build);
    if !done {
        return Err(said.into());
    }
    let built = workspace.target().join("debug");
    let home = tempfile::tempdir()?;
    let mut manifests = Vec::new();
    for (name, _) in plugins {
        let file = built.join(format!("lib{}.so", name.replace('-', "_")));
        let mut show = Command::new(built.join("keystead"));
        show.args(["plugin", "show", "--json"]).arg(file);
        let shown = process::output(show.env_clear().env("HOME", home.path()))?;
        if !shown.status.success() {
            return Err(String::from_utf8_lossy(&shown.stderr).into());
        }
        manifests.push(serde_json::from_slice(&shown.stdout)?);
    }
    Ok(manifests)
}

/// Returns the tables over these manifests.
fn tables(manifests: &[Value]) -> Result<String> {
    let mut text = String::new();
    let _ = writeln!(text, "| `--plugin` | {} | holds | names |", CAPABILITIES.join(" | "));
    let _ = writeln!(text, "| --- |{} --- | --- |", " :---: |".repeat(CAPABILITIES.len()));
    for manifest in manifests {
        for (number, kind) in list(&manifest["kinds"])?.iter().enumerate() {
            let id = word(&manifest["id"])?;
            // The first kind is the one that is meant where none is named.
            let named = match number {
                0 => format!("`{id}`"),
                _ => format!("`{id}:{}`", word(&kind["name"])?),
            };
            let can = words(&kind["capabilities"])?;
            if let Some(new) = can.iter().find(|one| !CAPABILITIES.contains(&one.as_str())) {
                return Err(format!("{PAGE} has no column for `{new}`", PAGE = PART.page).into());
            }
            let marks: Vec<&str> = CAPABILITIES
                .iter()
                .map(|one| if can.iter().any(|own| own == one) { "yes" } else { "" })
                .collect();
            let (holds, names) = (words(&kind["values"])?.join(", "), word(&kind["names"])?);
            let _ = writeln!(text, "| {named} | {} | {holds} | {names} |", marks.join(" | "));
        }
    }
    for manifest in manifests {
        plugin(&mut text, manifest)?;
    }
    // An empty cell has one space.
    Ok(text.replace("|  |", "| |").replace("|  |", "| |"))
}

/// Adds what one plugin's registrations may say.
fn plugin(text: &mut String, manifest: &Value) -> Result<()> {
    let _ = writeln!(text, "\n### `{}`\n", word(&manifest["id"])?);
    let _ = writeln!(text, "{}.\n", cell(&manifest["description"])?);
    let _ = writeln!(text, "| kind | parameter | is | default | for |");
    let _ = writeln!(text, "| --- | --- | --- | --- | --- |");
    for kind in list(&manifest["kinds"])? {
        let name = word(&kind["name"])?;
        let parameters = list(&kind["parameters"])?;
        if parameters.is_empty() {
            let _ = writeln!(text, "| `{name}` | | | | {} |", cell(&kind["description"])?);
        }
        for parameter in parameters {
            let secret =
                if parameter["secret"] == true { ", a reference: it is secret" } else { "" };
            let default = match (parameter["default"].as_str(), &parameter["required"]) {
                (Some(default), _) => format!("`{default}`"),
                (None, Value::Bool(true)) => "must be given".to_owned(),
                (None, _) => String::new(),
            };
            let _ = writeln!(
                text,
                "| `{name}` | `{}` | {}{secret} | {default} | {} |",
                word(&parameter["name"])?,
                word(&parameter["kind"])?,
                cell(&parameter["description"])?,
            );
        }
    }
    let permissions = list(&manifest["permissions"])?;
    let asked =
        permissions.iter().map(|one| word(&one["permission"]).map(|one| format!("`{one}`")));
    let asked: Vec<String> = asked.collect::<Result<_>>()?;
    let asked = if asked.is_empty() { "nothing".to_owned() } else { asked.join(", ") };
    let _ = writeln!(text, "\nAsks for: {asked}.");
    Ok(())
}

fn list(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().ok_or_else(|| format!("`{value}` is no list").into())
}

fn word(value: &Value) -> Result<&str> {
    value.as_str().ok_or_else(|| format!("`{value}` is no text").into())
}

fn words(value: &Value) -> Result<Vec<String>> {
    list(value)?.iter().map(|one| word(one).map(str::to_owned)).collect()
}

/// Returns a text that may stand in a table: a bar would end the cell.
fn cell(value: &Value) -> Result<String> {
    Ok(word(value)?.replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_manifest_becomes_a_row_a_kind_and_a_row_a_parameter() {
        let parameter = json!({"name": "at", "kind": "path", "description": "here | there",
            "required": true, "secret": false, "default": null});
        let kind = |name, can| {
            json!({"name": name, "description": "", "capabilities": can, "values": ["text"],
                "names": "case-sensitive", "parameters": [parameter]})
        };
        let manifest = |can: &[&str]| {
            json!({"id": "safe", "description": "A safe", "permissions": [],
                "kinds": [kind("one", json!(can)), kind("two", json!([]))]})
        };
        let made = tables(&[manifest(&["write", "actions"])]).unwrap();
        for line in [
            "| `safe` | yes | | | | | | | | | | yes | | text | case-sensitive |",
            "| `safe:two` | | | | | | | | | | | | | text | case-sensitive |",
            "| `two` | `at` | path | must be given | here \\| there |",
            "Asks for: nothing.",
        ] {
            assert!(made.lines().any(|own| own == line), "{line} in\n{made}");
        }
        assert!(tables(&[manifest(&["levitate"])]).is_err());
    }
}
