//! The terminal while something is typed hidden. However that ends, by keys, by a signal from
//! elsewhere or by being put to sleep, the terminal is as it was before.
//!
//! A signal that would end the process ends the question: the process itself ends by it in
//! `main`, once vaults are closed and plugins let go.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Signal;
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr,
};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use zeroize::Zeroizing;

/// Ctrl-C: interrupts the whole job, as line editing would.
const INTERRUPT: u8 = 3;

/// Ctrl-Z: puts the process to sleep, as line editing would.
const SUSPEND: u8 = 26;

/// Has the terminal mark where a paste begins and ends.
const MARK_PASTES: &[u8] = b"\x1b[?2004h";

/// Has it mark pastes no more.
const MARK_NO_PASTES: &[u8] = b"\x1b[?2004l";

/// How long nothing may arrive after the end of a line until that is all: a paste arrives together.
const QUIET: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// The same once something did arrive: a long paste comes in pieces.
const QUIET_AFTER_MORE: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };

/// The most bytes of a paste that are waited for: what sends more is no person.
const MOST_MORE: usize = 64 * 1024 * 1024;

/// The signal that the process is to end by; 0 for none.
static ENDED_BY: AtomicI32 = AtomicI32::new(0);

/// Returns the signal that the process is to end by, since it came while something was typed.
pub(crate) fn ended_by() -> Option<i32> {
    Some(ENDED_BY.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
}

fn end_by(signal: i32) {
    // The first one it was.
    let _ = ENDED_BY.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst);
}

/// What a person at the terminal did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// A byte was typed.
    Byte(u8),
    /// The end of input, or a signal that [`ended_by`] tells.
    End,
    /// The process slept meanwhile: what was typed before does not count.
    Again,
}

/// The terminal without echo, line editing and signals from keys; as before when dropped.
pub(super) struct HiddenInput<'a> {
    tty: &'a File,
    before: Termios,
    question: &'a str,
    marks_pastes: bool,
}

impl<'a> HiddenInput<'a> {
    /// Asks this question, and has pastes marked by a terminal that knows how.
    pub(super) fn start(tty: &'a File, question: &'a str, marks_pastes: bool) -> io::Result<Self> {
        let quiet = Self { tty, before: tcgetattr(tty)?, question, marks_pastes };
        // Signals first: from here on one finds a terminal that can be given back.
        Signals::get()?.hold(true);
        quiet.ask()?;
        Ok(quiet)
    }

    fn ask(&self) -> io::Result<()> {
        let mut modes = self.before.clone();
        modes.local_modes.remove(
            LocalModes::ECHO
                | LocalModes::ECHONL
                | LocalModes::ICANON
                | LocalModes::ISIG
                | LocalModes::IEXTEN,
        );
        // What was typed before the question was not meant for it.
        tcsetattr(self.tty, OptionalActions::Flush, &modes)?;
        let mut tty = self.tty;
        if self.marks_pastes {
            tty.write_all(MARK_PASTES)?;
        }
        tty.write_all(self.question.as_bytes())
    }

    /// Takes what arrives together with a line, so that no shell runs it. Returns whether that is more
    /// than line ends.
    pub(super) fn take_more(&self) -> bool {
        take_more(self.tty)
    }

    fn give_back(&self) {
        if self.marks_pastes {
            let mut tty = self.tty;
            let _ = tty.write_all(MARK_NO_PASTES);
        }
        let _ = tcsetattr(self.tty, OptionalActions::Flush, &self.before);
    }

    /// Waits for a key.
    pub(super) fn key(&mut self) -> io::Result<Key> {
        let signals = Signals::get()?;
        loop {
            let mut watched: Vec<_> =
                signals.pipes.iter().map(|(_, pipe)| wait_for(pipe)).collect();
            watched.push(wait_for(self.tty));
            match poll(&mut watched, None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(fault) => return Err(fault.into()),
            }
            let is_typed = watched.pop().is_some_and(|tty| !tty.revents().is_empty());
            if let Some(signal) = signals.caught() {
                if signal != SIGCONT {
                    end_by(signal);
                    return Ok(Key::End);
                }
                // Woken: a shell may have set the terminal for itself meanwhile.
                self.ask()?;
                return Ok(Key::Again);
            }
            if !is_typed {
                continue;
            }
            let mut byte = Zeroizing::new([0_u8]);
            let mut tty = self.tty;
            match tty.read(byte.as_mut()) {
                Ok(0) => return Ok(Key::End),
                Ok(_) if byte[0] == INTERRUPT => {
                    self.take_more();
                    self.give_back();
                    // The whole job: a shell stops its loop only if it was interrupted too.
                    rustix::process::kill_current_process_group(Signal::INT)?;
                    signals.wait_for(SIGINT)?;
                    end_by(SIGINT);
                    return Ok(Key::End);
                }
                Ok(_) if byte[0] == SUSPEND => {
                    self.give_back();
                    // The whole job, such as a pipeline. Where there is nobody to wake it, the
                    // kernel does not let it sleep.
                    rustix::process::kill_current_process_group(Signal::TSTP)?;
                    // That it was woken is no news any more.
                    while signals.caught() == Some(SIGCONT) {}
                    self.ask()?;
                    return Ok(Key::Again);
                }
                Ok(_) => return Ok(Key::Byte(byte[0])),
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                // The terminal is gone, and the signal that says so is on its way.
                Err(fault) if fault.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
                    return Ok(Key::End);
                }
                Err(fault) => return Err(fault),
            }
        }
    }
}

