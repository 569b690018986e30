//! Evidence of a crash: one byte in the marker of the plugin that a signal or an `exit` of
//! this process is to be blamed on, written by the process itself while it ends.
//!
//! To blame is the plugin that the thread is in a call of, else the one that the faulting
//! instruction is part of, else nobody. What is sent from elsewhere, as by `kill`, is nobody's
//! crash. Everything here that a signal handler runs is safe there: atomics, a thread-local
//! number that needs no set-up, and system calls.

#[cfg(test)]
mod tests;
mod watch;

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, Once, OnceLock, PoisonError};

use nix::errno::Errno;
use nix::libc::{self, siginfo_t};
use nix::sys::signal::{self, SaFlags, SigAction, SigHandler, SigSet, Signal};

pub(crate) use watch::{Watch, in_the_host};

/// The signals that a fault in a process's own code sends it.
const SIGNALS: [Signal; 7] = [
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGILL,
    Signal::SIGFPE,
    Signal::SIGABRT,
    Signal::SIGSYS,
    Signal::SIGTRAP,
];

/// What was done about each of them before: it is done still.
static EARLIER: [OnceLock<SigAction>; SIGNALS.len()] = [const { OnceLock::new() }; SIGNALS.len()];

/// How many plugins' vaults are watched at once at most; a crash in any further one leaves no
/// evidence. 24 KiB, which cost nothing until they are used.
const MOST: usize = 1_024;

static PLACES: [Place; MOST] = [const { Place::new() }; MOST];

/// Held while a place is taken or given up.
static CHANGE: Mutex<()> = Mutex::new(());

/// How many threads are about to write, so that no descriptor is closed under them.
static WRITING: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The place of the plugin that this thread is in a call of, counted from 1; 0 for none.
    static CALLED: Cell<usize> = const { Cell::new(0) };
}

/// Where evidence against one plugin goes.
struct Place {
    /// The marker's descriptor; negative where the place is free.
    marker: AtomicI32,
    /// The process that holds it: a forked copy is another one.
    process: AtomicI32,
    /// Where the plugin's code is; empty where that is not known.
    from: AtomicUsize,
    to: AtomicUsize,
}

impl Place {
    const fn new() -> Self {
        Self {
            marker: AtomicI32::new(-1),
            process: AtomicI32::new(0),
            from: AtomicUsize::new(0),
            to: AtomicUsize::new(0),
        }
    }

    fn has(&self, instruction: usize) -> bool {
        (self.from.load(SeqCst)..self.to.load(SeqCst)).contains(&instruction)
    }

    /// Does this with the marker, if this process holds it.
    fn with_marker(&self, work: impl FnOnce(BorrowedFd<'_>)) {
        WRITING.fetch_add(1, SeqCst);
        let marker = self.marker.load(SeqCst);
        if marker >= 0 && self.process.load(SeqCst) == process() {
            // SAFETY: it is open: `Kept` is dropped before the marker, takes the number out
            // of here and waits until `WRITING` is 0.
            work(unsafe { BorrowedFd::borrow_raw(marker) });
        }
        WRITING.fetch_sub(1, SeqCst);
    }

    fn write(&self) {
        self.with_marker(|marker| {
            // On a full disk there is none.
            let _ = rustix::io::pwrite(marker, b"!", 0);
        });
    }

    fn take_back(&self) {
        self.with_marker(|marker| {
            let _ = rustix::fs::ftruncate(marker, 0);
        });
    }
}

fn process() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// A place that is taken. Dropped before its marker.
#[derive(Debug)]
pub(super) struct Kept(usize);

impl Kept {
    /// Takes a place for evidence that goes into this file; none where there is none left.
    pub(super) fn take(marker: &impl AsFd) -> Option<Self> {
        watch_for_ends();
        let _one = CHANGE.lock().unwrap_or_else(PoisonError::into_inner);
        let free = PLACES.iter().position(|place| place.marker.load(SeqCst) < 0)?;
        let place = &PLACES[free];
        place.process.store(process(), SeqCst);
        place.from.store(0, SeqCst);
        place.to.store(0, SeqCst);
        place.marker.store(marker.as_fd().as_raw_fd(), SeqCst);
        Some(Self(free))
    }

    /// Says where the plugin's code is.
    pub(super) fn has_code(&self, from: usize, to: usize) {
        PLACES[self.0].from.store(from, SeqCst);
        PLACES[self.0].to.store(to, SeqCst);
    }

    /// Says that this thread is in a call of the plugin, until what is returned is dropped.
    pub(super) fn called(&self) -> Called {
        Called { before: CALLED.replace(self.0 + 1) }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _one = CHANGE.lock().unwrap_or_else(PoisonError::into_inner);
        PLACES[self.0].marker.store(-1, SeqCst);
        while WRITING.load(SeqCst) > 0 {
            std::thread::yield_now();
        }
    }
}

/// Whose call this thread is in; as before when dropped.
pub(super) struct Called {
    before: usize,
}

impl Called {
    /// Says that this thread is in no plugin's call for now.
    pub(super) fn nobody() -> Self {
        Self { before: CALLED.replace(0) }
    }
}

impl Drop for Called {
    fn drop(&mut self) {
        CALLED.set(self.before);
    }
}

/// Whose call this thread is in.
fn called() -> Option<&'static Place> {
    PLACES.get(CALLED.get().checked_sub(1)?)
}

