//! Rows that reach for files: write and read where they may not.

use super::End::{Changes, Says, Untried};
use super::{Pace, Row, in_both_placements};

/// A refusal by the filter of system calls.
const NO: super::End = Says("EPERM");

/// A refusal by landlock.
const SHUT: super::End = Says("EACCES");

/// A refusal by landlock, of what would move a file from one folder to another.
const APART: super::End = Says("EXDEV|EACCES");

/// What a file outside says.
const READ: super::End = Says(super::place::TOLD);

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "writes",
        does: "writes, makes, moves, links, removes and changes what belongs to others; its own \
               folder it may use",
        tries: &[
            ("append:{secret}", SHUT, Changes),
            ("create:{secret}", SHUT, Changes),
            ("open-truncate:{secret}", NO, Changes),
            ("write-truncate:{secret}", SHUT, Changes),
            ("neither-truncate:{secret}", NO, Changes),
            ("truncate:{secret}", NO, Changes),
            ("unlink:{secret}", SHUT, Changes),
            ("mkdir:{secret}", SHUT, Changes),
            ("rmdir:{empty}", SHUT, Changes),
            ("symlink:{secret}", SHUT, Changes),
            ("rename:{granted}", SHUT, Says("done")),
            ("rmdir:{granted}", Says("EACCES|ENOTEMPTY"), Says("ENOTEMPTY")),
            ("fifo:{secret}", NO, Changes),
            ("socket:{secret}", NO, Changes),
            ("device:{secret}", NO, Untried),
            ("nameless:{folder}", SHUT, Says("done|EOPNOTSUPP")),
            ("rename:{secret}", SHUT, Changes),
            ("rename-in:{secret}", APART, Changes),
            ("link-in:{secret}", APART, Changes),
            ("rename-out:{secret}", APART, Changes),
            ("link-out:{secret}", APART, Changes),
            ("exchange:{secret}", APART, Changes),
            ("chmod:{secret}", NO, Changes),
            ("chown:{secret}", NO, Says("done")),
            ("utimes:{secret}", NO, Changes),
            ("setxattr:{secret}", NO, Changes),
            ("removexattr:{secret}", NO, Changes),
            ("fchmod:{secret}", SHUT, Changes),
            ("futimens:{secret}", SHUT, Changes),
            ("append:{vault}", SHUT, Changes),
            ("append:{config}", SHUT, Untried),
            ("create:{config}", SHUT, Untried),
            ("append:{own}", Says("done"), Says("done")),
            ("create:{own}", Says("done"), Says("done")),
            ("open-truncate:{own}", NO, Says("done")),
            ("write-truncate:{own}", Says("done"), Says("done")),
            ("rename:{own}", Says("done"), Says("done")),
            ("unlink:{own}", Says("done"), Says("done")),
            ("symlink:{own}", Says("done"), Says("done")),
            ("set-user:{own}", NO, Says("done")),
            ("chmod:{own}", NO, Says("done")),
            ("utimes:{own}", NO, Says("done")),
            ("setxattr:{own}", NO, Says("done|EOPNOTSUPP")),
        ],
        in_process: "not contained: it changes all that the user can change",
        pace: Pace::Quick,
    },
    Row {
        name: "touches",
        does: "changes files that it was granted to read",
        tries: &[
            ("append:{own}", SHUT, Says("done")),
            ("create:{own}", SHUT, Says("done")),
            ("open-truncate:{own}", NO, Says("done")),
            ("write-truncate:{own}", SHUT, Says("done")),
            ("neither-truncate:{own}", NO, Says("done")),
            ("unlink:{own}", SHUT, Says("done")),
            ("rename:{own}", SHUT, Says("done")),
            ("chmod:{own}", NO, Says("done")),
            ("fchown:{own}", NO, Says("done")),
            ("fchmod:{own}", NO, Says("done")),
            ("futimens:{own}", NO, Says("done")),
            ("lock:{own}", Says("done"), Says("done")),
        ],
        in_process: "not contained: permissions are not looked at",
        pace: Pace::Quick,
    },
    Row {
        name: "reads",
        does: "reads files of others: by their path, by links, by /proc, by a descriptor, by a \
               handle; looks at folders, watches them",
        tries: &[
            ("open:{secret}", SHUT, READ),
            ("open:{vault}", SHUT, READ),
            ("open:{ssh}", SHUT, READ),
            ("open:{config}", SHUT, Untried),
            ("folder:{plugins}", SHUT, Untried),
            ("openat2:{secret}", Says("ENOSYS"), READ),
            ("neither:{secret}", NO, Says("done")),
            ("symlink:{secret}", SHUT, READ),
            ("hard-link:{secret}", APART, READ),
            ("link-by-number:{secret}", APART, READ),
            ("own-root:{secret}", SHUT, READ),
            ("thread-root:{secret}", SHUT, READ),
            ("parent-root:{secret}", SHUT, READ),
            ("dots:{secret}", SHUT, READ),
            ("by-number:{secret}", SHUT, READ),
            ("handle:{secret}", NO, Says("outside|EPERM|EOPNOTSUPP|ESTALE")),
            ("map:{secret}", SHUT, READ),
            ("chdir:{secret}", SHUT, READ),
            ("folder:{folder}", SHUT, Says("done")),
            ("watch:{secret}", NO, Says("done")),
            ("stat:{secret}", Says("done"), Says("done")),
            ("open:{own}", Says("own"), Says("own")),
        ],
        in_process: "not contained: it reads all that the user can read",
        pace: Pace::Quick,
    },
    Row {
        name: "reads-granted",
        does: "reads, with the network granted, files beside those that a connection needs",
        tries: &[
            ("folder:/etc/ssl/private", Says("EACCES|ENOENT"), Says("done|EACCES|ENOENT")),
            ("folder:/etc/pki/tls/private", Says("EACCES|ENOENT"), Says("done|EACCES|ENOENT")),
            ("open:/etc/passwd", SHUT, Untried),
            ("folder:/etc", SHUT, Says("done")),
            ("open:{secret}", SHUT, READ),
            ("folder:/etc/ssl/certs", Says("done|ENOENT"), Says("done|ENOENT")),
            ("stat:/etc/resolv.conf", Says("done|ENOENT"), Says("done|ENOENT")),
        ],
        in_process: "not contained",
        pace: Pace::Quick,
    },
    Row {
        name: "widens",
        does: "puts a link into its own folder, where it was granted a second folder, and waits \
               for its next process",
        tries: &[("put:{folder}", Says("done"), Says("done")), ("read:secret", SHUT, READ)],
        in_process: "not contained: it needs no grants",
        pace: Pace::Anew,
    },
];

in_both_placements!();
