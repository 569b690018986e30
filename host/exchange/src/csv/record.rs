//! Rows of a table, by RFC 4180: the range of each field, without a copy. Lines end with LF or CR
//! LF; a quoted field may hold both, delimiters, and quotes written twice.
//!
//! Not `csv-core`, which accepts unclosed quotes and any text after a closing quote. Here both are
//! broken rows with their line, since the secret would not be the intended one.

use std::ops::Range;

use keystead_plugin_api::{SecretBytes, SecretText};
use zeroize::Zeroizing;

use super::MAX_COLUMNS;

/// Reader of a table's rows, with its position.
#[derive(Debug, Clone)]
pub(super) struct Records {
    at: usize,
    line: u64,
    delimiter: u8,
    quoting: Quoting,
}

/// Notation of a quote within quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoting {
    /// Twice.
    Doubled,
    /// After a backslash, as is a backslash itself: KeePass 1 does this.
    Backslashes,
}

/// A row.
#[derive(Debug)]
pub(super) struct Record {
    /// The line at which the row begins, from 1.
    pub(super) line: u64,
    /// Error in the row; `None` if the row is valid.
    pub(super) fault: Option<&'static str>,
    /// Range of each field, and the notation of escapes in it, if any. Only as many fields as the
    /// limit on columns.
    fields: Vec<(Range<usize>, Option<Quoting>)>,
    /// Number of all fields.
    count: usize,
}

impl Record {
    /// Returns the number of fields.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Returns whether a field is empty.
    pub(super) fn is_empty_at(&self, at: usize) -> bool {
        self.fields.get(at).is_none_or(|(place, _)| place.is_empty())
    }

    /// Returns whether the first field is in quotes.
    pub(super) fn is_quoted(&self, bytes: &[u8]) -> bool {
        let start = self.fields.first().map_or(0, |(place, _)| place.start);
        start > 0 && bytes[start - 1] == b'"'
    }

    /// Returns a field; `None` if it is not UTF-8.
    pub(super) fn text(&self, bytes: &[u8], at: usize) -> Option<SecretText> {
        let (place, escaped) = self.fields.get(at)?;
        let field = &bytes[place.clone()];
        let escape = match escaped {
            None => return SecretText::from_bytes(SecretBytes::copy_of(field)).ok(),
            Some(Quoting::Doubled) => b'"',
            Some(Quoting::Backslashes) => b'\\',
        };
        let mut single = Zeroizing::new(Vec::with_capacity(field.len()));
        let mut rest = field;
        while let Some(at) = rest.iter().position(|&byte| byte == escape) {
            single.extend_from_slice(&rest[..at]);
            match rest.get(at + 1) {
                Some(&byte @ (b'"' | b'\\')) => {
                    single.push(byte);
                    rest = &rest[at + 2..];
                }
                // A backslash that escapes nothing stays a backslash.
                _ => {
                    single.push(escape);
                    rest = &rest[at + 1..];
                }
            }
        }
        single.extend_from_slice(rest);
        SecretText::from_bytes(SecretBytes::new(std::mem::take(&mut *single))).ok()
    }
}

impl Records {
    pub(super) fn new(at: usize, delimiter: u8) -> Self {
        Self { at, line: 1, delimiter, quoting: Quoting::Doubled }
    }

    /// Returns the position of the next row.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Returns the rows, counted from this line number on.
    pub(super) fn starting_at(self, line: u64) -> Self {
        Self { line, ..self }
    }

    /// Sets the notation of quotes for the following rows.
    pub(super) fn quote(&mut self, quoting: Quoting) {
        self.quoting = quoting;
    }

