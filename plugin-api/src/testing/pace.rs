//! How much a check tries: less where the calls of a vault take long.

use std::time::{Duration, Instant};

use super::bench::{prepared, Bench, Fault};
use super::pages::Walk;

/// How long after its start the suite still tries more than it must.
const EXTRAS: Duration = Duration::from_secs(4);

/// How long a check tries more values, names or pages than it must.
pub(super) const SAMPLE: Duration = Duration::from_millis(250);

/// From which duration of a call on each obligation is tried with as little as shows it.
const SLOW: Duration = Duration::from_millis(15);

/// Until when a part of a check goes on.
#[derive(Clone, Copy)]
pub(super) struct Share {
    until: Instant,
}

impl Bench<'_> {
    /// Begins a part of a check that goes on as long as there is time.
    pub(super) fn share(&self, most: Duration) -> Share {
        Share { until: (self.subject.now() + most).min(self.began + EXTRAS) }
    }

    /// Returns whether there is time for one more.
    pub(super) fn has_time(&self, share: Share) -> bool {
        self.subject.now() < share.until
    }

    /// Returns all of these, or the first ones where calls of the vault take long: each obligation is
    /// tried then, and the report says with how many.
    pub(super) fn few<'t, T>(&mut self, all: &'t [T], least: usize) -> &'t [T] {
        let spent = self.subject.now().saturating_duration_since(self.began);
        // Openings start processes, which says nothing of the vault's calls.
        let spent = spent.saturating_sub(self.opening);
        if all.len() <= least || spent < SLOW * self.watch.calls.get() {
            return all;
        }
        self.tried = Some(least);
        &all[..least]
    }

    /// Goes through a listing as long as there is time, two pages at least.
    pub(super) fn walk_some(&mut self, limit: usize) -> Result<Walk, Fault> {
        let share = self.share(SAMPLE);
        self.main().needs_listing()?;
        let mut walk = Walk::new(limit);
        for page in 0.. {
            if page >= 2 && !self.has_time(share) {
                self.tried = Some(walk.entries.len());
                break;
            }
            if !prepared(walk.step(self.main()), "`list`")? {
                break;
            }
        }
        Ok(walk)
    }
}
