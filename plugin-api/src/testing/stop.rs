//! Stopping a check from another thread, such as one that waits for signals.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;

/// Stops a check, which then removes what it wrote, for three seconds at most. All clones stop the
/// same check.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<State>);

#[derive(Debug, Default)]
struct State {
    stopped: AtomicBool,
    left: AtomicUsize,
}

impl Stop {
    /// Returns one that stops nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the check. A call that the vault is busy with ends first.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
    }

    /// Returns whether it was stopped.
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }

    /// Returns how many secrets of the suite are left in the vault, once the stopped check has ended.
    pub fn left(&self) -> usize {
        self.0.left.load(Ordering::SeqCst)
    }

    /// Counts one that is left.
    pub(super) fn leave(&self) {
        self.0.left.fetch_add(1, Ordering::SeqCst);
    }
}
