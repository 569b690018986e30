//! `cargo xtask obligations`: docs/reference/obligations.md, the obligations of a vault in the words of C, made
//! from the one list of them: the bullets on the traits `Plugin` and `Vault`.

use std::fmt::Write as _;
use std::process::ExitCode;

use crate::Result;
use crate::part::Part;
use crate::workspace::Workspace;

/// What is made.
const PART: Part = Part {
    page: "docs/reference/obligations.md",
    begin: "<!-- obligations: begin, written by `cargo xtask obligations --write` -->\n",
    end: "<!-- obligations: end -->\n",
};

/// Where the list is.
const SOURCES: [&str; 2] = ["plugin-api/src/plugin.rs", "plugin-api/src/vault.rs"];

/// Compares the page with the list, or writes it.
pub(crate) fn run(words: &[String]) -> Result<ExitCode> {
    PART.run("obligations", made, words)
}

/// Returns what is wrong with the page, one line a fault.
pub(crate) fn faults(workspace: &Workspace) -> Result<Vec<String>> {
    PART.faults("obligations", made, workspace)
}

fn made(workspace: &Workspace) -> Result<String> {
    let mut text = String::new();
    for source in SOURCES {
        let source = fs_err::read_to_string(workspace.root().join(source))?;
        for call in calls(&source) {
            let _ = match &*call.function {
                "" => writeln!(text, "\n### Every call\n"),
                function => writeln!(text, "\n### `{function}`\n"),
            };
            for (name, words) in &call.obligations {
                let _ = writeln!(text, "- **{name}**: {}", in_c(words)?);
            }
        }
    }
    Ok(text.trim_start().to_owned())
}

/// The obligations of one function of the table; of all of them where it has no name.
#[derive(Debug, Default, PartialEq, Eq)]
struct Call {
    function: String,
    obligations: Vec<(String, String)>,
}

/// Returns the bullets of a source, by the function below them.
fn calls(source: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut call = Call::default();
    // Whether the line before is of a bullet.
    let mut within = false;
    for line in source.lines() {
        let line = line.trim_start();
        let Some(doc) = line.strip_prefix("///") else {
            within = false;
            let function = line.strip_prefix("fn ").and_then(|rest| rest.split('(').next());
            let is_trait = line.starts_with("pub trait ");
            if is_trait || function.is_some() {
                let mut whole = std::mem::take(&mut call);
                whole.function = function.unwrap_or_default().to_owned();
                if !whole.obligations.is_empty() {
                    calls.push(whole);
                }
            }
            continue;
        };
        let doc = doc.strip_prefix(' ').unwrap_or(doc);
        if let Some((name, words)) = doc.strip_prefix("- **").and_then(|doc| doc.split_once("**: "))
        {
            call.obligations.push((name.to_owned(), words.to_owned()));
            within = true;
        } else if let (true, Some(more)) = (within, doc.strip_prefix("  ")) {
            if let Some((_, words)) = call.obligations.last_mut() {
                words.push(' ');
                words.push_str(more.trim_start());
            }
        } else {
            within = false;
        }
    }
    calls
}

/// Returns a sentence of the list with the names that C has for what it names in Rust.
///
/// # Errors
/// For a name of Rust that has none here.
fn in_c(words: &str) -> Result<String> {
    let mut text = String::with_capacity(words.len());
    let mut rest = words;
    while let Some((before, after)) = rest.split_once('`') {
        let Some((name, after)) = after.split_once('`') else {
            return Err(format!("a backtick is open in `{words}`").into());
        };
        let linked = before.ends_with('[') && after.starts_with(']');
        text.push_str(if linked { &before[..before.len() - 1] } else { before });
        let named = match name.split_once("::") {
            Some(("ErrorKind" | "ErrorDetail", one)) => constant("", one),
            Some(("WriteMode", one)) => constant("_MODE", one),
            Some(("NameEquality", one)) => constant("_NAMES", one),
            Some(("Version", "unreadable")) => "KEYSTEAD_VERSION_FLAG_UNREADABLE".to_owned(),
            Some((
                "Vault" | "GetRequest" | "SetRequest" | "RemoveRequest" | "SetMetadataRequest",
                one,
            )) => one.to_owned(),
            None if name == "Locked" => constant("", name),
            None if name == "NameEquality" => "keystead_rules.names".to_owned(),
            None if !name.starts_with(char::is_uppercase) => name.to_owned(),
            _ => return Err(format!("`{name}` has no name in C: say it in xtask").into()),
        };
        let _ = write!(text, "`{named}`");
        rest = if linked { after_link(&after[1..]) } else { after };
    }
    text.push_str(rest);
    Ok(text)
}

/// Returns what follows a link's text: its target in parentheses, if there is one, is skipped.
fn after_link(rest: &str) -> &str {
    match rest.strip_prefix('(').and_then(|target| target.split_once(')')) {
        Some((_, rest)) => rest,
        None => rest,
    }
}

/// Returns `KEYSTEAD_NOT_FOUND` for `NotFound`, and with a group `KEYSTEAD_MODE_REPLACE` for `Replace`.
fn constant(group: &str, name: &str) -> String {
    let mut constant = format!("KEYSTEAD{group}");
    for letter in name.chars() {
        if letter.is_uppercase() {
            constant.push('_');
        }
        constant.extend(letter.to_uppercase());
    }
    constant
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bullets_belong_to_the_function_below_them() {
        let source = "/// Of all:\n///\n/// - **one**: it is\n///   so.\n/// Other.\npub trait Vault {\n    \
                      /// Gets.\n    ///\n    /// - **two**: `x`.\n    fn get(&mut self) {}\n    fn none() {}\n}\n";
        let of = |function: &str, name: &str, words: &str| Call {
            function: function.into(),
            obligations: vec![(name.into(), words.into())],
        };
        assert_eq!(calls(source), [of("", "one", "it is so."), of("get", "two", "`x`.")]);
    }

    #[test]
    fn names_of_rust_become_names_of_c_and_others_are_refused() {
        let words = "with [`WriteMode::CreateOnly`] it is [`ErrorKind::AlreadyExists`], as after \
                     [`Vault::set`], or `Locked`; keep no `static`";
        assert_eq!(
            in_c(words).unwrap(),
            "with `KEYSTEAD_MODE_CREATE_ONLY` it is `KEYSTEAD_ALREADY_EXISTS`, as after `set`, or \
             `KEYSTEAD_LOCKED`; keep no `static`"
        );
        assert!(in_c("a [`SecretName`]").is_err());
        assert!(in_c("a [`Metadata::new`]").is_err());
    }
}