/// Has ends of this process looked at, from the first plugin on that is not the host's own.
fn watch_for_ends() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let ours = SigHandler::SigAction(on_signal);
        // On a stack of its own, where the thread has one: the usual one may be full.
        let ours = SigAction::new(ours, SaFlags::SA_ONSTACK, SigSet::empty());
        for (signal, earlier) in SIGNALS.iter().zip(&EARLIER) {
            // SAFETY: the handler does only what a handler may, and goes on with what was there.
            if let Ok(before) = unsafe { signal::sigaction(*signal, &ours) } {
                let _ = earlier.set(before);
            }
        }
        // SAFETY: the function takes nothing and stays as long as this program.
        let _ = unsafe { libc::atexit(on_exit) };
    });
}

/// `exit` was called, or `main` has returned: a plugin's doing only inside of a call of it.
extern "C" fn on_exit() {
    if let Some(place) = called() {
        place.write();
    }
}

extern "C" fn on_signal(number: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let errno = Errno::last_raw();
    // SAFETY: the kernel gives it to a handler that was set with SA_SIGINFO, as nix does.
    let told = unsafe { &*info };
    let by_kernel = told.si_code > 0;
    // This process did it, with a fault, `abort` or `raise`, and not a `kill` from elsewhere.
    // SAFETY: signals that a process sends have a sender; what other signals have there is compared
    // with a process id and no more.
    let is_own = by_kernel || unsafe { told.si_pid() } == process();
    let blamed = if is_own { blamed(context) } else { None };
    if let Some(place) = blamed {
        place.write();
    }
    if go_on(number, info, context, by_kernel) == After::Lives
        && let Some(place) = blamed
    {
        place.take_back();
    }
    Errno::set_raw(errno);
}

fn blamed(context: *mut c_void) -> Option<&'static Place> {
    called().or_else(|| {
        let at = instruction(context)?;
        PLACES.iter().find(|place| place.marker.load(SeqCst) >= 0 && place.has(at))
    })
}

/// The instruction that the thread was at.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn instruction(context: *mut c_void) -> Option<usize> {
    // SAFETY: the kernel gives a handler that was set with SA_SIGINFO a context of this type.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    #[cfg(target_arch = "x86_64")]
    let at = context.uc_mcontext.gregs[libc::REG_RIP as usize];
    #[cfg(target_arch = "aarch64")]
    let at = context.uc_mcontext.pc;
    usize::try_from(at).ok()
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn instruction(_: *mut c_void) -> Option<usize> {
    None
}

#[derive(PartialEq, Eq)]
enum After {
    /// The process ends, as far as can be seen.
    Ends,
    /// Somebody else's handler has mended it.
    Lives,
}

/// Does what was done about the signal before there was a handler of ours.
fn go_on(number: c_int, info: *mut siginfo_t, context: *mut c_void, by_kernel: bool) -> After {
    let known = SIGNALS.iter().position(|signal| *signal as c_int == number);
    let earlier = known.and_then(|at| EARLIER[at].get());
    match earlier.map(SigAction::handler) {
        Some(SigHandler::Handler(handler)) => handler(number),
        Some(SigHandler::SigAction(handler)) => handler(number, info, context),
        // What the kernel itself reports is not to be ignored.
        Some(SigHandler::SigIgn) if !by_kernel => return After::Lives,
        _ => {
            end_by(number, by_kernel);
            return After::Ends;
        }
    }
    // `abort` ends the process whatever a handler does, and nothing but it is to be expected of
    // SIGABRT. A fault happens once more where a handler has put the default in place and
    // returned, as the standard library's does.
    let happens_again = by_kernel && disposition(number) == libc::SIG_DFL;
    if happens_again || number == libc::SIGABRT { After::Ends } else { After::Lives }
}

/// Returns what is done about a signal now, as the system has it.
fn disposition(number: c_int) -> usize {
    let mut now = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: nothing is set, and what is there is written where there is room for it.
    unsafe { libc::sigaction(number, std::ptr::null(), now.as_mut_ptr()) };
    // SAFETY: it was written, or is zero, which is a value of this type.
    unsafe { now.assume_init() }.sa_sigaction
}

/// Ends the process by the signal's default: once its handler has returned.
fn end_by(number: c_int, by_kernel: bool) {
    // SAFETY: the default takes no function.
    unsafe { libc::signal(number, libc::SIG_DFL) };
    let happens_again = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];
    if !(by_kernel && happens_again.contains(&number)) {
        let _ = Signal::try_from(number).map(signal::raise);
    }
}
