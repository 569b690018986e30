//! The rows of a reader, as the text that tests compare.

use std::fmt::Write as _;

use keystead_plugin_api::{MetadataValue, Value};

use super::{BadRow, Error, Row};

/// Returns a line for each row, with its value and its metadata indented below it.
pub(super) fn shown(
    rows: impl Iterator<Item = Result<Result<Row, BadRow>, Error>>,
) -> Result<String, Error> {
    let mut text = String::new();
    for row in rows {
        match row? {
            Ok(row) => {
                writeln!(text, "{}: {}", row.at, row.name).unwrap();
                one(&mut text, "  ", &row.value);
                for (key, value) in row.metadata.iter() {
                    let value = match value {
                        MetadataValue::Text(text) => text.clone(),
                        MetadataValue::Timestamp(millis) => {
                            jiff::Timestamp::from_millisecond(*millis).unwrap().to_string()
                        }
                        other => format!("{other:?}"),
                    };
                    writeln!(text, "  [{key}] {value}").unwrap();
                }
            }
            Err(bad) => {
                assert!(!bad.why.contains("canary"), "{}", bad.why);
                writeln!(text, "{}: BAD: {}", bad.at, bad.why).unwrap();
            }
        }
    }
    Ok(text)
}

fn one(text: &mut String, indent: &str, value: &Value) {
    match value {
        Value::Text(one) => writeln!(text, "{indent}{:?}", one.expose()).unwrap(),
        Value::Bytes(bytes) => writeln!(text, "{indent}{} bytes", bytes.len()).unwrap(),
        Value::Credential(one) => {
            writeln!(text, "{indent}{:?} / {:?}", one.user, one.password.expose()).unwrap();
        }
        Value::Map(map) => {
            for (key, value) in map.iter() {
                write!(text, "{indent}{key}: ").unwrap();
                match value {
                    Value::Map(_) => {
                        writeln!(text).unwrap();
                        one(text, &format!("{indent}  "), value);
                    }
                    plain => one(text, "", plain),
                }
            }
        }
        Value::Json(json) => writeln!(text, "{indent}json {}", json.expose()).unwrap(),
        _ => unreachable!("there are five kinds"),
    }
}

/// Reads a file with changed bytes, in two thousand ways that are the same each time.
pub(super) fn changed(good: &[u8], mut read: impl FnMut(&[u8])) {
    let mut state = 1_u64;
    // The numbers of Knuth's MMIX.
    let mut next = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    for _ in 0..2_000 {
        let mut bytes = good.to_vec();
        for _ in 0..=next(4) {
            let at = next(bytes.len());
            match next(5) {
                0 => bytes.truncate(at),
                1 => drop(bytes.drain(at..(at + next(40)).min(bytes.len()))),
                2 => bytes.insert(at, b"{}[],:\"\\\n\xff0"[next(11)]),
                3 if at < bytes.len() => bytes[at] = next(256) as u8,
                _ => {
                    let piece = bytes[at..(at + next(40)).min(bytes.len())].to_vec();
                    let to = next(bytes.len());
                    bytes.splice(to..to, piece);
                }
            }
        }
        read(&bytes);
    }
}
