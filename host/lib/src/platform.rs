//! Functions that only this operating system provides; the rest of the library calls them here.
//! Another system gets its own module beside [`linux`], with the same names.

mod linux;

pub(crate) use linux::{attributes, memfd, memory, mount, peer, sandbox, session, signals};
