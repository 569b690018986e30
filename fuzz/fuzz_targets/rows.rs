//! What holds of the rows of every form that others write.

use std::collections::HashSet;

use keystead_exchange::{Error, Rows};
use keystead_plugin_api::{MAX_VALUE_DEPTH, Value};

/// Reads everything twice and looks at it.
pub fn check<R: Rows>(open: impl Fn() -> Result<R, Error>) {
    let read = || -> Vec<String> {
        let Ok(mut rows) = open() else { return Vec::new() };
        let mut names = HashSet::new();
        let mut seen = Vec::new();
        for row in &mut rows {
            match row.expect("what is in memory can be read") {
                Ok(row) => {
                    let name = row.name.as_str().to_lowercase();
                    assert!(names.insert(name), "two of one name");
                    assert!(depth(&row.value) <= MAX_VALUE_DEPTH);
                    seen.push(format!("{}: {}", row.at, row.name));
                }
                Err(bad) => {
                    assert!(!bad.why.is_empty() && bad.why.len() < 600, "{}", bad.why);
                    seen.push(bad.to_string());
                }
            }
        }
        assert!(rows.next().is_none());
        seen.extend(rows.left_out());
        seen.extend(rows.plan());
        seen
    };
    assert!(read() == read(), "two runs differ");
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Map(map) => 1 + map.iter().map(|(_, value)| depth(value)).max().unwrap_or(0),
        _ => 1,
    }
}
