//! Rows that make system calls which no vault needs.

use super::End::{Dies, Fails, Says, Untried};
use super::{Pace, Row, in_both_placements};

/// The end of a process that made a call which only an attack needs.
const KILLED: super::End = Dies("signal 31 (SIGSYS)");

/// A refusal by the filter of system calls.
const NO: super::End = Says("EPERM");

/// The call works.
const DONE: super::End = Says("done");

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "forbidden",
        does: "makes system calls that attacks begin with, in a form that harms nobody",
        tries: &[
            ("ptrace", KILLED, Fails),
            ("process_vm_readv", KILLED, Fails),
            ("process_vm_writev", KILLED, Fails),
            ("bpf", KILLED, Fails),
            ("mount", KILLED, Fails),
            ("umount2", KILLED, Fails),
            ("keyctl", KILLED, Fails),
            ("add_key", KILLED, Fails),
            ("request_key", KILLED, Fails),
            ("io_uring_setup", KILLED, Fails),
            ("io_uring_enter", KILLED, Fails),
            ("userfaultfd", KILLED, Fails),
            ("fsopen", KILLED, Fails),
            ("open_tree", KILLED, Fails),
            ("move_mount", KILLED, Fails),
        ],
        in_process: "not contained: the kernel decides by the user",
        pace: Pace::Quick,
    },
    Row {
        name: "refused",
        does: "makes system calls that change the machine, its identity or its sandbox, in a form \
               that harms nobody",
        tries: &[
            ("perf_event_open", NO, Fails),
            ("unshare", NO, DONE),
            ("setns", NO, Fails),
            ("chroot", NO, Fails),
            ("pivot_root", NO, Fails),
            ("kexec_load", NO, Says("done|EPERM|ENOSYS")),
            ("init_module", NO, Fails),
            ("finit_module", NO, Fails),
            ("delete_module", NO, Fails),
            ("reboot", NO, Fails),
            ("swapon", NO, Fails),
            ("swapoff", NO, Fails),
            ("settimeofday", NO, Says("done|EPERM")),
            ("clock_settime", NO, Fails),
            ("adjtimex", NO, Fails),
            ("personality", NO, DONE),
            ("quotactl", NO, Fails),
            ("acct", NO, Fails),
            ("iopl", NO, Says("done|ENOSYS")),
            ("ioperm", NO, Fails),
            ("modify_ldt", NO, Says("done|ENOSYS")),
            ("syslog", NO, Says("done|EPERM|EINVAL|ENOSYS")),
            ("sethostname", NO, Fails),
            ("setdomainname", NO, Fails),
            ("setuid", NO, Fails),
            ("setgid", NO, Fails),
            ("setresuid", NO, DONE),
            ("setgroups", NO, Fails),
            ("capset", NO, Fails),
            ("seccomp", NO, Fails),
            ("landlock", NO, Says("done|ENOSYS|EOPNOTSUPP|EINVAL")),
            ("fanotify_init", NO, Fails),
            ("inotify_init1", NO, DONE),
            ("sync", NO, Untried),
            ("lookup_dcookie", Says("ENOSYS"), Fails),
            ("set_mempolicy", Says("ENOSYS"), Says("done|ENOSYS")),
            ("nobody's", Says("ENOSYS"), Says("ENOSYS")),
        ],
        in_process: "not contained: the kernel decides by the user",
        pace: Pace::Quick,
    },
    Row {
        name: "other-doors",
        does: "makes a system call by the kernel's doors for other programs: 32 bits, x32",
        tries: &[
            ("32-bit", KILLED, Says("done|ENOSYS")),
            ("x32", Says("ENOSYS"), Says("done|ENOSYS")),
        ],
        in_process: "not contained",
        pace: Pace::Quick,
    },
];

in_both_placements!();
