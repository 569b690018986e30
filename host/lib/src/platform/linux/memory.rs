//! Memory that is not written to swap: one block, made before the process holds a secret.
//!
//! The whole process is locked if the limit allows it, otherwise this block alone. The allocator
//! maps so large a block separately, while further mappings are locked. Secrets are copied into
//! this block and out of it, and nowhere else.

use rustix::mm::MlockAllFlags;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::agent::MemoryLock;

/// Bytes that must still be available after the block, if further mappings count towards the limit:
/// a failed allocation ends the process.
const HEADROOM: usize = 1024 * 1024;

/// Keeps this process's memory out of swap, as far as the system allows.
///
/// Returns how much is locked, and a zeroed block of this many bytes.
pub(crate) fn block(bytes: usize) -> (MemoryLock, Box<[u8]>) {
    let limit = getrlimit(Resource::Memlock);
    if limit.current != limit.maximum {
        // A process may raise its limit to the hard limit; if that fails, less is locked.
        let _ = setrlimit(Resource::Memlock, Rlimit { current: limit.maximum, ..limit });
    }
    if rustix::mm::mlockall(MlockAllFlags::FUTURE).is_ok() {
        if let (Some(block), Some(_)) = (reserve(bytes), reserve(HEADROOM)) {
            // Locks current mappings and no future ones: no secret goes into future mappings.
            let all = MlockAllFlags::CURRENT | MlockAllFlags::ONFAULT;
            let whole = rustix::mm::mlockall(all).is_ok();
            return (if whole { MemoryLock::Whole } else { MemoryLock::Sessions }, block);
        }
        // The limit is smaller than the block: the whole process uses ordinary memory then.
        let _ = rustix::mm::munlockall();
    }
    (MemoryLock::No, vec![0; bytes].into_boxed_slice())
}

fn reserve(bytes: usize) -> Option<Box<[u8]>> {
    let mut block = Vec::new();
    block.try_reserve_exact(bytes).ok()?;
    block.resize(bytes, 0);
    Some(block.into_boxed_slice())
}
