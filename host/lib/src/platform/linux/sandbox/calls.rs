//! System calls that a sandboxed plugin can make. Unlisted calls do not exist for the plugin
//! (`ENOSYS`): libraries fall back as on an older kernel. Calls that reach other processes,
//! programs, sockets or the metadata of any path are refused (`EPERM`). A call that only an attack
//! needs is fatal.
//!
//! Landlock ([`super::files`]) restricts which files are opened and created: a filter sees
//! pointers, not paths.

use libc::c_long;
use seccompiler::BpfProgram;

use super::Reach;
use super::filter::{Answer, Answers, Test};

/// Allowed calls: on the plugin's own process, files and connections.
#[rustfmt::skip]
const ALLOWED: &[c_long] = &[
    // Descriptors.
    libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_pread64,
    libc::SYS_pwrite64, libc::SYS_preadv, libc::SYS_pwritev, libc::SYS_preadv2, libc::SYS_pwritev2,
    libc::SYS_close, libc::SYS_close_range, libc::SYS_lseek, libc::SYS_dup, libc::SYS_dup3,
    libc::SYS_pipe2, libc::SYS_eventfd2, libc::SYS_signalfd4, libc::SYS_sendfile,
    libc::SYS_copy_file_range, libc::SYS_ppoll,
    libc::SYS_pselect6, libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2, libc::SYS_fcntl, libc::SYS_ioctl,
    // Files, within the limits of landlock.
    libc::SYS_openat, libc::SYS_fstat, libc::SYS_newfstatat, libc::SYS_statx,
    libc::SYS_statfs, libc::SYS_fstatfs, libc::SYS_faccessat, libc::SYS_faccessat2,
    libc::SYS_readlinkat, libc::SYS_getdents64, libc::SYS_getcwd, libc::SYS_chdir,
    libc::SYS_fchdir, libc::SYS_ftruncate, libc::SYS_fallocate,
    libc::SYS_fadvise64, libc::SYS_readahead, libc::SYS_flock, libc::SYS_fsync,
    libc::SYS_fdatasync, libc::SYS_renameat,
    libc::SYS_renameat2, libc::SYS_unlinkat, libc::SYS_mkdirat, libc::SYS_linkat,
    libc::SYS_symlinkat, libc::SYS_fgetxattr, libc::SYS_flistxattr,
    // Memory.
    libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_munmap, libc::SYS_mremap, libc::SYS_madvise,
    libc::SYS_brk, libc::SYS_msync, libc::SYS_mincore, libc::SYS_mlock, libc::SYS_mlock2,
    libc::SYS_munlock, libc::SYS_membarrier,
    // Threads, signals to itself, time.
    libc::SYS_clone, libc::SYS_exit, libc::SYS_exit_group, libc::SYS_futex, libc::SYS_futex_waitv,
    libc::SYS_rseq, libc::SYS_wait4, libc::SYS_waitid,
    libc::SYS_set_robust_list, libc::SYS_get_robust_list, libc::SYS_set_tid_address,
    libc::SYS_restart_syscall, libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn, libc::SYS_rt_sigpending, libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_sigsuspend, libc::SYS_sigaltstack, libc::SYS_kill, libc::SYS_tgkill,
    libc::SYS_sched_yield, libc::SYS_sched_getaffinity, libc::SYS_sched_setaffinity,
    libc::SYS_sched_getparam, libc::SYS_sched_getscheduler, libc::SYS_getpriority,
    libc::SYS_nanosleep, libc::SYS_clock_nanosleep, libc::SYS_clock_gettime,
    libc::SYS_clock_getres, libc::SYS_gettimeofday, libc::SYS_times, libc::SYS_setitimer,
    libc::SYS_getitimer, libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime, libc::SYS_timerfd_gettime, libc::SYS_prctl,
    // Identity of the process, and the system it runs on.
    libc::SYS_getpid, libc::SYS_gettid, libc::SYS_getppid, libc::SYS_getuid, libc::SYS_geteuid,
    libc::SYS_getgid, libc::SYS_getegid, libc::SYS_getresuid, libc::SYS_getresgid,
    libc::SYS_getgroups, libc::SYS_getpgid, libc::SYS_getsid, libc::SYS_capget, libc::SYS_uname,
    libc::SYS_sysinfo, libc::SYS_getrusage, libc::SYS_getrlimit, libc::SYS_prlimit64,
    libc::SYS_getcpu, libc::SYS_getrandom,
    // The connection to the host, pairs of its own, and what `network` lets it make.
    libc::SYS_socket, libc::SYS_socketpair, libc::SYS_sendto, libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_shutdown, libc::SYS_getsockname, libc::SYS_getpeername, libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    // Refused unless granted; listed so that the answer is `EPERM`.
    libc::SYS_connect, libc::SYS_bind, libc::SYS_sendmsg,
];

