//! Reads a whole file into memory that is wiped, up to a maximum size.

use std::io::{self, Read};

use keystead_plugin_api::{SecretBytes, SecretText};
use zeroize::Zeroizing;

use super::Error;

/// Maximum size in bytes of a text that is imported as a whole: 64 MiB. The export of a password
/// manager with a thousand items has a hundredth of that.
pub(super) const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Number of bytes read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Reads the whole input.
///
/// # Errors
/// The input cannot be read, or is longer than [`MAX_BYTES`].
pub(super) fn whole(input: impl Read, form: &'static str) -> Result<SecretBytes, Error> {
    Ok(SecretBytes::new(std::mem::take(&mut *wiped(input, form)?)))
}

/// Reads the whole input into a buffer.
///
/// # Errors
/// As those of [`whole`].
pub(super) fn wiped(mut input: impl Read, form: &'static str) -> Result<Zeroizing<Vec<u8>>, Error> {
    // In pieces, since a growing buffer leaves copies in memory.
    let mut pieces: Vec<Zeroizing<Vec<u8>>> = Vec::new();
    let mut total = 0;
    loop {
        let mut piece = Zeroizing::new(vec![0; PIECE_BYTES]);
        let mut len = 0;
        while len < PIECE_BYTES {
            match input.read(&mut piece[len..]) {
                Ok(0) => break,
                Ok(count) => len += count,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return Err(Error::Read(fault)),
            }
        }
        total += len;
        if total > MAX_BYTES {
            let why = format!("it has more than {} MiB", MAX_BYTES / 1024 / 1024);
            return Err(Error::NotOfForm { form, why });
        }
        let ended = len < PIECE_BYTES;
        piece.truncate(len);
        pieces.push(piece);
        if ended {
            break;
        }
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(total));
    for piece in &pieces {
        bytes.extend_from_slice(piece);
    }
    Ok(bytes)
}

/// Reads the whole input as a text, without the byte order mark of some programs.
///
/// # Errors
/// As those of [`whole`], or the input is not UTF-8.
pub(super) fn text(input: impl Read, form: &'static str) -> Result<SecretText, Error> {
    let bytes = whole(input, form)?;
    let not_utf8 = |_| Error::NotOfForm { form, why: "it is not UTF-8".into() };
    match bytes.expose().strip_prefix(MARK) {
        Some(rest) => SecretText::from_bytes(SecretBytes::copy_of(rest)).map_err(not_utf8),
        None => SecretText::from_bytes(bytes).map_err(not_utf8),
    }
}

/// Returns bytes as a text in which each byte that is not UTF-8 is [`NO_TEXT`]: only the part that
/// contains it is broken.
pub(super) fn marked(bytes: SecretBytes) -> SecretText {
    let bytes = match SecretText::from_bytes(bytes.duplicate()) {
        Ok(text) => return text,
        Err(_) => bytes,
    };
    let mut text = Zeroizing::new(Vec::with_capacity(bytes.len()));
    for chunk in bytes.expose().utf8_chunks() {
        text.extend_from_slice(chunk.valid().as_bytes());
        text.extend(chunk.invalid().iter().map(|_| NO_TEXT));
    }
    let text = SecretBytes::new(std::mem::take(&mut *text));
    SecretText::from_bytes(text).expect("texts, and a control character for each other byte")
}

/// Returns the reason why a part of a text from [`marked`] is broken.
pub(super) fn why_in<'a>(part: &str, why: &'a str) -> &'a str {
    if part.as_bytes().contains(&NO_TEXT) { "it is not UTF-8" } else { why }
}

/// Replacement for a byte that is not UTF-8: a control character that JSON never contains.
const NO_TEXT: u8 = 0x1f;

/// The byte order mark in UTF-8.
pub(super) const MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_read_whole_up_to_limit() {
        for len in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1] {
            let read = whole(io::repeat(b'x').take(len as u64), "a form").unwrap();
            assert_eq!(read.len(), len);
        }
        let error = whole(io::repeat(b'x'), "a form").unwrap_err();
        assert_eq!(error.to_string(), "this is not a form: it has more than 64 MiB");
    }

    #[test]
    fn input_text_is_utf8_and_byte_order_mark_is_removed() {
        assert_eq!(text(&b"\xef\xbb\xbfabc"[..], "a form").unwrap().expose(), "abc");
        let error = text(&b"\xff"[..], "a form").unwrap_err();
        assert_eq!(error.to_string(), "this is not a form: it is not UTF-8");
    }
}
