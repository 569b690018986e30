//! Long computation that cannot be interrupted, abandoned at its call's deadline. A separate thread
//! runs it to its end and wipes its memory, while the caller returns. The total memory of all such
//! threads in this process is limited.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use keystead_plugin_api::{Deadline, Error, Result};

/// The most memory of all computations in this process, with abandoned ones: twice the maximum of
/// one, and half of a sandbox's limit.
pub(crate) const MOST_MEMORY_KIB: u32 = 512 * 1024;

/// The memory in use. This state belongs to the process, not to a vault.
static IN_USE: Memory = Memory { kib: Mutex::new(0), freed: Condvar::new() };

/// Returns the result of a computation with this much memory.
///
/// # Errors
/// `TimedOut` at the deadline, before it begins or while it runs; `Unavailable` if no thread can be
/// started.
pub(crate) fn by<T: Send + 'static>(
    deadline: Deadline,
    memory_kib: u32,
    compute: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    IN_USE.by(deadline, memory_kib, compute)
}

/// Memory for computations to take and return.
struct Memory {
    kib: Mutex<u32>,
    freed: Condvar,
}

/// Memory of one computation, returned on drop.
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
                // If the caller has stopped waiting, the result is wiped here.
                let _ = done.send(computed);
            })
            .map_err(|error| Error::unavailable(format!("no thread can be started: {error}")))?;
        result.recv_timeout(deadline.remaining()).map_err(|error| match error {
            RecvTimeoutError::Timeout => Error::timed_out(),
            RecvTimeoutError::Disconnected => Error::internal("the derivation of a key panicked"),
        })
    }

    /// Takes memory, if necessary after other computations return theirs.
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

    /// The computation ends only when this test allows it: the machine's speed does not matter.
    #[test]
    fn timed_out_computation_keeps_memory_until_its_end() {
        let memory = memory();
        let (end, wait) = mpsc::channel::<()>();
        let deadline = Deadline::after(Duration::from_millis(20));
        let late = memory.by(deadline, MOST_MEMORY_KIB, move || wait.recv());
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);

        // The next computation waits for that memory, but only until its own deadline.
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
