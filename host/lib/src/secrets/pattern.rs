//! Patterns over names: `*` for any run of characters, `?` for any single character. A name that
//! equals the pattern always matches, so that users can give a name with `*` in it. Characters are
//! compared as the vault compares names.

use super::rules::Rules;

/// A pattern over names.
pub(super) struct Pattern<'r> {
    rules: &'r Rules,
    text: String,
    parts: Vec<char>,
}

/// Returns whether a pattern may match more than the name that equals it.
pub fn has_wildcards(text: &str) -> bool {
    text.contains(['*', '?'])
}

impl<'r> Pattern<'r> {
    pub(super) fn new(text: &str, rules: &'r Rules) -> Self {
        let text = rules.pattern_key(text).into_owned();
        Self { rules, parts: text.chars().collect(), text }
    }

    /// Returns whether a name equals the pattern.
    pub(super) fn is(&self, name: &str) -> bool {
        self.rules.pattern_key(name) == self.text
    }

    /// Returns whether a name matches. Time grows with the product of the lengths, never
    /// faster.
    pub(super) fn matches(&self, name: &str) -> bool {
        let name = self.rules.pattern_key(name);
        if name == self.text {
            return true;
        }
        let name: Vec<char> = name.chars().collect();
        let (mut at, mut in_name) = (0, 0);
        // Where to continue when a `*` has to take another character.
        let mut star: Option<(usize, usize)> = None;
        while in_name < name.len() {
            match self.parts.get(at) {
                Some('*') => {
                    star = Some((at, in_name));
                    at += 1;
                }
                Some(part) if *part == '?' || *part == name[in_name] => {
                    at += 1;
                    in_name += 1;
                }
                _ => match &mut star {
                    Some((star_at, taken)) => {
                        *taken += 1;
                        at = *star_at + 1;
                        in_name = *taken;
                    }
                    None => return false,
                },
            }
        }
        self.parts[at..].iter().all(|part| *part == '*')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use keystead_plugin_api::{NameEquality, UnicodeTables};

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::new(pattern, &Rules::default()).matches(name)
    }

    /// Reference matcher, which is slow but easy to verify.
    fn means(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=name.len()).any(|taken| means(rest, &name[taken..])),
            (['?', rest @ ..], [_, tail @ ..]) => means(rest, tail),
            ([part, rest @ ..], [first, tail @ ..]) => part == first && means(rest, tail),
            _ => false,
        }
    }

    /// Few letters, so that many names match: case pairs, brackets, letters of two and four bytes,
    /// a letter of two characters.
    const TEXTS: &str = "[abAB/\\[\\]\\\\\u{e9}\u{c9}\u{1f511}e\u{301}*?]{0,9}";

    proptest! {
        #[test]
        fn pattern_agrees_with_reference_matcher(
            pattern in TEXTS,
            name in TEXTS,
        ) {
            let chars = |text: &str| text.chars().collect::<Vec<char>>();
            let expected = name == pattern || means(&chars(&pattern), &chars(&name));
            prop_assert_eq!(matches(&pattern, &name), expected);
        }

        #[test]
        fn name_matches_itself_and_its_wildcard_patterns(
            name in "\\PC{1,20}",
            cut in 0_usize..20,
        ) {
            prop_assert!(matches(&name, &name));
            let kept = name.chars().take(cut).chain(['*']).collect::<String>();
            prop_assert!(matches(&kept, &name));
            let hidden: String = name.chars().map(|_| '?').collect();
            prop_assert!(matches(&hidden, &name));
            let longer = format!("{hidden}?");
            prop_assert!(!matches(&longer, &name));
        }
    }

    #[test]
    fn star_and_question_mark_match_expected_names() {
        for (pattern, name, expected) in [
            ("", "", true),
            ("*", "", true),
            ("*", "anything/at all", true),
            ("db/*", "db/password", true),
            ("db/*", "web/password", false),
            ("?", "é", true),
            ("?", "", false),
            ("a*b*c", "a--b--c", true),
            ("a*b*c", "a--c--b", false),
            ("*word", "password", true),
            ("a", "A", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn name_with_wildcard_characters_matches_itself() {
        assert!(matches("a*", "a*"));
        assert!(matches("[x]", "[x]"));
        assert!(!matches("[x]", "x"));
    }

    #[test]
    fn pattern_with_many_stars_finishes() {
        let pattern = "*a".repeat(500);
        assert!(!matches(&pattern, &"a".repeat(499)));
        assert!(!matches(&pattern, &"b".repeat(1_000)));
    }

    #[test]
    fn pattern_follows_name_rule_of_vault() {
        let ours = UnicodeTables::OURS;
        for (names, pattern, name, expected) in [
            (NameEquality::AsciiCase, "tok*", "TOKEN", true),
            (NameEquality::AsciiCase, "\u{e9}*", "\u{c9}a", false),
            (NameEquality::Composed(ours), "caf?", "cafe\u{301}", true),
            (NameEquality::Composed(ours), "tok*", "TOKEN", false),
            (NameEquality::ComposedCase(ours), "*STRA\u{1e9e}E", "Stra\u{df}e", true),
            // Other tables than ours: nearly the same.
            (NameEquality::ComposedCase(UnicodeTables::new(1, 1)), "\u{c9}*", "\u{e9}a", true),
            (NameEquality::Exact, "tok*", "TOKEN", false),
        ] {
            let rules = Rules::of(names);
            let found = Pattern::new(pattern, &rules).matches(name);
            assert_eq!(found, expected, "{names:?} {pattern} {name}");
        }
    }
}