impl Drop for HiddenInput<'_> {
    fn drop(&mut self) {
        self.give_back();
        if let Ok(signals) = Signals::get() {
            signals.hold(false);
            // One that came in this very moment is not lost.
            if let Some(signal) = signals.caught().filter(|signal| *signal != SIGCONT) {
                end_by(signal);
            }
        }
    }
}

/// Takes what arrives together with a line that was read, in whatever mode the terminal is, until
/// nothing arrives. Returns whether that is more than line ends.
pub(super) fn take_more(tty: &File) -> bool {
    let mut from = tty;
    let mut bytes = Zeroizing::new([0_u8; 4096]);
    let (mut taken, mut quiet, mut is_more) = (0, QUIET, false);
    while taken < MOST_MORE {
        match poll(&mut [wait_for(tty)], Some(&quiet)) {
            Err(Errno::INTR) => continue,
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        match from.read(bytes.as_mut()) {
            Ok(0) => break,
            Ok(len) => {
                taken += len;
                if bytes[..len].iter().any(|byte| !matches!(byte, b'\n' | b'\r')) {
                    (is_more, quiet) = (true, QUIET_AFTER_MORE);
                }
            }
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    // The beginning of a line that the terminal itself still edits.
    let _ = tcflush(tty, QueueSelector::IFlush);
    is_more
}

fn wait_for(what: &impl AsFd) -> PollFd<'_> {
    PollFd::new(what, PollFlags::IN)
}

/// Signals that end the process: they do so at once, unless a terminal has to be given back
/// first. And the one that it was woken by.
struct Signals {
    /// Whether each does what it does by default.
    at_once: Arc<AtomicBool>,
    /// Where each leaves a byte.
    pipes: Vec<(i32, UnixStream)>,
}

impl Signals {
    /// Returns those of this process, which has them from its first hidden question on.
    fn get() -> io::Result<&'static Self> {
        static SIGNALS: OnceLock<Signals> = OnceLock::new();
        if let Some(signals) = SIGNALS.get() {
            return Ok(signals);
        }
        let at_once = Arc::new(AtomicBool::new(true));
        let mut pipes = Vec::new();
        for signal in [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGCONT] {
            let (ours, theirs) = UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            if signal != SIGCONT {
                signal_hook::flag::register_conditional_default(signal, Arc::clone(&at_once))?;
            }
            signal_hook::low_level::pipe::register(signal, theirs)?;
            pipes.push((signal, ours));
        }
        Ok(SIGNALS.get_or_init(|| Self { at_once, pipes }))
    }

    fn hold(&self, held: bool) {
        // What woke the process before has nothing to do with this question.
        while held && self.caught().is_some() {}
        self.at_once.store(!held, Ordering::SeqCst);
    }

    /// Waits for a signal that was sent to this process, and forgets it. Not for long: it may
    /// be blocked.
    fn wait_for(&self, signal: i32) -> io::Result<()> {
        let Some((_, pipe)) = self.pipes.iter().find(|(number, _)| *number == signal) else {
            return Ok(());
        };
        let at_most = Timespec { tv_sec: 1, tv_nsec: 0 };
        loop {
            match poll(&mut [wait_for(pipe)], Some(&at_most)) {
                // It broke the wait off and has been noted by now.
                Err(Errno::INTR) => {}
                Err(fault) => return Err(fault.into()),
                Ok(_) => break,
            }
        }
        let mut pipe = pipe;
        let _ = pipe.read(&mut [0; 64]);
        Ok(())
    }

    /// Returns a signal that came, and forgets it.
    fn caught(&self) -> Option<i32> {
        let came = |pipe: &UnixStream| {
            let mut pipe = pipe;
            matches!(pipe.read(&mut [0; 64]), Ok(1..))
        };
        self.pipes.iter().find(|(_, pipe)| came(pipe)).map(|(signal, _)| *signal)
    }
}
