//! Escapes foreign text for a terminal and for a single line of it.

use keystead::internals::escape::message;

/// Maximum number of characters of a foreign line: a plugin's message and Keystead's text.
const MOST: usize = keystead_plugin_api::MAX_MESSAGE_BYTES + 1_024;

/// Returns a message as a single line, with escapes for characters that a terminal obeys or hides.
/// Line breaks and tabs become spaces.
pub(crate) fn visible(text: &str) -> String {
    message(text, MOST)
}

/// Returns whether a terminal does anything else with the text than show it. Line breaks and tabs
/// are shown.
pub(crate) fn is_obeyed(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t') || is_bidi(c))
}

/// Returns whether a character changes the direction of writing.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2066}'..='\u{2069}')
}

/// Returns the number of columns of the text, near enough for a table. Wide characters of East Asia
/// take two, marks that join the character before take none.
pub(crate) fn width(text: &str) -> usize {
    let one = |c: char| match c {
        '\u{300}'..='\u{36f}' | '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' => 2,
        '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' => 2,
        '\u{1f300}'..='\u{1f64f}' | '\u{1f900}'..='\u{1f9ff}' | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    };
    text.chars().map(one).sum()
}

/// Returns the text if it takes at most `columns` columns, else its beginning with `...`.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(3);
    let mut cut = String::new();
    for c in text.chars() {
        match left.checked_sub(width(c.encode_utf8(&mut [0; 4]))) {
            Some(rest) => left = rest,
            None => break,
        }
        cut.push(c);
    }
    cut + "..."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_in_message_are_escaped() {
        assert_eq!(visible("a\x1b[31mb\u{9b}c"), "a\\u{1b}[31mb\\u{9b}c");
        assert_eq!(visible("one\r\ntwo\tthree"), "one  two three");
        assert_eq!(visible("grün 鍵"), "grün 鍵");
        assert_eq!(visible(&"x".repeat(10_000)).len(), MOST + "...".len());
    }

    #[test]
    fn escapes_and_bidi_marks_are_unsafe_newlines_are_not() {
        assert!(!is_obeyed("-----BEGIN\nkey\t=\n"));
        assert!(is_obeyed("\x1b]52;c;cm0gLXJm\x07"));
        assert!(is_obeyed("\u{202e}"));
    }

    #[test]
    fn wide_text_is_truncated_between_characters() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abc...");
        assert_eq!(cut("鍵鍵鍵鍵", 6), "鍵...");
        assert_eq!(cut("abcdefg", 0), "...");
    }

    #[test]
    fn text_width_counts_columns() {
        assert_eq!(width("grün"), 4);
        assert_eq!(width("鍵"), 2);
    }
}
