//! Standard streams that were closed when this program started. std opens `/dev/null` in their
//! place before `main`, where output gets lost without an error.
#![allow(unsafe_code, reason = "only an initialiser runs before std opens closed streams")]

use std::sync::atomic::{AtomicU8, Ordering};

use rustix::io::Errno;

/// A bit for each stream that was closed.
static CLOSED: AtomicU8 = AtomicU8::new(0);

// SAFETY: the section is an array of functions of this type, each of which the loader calls once before
// `main`. This one makes three system calls and writes one number.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = note;

extern "C" fn note() {
    let streams = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    for (number, stream) in streams.into_iter().enumerate() {
        if rustix::io::fcntl_getfd(stream) == Err(Errno::BADF) {
            CLOSED.fetch_or(1 << number, Ordering::Relaxed);
        }
    }
}

/// Returns whether this standard stream was closed when the program started: 0, 1 or 2.
pub(crate) fn was_closed(number: u8) -> bool {
    CLOSED.load(Ordering::Relaxed) & (1 << number) != 0
}
