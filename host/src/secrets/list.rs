//! Listing: what one vault has, page by page, and what all of them have together.

use std::collections::HashSet;
use std::sync::Mutex;
use std::thread;

use keystead_plugin_api::{Entry, Error as Refusal, ListRequest, Page, VaultName};

use super::pattern::Pattern;
use super::{Described, Listing};
use crate::ask::{Ask, Nobody};
use crate::error::Result;
use crate::host::{Host, lock};

/// How many empty pages in a row a listing may have: a vault that filters may well send
/// some; one that sends nothing else would keep its caller for ever.
const MAX_BARREN_PAGES: usize = 1_000;

/// How many vaults are asked at the same time: they wait for disks and servers, not for
/// processors, and each may be a process of its own.
const AT_ONCE: usize = 16;

impl Host {
    /// Returns what the vaults have, without any value. A vault that cannot be asked hides
    /// no other.
    ///
    /// # Errors
    /// What is wrong with the registry; for a named vault, what it answers.
    pub fn list(
        &self,
        pattern: Option<&str>,
        vault: Option<&VaultName>,
        ask: &mut dyn Ask,
    ) -> Result<Listing> {
        let mut listing = Listing { entries: Vec::new(), failed: Vec::new() };
        if let Some(vault) = vault {
            listing.entries = self.list_one(pattern, vault, ask)?;
        } else {
            let mut results = self.list_each(pattern, ask)?;
            results.sort_by(|a, b| a.0.cmp(&b.0));
            for (name, result) in results {
                match result {
                    Ok(entries) => listing.entries.extend(entries),
                    Err(error) => listing.failed.push((name, error)),
                }
            }
        }
        listing
            .entries
            .sort_by(|a, b| a.entry.name.cmp(&b.entry.name).then_with(|| a.vault.cmp(&b.vault)));
        Ok(listing)
    }

    /// Hands out what a vault has, page by page in its own order: only what matches, and
    /// never more than one page in memory.
    ///
    /// # Errors
    /// What the vault answers, or what `each` returns.
    pub fn each_page(
        &self,
        pattern: Option<&str>,
        vault: &VaultName,
        ask: &mut dyn Ask,
        each: &mut dyn FnMut(Vec<Entry>) -> Result<()>,
    ) -> Result<()> {
        let wanted = pattern.map(Pattern::new);
        let mut walk = Walk::default();
        loop {
            let page = self.call(vault, ask, &mut |open, deadline| {
                let mut request = ListRequest::new(deadline);
                request.after.clone_from(&walk.after);
                request.filter = pattern.map(str::to_owned);
                let page = open.list(&request)?;
                walk.check(&page, request.limit)?;
                Ok(page)
            })?;
            let last = walk.step(&page);
            let mut entries = page.entries;
            if let Some(wanted) = &wanted {
                entries.retain(|entry| wanted.matches(entry.name.as_str()));
            }
            each(entries)?;
            if last {
                return Ok(());
            }
        }
    }

    fn list_one(
        &self,
        pattern: Option<&str>,
        vault: &VaultName,
        ask: &mut dyn Ask,
    ) -> Result<Vec<Described>> {
        let mut found = Vec::new();
        self.each_page(pattern, vault, ask, &mut |entries| {
            found
                .extend(entries.into_iter().map(|entry| Described { vault: vault.clone(), entry }));
            Ok(())
        })?;
        Ok(found)
    }

    /// Asks all vaults at the same time, each with its own deadline; only the default may
    /// prompt.
    fn list_each(
        &self,
        pattern: Option<&str>,
        ask: &mut dyn Ask,
    ) -> Result<Vec<(VaultName, Result<Vec<Described>>)>> {
        let default = self.default_vault()?;
        let (prompting, others): (Vec<_>, Vec<_>) =
            self.names()?.into_iter().partition(|name| Some(name) == default.as_ref());
        let threads = others.len().min(AT_ONCE);
        let queue = Mutex::new(others.into_iter());
        let results = Mutex::new(Vec::new());
        let work = || {
            while let Some(name) = lock(&queue).next() {
                let found = self.list_one(pattern, &name, &mut Nobody);
                lock(&results).push((name, found));
            }
        };
        thread::scope(|scope| {
            for _ in 0..threads {
                // Where no thread is to be had, those there are do the work, or this one.
                if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                    break;
                }
            }
            for name in prompting {
                let found = self.list_one(pattern, &name, ask);
                lock(&results).push((name, found));
            }
            work();
        });
        Ok(results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// How far a listing has come, and whether the vault leads it on.
#[derive(Default)]
struct Walk {
    after: Option<String>,
    cursors: HashSet<String>,
    barren: usize,
}

impl Walk {
    /// Says whether a page keeps the contract.
    fn check(&self, page: &Page, limit: usize) -> Result<(), Refusal> {
        if page.entries.len() > limit {
            let entries = page.entries.len();
            let message = format!("a page has {entries} entries; {limit} were asked for");
            return Err(Refusal::internal(message));
        }
        match &page.next {
            Some(next) if self.cursors.contains(next) => {
                Err(Refusal::internal("the cursor of a listing stands still"))
            }
            Some(_) if page.entries.is_empty() && self.barren == MAX_BARREN_PAGES => {
                Err(Refusal::internal(format!(
                    "{MAX_BARREN_PAGES} pages of a listing in a row were empty"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Goes on behind a page, and returns whether it was the last.
    fn step(&mut self, page: &Page) -> bool {
        self.barren = if page.entries.is_empty() { self.barren + 1 } else { 0 };
        if let Some(next) = &page.next {
            self.cursors.insert(next.clone());
        }
        self.after.clone_from(&page.next);
        self.after.is_none()
    }
}
