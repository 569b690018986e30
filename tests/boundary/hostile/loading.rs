//! Rows that misbehave outside of a call: while they load, and at the end. The plugins that exit or
//! hang while they load are `constructor-exits` and `constructor-hangs`.

use super::End::{Changes, Dies, Late, Says};
use super::{Pace, Row, in_both_placements};

/// A refusal by the filter of system calls.
const NO: super::End = Says("EPERM");

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "constructor",
        does: "opens, makes, connects, forks and signals its parent while it is loaded",
        tries: &[
            ("open", Says("EACCES|ENOENT"), Changes),
            ("create", Says("EACCES|ENOENT"), Changes),
            ("unix", NO, Changes),
            ("tcp", NO, Changes),
            ("fork", NO, Changes),
            ("signal", NO, Changes),
        ],
        in_process: "not contained: nothing can be checked before it runs",
        pace: Pace::Quick,
    },
    Row {
        name: "resolver",
        does: "opens a file before its constructors, while the loader resolves its functions",
        tries: &[("open", Says("EACCES|ENOENT"), Says("done"))],
        in_process: "not contained",
        pace: Pace::Quick,
    },
    Row {
        name: "destructor",
        does: "answers well, and hangs or exits when its process ends",
        tries: &[
            ("hang", Says("done"), Late),
            ("exit", Says("done"), Dies("exit status 9")),
            ("neither", Says("done"), Says("done")),
        ],
        in_process: "not contained: the command hangs after its answer, or ends with the plugin's \
                     exit status",
        pace: Pace::Quick,
    },
];

in_both_placements!();
