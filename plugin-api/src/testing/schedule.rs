//! When each check runs: one after the other where the vault is quick, several at the same time where
//! its calls take long and the contract lets them, and not at all once the time is over.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::bench::{Bench, Fault};
use super::checks::{Check, Turn, CHECKS, PROVOKE};
use super::lane::Whose;
use super::{Declared, Outcome, Places, Stop, Subject};
use crate::error::Result;
use crate::manifest::Capability;

/// How long the calls of one lane should take: there are as many lanes as that needs.
const LANE: Duration = Duration::from_secs(4);

/// The most checks that run at the same time: about what a server takes from one client.
const MAX_LANES: u32 = 16;

/// A check and its place in the report.
type Job = (usize, &'static Check);

/// What the report has of [`PROVOKE`]: nothing.
const UNREPORTED: usize = usize::MAX;

/// Checks every obligation and reports one outcome for each, in the order of
/// [`obligations`](super::obligations).
///
/// Calls have the deadline of a minute each. A panic of the vault is not caught here. A check that
/// [`Declared::stop`] has stopped reports nothing more.
///
/// Where calls take long, up to 16 checks run at the same time, each with a handle of its own: of
/// vaults of their own where these keep their secrets in [different places](Places::Separate), else of
/// the same vault where its kind declares [`Concurrent`](Capability::Concurrent). What such a check
/// finds broken is checked again alone.
///
/// # Errors
/// What [`Subject::open`] answered when the vault does not open at all; nothing was
/// checked then. (A vault that opens only for who has logged in breaks `open-no-login`,
/// and is no such error.)
pub fn run(
    subject: &dyn Subject,
    declared: &Declared,
    report: &mut dyn FnMut(&Outcome),
) -> Result<()> {
    let mut bench = Bench::new(subject, declared)?;
    let mut report = InOrder { report, stop: &declared.stop, waiting: BTreeMap::new(), next: 0 };
    let (first, rest): (Vec<Job>, Vec<Job>) =
        CHECKS.iter().enumerate().partition(|(_, check)| check.turn == Turn::First);
    let (mut last, mut middle): (Vec<Job>, Vec<Job>) =
        rest.into_iter().partition(|(_, check)| check.turn == Turn::Last);

    one_by_one(&mut bench, &first, &mut report);
    let time = bench.pace() * middle.iter().map(|(_, check)| bench.cost(check)).sum::<u32>();
    let lanes = lanes(&bench, time);
    if lanes > 1 {
        let found = beside_each_other(&mut bench, lanes, &middle, &last, &mut report);
        again_alone(&mut bench, found, &mut report);
        middle.retain(|(number, _)| !report.has(*number));
        last.retain(|(number, _)| !report.has(*number));
    } else if !bench.has_time_for(time) {
        // As many obligations as fit.
        middle.sort_by_key(|(_, check)| bench.cost(check));
    }
    one_by_one(&mut bench, &middle, &mut report);
    one_by_one(&mut bench, &last, &mut report);
    Ok(())
}

/// Returns how many checks run at the same time, if calls that take so long remain.
fn lanes(bench: &Bench<'_>, time: Duration) -> usize {
    if !writes_apart(bench) && !is_concurrent(bench) {
        return 1;
    }
    let lanes = time.as_millis().div_euclid(LANE.as_millis()) + 1;
    lanes.min(u128::from(MAX_LANES)) as usize
}

/// Returns whether each lane may write to a vault of its own.
fn writes_apart(bench: &Bench<'_>) -> bool {
    bench.places() == Places::Separate && bench.declared.can(Capability::Write)
}

/// Returns whether handles of one vault may be called at the same time.
fn is_concurrent(bench: &Bench<'_>) -> bool {
    bench.declared.can(Capability::Concurrent)
}

/// Runs checks with the handle that they share.
fn one_by_one(bench: &mut Bench<'_>, jobs: &[Job], report: &mut InOrder<'_>) {
    for (number, check) in jobs {
        if bench.declared.stop.is_stopped() {
            return;
        }
        let (outcome, _) = outcome(bench, check);
        report.take(*number, outcome);
    }
}

/// Runs checks again without others beside them: what they find then stands. What only stood in the way
/// of a check stands as it is once the time is over.
fn again_alone(bench: &mut Bench<'_>, found: Vec<(Job, Outcome)>, report: &mut InOrder<'_>) {
    for ((number, check), found) in found {
        let alone = match bench.has_time_for(bench.pace() * bench.cost(check)) || found.is_broken()
        {
            true => bench.without_end(|bench| outcome(bench, check).0),
            false => found,
        };
        report.take(number, alone);
    }
}

/// Runs checks in so many lanes, and returns what must be checked again alone. Where there are no
/// lanes, it runs none.
fn beside_each_other(
    bench: &mut Bench<'_>,
    lanes: usize,
    jobs: &[Job],
    last: &[Job],
    report: &mut InOrder<'_>,
) -> Vec<(Job, Outcome)> {
    // What the last check needs happens in a lane.
    let last = last.iter().filter(|(_, check)| check.obligation != PROVOKE.obligation);
    let reserved = last.clone().map(|(_, check)| bench.cost(check)).sum();
    let mut lanes = opened(bench, lanes, reserved);
    if lanes.len() < 2 {
        return Vec::new();
    }

    let mut alone = Vec::new();
    let writes_apart = lanes.iter().all(|lane| lane.vault != bench.vault);
    let turns: &[&[Turn]] = match writes_apart {
        true => &[&[Turn::Reads, Turn::Writes, Turn::Last]],
        false => &[&[Turn::Reads], &[Turn::Writes]],
    };
    for turn in turns {
        let mut jobs: Vec<Job> = jobs
            .iter()
            .chain(last.clone())
            .copied()
            .filter(|(_, check)| turn.contains(&check.turn))
            .collect();
        let is_last = turn.contains(&Turn::Writes);
        if is_last {
            jobs.push((UNREPORTED, &PROVOKE));
        }
        let shares = shares(bench, jobs, lanes.len());
        thread::scope(|scope| {
            let (send, receive) = mpsc::channel();
            let mut threads = Vec::new();
            for (lane, share) in lanes.iter_mut().zip(shares) {
                let send = send.clone();
                threads.push(scope.spawn(move || {
                    for job in share {
                        if lane.declared.stop.is_stopped() {
                            break;
                        }
                        // Somebody receives it until the last one is sent.
                        let _ = send.send((job, outcome(lane, job.1)));
                    }
                    if is_last {
                        lane.finish();
                    }
                }));
            }
            drop(send);
            for (job, (outcome, again)) in receive {
                match again {
                    _ if job.0 == UNREPORTED => {}
                    true => alone.push((job, outcome)),
                    false => report.take(job.0, outcome),
                }
            }
            threads.into_iter().for_each(joined);
        });
    }
    alone.sort_by_key(|((number, _), _)| *number);
    alone
}

/// Opens so many lanes, of vaults of their own where these have places of their own, else of the one
/// vault; fewer where not all of them open.
fn opened<'a>(bench: &mut Bench<'a>, count: usize, reserved: u32) -> Vec<Bench<'a>> {
    let kinds = [(Whose::Own, writes_apart(bench)), (Whose::Shared, is_concurrent(bench))];
    for (whose, _) in kinds.iter().filter(|(_, is_possible)| *is_possible) {
        let reserved = if *whose == Whose::Own { 0 } else { reserved };
        let plans = bench.plan_lanes(*whose, count, reserved);
        let lanes: Vec<_> = thread::scope(|scope| {
            let open = |plan| scope.spawn(|| Bench::lane(plan));
            let threads: Vec<_> = plans.into_iter().map(open).collect();
            threads.into_iter().filter_map(joined).collect()
        });
        if lanes.len() > 1 {
            return lanes;
        }
    }
    Vec::new()
}

