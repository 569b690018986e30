//! The one byte form of a value: what crosses the boundary, the runner's socket and a
//! C table. Written and read without recursion into hostile depth, limits checked first.
//!
//! Integers are little-endian `u32`. A node is a kind, then
//! text, bytes, json: length, bytes · credential: length, user, length, password ·
//! map: count, then per entry length, key, node. The outermost kind travels beside the
//! bytes, so that an unknown one can be refused without reading them.

use zeroize::Zeroize;

use super::{
    Credential, JsonText, Map, SecretBytes, SecretText, Value, ValueKind, MAX_VALUE_BYTES,
    MAX_VALUE_DEPTH, MAX_VALUE_ENTRIES,
};
use crate::error::{Error, Result};

impl Value {
    /// Returns the value's byte form, without its kind.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when it exceeds
    /// [`MAX_VALUE_BYTES`], [`MAX_VALUE_DEPTH`] or [`MAX_VALUE_ENTRIES`].
    pub fn encode(&self) -> Result<SecretBytes> {
        let size = measure(self)?;
        // Reserved once: a buffer that grows leaves copies of the secret behind.
        let mut out = Vec::with_capacity(size);
        write(self, &mut out);
        debug_assert_eq!(out.len(), size);
        Ok(SecretBytes::new(out))
    }

    /// Appends the byte form of a value that was measured, and so keeps its limits.
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        write(self, out);
    }

    /// Returns how many bytes its byte form has.
    ///
    /// # Errors
    /// As for [`Value::encode`].
    pub fn encoded_len(&self) -> Result<usize> {
        measure(self)
    }

    /// Returns the value of this kind that these bytes stand for.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for a kind this version
    /// does not know, at any depth; [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for
    /// bytes that are not such a value or exceed a limit.
    pub fn decode(kind: u32, bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_VALUE_BYTES {
            return Err(too_large(bytes.len()));
        }
        let mut reader = Reader { rest: bytes, entries: 0 };
        let value = reader.node(kind)?;
        if reader.rest.is_empty() {
            Ok(value)
        } else {
            Err(Error::invalid(format!("{} bytes follow the value", reader.rest.len())))
        }
    }
}

fn too_large(size: usize) -> Error {
    Error::invalid(format!(
        "the value has {size} bytes in its encoded form; the most is {MAX_VALUE_BYTES}"
    ))
}

fn too_deep() -> Error {
    Error::invalid(format!("the value has more than {MAX_VALUE_DEPTH} levels"))
}

fn too_many() -> Error {
    Error::invalid(format!("the value has more than {MAX_VALUE_ENTRIES} entries"))
}

/// Returns the size of the encoded form; walks with a stack of its own.
fn measure(value: &Value) -> Result<usize> {
    let mut size = 0_usize;
    let mut entries = 0_usize;
    let mut todo = vec![(value, 1_usize)];
    while let Some((node, depth)) = todo.pop() {
        if depth > MAX_VALUE_DEPTH {
            return Err(too_deep());
        }
        size += match node {
            Value::Text(text) => 4 + text.expose().len(),
            Value::Bytes(bytes) => 4 + bytes.len(),
            Value::Json(json) => 4 + json.expose().len(),
            Value::Credential(credential) => {
                8 + credential.user.len() + credential.password.expose().len()
            }
            Value::Map(map) => {
                entries += map.len();
                if entries > MAX_VALUE_ENTRIES {
                    return Err(too_many());
                }
                todo.extend(map.iter().map(|(_, child)| (child, depth + 1)));
                4 + map.iter().map(|(key, _)| 8 + key.len()).sum::<usize>()
            }
            #[cfg(feature = "next")]
            Value::Link(text) => 4 + text.expose().len(),
        };
        if size > MAX_VALUE_BYTES {
            return Err(too_large(size));
        }
    }
    Ok(size)
}