/// The same calls under the older names of this architecture.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const ALLOWED_HERE: &[c_long] = &[
    libc::SYS_open, libc::SYS_creat, libc::SYS_stat, libc::SYS_lstat, libc::SYS_access,
    libc::SYS_readlink, libc::SYS_getdents, libc::SYS_rename, libc::SYS_unlink, libc::SYS_mkdir,
    libc::SYS_rmdir, libc::SYS_link, libc::SYS_symlink, libc::SYS_dup2, libc::SYS_pipe,
    libc::SYS_eventfd, libc::SYS_signalfd, libc::SYS_poll, libc::SYS_select,
    libc::SYS_epoll_create, libc::SYS_epoll_wait, libc::SYS_time, libc::SYS_alarm,
    libc::SYS_pause, libc::SYS_getpgrp, libc::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[c_long] = &[];

/// System calls of Linux 6.13 and 6.17 that the crate `libc` does not have yet. Each has the same
/// number on every architecture.
const SETXATTRAT: c_long = 463;
const GETXATTRAT: c_long = 464;
const LISTXATTRAT: c_long = 465;
const REMOVEXATTRAT: c_long = 466;
const FILE_GETATTR: c_long = 468;
const FILE_SETATTR: c_long = 469;

/// Refused calls: they reach beyond the plugin's own process, or landlock does not check them.
#[rustfmt::skip]
const REFUSED: &[c_long] = &[
    // Programs and processes.
    libc::SYS_execve, libc::SYS_execveat, libc::SYS_unshare, libc::SYS_setns, libc::SYS_setpgid,
    libc::SYS_setsid, libc::SYS_setpriority, libc::SYS_sched_setscheduler,
    libc::SYS_sched_setparam, libc::SYS_sched_setattr, libc::SYS_ioprio_set,
    libc::SYS_personality, libc::SYS_tkill, libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo, libc::SYS_pidfd_open, libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal, libc::SYS_kcmp, libc::SYS_process_madvise,
    libc::SYS_process_mrelease, libc::SYS_migrate_pages, libc::SYS_move_pages,
    libc::SYS_perf_event_open,
    // Each of these counts against a limit of the whole user.
    libc::SYS_timer_create,
    // File attributes other than content: landlock leaves them to the owner of the file. A plugin
    // can read the extended attributes of an open file and write none. An access list is such an
    // attribute, and grants rights to the file.
    libc::SYS_fchmod, libc::SYS_fchmodat, libc::SYS_fchmodat2, libc::SYS_utimensat,
    libc::SYS_fchown, libc::SYS_fchownat, libc::SYS_truncate, libc::SYS_setxattr,
    libc::SYS_lsetxattr, libc::SYS_removexattr, libc::SYS_lremovexattr, libc::SYS_getxattr,
    libc::SYS_lgetxattr, libc::SYS_fsetxattr, libc::SYS_fremovexattr,
    libc::SYS_listxattr, libc::SYS_llistxattr, libc::SYS_mknodat, libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at, libc::SYS_inotify_init1, libc::SYS_inotify_add_watch,
    libc::SYS_fanotify_init, libc::SYS_fanotify_mark, SETXATTRAT, GETXATTRAT, LISTXATTRAT,
    REMOVEXATTRAT, FILE_GETATTR, FILE_SETATTR,
    // The whole file system that a file is on.
    libc::SYS_syncfs, libc::SYS_sync_file_range,
    // Identity, limits, the sandbox itself.
    libc::SYS_setuid, libc::SYS_setgid, libc::SYS_setreuid, libc::SYS_setregid,
    libc::SYS_setresuid, libc::SYS_setresgid, libc::SYS_setfsuid, libc::SYS_setfsgid,
    libc::SYS_setgroups, libc::SYS_capset, libc::SYS_setrlimit, libc::SYS_seccomp,
    libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule,
    libc::SYS_landlock_restrict_self,
    // Datagrams.
    libc::SYS_sendmmsg, libc::SYS_recvmmsg,
    // Servers, and memory and queues that other processes have a name for.
    libc::SYS_listen, libc::SYS_accept, libc::SYS_accept4, libc::SYS_shmget, libc::SYS_shmat,
    libc::SYS_shmctl, libc::SYS_shmdt, libc::SYS_semget, libc::SYS_semop, libc::SYS_semtimedop,
    libc::SYS_semctl, libc::SYS_msgget, libc::SYS_msgsnd, libc::SYS_msgrcv, libc::SYS_msgctl,
    libc::SYS_mq_open, libc::SYS_mq_unlink, libc::SYS_mq_timedsend, libc::SYS_mq_timedreceive,
    libc::SYS_mq_notify, libc::SYS_mq_getsetattr,
    // The machine.
    libc::SYS_chroot, libc::SYS_pivot_root, libc::SYS_sync, libc::SYS_acct, libc::SYS_quotactl,
    libc::SYS_swapon, libc::SYS_swapoff, libc::SYS_sethostname, libc::SYS_setdomainname,
    libc::SYS_settimeofday, libc::SYS_clock_settime, libc::SYS_adjtimex, libc::SYS_clock_adjtime,
    libc::SYS_reboot, libc::SYS_kexec_load, libc::SYS_init_module, libc::SYS_finit_module,
    libc::SYS_delete_module, libc::SYS_syslog, libc::SYS_vhangup,
];

