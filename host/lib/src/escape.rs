//! Escapes foreign text for a terminal: control characters, marks that change the direction of
//! writing, and invisible characters become text such as `\u{9b}`. No character is dropped.
//!
//! A backslash stays unchanged, since the result is for reading only. JSON is for text that a
//! program reads back, and escapes the same characters differently ([`crate::json::escaped`]).

use std::borrow::Cow;

/// Returns whether a character has another effect on a terminal than its display. These are control
/// characters (C0, DEL, C1), marks of the direction of writing, Unicode line breaks, and invisible
/// characters. Variation selectors, which belong to the character before them, are not escaped.
pub fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}')
        || matches!(c, '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}')
        || matches!(c, '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}')
        || matches!(c, '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}')
        || matches!(c, '\u{e0000}'..='\u{e0fff}')
}

/// Returns output, or a part of it, for a terminal: exactly one line, nothing harmful.
pub fn for_terminal(text: &str) -> Cow<'_, str> {
    escaped(text, is_harmful)
}

/// Returns output, or a part of it, for a program that reads lines. Only control characters,
/// which no secret's name contains, are escaped.
pub fn for_program(text: &str) -> Cow<'_, str> {
    escaped(text, char::is_control)
}

/// Returns a message as one line for users. Line breaks and tabs become spaces, and text beyond
/// this many characters is cut off.
pub fn message(text: &str, most: usize) -> String {
    let mut line = String::with_capacity(text.len().min(most));
    for (at, c) in text.chars().enumerate() {
        match c {
            _ if at == most => {
                line.push_str("...");
                break;
            }
            '\n' | '\r' | '\t' => line.push(' '),
            c if is_harmful(c) => push(&mut line, c),
            c => line.push(c),
        }
    }
    line
}

fn escaped(text: &str, is_escaped: fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_escaped(c) {
            true => push(&mut out, c),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Appends a character as Rust writes it: `\n`, `\t`, `\r`, `\u{1b}`.
fn push(out: &mut String, c: char) {
    match c {
        '\n' | '\t' | '\r' => out.extend(c.escape_default()),
        c => out.extend(c.escape_unicode()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks every character of each kind, with ranges from the Unicode tables.
    #[test]
    fn only_control_and_invisible_characters_are_escaped() {
        let kinds = [
            0..=0x1f,
            0x7f..=0x9f,
            0x61c..=0x61c,
            0x200b..=0x200f,
            0x2028..=0x202e,
            0x2060..=0x206f,
            0xfeff..=0xfeff,
            0xfff9..=0xfffb,
            0xe0000..=0xe007f,
            0xe0100..=0xe01ef,
        ];
        for number in kinds.into_iter().flatten() {
            let c = char::from_u32(number).unwrap();
            assert!(is_harmful(c), "{number:x}");
            let shown = for_terminal(c.encode_utf8(&mut [0; 4])).into_owned();
            assert!(shown.is_ascii() && shown.starts_with('\\'), "{number:x}: {shown}");
        }
        for text in ["grün 鍵 ключ مفتاح מפתח กุญแจ", "❤\u{fe0f} 🔑", "a\\b", "e\u{301}", " "]
        {
            assert_eq!(for_terminal(text), text);
            assert_eq!(message(text, 100), text);
        }
    }

    #[test]
    fn escaped_text_is_single_line_within_limit() {
        assert_eq!(for_terminal("a\x1b[31mb\u{9b}c\x7f"), "a\\u{1b}[31mb\\u{9b}c\\u{7f}");
        assert_eq!(for_terminal("one\r\ntwo\t\u{85}"), "one\\r\\ntwo\\t\\u{85}");
        assert_eq!(for_terminal("\u{202e}gnp.exe\u{2069}"), "\\u{202e}gnp.exe\\u{2069}");
        assert_eq!(for_program("\u{202e}a\u{200d}b\n\u{9b}"), "\u{202e}a\u{200d}b\\n\\u{9b}");
        assert_eq!(message("one\r\ntwo\tthree\u{1b}", 100), "one  two three\\u{1b}");
        assert_eq!(message("abcdef", 5), "abcde...");
        assert_eq!(message("abcde", 5), "abcde");
    }
}
