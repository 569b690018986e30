//! Pages that another user made: cyclic lists, trees with shared branches, numbers beyond the file.
//! A call ends by its deadline, and no secret is absent.

use std::fs::File;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use keystead_plugin_api::{ActionRequest, Deadline, ErrorKind, Parameters};

use crate::flip::{Sound, small, tree};
use crate::foreign::said;
use crate::vault::{Home, get};

const PAGE: usize = 4_096;

/// A file's bytes as pages, numbered from one.
#[derive(Clone)]
struct Pages(Vec<u8>);

impl Pages {
    fn count(&self) -> u32 {
        (self.0.len() / PAGE) as u32
    }

    fn page(&mut self, number: u32) -> &mut [u8] {
        let at = (number as usize - 1) * PAGE;
        &mut self.0[at..at + PAGE]
    }

    fn u32(&mut self, page: u32, at: usize) -> u32 {
        u32::from_be_bytes(*self.page(page)[at..].first_chunk().unwrap())
    }

    fn put(&mut self, page: u32, at: usize, number: u32) {
        self.page(page)[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }

    /// Returns a copy with one number changed.
    fn with(&self, page: u32, at: usize, number: u32) -> Self {
        let mut copy = self.clone();
        copy.put(page, at, number);
        copy
    }

    /// Returns the pages that the second page marks as parts of a value: the kinds 3 and 4.
    fn overflow(&mut self) -> Vec<u32> {
        let count = self.count();
        (3..=count)
            .filter(|number| matches!(self.page(2)[5 * (*number as usize - 3)], 3 | 4))
            .collect()
    }

    /// Returns the pages that are branches of a tree.
    fn branches(&mut self) -> Vec<u32> {
        let count = self.count();
        (3..=count).filter(|number| self.page(*number)[0] == 5).collect()
    }

    /// Appends a branch page whose children are all the same page, and returns its number.
    fn branch(&mut self, child: u32) -> u32 {
        self.0.extend([0; PAGE]);
        let number = self.count();
        self.fill(number, child);
        self.put(1, 28, number);
        number
    }

    /// Turns a page into such a branch.
    fn fill(&mut self, number: u32, child: u32) {
        const CELLS: usize = 100;
        let page = self.page(number);
        page.fill(0);
        let content = PAGE - 5 * CELLS;
        page[0] = 5;
        page[3..5].copy_from_slice(&(CELLS as u16).to_be_bytes());
        page[5..7].copy_from_slice(&(content as u16).to_be_bytes());
        page[8..12].copy_from_slice(&child.to_be_bytes());
        for cell in 0..CELLS {
            let at = content + 5 * cell;
            page[12 + 2 * cell..14 + 2 * cell].copy_from_slice(&(at as u16).to_be_bytes());
            page[at..at + 4].copy_from_slice(&child.to_be_bytes());
            page[at + 4] = cell as u8 + 1;
        }
    }
}

/// Asserts that each call on a vault with this file is correct or reports damage.
#[track_caller]
fn right_or_refused(sound: &Sound, file: &Pages, what: &str) {
    let copy = sound.home.copied();
    copy.put(&file.0);
    refused(sound, &copy, what);
}

#[track_caller]
fn refused(sound: &Sound, copy: &Home, what: &str) {
    let mut vault = copy.open();
    // About 20 secrets, spread over all pages.
    for (name, secret) in sound.secrets.iter().step_by(1 + sound.secrets.len() / 20) {
        match get(&mut *vault, name) {
            Ok(found) => assert!(found == *secret, "{what}: `{name}` has a wrong value"),
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid),
                "{what}: `{name}`: {error}"
            ),
        }
    }
    drop(vault);
    let mut changed = false;
    for (call, result) in said(copy) {
        // Not every vault has a secret `text`, and a successful write may have removed it.
        let absent = !sound.secrets.contains_key("text") || changed;
        assert!(absent || result != Err(ErrorKind::NotFound), "{what}: {call}");
        changed |= result.is_ok() && matches!(call, "set" | "remove");
    }
}

#[test]
fn wrong_numbers_in_file_header_give_no_wrong_secret() {
    let sound = small();
    let file = Pages(sound.file.clone());
    let count = file.count();
    for number in
        [0, 1, 2, 5, count - 1, count + 1, count + 1_000, 0x7fff_ffff, u32::MAX - 1, u32::MAX]
    {
        // Number of pages, first free page, number of free pages, largest root, page cache,
        // encoding.
        for at in [28, 32, 36, 52, 48, 56] {
            right_or_refused(&sound, &file.with(1, at, number), &format!("{number} at {at}"));
        }
        let mut both = file.with(1, 36, number);
        both.put(1, 28, number);
        right_or_refused(&sound, &both, &format!("{number} pages, all free"));
    }
    for (at, values) in [
        (16, &[0, 1, 2, 3, 4, 8, 32, 64, 128, 255][..]),
        (20, &[1, 32, 128, 255]),
        (21, &[0, 1, 255]),
    ] {
        for value in values {
            let mut changed = file.clone();
            changed.page(1)[at] = *value;
            right_or_refused(&sound, &changed, &format!("{value} at {at}"));
        }
    }
}

