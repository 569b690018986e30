//! Text from a file, before it is kept or shown.

/// Returns whether a character can mislead a reader of the text: control characters, marks that
/// change the direction of writing, and invisible characters.
pub(super) fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Returns foreign text for an error: one line, at most 80 characters, no misleading ones.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let mut out: String = text
        .chars()
        .take(MOST)
        .map(|c| if misleads(c) { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if text.chars().nth(MOST).is_some() {
        out.push_str("...");
    }
    out
}

/// Returns the name that starts these bytes and ends with a NUL, if it is printable text of at most
/// 1,024 bytes. No path of a library is longer.
pub(super) fn name(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().take(1_025).position(|&byte| byte == 0)?;
    let name = std::str::from_utf8(&bytes[..end]).ok()?;
    if name.is_empty() || name.chars().any(misleads) { None } else { Some(name) }
}

/// Returns whether these bytes start with a name and its NUL, in constant time. An attacker could
/// make a search for the NUL take for ever.
pub(super) fn is_name(bytes: &[u8], name: &str) -> bool {
    bytes.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
}

/// Returns the apparent type of a file that is no library.
pub(super) fn kind_of(bytes: &[u8]) -> &'static str {
    match bytes {
        [] => "empty",
        [b'#', b'!', ..] => "a script",
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => "a static library",
        [0, b'a', b's', b'm', ..] => "a WebAssembly module",
        [b'P', b'K', 3, 4, ..] => "a ZIP archive",
        [0x1f, 0x8b, ..] => "compressed data",
        _ => {
            let start = &bytes[..bytes.len().min(512)];
            let is_text = !start.contains(&0)
                && match std::str::from_utf8(start) {
                    Ok(_) => true,
                    Err(fault) => fault.error_len().is_none(),
                };
            if is_text { "text" } else { "of an unknown form" }
        }
    }
}
