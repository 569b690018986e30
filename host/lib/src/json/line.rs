//! One line of JSON Lines: a whole secret. A line is untrusted until it is parsed, and
//! secret: no error repeats a part of it. Unknown members, which later versions may add, are
//! ignored; a line of another schema is rejected.

use keystead_plugin_api::{
    MAX_METADATA_BYTES, MAX_METADATA_ENTRIES, Metadata, MetadataValue, Value, ValueKind,
};

use super::metadata::millis;
use super::read::{NodeKind, Reader, Wrong, as_value};

/// The schema that is written and read.
pub const SCHEMA: i64 = 1;

/// The maximum depth of ignored members, in levels.
const MAX_UNKNOWN_LEVELS: usize = 64;

/// The maximum number of members of a line beside those of its value. Timestamps and additions of
/// later versions get 4 times the limit of metadata. Texts of lists get one member for each 8
/// bytes of metadata, since each text counts at least 8 bytes.
const MORE_MEMBERS: usize = 4 * MAX_METADATA_ENTRIES + MAX_METADATA_BYTES / 8;

/// A secret as read from a line.
#[derive(Debug)]
pub struct Line {
    /// Name of the secret, not checked yet.
    pub name: String,
    /// Value of the secret.
    pub value: Value,
    /// Metadata of the secret.
    pub metadata: Metadata,
}

/// Returns the secret in a line.
///
/// # Errors
/// The first fault, with its column if it has one.
pub fn read(text: &str) -> Result<Line, String> {
    let mut reader = Reader::new(text).and(MORE_MEMBERS);
    match reader.line() {
        Ok(line) => Ok(line),
        Err(Fault::Wrong(wrong)) => Err(wrong.fault(text).in_line()),
        Err(Fault::Whole(why)) => Err(why),
    }
}

/// Fault of a line.
enum Fault {
    /// At one position.
    Wrong(Wrong),
    /// In the line as a whole.
    Whole(String),
}

impl From<Wrong> for Fault {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(wrong)
    }
}