/// A sparse file of one terabyte.
#[test]
fn sparse_terabyte_file_gives_no_wrong_secret() {
    let sound = small();
    let copy = sound.home.copied();
    let count = 1_u32 << 28;
    copy.put(&Pages(sound.file.clone()).with(1, 28, count).0);
    let file = File::options().write(true).open(copy.file()).unwrap();
    file.set_len(u64::from(count) * PAGE as u64).unwrap();
    drop(file);
    refused(&sound, &copy, "a terabyte");
}

#[test]
fn cyclic_or_invalid_page_lists_hide_no_secret() {
    let sound = small();
    let mut file = Pages(sound.file.clone());
    let count = file.count();
    let chain = file.overflow();
    assert!(chain.len() > 3, "{chain:?}");
    for page in [chain[0], chain[1], chain[chain.len() - 1]] {
        for next in [page, chain[0], 0, 1, 2, 3, 4, 5, count + 1, u32::MAX] {
            right_or_refused(&sound, &file.with(page, 0, next), &format!("{page} leads to {next}"));
        }
    }
    // The free pages form a list of lists.
    let trunk = file.u32(1, 32);
    assert!(trunk > 0 && file.u32(trunk, 4) > 0, "nothing is free");
    for number in [trunk, 1, 2, 3, 4, 5, chain[0], count, count + 1, u32::MAX] {
        right_or_refused(&sound, &file.with(1, 32, number), &format!("free: {number}"));
        for at in [0, 4, 8] {
            let mut changed = file.with(trunk, at, number);
            right_or_refused(&sound, &changed, &format!("free: {number} at {at}"));
            changed.put(1, 36, u32::MAX);
            right_or_refused(&sound, &changed, &format!("endless free: {number} at {at}"));
        }
    }
}

#[test]
fn cyclic_or_invalid_page_trees_hide_no_secret() {
    let sound = tree();
    let mut file = Pages(sound.file.clone());
    let count = file.count();
    let branches = file.branches();
    assert!(branches.contains(&4) && branches.contains(&5), "{branches:?}");
    for page in branches {
        let cell = usize::from(u16::from_be_bytes(*file.page(page)[12..].first_chunk().unwrap()));
        for child in [page, 0, 1, 2, 3, 4, 5, count, count + 1, u32::MAX] {
            for at in [8, cell] {
                let what = format!("{page} leads to {child} at {at}");
                right_or_refused(&sound, &file.with(page, at, child), &what);
            }
        }
    }
    for page in [1, 3, 4, 5, count] {
        // Kind of the page, free blocks, cells, start of the cells, and offset of the first cell.
        let base = if page == 1 { 100 } else { 0 };
        for at in [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 13] {
            for value in [0, 2, 13, 0xff] {
                let mut changed = file.clone();
                changed.page(page)[base + at] = value;
                right_or_refused(&sound, &changed, &format!("{value} at {at} of page {page}"));
            }
        }
    }
}

#[test]
fn page_copied_over_another_hides_no_secret() {
    let sound = small();
    let mut file = Pages(sound.file.clone());
    for to in 1..=file.count() {
        for from in 1..=file.count() {
            let page = file.page(from).to_vec();
            let mut changed = file.clone();
            changed.page(to).copy_from_slice(&page);
            right_or_refused(&sound, &changed, &format!("page {from} in the place of {to}"));
        }
    }
}

/// A hundred branches that all lead to one page, nested eight levels deep: a full walk takes longer
/// than a lifetime.
#[test]
fn action_on_endless_page_tree_ends_by_deadline() {
    let sound = tree();
    for root in [4, 5] {
        let mut file = Pages(sound.file.clone());
        let leaf = file.u32(root, 8);
        let top = (0..8).fold(leaf, |child, _| file.branch(child));
        file.fill(root, top);
        right_or_refused(&sound, &file, &format!("an endless tree at {root}"));
        for action in ["compact", "verify"] {
            let copy = sound.home.copied();
            copy.put(&file.0);
            let path = copy.path().to_owned();
            let (done, result) = mpsc::channel();
            thread::spawn(move || {
                let soon = Deadline::after(Duration::from_millis(300));
                let request = ActionRequest::new(action, Parameters::new(), soon);
                let _ = done.send(Home::at(path).open().run_action(&request).map(drop));
            });
            let ended = result.recv_timeout(Duration::from_secs(250)).expect("it hangs");
            let kind = ended.map_err(|error| error.kind());
            assert!(
                matches!(kind, Err(ErrorKind::TimedOut | ErrorKind::Corrupt)),
                "{action}: {kind:?}"
            );
        }
    }
}
