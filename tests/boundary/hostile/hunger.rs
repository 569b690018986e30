//! Rows that take too much: memory, stack, threads, descriptors, disk space, time, lines.

use super::End::{Dies, Late, Says, Untried};
use super::{Pace, Row, in_both_placements};

/// A refusal by the filter of system calls.
const NO: super::End = Says("EPERM");

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "allocates",
        does: "takes memory and writes to all of it, so many MiB: from the heap, by a mapping of \
               its own or to be shared, in a file that is nowhere",
        tries: &[
            ("malloc:16384", Says("ENOMEM"), Untried),
            ("mapping:16384", Says("ENOMEM"), Untried),
            ("mapping:1100", Says("ENOMEM"), Untried),
            ("shared:16384", Says("ENOMEM"), Untried),
            ("shared:1100", Says("done"), Untried),
            ("memfd:6144", Says("ENOSYS"), Untried),
            ("memfd:1", Says("ENOSYS"), Untried),
            ("malloc:64", Says("done"), Says("done")),
            ("shared:64", Untried, Says("done")),
            ("memfd:64", Untried, Says("done")),
        ],
        in_process: "not contained: it has what the host may have",
        pace: Pace::Slow,
    },
    Row {
        name: "overflows-stack",
        does: "calls itself for ever",
        tries: &[("deep", Dies("signal 6 (SIGABRT)"), Dies("signal 6"))],
        in_process: "not contained: the host ends",
        pace: Pace::Quick,
    },
    Row {
        name: "threads",
        does: "starts so many threads that wait for ever",
        tries: &[
            ("start:4000", Says("done|EAGAIN|ENOMEM"), Untried),
            ("start:4", Says("done"), Says("done")),
        ],
        in_process: "not contained: they are the host's",
        pace: Pace::Slow,
    },
    Row {
        name: "descriptors",
        does: "opens pipes, sockets and files until it gets no more",
        tries: &[
            ("pipe:8000", Says("EMFILE"), Untried),
            ("socket:8000", Says("EMFILE"), Untried),
            ("memfd:8000", Says("ENOSYS"), Untried),
            ("pipe:100", Says("done"), Says("done")),
        ],
        in_process: "not contained: they are the host's",
        pace: Pace::Quick,
    },
    Row {
        name: "exhausts",
        does: "takes of what the user or the machine has one of for all: descriptors by threads \
               that do not share a table, or in messages; timers, signals that wait, addresses, \
               locked memory, huge pages, room in pipes, pages merged with those of others",
        tries: &[
            ("own-table:5000", NO, Untried),
            ("own-folder:1", NO, Untried),
            ("unshared", NO, Untried),
            ("in-flight:5000", NO, Untried),
            ("timers:100000", NO, Untried),
            ("signals:5000", Says("EAGAIN"), Untried),
            ("pieces:8256", Says("ENOMEM"), Untried),
            ("locked:65", Says("ENOMEM"), Untried),
            ("secret", Says("ENOSYS"), Untried),
            ("huge:2", NO, Untried),
            ("pipe:1024", NO, Untried),
            ("merge", NO, Says("done|EINVAL")),
            ("merge-all", NO, Untried),
            ("poison", NO, Untried),
            ("locked:1", Says("done"), Untried),
            ("pieces:1024", Untried, Says("done")),
            ("timers:10", Untried, Says("done")),
        ],
        in_process: "not contained: it takes what the host may have",
        pace: Pace::Slow,
    },
    Row {
        name: "exhausts-granted",
        does: "the same with the network granted: descriptors in messages",
        tries: &[
            ("in-flight:5000", Says("ETOOMANYREFS"), Untried),
            ("in-flight:100", Says("done"), Says("done")),
        ],
        in_process: "not contained",
        pace: Pace::Slow,
    },
    Row {
        name: "fills",
        does: "makes a file of so many MiB in its own directory",
        tries: &[
            ("file:20000", Dies("signal 25 (SIGXFSZ)"), Untried),
            ("file:1", Says("done"), Says("done")),
        ],
        in_process: "not contained, as the sandbox does not either below 16 GiB: a granted directory \
                     can be filled",
        pace: Pace::Quick,
    },
    Row {
        name: "limits",
        does: "raises its limits, and takes back what a runner gave up",
        tries: &[
            ("memory", Says("EPERM"), Says("done")),
            ("data", Says("EPERM"), Says("done")),
            ("descriptors", Says("EPERM"), Says("done|EPERM")),
            ("file", Says("EPERM"), Says("done")),
            ("core", Says("EPERM"), Says("done|EPERM")),
            ("prlimit", Says("EPERM"), Says("done")),
            ("dumpable", Says("EPERM"), Says("done")),
            ("tracer", Says("EPERM"), Says("done|EINVAL")),
            ("outlives", Says("EPERM"), Says("done")),
            ("oom", Says("EACCES|ENOENT|EROFS"), Says("done|EACCES")),
        ],
        in_process: "not contained: it changes the host's own",
        pace: Pace::Quick,
    },
    Row {
        name: "late",
        does: "answers after so many milliseconds: it sleeps, works, stops itself, or sleeps with \
               all signals shut out",
        tries: &[
            ("sleep:60000", Late, Untried),
            ("busy:60000", Late, Untried),
            ("masked:60000", Late, Late),
            ("stopped:0", NO, Late),
            ("sleep:0", Says("done"), Says("done")),
            ("sleep:60", Untried, Says("done")),
            ("busy:60", Untried, Says("done")),
        ],
        in_process: "not contained: nobody ends it but who ends the host, by SIGKILL",
        pace: Pace::Quick,
    },
    Row {
        name: "floods",
        does: "writes so many lines of 4,000 bytes to the log, its standard error, its standard \
               output",
        tries: &[
            ("log:25000", Says("done"), Untried),
            ("stderr:25000", Says("done"), Untried),
            ("stdout:25000", Says("done"), Untried),
            ("log:10", Untried, Says("done")),
            ("stderr:10", Untried, Says("done")),
        ],
        in_process: "not contained: every line is written, and its standard output is the host's",
        pace: Pace::Slow,
    },
];

in_both_placements!();
