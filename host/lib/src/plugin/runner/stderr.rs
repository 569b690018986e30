//! A plugin's standard error: lines for the log, cleaned and capped.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use keystead_plugin_api::{Level, MAX_MESSAGE_BYTES, Services};
use rustix::io::Errno;
use zeroize::Zeroize;

/// Maximum bytes that are kept of one process's standard error. The rest is read and dropped, so
/// that the process does not stop at a full pipe.
const MAX_BYTES: usize = 64 * 1024;

/// Maximum bytes that are read at once: the capacity of a pipe.
const MAX_AT_ONCE: usize = 64 * 1024;

/// The reading end, and the line that has not ended yet.
pub(super) struct StderrReader {
    pipe: Option<OwnedFd>,
    line: Vec<u8>,
    left: usize,
}

impl StderrReader {
    /// Returns a reader that never waits for this pipe.
    pub(super) fn new(pipe: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok(Self { pipe: Some(pipe), line: Vec::new(), left: MAX_BYTES })
    }

    /// Returns the descriptor to poll; `None` after the other end has closed.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Reads available bytes, at most the capacity of a pipe.
    pub(super) fn take(&mut self, services: &dyn Services) {
        let mut taken = 0;
        let mut buffer = [0; 4_096];
        while taken < MAX_AT_ONCE {
            let Some(pipe) = &self.pipe else { return };
            match rustix::io::read(pipe, &mut buffer) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Ok(0) | Err(_) => self.pipe = None,
                Ok(count) => {
                    taken += count;
                    let kept = count.min(self.left);
                    self.left -= kept;
                    for byte in &buffer[..kept] {
                        match byte {
                            b'\n' => self.end(services),
                            _ => self.line.push(*byte),
                        }
                        if self.line.len() >= MAX_MESSAGE_BYTES / 2 {
                            self.end(services);
                        }
                    }
                    if kept > 0 && self.left == 0 {
                        self.end(services);
                        services.log(Level::Debug, "stderr: the rest is left out");
                    }
                }
            }
        }
        buffer.zeroize();
    }

    /// Ends the line and logs it.
    pub(super) fn end(&mut self, services: &dyn Services) {
        if !self.line.is_empty() {
            let text = String::from_utf8_lossy(&self.line);
            let clean: String = text.chars().filter(|c| !c.is_control()).collect();
            services.log(Level::Debug, &format!("stderr: {clean}"));
            self.line.clear();
        }
    }
}
