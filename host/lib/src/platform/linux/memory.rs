//! Memory that is not written to swap: one block, made before anything secret is there.
//!
//! All of the process is locked where the limit allows it, else this block alone: it is
//! large enough that the allocator maps it by itself, while further mappings are locked.
//! Secrets are copied into it and out of it, and nowhere else.

use rustix::mm::MlockAllFlags;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::agent::Locked;

/// What must still be had after the block, where further mappings count towards the limit:
/// an allocation that fails would end the process.
const HEADROOM: usize = 1024 * 1024;

/// Makes this process's memory stay out of swap, as far as the system allows.
///
/// Returns how far, and a block of this many bytes, all zero.
pub(crate) fn block(bytes: usize) -> (Locked, Box<[u8]>) {
    let limit = getrlimit(Resource::Memlock);
    if limit.current != limit.maximum {
        // Up to the hard limit a process may go by itself; where not, less is locked.
        let _ = setrlimit(Resource::Memlock, Rlimit { current: limit.maximum, ..limit });
    }
    if rustix::mm::mlockall(MlockAllFlags::FUTURE).is_ok() {
        if let (Some(block), Some(_)) = (reserve(bytes), reserve(HEADROOM)) {
            // What is there now, and no longer what is to come: nothing secret goes there.
            let all = MlockAllFlags::CURRENT | MlockAllFlags::ONFAULT;
            let whole = rustix::mm::mlockall(all).is_ok();
            return (if whole { Locked::Whole } else { Locked::Sessions }, block);
        }
        // The limit is smaller than the block: ordinary memory then, for the whole process.
        let _ = rustix::mm::munlockall();
    }
    (Locked::No, vec![0; bytes].into_boxed_slice())
}

fn reserve(bytes: usize) -> Option<Box<[u8]>> {
    let mut block = Vec::new();
    block.try_reserve_exact(bytes).ok()?;
    block.resize(bytes, 0);
    Some(block.into_boxed_slice())
}