/// Appends the node; recursion is bounded by [`measure`], which ran first.
fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => write_bytes(text.expose().as_bytes(), out),
        Value::Bytes(bytes) => write_bytes(bytes.expose(), out),
        Value::Json(json) => write_bytes(json.expose().as_bytes(), out),
        Value::Credential(credential) => {
            write_bytes(credential.user.as_bytes(), out);
            write_bytes(credential.password.expose().as_bytes(), out);
        }
        Value::Map(map) => {
            write_u32(map.len(), out);
            for (key, child) in map.iter() {
                write_bytes(key.as_bytes(), out);
                out.extend_from_slice(&child.kind().code().to_le_bytes());
                write(child, out);
            }
        }
        #[cfg(feature = "next")]
        Value::Link(text) => write_bytes(text.expose().as_bytes(), out),
    }
}

fn write_u32(number: usize, out: &mut Vec<u8>) {
    let number = u32::try_from(number).expect("`measure` keeps sizes below 16 MiB");
    out.extend_from_slice(&number.to_le_bytes());
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_u32(bytes.len(), out);
    out.extend_from_slice(bytes);
}

struct Reader<'a> {
    rest: &'a [u8],
    entries: usize,
}

/// A map whose entries are still being read, and the key it will have in its parent.
struct Open {
    map: Map,
    missing: usize,
    key: String,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        if count > self.rest.len() {
            return Err(Error::invalid("the value's bytes end too early"));
        }
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(bytes))
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let count = self.number()? as usize;
        self.take(count)
    }

    fn plain(&mut self) -> Result<String> {
        match std::str::from_utf8(self.bytes()?) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(Error::invalid("a key or user name in the value is not UTF-8")),
        }
    }

    fn text(&mut self) -> Result<SecretText> {
        SecretText::copy_of(self.bytes()?)
    }

    fn map(&mut self, key: String) -> Result<Open> {
        let missing = self.number()? as usize;
        self.entries = self.entries.saturating_add(missing);
        if self.entries > MAX_VALUE_ENTRIES {
            return Err(too_many());
        }
        Ok(Open { map: Map::new(), missing, key })
    }

    fn leaf(&mut self, kind: ValueKind) -> Result<Value> {
        Ok(match kind {
            ValueKind::Text => Value::Text(self.text()?),
            ValueKind::Bytes => Value::Bytes(SecretBytes::copy_of(self.bytes()?)),
            ValueKind::Json => Value::Json(JsonText::copy_of(self.bytes()?)?),
            ValueKind::Credential => {
                Value::Credential(Credential { user: self.plain()?, password: self.text()? })
            }
            ValueKind::Map => unreachable!("maps are opened, never read as a leaf"),
            #[cfg(feature = "next")]
            ValueKind::Link => Value::Link(self.text()?),
        })
    }

    /// Reads one value; open maps wait on a stack of our own that is never deeper than
    /// the limit.
    fn node(&mut self, kind: u32) -> Result<Value> {
        let mut open: Vec<Open> = Vec::new();
        let mut kind = kind;
        let mut key = String::new();
        loop {
            if open.len() >= MAX_VALUE_DEPTH {
                return Err(too_deep());
            }
            let known = ValueKind::from_code(kind).ok_or_else(|| {
                Error::unsupported(format!("the value is of kind {kind}, unknown here"))
            })?;
            if known == ValueKind::Map {
                let map = self.map(std::mem::take(&mut key))?;
                open.push(map);
            } else {
                let value = self.leaf(known)?;
                match open.last_mut() {
                    None => return Ok(value),
                    Some(parent) => parent.map.push(std::mem::take(&mut key), value),
                }
            }
            // Close every map that is full, then read the next entry of the innermost.
            loop {
                let innermost = open.last_mut().expect("a leaf outside a map has returned");
                if innermost.missing > 0 {
                    innermost.missing -= 1;
                    break;
                }
                let full = open.pop().expect("just seen");
                unique(&full.map)?;
                let value = Value::Map(full.map);
                match open.last_mut() {
                    None => return Ok(value),
                    Some(parent) => parent.map.push(full.key, value),
                }
            }
            key.zeroize();
            key = self.plain()?;
            kind = self.number()?;
        }
    }
}

