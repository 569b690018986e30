//! Which system calls a caged plugin can make. What is not listed here does not exist for it
//! (`ENOSYS`, so that libraries fall back as on an older kernel); what reaches other processes,
//! programs, sockets or the metadata of any path is refused (`EPERM`); what only an attack needs
//! kills.
//!
//! Files that are opened and made are landlock's business ([`super::files`]): a filter sees
//! pointers, not paths.

use libc::c_long;
use seccompiler::BpfProgram;

use super::Reach;
use super::filter::{Answer, Answers, Test};

/// What a plugin may do with itself, its files and its connections.
#[rustfmt::skip]
const ALLOWED: &[c_long] = &[
    // Descriptors.
    libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_pread64,
    libc::SYS_pwrite64, libc::SYS_preadv, libc::SYS_pwritev, libc::SYS_preadv2, libc::SYS_pwritev2,
    libc::SYS_close, libc::SYS_close_range, libc::SYS_lseek, libc::SYS_dup, libc::SYS_dup3,
    libc::SYS_pipe2, libc::SYS_eventfd2, libc::SYS_signalfd4, libc::SYS_memfd_create,
    libc::SYS_memfd_secret, libc::SYS_sendfile, libc::SYS_copy_file_range, libc::SYS_ppoll,
    libc::SYS_pselect6, libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2, libc::SYS_fcntl, libc::SYS_ioctl,
    // Files, where landlock lets it.
    libc::SYS_openat, libc::SYS_fstat, libc::SYS_newfstatat, libc::SYS_statx,
    libc::SYS_statfs, libc::SYS_fstatfs, libc::SYS_faccessat, libc::SYS_faccessat2,
    libc::SYS_readlinkat, libc::SYS_getdents64, libc::SYS_getcwd, libc::SYS_chdir,
    libc::SYS_fchdir, libc::SYS_umask, libc::SYS_ftruncate, libc::SYS_fallocate,
    libc::SYS_fadvise64, libc::SYS_readahead, libc::SYS_flock, libc::SYS_fsync,
    libc::SYS_fdatasync, libc::SYS_sync_file_range, libc::SYS_syncfs, libc::SYS_renameat,
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
    libc::SYS_getitimer, libc::SYS_timer_create, libc::SYS_timer_settime, libc::SYS_timer_gettime,
    libc::SYS_timer_getoverrun, libc::SYS_timer_delete, libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime, libc::SYS_timerfd_gettime, libc::SYS_prctl,
    // Who and where it is.
    libc::SYS_getpid, libc::SYS_gettid, libc::SYS_getppid, libc::SYS_getuid, libc::SYS_geteuid,
    libc::SYS_getgid, libc::SYS_getegid, libc::SYS_getresuid, libc::SYS_getresgid,
    libc::SYS_getgroups, libc::SYS_getpgid, libc::SYS_getsid, libc::SYS_capget, libc::SYS_uname,
    libc::SYS_sysinfo, libc::SYS_getrusage, libc::SYS_getrlimit, libc::SYS_prlimit64,
    libc::SYS_getcpu, libc::SYS_getrandom,
    // The connection to the host, pairs of its own, and what `network` lets it make.
    libc::SYS_socket, libc::SYS_socketpair, libc::SYS_sendto, libc::SYS_recvfrom,
    libc::SYS_sendmsg, libc::SYS_recvmsg, libc::SYS_sendmmsg, libc::SYS_recvmmsg,
    libc::SYS_shutdown, libc::SYS_getsockname, libc::SYS_getpeername, libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    // Refused unless granted; known, so that the answer is the refusal.
    libc::SYS_connect, libc::SYS_bind,
];

/// The same under the names that this architecture had first.
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

