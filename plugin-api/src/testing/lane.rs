//! Lanes: benches beside the first one, each with a handle of its own, for checks that run at the same
//! time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bench::{Bench, Fault, FirstOpen, Handle, Watch, VAULT};
use super::checks::{Check, PROVOKE};
use super::{sample, Declared, Subject};
use crate::manifest::Capability;
use crate::name::SecretName;

/// Whose secrets a lane works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Those of a vault of its own.
    Own,
    /// Those of the vault that all lanes have.
    Shared,
}

/// What a lane starts with.
pub(super) struct Plan<'a> {
    declared: &'a Declared,
    subject: &'a dyn Subject,
    vault: String,
    watch: Arc<Watch>,
    first_open: Arc<FirstOpen>,
    began: Instant,
    until: Option<Instant>,
    pace: Duration,
    standing: Vec<SecretName>,
}

impl<'a> Bench<'a> {
    /// Plans this many lanes, which leave time for so many calls. From here on each obligation is
    /// tried with as little as shows it.
    pub(super) fn plan_lanes(
        &mut self,
        whose: Whose,
        lanes: usize,
        reserved: u32,
    ) -> Vec<Plan<'a>> {
        let pace = self.pace();
        (self.slow, self.plan_pace) = (true, Some(pace));
        if whose == Whose::Shared && self.declared.can(Capability::Write) {
            // What comes of a failure the checks say that need them.
            let _ = self.standing();
        }
        let plan = |number: usize| Plan {
            declared: self.declared,
            subject: self.subject,
            vault: match whose {
                Whose::Own => format!("{VAULT}-{}", number + 3),
                Whose::Shared => VAULT.to_owned(),
            },
            watch: Arc::clone(&self.watch),
            first_open: Arc::clone(&self.first_open),
            began: self.began,
            until: self.until.map(|until| until - pace * (reserved + self.standing_count())),
            pace,
            standing: match whose {
                Whose::Own => Vec::new(),
                Whose::Shared => self.standing.clone(),
            },
        };
        (0..lanes).map(plan).collect()
    }

    /// Opens a lane; `None` where its vault is of no use.
    pub(super) fn lane(plan: Plan<'a>) -> Option<Self> {
        let Plan { declared, subject, vault, watch, first_open, began, until, pace, standing } =
            plan;
        let own = vault != VAULT;
        let mut lane = Self {
            declared,
            subject,
            vault,
            main: None,
            watch,
            first_open,
            began,
            opening: Duration::ZERO,
            until,
            slow: true,
            plan_pace: Some(pace),
            standing,
            tried: None,
        };
        lane.main = Some(lane.open_own(None).ok()?);
        if own {
            if !lane.clean_up_after_earlier_runs() {
                return None;
            }
            if lane.first_open().locked.is_some() {
                // It may be its first write that makes it, and locks it.
                lane.stand(&[sample::name("first")]).ok()?;
            }
        }
        Some(lane)
    }

    /// Returns about how many calls a check makes.
    pub(super) fn cost(&self, check: &Check) -> u32 {
        let done = check.obligation == PROVOKE.obligation && self.has_provoked();
        match done || self.obstacle(check).is_some() {
            true => 0,
            false => check.calls,
        }
    }

    /// Returns the names of secrets that are only read, and writes them where they are not there.
    pub(super) fn standing(&mut self) -> Result<Vec<SecretName>, Fault> {
        if self.standing.is_empty() {
            let names = ["missing-but-longer", "some-b", "some-c"].map(sample::name);
            self.stand(&names)?;
            self.standing = names.to_vec();
        }
        Ok(self.standing.clone())
    }

    /// Returns how many secrets stay until the end.
    pub(super) fn standing_count(&self) -> u32 {
        self.main.as_ref().map_or(0, |main| main.standing.len() as u32)
    }

    /// Writes secrets that stay until the end.
    fn stand(&mut self, names: &[SecretName]) -> Result<(), Fault> {
        for name in names {
            self.main().put(name)?;
            self.main().keep(name);
        }
        Ok(())
    }

    /// Removes all that was written.
    pub(super) fn finish(&mut self) {
        self.main = None;
    }
}

impl Handle<'_> {
    /// Leaves a secret where it is until this handle is dropped.
    fn keep(&mut self, name: &SecretName) {
        if self.written.remove(name) {
            self.standing.insert(name.clone());
        }
    }
}
