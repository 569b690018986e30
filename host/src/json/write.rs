//! A value as JSON, in memory that is wiped: its length is counted first, so that nothing
//! grows.

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
        // A kind of a later contract reaches nobody who was built with this one.
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

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any map of a few fields and levels.
    pub(crate) fn any_map() -> impl Strategy<Value = Map> {
        let leaf = prop_oneof![
            ".*".prop_map(Made::Text),
            proptest::collection::vec(any::<u8>(), 0..9).prop_map(Made::Bytes),
            (".*", ".*").prop_map(|(user, password)| Made::Credential(user, password)),
        ];
        let value = leaf.prop_recursive(3, 12, 4, |inner| {
            proptest::collection::btree_map(".*", inner, 0..4).prop_map(Made::Map)
        });
        proptest::collection::btree_map(".*", value, 0..4).prop_map(to_map)
    }

    /// A value that can be cloned, which proptest asks for and secrets refuse.
    #[derive(Debug, Clone)]
    enum Made {
        Text(String),
        Bytes(Vec<u8>),
        Credential(String, String),
        Map(std::collections::BTreeMap<String, Made>),
    }

    fn to_map(made: std::collections::BTreeMap<String, Made>) -> Map {
        let mut map = Map::new();
        for (key, value) in made {
            let value = match value {
                Made::Text(text) => Value::text(text),
                Made::Bytes(bytes) => Value::bytes(bytes),
                Made::Credential(user, password) => Value::credential(user, password),
                Made::Map(inner) => Value::Map(to_map(inner)),
            };
            map.insert(key, value);
        }
        map
    }

    #[test]
    fn the_value_is_the_last_member_and_one_line() {
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
}
