//! Bash's half-typed line: its words, and the part that readline replaces to complete a word.
//! Readline knows nothing of the names, so this module quotes them.

/// A command line up to the cursor.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Typed {
    /// The words before the word at the cursor, as the shell passes them.
    pub(super) words: Vec<String>,
    /// The word at the cursor, as the shell passes it.
    pub(super) current: String,
    /// Bytes of `current` before the part that readline replaces.
    kept: usize,
    quote: Quote,
}

/// Whether the cursor is in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Single,
    Double,
}

impl Typed {
    /// Reads a line up to the cursor. `breaks` are the characters that readline ends words
    /// at, beside blanks: `COMP_WORDBREAKS`. `None` where there is no word yet.
    pub(super) fn parse(line: &str, breaks: &str) -> Option<Self> {
        let mut words = Vec::new();
        let mut typed =
            Self { words: Vec::new(), current: String::new(), kept: 0, quote: Quote::None };
        let mut is_word = false;
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match (typed.quote, c) {
                (Quote::None, ' ' | '\t' | '\n') => {
                    if is_word {
                        words.push(std::mem::take(&mut typed.current));
                    }
                    (is_word, typed.kept) = (false, 0);
                    continue;
                }
                (Quote::None, '\'' | '"') => {
                    typed.quote = if c == '"' { Quote::Double } else { Quote::Single };
                    // Readline starts anew behind an open quote.
                    typed.kept = typed.current.len();
                }
                (Quote::Single, '\'') | (Quote::Double, '"') => typed.quote = Quote::None,
                (Quote::None, '\\') => typed.current.extend(chars.next()),
                (Quote::Double, '\\') => match chars.next() {
                    Some(c @ ('"' | '\\' | '$' | '`')) => typed.current.push(c),
                    Some(c) => typed.current.extend(['\\', c]),
                    None => {}
                },
                (Quote::None, c) => {
                    typed.current.push(c);
                    if breaks.contains(c) {
                        typed.kept = typed.current.len();
                    }
                }
                (_, c) => typed.current.push(c),
            }
            is_word = true;
        }
        typed.words = words;
        (!typed.words.is_empty()).then_some(typed)
    }

    /// Returns the text that readline inserts for a whole word; `None` where the open quotes cannot
    /// hold the word.
    pub(super) fn replacement(&self, word: &str) -> Option<String> {
        let rest = word.get(self.kept..)?;
        let at_start = self.kept == 0;
        match self.quote {
            Quote::None => Some(escaped(rest, at_start)),
            Quote::Single => Some(rest.replace('\'', "'\\''")),
            // An exclamation mark recalls the history there, escaped or not.
            Quote::Double if rest.contains('!') => None,
            Quote::Double => {
                let mut text = String::new();
                for c in rest.chars() {
                    if matches!(c, '"' | '\\' | '$' | '`') {
                        text.push('\\');
                    }
                    text.push(c);
                }
                Some(text)
            }
        }
    }
}

fn escaped(word: &str, at_start: bool) -> String {
    let mut text = String::new();
    for (at, c) in word.char_indices() {
        let is_plain = c.is_alphanumeric() || !c.is_ascii() && !c.is_whitespace();
        let is_plain = is_plain || "_-./:=@%+,".contains(c);
        // Within a word these two mean nothing.
        let is_harmless = c == '#' && !(at_start && at == 0);
        if !is_plain && !is_harmless {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const BREAKS: &str = " \t\n\"'><=;|&(:";

    fn put(line: &str, word: &str) -> String {
        Typed::parse(line, BREAKS).unwrap().replacement(word).unwrap()
    }

    #[test]
    fn bash_line_is_split_as_by_shell() {
        let typed = Typed::parse(r#"keystead get 'a b' c\ d "e\"\x" f"#, BREAKS).unwrap();
        assert_eq!(typed.words, ["keystead", "get", "a b", "c d", "e\"\\x"]);
        assert_eq!(typed.current, "f");
        let typed = Typed::parse("keystead get '' ", BREAKS).unwrap();
        assert_eq!((typed.words.len(), &*typed.current), (3, ""));
        assert_eq!(Typed::parse("keystead", BREAKS), None);
    }

    #[test]
    fn inserted_name_is_quoted_as_single_word() {
        assert_eq!(put("keystead get ", "it's $5 *"), r"it\'s\ \$5\ \*");
        assert_eq!(put("keystead get ", "~me#1"), r"\~me#1");
        assert_eq!(put("keystead get ", "grün 鍵"), r"grün\ 鍵");
        assert_eq!(put("keystead get 'it", "it's"), r"it'\''s");
        assert_eq!(put("keystead get \"a", "a\"$b c"), "a\\\"\\$b c");
    }

    #[test]
    fn insertion_omits_prefix_that_readline_keeps() {
        assert_eq!(put("keystead get db:p", "db:prod"), "prod");
        assert_eq!(put("keystead get db\\:p", "db:prod"), "db:prod");
        assert_eq!(put("keystead get 'db:p", "db:prod"), "db:prod");
        assert_eq!(put("keystead get a'b c", "ab cd"), "b cd");
        assert_eq!(put("keystead get --vault=wo", "--vault=work"), "work");
    }
}
