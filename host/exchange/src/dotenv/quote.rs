//! Quoted values of an environment file, by the rules of shells and the readers of `.env`.

use keystead_plugin_api::SecretBytes;
use zeroize::Zeroizing;

use super::read::Stop;

/// Text between two quotes, or after a backslash between quoted pieces.
pub(super) struct Piece<'a> {
    inner: &'a [u8],
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `'...'`, `` `...` `` and a character after a backslash: unchanged.
    Literal,
    /// `"..."`.
    Double,
    /// `$'...'`.
    Ansi,
}

/// Returns whether a value begins with a quote.
pub(super) fn start(bytes: &[u8], ended: bool) -> Result<bool, Stop> {
    for triple in [&b"\"\"\""[..], b"'''", b"```"] {
        match bytes.get(..3) {
            Some(found) if found == triple => return Err(block(bytes, triple, ended)),
            None if !ended && triple.starts_with(bytes) => return Err(Stop::More),
            _ => {}
        }
    }
    match bytes {
        [b'\'' | b'"' | b'`', ..] | [b'$', b'\'', ..] => Ok(true),
        [b'$'] if !ended => Err(Stop::More),
        [b'$', b'"', ..] => {
            Err(Stop::Bad("`$\"...\"` is not read: leave the `$` out, or use single quotes"))
        }
        _ => Ok(false),
    }
}

/// Returns the lines between triple quotes, which readers interpret in different ways.
fn block(bytes: &[u8], triple: &[u8], ended: bool) -> Stop {
    let why = "three quotes are not read: use one";
    match bytes[3..].windows(3).position(|found| found == triple) {
        Some(at) => Stop::BadLines { len: 3 + at + 3, why },
        None if ended => Stop::BadLines { len: bytes.len(), why: "three quotes are never closed" },
        None => Stop::More,
    }
}

/// Returns the quoted piece at the start of these bytes, and its length with the quotes.
pub(super) fn piece(bytes: &[u8], ended: bool) -> Result<Option<(Piece<'_>, usize)>, Stop> {
    let (kind, open, quote) = match bytes {
        [quote @ (b'\'' | b'`'), ..] => (Kind::Literal, 1, *quote),
        [b'"', ..] => (Kind::Double, 1, b'"'),
        [b'$', b'\'', ..] => (Kind::Ansi, 2, b'\''),
        [b'\\', b'\'' | b'"' | b'\\' | b'`' | b'$', ..] => {
            return Ok(Some((Piece { inner: &bytes[1..2], kind: Kind::Literal }, 2)));
        }
        [] | [b'\\' | b'$'] if !ended => return Err(Stop::More),
        _ => return Ok(None),
    };
    let inner = &bytes[open..];
    let mut len = 0;
    loop {
        match inner.get(len) {
            Some(&byte) if byte == quote => break,
            Some(b'\\') if kind != Kind::Literal => len += 2,
            Some(_) => len += 1,
            None if ended => return Err(Stop::Bad("its quote is never closed")),
            None => return Err(Stop::More),
        }
    }
    let inner = &inner[..len];
    if kind == Kind::Ansi {
        ansi(inner, |_| {}).map_err(Stop::Bad)?;
    }
    Ok(Some((Piece { inner, kind }, open + len + 1)))
}

impl Piece<'_> {
    /// Returns the value of these pieces.
    pub(super) fn joined(pieces: &[Self]) -> SecretBytes {
        let mut len = 0;
        pieces.iter().for_each(|piece| piece.put(|bytes| len += bytes.len()));
        let mut joined = Zeroizing::new(Vec::with_capacity(len));
        pieces.iter().for_each(|piece| piece.put(|bytes| joined.extend_from_slice(bytes)));
        SecretBytes::new(std::mem::take(&mut *joined))
    }

    fn put(&self, mut put: impl FnMut(&[u8])) {
        match self.kind {
            Kind::Literal => put(self.inner),
            Kind::Double => double(self.inner, put),
            Kind::Ansi => ansi(self.inner, put).expect("it was looked at when it was found"),
        }
    }
}

/// Passes on the text between double quotes; other backslashes stay unchanged.
fn double(inner: &[u8], mut put: impl FnMut(&[u8])) {
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
            // As in a shell: the line continues in the next line.
            Some(b"\\\n") => {}
            Some(&[_, byte @ (b'\\' | b'"' | b'$' | b'`')]) => put(&[byte]),
            Some(pair) => put(pair),
        }
        rest = &rest[plain + 2..];
    }
}

const UNKNOWN: &str = "an escape between `$'` and `'` is not read";

/// Passes on the text between `$'` and `'`, with the escapes of bash.
fn ansi(inner: &[u8], mut put: impl FnMut(&[u8])) -> Result<(), &'static str> {
    let mut rest = inner;
    loop {
        let plain = rest.iter().take_while(|&&byte| byte != b'\\').count();
        put(&rest[..plain]);
        rest = &rest[plain..];
        let Some(&escape) = rest.get(1) else {
            put(rest);
            return Ok(());
        };
        let mut len = 2;
        match escape {
            b'n' => put(b"\n"),
            b'r' => put(b"\r"),
            b't' => put(b"\t"),
            b'a' => put(b"\x07"),
            b'b' => put(b"\x08"),
            b'e' | b'E' => put(b"\x1b"),
            b'f' => put(b"\x0c"),
            b'v' => put(b"\x0b"),
            b'\\' | b'\'' | b'"' | b'?' => put(&[escape]),
            b'x' | b'0'..=b'7' => {
                let (from, most, base) = if escape == b'x' { (2, 2, 16) } else { (1, 3, 8) };
                let number;
                (number, len) = digits(rest, from, most, base)?;
                // A NUL ends the text in a shell.
                put(&[u8::try_from(number).ok().filter(|&byte| byte != 0).ok_or(UNKNOWN)?]);
            }
            b'u' | b'U' => {
                let number;
                (number, len) = digits(rest, 2, if escape == b'u' { 4 } else { 8 }, 16)?;
                let c = char::from_u32(number).filter(|&c| c != '\0').ok_or(UNKNOWN)?;
                put(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return Err(UNKNOWN),
        }
        rest = &rest[len..];
    }
}

/// Returns the number of at most `most` digits, and the position after them.
fn digits(rest: &[u8], from: usize, most: usize, base: u32) -> Result<(u32, usize), &'static str> {
    let is_digit = |byte: &&u8| char::from(**byte).is_digit(base);
    let len = rest[from..].iter().take(most).take_while(is_digit).count();
    let text = std::str::from_utf8(&rest[from..from + len]).map_err(|_| UNKNOWN)?;
    u32::from_str_radix(text, base).map(|number| (number, from + len)).map_err(|_| UNKNOWN)
}
