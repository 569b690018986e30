//! What names have in common that are one secret.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use super::{NameEquality, UnicodeTables};

impl UnicodeTables {
    /// The tables that this crate has with the feature `unicode`.
    pub const OURS: Self = Self::new(
        unicode_case_mapping::UNICODE_VERSION.0 as u8,
        unicode_normalization::UNICODE_VERSION.0,
    );
}

impl NameEquality {
    /// Returns what names have in common that are one secret; `None` where that cannot be said: the
    /// rule is unknown, or the name has characters and the rule goes by other tables than ours.
    pub fn key(self, name: &str) -> Option<Cow<'_, str>> {
        let is_known = |tables| name.is_ascii() || tables == UnicodeTables::OURS;
        match self {
            Self::Unknown => None,
            Self::Exact => Some(Cow::Borrowed(name)),
            Self::AsciiCase => Some(lower(name)),
            Self::Composed(tables) if is_known(tables) => Some(match name.is_ascii() {
                true => Cow::Borrowed(name),
                false => Cow::Owned(name.nfc().collect()),
            }),
            Self::ComposedCase(tables) if is_known(tables) => Some(match name.is_ascii() {
                true => lower(name),
                false => Cow::Owned(name.nfc().map(fold).nfc().collect()),
            }),
            _ => None,
        }
    }
}

fn lower(name: &str) -> Cow<'_, str> {
    match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    }
}

/// Returns the character that stands for this one whatever its case.
fn fold(c: char) -> char {
    unicode_case_mapping::case_folded(c).and_then(|code| char::from_u32(code.get())).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(name: &str) -> String {
        NameEquality::ComposedCase(UnicodeTables::OURS).key(name).unwrap().into_owned()
    }

    fn composed(name: &str) -> String {
        NameEquality::Composed(UnicodeTables::OURS).key(name).unwrap().into_owned()
    }

    #[track_caller]
    fn one(a: &str, b: &str) {
        assert_eq!(folded(a), folded(b), "{a} and {b} are one");
        if a.nfc().ne(b.nfc()) {
            two_by_case(a, b);
        }
    }

    #[track_caller]
    fn two(a: &str, b: &str) {
        assert_ne!(folded(a), folded(b), "{a} and {b} are two");
    }

    #[track_caller]
    fn two_by_case(a: &str, b: &str) {
        assert_ne!(composed(a), composed(b), "{a} and {b}");
    }

    #[test]
    fn folding_ignores_case_in_every_script() {
        one("Token", "tOKEN");
        one("ÄÖÜ", "äöü");
        one("ΣΊΣΥΦΟΣ", "σίσυφος");
        one("ς", "σ");
        one("ЖУК", "жук");
        one("Ǆ", "ǅ");
        two_by_case("Token", "token");
    }

    #[test]
    fn sharp_s_folds_with_its_capital_but_not_ss() {
        one("straße", "STRAẞE");
        two("straße", "strasse");
        two("STRASSE", "straße");
    }

    #[test]
    fn turkish_i_differs_from_latin_i() {
        two("İ", "i");
        two("İ", "I");
        two("ı", "i");
        two("ı", "I");
        one("I", "i");
        // With a combining dot it is composed, and so the Turkish capital.
        one("I\u{307}", "İ");
    }

    #[test]
    fn long_s_and_kelvin_sign_fold_to_letters() {
        one("ſecret", "Secret");
        one("\u{212a}ey", "key");
        one("\u{212b}", "å");
    }

    #[test]
    fn combining_forms_are_composed() {
        one("e\u{301}", "é");
        one("E\u{301}", "é");
        assert_eq!(composed("e\u{301}"), composed("é"));
        // The marks' order does not matter where it cannot be seen.
        one("q\u{307}\u{323}", "q\u{323}\u{307}");
        // Compatibility forms are other characters.
        two("ﬁ", "fi");
        two("①", "1");
    }

    #[test]
    fn fullwidth_letter_folds_only_with_fullwidth() {
        one("Ａ", "ａ");
        two("Ａ", "A");
    }

    /// A vault's file says which tables its names were folded by (docs/reference/store-format.md): newer ones
    /// look elsewhere for a name that has a character which they added.
    #[test]
    fn unicode_table_versions_match_store_format() {
        assert_eq!(UnicodeTables::OURS, UnicodeTables::new(16, 18));
    }

    #[test]
    fn name_outside_common_unicode_tables_has_no_key() {
        let other = UnicodeTables::new(15, 18);
        for rule in [NameEquality::Composed(other), NameEquality::ComposedCase(other)] {
            assert_eq!(rule.key("é"), None);
            assert!(rule.key("Token").is_some());
        }
        assert_eq!(NameEquality::Unknown.key("token"), None);
        assert_eq!(NameEquality::Exact.key("É").unwrap(), "É");
        assert_eq!(NameEquality::AsciiCase.key("ÉA").unwrap(), "Éa");
    }

    #[test]
    fn folding_is_idempotent() {
        for name in ["Token", "ΣΊΣΥΦΟΣ", "e\u{301}İ", "ſ\u{212a}ẞ", "日本語😀", "q\u{307}\u{323}"]
        {
            assert_eq!(folded(&folded(name)), folded(name));
            assert_eq!(composed(&composed(name)), composed(name));
        }
    }
}
