//! JSON Lines: a secret on each line, of every kind and with its metadata. Keystead reads and
//! writes this format without loss.

use std::io::Read;

use keystead_plugin_api::{MAX_METADATA_BYTES, MAX_VALUE_BYTES, Secret, SecretName, VaultName};
use serde::Serialize;
use zeroize::Zeroizing;

use super::window::{More, Window};
use super::{BadRow, Error, Position, Row, Rows, foreign};
use keystead::internals::json::{escaped, line, metadata, write};

/// Maximum size in bytes of a line: the largest value and metadata, with each character as six
/// (`\u0000`); and as much again as metadata for names and punctuation.
pub const MAX_LINE: usize = 6 * (MAX_VALUE_BYTES + 2 * MAX_METADATA_BYTES);

/// The secrets of a stream of lines.
pub struct JsonLines<R> {
    window: Window<R>,
    most: usize,
    line: u64,
    over: bool,
}

impl<R: Read> JsonLines<R> {
    /// Returns the secrets of this stream, which is read on demand.
    pub fn new(from: R) -> Self {
        Self::limited(from, MAX_LINE)
    }

    fn limited(from: R, most: usize) -> Self {
        Self { window: Window::new(from, most), most, line: 0, over: false }
    }

    /// Returns the next line that is not blank as a row.
    fn row(&mut self) -> Result<Option<Result<Row, BadRow>>, Error> {
        if self.line == 0 {
            self.window.skip_mark().map_err(Error::Read)?;
            foreign::check(self.window.rest())?;
        }
        loop {
            self.line += 1;
            let at = Position::Line(self.line);
            let Some(len) = self.line_len()? else {
                self.window.skip_line().map_err(Error::Read)?;
                let why = format!("the line has more than {} bytes", self.most);
                return Ok(Some(Err(BadRow { at, why })));
            };
            if len == 0 {
                return Ok(None);
            }
            let read = read_line(&self.window.rest()[..len], at);
            self.window.take(len);
            if let Some(row) = read {
                return Ok(Some(row));
            }
        }
    }

    /// Returns the length of the next line with its end, zero after the last line; `None` if the
    /// line is too long.
    fn line_len(&mut self) -> Result<Option<usize>, Error> {
        let mut looked = 0;
        loop {
            let rest = self.window.rest();
            if let Some(at) = rest[looked..].iter().position(|&byte| byte == b'\n') {
                return Ok(Some(looked + at + 1));
            }
            looked = rest.len();
            match self.window.more().map_err(Error::Read)? {
                More::Came => {}
                More::Ended => return Ok(Some(looked)),
                More::Full => return Ok(None),
            }
        }
    }
}

impl<R: Read> Rows for JsonLines<R> {
    fn is_keyed(&self) -> bool {
        true
    }
}

impl<R: Read> Iterator for JsonLines<R> {
    type Item = Result<Result<Row, BadRow>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let row = self.row().transpose();
        self.over = !matches!(row, Some(Ok(_)));
        row
    }
}

fn read_line(bytes: &[u8], at: Position) -> Option<Result<Row, BadRow>> {
    let bad = |why: String| Some(Err(BadRow { at: at.clone(), why }));
    let Ok(text) = std::str::from_utf8(bytes) else { return bad("it is not UTF-8".to_owned()) };
    if text.trim_ascii().is_empty() {
        return None;
    }
    let line = match line::read(text) {
        Ok(line) => line,
        Err(why) => return bad(why),
    };
    match SecretName::parse(&line.name) {
        Ok(name) => Some(Ok(Row { at, name, value: line.value, metadata: line.metadata })),
        Err(fault) => bad(fault.message().to_owned()),
    }
}

/// Returns a secret as a line with its end.
pub fn write(name: &SecretName, vault: &VaultName, secret: &Secret) -> Zeroizing<Vec<u8>> {
    #[derive(Serialize)]
    struct Head<'a> {
        schema: i64,
        name: &'a str,
        vault: &'a str,
        kind: &'static str,
        metadata: metadata::Json<'a>,
    }
    let head = Head {
        schema: line::SCHEMA,
        name: name.as_str(),
        vault: vault.as_str(),
        kind: secret.value.kind().as_str(),
        metadata: metadata::Json(&secret.metadata.writable()),
    };
    let head = escaped::to_string(&head);
    write::object(&head, &secret.value)
}

#[cfg(test)]
mod tests {
    use keystead_plugin_api::{Metadata, MetadataValue, Value};
    use proptest::prelude::*;

    use super::*;
    use keystead::internals::same_value;

    fn rows(bytes: &[u8]) -> Vec<Result<Row, BadRow>> {
        JsonLines::new(bytes).map(Result::unwrap).collect()
    }

    fn line(name: &str) -> String {
        format!("{{\"schema\":1,\"name\":\"{name}\",\"value\":{{\"text\":\"x\"}}}}")
    }

