//! Which system calls a caged plugin can make: three seccomp filters. What is not listed here
//! does not exist for it (`ENOSYS`, so that libraries fall back as on an older kernel); what
//! reaches other processes, programs, sockets or the metadata of any path is refused (`EPERM`);
//! what only an attack needs kills.
//!
//! Files that are opened and made are landlock's business ([`super::files`]): a filter sees
//! pointers, not paths.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::Reach;

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
    libc::SYS_openat, libc::SYS_openat2, libc::SYS_fstat, libc::SYS_newfstatat, libc::SYS_statx,
    libc::SYS_statfs, libc::SYS_fstatfs, libc::SYS_faccessat, libc::SYS_faccessat2,
    libc::SYS_readlinkat, libc::SYS_getdents64, libc::SYS_getcwd, libc::SYS_chdir,
    libc::SYS_fchdir, libc::SYS_umask, libc::SYS_ftruncate, libc::SYS_fallocate,
    libc::SYS_fadvise64, libc::SYS_readahead, libc::SYS_flock, libc::SYS_fsync,
    libc::SYS_fdatasync, libc::SYS_sync_file_range, libc::SYS_syncfs, libc::SYS_renameat,
    libc::SYS_renameat2, libc::SYS_unlinkat, libc::SYS_mkdirat, libc::SYS_linkat,
    libc::SYS_symlinkat, libc::SYS_fchmod, libc::SYS_utimensat,
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
    libc::SYS_fchmodat, libc::SYS_fchmodat2, libc::SYS_fchown, libc::SYS_fchownat, libc::SYS_truncate,
    libc::SYS_setxattr, libc::SYS_lsetxattr, libc::SYS_fsetxattr, libc::SYS_removexattr,
    libc::SYS_lremovexattr, libc::SYS_fremovexattr, libc::SYS_getxattr, libc::SYS_lgetxattr,
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
const IOCTLS_OF_NETWORK: &[u64] = &[0x8910, 0x8933]; // SIOCGIFNAME, SIOCGIFINDEX

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

/// Namespaces of any kind.
const CLONE_NEW: &[i32] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// The part of a socket's type that is no flag.
const TYPE_MASK: u64 = 0xf;

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

/// Returns the filters of a process that may reach this much, in the order in which they are
/// to be installed.
pub(super) fn filters(
    reach: Reach,
    pid: u32,
) -> Result<[BpfProgram; 3], seccompiler::BackendError> {
    let all = |lists: &[&[c_long]]| -> Rules {
        lists.iter().flat_map(|list| list.iter()).map(|call| (*call, Vec::new())).collect()
    };
    let known = all(&[ALLOWED, ALLOWED_HERE, REFUSED, REFUSED_HERE, KILLED]);
    let killed = all(&[KILLED]);
    let mut refused = all(&[REFUSED, REFUSED_HERE]);
    refuse_in_part(&mut refused, reach, u64::from(pid))?;

    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let missing = SeccompAction::Errno(libc::ENOSYS as u32);
    let refusal = SeccompAction::Errno(libc::EPERM as u32);
    // Of several answers to one call the strictest counts, of two errors that of the last filter:
    // refused goes before missing.
    Ok([
        SeccompFilter::new(known, missing, SeccompAction::Allow, arch)?.try_into()?,
        SeccompFilter::new(killed, SeccompAction::Allow, SeccompAction::KillProcess, arch)?
            .try_into()?,
        SeccompFilter::new(refused, SeccompAction::Allow, refusal, arch)?.try_into()?,
    ])
}

