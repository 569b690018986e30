//! Quotes words of a POSIX shell, for printed commands that users paste.

/// Returns a text as one word, quoted if needed.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_word_is_quoted_as_single_word() {
        assert_eq!(word("/home/ada/a.toml"), "/home/ada/a.toml");
        assert_eq!(word("a b"), "'a b'");
        assert_eq!(word("it's $HOME"), "'it'\\''s $HOME'");
        assert_eq!(word("~/x"), "'~/x'");
        assert_eq!(word(""), "''");
    }
}