/// Refuses a map that has a key twice: one of the two would be lost without a word.
fn unique(map: &Map) -> Result<()> {
    let mut keys: Vec<&str> = map.iter().map(|(key, _)| key).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Error::invalid("a map in the value has a key twice"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn nested(levels: usize) -> Value {
        let mut value = Value::text("innermost");
        for _ in 1..levels {
            let mut map = Map::new();
            map.insert("k", value);
            value = Value::Map(map);
        }
        value
    }

    fn round_trip(value: &Value) -> Value {
        Value::decode(value.kind().code(), value.encode().unwrap().expose()).unwrap()
    }

    #[test]
    fn every_value_kind_round_trips() {
        let mut map = Map::new();
        map.insert("text", Value::text("é"));
        map.insert("none", Value::bytes(vec![]));
        map.insert("cred", Value::credential("bob", "pw"));
        map.insert("empty map", Value::Map(Map::new()));
        map.insert("deeper", nested(5));
        map.insert("", Value::text("the empty key"));
        for value in [
            Value::text(""),
            Value::text("a\0b"),
            Value::bytes(vec![0, 255]),
            Value::credential("", ""),
            Value::Map(Map::new()),
            Value::Map(map),
            Value::json(" [1.0, null]").unwrap(),
        ] {
            assert_eq!(round_trip(&value), value);
            assert_eq!(value.duplicate(), value);
        }
    }

    #[test]
    fn value_limits_are_exact() {
        assert_eq!(round_trip(&nested(16)), nested(16));
        assert_eq!(nested(17).encode().unwrap_err().kind(), ErrorKind::Invalid);

        let largest = Value::bytes(vec![7; MAX_VALUE_BYTES - 4]);
        assert_eq!(largest.encode().unwrap().len(), MAX_VALUE_BYTES);
        assert!(Value::bytes(vec![7; MAX_VALUE_BYTES - 3]).encode().is_err());

        let many = |count: usize| {
            let entries = (0..count).map(|n| (n.to_string(), Value::bytes(vec![])));
            Value::Map(Map(entries.collect()))
        };
        assert_eq!(round_trip(&many(10_000)).kind(), ValueKind::Map);
        assert!(many(10_001).encode().is_err());
    }

    #[test]
    fn million_map_levels_are_rejected_without_recursion() {
        let mut bytes = Vec::new();
        for _ in 0..1_000_000 {
            bytes.extend_from_slice(&1_u32.to_le_bytes());
            bytes.extend_from_slice(&0_u32.to_le_bytes());
            bytes.extend_from_slice(&ValueKind::Map.code().to_le_bytes());
        }
        let error = Value::decode(ValueKind::Map.code(), &bytes).unwrap_err();
        assert_eq!(error.message(), "the value has more than 16 levels");
    }

    #[test]
    fn oversized_count_is_rejected() {
        let error = Value::decode(ValueKind::Map.code(), &u32::MAX.to_le_bytes()).unwrap_err();
        assert_eq!(error.message(), "the value has more than 10000 entries");
        let error = Value::decode(ValueKind::Text.code(), &u32::MAX.to_le_bytes()).unwrap_err();
        assert_eq!(error.message(), "the value's bytes end too early");
    }

    #[test]
    fn unknown_value_kind_at_any_depth_is_unsupported() {
        assert_eq!(Value::decode(99, &[]).unwrap_err().kind(), ErrorKind::Unsupported);
        let mut bytes = 1_u32.to_le_bytes().to_vec();
        bytes.extend_from_slice(&0_u32.to_le_bytes());
        bytes.extend_from_slice(&99_u32.to_le_bytes());
        let error = Value::decode(ValueKind::Map.code(), &bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn duplicate_key_or_trailing_bytes_are_rejected() {
        let twice =
            Value::Map(Map(vec![("k".into(), Value::text("1")), ("k".into(), Value::text("2"))]));
        let bytes = twice.encode().unwrap();
        assert!(Value::decode(ValueKind::Map.code(), bytes.expose()).is_err());
        let mut bytes = Value::text("x").encode().unwrap().expose().to_vec();
        bytes.push(0);
        assert!(Value::decode(ValueKind::Text.code(), &bytes).is_err());
    }
}