impl Reader<'_> {
    fn line(&mut self) -> Result<Line, Fault> {
        let (mut name, mut kind) = (None, None);
        let (mut value, mut metadata, mut read_only) = (None, Metadata::new(), Vec::new());
        self.space();
        if self.peek() != Some(b'{') {
            return Ok(self.wrong("a line is one JSON object, `{...}`")?);
        }
        self.members::<Fault>(&mut |reader, key| {
            match key {
                "schema" => reader.schema()?,
                "name" => {
                    let text = reader.string("the name is a text, in double quotes")?;
                    name = Some(text.expose().to_owned());
                }
                "kind" if reader.peek() == Some(b'"') => {
                    kind = Some(reader.string("")?.expose().to_owned());
                }
                "metadata" => metadata = reader.metadata()?,
                "read_only" => read_only = reader.texts("these are keys: a list of texts")?,
                "value" => value = Some(reader.value()?),
                // `vault` names the source of the secret; a file does not choose the destination.
                _ => reader.skip(0)?,
            }
            Ok(())
        })?;
        self.space();
        if self.peek().is_some() {
            return Ok(self.wrong("there is more after the object")?);
        }
        let missing = |member| Fault::Whole(format!("the member `{member}` is missing"));
        // Another vault reported these keys; the destination reports its own.
        for key in &read_only {
            metadata.remove(key);
        }
        let name = name.ok_or_else(|| missing("name"))?;
        let value = value.ok_or_else(|| missing("value"))?;
        match kind {
            Some(kind) if kind != value.kind().as_str() => {
                Err(Fault::Whole(match ValueKind::parse(&kind) {
                    Some(kind) => format!("the kind is {kind}, and the value is not"),
                    None => "this version knows no such kind".to_owned(),
                }))
            }
            _ => Ok(Line { name, value, metadata }),
        }
    }

    fn schema(&mut self) -> Result<(), Fault> {
        let number = self.number()?.parse::<i64>();
        match number {
            Ok(SCHEMA) => Ok(()),
            _ => Err(Fault::Whole(format!("its schema is not {SCHEMA}: a later version wrote it"))),
        }
    }

    /// Reads a number, and returns its text unchanged.
    fn number(&mut self) -> Result<&str, Wrong> {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        let of_number = |b: &&u8| b.is_ascii_digit() || b"+-.eE".contains(b);
        let len = rest.iter().take_while(of_number).count();
        let number = &self.text[start..start + len];
        if !is_number(number) {
            return self.wrong("a number must follow");
        }
        self.at += len;
        Ok(number)
    }

    fn metadata(&mut self) -> Result<Metadata, Fault> {
        if self.peek() != Some(b'{') {
            return Ok(self.wrong("metadata is an object, `{...}`")?);
        }
        let mut metadata = Metadata::new();
        self.members::<Fault>(&mut |reader, key| {
            let value = reader.metadata_value()?;
            let refused = |fault: keystead_plugin_api::Error| fault.message().to_owned();
            metadata.insert(key, value).map(drop).map_err(refused).map_err(Fault::Whole)
        })?;
        Ok(metadata)
    }

    fn metadata_value(&mut self) -> Result<MetadataValue, Fault> {
        let at = self.at;
        let wrong = |why| Fault::Wrong(Wrong::new(at, why));
        match self.peek() {
            Some(b'"') => Ok(MetadataValue::Text(self.string("")?.expose().to_owned())),
            Some(b't') if self.word("true") => Ok(MetadataValue::Boolean(true)),
            Some(b'f') if self.word("false") => Ok(MetadataValue::Boolean(false)),
            Some(b'-' | b'0'..=b'9') => match self.number()?.parse() {
                Ok(number) => Ok(MetadataValue::Integer(number)),
                Err(_) => Err(wrong("a number in metadata is whole, of 64 bits")),
            },
            Some(b'{') => {
                let mut found = None;
                self.members::<Fault>(&mut |reader, key| {
                    if key != "timestamp" {
                        return Err(wrong("an object in metadata is `{\"timestamp\":...}`"));
                    }
                    found = Some(reader.string("a timestamp is a text, in double quotes")?);
                    Ok(())
                })?;
                match found.and_then(|text| millis(text.expose())) {
                    Some(at) => Ok(MetadataValue::Timestamp(at)),
                    None => Err(wrong("a timestamp is a time such as `2030-01-31T18:00:00Z`")),
                }
            }
            Some(b'[') => self.texts("a list in metadata is of texts").map(MetadataValue::TextList),
            _ => Err(wrong(
                "metadata is a text, a whole number, `true`, `false`, a timestamp or a list of texts",
            )),
        }
    }

    fn value(&mut self) -> Result<Value, Fault> {
        let node = self.node(0)?;
        let is_form = match &node.kind {
            NodeKind::Text(_) | NodeKind::Other(_) => false,
            NodeKind::Json { .. } => true,
            NodeKind::Object(members) => {
                let keys: Vec<&str> = members.iter().map(|(key, _)| key.as_str()).collect();
                match keys.as_slice() {
                    ["map"] => members[0].1.kind.is_object(),
                    ["text" | "base64"] | ["user", "password"] | ["password", "user"] => {
                        members.iter().all(|(_, node)| node.kind.is_text())
                    }
                    _ => false,
                }
            }
        };
        if !is_form {
            let why = "a value is `{\"text\":...}`, `{\"base64\":...}`, \
                       `{\"user\":...,\"password\":...}`, `{\"map\":{...}}` or `{\"json\":...}`";
            return Err(Fault::Wrong(Wrong::new(node.at, why)));
        }
        let value = as_value(self.text, node)?;
        // Checked here, so that a value that no vault can hold is a fault of one line.
        value.encoded_len().map_err(|fault| Fault::Whole(fault.message().to_owned()))?;
        Ok(value)
    }

    /// Reads a list of texts.
    fn texts(&mut self, expected: &'static str) -> Result<Vec<String>, Fault> {
        if self.peek() != Some(b'[') {
            return Ok(self.wrong(expected)?);
        }
        let mut texts = Vec::new();
        self.items::<Fault>(&mut |reader| {
            texts.push(reader.string(expected)?.expose().to_owned());
            Ok(())
        })?;
        Ok(texts)
    }

    /// Reads any JSON value, and discards it.
    fn skip(&mut self, level: usize) -> Result<(), Fault> {
        if level > MAX_UNKNOWN_LEVELS {
            return Ok(self.wrong("this is nested too deep")?);
        }
        match self.peek() {
            Some(b'"') => self.string("").map(drop)?,
            Some(b'-' | b'0'..=b'9') => self.number().map(drop)?,
            Some(b'{') => return self.members::<Fault>(&mut |reader, _| reader.skip(level + 1)),
            Some(b'[') => return self.items(&mut |reader| reader.skip(level + 1)),
            _ if self.word("true") || self.word("false") || self.word("null") => {}
            _ => return Ok(self.wrong("JSON must follow")?),
        }
        Ok(())
    }

    /// Reads a list, item by item.
    fn items<E: From<Wrong>>(
        &mut self,
        each: &mut dyn FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            self.count()?;
            each(self)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Ok(self.wrong("a `,` or `]` must follow")?),
            }
        }
    }

    fn word(&mut self, word: &str) -> bool {
        let there = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += if there { word.len() } else { 0 };
        there
    }
}

