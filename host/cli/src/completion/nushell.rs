//! Nushell's half-typed line, and candidates as its custom completers return them.

use serde::Serialize;

use super::Candidate;

/// A command line up to the cursor.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Typed {
    /// The words before the word at the cursor.
    pub(super) words: Vec<String>,
    /// The word at the cursor.
    pub(super) current: String,
}

impl Typed {
    /// Reads a line up to the cursor, without the part before a pipe or semicolon.
    pub(super) fn parse(line: &str) -> Self {
        let mut typed = Self::default();
        let (mut is_word, mut quote) = (false, None);
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match (quote, c) {
                (None, ' ' | '\t' | '\n') => {
                    if is_word {
                        typed.words.push(std::mem::take(&mut typed.current));
                    }
                    is_word = false;
                    continue;
                }
                (None, '|' | ';' | '(' | '{') => {
                    (typed, is_word) = (Self::default(), false);
                    continue;
                }
                (None, '\'' | '"' | '`') => quote = Some(c),
                (Some(open), c) if open == c => quote = None,
                (Some('"'), '\\') => typed.current.extend(chars.next()),
                (_, c) => typed.current.push(c),
            }
            is_word = true;
        }
        typed
    }
}

/// Returns candidates as JSON, each one word for Nushell.
pub(super) fn json(words: &[Candidate]) -> String {
    #[derive(Serialize)]
    struct One<'a> {
        value: String,
        description: &'a str,
    }
    let words =
        words.iter().map(|word| One { value: quoted(&word.value), description: &word.help });
    let words: Vec<_> = words.collect();
    let mut text = serde_json::to_string(&words).expect("texts are JSON");
    text.push('\n');
    text
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nushell_line_is_split_at_cursor() {
        let typed = Typed::parse("ls | keystead get 'a b' \"c\\\"");
        assert_eq!(typed.words, ["keystead", "get", "a b"]);
        assert_eq!(typed.current, "c\"");
        assert_eq!(Typed::parse("keystead get ").current, "");
    }

    #[test]
    fn nushell_candidate_is_quoted_as_single_word() {
        let words = [Candidate::new("it's \"$5\" \\", "work"), Candidate::new("a/b:c", "")];
        assert_eq!(
            json(&words),
            "[{\"value\":\"\\\"it's \\\\\\\"$5\\\\\\\" \\\\\\\\\\\"\",\"description\":\"work\"},\
             {\"value\":\"a/b:c\",\"description\":\"\"}]\n"
        );
    }
}