#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const REFUSED_HERE: &[c_long] = &[
    libc::SYS_fork, libc::SYS_vfork, libc::SYS_chmod, libc::SYS_chown, libc::SYS_lchown,
    libc::SYS_utime, libc::SYS_utimes, libc::SYS_futimesat, libc::SYS_mknod,
    libc::SYS_inotify_init, libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt,
    libc::SYS_kexec_file_load,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[c_long] = &[];

/// Calls that no vault needs and that many attacks begin with.
#[rustfmt::skip]
const KILLED: &[c_long] = &[
    libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_bpf,
    libc::SYS_mount, libc::SYS_umount2, libc::SYS_open_tree, libc::SYS_move_mount,
    libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fspick,
    libc::SYS_mount_setattr, libc::SYS_keyctl, libc::SYS_add_key, libc::SYS_request_key,
    libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
];

/// Allowed requests about a descriptor: its size, its blocking mode, its inheritance by programs,
/// and whether it is a terminal (none is).
const IOCTLS: &[u64] =
    &[libc::FIONBIO, libc::FIONREAD, libc::FIOCLEX, libc::FIONCLEX, libc::TCGETS, libc::TIOCGWINSZ];

/// Names of network interfaces, for addresses that are bound to an interface.
const IOCTLS_OF_NETWORK: &[u64] = &[libc::SIOCGIFNAME, libc::SIOCGIFINDEX];

/// Allowed commands. Excluded: owners of signals, leases, notifications, hints for a file's life,
/// and seals. The size of pipes is excluded too: it counts against a limit of the whole user.
#[rustfmt::skip]
const FCNTLS: &[i32] = &[
    libc::F_DUPFD, libc::F_DUPFD_CLOEXEC, libc::F_GETFD, libc::F_SETFD, libc::F_GETFL,
    libc::F_SETFL, libc::F_GETLK, libc::F_SETLK, libc::F_SETLKW, libc::F_OFD_GETLK,
    libc::F_OFD_SETLK, libc::F_OFD_SETLKW, libc::F_GETPIPE_SZ, libc::F_GET_SEALS,
];

/// Names of threads and of memory, and queries of the process's own state.
const PRCTLS: &[i32] = &[
    libc::PR_SET_NAME,
    libc::PR_GET_NAME,
    libc::PR_SET_VMA,
    libc::PR_GET_DUMPABLE,
    libc::PR_GET_NO_NEW_PRIVS,
    libc::PR_CAPBSET_READ,
];

/// Flags of `open` that define how a file is used.
const USE: u32 = (libc::O_ACCMODE | libc::O_TRUNC) as u32;

