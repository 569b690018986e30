//! Listing: the secrets of one vault, page by page, and those of all vaults together.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::thread;

use keystead_plugin_api::{
    Entry, Error as Refusal, ListRequest, Page, SecretName, Vault, VaultName,
};

use super::pattern::{Pattern, has_wildcards};
use super::rules::Rules;
use super::{ListedSecret, SecretListing};
use crate::error::{Error, Result};
use crate::host::{Host, VaultRef, lock};
use crate::prompter::{NonInteractive, Prompter};

/// How many empty pages in a row a listing may have. A vault that filters may send some; a vault
/// that sends nothing else would keep its caller for ever.
const MAX_BARREN_PAGES: usize = 1_000;

/// Maximum size in bytes of the names and metadata of a vault: a million of the longest names. An
/// endless listing would take the host's memory, page by page and each in time.
const MAX_LISTED_BYTES: usize = 1 << 30;

/// How many vaults are listed at the same time. They wait for disks and servers, not for
/// processors, and each may be a process of its own.
const AT_ONCE: usize = 16;

impl Host {
    /// Returns the secrets of the vaults, without any value. An unavailable vault hides no other
    /// vault.
    ///
    /// # Errors
    /// The fault of the registry; for a named vault, its error.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(host: &keystead::Host) -> Result<(), keystead::Error> {
    /// let listing = host.list(Some("db/*"), None, &mut keystead::NonInteractive)?;
    /// for secret in &listing.entries {
    ///     println!("{} in {}", secret.entry.name, secret.vault);
    /// }
    /// for (vault, error) in &listing.failed {
    ///     println!("{vault}: {error}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn list(
        &self,
        pattern: Option<&str>,
        vault: Option<&VaultName>,
        ask: &mut dyn Prompter,
    ) -> Result<SecretListing> {
        let results = match vault {
            Some(vault) => vec![(vault.clone(), Ok(self.list_one(pattern, vault.into(), ask)?))],
            None => self.list_each(pattern, ask)?,
        };
        Ok(merged(results))
    }

    /// Passes on a vault's secrets page by page, in its own order: only those that match, and never
    /// more than one page in memory.
    ///
    /// # Errors
    /// The vault's error, or the error of `each`.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(host: &keystead::Host) -> Result<(), keystead::Error> {
    /// use keystead::{Error, NonInteractive};
    ///
    /// let vault = keystead::api::VaultName::parse("work").expect("it is a name");
    /// let mut number = 0;
    /// host.each_page::<Error>(None, &vault, &mut NonInteractive, &mut |entries| {
    ///     number += entries.len();
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn each_page<E: From<Error>>(
        &self,
        pattern: Option<&str>,
        vault: &VaultName,
        ask: &mut dyn Prompter,
        each: &mut dyn FnMut(Vec<Entry>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        self.each_page_of(pattern, vault.into(), ask, each)
    }

    /// See [`Host::each_page()`].
    pub(super) fn each_page_of<E: From<Error>>(
        &self,
        pattern: Option<&str>,
        vault: VaultRef<'_>,
        ask: &mut dyn Prompter,
        each: &mut dyn FnMut(Vec<Entry>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let rules = match pattern {
            Some(_) => self.rules(vault, ask)?,
            None => Rules::default(),
        };
        if let Some(name) = pattern
            && !has_wildcards(name)
            && rules.compares_as_written()
        {
            // The vault finds the name by its own rule, without listing all its secrets.
            let Ok(name) = SecretName::parse(name) else { return Ok(()) };
            return match self.described(vault, &name, ask) {
                Ok(entry) => each(vec![entry]),
                Err(Error::NoSuchSecret { .. }) => Ok(()),
                Err(error) => Err(error.into()),
            };
        }
        let wanted = pattern.map(|pattern| Pattern::new(pattern, &rules));
        // The vault may filter by another rule than its own for names, and must not omit a match.
        let hint = pattern.filter(|_| rules.compares_as_written());
        let mut walk = Walk::default();
        loop {
            let page = self.call(vault, ask, &mut |open, deadline| {
                let mut request = ListRequest::new(deadline);
                request.cursor.clone_from(&walk.after);
                request.pattern = hint.map(str::to_owned);
                walk.page(open, &request)
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

    /// Returns the names on the first page of a vault: at most 1,000, in its own order.
    ///
    /// # Errors
    /// The vault's error.
    pub(crate) fn first_names(
        &self,
        vault: &VaultName,
        ask: &mut dyn Prompter,
    ) -> Result<Vec<SecretName>> {
        let page = self.call(vault, ask, &mut |open, deadline| {
            Walk::default().page(open, &ListRequest::new(deadline))
        })?;
        Ok(page.entries.into_iter().map(|entry| entry.name).collect())
    }

    fn list_one(
        &self,
        pattern: Option<&str>,
        vault: VaultRef<'_>,
        ask: &mut dyn Prompter,
    ) -> Result<Vec<Sorted>> {
        let mut found = Vec::new();
        self.each_page_of(pattern, vault, ask, &mut |entries| {
            found.extend(entries);
            Ok::<(), Error>(())
        })?;
        // An unsorted listing is better than none.
        let rules = self.rules(vault, ask).unwrap_or_default();
        let sorted = |entry: Entry| Sorted {
            key: rules.sort_key(&entry.name).into_owned(),
            described: ListedSecret { vault: vault.name().clone(), entry },
        };
        Ok(found.into_iter().map(sorted).collect())
    }

    /// Lists all vaults at the same time, each with its own deadline; only the default vault may
    /// prompt.
    fn list_each(
        &self,
        pattern: Option<&str>,
        ask: &mut dyn Prompter,
    ) -> Result<Vec<(VaultName, Result<Vec<Sorted>>)>> {
        let registry = &Arc::new(self.registry().once());
        let default = self.default_in(registry)?;
        let (prompting, others): (Vec<_>, Vec<_>) =
            self.names_in(registry)?.into_iter().partition(|name| Some(name) == default.as_ref());
        let threads = others.len().min(AT_ONCE);
        let queue = Mutex::new(others.into_iter());
        let results = Mutex::new(Vec::new());
        // A function of its own: in the loop's head the queue would stay locked during a listing,
        // and vaults would be listed one after another.
        let next = || lock(&queue).next();
        let work = || {
            while let Some(name) = next() {
                let found =
                    self.list_one(pattern, VaultRef::In(&name, registry), &mut NonInteractive);
                lock(&results).push((name, found));
            }
        };
        thread::scope(|scope| {
            for _ in 0..threads {
                // If no thread can start, the running threads do the work, or this thread.
                if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                    break;
                }
            }
            for name in prompting {
                let found = self.list_one(pattern, VaultRef::In(&name, registry), ask);
                lock(&results).push((name, found));
            }
            work();
        });
        Ok(results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// A secret of a listing, and its sort key: the common form of all names that mean this secret in
/// its vault.
struct Sorted {
    key: String,
    described: ListedSecret,
}

/// Returns the secrets of several vaults as one listing.
fn merged(results: Vec<(VaultName, Result<Vec<Sorted>>)>) -> SecretListing {
    let (mut sorted, mut failed) = (Vec::new(), Vec::new());
    for (name, result) in results {
        match result {
            Ok(entries) => sorted.extend(entries),
            Err(error) => failed.push((name, error)),
        }
    }
    sorted.sort_by(|a, b| {
        let (one, other) = (&a.described, &b.described);
        let by_name = a.key.cmp(&b.key).then_with(|| one.entry.name.cmp(&other.entry.name));
        by_name.then_with(|| one.vault.cmp(&other.vault))
    });
    failed.sort_by(|a, b| a.0.cmp(&b.0));
    SecretListing { entries: sorted.into_iter().map(|one| one.described).collect(), failed }
}

/// State of a listing, which detects a vault that does not advance.
#[derive(Default)]
pub(crate) struct Walk {
    /// The cursor of the next page.
    pub(crate) after: Option<String>,
    cursors: HashSet<String>,
    barren: usize,
    /// Size in bytes of all names, metadata and cursors so far.
    told: usize,
}

impl Walk {
    /// Returns a page that keeps the obligations.
    pub(crate) fn page(
        &self,
        vault: &mut dyn Vault,
        request: &ListRequest,
    ) -> Result<Page, Refusal> {
        let page = vault.list(request)?;
        self.check(&page, request.limit)?;
        Ok(page)
    }

    fn check(&self, page: &Page, limit: usize) -> Result<(), Refusal> {
        if page.entries.len() > limit {
            let entries = page.entries.len();
            let message = format!("a page has {entries} entries; {limit} were asked for");
            return Err(Refusal::internal(message));
        }
        if self.told > MAX_LISTED_BYTES {
            let message = "a listing has more than 1 GiB of names and metadata";
            return Err(Refusal::internal(message));
        }
        match &page.next_cursor {
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

    /// Advances past a page, and returns whether it was the last.
    pub(crate) fn step(&mut self, page: &Page) -> bool {
        let size = |entry: &Entry| entry.name.as_str().len() + entry.metadata.bytes();
        self.told += page.entries.iter().map(size).sum::<usize>();
        self.told += page.next_cursor.as_ref().map_or(0, String::len);
        self.barren = if page.entries.is_empty() { self.barren + 1 } else { 0 };
        if let Some(next) = &page.next_cursor {
            self.cursors.insert(next.clone());
        }
        self.after.clone_from(&page.next_cursor);
        self.after.is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use keystead_plugin_api::{Metadata, SecretName};

    use super::*;

    /// Few names, so that many are equal, with case pairs, wildcards and letters of several
    /// bytes among them.
    fn names() -> impl Strategy<Value = String> {
        "[aAbB*?\\[\\]/\u{e9}\u{c9}\u{17f}\u{1f511} -]{1,3}"
    }

    /// A vault's name and its listing; `None` if the listing failed.
    type Answer = (String, Option<Vec<String>>);

    fn answers() -> impl Strategy<Value = Vec<Answer>> {
        let names = proptest::collection::vec(names(), 0..6);
        let answer = ("[abAB][0-9]{0,1}", proptest::option::weighted(0.8, names));
        proptest::collection::vec(answer, 0..5).prop_map(|mut answers: Vec<Answer>| {
            // Each vault is listed once, whatever the case of its name.
            let mut seen = HashSet::new();
            answers.retain(|(vault, _)| seen.insert(vault.to_ascii_lowercase()));
            answers
        })
    }

    fn results(answers: &[Answer]) -> Vec<(VaultName, Result<Vec<Sorted>>)> {
        let of = |(vault, names): &Answer| {
            let vault = VaultName::parse(vault).unwrap();
            let described = |name: &String| Sorted {
                key: name.to_ascii_lowercase(),
                described: ListedSecret {
                    vault: vault.clone(),
                    entry: Entry::new(SecretName::parse(name).unwrap(), None, Metadata::new()),
                },
            };
            let listed = match names {
                Some(names) => Ok(names.iter().map(described).collect()),
                None => Err(Error::NoSuchVault { name: vault.clone(), similar: None }),
            };
            (vault, listed)
        };
        answers.iter().map(of).collect()
    }

    /// The listing as made by hand: takes the least secret of the rest again and again. Compares
    /// the lower-case name, the bytes of the name, then the lower-case vault.
    fn by_hand(answers: &[Answer]) -> (Vec<(String, String)>, Vec<String>) {
        let mut left: Vec<(String, String)> = Vec::new();
        let mut failed: Vec<String> = Vec::new();
        for (vault, names) in answers {
            match names {
                Some(names) => {
                    left.extend(names.iter().map(|name| (name.clone(), vault.clone())));
                }
                None => failed.push(vault.clone()),
            }
        }
        let mut listed = Vec::new();
        let key = |one: &(String, String)| {
            (one.0.to_ascii_lowercase(), one.0.clone().into_bytes(), one.1.to_ascii_lowercase())
        };
        while !left.is_empty() {
            let mut least = 0;
            for at in 1..left.len() {
                if key(&left[at]) < key(&left[least]) {
                    least = at;
                }
            }
            listed.push(left.remove(least));
        }
        failed.sort_by_key(|vault| vault.to_ascii_lowercase());
        (listed, failed)
    }

    proptest! {
        #[test]
        fn merged_listing_agrees_with_reference_sort(answers in answers()) {
            let listing = merged(results(&answers));
            let listed: Vec<_> = listing
                .entries
                .iter()
                .map(|one| (one.entry.name.to_string(), one.vault.to_string()))
                .collect();
            let failed: Vec<_> = listing.failed.iter().map(|(name, _)| name.to_string()).collect();
            prop_assert_eq!((listed, failed), by_hand(&answers));
        }

    }
}