/// Returns whether this text is a JSON number.
fn is_number(text: &str) -> bool {
    fn digits(text: &str) -> Option<&str> {
        let len = text.bytes().take_while(u8::is_ascii_digit).count();
        (len > 0).then(|| &text[len..])
    }
    let text = text.strip_prefix('-').unwrap_or(text);
    let whole = match text.strip_prefix('0') {
        Some(rest) => Some(rest),
        None => digits(text),
    };
    let Some(mut rest) = whole else { return false };
    if let Some(fraction) = rest.strip_prefix('.') {
        let Some(behind) = digits(fraction) else { return false };
        rest = behind;
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let Some(behind) = digits(exponent) else { return false };
        rest = behind;
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use keystead_plugin_api::MAX_VALUE_ENTRIES;

    use super::*;

    const HEAD: &str = "{\"schema\":1,\"name\":\"a\"";

    fn line(rest: &str) -> Result<Line, String> {
        read(&format!("{HEAD},{rest}}}"))
    }

    #[test]
    fn value_of_each_kind_is_parsed() {
        let value = |form: &str| line(&format!("\"value\":{form}")).unwrap().value;
        assert_eq!(value("{\"text\":\"x\"}"), Value::text("x"));
        assert_eq!(value("{\"base64\":\"AAH/\"}"), Value::bytes(vec![0, 1, 255]));
        assert_eq!(value("{\"user\":\"u\",\"password\":\"p\"}"), Value::credential("u", "p"));
        assert_eq!(value("{\"json\": [1.0, null]}"), Value::json("[1.0, null]").unwrap());
        assert_eq!(value("{\"json\":{\"text\":\"x\"}}"), Value::json("{\"text\":\"x\"}").unwrap());
        let Value::Map(map) = value("{\"map\":{\"n\":5,\"json\":\"j\"}}") else { panic!() };
        assert_eq!(map.get("n"), Some(&Value::json("5").unwrap()));
        assert_eq!(map.get("json"), Some(&Value::text("j")));
        let Value::Map(map) = value("{\"map\":{\"text\":{\"text\":\"t\"}}}") else { panic!() };
        assert_eq!(map.get("text"), Some(&Value::text("t")));
    }

    #[test]
    fn metadata_keeps_value_types() {
        let metadata = line(
            "\"metadata\":{\"s\":\"1\",\"n\":-3,\"b\":true,\
             \"t\":{\"timestamp\":\"1970-01-02T00:00:00Z\"}},\"value\":{\"text\":\"\"}",
        )
        .unwrap()
        .metadata;
        assert_eq!(metadata.get("s"), Some(&MetadataValue::Text("1".into())));
        assert_eq!(metadata.get("n"), Some(&MetadataValue::Integer(-3)));
        assert_eq!(metadata.get("b"), Some(&MetadataValue::Boolean(true)));
        assert_eq!(metadata.get("t"), Some(&MetadataValue::Timestamp(86_400_000)));
    }

    #[test]
    fn unknown_members_are_ignored() {
        let found = line(
            "\"vault\":null,\"history\":[1,-0.5e+3,{\"a\":[]},true,false,null,\"x\"],\
             \"kind\":null,\"value\":{\"text\":\"x\"},\"last\":{}",
        );
        assert_eq!(found.unwrap().value, Value::text("x"));
    }

    #[test]
    fn parse_error_has_column_and_no_input_text() {
        for (text, why) in [
            ("", "column 1: a line is one JSON object, `{...}`"),
            ("[]", "column 1: a line is one JSON object, `{...}`"),
            ("{}", "the member `name` is missing"),
            ("{\"schema\":1}", "the member `name` is missing"),
            (HEAD, "column 23: a `,` or `}` must follow"),
            ("{\"schema\":1,\"name\":\"a\"}", "the member `value` is missing"),
            ("{\"schema\":2,\"canary\"", "its schema is not 1: a later version wrote it"),
            ("{\"schema\":\"1\"}", "column 11: a number must follow"),
            ("{\"schema\":01}", "column 11: a number must follow"),
            ("{\"name\":3}", "column 9: the name is a text, in double quotes"),
            ("{\"x\":1,\"x\":2}", "column 8: this name stands in the object twice"),
            ("{\"x\":canary}", "column 6: JSON must follow"),
            ("{\"x\":[1 2]}", "column 9: a `,` or `]` must follow"),
            ("{\"x\":1.}", "column 6: a number must follow"),
        ] {
            assert_eq!(read(text).unwrap_err(), why, "{text}");
        }
        for (rest, why) in [
            (
                "\"value\":\"canary\"",
                "column 32: a value is `{\"text\":...}`, `{\"base64\":...}`, \
                 `{\"user\":...,\"password\":...}`, `{\"map\":{...}}` or `{\"json\":...}`",
            ),
            ("\"value\":{\"base64\":\"canary\"}", "column 32: this is not base64"),
            (
                "\"kind\":\"bytes\",\"value\":{\"text\":\"canary\"}",
                "the kind is bytes, and the value is not",
            ),
            ("\"kind\":\"link\",\"value\":{\"text\":\"\"}", "this version knows no such kind"),
            ("\"metadata\":[]", "column 35: metadata is an object, `{...}`"),
            ("\"metadata\":{\"n\":1.5}", "column 40: a number in metadata is whole, of 64 bits"),
            (
                "\"metadata\":{\"t\":{\"timestamp\":\"soon\"}}",
                "column 40: a timestamp is a time such as `2030-01-31T18:00:00Z`",
            ),
            (
                "\"metadata\":{\"\":1}",
                "a metadata key is 1 to 256 bytes without control characters",
            ),
        ] {
            assert_eq!(line(rest).unwrap_err(), why, "{rest}");
        }
        for form in [
            "{\"link\":\"canary\"}",
            "{\"text\":{}}",
            "{\"text\":1}",
            "{\"map\":\"x\"}",
            "{\"map\":[]}",
            "{\"user\":\"\"}",
            "{\"user\":1,\"password\":\"\"}",
            "{\"json\":1,\"text\":\"\"}",
            "5",
            "[]",
            "null",
        ] {
            assert!(line(&format!("\"value\":{form}")).is_err(), "{form}");
        }
    }

    #[test]
    fn map_above_entry_limit_is_rejected() {
        let map = |number: usize| {
            let members: Vec<String> =
                (0..number).map(|at| format!("\"{at}\":{{\"text\":\"\"}}")).collect();
            line(&format!("\"value\":{{\"map\":{{{}}}}}", members.join(",")))
        };
        assert!(map(MAX_VALUE_ENTRIES).is_ok());
        assert_eq!(
            map(MAX_VALUE_ENTRIES + 1).unwrap_err(),
            "the value has more than 10000 entries"
        );
    }

    #[test]
    fn unknown_member_above_depth_limit_is_rejected() {
        for open in ["[", "{\"a\":"] {
            assert!(
                read(&format!("{{\"x\":{}", open.repeat(100_000))).unwrap_err().contains("deep")
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn line_parser_never_panics(text in ".*", rest in ".*") {
            let _ = read(&text);
            let _ = line(&rest);
        }
    }
}
