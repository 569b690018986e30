//! Rows that connect to machines, services, the session bus or the agent.

use super::End::{Changes, Says, Untried};
use super::{Pace, Row, in_both_placements};

/// A refusal by the filter of system calls.
const NO: super::End = Says("EPERM");

/// Address families that some kernels lack and some users are not allowed to use.
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
            ("pair-message:{unix}", NO, Says("EISCONN")),
            ("squat:{name}.hostile", NO, Says("done")),
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
            ("udp:{udp}", NO, Changes),
            ("listen", NO, Says("done")),
            ("unix:{unix}", NO, Changes),
            ("unix:{bus}", NO, Changes),
            ("unix:{agent}", NO, Changes),
            ("abstract:{name}", NO, Changes),
            ("unix-datagram:{datagram}", NO, Says("done")),
            ("pair-datagram:{datagram}", NO, Changes),
            ("pair-again:{unix}", Says("EISCONN|ENOENT"), Says("EISCONN")),
            ("pair-message:{unix}", Says("EISCONN"), Says("EISCONN")),
            ("squat:{name}.hostile", NO, Says("done")),
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
    Row {
        name: "hears",
        does: "with the network granted: is given a port by sending, by failing to, by a \
               connection that failed or was given up, and hears from a stranger there",
        tries: &[
            ("write:2.2.0", NO, Says("done")),
            ("failed:2.2.17", NO, Says("done")),
            ("talked:2.2.0", NO, Says("done")),
            ("again:2.2.0", NO, Untried),
            ("write:10.2.0", NO, Says("done|EADDRNOTAVAIL|EAFNOSUPPORT")),
            ("talked:10.2.17", NO, Untried),
            ("write:2.2.136", NO, Untried),
            ("write:2.2.1", NO, Untried),
            ("write:10.2.58", NO, Untried),
            ("write:2.5.132", NO, Untried),
            ("write:2.1.132", NO, Untried),
            ("write:2.6.33", NO, Untried),
            ("write:2.3.255", NO, Untried),
            ("write:17.2.0", NO, Untried),
        ],
        in_process: "not contained: it hears from everybody",
        pace: Pace::Quick,
    },
    Row {
        name: "options",
        does: "with the network granted: sets options of a connection, by level and number",
        tries: &[
            ("set:6.1", Says("done"), Says("done")),
            ("set:6.4", Says("done"), Says("done")),
            ("set:6.18", Says("done"), Says("done")),
            ("set:0.1", Says("done"), Says("done")),
            ("set:1.9", Says("done"), Says("done")),
            ("set:1.13", NO, Untried),
            ("set:1.15", NO, Untried),
            ("set:1.25", NO, Untried),
            ("set:1.26", NO, Untried),
            ("set:1.36", NO, Untried),
            ("set:6.13", NO, Untried),
            ("set:6.14", NO, Untried),
            ("set:6.19", NO, Untried),
            ("set:6.31", NO, Untried),
            ("set:0.4", NO, Untried),
            ("set:0.15", NO, Untried),
            ("set:0.19", NO, Untried),
            ("set:0.35", NO, Untried),
            ("set:0.64", NO, Untried),
            ("set:41.64", NO, Untried),
            ("set:17.100", NO, Untried),
            ("set:270.1", NO, Untried),
            ("set:263.1", NO, Untried),
        ],
        in_process: "not contained",
        pace: Pace::Quick,
    },
];

in_both_placements!();
