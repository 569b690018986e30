//! Key material in an environment file without quotes: its lines are not entries, and must not
//! become names of secrets, which listings and completion show.

use super::read::Stop;

/// Beginning and end of a PEM block.
const BEGIN: &[u8] = b"-----BEGIN";
const END: &[u8] = b"-----END";

/// Minimum number of characters in a line of wrapped base64: programs wrap at 60, 64 or 76.
const MIN_WRAPPED: usize = 40;

/// Minimum number of characters in a name that looks like key material.
const MIN_NAME: usize = 16;

/// Returns the length of the key material at the start of a line, up to its last line's end.
pub(super) fn lines(bytes: &[u8], ended: bool) -> Result<Option<usize>, Stop> {
    if bytes.starts_with(BEGIN) {
        return pem(bytes, ended).map(Some);
    }
    if !ended && BEGIN.starts_with(bytes) {
        return Err(Stop::More);
    }
    let Some(first) = line(bytes, ended) else {
        // The bytes so far may be base64.
        return if base64(bytes).is_some() { Err(Stop::More) } else { Ok(None) };
    };
    let (digits, padding) = base64(&bytes[..first]).unwrap_or_default();
    if digits.len() + padding < MIN_WRAPPED {
        return Ok((padding > 0 && is_tail(digits, padding)).then_some(first));
    }
    rest_of(bytes, first, ended).map(Some)
}

/// Returns the length of an unquoted value that continues in the next line.
pub(super) fn value(bytes: &[u8], ended: bool) -> Result<Option<usize>, Stop> {
    if bytes.starts_with(BEGIN) {
        let first = line(bytes, ended).ok_or(Stop::More)?;
        if bytes[..first].windows(END.len()).any(|found| found == END) {
            return Ok(None);
        }
        return pem(bytes, ended).map(Some);
    }
    let Some(first) = line(bytes, ended) else { return Ok(None) };
    match base64(&bytes[..first]) {
        Some((digits, 0)) if digits.len() >= MIN_WRAPPED => {}
        _ => return Ok(None),
    }
    let len = rest_of(bytes, first, ended)?;
    Ok((len > first).then_some(len))
}

/// Returns whether a name looks like key material: a mix of upper and lower case letters and digits
/// instead of words.
pub(super) fn is_name(name: &str) -> bool {
    name.split(['_', '.', '-']).any(|run| {
        let kind = |byte: u8| match byte {
            b'a'..=b'z' => 0,
            b'A'..=b'Z' => 1,
            _ => 2,
        };
        let turns = run.as_bytes().windows(2).filter(|pair| kind(pair[0]) != kind(pair[1])).count();
        run.len() >= MIN_NAME && turns * 3 > run.len()
    })
}

/// Returns the length of a PEM block; without an end, the length of the lines that belong to it.
fn pem(bytes: &[u8], ended: bool) -> Result<usize, Stop> {
    match bytes.windows(END.len()).position(|found| found == END) {
        Some(at) => Ok(at + line(&bytes[at..], ended).ok_or(Stop::More)?),
        None if !ended => Err(Stop::More),
        None => rest_of(bytes, line(bytes, ended).unwrap_or(bytes.len()), ended),
    }
}

/// Returns the end of the base64 lines that follow a first line.
fn rest_of(bytes: &[u8], first: usize, ended: bool) -> Result<usize, Stop> {
    let mut end = first;
    loop {
        let next = match bytes.get(end + 1..) {
            None | Some([]) if ended => return Ok(end),
            None | Some([]) => return Err(Stop::More),
            Some(next) => next,
        };
        let Some(len) = line(next, ended) else {
            return if base64(next).is_some() { Err(Stop::More) } else { Ok(end) };
        };
        let is_more = match base64(&next[..len]) {
            // `PORT=` is a key without a value.
            Some((digits, 1)) => is_tail(digits, 1),
            found => found.is_some(),
        };
        if !is_more {
            return Ok(end);
        }
        end += 1 + len;
    }
}

/// Returns whether padded base64 is the end of a block: not a key with an empty value or `=`.
fn is_tail(digits: &[u8], padding: usize) -> bool {
    let has = |is: fn(&u8) -> bool| digits.iter().any(is);
    let is_mixed = has(|byte| matches!(byte, b'+' | b'/'))
        || has(u8::is_ascii_lowercase) && has(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9'));
    (digits.len() + padding).is_multiple_of(4) && (padding == 2 || is_mixed)
}

/// Returns a line's base64 digits and the length of its padding; `None` for another line.
fn base64(line: &[u8]) -> Option<(&[u8], usize)> {
    let line = line.trim_ascii();
    let is_digit = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let digits = line.iter().take_while(is_digit).count();
    let (digits, padding) = line.split_at(digits);
    (!digits.is_empty() && padding.len() <= 2 && padding.iter().all(|&byte| byte == b'='))
        .then_some((digits, padding.len()))
}

/// Returns the length of the line that starts here, without its end.
fn line(bytes: &[u8], ended: bool) -> Option<usize> {
    let end = bytes.iter().position(|&byte| byte == b'\n');
    end.or_else(|| ended.then_some(bytes.len()))
}
