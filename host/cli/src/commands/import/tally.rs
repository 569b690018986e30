//! Counts the rows of an import by result, and reports problems at once.

use std::collections::BTreeMap;

use keystead_exchange::{ImportOutcome, Imported};
use serde::Serialize;

use crate::failure::in_one_line;
use crate::progress::Progress;
use crate::ui::Ui;

/// Number of rows that are reported individually; further rows are only counted.
const MOST_TOLD: usize = 20;

/// Number of rows by result, of an import or its dry run.
#[derive(Default, Serialize)]
pub(super) struct Tally {
    pub(super) new: u64,
    pub(super) replaced: u64,
    unchanged: u64,
    skipped: u64,
    different: u64,
    broken: u64,
    unfit: u64,
    failed: u64,
    /// Number of new or replaced secrets by value kind.
    kinds: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) left_out: Vec<String>,
    #[serde(skip)]
    told: usize,
    #[serde(skip)]
    pub(super) untold: u64,
}

impl Tally {
    /// Counts a row, and reports a problem with it.
    pub(super) fn take(&mut self, row: Imported, ui: &Ui, progress: &Progress) {
        let why = match row.became {
            ImportOutcome::New | ImportOutcome::Replaced => {
                match row.became {
                    ImportOutcome::New => self.new += 1,
                    _ => self.replaced += 1,
                }
                if let Some((_, kind)) = row.secret {
                    *self.kinds.entry(kind.as_str()).or_default() += 1;
                }
                String::new()
            }
            ImportOutcome::Unchanged => {
                self.unchanged += 1;
                String::new()
            }
            ImportOutcome::Skipped => {
                self.skipped += 1;
                String::new()
            }
            ImportOutcome::Different => {
                self.different += 1;
                "another value or other metadata is there, and stays".to_owned()
            }
            ImportOutcome::Broken(why) => {
                self.broken += 1;
                why
            }
            ImportOutcome::Unfit(why) => {
                self.unfit += 1;
                why
            }
            ImportOutcome::Failed(error) => {
                self.failed += 1;
                in_one_line(&error)
            }
        };
        let repeats = row.repeats.map(|first| format!("it takes the place of {first}"));
        let why: Vec<String> =
            repeats.into_iter().chain([why]).filter(|why| !why.is_empty()).collect();
        if row.told || why.is_empty() {
            return;
        }
        let why = why.join(", and ");
        if self.told == MOST_TOLD {
            self.untold += 1;
            return;
        }
        self.told += 1;
        let at = match row.secret {
            Some((name, _)) => format!("{}, `{name}`", row.at),
            None => row.at.to_string(),
        };
        progress.aside(|| ui.warn(&format!("{at}: {why}")));
    }

    /// Returns whether no row failed or differs, and the import dropped no part of the file.
    pub(super) fn is_whole(&self) -> bool {
        self.different + self.broken + self.unfit + self.failed == 0 && self.left_out.is_empty()
    }

    /// Returns all counts as text, each number with its word.
    pub(super) fn in_words(&self, would: bool) -> String {
        let kinds: Vec<String> =
            self.kinds.iter().map(|(kind, number)| format!("{number} {kind}")).collect();
        let new = match kinds.is_empty() {
            true => format!("{} new", self.new),
            false if self.replaced == 0 => format!("{} new ({})", self.new, kinds.join(", ")),
            false => {
                format!("{} new and {} replaced ({})", self.new, self.replaced, kinds.join(", "))
            }
        };
        let mut words = vec![new];
        let refused = if would { "that cannot be imported" } else { "not imported" };
        for (number, word) in [
            (self.unchanged, "there already"),
            (self.skipped, "left as they are"),
            (self.different, "different from what is there"),
            (self.broken + self.unfit + self.failed, refused),
        ] {
            if number > 0 {
                words.push(format!("{number} {word}"));
            }
        }
        if !self.left_out.is_empty() {
            words.push(format!("left out: {}", self.left_out.join(", ")));
        }
        words.join(", ")
    }
}
