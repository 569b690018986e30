//! The secrets everything is measured with: the same names and values for every program.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use crate::Result;

/// Returns the name of a secret: one that every program takes, those with variables for
/// secrets too.
pub(super) fn name(index: usize) -> String {
    format!("SECRET_{index:07}")
}

/// Returns the value of a secret: 32 characters, no two alike.
pub(super) fn value(index: usize) -> String {
    format!("value-{index:07}-0123456789abcdefgh")
}

/// Returns which of so many secrets is read: one in the middle, that no order favours.
pub(super) fn measured(secrets: usize) -> usize {
    secrets / 2
}

/// Writes so many secrets as `keystead import` reads them.
pub(super) fn write_lines(file: &Path, secrets: usize) -> Result<()> {
    let mut lines = BufWriter::new(fs_err::File::create(file)?);
    for index in 0..secrets {
        let (name, value) = (name(index), value(index));
        writeln!(
            lines,
            r#"{{"schema":1,"name":"{name}","kind":"text","value":{{"text":"{value}"}}}}"#
        )?;
    }
    Ok(lines.flush()?)
}

/// Returns a number as people read it: `1,000,000`.
pub(super) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_32_characters_and_numbers_have_commas() {
        assert_eq!((value(0).len(), value(999_999).len()), (32, 32));
        let shown = [1, 999, 1000, 100_000, 1_000_000].map(grouped);
        assert_eq!(shown, ["1", "999", "1,000", "100,000", "1,000,000"]);
    }
}
