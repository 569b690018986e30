//! Compares docs/reference/errors.md with the sources: every code is there, none is there that no source
//! has, and each example reads as its error would print it.

use std::collections::{BTreeMap, BTreeSet};

use crate::Result;
use crate::workspace::Workspace;

/// The list of all errors.
const DOCUMENT: &str = "docs/reference/errors.md";

/// Where errors get their codes.
const SOURCES: &str = "host";

/// What stands in a template where an error puts in its own words.
const HOLE: char = '\0';

/// Codes with the templates of the messages they are printed with.
type Codes = BTreeMap<String, BTreeSet<String>>;

/// Returns what is wrong, one line a fault.
pub(super) fn faults(workspace: &Workspace) -> Result<Vec<String>> {
    let mut codes = Codes::new();
    for file in workspace.files("rs")? {
        let is_test = file.ends_with("tests.rs") || file.iter().any(|part| part == "tests");
        if file.starts_with(SOURCES) && !is_test {
            read(&fs_err::read_to_string(workspace.root().join(&file))?, &mut codes);
        }
    }
    let document = fs_err::read_to_string(workspace.root().join(DOCUMENT))?;
    Ok(compare(&codes, &document))
}

fn compare(codes: &Codes, document: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for (line, code, example) in entries(document) {
        let place = format!("{DOCUMENT}:{line}");
        let Some(templates) = codes.get(code) else {
            faults.push(format!("{place}: no source has `{code}`"));
            continue;
        };
        if !seen.insert(code) {
            faults.push(format!("{place}: `{code}` is there twice"));
        }
        // A code that is chosen elsewhere than beside its variants has no template to compare.
        if !templates.is_empty() && !templates.iter().any(|template| fits(template, &example)) {
            let templates: Vec<_> = templates.iter().map(|text| text.replace(HOLE, "{}")).collect();
            faults.push(format!(
                "{place}: `{code}` does not print `{example}`, but: {}",
                templates.join(" | ")
            ));
        }
    }
    let shapeless = codes.keys().filter(|code| !is_well_formed(code));
    faults.extend(shapeless.map(|code| format!("{SOURCES}: `{code}` has no code's form")));
    let missing = codes.keys().filter(|code| !seen.contains(code.as_str()));
    faults.extend(missing.map(|code| format!("{DOCUMENT}: `{code}` is missing")));
    faults
}

/// Returns each code that has a heading, with its line and the quotation below it.
fn entries(document: &str) -> Vec<(usize, &str, String)> {
    let mut entries: Vec<(usize, &str, String)> = Vec::new();
    for (index, line) in document.lines().enumerate() {
        if let Some(code) = line.strip_prefix("### `").and_then(|rest| rest.strip_suffix('`')) {
            entries.push((index + 1, code, String::new()));
        } else if let (Some(quoted), Some((_, _, example))) =
            (line.strip_prefix("> "), entries.last_mut())
        {
            if !example.is_empty() {
                example.push(' ');
            }
            example.push_str(quoted);
        }
    }
    entries
}

/// Adds the codes of one source file, with the templates of the variants that have them.
fn read(source: &str, codes: &mut Codes) {
    let source = source.split("mod tests {").next().unwrap_or_default();
    let templates = templates(source);
    let mut variants = BTreeSet::new();
    for line in source.lines() {
        let line = line.trim();
        variants
            .extend(line.match_indices("Self::").map(|(at, mark)| word(&line[at + mark.len()..])));
        if let Some(code) = code_in(line) {
            let known = codes.entry(code.to_owned()).or_default();
            known.extend(variants.iter().filter_map(|variant| templates.get(variant).cloned()));
        }
        // An arm may be several lines long, but its patterns stand in neighbouring ones.
        if !line.starts_with("Self::") && !line.starts_with("| Self::") || line.contains("=>") {
            variants.clear();
        }
    }
}

/// Returns the message of each variant, with a hole for each thing put in.
fn templates(source: &str) -> BTreeMap<&str, String> {
    let mut templates = BTreeMap::new();
    for (at, mark) in source.match_indices("#[error(") {
        let rest = source[at + mark.len()..].trim_start();
        let Some(rest) = rest.strip_prefix('"') else { continue };
        let (template, rest) = literal(rest);
        // Behind the attribute: the first line that begins with a name.
        let variant = rest.lines().skip(1).map(str::trim).find(|line| {
            line.starts_with(|c: char| c.is_ascii_uppercase()) && !line.starts_with("Layer::")
        });
        if let Some(variant) = variant {
            templates.insert(word(variant), template);
        }
    }
    templates
}