/// Returns what a thread returned; a panic of it goes on here.
fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// Gives each of so many lanes its share of the calls. Where the time is short, what costs least goes
/// first, so that as many obligations as can be are tried.
fn shares(bench: &Bench<'_>, mut jobs: Vec<Job>, lanes: usize) -> Vec<Vec<Job>> {
    let mut shares = vec![(0, Vec::new()); lanes];
    let is_mixed = jobs.iter().any(|(_, check)| check.turn != jobs[0].1.turn);
    let fair = jobs.iter().map(|(_, check)| bench.cost(check)).sum::<u32>() / lanes as u32;
    jobs.sort_by_key(|(_, check)| (check.turn != Turn::Reads, Reverse(bench.cost(check))));
    for job in jobs {
        // What reads the same secrets goes to the same lanes, which write these first.
        let is_together = is_mixed && job.1.turn == Turn::Reads;
        let share = match is_together {
            true => shares.iter_mut().find(|(calls, _)| *calls < fair),
            false => shares.iter_mut().min_by_key(|(calls, _)| *calls),
        };
        let (calls, share) = share.expect("not all lanes have more than the mean");
        *calls += bench.cost(job.1);
        share.push(job);
    }
    for (calls, share) in &mut shares {
        // Lanes unlock their vaults, and what a check costs is known about.
        if !bench.has_time_for(bench.pace() * (*calls * 5 / 4 + 6)) {
            share.sort_by_key(|(_, check)| bench.cost(check));
        }
    }
    shares.into_iter().map(|(_, share)| share).collect()
}

/// Runs one check, and returns what it found and whether that counts only when it is found alone.
fn outcome(bench: &mut Bench<'_>, check: &Check) -> (Outcome, bool) {
    let obligation = check.obligation;
    let verdict = match bench.obstacle(check) {
        Some(why) => Err(Fault::Elsewhere { why }),
        None if !bench.has_time_for(bench.pace() * bench.cost(check)) => {
            return (Outcome::NotTried { obligation }, false);
        }
        None => (check.run)(bench),
    };
    let tried = bench.tried.take();
    bench.clean();
    match verdict {
        Ok(()) => (Outcome::Passed { obligation, tried }, false),
        Err(Fault::Elsewhere { why }) => (Outcome::NotApplicable { obligation, why }, false),
        Err(Fault::Before { why }) => (Outcome::NotApplicable { obligation, why }, true),
        Err(Fault::Broken { expected, found }) => {
            let found = bench.redact(found);
            (Outcome::Broken { obligation, expected, found }, true)
        }
    }
}

/// Reports in the order of the obligations, whatever the order in which the outcomes come.
struct InOrder<'r> {
    report: &'r mut dyn FnMut(&Outcome),
    stop: &'r Stop,
    waiting: BTreeMap<usize, Outcome>,
    next: usize,
}

impl InOrder<'_> {
    /// Returns whether the report has, or will have, the outcome of this check.
    fn has(&self, number: usize) -> bool {
        number < self.next || self.waiting.contains_key(&number)
    }

    /// Takes an outcome, unless the check was stopped: whatever was found since may come of that.
    fn take(&mut self, number: usize, outcome: Outcome) {
        if self.stop.is_stopped() {
            return;
        }
        self.waiting.insert(number, outcome);
        while let Some(outcome) = self.waiting.remove(&self.next) {
            (self.report)(&outcome);
            self.next += 1;
            if self.stop.is_stopped() {
                return;
            }
        }
    }
}
