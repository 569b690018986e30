//! Writes a value as JSON, in memory that is wiped. Counts the length first, so that the
//! buffer does not grow.

use std::convert::Infallible;

use keystead_plugin_api::{Map, Value};
use zeroize::Zeroizing;

use super::{base64, escaped};
use crate::escape::is_harmful;

/// Returns a JSON object: `head`, an object that is not secret, with the value as its last
/// member, and a newline.
pub fn object(head: &str, value: &Value) -> Zeroizing<Vec<u8>> {
    let head = head.strip_suffix('}').expect("the head is an object with members");
    counted(|out| {
        out.put(head.as_bytes());
        out.put(b",\"value\":");
        write(out, value);
        out.put(b"}\n");
    })
}

/// Returns a map as the JSON object that [`super::read::map`] reads.
#[cfg(test)]
pub fn map(map: &Map) -> Zeroizing<Vec<u8>> {
    counted(|out| members(out, map))
}

/// Runs the writer twice: to count, and to write.
fn counted(run: impl Fn(&mut Sink)) -> Zeroizing<Vec<u8>> {
    let mut count = Sink { bytes: None, len: 0 };
    run(&mut count);
    let mut sink = Sink { bytes: Some(Zeroizing::new(Vec::with_capacity(count.len))), len: 0 };
    run(&mut sink);
    sink.bytes.unwrap_or_default()
}

struct Sink {
    bytes: Option<Zeroizing<Vec<u8>>>,
    len: usize,
}

impl Sink {
    fn put(&mut self, piece: &[u8]) {
        self.len += piece.len();
        if let Some(bytes) = &mut self.bytes {
            bytes.extend_from_slice(piece);
        }
    }
}

fn write(out: &mut Sink, value: &Value) {
    match value {
        Value::Text(text) => {
            out.put(b"{\"text\":");
            string(out, text.expose());
            out.put(b"}");
        }
        Value::Bytes(bytes) => {
            out.put(b"{\"base64\":\"");
            base64::encode(bytes.expose(), |four| out.put(four));
            out.put(b"\"}");
        }
        Value::Credential(credential) => {
            out.put(b"{\"user\":");
            string(out, &credential.user);
            out.put(b",\"password\":");
            string(out, credential.password.expose());
            out.put(b"}");
        }
        Value::Map(map) => {
            out.put(b"{\"map\":");
            members(out, map);
            out.put(b"}");
        }
        Value::Json(text) => {
            out.put(b"{\"json\":");
            json(out, text.expose());
            out.put(b"}");
        }
        // A value kind of a later plugin API never reaches a program built with this one.
        _ => out.put(b"null"),
    }
}

fn members(out: &mut Sink, map: &Map) {
    out.put(b"{");
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 {
            out.put(b",");
        }
        string(out, key);
        out.put(b":");
        write(out, value);
    }
    out.put(b"}");
}

fn string(out: &mut Sink, text: &str) {
    let is_escaped = |c| matches!(c, '"' | '\\') || is_harmful(c);
    out.put(b"\"");
    let Ok(()) = escaped::pieces(text, is_escaped, |piece| {
        out.put(piece);
        Ok::<(), Infallible>(())
    });
    out.put(b"\"");
}

/// Writes a JSON text unchanged except for harmful characters. In strings they are escaped; between
/// strings they are line ends or tabs, and become spaces.
fn json(out: &mut Sink, text: &str) {
    let (mut is_string, mut is_escape, mut from) = (false, false, 0);
    for (at, c) in text.char_indices() {
        if is_harmful(c) {
            out.put(&text.as_bytes()[from..at]);
            from = at + c.len_utf8();
            match is_string {
                true => harmful(out, &text[at..from]),
                false => out.put(b" "),
            }
        }
        is_string ^= c == '"' && !is_escape;
        is_escape = is_string && c == '\\' && !is_escape;
    }
    out.put(&text.as_bytes()[from..]);
}

fn harmful(out: &mut Sink, c: &str) {
    let Ok(()) = escaped::pieces(c, is_harmful, |piece| {
        out.put(piece);
        Ok::<(), Infallible>(())
    });
}

/// Returns a text as a JSON string.
pub fn text(text: &str) -> Zeroizing<Vec<u8>> {
    counted(|out| string(out, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_last_member_on_single_line() {
        let mut map = Map::new();
        map.insert("a\"b", Value::bytes(vec![1, 2]));
        map.insert("c", Value::credential("u", "p\n\u{1}é\u{9b}\u{202e}\u{e0041}"));
        let line = object("{\"schema\":1}", &Value::Map(map));
        assert_eq!(
            std::str::from_utf8(&line).unwrap(),
            "{\"schema\":1,\"value\":{\"map\":{\"a\\\"b\":{\"base64\":\"AQI=\"},\
             \"c\":{\"user\":\"u\",\"password\":\"p\\n\\u0001é\\u009b\\u202e\\udb40\\udc41\"}}}}\n"
        );
        assert_eq!(line.len(), line.capacity(), "it grew");
    }

    #[test]
    fn json_value_keeps_text_except_harmful_characters() {
        for (text, expected) in [
            ("1.50e+02", "1.50e+02"),
            (
                "[ 1 ,\n\t\"a\\n\\\"\\\\\",\r\n{\"b\":null}]",
                "[ 1 ,  \"a\\n\\\"\\\\\",  {\"b\":null}]",
            ),
            ("\"\u{9b}\u{202e}\u{7f}\u{e0041}é\"", "\"\\u009b\\u202e\\u007f\\udb40\\udc41é\""),
            ("{\"\u{2028}\":\"\\ud800\"}", "{\"\\u2028\":\"\\ud800\"}"),
        ] {
            let line = object("{\"schema\":1}", &Value::json(text).unwrap());
            let line = std::str::from_utf8(&line).unwrap();
            assert_eq!(line, format!("{{\"schema\":1,\"value\":{{\"json\":{expected}}}}}\n"));
        }
        assert_eq!(*text("a\"\n"), b"\"a\\\"\\n\"");
    }
}
