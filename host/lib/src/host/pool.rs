//! The open handles of each vault and their callers: a handle has one caller at a time. If all are
//! in use, a caller waits for one, or opens a further one if the vault may have more.
//!
//! A vault may need another vault's secret while it is opened or unlocked. If callers were to wait
//! for each other in a circle, the last caller gets an error instead.
//!
//! Passing a handle to another thread costs more than many calls. So a thread may retake its handle
//! at once until a streak ends; then the handle is reserved for the first in the queue.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use keystead_plugin_api::VaultName;

use super::lock;

/// How long threads may retake a handle while other threads wait. The first in the queue waits this
/// long and one call at most. A hundred times the cost of waking a thread.
const STREAK: Duration = Duration::from_millis(10);

/// How often the first in the queue checks during a streak, which may have ended early. Each check
/// takes the processor from a thread that makes calls.
const LOOK: Duration = Duration::from_millis(1);

/// How long a caller waits for a handle before it opens a further one. Most calls are shorter, and
/// opening takes longer, up to a process that has to start.
const PATIENCE: Duration = Duration::from_millis(1);

/// How long a further handle may stay idle before a call on another handle closes it.
const IDLE: Duration = Duration::from_secs(60);

/// State that the handles of one vault share.
pub(super) trait Shared: Default {
    /// Returns the maximum number of handles now.
    fn most(&self) -> usize;
}

/// The handles of all vaults of a host.
pub(super) struct Pools<H, S>(Mutex<State<H, S>>);

struct State<H, S> {
    pools: HashMap<VaultName, Pool<H, S>>,
    /// The vault that each waiting thread waits for.
    waiting: HashMap<ThreadId, VaultName>,
    /// Number of the newest pool.
    last: u64,
}

/// The handles of one vault.
struct Pool<H, S> {
    /// Number of this pool: a pool that replaces it after a close has another number.
    number: u64,
    /// Handles without a caller, with the time of their return; the latest is the last.
    idle: Vec<(Instant, H)>,
    /// Threads that have a handle, or open one.
    holders: Vec<ThreadId>,
    /// The thread that opens or unlocks a handle: only one at a time does.
    entering: Option<ThreadId>,
    waiters: VecDeque<Waiter>,
    /// The first thread in the queue, once a handle is reserved for it.
    heir: Option<ThreadId>,
    /// Start of the streak.
    streak: Instant,
    /// How often the vault was unlocked or opened anew: older handles are no longer used.
    unlocked: u64,
    shared: S,
}

struct Waiter {
    thread: ThreadId,
    wake: Arc<Condvar>,
    /// Whether it was woken and found the handle taken again.
    woken: bool,
}

/// A caller's handle of a vault, or its turn to open one. When dropped, the handle goes to the next
/// caller; without a handle, the next caller opens one.
pub(super) struct Checkout<'p, H, S: Shared> {
    pub(super) handle: Option<H>,
    pub(super) caller: Caller<'p, H, S>,
}

/// A caller's state in its vault's pool.
pub(super) struct Caller<'p, H, S: Shared> {
    pools: &'p Pools<H, S>,
    pub(super) vault: VaultName,
    pool: u64,
    unlocked: u64,
    /// Whether the handle is an additional one.
    pub(super) is_further: bool,
}

impl<H, S> Default for Pools<H, S> {
    fn default() -> Self {
        Self(Mutex::new(State { pools: HashMap::new(), waiting: HashMap::new(), last: 0 }))
    }
}

impl<H, S: Shared> Pools<H, S> {
    /// Waits for a handle, or the turn to open one. `None` if this thread would wait for itself.
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
        // The next thread in the queue may find a handle as well.
        pool.wake();
        let Taken { handle, is_further } = taken?;
        let caller = Caller::new(self, vault, pool, is_further);
        Some(Checkout { handle, caller })
    }

    /// Closes a vault. Calls under way end first, on their handles; waiting callers reopen it.
    pub(super) fn close(&self, vault: &VaultName) {
        let closed = lock(&self.0).pools.remove(vault);
        // Outside of the lock: ending a process takes a moment.
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

/// Waits for a wake-up, at most this long; `None` means without a limit.
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

    /// Returns whether every thread that this thread waits for waits in the end for this thread.
    fn is_stuck(&self, me: ThreadId, vault: &VaultName) -> bool {
        let (mut seen, mut places) = (vec![me], vec![vault]);
        while let Some(place) = places.pop() {
            // A thread that waits for a closed pool is awake.
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

/// A handle for a caller, or its turn to open one.
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

    /// Returns the number of handles, including those that are being opened.
    fn count(&self) -> usize {
        self.idle.len() + self.holders.len()
    }

    /// Returns whether a thread may open a handle.
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

    /// Returns how long a waiter sleeps unless another thread wakes it; `None` means no limit.
    fn limit(&mut self, me: ThreadId, waited: Duration) -> Option<Duration> {
        let first = self.waiters.front().is_some_and(|first| first.thread == me && first.woken);
        let look = first.then_some(LOOK);
        let open = self.may_open().then(|| PATIENCE.saturating_sub(waited));
        look.into_iter().chain(open).min()
    }

    /// Wakes the first in the queue if there may be a handle for it. In a streak, wakes it once,
    /// and again at the end, when the handle is reserved for it.
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

    /// Takes a handle back. Returns the oldest idle handle if it was idle for too long.
    fn put_back(&mut self, handle: H) -> Option<H> {
        let now = Instant::now();
        self.idle.push((now, handle));
        let is_old = now.saturating_duration_since(self.idle[0].0) > IDLE;
        is_old.then(|| self.idle.remove(0).1)
    }

    /// Wakes all threads that wait for the pool, and returns its handles.
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

    /// Runs `work` on the vault's pool; returns `None` if the vault was closed since.
    fn pool<T>(&self, work: impl FnOnce(&mut Pool<H, S>) -> T) -> Option<T> {
        let mut state = lock(&self.pools.0);
        let pool = state.pools.get_mut(&self.vault)?;
        (pool.number == self.pool).then(|| work(pool))
    }

    /// Runs `work` on the shared state of the vault's handles. Returns `None` if the vault was
    /// closed, or unlocked with another handle, since.
    pub(super) fn shared<T>(&self, work: impl FnOnce(&mut S) -> T) -> Option<T> {
        let unlocked = self.unlocked;
        self.pool(|pool| (pool.unlocked == unlocked).then(|| work(&mut pool.shared))).flatten()
    }

    /// Records that the handle is open: another handle may be opened.
    pub(super) fn opened(&self) {
        let me = thread::current().id();
        self.pool(|pool| {
            if pool.entering == Some(me) {
                pool.entering = None;
                pool.wake();
            }
        });
    }

    /// Takes the turn to unlock the vault with this handle. Returns false if another caller unlocks
    /// or has unlocked it, or if `needs` returns false. The handle is of no use then.
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

    /// Records that the vault was unlocked, or opened anew, with this handle: older handles are not
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