/// Read, write, and truncate only when opened for writing. A file opened for neither (3) needs no
/// landlock right. A file opened for reading and truncated needs only the right to read before
/// Linux 6.2. `openat2` has its flags in memory, where no filter sees them, and is missing.
const USES: [u32; 5] = [
    libc::O_RDONLY as u32,
    libc::O_WRONLY as u32,
    libc::O_RDWR as u32,
    (libc::O_WRONLY | libc::O_TRUNC) as u32,
    (libc::O_RDWR | libc::O_TRUNC) as u32,
];

/// A thread that shares everything with the other threads: its own descriptor table is a further
/// table to fill.
const THREAD: u32 = (libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM) as u32;

/// Further flags that a thread may have: its thread-local memory, and words that hold its number.
/// `CLONE_DETACHED` does nothing, but musl passes it.
const OF_THREAD: u32 = (libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID
    | libc::CLONE_CHILD_SETTID
    | libc::CLONE_DETACHED) as u32;

/// Signals that a process does not send itself: SIGKILL, a sign that another process ended it, and
/// signals that only stop it.
const NOT_TO_ITSELF: [i32; 5] =
    [libc::SIGKILL, libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];

/// Mode bits of a new file that give the user who runs it another user's rights, or its directory
/// other rules.
const SPECIAL_MODE: u32 = 0o7000;

/// Mode bits for other users.
const FOR_OTHERS: u32 = 0o077;

/// Flags with which opening a file can create it. `O_TMPFILE` includes the bit of a directory.
const MAKES: u32 = (libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY)) as u32;

/// Allowed flags of a rename. `RENAME_WHITEOUT` is excluded: it leaves a device at the old name.
const RENAMES: [u32; 3] = [0, libc::RENAME_NOREPLACE, libc::RENAME_EXCHANGE];

/// Allowed advice about memory. Excluded is advice that other processes notice: merging, giving up
/// shared memory, poisoning.
const ADVICE: [i32; 15] = [
    libc::MADV_NORMAL,
    libc::MADV_RANDOM,
    libc::MADV_SEQUENTIAL,
    libc::MADV_WILLNEED,
    libc::MADV_DONTNEED,
    libc::MADV_FREE,
    libc::MADV_DONTFORK,
    libc::MADV_DOFORK,
    libc::MADV_HUGEPAGE,
    libc::MADV_NOHUGEPAGE,
    libc::MADV_DONTDUMP,
    libc::MADV_WIPEONFORK,
    libc::MADV_KEEPONFORK,
    // Inaccessible pages, set and reset: newer C libraries put them below stacks.
    MADV_GUARD_INSTALL,
    MADV_GUARD_REMOVE,
];
const MADV_GUARD_INSTALL: i32 = 102;
const MADV_GUARD_REMOVE: i32 = 103;

/// Allowed socket options by level: those that clients of TLS and HTTP use.
const OPTIONS: [(i32, &[i32]); 4] = [
    // Not SO_LINGER: the last process to close such a connection waits, possibly the host.
    (
        libc::SOL_SOCKET,
        &[
            libc::SO_REUSEADDR,
            libc::SO_SNDBUF,
            libc::SO_RCVBUF,
            libc::SO_KEEPALIVE,
            libc::SO_OOBINLINE,
            libc::SO_PRIORITY,
            libc::SO_RCVTIMEO,
            libc::SO_SNDTIMEO,
        ],
    ),
    (libc::IPPROTO_IP, &[libc::IP_TOS, libc::IP_TTL]),
    (libc::IPPROTO_IPV6, &[libc::IPV6_V6ONLY, libc::IPV6_TCLASS, libc::IPV6_UNICAST_HOPS]),
    (
        libc::IPPROTO_TCP,
        &[
            libc::TCP_NODELAY,
            libc::TCP_MAXSEG,
            libc::TCP_CORK,
            libc::TCP_KEEPIDLE,
            libc::TCP_KEEPINTVL,
            libc::TCP_KEEPCNT,
            libc::TCP_SYNCNT,
            libc::TCP_QUICKACK,
            libc::TCP_USER_TIMEOUT,
            libc::TCP_NOTSENT_LOWAT,
        ],
    ),
];

/// The part of a socket's type that is no flag.
const TYPE: u32 = 0xf;

