//! Linux: landlock, seccomp, namespaces, mounts, sealed memory, facts from `/proc`, and the
//! identity of a socket's peer.

pub(crate) mod attributes;
pub(crate) mod memfd;
pub(crate) mod memory;
pub(crate) mod mount;
pub(crate) mod peer;
pub(crate) mod sandbox;
pub(crate) mod session;
pub(crate) mod signals;