    /// Returns the next row; skips empty lines.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Option<Record> {
        loop {
            match bytes.get(self.at..)? {
                [] => return None,
                [b'\n', ..] => self.at += 1,
                [b'\r', b'\n', ..] => self.at += 2,
                _ => return Some(self.record(bytes)),
            }
            self.line += 1;
        }
    }

    fn record(&mut self, bytes: &[u8]) -> Record {
        let mut record = Record { line: self.line, fault: None, fields: Vec::new(), count: 0 };
        loop {
            let field = match bytes.get(self.at) {
                Some(b'"') => match self.quoted(bytes) {
                    Ok(field) => field,
                    Err(why) => {
                        record.fault = Some(why);
                        return record;
                    }
                },
                _ => (self.plain(bytes), None),
            };
            record.count += 1;
            // Further fields are not read: the header row has no more.
            if record.count <= MAX_COLUMNS {
                record.fields.push(field);
            }
            match bytes.get(self.at) {
                Some(&byte) if byte == self.delimiter => self.at += 1,
                // `plain` and `quoted` end at a delimiter, an end of line, or the end.
                _ => {
                    self.end_line(bytes);
                    return record;
                }
            }
        }
    }

    /// Reads up to a delimiter or the end of the line.
    fn plain(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.at;
        let rest = &bytes[start..];
        let len = rest.iter().position(|&byte| byte == self.delimiter || byte == b'\n');
        self.at += len.unwrap_or(rest.len());
        let mut end = self.at;
        if end > start && bytes[end - 1] == b'\r' && bytes.get(end).is_none_or(|&b| b == b'\n') {
            end -= 1;
        }
        start..end
    }

    /// Reads a field in quotes, up to what follows it.
    fn quoted(&mut self, bytes: &[u8]) -> Result<(Range<usize>, Option<Quoting>), &'static str> {
        let start = self.at + 1;
        let (mut at, mut escaped) = (start, None);
        let end = loop {
            match bytes.get(at) {
                None => {
                    self.at = bytes.len();
                    return Err("a quote is not closed: all that follows it is lost");
                }
                Some(b'"')
                    if self.quoting == Quoting::Doubled && bytes.get(at + 1) == Some(&b'"') =>
                {
                    escaped = Some(self.quoting);
                    at += 2;
                }
                Some(b'\\')
                    if self.quoting == Quoting::Backslashes
                        && matches!(bytes.get(at + 1), Some(b'"' | b'\\')) =>
                {
                    escaped = Some(self.quoting);
                    at += 2;
                }
                Some(b'"') => break at,
                Some(b'\n') => {
                    self.line += 1;
                    at += 1;
                }
                Some(_) => at += 1,
            }
        };
        self.at = end + 1;
        match &bytes[self.at..] {
            [] | [b'\n', ..] | [b'\r'] | [b'\r', b'\n', ..] => Ok((start..end, escaped)),
            [byte, ..] if *byte == self.delimiter => Ok((start..end, escaped)),
            rest => {
                // Reading continues with the next line.
                self.at += rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
                self.end_line(bytes);
                Err("something follows a closing quote")
            }
        }
    }

    fn end_line(&mut self, bytes: &[u8]) {
        if bytes.get(self.at) == Some(&b'\r') {
            self.at += 1;
        }
        if bytes.get(self.at) == Some(&b'\n') {
            self.at += 1;
            self.line += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns each row's line, with its fields or its error.
    fn rows(text: &str) -> Vec<(u64, Result<Vec<String>, &'static str>)> {
        let mut records = Records::new(0, b',');
        let mut rows = Vec::new();
        while let Some(record) = records.next(text.as_bytes()) {
            let fields = (0..record.fields.len())
                .map(|at| record.text(text.as_bytes(), at).unwrap().expose().to_owned());
            rows.push((record.line, record.fault.map_or_else(|| Ok(fields.collect()), Err)));
        }
        rows
    }

    fn good(line: u64, fields: &[&str]) -> (u64, Result<Vec<String>, &'static str>) {
        (line, Ok(fields.iter().map(|&field| field.to_owned()).collect()))
    }

    #[test]
    fn plain_and_quoted_fields_with_lf_or_crlf_are_parsed() {
        assert_eq!(
            rows("a,b\r\n\"c,\"\"d\"\"\",\"e\r\nf\ng\"\n\n,\nh \"x\", i\n\"\",\"\"\"\"\rz,\rj\r"),
            [
                good(1, &["a", "b"]),
                good(2, &["c,\"d\"", "e\r\nf\ng"]),
                good(6, &["", ""]),
                good(7, &["h \"x\"", " i"]),
                (8, Err("something follows a closing quote")),
            ]
        );
        assert_eq!(rows("\"a\"\r"), [good(1, &["a"])]);
        assert_eq!(rows("a,"), [good(1, &["a", ""])]);
        assert_eq!(rows("\n\r\n"), []);
    }

    #[test]
    fn reader_after_broken_row_continues_at_next_line() {
        assert_eq!(
            rows("a\n\"b\"x,\"c\nd\n\"e\nf"),
            [
                good(1, &["a"]),
                (2, Err("something follows a closing quote")),
                good(3, &["d"]),
                (4, Err("a quote is not closed: all that follows it is lost")),
            ]
        );
    }

    #[test]
    fn backslash_escapes_quote_and_backslash_only() {
        let text = br#""a\"b","c\\","\n","\\\"",""
"d""e","f"
"#;
        let mut records = Records::new(0, b',');
        records.quote(Quoting::Backslashes);
        let record = records.next(text).unwrap();
        let fields: Vec<_> = (0..record.len())
            .map(|at| record.text(text, at).unwrap().expose().to_owned())
            .collect();
        assert_eq!(fields, ["a\"b", "c\\", "\\n", "\\\"", ""]);
        assert_eq!(records.next(text).unwrap().fault, Some("something follows a closing quote"));
    }

    #[test]
    fn fields_beyond_limit_are_counted_and_not_stored() {
        let text = ",".repeat(1_000_000);
        let record = Records::new(0, b',').next(text.as_bytes()).unwrap();
        assert_eq!((record.len(), record.fields.len()), (1_000_001, MAX_COLUMNS));
    }

    proptest! {
        #[test]
        fn quoted_fields_round_trip(
            table in prop::collection::vec(prop::collection::vec("[a\",\r\n ]{0,5}", 1..4), 0..5)
        ) {
            let mut text = String::new();
            for row in &table {
                let fields: Vec<_> =
                    row.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
                text += &(fields.join(",") + "\r\n");
            }
            let read: Vec<_> = rows(&text).into_iter().map(|(_, row)| row.unwrap()).collect();
            prop_assert_eq!(read, table);
        }

        #[test]
        fn arbitrary_csv_text_never_panics(text in "[a\",\r\n]{0,40}") {
            let _ = rows(&text);
        }
    }
}
