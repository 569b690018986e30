//! The rows that speak on the runner's own connection.

use super::End::{Dies, Late, Next, Protocol, Says, Untried};
use super::{Pace, Row, in_both_placements};

/// The process has no such connection.
const NONE: super::End = Says("no connection");

/// A refusal by the filter of system calls.
const REFUSED: super::End = Says("EPERM");

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "frames",
        does: "speaks on the runner's connection to the host: garbage, answers to nobody, answers \
           twice, bodies without end or in parts that do not fit, 250 descriptors, its own \
           connection; floods it, shuts it, reads from it",
        tries: &[
            ("sound", Says("done"), NONE),
            ("garbage", Protocol("a frame of an unknown kind"), NONE),
            ("empty", Protocol("the end of its connection"), NONE),
            ("short", Protocol("a frame without a header"), NONE),
            ("huge", Protocol("a frame of more than 64 KiB"), NONE),
            ("damaged", Protocol("a reply that is none"), NONE),
            ("greeting", Protocol("an answer to another call"), NONE),
            ("other-call", Protocol("an answer to another call"), NONE),
            ("request", Protocol("an answer of another kind"), NONE),
            ("service", Protocol("a request for no service"), NONE),
            ("log", Protocol(""), NONE),
            ("exec", Protocol(""), NONE),
            ("descriptor", REFUSED, NONE),
            ("descriptors", REFUSED, NONE),
            ("endless", REFUSED, NONE),
            ("own-connection", REFUSED, NONE),
            ("too-large", Protocol("a body that is too large"), NONE),
            ("too-long", Protocol("a body in parts that do not fit"), NONE),
            ("empty-parts", Protocol("a body in parts that do not fit"), NONE),
            ("small-parts", Protocol("a body in parts that do not fit"), NONE),
            ("other-part", Protocol("a frame within another"), NONE),
            ("unfinished", Protocol("a frame within another"), NONE),
            ("shutdown", Dies("exit status 0|exit status 70"), NONE),
            ("twice", Next("an answer that nobody waits for|an answer to another call"), NONE),
            ("flood", Late, Untried),
            ("eats", Late, Untried),
        ],
        in_process: "there is no connection; the host itself is at hand",
        pace: Pace::Quick,
    },
    Row {
        name: "frames-granted",
        does: "the same with the network granted: hands over descriptors",
        tries: &[
            ("descriptor", Protocol("a frame with the wrong number of descriptors"), NONE),
            ("descriptors", Protocol("a frame with the wrong number of descriptors"), NONE),
            ("endless", Protocol("a body that is not sealed"), NONE),
            ("own-connection", Protocol("a body that is not sealed"), NONE),
        ],
        in_process: "there is no connection",
        pace: Pace::Quick,
    },
];

in_both_placements!();
