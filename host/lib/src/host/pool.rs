//! The open handles of each vault, and who has them: a handle is one caller's at a time. A caller that
//! finds all of them in use waits for one, or opens a further one where the vault may have more.
//!
//! A vault may need another one's secret while it is opened or unlocked. Where callers would wait for
//! each other in a circle, the last one gets an error instead.
//!
//! To hand a handle from one thread to another costs more than many a call. So who gives one back may
//! take it again at once, for as long as a streak lasts; then it is reserved for the first in the queue.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use keystead_plugin_api::VaultName;

use super::lock;

/// How long threads may take a handle again while others wait for it. Who is first in the queue waits
/// this long and one call at most. A hundred times what it costs to wake a thread.
const STREAK: Duration = Duration::from_millis(10);

/// How often the first in the queue looks during a streak: it may have ended early. Each time, it takes
/// the processor from a thread that calls.
const LOOK: Duration = Duration::from_millis(1);

/// How long a caller waits for a handle before it opens a further one: most calls are shorter, and
/// opening takes longer, up to a process that has to start.
const PATIENCE: Duration = Duration::from_millis(1);

/// How long a further handle may stay without a call before a call on another one closes it.
const IDLE: Duration = Duration::from_secs(60);

/// What the handles of one vault have in common.
pub(super) trait Shared: Default {
    /// Returns how many handles there may be now.
    fn most(&self) -> usize;
}

/// The handles of all vaults of a host.
pub(super) struct Pools<H, S>(Mutex<State<H, S>>);

struct State<H, S> {
    pools: HashMap<VaultName, Pool<H, S>>,
    /// Which vault each thread waits for that waits.
    waiting: HashMap<ThreadId, VaultName>,
    /// The number of the pool that was made last.
    last: u64,
}

/// The handles of one vault.
struct Pool<H, S> {
    /// Its number: another pool of the vault, after this one was closed, has another.
    number: u64,
    /// Handles without a caller, each since when; the one that was used last is the last.
    idle: Vec<(Instant, H)>,
    /// The threads that have a handle, or open one.
    holders: Vec<ThreadId>,
    /// The thread that opens or unlocks one: one at a time does.
    entering: Option<ThreadId>,
    waiters: VecDeque<Waiter>,
    /// The first in the queue, once a handle is reserved for it.
    heir: Option<ThreadId>,
    /// When the streak began.
    streak: Instant,
    /// How often the vault was unlocked or opened anew: handles of before are not used any more.
    unlocked: u64,
    shared: S,
}

struct Waiter {
    thread: ThreadId,
    wake: Arc<Condvar>,
    /// Whether it was woken and found the handle taken again.
    woken: bool,
}

/// What a caller has of a vault: a handle, or the turn to open one. Dropped, the handle is the next
/// caller's; without one, the next caller opens one.
pub(super) struct Checkout<'p, H, S: Shared> {
    pub(super) handle: Option<H>,
    pub(super) caller: Caller<'p, H, S>,
}

/// What a caller is in its vault's pool.
pub(super) struct Caller<'p, H, S: Shared> {
    pools: &'p Pools<H, S>,
    pub(super) vault: VaultName,
    pool: u64,
    unlocked: u64,
    /// Whether the handle is one beside others.
    pub(super) is_further: bool,
}

impl<H, S> Default for Pools<H, S> {
    fn default() -> Self {
        Self(Mutex::new(State { pools: HashMap::new(), waiting: HashMap::new(), last: 0 }))
    }
}