/// What reaches beyond the plugin's own process, or what landlock does not look at: refused.
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
    // Metadata of a path, which landlock leaves to whoever owns the file.
    libc::SYS_fchmod, libc::SYS_fchmodat, libc::SYS_fchmodat2, libc::SYS_utimensat,
    libc::SYS_fchown, libc::SYS_fchownat, libc::SYS_truncate, libc::SYS_setxattr,
    libc::SYS_lsetxattr, libc::SYS_removexattr, libc::SYS_lremovexattr, libc::SYS_getxattr,
    libc::SYS_lgetxattr, libc::SYS_fsetxattr, libc::SYS_fremovexattr,
    libc::SYS_listxattr, libc::SYS_llistxattr, libc::SYS_mknodat, libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at, libc::SYS_inotify_init1, libc::SYS_inotify_add_watch,
    libc::SYS_fanotify_init, libc::SYS_fanotify_mark,
    // Identity, limits, the cage itself.
    libc::SYS_setuid, libc::SYS_setgid, libc::SYS_setreuid, libc::SYS_setregid,
    libc::SYS_setresuid, libc::SYS_setresgid, libc::SYS_setfsuid, libc::SYS_setfsgid,
    libc::SYS_setgroups, libc::SYS_capset, libc::SYS_setrlimit, libc::SYS_seccomp,
    libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule,
    libc::SYS_landlock_restrict_self,
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

/// What no vault has any use for, and many attacks begin with.
#[rustfmt::skip]
const KILLED: &[c_long] = &[
    libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_bpf,
    libc::SYS_mount, libc::SYS_umount2, libc::SYS_open_tree, libc::SYS_move_mount,
    libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fspick,
    libc::SYS_mount_setattr, libc::SYS_keyctl, libc::SYS_add_key, libc::SYS_request_key,
    libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
];

/// What may be asked of a descriptor: its size, whether it waits, whether programs inherit it;
/// and whether it is a terminal, which none is.
const IOCTLS: &[u64] =
    &[libc::FIONBIO, libc::FIONREAD, libc::FIOCLEX, libc::FIONCLEX, libc::TCGETS, libc::TIOCGWINSZ];

/// Names of interfaces, for addresses that are bound to one.
const IOCTLS_OF_NETWORK: &[u64] = &[libc::SIOCGIFNAME, libc::SIOCGIFINDEX];

/// Not: owners of signals, leases, notifications.
#[rustfmt::skip]
const FCNTLS: &[i32] = &[
    libc::F_DUPFD, libc::F_DUPFD_CLOEXEC, libc::F_GETFD, libc::F_SETFD, libc::F_GETFL,
    libc::F_SETFL, libc::F_GETLK, libc::F_SETLK, libc::F_SETLKW, libc::F_OFD_GETLK,
    libc::F_OFD_SETLK, libc::F_OFD_SETLKW, libc::F_GETPIPE_SZ, libc::F_SETPIPE_SZ,
    libc::F_ADD_SEALS, libc::F_GET_SEALS,
];

/// Names of threads and of memory, and what it may know of itself.
const PRCTLS: &[i32] = &[
    libc::PR_SET_NAME,
    libc::PR_GET_NAME,
    libc::PR_SET_VMA,
    libc::PR_GET_DUMPABLE,
    libc::PR_GET_NO_NEW_PRIVS,
    libc::PR_CAPBSET_READ,
];

/// What of `open`'s flags says how a file is used.
const USE: u32 = (libc::O_ACCMODE | libc::O_TRUNC) as u32;

/// To read or to write, and to cut short only what is opened to be written: a file that was opened
/// for neither (3) needs no right of landlock's, and one that is opened to be read and cut short
/// none but to read before Linux 6.2. `openat2` has its flags where no filter sees them, and is
/// not there.
const USES: [u32; 5] = [
    libc::O_RDONLY as u32,
    libc::O_WRONLY as u32,
    libc::O_RDWR as u32,
    (libc::O_WRONLY | libc::O_TRUNC) as u32,
    (libc::O_RDWR | libc::O_TRUNC) as u32,
];

/// A thread, in no new namespace.
const THREAD: u32 = libc::CLONE_THREAD as u32;
const CLONE_MASK: u32 = THREAD
    | (libc::CLONE_NEWNS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET) as u32;