const STREAM: u32 = libc::SOCK_STREAM as u32;
const DATAGRAM: u32 = libc::SOCK_DGRAM as u32;
const PACKETS: u32 = libc::SOCK_SEQPACKET as u32;
const RAW: u32 = libc::SOCK_RAW as u32;

/// Returns the filter for the process with this number and this reach.
pub(super) fn filter(reach: Reach, pid: u32) -> BpfProgram {
    let mut answers = Answers::new();
    for list in [ALLOWED, ALLOWED_HERE] {
        answers.answer(list, &Answer::Allowed);
    }
    for list in [REFUSED, REFUSED_HERE] {
        answers.answer(list, &Answer::Refused);
    }
    answers.answer(KILLED, &Answer::Killed);
    let files = files_and_memory().into_iter().chain(makes());
    for (call, ways) in in_part(pid).into_iter().chain(files).chain(sockets(reach)) {
        answers.set(call, Answer::AllowedIf(ways));
    }
    if reach.network {
        answers.set(libc::SYS_sendto, Answer::Allowed);
    }
    if reach.sockets {
        // This process cannot connect its sockets to another one: the host passes it connected
        // sockets. An address lies in memory, where no filter sees it, so the process asks the host
        // for each connection.
        let unix = vec![is(libc::AF_UNIX), of(&[STREAM])];
        answers.set(libc::SYS_socket, Answer::AllowedOrAsked(made(reach), vec![unix]));
        answers.set(libc::SYS_connect, Answer::AllowedOrAsked(vec![], vec![vec![]]));
    }
    answers.compiled()
}

/// A call, and the ways in which it may be made.
type InPart = (c_long, Vec<Vec<Test>>);

/// Returns the calls that are allowed on this process only.
fn in_part(pid: u32) -> Vec<InPart> {
    let sent = |signal| {
        let not = NOT_TO_ITSELF.map(|signal| signal as u32);
        vec![vec![Test::word(0, [pid]), Test::word(signal, not).negated()]]
    };
    let [low, high] = Test::null(2);
    vec![
        // Files it makes are its user's alone: without a network, a public file could leak data.
        (libc::SYS_umask, vec![vec![Test::masked(0, FOR_OTHERS, [FOR_OTHERS])]]),
        // Threads only.
        (libc::SYS_clone, vec![vec![Test::masked(0, !OF_THREAD, [THREAD])]]),
        (libc::SYS_kill, sent(1)),
        (libc::SYS_tgkill, sent(2)),
        (libc::SYS_sched_setaffinity, vec![vec![Test::word(0, [0])]]),
        // For other processes, these calls reveal that they exist and their sessions.
        (libc::SYS_getpgid, vec![vec![Test::word(0, [0, pid])]]),
        (libc::SYS_getsid, vec![vec![Test::word(0, [0, pid])]]),
        (
            libc::SYS_getpriority,
            vec![vec![Test::word(0, [libc::PRIO_PROCESS]), Test::word(1, [0, pid])]],
        ),
        (libc::SYS_clock_gettime, own_clocks(pid)),
        (libc::SYS_clock_getres, own_clocks(pid)),
        (libc::SYS_clock_nanosleep, own_clocks(pid)),
        // Reads limits and never sets them.
        (libc::SYS_prlimit64, vec![vec![Test::word(0, [0, pid]), low, high]]),
        (libc::SYS_fcntl, vec![vec![Test::word(1, words(FCNTLS))]]),
        (libc::SYS_prctl, vec![vec![Test::word(0, words(PRCTLS))]]),
    ]
}

/// Returns which clocks are readable. A negative clock is the processor time of any process, or of
/// a thread, which the kernel reports to its own process only.
fn own_clocks(pid: u32) -> Vec<Vec<Test>> {
    const OF_SOMEBODY: u32 = 1 << 31;
    const OF_THREAD: u32 = 4;
    let of_process = |pid: u32| [0, 1, 2].map(|which| !pid << 3 | which);
    vec![
        vec![Test::masked(0, OF_SOMEBODY, [0])],
        vec![Test::masked(0, OF_THREAD, [OF_THREAD])],
        vec![Test::word(0, [0, pid].into_iter().flat_map(of_process))],
    ]
}

