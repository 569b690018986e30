//! Linux: landlock, seccomp and namespaces, mounts, sealed memory, what `/proc` tells, who is at the other
//! end of a socket.

pub(crate) mod attributes;
pub(crate) mod memfd;
pub(crate) mod memory;
pub(crate) mod mount;
pub(crate) mod peer;
pub(crate) mod sandbox;
pub(crate) mod session;
pub(crate) mod signals;
pub(crate) mod streams;