    #[test]
    fn broken_line_is_reported_by_number_and_rest_is_read() {
        let text = format!(
            "\u{feff}{}\r\n\n  \t\n{{\"schema\":1}}\n{}\n\nnonsense\n{}",
            line("a"),
            line("b"),
            line("c")
        );
        let found: Vec<String> = rows(text.as_bytes())
            .into_iter()
            .map(|row| match row {
                Ok(row) => format!("{}: {}", row.at, row.name),
                Err(bad) => format!("{}! {}", bad.at, bad.why),
            })
            .collect();
        assert_eq!(
            found,
            [
                "line 1: a",
                "line 4! the member `name` is missing",
                "line 5: b",
                "line 7! column 1: a line is one JSON object, `{...}`",
                "line 8: c",
            ]
        );
    }

    #[test]
    fn line_with_invalid_utf8_or_empty_name_is_rejected() {
        let found = rows(b"\xff\n{\"schema\":1,\"name\":\"\",\"value\":{\"text\":\"\"}}\n");
        let why: Vec<&str> =
            found.iter().map(|bad| bad.as_ref().unwrap_err().why.as_str()).collect();
        assert_eq!(why, ["it is not UTF-8", "a secret's name is empty"]);
    }

    #[test]
    fn line_over_limit_is_reported_as_single_broken_row() {
        let bytes = format!("{:999}\n{}\n{:1000}\n{}", "", line("a"), "", line("b"));
        let rows = JsonLines::limited(bytes.as_bytes(), 1_000).map(Result::unwrap);
        let found: Vec<_> = rows.collect();
        assert_eq!(found[0].as_ref().unwrap().at, Position::Line(2));
        let bad = found[1].as_ref().unwrap_err();
        assert_eq!(bad.to_string(), "line 3: the line has more than 1000 bytes");
        assert_eq!(found[2].as_ref().unwrap().at, Position::Line(4));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn longest_written_line_is_within_read_limit() {
        const LEN: usize = 10_000;
        let mut metadata = Metadata::new();
        metadata.insert("k", MetadataValue::Text("\u{1}".repeat(LEN))).unwrap();
        let secret = Secret::with_metadata(Value::text("\u{1}".repeat(LEN)), metadata);
        let name = SecretName::parse("a").unwrap();
        let bytes = write(&name, &VaultName::parse("work").unwrap(), &secret);
        assert!(bytes.len() > 6 * 2 * LEN && bytes.len() < 6 * 2 * LEN + 200);
        const { assert!(MAX_LINE > 6 * (MAX_VALUE_BYTES + MAX_METADATA_BYTES) + 100_000) };
    }

    fn any_metadata() -> impl Strategy<Value = Metadata> {
        let value = prop_oneof![
            ".*".prop_map(MetadataValue::Text),
            any::<i64>().prop_map(MetadataValue::Integer),
            any::<bool>().prop_map(MetadataValue::Boolean),
            proptest::collection::vec(".*", 0..4).prop_map(MetadataValue::TextList),
            (keystead_plugin_api::MIN_TIMESTAMP_MILLIS..=keystead_plugin_api::MAX_TIMESTAMP_MILLIS)
                .prop_map(MetadataValue::Timestamp),
        ];
        proptest::collection::btree_map("[^\\p{Cc}]{1,9}", value, 0..4).prop_map(|made| {
            let mut metadata = Metadata::new();
            for (key, value) in made {
                metadata.insert(key, value).unwrap();
            }
            metadata
        })
    }

    #[test]
    fn read_only_metadata_is_not_exported() {
        let mut metadata = Metadata::new();
        metadata.insert("k", MetadataValue::TextList(Vec::new())).unwrap();
        metadata.insert_read_only("updated", MetadataValue::Timestamp(0)).unwrap();
        metadata.mark_more_read_only();
        let secret = Secret::with_metadata(Value::text("x"), metadata);
        let name = SecretName::parse("a").unwrap();
        let bytes = write(&name, &VaultName::parse("work").unwrap(), &secret);
        let line = std::str::from_utf8(&bytes).unwrap();
        assert!(line.contains("\"metadata\":{\"k\":[]},"), "{line}");
    }

    proptest! {
        #[test]
        fn written_json_lines_round_trip(
            name in "[^\\p{Cc}]{1,20}",
            map in crate::any::any_map(),
            text in ".*",
            metadata in any_metadata(),
        ) {
            let name = SecretName::parse(&name).unwrap();
            let vault = VaultName::parse("work").unwrap();
            let mut values: Vec<Value> = map.iter().map(|(_, value)| value.duplicate()).collect();
            values.push(Value::Map(map));
            values.push(Value::text(text));
            let mut bytes = Vec::new();
            for value in &values {
                let secret = Secret::with_metadata(value.duplicate(), metadata.clone());
                bytes.extend_from_slice(&write(&name, &vault, &secret));
            }
            let rows = rows(&bytes);
            prop_assert_eq!(rows.len(), values.len());
            for (row, value) in rows.into_iter().zip(values) {
                let row = row.unwrap();
                prop_assert_eq!(&row.name, &name);
                // Harmful characters in JSON become escapes.
                prop_assert!(same_value(&row.value, &value) && row.value.kind() == value.kind());
                prop_assert_eq!(&row.metadata, &metadata);
            }
        }
    }
}
