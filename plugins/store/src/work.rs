//! Long computation that nothing can interrupt, abandoned at its call's deadline: it runs in a
//! thread of its own, which goes on to its end and wipes what it used, while the caller returns.
//! What all such threads of this process use together is bounded.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use keystead_plugin_api::{Deadline, Error, Result};

/// The most memory that all computations of this process use at once, abandoned ones as well:
/// twice the most that one may use, and half of what a sandbox allows.
pub(crate) const MOST_MEMORY_KIB: u32 = 512 * 1024;

/// The memory in use. Not a vault's state: it is about the process.
static IN_USE: Memory = Memory { kib: Mutex::new(0), freed: Condvar::new() };

/// Returns what a computation with this much memory returns.
///
/// # Errors
/// `Late` at the deadline, before it begins as well as while it runs; `Unavailable` where no
/// thread can be started.
pub(crate) fn by<T: Send + 'static>(
    deadline: Deadline,
    memory_kib: u32,
    compute: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    IN_USE.by(deadline, memory_kib, compute)
}

/// Memory that computations take and give back.
struct Memory {
    kib: Mutex<u32>,
    freed: Condvar,
}

/// What one computation took, until it is dropped.
struct Taken {
    of: &'static Memory,
    kib: u32,
}

impl Memory {
    fn by<T: Send + 'static>(
        &'static self,
        deadline: Deadline,
        kib: u32,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let taken = self.take(kib, deadline)?;
        let (done, result) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("store-key".into())
            .spawn(move || {
                let computed = compute();
                drop(taken);
                // Nobody may wait for it any more: it is wiped here then.
                let _ = done.send(computed);
            })
            .map_err(|error| Error::unavailable(format!("no thread can be started: {error}")))?;
        result.recv_timeout(deadline.remaining()).map_err(|error| match error {
            RecvTimeoutError::Timeout => Error::timed_out(),
            RecvTimeoutError::Disconnected => Error::internal("the derivation of a key panicked"),
        })
    }

    /// Takes memory, where need be once others have given theirs back.
    fn take(&'static self, kib: u32, deadline: Deadline) -> Result<Taken> {
        let mut used = self.kib.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = deadline.remaining();
            if left.is_zero() {
                return Err(Error::timed_out());
            }
            if *used <= MOST_MEMORY_KIB.saturating_sub(kib) {
                *used += kib;
                return Ok(Taken { of: self, kib });
            }
            let waited = self.freed.wait_timeout(used, left);
            used = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        *self.of.kib.lock().unwrap_or_else(PoisonError::into_inner) -= self.kib;
        self.of.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use keystead_plugin_api::ErrorKind;

    use super::*;

    fn memory() -> &'static Memory {
        Box::leak(Box::new(Memory { kib: Mutex::new(0), freed: Condvar::new() }))
    }

    fn amply() -> Deadline {
        Deadline::after(Duration::from_secs(3_600))
    }

    #[test]
    fn computation_past_deadline_is_not_started() {
        let began = Arc::new(AtomicBool::new(false));
        let begins = Arc::clone(&began);
        let memory = memory();
        let late = memory.by(Deadline::after(Duration::ZERO), 1, move || {
            begins.store(true, Ordering::SeqCst);
        });
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(!began.load(Ordering::SeqCst));
        assert_eq!(*memory.kib.lock().unwrap(), 0);
    }

    /// It ends only when this test lets it: the caller returns whatever the machine's speed.
    #[test]
    fn timed_out_computation_keeps_memory_until_its_end() {
        let memory = memory();
        let (end, wait) = mpsc::channel::<()>();
        let deadline = Deadline::after(Duration::from_millis(20));
        let late = memory.by(deadline, MOST_MEMORY_KIB, move || wait.recv());
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);

        // The next one waits for that memory, and not beyond its own deadline.
        let late = memory.by(Deadline::after(Duration::from_millis(20)), 1, || ());
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
        drop(end);
        assert_eq!(memory.by(amply(), MOST_MEMORY_KIB, || 7), Ok(7));
        assert_eq!(*memory.kib.lock().unwrap(), 0);
    }

    #[test]
    fn panicking_computation_releases_its_memory() {
        let memory = memory();
        let failed = memory.by(amply(), 1, || panic!("on purpose"));
        let failed: Result<()> = failed;
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Internal);
        assert!(memory.by(amply(), MOST_MEMORY_KIB, || ()).is_ok());
    }
}
