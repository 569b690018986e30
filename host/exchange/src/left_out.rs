//! Counts data that a reader skips, for a report after the last row.

/// A kind of skipped data: its singular and its plural.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thing(pub(super) &'static str, pub(super) &'static str);

/// Data skipped so far.
#[derive(Debug, Default)]
pub(super) struct LeftOut(Vec<(Thing, u64)>);

impl LeftOut {
    pub(super) fn count(&mut self, thing: Thing, number: u64) {
        if number == 0 {
            return;
        }
        match self.0.iter_mut().find(|(known, _)| *known == thing) {
            Some((_, count)) => *count += number,
            None => self.0.push((thing, number)),
        }
    }

    /// Returns a line for each kind, in order of first occurrence: `2 items of the trash`.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(Thing(one, many), count)| match count {
            1 => format!("1 {one}"),
            several => format!("{several} {many}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_things_are_counted_in_order_of_appearance() {
        let (item, file) = (Thing("item", "items"), Thing("file", "files"));
        let mut left_out = LeftOut::default();
        for (thing, number) in [(file, 1), (item, 0), (item, 2), (item, 1)] {
            left_out.count(thing, number);
        }
        assert_eq!(left_out.lines().collect::<Vec<_>>(), ["1 file", "3 items"]);
    }
}