/// Returns what a literal stands for, and what follows its closing quote.
fn literal(text: &str) -> (String, &str) {
    let mut out = String::new();
    let mut rest = text.char_indices();
    while let Some((at, c)) = rest.next() {
        match c {
            '"' => return (out, &text[at + 1..]),
            '\\' => match rest.next() {
                Some((_, '\n')) => {
                    let after = rest.as_str().trim_start();
                    let skipped = rest.as_str().len() - after.len();
                    rest.nth(skipped.saturating_sub(1)).filter(|_| skipped > 0);
                }
                Some((_, 'n')) => out.push('\n'),
                Some((_, other)) => out.push(other),
                None => {}
            },
            '{' if rest.as_str().starts_with('{') => {
                rest.next();
                out.push('{');
            }
            '}' if rest.as_str().starts_with('}') => {
                rest.next();
                out.push('}');
            }
            '{' => {
                rest.by_ref().find(|(_, c)| *c == '}');
                out.push(HOLE);
            }
            other => out.push(other),
        }
    }
    (out, "")
}

/// Says whether a text is the template with something in each of its holes.
fn fits(template: &str, text: &str) -> bool {
    let mut parts = template.split(HOLE);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Returns the code that a line of source names.
fn code_in(line: &str) -> Option<&str> {
    line.split('"').skip(1).step_by(2).find(|text| is_code(text))
}

/// Says whether a text is meant as a code: `E`, two digits, a dot, and something.
fn is_code(text: &str) -> bool {
    matches!(text.as_bytes(), [b'E', b'0'..=b'9', b'0'..=b'9', b'.', _, ..])
}

/// Says whether a code is of a family that there is, and its word of letters and dashes.
fn is_well_formed(code: &str) -> bool {
    let (family, slug) = code.split_once('.').unwrap_or_default();
    ("E01"..="E14").contains(&family)
        && slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

/// Returns the name that a text begins with.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"
        /// There is none.
        #[error("no `{name}` in {{}} {}", vaults(.searched))]
        NoSuch { name: String },
        /// Cut.
        #[error(
            "the file \
             is cut off", path = path.display()
        )]
        Cut,
        fn code() { match self {
            Self::NoSuch { .. } => "E12.no-such",
            Self::Cut => "E05.cut",
            Kind::TimedOut => "E12.late",
        } }
        mod tests { "E09.only-in-a-test" }
    "#;

    fn codes() -> Codes {
        let mut codes = Codes::new();
        read(SOURCE, &mut codes);
        codes
    }

    #[test]
    fn a_code_has_the_message_of_its_variant() {
        let found = codes();
        let texts: Vec<_> = found.iter().map(|(code, all)| (code.as_str(), all.len())).collect();
        assert_eq!(texts, [("E05.cut", 1), ("E12.late", 0), ("E12.no-such", 1)]);
        assert!(found["E05.cut"].contains("the file is cut off"));
        assert!(found["E12.no-such"].contains("no `\0` in {} \0"));
    }

    #[test]
    fn what_is_missing_unknown_or_printed_otherwise_is_a_fault() {
        let right = "### `E12.no-such`\n\n> no `a` in {} vault\n> `b`\n\n### `E05.cut`\n\n> the file is cut off\n\n### `E12.late`\n\n> any\n";
        assert!(compare(&codes(), right).is_empty());
        let fault = |from: &str, to: &str| compare(&codes(), &right.replace(from, to));
        assert_eq!(fault("### `E05.cut`", "### `E05.cat`").len(), 2);
        assert_eq!(fault("the file is", "the file was").len(), 1);
        assert_eq!(fault("no `a`", "no a").len(), 1);
        assert_eq!(fault("### `E12.late`", "### `E05.cut`").len(), 2 + 1);
        let mut odd = codes();
        read("Self::A => \"E05.cut_off\"", &mut odd);
        assert_eq!(compare(&odd, &right.replace("E05.cut", "E05.cut_off")).len(), 2);
    }
}
