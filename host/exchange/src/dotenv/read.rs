//! One entry of an environment file, from the start of its line on.

use keystead_plugin_api::{SecretBytes, SecretText, Value};
use zeroize::Zeroizing;

/// What stands at the start of a line.
pub(super) enum Parsed {
    /// Nothing: the file ends here.
    End,
    /// What cannot be told before more of the file is there.
    NeedsMore,
    /// Nothing up to the line's end, or a comment.
    Blank,
    /// An entry, up to the end of its value; on the rest of that line is nothing.
    Entry { len: usize, key: String, value: Value },
    /// What is no entry.
    Bad(&'static str),
}

/// Why this is no entry, or not yet.
enum Stop {
    More,
    Bad(&'static str),
}

/// Returns what stands at the start of these bytes; `ended` where nothing follows them.
pub(super) fn entry(bytes: &[u8], ended: bool) -> Parsed {
    let mut reader = Reader { bytes, at: 0, ended };
    match reader.entry() {
        Ok(parsed) => parsed,
        Err(Stop::More) => Parsed::NeedsMore,
        Err(Stop::Bad(why)) => Parsed::Bad(why),
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

impl Reader<'_> {
    fn entry(&mut self) -> Result<Parsed, Stop> {
        if self.bytes.is_empty() && self.ended {
            return Ok(Parsed::End);
        }
        self.blanks();
        match self.peek()? {
            None | Some(b'\n' | b'#') => return Ok(Parsed::Blank),
            Some(_) => {}
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
        self.at += 1;
        let equals = self.at;
        self.blanks();
        let value = match self.peek()? {
            Some(quote @ (b'\'' | b'"')) => self.quoted(quote)?,
            // A blank before a `#` makes it a comment, also where no value stands before.
            _ => {
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
        self.at += end;
        text(SecretBytes::copy_of(value))
    }

    fn quoted(&mut self, quote: u8) -> Result<SecretText, Stop> {
        let inner = &self.bytes[self.at + 1..];
        let mut len = 0;
        loop {
            match inner.get(len) {
                Some(&byte) if byte == quote => break,
                Some(b'\\') if quote == b'"' => len += 2,
                Some(_) => len += 1,
                None if self.ended => return Err(Stop::Bad("its quote is never closed")),
                None => return Err(Stop::More),
            }
        }
        let inner = &inner[..len];
        self.at += 1 + len + 1;
        let closed = self.at;
        self.blanks();
        match self.peek()? {
            None | Some(b'\n') => {}
            Some(b'#') if self.at > closed => {}
            Some(_) => return Err(Stop::Bad("there is more behind the closing quote")),
        }
        text(if quote == b'"' { unescaped(inner) } else { SecretBytes::copy_of(inner) })
    }

    /// Moves behind blanks; a carriage return is one, since only a line's end has it here.
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

/// Returns what stands between double quotes; what is no escape stays as it is.
fn unescaped(inner: &[u8]) -> SecretBytes {
    let mut len = 0;
    pieces(inner, |piece| len += piece.len());
    let mut bytes = Zeroizing::new(Vec::with_capacity(len));
    pieces(inner, |piece| bytes.extend_from_slice(piece));
    SecretBytes::new(std::mem::take(&mut *bytes))
}

fn pieces(inner: &[u8], mut put: impl FnMut(&[u8])) {
    let mut rest = inner;
    loop {
        let plain = rest.iter().take_while(|&&byte| byte != b'\\').count();
        put(&rest[..plain]);
        match rest.get(plain..plain + 2) {
            None => {
                put(&rest[plain..]);
                return;
            }
            Some(b"\\n") => put(b"\n"),
            Some(b"\\r") => put(b"\r"),
            Some(b"\\t") => put(b"\t"),
            // As in a shell: the line goes on in the next one.
            Some(b"\\\n") => {}
            Some(&[_, byte @ (b'\\' | b'"' | b'$' | b'`')]) => put(&[byte]),
            Some(pair) => put(pair),
        }
        rest = &rest[plain + 2..];
    }
}
