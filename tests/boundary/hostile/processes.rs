//! Rows that make processes, change their own identity, and signal, slow or read other processes.

use super::End::{Changes, Dies, Says, Untried};
use super::{Pace, Row, in_both_placements};

/// A refusal by the filter of system calls.
const NO: super::End = Says("EPERM");

/// A refusal by landlock.
const SHUT: super::End = Says("EACCES|ENOENT");

/// The end of a process that made a call which only an attack needs.
const KILLED: super::End = Dies("signal 31 (SIGSYS)");

/// The end of a runner without its connection; a debug build checks descriptors more closely.
const CLOSED: super::End = Dies("exit status 70|signal 6 (SIGABRT)");

/// The same in the command.
const BLIND: super::End = Dies("exit status 1|signal 6");

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "forks",
        does: "makes so many processes that stay: a child, a copy of its memory, a sibling",
        tries: &[
            ("fork:64", NO, Untried),
            ("vfork:64", NO, Untried),
            ("clone:64", NO, Untried),
            ("beside:64", NO, Untried),
            ("clone3:64", Says("ENOSYS"), Untried),
            ("posix_spawn:64", NO, Untried),
            ("fork:1", Untried, Says("done")),
            ("vfork:1", Untried, Says("done")),
            ("clone:1", Untried, Says("done")),
            ("clone3:1", Untried, Says("done")),
            ("posix_spawn:1", Untried, Says("done")),
        ],
        in_process: "not contained: they are the host's children, and stay when it ends",
        pace: Pace::Quick,
    },
    Row {
        name: "executes",
        does: "becomes another program: by its path, by a descriptor, by a shell",
        tries: &[
            ("execve", NO, Dies("exit status 0")),
            ("execveat", NO, Dies("exit status 0")),
            ("memfd", Says("ENOSYS"), Dies("exit status 0")),
            ("system", Says("not run"), Says("done")),
        ],
        in_process: "not contained: the host becomes that program",
        pace: Pace::Quick,
    },
    Row {
        name: "asks",
        does: "asks the host to run a program that was not granted",
        tries: &[
            (
                "shell",
                Says("running `/bin/sh` is not granted"),
                Says("running `/bin/sh` is not granted"),
            ),
            (
                "climbs",
                Says("running `../../bin/sh` is not granted"),
                Says("running `../../bin/sh` is not granted"),
            ),
        ],
        in_process: "refused, and it can do the same without asking",
        pace: Pace::Quick,
    },
    Row {
        name: "signals",
        does: "signals a process of the same user, the host, all processes, or leaves its group; \
               ends itself as only others can",
        tries: &[
            ("kill:{victim}", NO, Changes),
            ("tkill:{victim}", NO, Changes),
            ("tgkill:{victim}", NO, Changes),
            ("queue:{victim}", NO, Changes),
            ("pidfd:{victim}", NO, Changes),
            ("owner:{victim}", NO, Changes),
            ("everybody", NO, Untried),
            ("group", NO, Says("done")),
            ("parent", NO, Says("done")),
            ("setpgid:{victim}", NO, NO),
            ("setsid", NO, NO),
            ("own-kill:9", NO, Dies("signal 9")),
            ("own-tkill:9", NO, Untried),
            ("own-tgkill:9", NO, Untried),
            ("own-queue:9", NO, Untried),
            ("own-thread:9", NO, Untried),
            ("own-pidfd:9", NO, Untried),
            ("own-timer:9", NO, Untried),
            ("own-parent:9", NO, Untried),
            ("own-strict", NO, Untried),
            ("own-kill:19", NO, Untried),
            ("own-tgkill:20", NO, Untried),
            ("own-kill:0", Says("done"), Says("done")),
            ("own-kill:6", Dies("signal 6 (SIGABRT)"), Untried),
        ],
        in_process: "not contained: it can end all that the user can end",
        pace: Pace::Quick,
    },
    Row {
        name: "slows",
        does: "changes a process's priority, processors, scheduler, limits, or how soon it is \
               ended for memory",
        tries: &[
            ("priority:{victim}", NO, Changes),
            ("priority:{host}", NO, Untried),
            ("user", NO, Untried),
            ("processors:{victim}", NO, Changes),
            ("scheduler:{victim}", NO, Changes),
            ("disk:{victim}", NO, Says("done")),
            ("limits:{victim}", NO, Changes),
            ("limits:{host}", NO, Untried),
            ("pages:{victim}", NO, Says("done|ENOSYS|EPERM|EINVAL|ENODEV")),
            ("oom:{victim}", SHUT, Changes),
        ],
        in_process: "not contained",
        pace: Pace::Quick,
    },
    Row {
        name: "parent",
        does: "reads and writes another process's memory, attaches to it, takes its descriptors",
        tries: &[
            ("mem:{host}", SHUT, Untried),
            ("readv:{host}", KILLED, Untried),
            ("writev:{host}", KILLED, Untried),
            ("attach:{host}", KILLED, Untried),
            ("pidfd:{host}", NO, Untried),
            ("getfd:{host}", NO, Untried),
            ("peer-getfd", Says("EPERM|ENOPROTOOPT"), Says("EBADF")),
            ("compare:{host}", NO, Untried),
            ("mem:{victim}", SHUT, Says("done|EACCES")),
            ("readv:{victim}", KILLED, Says("done|EPERM")),
            ("writev:{victim}", KILLED, Says("done|EPERM")),
            ("attach:{victim}", KILLED, Says("done|EPERM")),
            ("pidfd:{victim}", NO, Says("done")),
            ("getfd:{victim}", NO, Says("done|EPERM")),
            ("compare:{victim}", NO, Says("done|EPERM|ENOSYS")),
        ],
        in_process: "not contained: its memory is the host's, and another process's where the \
                     kernel lets the user",
        pace: Pace::Quick,
    },
    Row {
        name: "others",
        does: "reads what /proc tells of other processes and of the machine's sockets; asks for \
               another one's processor time, group, session and priority",
        tries: &[
            ("environ:{host}", SHUT, Untried),
            ("maps:{host}", SHUT, Untried),
            ("cmdline:{host}", SHUT, Untried),
            ("exe:{host}", SHUT, Untried),
            ("fd:{host}", SHUT, Untried),
            ("environ:{victim}", SHUT, Says("done|EACCES")),
            ("cmdline:{victim}", SHUT, Says("done")),
            ("environ:self/../{victim}", SHUT, Says("done|EACCES")),
            ("cwd:{victim}", SHUT, Says("done|EACCES")),
            ("status:1", SHUT, Says("done")),
            ("cmdline:1", SHUT, Says("done")),
            ("all", SHUT, Says("done")),
            ("sockets", SHUT, Says("done")),
            ("clock:{victim}", NO, Says("done")),
            ("clock:{host}", NO, Untried),
            ("clock:1", NO, Says("done")),
            ("clock:0", Says("done"), Says("done")),
            ("resolution:{victim}", NO, Says("done")),
            ("group:{victim}", NO, Says("done")),
            ("session:{host}", NO, Untried),
            ("priority:{victim}", NO, Says("done")),
        ],
        in_process: "not contained",
        pace: Pace::Quick,
    },
    Row {
        name: "shares",
        does: "makes memory, semaphores and queues that outlive a process or that others find by \
               name",
        tries: &[
            ("memory", NO, Says("done|ENOSYS")),
            ("semaphores", NO, Says("done|ENOSYS")),
            ("messages", NO, Says("done|ENOSYS")),
            ("queue", NO, Says("done|ENOSYS")),
            ("named", SHUT, Says("done|EACCES")),
        ],
        in_process: "not contained",
        pace: Pace::Quick,
    },
    Row {
        name: "terminal",
        does: "types on the user's terminal, or reads from it",
        tries: &[
            ("standard", NO, Says("ENOTTY")),
            ("types", SHUT, Untried),
            ("reads", SHUT, Says("ENXIO|done")),
        ],
        in_process: "not contained where there is one",
        pace: Pace::Quick,
    },
    Row {
        name: "inherited",
        does: "looks for descriptors that somebody left open for it",
        tries: &[("look", Says("nothing"), Untried)],
        in_process: "not contained: all that the host has open is its own",
        pace: Pace::Quick,
    },
    Row {
        name: "closes",
        does: "closes all descriptors, or puts others in their place",
        tries: &[("close_range", CLOSED, BLIND), ("close", CLOSED, BLIND), ("dup2", CLOSED, BLIND)],
        in_process: "not contained: the host cannot answer any more",
        pace: Pace::Quick,
    },
];

in_both_placements!();
