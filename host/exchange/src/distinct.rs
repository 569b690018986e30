//! Names of imported secrets: turns foreign titles into valid names, each only once. The same file
//! always gives the same names.

use std::collections::{HashMap, HashSet};

use keystead_plugin_api::SecretName;

/// Name of an entry without a title.
const UNTITLED: &str = "untitled";

/// Names in use.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    taken: HashSet<String>,
    /// Next number by name, so that a million equal names take a million steps.
    next: HashMap<String, u64>,
}

impl Distinct {
    /// Returns the name if it is free, else the first free name of `NAME (2)`, `NAME (3)`, ...
    /// Names that differ only by case count as equal: some vaults cannot keep both.
    pub(super) fn take(&mut self, wanted: &str) -> String {
        let folded = wanted.to_lowercase();
        if self.taken.insert(folded.clone()) {
            return wanted.to_owned();
        }
        let next = self.next.entry(folded).or_insert(2);
        loop {
            let name = format!("{wanted} ({next})");
            *next += 1;
            if self.taken.insert(name.to_lowercase()) {
                return name;
            }
        }
    }

    /// Returns the name for a secret with these parts, joined by `/`.
    ///
    /// # Errors
    /// The name is too long.
    pub(super) fn name(&mut self, parts: &[&str]) -> Result<SecretName, String> {
        let (folders, title) = parts.split_at(parts.len().saturating_sub(1));
        let mut name = String::new();
        for folder in folders {
            let folder = clean(folder);
            if !folder.is_empty() {
                name.push_str(&folder);
                name.push('/');
            }
        }
        match title.first().map(|title| clean(title)) {
            Some(title) if !title.is_empty() => name.push_str(&title),
            _ => name.push_str(UNTITLED),
        }
        // Checked before it is taken: an invalid name takes no number.
        SecretName::parse(&name).map_err(|refused| refused.message().to_owned())?;
        let name = self.take(&name);
        SecretName::parse(&name).map_err(|refused| refused.message().to_owned())
    }
}

/// Returns a foreign title as a single line: each control character becomes a space, and both ends
/// are trimmed.
pub(super) fn clean(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.trim().to_owned()
}

/// Returns a title for display beside a position, short enough for a line.
pub(super) fn title(text: &str) -> Option<String> {
    let text = clean(text);
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    (!shown.is_empty()).then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_name_gets_unique_number() {
        let mut names = Distinct::default();
        let given: Vec<_> = ["a", "b", "A", "a", "a (2)", "a (4)", "a"]
            .iter()
            .map(|name| names.take(name))
            .collect();
        assert_eq!(given, ["a", "b", "A (2)", "a (3)", "a (2) (2)", "a (4)", "a (5)"]);
    }

    #[test]
    fn title_becomes_single_line_secret_name() {
        let mut names = Distinct::default();
        let mut name = |parts: &[&str]| names.name(parts).unwrap().as_str().to_owned();
        assert_eq!(name(&["Work/Web", " two\nlines\u{7} "]), "Work/Web/two lines");
        assert_eq!(name(&["", "x"]), "x");
        assert_eq!(name(&["\t", ""]), "untitled");
        assert_eq!(name(&[""]), "untitled (2)");
        assert_eq!(name(&[]), "untitled (3)");
        let long = "x".repeat(1_024);
        assert_eq!(name(&[&long]), long);
        // The number does not fit any more.
        assert!(names.name(&[&long]).unwrap_err().starts_with("a secret's name has 1028 bytes"));
        assert!(
            names.name(&["y", &long]).unwrap_err().starts_with("a secret's name has 1026 bytes")
        );
    }

    #[test]
    fn name_repeated_many_times_gets_next_number() {
        let mut names = Distinct::default();
        for _ in 0..100_000 {
            names.take("a");
        }
        assert_eq!(names.take("a"), "a (100001)");
    }
}
