//! Rows read once and passed twice: for rows that need gpg or the user, such as those of `pass`.

use keystead_plugin_api::Value;

use super::{BadRow, Error, Row, Rows, input};

/// Passes on rows, and keeps them in memory that is wiped.
pub struct Keeping {
    from: Box<dyn Rows>,
    rows: Vec<Result<Row, BadRow>>,
    bytes: usize,
}

impl Keeping {
    /// Returns these rows, which are kept as they are read.
    pub fn new(from: Box<dyn Rows>) -> Self {
        Self { from, rows: Vec::new(), bytes: 0 }
    }

    /// Returns the rows that were read, from the first one on.
    pub fn again(self) -> Box<dyn Rows> {
        let (plan, left_out, is_keyed) =
            (self.from.plan(), self.from.left_out(), self.from.is_keyed());
        Box::new(Kept { rows: self.rows.into_iter(), plan, left_out, is_keyed })
    }
}

impl Rows for Keeping {
    fn plan(&self) -> Vec<String> {
        self.from.plan()
    }

    fn left_out(&self) -> Vec<String> {
        self.from.left_out()
    }

    fn is_keyed(&self) -> bool {
        self.from.is_keyed()
    }
}

impl Iterator for Keeping {
    type Item = Result<Result<Row, BadRow>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = match self.from.next()? {
            Ok(row) => row,
            Err(error) => return Some(Err(error)),
        };
        if let Ok(row) = &row {
            self.bytes += row.value.encoded_len().unwrap_or_default();
        }
        if self.bytes > input::MAX_BYTES {
            let why = format!("it has more than {} MiB", input::MAX_BYTES / 1024 / 1024);
            return Some(Err(Error::NotOfForm { form: super::pass::FORM, why }));
        }
        self.rows.push(duplicate(&row));
        Some(Ok(row))
    }
}

fn duplicate(row: &Result<Row, BadRow>) -> Result<Row, BadRow> {
    match row {
        Ok(Row { at, name, value, metadata }) => Ok(Row {
            at: at.clone(),
            name: name.clone(),
            value: Value::duplicate(value),
            metadata: metadata.clone(),
        }),
        Err(bad) => Err(bad.clone()),
    }
}

/// Rows that were kept.
struct Kept {
    rows: std::vec::IntoIter<Result<Row, BadRow>>,
    plan: Vec<String>,
    left_out: Vec<String>,
    is_keyed: bool,
}

impl Rows for Kept {
    fn plan(&self) -> Vec<String> {
        self.plan.clone()
    }

    fn left_out(&self) -> Vec<String> {
        self.left_out.clone()
    }

    fn is_keyed(&self) -> bool {
        self.is_keyed
    }
}

impl Iterator for Kept {
    type Item = Result<Result<Row, BadRow>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next().map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::super::json_lines::JsonLines;
    use super::super::shown::shown;
    use super::*;

    #[test]
    fn rows_are_the_same_again() {
        let text = b"{\"name\":\"a\",\"value\":{\"text\":\"x\"},\"metadata\":{\"k\":1}}\nbroken\n";
        let mut first = Keeping::new(Box::new(JsonLines::new(&text[..])));
        let read = shown(&mut first).unwrap();
        assert_eq!(shown(first.again()).unwrap(), read);
        assert!(read.contains("a\n  \"x\"") && read.contains("line 2: BAD"), "{read}");
    }
}
