//! What a reader made of a file, as the text that tests compare.

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
        _ => unreachable!("there are four kinds"),
    }
}