/// Whose options may be set: of the internet's protocols.
const LEVELS: [i32; 4] =
    [libc::IPPROTO_IP, libc::IPPROTO_IPV6, libc::IPPROTO_TCP, libc::IPPROTO_UDP];

/// Which options of any socket may be set.
const OPTIONS: [i32; 9] = [
    libc::SO_REUSEADDR,
    libc::SO_BROADCAST,
    libc::SO_SNDBUF,
    libc::SO_RCVBUF,
    libc::SO_KEEPALIVE,
    libc::SO_OOBINLINE,
    libc::SO_PRIORITY,
    libc::SO_RCVTIMEO,
    libc::SO_SNDTIMEO,
];

/// The part of a socket's type that is no flag.
const TYPE: u32 = 0xf;

const STREAM: u32 = libc::SOCK_STREAM as u32;
const DATAGRAM: u32 = libc::SOCK_DGRAM as u32;
const PACKETS: u32 = libc::SOCK_SEQPACKET as u32;
const RAW: u32 = libc::SOCK_RAW as u32;

/// Returns the filter of a process of this number that may reach this much.
pub(super) fn filter(reach: Reach, pid: u32) -> BpfProgram {
    let mut answers = Answers::new();
    for list in [ALLOWED, ALLOWED_HERE] {
        answers.answer(list, &Answer::Allowed);
    }
    for list in [REFUSED, REFUSED_HERE] {
        answers.answer(list, &Answer::Refused);
    }
    answers.answer(KILLED, &Answer::Killed);
    for (call, ways) in in_part(pid).into_iter().chain(opening()).chain(sockets(reach)) {
        answers.set(call, Answer::AllowedIf(ways));
    }
    if reach.network {
        answers.set(libc::SYS_sendto, Answer::Allowed);
    }
    if reach.writes {
        // A mark on a file of its own. It cannot be told from one that it may only read.
        answers.answer(&[libc::SYS_fsetxattr, libc::SYS_fremovexattr], &Answer::Allowed);
    }
    answers.compiled()
}

/// A call, and the ways in which it may be made.
type InPart = (c_long, Vec<Vec<Test>>);

/// Returns what may be done to this process and to nothing else.
fn in_part(pid: u32) -> Vec<InPart> {
    let itself = |argument| vec![vec![Test::word(argument, [pid])]];
    let words = |list: &[i32]| list.iter().map(|one| *one as u32).collect::<Vec<_>>();
    let [low, high] = Test::null(2);
    vec![
        // Threads, and no processes.
        (libc::SYS_clone, vec![vec![Test::masked(0, CLONE_MASK, [THREAD])]]),
        (libc::SYS_kill, itself(0)),
        (libc::SYS_tgkill, itself(0)),
        (libc::SYS_sched_setaffinity, vec![vec![Test::word(0, [0])]]),
        // To see its limits, not to set them.
        (libc::SYS_prlimit64, vec![vec![Test::word(0, [0, pid]), low, high]]),
        (libc::SYS_fcntl, vec![vec![Test::word(1, words(FCNTLS))]]),
        (libc::SYS_prctl, vec![vec![Test::word(0, words(PRCTLS))]]),
    ]
}

/// Returns how files may be opened.
fn opening() -> Vec<InPart> {
    let used = |argument| vec![vec![Test::masked(argument, USE, USES)]];
    vec![
        (libc::SYS_openat, used(2)),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_open, used(1)),
    ]
}