/// Adds the calls of which a part is refused, by their arguments.
fn refuse_in_part(
    rules: &mut Rules,
    reach: Reach,
    pid: u64,
) -> Result<(), seccompiler::BackendError> {
    let mut refuse = |call: c_long, ways: Vec<Vec<SeccompCondition>>| {
        let ways = ways.into_iter().map(SeccompRule::new).collect::<Result<Vec<_>, _>>();
        ways.map(|ways| drop(rules.insert(call, ways)))
    };
    // Threads, and no processes.
    let mut ways = vec![vec![masked(0, libc::CLONE_THREAD as u64, 0)?]];
    for namespace in CLONE_NEW {
        let bit = *namespace as u32 as u64;
        ways.push(vec![masked(0, bit, bit)?]);
    }
    refuse(libc::SYS_clone, ways)?;
    // Itself, and no others: neither signals, nor priorities, nor limits.
    refuse(libc::SYS_kill, vec![vec![word(0, SeccompCmpOp::Ne, pid)?]])?;
    refuse(libc::SYS_tgkill, vec![vec![word(0, SeccompCmpOp::Ne, pid)?]])?;
    refuse(libc::SYS_sched_setaffinity, vec![vec![word(0, SeccompCmpOp::Ne, 0)?]])?;
    let others = vec![word(0, SeccompCmpOp::Ne, 0)?, word(0, SeccompCmpOp::Ne, pid)?];
    refuse(libc::SYS_prlimit64, vec![others, vec![given(2)?]])?;
    // The times of an open file, not of a path.
    refuse(libc::SYS_utimensat, vec![vec![given(1)?]])?;
    refuse(libc::SYS_fcntl, vec![none_of(1, FCNTLS.iter().map(|one| *one as u64))?])?;
    refuse(libc::SYS_prctl, vec![none_of(0, PRCTLS.iter().map(|one| *one as u64))?])?;
    let network: &[u64] = if reach.network { IOCTLS_OF_NETWORK } else { &[] };
    refuse(libc::SYS_ioctl, vec![none_of(1, IOCTLS.iter().chain(network).copied())?])?;

    // Pairs that are connected for good: a datagram could be sent from one to any name.
    let mut pairs = vec![vec![word(0, SeccompCmpOp::Ne, libc::AF_UNIX as u64)?]];
    let lasting = [libc::SOCK_STREAM as u64, libc::SOCK_SEQPACKET as u64];
    for odd in (0..=TYPE_MASK).filter(|one| !lasting.contains(one)) {
        pairs.push(vec![masked(1, TYPE_MASK, odd)?]);
    }
    refuse(libc::SYS_socketpair, pairs)?;
    sockets(&mut refuse, reach)
}

/// Adds what of sockets is refused.
fn sockets(
    refuse: &mut dyn FnMut(
        c_long,
        Vec<Vec<SeccompCondition>>,
    ) -> Result<(), seccompiler::BackendError>,
    reach: Reach,
) -> Result<(), seccompiler::BackendError> {
    let (stream, datagram) = (libc::SOCK_STREAM as u64, libc::SOCK_DGRAM as u64);
    let raw = libc::SOCK_RAW as u64;
    let mut families: Vec<(i32, &[u64])> = Vec::new();
    let internet = [stream, datagram];
    // Route sockets tell which addresses the machine has; their type is raw or datagram.
    let route = [raw, datagram];
    let local = [stream];
    if reach.network {
        families.extend([
            (libc::AF_INET, &internet[..]),
            (libc::AF_INET6, &internet[..]),
            (libc::AF_NETLINK, &route[..]),
        ]);
    }
    if reach.bus {
        families.push((libc::AF_UNIX, &local[..]));
    }
    let mut ways = Vec::new();
    if families.is_empty() {
        // Any at all.
    } else {
        ways.push(none_of(0, families.iter().map(|(family, _)| *family as u64))?);
        for (family, types) in &families {
            for odd in (0..=TYPE_MASK).filter(|one| !types.contains(one)) {
                let family = word(0, SeccompCmpOp::Eq, *family as u64)?;
                ways.push(vec![family, masked(1, TYPE_MASK, odd)?]);
            }
        }
        if reach.network {
            let netlink = word(0, SeccompCmpOp::Eq, libc::AF_NETLINK as u64)?;
            let route = libc::NETLINK_ROUTE as u64;
            ways.push(vec![netlink, word(2, SeccompCmpOp::Ne, route)?]);
        }
    }
    refuse(libc::SYS_socket, ways)?;
    if !reach.network {
        refuse(libc::SYS_bind, Vec::new())?;
        refuse(libc::SYS_sendmmsg, Vec::new())?;
        refuse(libc::SYS_recvmmsg, Vec::new())?;
        refuse(libc::SYS_sendto, vec![vec![given(4)?]])?;
        if !reach.bus {
            refuse(libc::SYS_connect, Vec::new())?;
        }
    }
    Ok(())
}

/// The low 32 bits of an argument: all that the kernel reads of an `int`.
fn word(
    at: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(at, SeccompCmpArgLen::Dword, operator, value & 0xffff_ffff)
}

fn masked(at: u8, mask: u64, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    word(at, SeccompCmpOp::MaskedEq(mask), value)
}

/// A pointer that is not null.
fn given(at: u8) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(at, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0)
}

fn none_of(
    at: u8,
    values: impl Iterator<Item = u64>,
) -> Result<Vec<SeccompCondition>, seccompiler::BackendError> {
    values.map(|value| word(at, SeccompCmpOp::Ne, value)).collect()
}
