//! Polling for a moment before sleeping. Most calls are answered before a sleeping processor wakes
//! up (35 µs and more in a virtual machine, on either side of the socket).

use std::time::{Duration, Instant};

use rustix::event::{PollFd, Timespec};
use rustix::io::Errno;

/// Duration of the polling: about the cost of a wake-up, so that polling in vain costs little more
/// than sleeping at once.
const MOMENT: Duration = Duration::from_micros(50);

/// Whether to poll for the other end of a connection before sleeping.
#[derive(Debug, Clone, Copy)]
pub(super) struct SpinWait(bool);

impl SpinWait {
    /// Returns a value that polls if the other end can run meanwhile: on more than one processor.
    pub(super) fn new() -> Self {
        Self(rustix::thread::sched_getaffinity(None).is_ok_and(|processors| processors.count() > 1))
    }

    /// Returns this value the first time, and then a value that does not poll.
    pub(super) fn once(self, looks: &mut bool) -> Self {
        Self(self.0 && std::mem::take(looks))
    }

    /// Polls for a moment until a descriptor is ready; returns whether any is ready.
    pub(super) fn look(self, watched: &mut [PollFd<'_>]) -> rustix::io::Result<bool> {
        if !self.0 {
            return Ok(false);
        }
        let until = Instant::now() + MOMENT;
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        loop {
            match rustix::event::poll(watched, Some(&at_once)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(error),
            }
            if Instant::now() >= until {
                return Ok(false);
            }
            // The other end may be on this very processor.
            rustix::thread::sched_yield();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::event::PollFlags;

    use super::*;

    #[test]
    fn spin_wait_reports_only_ready_data() {
        let (ours, theirs) = rustix::pipe::pipe().unwrap();
        let sees = |eager: SpinWait| {
            let mut watched = [PollFd::from_borrowed_fd(ours.as_fd(), PollFlags::IN)];
            eager.look(&mut watched).unwrap()
        };
        assert!(!sees(SpinWait(true)));
        rustix::io::write(&theirs, b"x").unwrap();
        assert!(sees(SpinWait(true)));
        // On one processor polling is useless: the other end cannot run meanwhile.
        assert!(!sees(SpinWait(false)));
    }

    #[test]
    fn spin_wait_is_disabled_on_single_processor() {
        let both = rustix::thread::sched_getaffinity(None).unwrap();
        assert_eq!(SpinWait::new().0, both.count() > 1);
        let one = std::thread::spawn(move || {
            let first = (0..rustix::thread::CpuSet::MAX_CPU).find(|cpu| both.is_set(*cpu));
            let mut one = rustix::thread::CpuSet::new();
            one.set(first.unwrap());
            rustix::thread::sched_setaffinity(None, &one).unwrap();
            SpinWait::new().0
        });
        assert!(!one.join().unwrap());
    }
}
