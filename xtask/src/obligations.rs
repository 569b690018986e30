//! `cargo xtask obligations`: docs/reference/obligations.md, the obligations of a vault in the words of C, made
//! from the one list of them: the bullets on the traits `Plugin` and `Vault`.

use std::fmt::Write as _;

use crate::Result;
use crate::part::Part;
use crate::workspace::Workspace;

/// What is made.
pub(crate) const PART: Part = Part {
    page: "docs/reference/obligations.md",
    name: "obligations",
    command: "obligations",
    make: made,
};

/// Where the list is.
const SOURCES: [&str; 2] = ["plugin-api/src/plugin.rs", "plugin-api/src/vault.rs"];

fn made(workspace: &Workspace) -> Result<String> {
    let mut text = String::new();
    for source in SOURCES {
        // The bullets that no function was found for yet.
        let mut bullets: Vec<String> = Vec::new();
        let mut in_bullet = false;
        for line in workspace.read(source)?.lines().map(str::trim_start) {
            let doc = line.strip_prefix("///").map(|doc| doc.strip_prefix(' ').unwrap_or(doc));
            match (doc, bullets.last_mut()) {
                (Some(doc), _) if doc.starts_with("- **") => {
                    bullets.push(doc.to_owned());
                    in_bullet = true;
                }
                (Some(doc), Some(bullet)) if in_bullet && doc.starts_with("  ") => {
                    *bullet += &format!(" {}", doc.trim_start());
                }
                _ => in_bullet = false,
            }
            let function = line.strip_prefix("fn ").and_then(|rest| rest.split('(').next());
            let heading = match function {
                Some(function) => format!("`{function}`"),
                None if line.starts_with("pub trait ") => "Every call".to_owned(),
                None => continue,
            };
            if !bullets.is_empty() {
                let _ = writeln!(text, "\n### {heading}\n");
            }
            for bullet in bullets.drain(..) {
                let _ = writeln!(text, "{}", in_c(&bullet)?);
            }
        }
    }
    Ok(text.trim_start().to_owned())
}

/// Returns a sentence of the list with the names that C has for what it names in Rust.
///
/// # Errors
/// For a name of Rust that has none here.
fn in_c(words: &str) -> Result<String> {
    let mut text = String::new();
    for (number, part) in words.split('`').enumerate() {
        if number % 2 == 1 {
            text += &format!("`{}`", name_in_c(part)?);
            continue;
        }
        // What makes a link of a name: its brackets, and a target in parentheses.
        let target = part.strip_prefix("](").and_then(|rest| rest.split_once(')'));
        let part = target.map_or_else(|| part.strip_prefix(']').unwrap_or(part), |(_, rest)| rest);
        text += part.strip_suffix('[').unwrap_or(part);
    }
    Ok(text)
}

fn name_in_c(name: &str) -> Result<String> {
    // `KEYSTEAD_NOT_FOUND` for `NotFound`, and with a group `KEYSTEAD_MODE_REPLACE` for `Replace`.
    let constant = |group: &str, name: &str| {
        let letters = name.chars().flat_map(|letter| {
            letter.is_uppercase().then_some('_').into_iter().chain(letter.to_uppercase())
        });
        format!("KEYSTEAD{group}{}", letters.collect::<String>())
    };
    Ok(match name.split_once("::") {
        Some(("ErrorKind" | "ErrorDetail", one)) => constant("", one),
        Some(("WriteMode", one)) => constant("_MODE", one),
        Some(("NameEquality", one)) => constant("_NAMES", one),
        Some(("Version", "unreadable")) => "KEYSTEAD_VERSION_FLAG_UNREADABLE".to_owned(),
        Some(("Vault", one)) => one.to_owned(),
        Some((request, one)) if request.ends_with("Request") => one.to_owned(),
        None if name == "Locked" => constant("", name),
        None if name == "NameEquality" => "keystead_rules.names".to_owned(),
        None if !name.starts_with(char::is_uppercase) => name.to_owned(),
        _ => return Err(format!("`{name}` has no name in C: say it in xtask").into()),
    })
}