/// Returns what may be done with sockets.
fn sockets(reach: Reach) -> Vec<InPart> {
    let is = |family: i32| Test::word(0, [family as u32]);
    let of = |types: &[u32]| Test::masked(1, TYPE, types.iter().copied());
    let (mut made, mut bound, mut connected) = (vec![], vec![], vec![]);
    if reach.network {
        // By the protocols that are meant: others would have the kernel load more of its code.
        let protocols = [0, libc::IPPROTO_TCP as u32, libc::IPPROTO_UDP as u32];
        for family in [libc::AF_INET, libc::AF_INET6] {
            let protocol = Test::word(2, protocols);
            made.push(vec![is(family), of(&[STREAM, DATAGRAM]), protocol]);
        }
        // Which addresses this machine has, for a choice among a server's.
        let route = Test::word(2, [libc::NETLINK_ROUTE as u32]);
        made.push(vec![is(libc::AF_NETLINK), of(&[RAW, DATAGRAM]), route]);
        bound.push(vec![]);
    }
    if reach.bus {
        made.push(vec![is(libc::AF_UNIX), of(&[STREAM])]);
    }
    if reach.network || reach.bus {
        connected.push(vec![]);
    }
    let network: &[u64] = if reach.network { IOCTLS_OF_NETWORK } else { &[] };
    let ioctls = IOCTLS.iter().chain(network).map(|one| *one as u32);
    vec![
        (libc::SYS_socket, made),
        // Connected for good: a datagram could be sent from one of a pair to any name.
        (libc::SYS_socketpair, vec![vec![is(libc::AF_UNIX), of(&[STREAM, PACKETS])]]),
        (libc::SYS_connect, connected),
        // A name of a socket with a path or a name is bound by nobody: nor is a port.
        (libc::SYS_bind, vec![]),
        // Not SO_LINGER: whoever closes such a connection last waits, and that may be the host.
        (
            libc::SYS_setsockopt,
            vec![
                vec![Test::word(1, LEVELS.map(|one| one as u32))],
                vec![
                    Test::word(1, [libc::SOL_SOCKET as u32]),
                    Test::word(2, OPTIONS.map(|one| one as u32)),
                ],
            ],
        ),
        (libc::SYS_sendmmsg, bound.clone()),
        (libc::SYS_recvmmsg, bound),
        // Without a network, to whom it is connected and nobody else.
        (libc::SYS_sendto, vec![Test::null(4).into()]),
        (libc::SYS_ioctl, vec![vec![Test::word(1, ioctls)]]),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::filter::tests::answer;
    use super::*;

    const REFUSAL: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;

    #[cfg(target_arch = "x86_64")]
    fn answered(reach: Reach, call: c_long, arguments: [u64; 6]) -> u32 {
        answer(&filter(reach, 77), 0xc000_003e, call as u32, arguments)
    }

    #[test]
    fn no_call_is_in_two_lists() {
        let lists = [ALLOWED, ALLOWED_HERE, REFUSED, REFUSED_HERE, KILLED];
        let mut all: Vec<_> = lists.into_iter().flatten().collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn what_is_given_reaches_no_further_than_it_says() {
        let nothing = Reach::default();
        let network = Reach { network: true, ..nothing };
        let bus = Reach { bus: true, ..nothing };
        let (unix, inet, inet6) = (libc::AF_UNIX, libc::AF_INET, libc::AF_INET6);
        let stream = (libc::SOCK_STREAM | libc::SOCK_CLOEXEC) as u64;
        for (family, kind, protocol, allowed_to) in [
            (inet, stream, 0, vec![network]),
            (inet6, libc::SOCK_DGRAM as u64, 0, vec![network]),
            (inet, stream, 6, vec![network]),
            (inet, stream, 262, vec![]), // several paths
            (inet, libc::SOCK_RAW as u64, 1, vec![]),
            (libc::AF_NETLINK, libc::SOCK_RAW as u64, 0, vec![network]),
            (libc::AF_NETLINK, libc::SOCK_RAW as u64, 9, vec![]),
            (unix, stream, 0, vec![bus]),
            (unix, libc::SOCK_DGRAM as u64, 0, vec![]),
            (libc::AF_VSOCK, stream, 0, vec![]),
        ] {
            for reach in [nothing, network, bus] {
                let arguments = [family as u64, kind, protocol, 0, 0, 0];
                let allowed = answered(reach, libc::SYS_socket, arguments);
                let expected = match allowed_to.contains(&reach) {
                    true => libc::SECCOMP_RET_ALLOW,
                    false => REFUSAL,
                };
                assert_eq!(allowed, expected, "{family} {kind} {protocol} {reach:?}");
            }
        }
        for (call, reaches) in [
            (libc::SYS_connect, vec![network, bus]),
            (libc::SYS_bind, vec![]),
            (libc::SYS_listen, vec![]),
        ] {
            for reach in [nothing, network, bus] {
                let allowed = answered(reach, call, [3, 1, 1, 0, 0, 0]) == libc::SECCOMP_RET_ALLOW;
                assert_eq!(allowed, reaches.contains(&reach), "{call} {reach:?}");
            }
        }
    }

    #[test]
    fn a_file_is_opened_to_be_read_or_written_and_cut_short_only_to_be_written() {
        let allows = |flags: i32| {
            let arguments = [0, 1, flags as u64 | 1 << 40, 0, 0, 0];
            let answer = answered(Reach::default(), libc::SYS_openat, arguments);
            assert!([libc::SECCOMP_RET_ALLOW, REFUSAL].contains(&answer));
            answer == libc::SECCOMP_RET_ALLOW
        };
        let more = [0, libc::O_CREAT | libc::O_CLOEXEC, libc::O_PATH, libc::O_TMPFILE];
        for more in more {
            for flags in [libc::O_RDONLY, libc::O_WRONLY, libc::O_RDWR] {
                assert!(allows(more | flags), "{flags:o} {more:o}");
                let cut = more | flags | libc::O_TRUNC;
                assert_eq!(allows(cut), flags != libc::O_RDONLY, "{flags:o} {more:o}");
            }
            assert!(!allows(more | libc::O_ACCMODE) && !allows(more | 3 | libc::O_TRUNC));
        }
    }

    #[test]
    fn a_process_signals_and_sees_itself_alone() {
        let allows = |call, arguments| {
            answered(Reach::default(), call, arguments) == libc::SECCOMP_RET_ALLOW
        };
        for (call, itself, other) in [
            (libc::SYS_kill, [77, 9, 0, 0, 0, 0], [78, 9, 0, 0, 0, 0]),
            (libc::SYS_kill, [77, 9, 0, 0, 0, 0], [0, 9, 0, 0, 0, 0]),
            (libc::SYS_kill, [77, 9, 0, 0, 0, 0], [u64::MAX, 9, 0, 0, 0, 0]),
            (libc::SYS_tgkill, [77, 80, 6, 0, 0, 0], [1, 1, 6, 0, 0, 0]),
            (libc::SYS_prlimit64, [0, 7, 0, 1, 0, 0], [0, 7, 1 << 40, 0, 0, 0]),
            (libc::SYS_prlimit64, [77, 7, 0, 1, 0, 0], [1, 7, 0, 1, 0, 0]),
            (libc::SYS_clone, [0x3d_0f00, 0, 0, 0, 0, 0], [0x11, 0, 0, 0, 0, 0]),
            (libc::SYS_clone, [0x3d_0f00, 0, 0, 0, 0, 0], [0x103d_0f00, 0, 0, 0, 0, 0]),
            (libc::SYS_fcntl, [3, 1030, 0, 0, 0, 0], [3, 8, 1, 0, 0, 0]),
            (libc::SYS_prctl, [15, 0, 0, 0, 0, 0], [4, 1, 0, 0, 0, 0]),
            (libc::SYS_ioctl, [1, 0x5421, 0, 0, 0, 0], [1, 0x5412, 0, 0, 0, 0]),
            (libc::SYS_sendto, [3, 1, 1, 0, 0, 0], [3, 1, 1, 0, 64, 16]),
        ] {
            assert!(allows(call, itself), "{call} {itself:?}");
            assert_eq!(answered(Reach::default(), call, other), REFUSAL, "{call} {other:?}");
        }
    }
}
