//! A filter of system calls that lets another process answer some of them, and that process's side
//! (`seccomp_unotify(2)`). No library that the project uses has it.
#![allow(unsafe_code, reason = "system calls that no library has")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::c_ulong;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use seccompiler::sock_filter;

/// Filters the system calls of this thread and of those it starts from now on; it gains no
/// privileges any more. Returns the descriptor that the answering process reads.
pub(super) fn filter(program: &[sock_filter]) -> Result<OwnedFd, Errno> {
    // Only SIGKILL ends a call early that is being answered. Before Linux 5.19 other signals do
    // too; the process then repeats the call.
    match filter_with(program, libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Err(Errno::INVAL) => filter_with(program, 0),
        done => done,
    }
}

/// Checks that the kernel supports such a filter, with one that allows every call.
pub(super) fn try_it() -> Result<(), Errno> {
    let code = (libc::BPF_RET | libc::BPF_K) as u16;
    filter(&[sock_filter { code, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }]).map(drop)
}

fn filter_with(program: &[sock_filter], flags: c_ulong) -> Result<OwnedFd, Errno> {
    let len = u16::try_from(program.len()).map_err(|_| Errno::TOOBIG)?;
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: the structure has the program's length and address; both live until the call returns,
    // and the kernel writes to neither. `sock_filter` of both crates is the kernel's.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | flags,
            &raw const program,
        )
    };
    let Ok(descriptor) = i32::try_from(answer) else { return Err(Errno::INVAL) };
    if descriptor < 0 {
        return Err(last());
    }
    // SAFETY: the kernel has just created this descriptor for this caller.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn last() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

/// The end of a filter at which calls are answered.
#[derive(Debug)]
pub(crate) struct Listener(OwnedFd);

/// A call that waits for its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    id: u64,
    /// The call's number.
    pub(crate) call: i32,
    pub(crate) arguments: [u64; 6],
}

/// Result of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The call returns this number.
    Returns(u32),
    /// The call fails.
    Fails(Errno),
    /// The kernel makes the call with whatever the memory of the process holds by then.
    Made,
}

impl Listener {
    pub(crate) fn new(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// Waits for the next call; returns `None` after all processes of the filter have ended.
    pub(crate) fn next(&self) -> Result<Option<Question>, Errno> {
        loop {
            let mut watched = [PollFd::new(&self.0, PollFlags::IN)];
            match rustix::event::poll(&mut watched, None) {
                Err(Errno::INTR) => continue,
                polled => polled?,
            };
            if !watched[0].revents().contains(PollFlags::IN) {
                return Ok(None);
            }
            let mut told = libc::seccomp_notif {
                id: 0,
                pid: 0,
                flags: 0,
                data: libc::seccomp_data { nr: 0, arch: 0, instruction_pointer: 0, args: [0; 6] },
            };
            match self.control(libc::SECCOMP_IOCTL_NOTIF_RECV, &mut told) {
                // The calling thread was ended or interrupted meanwhile.
                Err(Errno::NOENT | Errno::INTR) => {}
                Err(error) => return Err(error),
                Ok(_) => {
                    let (id, call, arguments) = (told.id, told.data.nr, told.data.args);
                    return Ok(Some(Question { id, call, arguments }));
                }
            }
        }
    }

    /// Returns whether a call still waits for its answer.
    pub(crate) fn is_waiting(&self, question: &Question) -> bool {
        let mut id = question.id;
        self.control(libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &mut id).is_ok()
    }

    /// Gives the calling process a descriptor, with this number or a free one, and returns the
    /// number.
    pub(crate) fn give(
        &self,
        question: &Question,
        descriptor: BorrowedFd<'_>,
        number: Option<u32>,
    ) -> Result<u32, Errno> {
        let mut given = libc::seccomp_notif_addfd {
            id: question.id,
            flags: number.map_or(0, |_| libc::SECCOMP_ADDFD_FLAG_SETFD as u32),
            srcfd: descriptor.as_raw_fd().unsigned_abs(),
            newfd: number.unwrap_or(0),
            // The receiving process never runs a program.
            newfd_flags: libc::O_CLOEXEC as u32,
        };
        let number = self.control(libc::SECCOMP_IOCTL_NOTIF_ADDFD, &mut given)?;
        Ok(number.unsigned_abs())
    }

    /// Answers a call. A call that no longer waits needs no answer.
    pub(crate) fn answer(&self, question: &Question, outcome: Outcome) {
        let (val, error, flags) = match outcome {
            Outcome::Returns(number) => (i64::from(number), 0, 0),
            Outcome::Fails(error) => (0, -error.raw_os_error(), 0),
            Outcome::Made => (0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
        };
        let mut answer = libc::seccomp_notif_resp { id: question.id, val, error, flags };
        let _ = self.control(libc::SECCOMP_IOCTL_NOTIF_SEND, &mut answer);
    }

    fn control<T>(&self, what: libc::Ioctl, with: &mut T) -> Result<i32, Errno> {
        // SAFETY: each of these request numbers contains the size of its structure, and every
        // caller here passes that structure. It lives until the call returns. A descriptor that is
        // no listener rejects these numbers.
        let answer = unsafe { libc::ioctl(self.0.as_raw_fd(), what, std::ptr::from_mut(with)) };
        if answer < 0 { Err(last()) } else { Ok(answer) }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