impl<H, S: Shared> Pools<H, S> {
    /// Waits for a handle, or for the turn to open one. Returns `None` where this thread would wait for itself.
    pub(super) fn enter(&self, vault: &VaultName) -> Option<Checkout<'_, H, S>> {
        let me = thread::current().id();
        let mut state = lock(&self.0);
        let pool = state.pool(vault);
        if pool.holders.contains(&me) {
            return None;
        }
        match pool.take(me, Duration::ZERO) {
            Some(Taken { handle, is_further }) => {
                let caller = Caller::new(self, vault, pool, is_further);
                return Some(Checkout { handle, caller });
            }
            None if pool.waiters.is_empty() => pool.streak = Instant::now(),
            None => {}
        }
        let began = Instant::now();
        let wake = Arc::new(Condvar::new());
        let mut queued = 0;
        let taken = loop {
            let pool = state.pool(vault);
            if pool.number != queued {
                queued = pool.number;
                let waiter = Waiter { thread: me, wake: Arc::clone(&wake), woken: false };
                pool.waiters.push_back(waiter);
            }
            let waited = began.elapsed();
            if let Some(taken) = pool.take(me, waited) {
                break Some(taken);
            }
            let limit = pool.limit(me, waited);
            if state.is_stuck(me, vault) {
                break None;
            }
            state.waiting.entry(me).or_insert_with(|| vault.clone());
            state = waited_for(&wake, state, limit);
        };
        state.waiting.remove(&me);
        let pool = state.pool(vault);
        pool.waiters.retain(|waiter| waiter.thread != me);
        if pool.heir == Some(me) {
            pool.heir = None;
        }
        if taken.is_some() {
            pool.streak = Instant::now();
        }
        // There may be a handle for the next one as well.
        pool.wake();
        let Taken { handle, is_further } = taken?;
        let caller = Caller::new(self, vault, pool, is_further);
        Some(Checkout { handle, caller })
    }

    /// Closes a vault. Calls under way end first, on their handles; who waits opens it anew.
    pub(super) fn close(&self, vault: &VaultName) {
        let closed = lock(&self.0).pools.remove(vault);
        // Ending a process takes a moment: outside of the lock.
        drop(closed.map(Pool::closed));
    }

    /// Closes all vaults.
    pub(super) fn close_all(&self) {
        let closed = std::mem::take(&mut lock(&self.0).pools);
        closed.into_values().for_each(|pool| drop(pool.closed()));
    }

    fn leave(&self, caller: &Caller<'_, H, S>, handle: Option<H>) {
        let me = thread::current().id();
        let mut closed = (handle, None);
        let mut state = lock(&self.0);
        let pool = state.pools.get_mut(&caller.vault);
        if let Some(pool) = pool.filter(|pool| pool.number == caller.pool) {
            if let Some(at) = pool.holders.iter().position(|holder| *holder == me) {
                pool.holders.swap_remove(at);
            }
            if pool.entering == Some(me) {
                pool.entering = None;
            }
            if caller.unlocked == pool.unlocked
                && let Some(handle) = closed.0.take()
            {
                closed.1 = pool.put_back(handle);
            }
            pool.wake();
        }
        drop(state);
        drop(closed);
    }
}

/// Waits until it is woken, or for this long.
fn waited_for<'s, T>(
    wake: &Condvar,
    state: MutexGuard<'s, T>,
    limit: Option<Duration>,
) -> MutexGuard<'s, T> {
    match limit {
        None => wake.wait(state).unwrap_or_else(PoisonError::into_inner),
        Some(limit) => wake.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0,
    }
}

impl<H, S: Shared> State<H, S> {
    /// Returns the pool of a vault.
    fn pool(&mut self, vault: &VaultName) -> &mut Pool<H, S> {
        if !self.pools.contains_key(vault) {
            self.last += 1;
            self.pools.insert(vault.clone(), Pool::new(self.last));
        }
        self.pools.get_mut(vault).expect("it is there by now")
    }

    /// Returns whether all that this thread would wait for waits in the end for it.
    fn is_stuck(&self, me: ThreadId, vault: &VaultName) -> bool {
        let (mut seen, mut places) = (vec![me], vec![vault]);
        while let Some(place) = places.pop() {
            // Who waits for a pool that was closed is awake.
            let Some(pool) = self.pools.get(place) else { return false };
            if !pool.idle.is_empty() || pool.may_open() {
                return false;
            }
            for holder in &pool.holders {
                if seen.contains(holder) {
                    continue;
                }
                seen.push(*holder);
                match self.waiting.get(holder) {
                    Some(place) => places.push(place),
                    None => return false,
                }
            }
        }
        true
    }
}

/// What a caller gets: a handle, or to open one.
struct Taken<H> {
    handle: Option<H>,
    is_further: bool,
}

impl<H, S: Shared> Pool<H, S> {
    fn new(number: u64) -> Self {
        Self {
            number,
            idle: Vec::new(),
            holders: Vec::new(),
            entering: None,
            waiters: VecDeque::new(),
            heir: None,
            streak: Instant::now(),
            unlocked: 0,
            shared: S::default(),
        }
    }

    /// Returns how many handles there are, those that are being opened too.
    fn count(&self) -> usize {
        self.idle.len() + self.holders.len()
    }

    /// Returns whether a handle may be opened.
    fn may_open(&self) -> bool {
        let count = self.count();
        self.entering.is_none() && (count == 0 || count < self.shared.most())
    }

