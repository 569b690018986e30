//! The terminal during hidden input. However the input ends, by keys, a signal or suspension, the
//! terminal's previous state is restored.
//!
//! A signal that would end the process ends the prompt. The process itself ends by it in `main`,
//! after vaults are closed and plugins released.

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

/// Ctrl-C: interrupts the whole job, as in line editing.
const INTERRUPT: u8 = 3;

/// Ctrl-Z: suspends the process, as in line editing.
const SUSPEND: u8 = 26;

/// Makes the terminal mark the start and end of a paste.
const MARK_PASTES: &[u8] = b"\x1b[?2004h";

/// Makes the terminal stop marking pastes.
const MARK_NO_PASTES: &[u8] = b"\x1b[?2004l";

/// Silence after a line that counts as the end of input: a paste arrives together.
const QUIET: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Silence after further input arrived: a long paste comes in pieces.
const QUIET_AFTER_MORE: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };

/// Maximum size in bytes of a paste: no user sends more.
const MOST_MORE: usize = 64 * 1024 * 1024;

/// The signal that ends the process; 0 for none.
static ENDED_BY: AtomicI32 = AtomicI32::new(0);

/// Returns the signal that ends the process, if a signal came during hidden input.
pub(crate) fn ended_by() -> Option<i32> {
    Some(ENDED_BY.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
}

fn end_by(signal: i32) {
    // The first signal counts.
    let _ = ENDED_BY.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst);
}

/// Event at the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// A byte was typed.
    Byte(u8),
    /// The end of input, or a signal that [`ended_by`] returns.
    End,
    /// The process was suspended: input typed before does not count.
    Again,
}

/// The terminal without echo, line editing and signals from keys; restored when dropped.
pub(super) struct HiddenInput<'a> {
    tty: &'a File,
    before: Termios,
    question: &'a str,
    marks_pastes: bool,
}

impl<'a> HiddenInput<'a> {
    /// Prints this question, and makes a capable terminal mark pastes.
    pub(super) fn start(tty: &'a File, question: &'a str, marks_pastes: bool) -> io::Result<Self> {
        let quiet = Self { tty, before: tcgetattr(tty)?, question, marks_pastes };
        // Signals first: from here on a signal finds a terminal that can be restored.
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
        // Input typed before the question is not an answer.
        tcsetattr(self.tty, OptionalActions::Flush, &modes)?;
        let mut tty = self.tty;
        if self.marks_pastes {
            tty.write_all(MARK_PASTES)?;
        }
        tty.write_all(self.question.as_bytes())
    }

    /// Takes input that arrives together with a line, so that no shell runs it. Returns whether
    /// that is more than line ends.
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
                // After a suspension: a shell may have changed the terminal meanwhile.
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
                    // The whole job, such as a pipeline. If no process can resume the job, the
                    // kernel does not suspend it.
                    rustix::process::kill_current_process_group(Signal::TSTP)?;
                    // The resumption is handled here.
                    while signals.caught() == Some(SIGCONT) {}
                    self.ask()?;
                    return Ok(Key::Again);
                }
                Ok(_) => return Ok(Key::Byte(byte[0])),
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                // The terminal is gone, and its signal is on the way.
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
            // A signal that came at this moment is not lost.
            if let Some(signal) = signals.caught().filter(|signal| *signal != SIGCONT) {
                end_by(signal);
            }
        }
    }
}

/// Takes input that arrives together with a line, in any mode of the terminal, until nothing
/// arrives. Returns whether that is more than line ends.
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

/// Signals that end the process: they do so at once, unless a terminal must be restored first. Also
/// the signal that resumes the process.
struct Signals {
    /// Whether each signal has its default effect at once.
    at_once: Arc<AtomicBool>,
    /// Pipe into which each signal writes a byte.
    pipes: Vec<(i32, UnixStream)>,
}

impl Signals {
    /// Returns the signals of this process, which exist from its first hidden prompt on.
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
        // An earlier resumption has nothing to do with this prompt.
        while held && self.caught().is_some() {}
        self.at_once.store(!held, Ordering::SeqCst);
    }

    /// Waits for a signal that was sent to this process, and clears it. The wait is short: the
    /// signal may be blocked.
    fn wait_for(&self, signal: i32) -> io::Result<()> {
        let Some((_, pipe)) = self.pipes.iter().find(|(number, _)| *number == signal) else {
            return Ok(());
        };
        let at_most = Timespec { tv_sec: 1, tv_nsec: 0 };
        loop {
            match poll(&mut [wait_for(pipe)], Some(&at_most)) {
                // The signal interrupted the wait, and has been recorded by now.
                Err(Errno::INTR) => {}
                Err(fault) => return Err(fault.into()),
                Ok(_) => break,
            }
        }
        let mut pipe = pipe;
        let _ = pipe.read(&mut [0; 64]);
        Ok(())
    }

    /// Returns a signal that arrived, and clears it.
    fn caught(&self) -> Option<i32> {
        let came = |pipe: &UnixStream| {
            let mut pipe = pipe;
            matches!(pipe.read(&mut [0; 64]), Ok(1..))
        };
        self.pipes.iter().find(|(_, pipe)| came(pipe)).map(|(signal, _)| *signal)
    }
}
