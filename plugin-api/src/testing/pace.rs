//! How much a check tries: less where the calls of a vault take long.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use super::bench::{prepared, Bench, Fault};
use super::pages::Walk;

/// How long after its start the suite still tries more than it must.
const EXTRAS: Duration = Duration::from_secs(4);

/// How long a check tries more values, names or pages than it must.
pub(super) const SAMPLE: Duration = Duration::from_millis(250);

/// From which duration of a call on each obligation is tried with as little as shows it.
const SLOW: Duration = Duration::from_millis(7);

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
        !self.slow && self.subject.now() < share.until
    }

    /// Returns how long a call takes, without those that open vaults: these start processes, which says
    /// nothing of the vault's calls.
    pub(super) fn pace(&self) -> Duration {
        if let Some(pace) = self.plan_pace {
            return pace;
        }
        let spent = self.subject.now().saturating_duration_since(self.began);
        let calls = self.watch.calls.load(SeqCst);
        spent.saturating_sub(self.opening).checked_div(calls).unwrap_or_default()
    }

    /// Returns whether each obligation is tried with as little as shows it.
    pub(super) fn is_slow(&self) -> bool {
        self.slow || self.pace() >= SLOW
    }

    /// Returns whether what takes so long ends in time, and what stays until the end is removed.
    pub(super) fn has_time_for(&self, work: Duration) -> bool {
        let end = self.subject.now() + work + self.pace() * self.standing_count();
        self.until.map_or(true, |until| end <= until)
    }

    /// Does something that may take as long as it takes.
    pub(super) fn without_end<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let until = self.until.take();
        let result = work(self);
        self.until = until;
        result
    }

    /// Returns all of these, or the first ones where calls of the vault take long: each obligation is
    /// tried then, and the report says with how many.
    pub(super) fn few<'t, T>(&mut self, all: &'t [T], least: usize) -> &'t [T] {
        if all.len() <= least || !self.is_slow() {
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
