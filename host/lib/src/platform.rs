//! What only this operating system can do, behind functions that say what they are for: the rest of
//! the library asks here. Another system gets a module of its own beside [`linux`], with the same names.

mod linux;

pub(crate) use linux::{
    attributes, memfd, memory, mount, peer, sandbox, session, signals, streams,
};
