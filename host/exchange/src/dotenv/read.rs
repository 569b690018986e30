//! Reads an entry of an environment file, from the start of its line on.

use keystead_plugin_api::{SecretBytes, SecretText, Value};

use super::material;
use super::quote::{self, Piece};

/// Content at the start of a line.
pub(super) enum Parsed {
    /// Nothing: the file ends here.
    End,
    /// Unknown before more of the file is read.
    NeedsMore,
    /// Nothing up to the line's end, or a comment.
    Blank,
    /// An entry, up to the end of its value; the rest of that line is empty.
    Entry { len: usize, key: String, value: Value },
    /// A line that is not an entry, up to its end.
    Bad(&'static str),
    /// Several lines that are not an entry, up to the end of the last line.
    BadLines { len: usize, why: &'static str },
}

/// The reason why the bytes are not an entry, or not yet.
pub(super) enum Stop {
    More,
    Bad(&'static str),
    BadLines { len: usize, why: &'static str },
}

/// Returns the content at the start of these bytes; `ended` if nothing follows them.
pub(super) fn entry(bytes: &[u8], ended: bool) -> Parsed {
    let mut reader = Reader { bytes, at: 0, ended };
    match reader.entry() {
        Ok(parsed) => parsed,
        Err(Stop::More) => Parsed::NeedsMore,
        Err(Stop::Bad(why)) => Parsed::Bad(why),
        Err(Stop::BadLines { len, why }) => Parsed::BadLines { len, why },
    }
}

/// Returns whether the line that starts here is a comment.
pub(super) fn is_comment(bytes: &[u8]) -> bool {
    bytes.iter().find(|byte| !is_blank(**byte)) == Some(&b'#')
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    ended: bool,
}

impl<'a> Reader<'a> {
    fn entry(&mut self) -> Result<Parsed, Stop> {
        if self.bytes.is_empty() && self.ended {
            return Ok(Parsed::End);
        }
        self.blanks();
        match self.peek()? {
            None | Some(b'\n' | b'#') => return Ok(Parsed::Blank),
            Some(_) => {}
        }
        if let Some(len) = material::lines(&self.bytes[self.at..], self.ended)? {
            let why = "key material without quotes: put it in quotes behind a key";
            return Err(Stop::BadLines { len: self.at + len, why });
        }
        let mut key = self.key()?;
        let behind = self.at;
        self.blanks();
        // `export` is a word before the key only where a key follows.
        if key == "export" && self.at > behind && self.peek()? != Some(b'=') {
            key = self.key()?;
            self.blanks();
        }
        if self.peek()? != Some(b'=') {
            return Err(Stop::Bad("there is no `=` behind a key"));
        }
        if key.is_empty() {
            return Err(Stop::Bad("there is no key before the `=`"));
        }
        if material::is_name(&key) {
            let why = "what stands before the `=` looks like key material, not like a key";
            return Err(Stop::Bad(why));
        }
        self.at += 1;
        let equals = self.at;
        self.blanks();
        self.peek()?;
        let value = match self.in_value(quote::start(&self.bytes[self.at..], self.ended))? {
            true => self.quoted()?,
            // A blank before a `#` starts a comment, even without a value before it.
            false => {
                self.at = equals;
                self.bare()?
            }
        };
        Ok(Parsed::Entry { len: self.at, key, value: Value::Text(value) })
    }

    fn key(&mut self) -> Result<String, Stop> {
        let start = self.at;
        while let Some(b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-') =
            self.peek()?
        {
            self.at += 1;
        }
        Ok(String::from_utf8_lossy(&self.bytes[start..self.at]).into_owned())
    }

    /// Reads a value up to the end of its line, or a comment.
    fn bare(&mut self) -> Result<SecretText, Stop> {
        let rest = &self.bytes[self.at..];
        let end = match rest.iter().position(|&byte| byte == b'\n') {
            Some(end) => end,
            None if self.ended => rest.len(),
            None => return Err(Stop::More),
        };
        let line = &rest[..end];
        let comment = line.windows(2).position(|pair| is_blank(pair[0]) && pair[1] == b'#');
        let value = line[..comment.unwrap_or(end)].trim_ascii();
        let start = self.at + line.iter().take_while(|byte| is_blank(**byte)).count();
        if let Some(len) = material::value(&self.bytes[start..], self.ended)? {
            let why = "its value has several lines without quotes: put it in quotes";
            return Err(Stop::BadLines { len: start + len, why });
        }
        self.at += end;
        text(SecretBytes::copy_of(value))
    }

    /// Reads adjacent quoted pieces, as a shell does: `'it'\''s'`.
    fn quoted(&mut self) -> Result<SecretText, Stop> {
        let (start, mut pieces) = (self.at, Vec::new());
        loop {
            match quote::piece(&self.bytes[self.at..], self.ended) {
                Ok(Some((piece, len))) => {
                    pieces.push(piece);
                    self.at += len;
                }
                Ok(None) => break,
                // Even without a closing quote, lines of key material are not names.
                Err(Stop::Bad(why)) => {
                    return Err(match material::value(&self.bytes[start + 1..], self.ended)? {
                        Some(len) => Stop::BadLines { len: start + 1 + len, why },
                        None => Stop::Bad(why),
                    });
                }
                Err(stop) => return Err(stop),
            }
        }
        let closed = self.at;
        self.blanks();
        match self.peek()? {
            None | Some(b'\n') => {}
            Some(b'#') if self.at > closed => {}
            Some(_) => return Err(Stop::Bad("there is more behind the closing quote")),
        }
        text(Piece::joined(&pieces))
    }

    /// Converts a length in a value to a length from the start of the line.
    fn in_value<T>(&self, found: Result<T, Stop>) -> Result<T, Stop> {
        found.map_err(|stop| match stop {
            Stop::BadLines { len, why } => Stop::BadLines { len: self.at + len, why },
            stop => stop,
        })
    }

    /// Moves past blanks; a carriage return is a blank, since only a line's end has it here.
    fn blanks(&mut self) {
        self.at += self.bytes[self.at..].iter().take_while(|byte| is_blank(**byte)).count();
    }

    /// Returns the next byte; `None` at the file's end.
    fn peek(&self) -> Result<Option<u8>, Stop> {
        match self.bytes.get(self.at) {
            None if !self.ended => Err(Stop::More),
            byte => Ok(byte.copied()),
        }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

fn text(bytes: SecretBytes) -> Result<SecretText, Stop> {
    SecretText::from_bytes(bytes).map_err(|_| Stop::Bad("it is not UTF-8"))
}