    /// Takes a handle, or the turn to open one.
    fn take(&mut self, me: ThreadId, waited: Duration) -> Option<Taken<H>> {
        let count = self.count();
        let reserved = usize::from(self.heir.is_some_and(|heir| heir != me));
        let handle = match self.idle.len() > reserved {
            true => self.idle.pop().map(|(_, handle)| handle),
            false => None,
        };
        if handle.is_none() {
            if !self.may_open() || (count > 0 && waited < PATIENCE) {
                return None;
            }
            self.entering = Some(me);
        }
        self.holders.push(me);
        Some(Taken { is_further: handle.is_none() && count > 0, handle })
    }

    /// Returns how long a waiter sleeps unless another thread wakes it.
    fn limit(&mut self, me: ThreadId, waited: Duration) -> Option<Duration> {
        let first = self.waiters.front().is_some_and(|first| first.thread == me && first.woken);
        let look = first.then_some(LOOK);
        let open = self.may_open().then(|| PATIENCE.saturating_sub(waited));
        look.into_iter().chain(open).min()
    }

    /// Wakes the first in the queue where there may be something for it: once in a streak, and at
    /// its end, when the handle is reserved for it.
    fn wake(&mut self) {
        let may_open = self.may_open();
        let Some(first) = self.waiters.front_mut() else { return };
        if self.idle.is_empty() {
            if may_open {
                first.wake.notify_one();
            }
        } else if !first.woken {
            first.woken = true;
            first.wake.notify_one();
        } else if self.heir.is_none() && self.streak.elapsed() >= STREAK {
            self.heir = Some(first.thread);
            first.wake.notify_one();
        }
    }

    /// Takes a handle back. Returns one that has been idle for long.
    fn put_back(&mut self, handle: H) -> Option<H> {
        let now = Instant::now();
        self.idle.push((now, handle));
        let is_old = now.saturating_duration_since(self.idle[0].0) > IDLE;
        is_old.then(|| self.idle.remove(0).1)
    }

    /// Wakes all that wait for it, and returns its handles.
    fn closed(self) -> Vec<(Instant, H)> {
        self.waiters.iter().for_each(|waiter| waiter.wake.notify_one());
        self.idle
    }
}

impl<'p, H, S: Shared> Caller<'p, H, S> {
    fn new(pools: &'p Pools<H, S>, vault: &VaultName, pool: &Pool<H, S>, is_further: bool) -> Self {
        let (vault, number, unlocked) = (vault.clone(), pool.number, pool.unlocked);
        Self { pools, vault, pool: number, unlocked, is_further }
    }

    /// Does this with the vault's pool; `None` where the vault was closed since.
    fn pool<T>(&self, work: impl FnOnce(&mut Pool<H, S>) -> T) -> Option<T> {
        let mut state = lock(&self.pools.0);
        let pool = state.pools.get_mut(&self.vault)?;
        (pool.number == self.pool).then(|| work(pool))
    }

    /// Does this with what the vault's handles have in common; `None` where the vault was closed, or
    /// unlocked with another handle, since.
    pub(super) fn shared<T>(&self, work: impl FnOnce(&mut S) -> T) -> Option<T> {
        let unlocked = self.unlocked;
        self.pool(|pool| (pool.unlocked == unlocked).then(|| work(&mut pool.shared))).flatten()
    }

    /// Says that the handle is open: another one may be opened.
    pub(super) fn opened(&self) {
        let me = thread::current().id();
        self.pool(|pool| {
            if pool.entering == Some(me) {
                pool.entering = None;
                pool.wake();
            }
        });
    }

    /// Takes the turn to unlock the vault with this handle. Returns false where that is needless:
    /// another caller does so, or has done so, or `needs` says no. The handle is of no use then.
    pub(super) fn may_unlock(&self, needs: impl FnOnce(&mut S) -> bool) -> bool {
        let me = thread::current().id();
        let may = self.pool(|pool| {
            let is_mine = pool.entering.is_none_or(|thread| thread == me);
            let may = is_mine && pool.unlocked == self.unlocked && needs(&mut pool.shared);
            if may {
                pool.entering = Some(me);
            }
            may
        });
        may.unwrap_or(false)
    }

    /// Says that the vault was unlocked, or opened anew, with this handle: no other one of before is
    /// used again.
    pub(super) fn unlocked(&mut self, work: impl FnOnce(&mut S)) {
        let renewed = self.pool(|pool| {
            pool.unlocked += 1;
            work(&mut pool.shared);
            (pool.unlocked, std::mem::take(&mut pool.idle))
        });
        if let Some((unlocked, stale)) = renewed {
            self.unlocked = unlocked;
            drop(stale);
        }
    }
}

impl<H, S: Shared> Drop for Checkout<'_, H, S> {
    fn drop(&mut self) {
        let handle = self.handle.take();
        self.caller.pools.leave(&self.caller, handle);
    }
}

#[cfg(test)]
mod tests;
