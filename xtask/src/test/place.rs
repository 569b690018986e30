//! Checks where `unsafe` and `abi_stable` may stand, and that every crate root shuts the rest.
//!
//! It reads words of code, not comments and not strings; macros that make unsafe code are
//! the compiler's to refuse, by the `forbid` and `deny` this demands.

use std::path::Path;

use crate::Result;
use crate::workspace::Workspace;

/// Files and folders that may say `unsafe`.
const UNSAFE: [&str; 10] = [
    "plugin-api/src/abi",
    "host/lib/src/plugin/loader",
    "host/lib/src/plugin/abi_check",
    "host/lib/src/plugin/c_door",
    "host/lib/src/plugin/runner/child",
    "host/lib/src/plugin/runner/sandbox/listener",
    "host/lib/src/plugin/runner/sandbox/walls/attributes",
    "host/lib/src/plugin/evidence",
    "host/lib/src/plugin/exec",
    "host/lib/src/ids",
];

/// Files and folders that may say `abi_stable`: the last writes the boundary's layouts down.
const ABI: [&str; 4] = [
    "plugin-api/src/abi",
    "host/lib/src/plugin/loader",
    "host/lib/src/plugin/abi_check",
    "plugin-api/tests/layout",
];

/// Plugins that misbehave on purpose: their faults need both.
const FAULTY: &str = "tests/plugins/";

/// Returns what is wrong, one line a fault.
pub(super) fn faults(workspace: &Workspace) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for file in workspace.files("rs")? {
        let path = file.to_string_lossy().into_owned();
        if path.starts_with(FAULTY) {
            continue;
        }
        let code = code(&fs_err::read_to_string(workspace.root().join(&file))?);
        for (word, places) in [("unsafe", UNSAFE.as_slice()), ("abi_stable", ABI.as_slice())] {
            if is_place(&path, places) {
                continue;
            }
            for (index, line) in code.lines().enumerate() {
                if has_word(line, word) {
                    faults.push(format!(
                        "{path}:{}: `{word}` may stand only in {}",
                        index + 1,
                        places.join(", ")
                    ));
                }
            }
        }
        if is_root(&file) && !shuts_unsafe(&path, &code) {
            faults.push(format!("{path}: a crate root must say `#![forbid(unsafe_code)]`"));
        }
    }
    Ok(faults)
}

/// Says whether a path is one of the places, or lies in a folder of that name.
fn is_place(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| {
        path.strip_prefix(place)
            .is_some_and(|rest| rest == ".rs" || rest.starts_with('/') || rest.starts_with('_'))
    })
}

/// Says whether a file is the root of a library, a program or the tests.
fn is_root(file: &Path) -> bool {
    file.ends_with("src/lib.rs") || file.ends_with("src/main.rs")
}

/// Says whether a crate root forbids unsafe code, or denies it where some of its files need it.
fn shuts_unsafe(path: &str, code: &str) -> bool {
    let needs_some = path == "host/lib/src/lib.rs" || path == "plugin-api/src/lib.rs";
    code.contains("#![forbid(unsafe_code)]")
        || (needs_some && code.contains("#![deny(unsafe_code)]"))
}

/// Says whether a line has a word that is not part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(part)
            && !line[at + word.len()..].chars().next().is_some_and(part)
    })
}

/// Returns Rust source with comments and literals taken out and every line kept in its place.
fn code(source: &str) -> String {
    let mut kept = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => 1 + string(&rest[1..]),
            'r' if !kept.ends_with(|c: char| c.is_alphanumeric() || c == '_') => raw_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if skipped == 0 {
            kept.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            kept.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
            rest = &rest[skipped..];
        }
    }
    kept
}

/// Returns the length of the block comment at the start, with those nested in it.
fn block_comment(text: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// Returns the length of a string literal behind its opening quote.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Returns the length of the raw string at the start, or 0 where there is none.
fn raw_string(text: &str) -> usize {
    let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
    if text.as_bytes().get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let from = 2 + hashes;
    text[from..].find(&end).map_or(text.len(), |at| from + at + end.len())
}

/// Returns the length of the character literal at the start, or 0 for a lifetime.
fn character(text: &str) -> usize {
    let inner = &text[1..];
    if inner.starts_with('\\') {
        // An escaped quote or backslash is the second character: the closing quote comes later.
        return inner.get(2..).and_then(|rest| rest.find('\'')).map_or(0, |at| at + 4);
    }
    let Some(first) = inner.chars().next() else { return 0 };
    if inner[first.len_utf8()..].starts_with('\'') { first.len_utf8() + 2 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_unsafe_in_code_only() {
        let source = "// unsafe\n/* unsafe /* unsafe */ unsafe */\nlet a = \"unsafe \\\" unsafe\";\nlet b = r#\"unsafe \" unsafe\"#;\n\
                      let c = ('\"', '\\'', '\\\\', 'x'); fn d<'unsafe_>() {}\n#![deny(unsafe_code)]\nlet e = unsafe { f() };\n";
        let lines: Vec<usize> = code(source)
            .lines()
            .enumerate()
            .filter(|(_, line)| has_word(line, "unsafe"))
            .map(|(index, _)| index + 1)
            .collect();
        assert_eq!(lines, [7]);
    }

    #[test]
    fn a_place_is_the_file_and_the_folder_of_that_name_only() {
        assert!(is_place("plugin-api/src/abi.rs", &UNSAFE));
        assert!(is_place("plugin-api/src/abi/value.rs", &UNSAFE));
        assert!(!is_place("plugin-api/src/abide.rs", &UNSAFE));
        assert!(!is_place("host/lib/src/plugin/runner/proto.rs", &UNSAFE));
    }
}
