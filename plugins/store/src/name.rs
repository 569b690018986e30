//! When two names are one: NFC, simple case folding character by character, and NFC again.
//! A vault registered as case-sensitive leaves out the folding, and still composes.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// The tables' version of Unicode, kept in a vault's header: of the folding, then of the
/// composition. Both never change for a character that they know.
pub(crate) const TABLES: [u8; 2] =
    [unicode_case_mapping::UNICODE_VERSION.0 as u8, unicode_normalization::UNICODE_VERSION.0];

/// Whether names that differ by case are one secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// They are one.
    Folded,
    /// They are two.
    Sensitive,
}

/// Returns what names have in common that mean the same secret.
pub(crate) fn folded(name: &str, case: Case) -> Cow<'_, str> {
    if name.is_ascii() {
        return match case {
            Case::Folded if name.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                Cow::Owned(name.to_ascii_lowercase())
            }
            _ => Cow::Borrowed(name),
        };
    }
    match case {
        Case::Sensitive => Cow::Owned(name.nfc().collect()),
        Case::Folded => Cow::Owned(name.nfc().map(fold).nfc().collect()),
    }
}

/// Returns the character that stands for this one whatever its case.
fn fold(c: char) -> char {
    unicode_case_mapping::case_folded(c).and_then(|code| char::from_u32(code.get())).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn one(a: &str, b: &str) {
        assert_eq!(folded(a, Case::Folded), folded(b, Case::Folded), "{a} and {b} are one");
        if a.nfc().ne(b.nfc()) {
            two_by_case(a, b);
        }
    }

    #[track_caller]
    fn two(a: &str, b: &str) {
        assert_ne!(folded(a, Case::Folded), folded(b, Case::Folded), "{a} and {b} are two");
    }

    #[track_caller]
    fn two_by_case(a: &str, b: &str) {
        assert_ne!(folded(a, Case::Sensitive), folded(b, Case::Sensitive), "{a} and {b}");
    }

    #[test]
    fn case_makes_no_difference_in_any_script() {
        one("Token", "tOKEN");
        one("ÄÖÜ", "äöü");
        one("ΣΊΣΥΦΟΣ", "σίσυφος");
        one("ς", "σ");
        one("ЖУК", "жук");
        one("Ǆ", "ǅ");
        two_by_case("Token", "token");
    }

    #[test]
    fn the_sharp_s_is_itself_and_folds_with_its_capital() {
        one("straße", "STRAẞE");
        two("straße", "strasse");
        two("STRASSE", "straße");
    }

    #[test]
    fn the_turkish_i_is_neither_i() {
        two("İ", "i");
        two("İ", "I");
        two("ı", "i");
        two("ı", "I");
        one("I", "i");
        // With a combining dot it is composed, and so the Turkish capital.
        one("I\u{307}", "İ");
    }

    #[test]
    fn the_long_s_and_the_kelvin_sign_are_letters() {
        one("ſecret", "Secret");
        one("\u{212a}ey", "key");
        one("\u{212b}", "å");
    }

    #[test]
    fn combining_forms_are_composed() {
        one("e\u{301}", "é");
        one("E\u{301}", "é");
        assert_eq!(folded("e\u{301}", Case::Sensitive), folded("é", Case::Sensitive));
        // The marks' order does not matter where it cannot be seen.
        one("q\u{307}\u{323}", "q\u{323}\u{307}");
        // Compatibility forms are other characters.
        two("ﬁ", "fi");
        two("①", "1");
    }

    #[test]
    fn a_wide_letter_has_a_case_of_its_own() {
        one("Ａ", "ａ");
        two("Ａ", "A");
    }

    /// Newer tables look for a name elsewhere that has a character which they added: before they
    /// are used, characters that a vault's own tables did not have have to be left alone
    /// (docs/store-format.md).
    #[test]
    fn newer_tables_are_not_taken_by_accident() {
        assert_eq!(TABLES, [16, 18]);
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(name in "\\PC{0,40}") {
            for case in [Case::Folded, Case::Sensitive] {
                let once = folded(&name, case).into_owned();
                prop_assert_eq!(folded(&once, case), once.clone());
            }
        }
    }
}