/// Returns the allowed calls on descriptors and memory.
fn files_and_memory() -> Vec<InPart> {
    let without = |argument, flags: i32| vec![vec![Test::masked(argument, flags as u32, [0])]];
    vec![
        // No huge pages: the machine reserves them for specific programs.
        (libc::SYS_mmap, without(3, libc::MAP_HUGETLB)),
        (libc::SYS_madvise, vec![vec![Test::word(2, words(&ADVICE))]]),
        // No descriptor table of this thread's own.
        (libc::SYS_close_range, without(2, libc::CLOSE_RANGE_UNSHARE as i32)),
        // Not beyond a file's end, where no limit counts it.
        (libc::SYS_fallocate, vec![vec![Test::word(1, [0])]]),
        (libc::SYS_renameat2, vec![vec![Test::word(4, RENAMES)]]),
    ]
}

/// Returns how files are opened and made, and directories made. `openat2` has its flags in memory.
fn makes() -> Vec<InPart> {
    let plain = |mode| vec![Test::masked(mode, SPECIAL_MODE, [0])];
    // If nothing is created, the mode register holds an arbitrary value.
    let opened = |flags, mode| {
        let used = || Test::masked(flags, USE, USES);
        let mut plain = plain(mode);
        plain.push(used());
        vec![vec![used(), Test::masked(flags, MAKES, [0])], plain]
    };
    vec![
        (libc::SYS_openat, opened(2, 3)),
        (libc::SYS_mkdirat, vec![plain(2)]),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_open, opened(1, 2)),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_creat, vec![plain(1)]),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_mkdir, vec![plain(1)]),
    ]
}

fn words(list: &[i32]) -> Vec<u32> {
    list.iter().map(|one| *one as u32).collect()
}

/// Returns the allowed calls on sockets.
fn sockets(reach: Reach) -> Vec<InPart> {
    let connected = match reach.network || reach.bus || reach.sockets {
        true => vec![vec![]],
        false => vec![],
    };
    let network: &[u64] = if reach.network { IOCTLS_OF_NETWORK } else { &[] };
    let options = OPTIONS.iter().map(|(level, options)| {
        vec![Test::word(1, [*level as u32]), Test::word(2, words(options))]
    });
    let ioctls = IOCTLS.iter().chain(network).map(|one| *one as u32);
    vec![
        (libc::SYS_socket, made(reach)),
        // Connected types only: a datagram socket of a pair could send to any name.
        (libc::SYS_socketpair, vec![vec![is(libc::AF_UNIX), of(&[STREAM, PACKETS])]]),
        // Descriptors that are on their way in it have no number: connections only, of libraries
        // that write to them like that.
        (libc::SYS_sendmsg, connected.clone()),
        (libc::SYS_connect, connected),
        // A plugin binds no socket to a path, a name or a port.
        (libc::SYS_bind, vec![]),
        (libc::SYS_setsockopt, options.collect()),
        // Without a network, only to the connected peer.
        (libc::SYS_sendto, vec![Test::null(4).into()]),
        (libc::SYS_ioctl, vec![vec![Test::word(1, ioctls)]]),
    ]
}

/// Returns the test for a socket of this family.
fn is(family: i32) -> Test {
    Test::word(0, [family as u32])
}

/// Returns the test for a socket of one of these types.
fn of(types: &[u32]) -> Test {
    Test::masked(1, TYPE, types.iter().copied())
}

/// Returns which sockets the process makes itself.
fn made(reach: Reach) -> Vec<Vec<Test>> {
    let mut made = vec![];
    if reach.network {
        // TCP only. The first operation on a UDP socket, even a failed connection, gives it a port,
        // which receives from any sender.
        let protocols = [0, libc::IPPROTO_TCP as u32];
        for family in [libc::AF_INET, libc::AF_INET6] {
            let protocol = Test::word(2, protocols);
            made.push(vec![is(family), of(&[STREAM]), protocol]);
        }
        // This machine's addresses, to choose among those of a server.
        let route = Test::word(2, [libc::NETLINK_ROUTE as u32]);
        made.push(vec![is(libc::AF_NETLINK), of(&[RAW, DATAGRAM]), route]);
    }
    if reach.bus {
        made.push(vec![is(libc::AF_UNIX), of(&[STREAM])]);
    }
    made
}

#[cfg(test)]
mod tests;
