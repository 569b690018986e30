//! The whole way over the boundary, through the very tables a loaded file has, with
//! plugins linked into this program: what an author wrote on one side, what a host sees
//! on the other.

#[path = "boundary/host.rs"]
mod host;
#[path = "boundary/misbehaviour.rs"]
mod misbehaviour;
#[path = "boundary/panic.rs"]
mod panic;
#[path = "boundary/parrot.rs"]
mod parrot;
#[path = "boundary/round_trip.rs"]
mod round_trip;
