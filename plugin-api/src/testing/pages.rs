//! Going through the pages of a listing, which may have no end.

use std::collections::HashSet;

use super::bench::{elsewhere, soon, Handle, Verdict};
use crate::error::Result;
use crate::vault::{Entry, ListRequest};

/// How many pages in a row may be empty: as many as the host takes.
const MAX_EMPTY_PAGES: usize = 1_000;

/// How many secrets of other people a listing may have.
const MAX_ENTRIES: usize = 200_000;

/// What a listing with empty pages for ever is to all checks but its own.
const SEE: &str = "the listing does not advance: see list-advances";

/// What comes after a page.
pub(super) enum Next {
    /// Nothing: it was the last one.
    End,
    /// The page of this cursor.
    Page(String),
    /// A cursor came a second time.
    StandsStill,
    /// Too many pages in a row were empty.
    Empty,
    /// There are more entries than the suite looks at.
    TooMany,
}

/// What came of the pages so far.
#[derive(Default)]
pub(super) struct Pages {
    cursors: HashSet<String>,
    empty: usize,
    entries: usize,
}

impl Pages {
    /// Returns what comes after a page of so many entries. The suite itself wrote `own` secrets.
    pub(super) fn next(&mut self, entries: usize, cursor: Option<String>, own: usize) -> Next {
        let cursor = match cursor {
            Some(cursor) => cursor,
            None => return Next::End,
        };
        self.entries += entries;
        self.empty = if entries == 0 { self.empty + 1 } else { 0 };
        if !self.cursors.insert(cursor.clone()) {
            return Next::StandsStill;
        }
        if self.empty >= MAX_EMPTY_PAGES {
            return Next::Empty;
        }
        if self.entries > MAX_ENTRIES + own {
            return Next::TooMany;
        }
        Next::Page(cursor)
    }
}

/// Why a listing has no end, as far as the suite goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Endless {
    /// Too many pages in a row were empty.
    Empty,
    /// There are more entries than the suite looks at.
    TooMany,
}

impl Endless {
    /// Returns why another obligation cannot be checked.
    pub(super) fn why(self) -> String {
        match self {
            Self::Empty => SEE.to_owned(),
            Self::TooMany => format!("the listing has more than {MAX_ENTRIES} secrets"),
        }
    }

    /// Returns what was found.
    pub(super) fn found() -> String {
        format!("{MAX_EMPTY_PAGES} empty pages in a row")
    }
}

/// A walk through the pages of a listing, and what it has found so far.
pub(super) struct Walk {
    request: ListRequest,
    pages: Pages,
    pub(super) entries: Vec<Entry>,
    /// The most entries that one page had.
    pub(super) largest_page: usize,
    /// The most bytes that a cursor had.
    pub(super) longest_cursor: usize,
    /// Whether a cursor came a second time; the walk ended there.
    pub(super) stands_still: bool,
    /// Why it ended before the listing did.
    pub(super) endless: Option<Endless>,
}

impl Walk {
    /// Starts a walk with so many entries on a page.
    pub(super) fn new(limit: usize) -> Self {
        let mut request = ListRequest::new(soon());
        request.limit = limit;
        Self {
            request,
            pages: Pages::default(),
            entries: Vec::new(),
            largest_page: 0,
            longest_cursor: 0,
            stands_still: false,
            endless: None,
        }
    }

    /// Goes on by one page, and returns whether there is another one.
    pub(super) fn step(&mut self, handle: &mut Handle<'_>) -> Result<bool> {
        self.request.deadline = soon();
        let request = &self.request;
        let page = handle.call(|vault| vault.list(request))?;
        self.largest_page = self.largest_page.max(page.entries.len());
        let cursor_bytes = page.next_cursor.as_ref().map_or(0, String::len);
        self.longest_cursor = self.longest_cursor.max(cursor_bytes);
        let next = self.pages.next(page.entries.len(), page.next_cursor, handle.own());
        self.entries.extend(page.entries);
        match next {
            Next::End => {}
            Next::Page(cursor) => {
                self.request.cursor = Some(cursor);
                return Ok(true);
            }
            Next::StandsStill => self.stands_still = true,
            Next::Empty => self.endless = Some(Endless::Empty),
            Next::TooMany => self.endless = Some(Endless::TooMany),
        }
        if let Some(endless) = self.endless {
            handle.note_endless(endless);
        }
        Ok(false)
    }

    /// Skips the check unless the walk ended with the listing.
    pub(super) fn ended(&self) -> Verdict {
        match self.endless {
            Some(endless) => elsewhere(endless.why()),
            None if self.stands_still => elsewhere(SEE),
            None => Ok(()),
        }
    }
}
