//! A filter of system calls that has some of them answered by another process, and how that one
//! answers (`seccomp_unotify(2)`): no library that the project uses has it.
#![allow(unsafe_code, reason = "system calls that no library has")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::c_ulong;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use seccompiler::sock_filter;

/// Filters the system calls of this thread and of those it starts from now on, and returns what the
/// process reads that answers some of them. It can gain no privileges any more.
pub(super) fn filter(program: &[sock_filter]) -> Result<OwnedFd, Errno> {
    // A call that is being answered ends early by SIGKILL alone. Before Linux 5.19 also by other
    // signals, and is made again then.
    match filter_with(program, libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Err(Errno::INVAL) => filter_with(program, 0),
        done => done,
    }
}

/// Tries it with a filter that lets everything through.
pub(super) fn try_it() -> Result<(), Errno> {
    let code = (libc::BPF_RET | libc::BPF_K) as u16;
    filter(&[sock_filter { code, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }]).map(drop)
}

fn filter_with(program: &[sock_filter], flags: c_ulong) -> Result<OwnedFd, Errno> {
    let len = u16::try_from(program.len()).map_err(|_| Errno::TOOBIG)?;
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: the structure has the program's length and place; both live until the call returns,
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
    // SAFETY: the kernel has just made it for this caller.
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

/// What comes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It returns this number.
    Returns(u32),
    /// It fails.
    Fails(Errno),
    /// The kernel makes it as it stands in the memory of the process, whatever that is by then.
    Made,
}

impl Listener {
    pub(crate) fn new(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// Waits for the next call; there is none any more where all processes of the filter have ended.
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
                // Its thread was ended or interrupted meanwhile.
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

    /// Gives the process that makes a call a descriptor, with this number or one that is free, and
    /// returns the number.
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
            // Nothing is ever run there.
            newfd_flags: libc::O_CLOEXEC as u32,
        };
        let number = self.control(libc::SECCOMP_IOCTL_NOTIF_ADDFD, &mut given)?;
        Ok(number.unsigned_abs())
    }

    /// Answers a call. One that does not wait any more needs no answer.
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
        // SAFETY: each number of these has the size of its structure in it, which is the one that every
        // caller here gives; it lives until the call returns. Another descriptor than a listener
        // knows none of the numbers.
        let answer = unsafe { libc::ioctl(self.0.as_raw_fd(), what, std::ptr::from_mut(with)) };
        if answer < 0 { Err(last()) } else { Ok(answer) }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
