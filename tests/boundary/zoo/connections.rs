//! Rows that talk to others: machines, services, the session bus, the agent.

use super::End::{Changes, Says, Untried};
use super::{Pace, Row, in_both_placements};

/// A refusal by the filter of system calls.
const NO: super::End = Says("EPERM");

/// Families that not every kernel has, and that not everybody may use.
const SOME: super::End = Says("done|EPERM|EAFNOSUPPORT|ESOCKTNOSUPPORT|EPROTONOSUPPORT");

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "connects",
        does: "connects and sends: TCP in three ways, UDP, sockets with a path or a name, by \
               pairs of its own and by its connection to the host; listens; opens sockets of rare \
               families",
        tries: &[
            ("tcp:{tcp}", NO, Changes),
            ("fast-open:{tcp}", NO, Changes),
            ("multipath:{tcp}", NO, Untried),
            ("udp:{udp}", NO, Changes),
            ("listen", NO, Says("done")),
            ("unix:{unix}", NO, Changes),
            ("unix:{bus}", NO, Changes),
            ("unix:{agent}", NO, Changes),
            ("abstract:{name}", NO, Changes),
            ("unix-datagram:{datagram}", NO, Says("done")),
            ("pair-datagram:{datagram}", NO, Changes),
            ("pair-again:{unix}", NO, Says("EISCONN")),
            ("pair-message:{unix}", Says("EISCONN"), Says("EISCONN")),
            ("squat:{name}.zoo", NO, Says("done")),
            ("host-again:{unix}", NO, Says("EBADF")),
            ("raw", NO, SOME),
            ("audit", NO, SOME),
            ("family:16", NO, SOME),
            ("family:17", NO, SOME),
            ("sequence-of:38", NO, SOME),
            ("stream-of:40", NO, SOME),
            ("family:44", NO, SOME),
            ("sequence-of:30", NO, SOME),
            ("stream-of:31", NO, SOME),
            ("family:29", NO, SOME),
        ],
        in_process: "not contained: it reaches all that the user can reach",
        pace: Pace::Quick,
    },
    Row {
        name: "connects-granted",
        does: "with the network granted: talks to those who are not on the network",
        tries: &[
            ("resolve:localhost", Says("done"), Says("done")),
            ("tcp:{tcp}", Changes, Changes),
            ("udp:{udp}", Changes, Changes),
            ("listen", NO, Says("done")),
            ("unix:{unix}", NO, Changes),
            ("unix:{bus}", NO, Changes),
            ("unix:{agent}", NO, Changes),
            ("abstract:{name}", NO, Changes),
            ("unix-datagram:{datagram}", NO, Says("done")),
            ("pair-datagram:{datagram}", NO, Changes),
            ("pair-again:{unix}", Says("EISCONN|ENOENT"), Says("EISCONN")),
            ("pair-message:{unix}", Says("EISCONN"), Says("EISCONN")),
            ("squat:{name}.zoo", NO, Says("done")),
            ("host-again:{unix}", Says("EPROTOTYPE|ENOENT"), Says("EBADF")),
            ("raw", NO, SOME),
            ("audit", NO, SOME),
            ("family:17", NO, SOME),
            ("sequence-of:38", NO, SOME),
            ("stream-of:40", NO, SOME),
        ],
        in_process: "not contained",
        pace: Pace::Quick,
    },
];

in_both_placements!();
