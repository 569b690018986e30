//! Answers of the filter to calls, and to the same calls with other arguments.

use super::super::filter::tests::answer;
use super::*;

const REFUSAL: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;

const HERE: u32 = 0xc000_003e;

#[cfg(target_arch = "x86_64")]
fn answered(reach: Reach, call: c_long, arguments: [u64; 6]) -> u32 {
    answer(&filter(reach, 77), HERE, call as u32, arguments)
}

#[test]
fn syscall_lists_are_disjoint() {
    let lists = [ALLOWED, ALLOWED_HERE, REFUSED, REFUSED_HERE, KILLED];
    let mut all: Vec<_> = lists.into_iter().flatten().collect();
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count);
}

#[test]
fn socket_calls_follow_network_and_bus_grants() {
    let nothing = Reach::default();
    let network = Reach { network: true, ..nothing };
    let bus = Reach { bus: true, ..nothing };
    let (unix, inet, inet6) = (libc::AF_UNIX, libc::AF_INET, libc::AF_INET6);
    let stream = (libc::SOCK_STREAM | libc::SOCK_CLOEXEC) as u64;
    for (family, kind, protocol, allowed_to) in [
        (inet, stream, 0, vec![network]),
        (inet6, stream, 0, vec![network]),
        (inet, libc::SOCK_DGRAM as u64, 0, vec![]),
        (inet6, libc::SOCK_DGRAM as u64, 17, vec![]),
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
fn socket_grant_sends_connect_and_unix_socket_to_host() {
    let ask = libc::SECCOMP_RET_USER_NOTIF;
    let sockets = Reach { sockets: true, ..Reach::default() };
    let both = Reach { network: true, ..sockets };
    let stream = (libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as u64;
    let (unix, inet) = (libc::AF_UNIX as u64, libc::AF_INET as u64);
    for (call, arguments, expected, with_network) in [
        (libc::SYS_connect, [3, 1, 1, 0, 0, 0], ask, ask),
        (libc::SYS_socket, [unix, stream, 0, 0, 0, 0], ask, ask),
        (libc::SYS_socket, [unix, libc::SOCK_DGRAM as u64, 0, 0, 0, 0], REFUSAL, REFUSAL),
        (libc::SYS_socket, [unix, libc::SOCK_SEQPACKET as u64, 0, 0, 0, 0], REFUSAL, REFUSAL),
        (libc::SYS_socket, [inet, stream, 0, 0, 0, 0], REFUSAL, libc::SECCOMP_RET_ALLOW),
        (libc::SYS_socketpair, [unix, libc::SOCK_DGRAM as u64, 0, 0, 0, 0], REFUSAL, REFUSAL),
        (libc::SYS_bind, [3, 1, 1, 0, 0, 0], REFUSAL, REFUSAL),
        (libc::SYS_listen, [3, 1, 0, 0, 0, 0], REFUSAL, REFUSAL),
        (libc::SYS_ioctl, [3, libc::SECCOMP_IOCTL_NOTIF_SEND, 0, 0, 0, 0], REFUSAL, REFUSAL),
    ] {
        assert_eq!(answered(sockets, call, arguments), expected, "{call} {arguments:?}");
        assert_eq!(answered(both, call, arguments), with_network, "{call} {arguments:?}");
    }
}

#[test]
fn process_calls_are_limited_to_own_process() {
    let allows =
        |call, arguments| answered(Reach::default(), call, arguments) == libc::SECCOMP_RET_ALLOW;
    for (call, itself, other) in [
        (libc::SYS_kill, [77, 6, 0, 0, 0, 0], [78, 6, 0, 0, 0, 0]),
        (libc::SYS_kill, [77, 6, 0, 0, 0, 0], [0, 6, 0, 0, 0, 0]),
        (libc::SYS_kill, [77, 6, 0, 0, 0, 0], [u64::MAX, 6, 0, 0, 0, 0]),
        (libc::SYS_tgkill, [77, 80, 6, 0, 0, 0], [1, 1, 6, 0, 0, 0]),
        (libc::SYS_prlimit64, [0, 7, 0, 1, 0, 0], [0, 7, 1 << 40, 0, 0, 0]),
        (libc::SYS_umask, [0o77, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]),
        (libc::SYS_umask, [0o177, 0, 0, 0, 0, 0], [0o76, 0, 0, 0, 0, 0]),
        (libc::SYS_getpgid, [77, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]),
        (libc::SYS_getsid, [0, 0, 0, 0, 0, 0], [76, 0, 0, 0, 0, 0]),
        (libc::SYS_getpriority, [0, 77, 0, 0, 0, 0], [0, 76, 0, 0, 0, 0]),
        (libc::SYS_getpriority, [0, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0]),
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

fn is_allowed(reach: Reach, call: c_long, arguments: [u64; 6]) -> bool {
    match answered(reach, call, arguments) {
        libc::SECCOMP_RET_ALLOW => true,
        refused => {
            assert_eq!(refused, REFUSAL, "{call} {arguments:?}");
            false
        }
    }
}

/// The most that a plugin can be granted.
const ALL: Reach = Reach { network: true, bus: true, sockets: false, libraries: true };

#[test]
fn cpu_clock_of_other_process_is_denied() {
    // As `clock_getcpuclockid` and `pthread_getcpuclockid` make them.
    let of_process = |pid: u32| u64::from(!pid << 3 | 2);
    let of_thread = |thread: u32| u64::from(!thread << 3 | 6);
    let own = [of_process(77), of_process(0), of_thread(80), !77u64 << 3 | 2];
    let others = [of_process(76), of_process(1), of_process(1) - 2, u64::MAX << 3 & !(1 << 3)];
    for call in [libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_clock_nanosleep] {
        let answered = |clock| answered(Reach::default(), call, [clock, 0, 0, 0, 0, 0]);
        for clock in (0..12).chain(own) {
            assert_eq!(answered(clock), libc::SECCOMP_RET_ALLOW, "{call} {clock:#x}");
        }
        for clock in others {
            assert_eq!(answered(clock), REFUSAL, "{call} {clock:#x}");
        }
    }
}

#[test]
fn file_metadata_changes_are_denied_with_all_grants() {
    for call in [
        libc::SYS_fsetxattr,
        libc::SYS_setxattr,
        libc::SYS_lsetxattr,
        SETXATTRAT,
        libc::SYS_fremovexattr,
        libc::SYS_removexattr,
        libc::SYS_lremovexattr,
        REMOVEXATTRAT,
        FILE_SETATTR,
        libc::SYS_fchmod,
        libc::SYS_fchmodat,
        libc::SYS_fchmodat2,
        libc::SYS_fchown,
        libc::SYS_fchownat,
        libc::SYS_utimensat,
        libc::SYS_syncfs,
        libc::SYS_sync_file_range,
    ] {
        assert!(!is_allowed(ALL, call, [3, 1, 0, 0, 0, 0]), "{call}");
    }
    // Flags of inodes, clones, leases, hints, notifications, owners.
    for ioctl in [0x4008_6602u64, 0x4020_5820, 0x4004_9409, 0x4020_940d, 0x401c_5820] {
        assert!(!is_allowed(ALL, libc::SYS_ioctl, [3, ioctl, 0, 0, 0, 0]), "{ioctl:#x}");
    }
    for fcntl in [8, 10, 15, 1024, 1026, 1031, 1033, 1036, 1038] {
        assert!(!is_allowed(ALL, libc::SYS_fcntl, [3, fcntl, 0, 0, 0, 0]), "{fcntl}");
    }
    assert!(is_allowed(ALL, libc::SYS_fgetxattr, [3, 1, 1, 1, 0, 0]));
}

#[test]
fn created_file_cannot_have_special_mode_bits() {
    let (create, nameless) = (libc::O_CREAT as u64 | 1, libc::O_TMPFILE as u64 | 1);
    let dir = libc::O_DIRECTORY as u64;
    for special in [0o4755, 0o2755, 0o1777, 0o6000, 0o7777] {
        for (call, arguments) in [
            (libc::SYS_openat, [3, 1, create, special, 0, 0]),
            (libc::SYS_openat, [3, 1, nameless, special, 0, 0]),
            (libc::SYS_open, [1, create, special, 0, 0, 0]),
            (libc::SYS_creat, [1, special, 0, 0, 0, 0]),
            (libc::SYS_mkdir, [1, special, 0, 0, 0, 0]),
            (libc::SYS_mkdirat, [3, 1, special, 0, 0, 0]),
        ] {
            assert!(!is_allowed(ALL, call, arguments), "{call} {special:o}");
            let plain = arguments.map(|one| if one == special { 0o777 } else { one });
            assert!(is_allowed(ALL, call, plain), "{call}");
        }
        // The mode is unused where the call creates nothing.
        assert!(is_allowed(ALL, libc::SYS_openat, [3, 1, 0, special, 0, 0]));
        assert!(is_allowed(ALL, libc::SYS_open, [1, dir, special, 0, 0, 0]));
    }
    assert_eq!(
        answered(ALL, libc::SYS_openat2, [0; 6]),
        libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32
    );
    for (flags, allowed) in [(0, true), (1, true), (2, true), (4, false), (5, false)] {
        let arguments = [3, 1, 3, 1, flags, 0];
        assert_eq!(is_allowed(ALL, libc::SYS_renameat2, arguments), allowed, "{flags}");
    }
}

#[test]
fn clone_without_shared_thread_flags_is_denied() {
    let thread = 0x3d_0f00u64;
    let clone = |flags: u64| is_allowed(ALL, libc::SYS_clone, [flags, 1, 0, 0, 0, 0]);
    // As glibc, musl and Go make them.
    for flags in [thread, 0x7d_0f00, 0x5_0f00] {
        assert!(clone(flags), "{flags:#x}");
    }
    let needed = [
        libc::CLONE_VM,
        libc::CLONE_FS,
        libc::CLONE_FILES,
        libc::CLONE_SIGHAND,
        libc::CLONE_THREAD,
        libc::CLONE_SYSVSEM,
    ];
    for flag in needed {
        assert!(!clone(thread & !(flag as u64)), "without {flag:#x}");
    }
    for bit in (0..32).map(|bit| 1u64 << bit).filter(|bit| thread & bit == 0) {
        let known = bit & u64::from(OF_THREAD) != 0;
        assert_eq!(clone(thread | bit), known, "{bit:#x}");
    }
    assert!(is_allowed(ALL, libc::SYS_close_range, [3, 9, 4, 0, 0, 0]));
    assert!(!is_allowed(ALL, libc::SYS_close_range, [3, 9, 2, 0, 0, 0]));
    assert!(!is_allowed(ALL, libc::SYS_close_range, [3, 9, 6, 0, 0, 0]));
}

#[test]
fn sigkill_and_stop_signals_to_self_are_denied() {
    for signal in 0..=64 {
        let allowed = !matches!(signal, 9 | 19..=22);
        let kill = is_allowed(ALL, libc::SYS_kill, [77, signal, 0, 0, 0, 0]);
        let tgkill = is_allowed(ALL, libc::SYS_tgkill, [77, 78, signal, 0, 0, 0]);
        assert_eq!((kill, tgkill), (allowed, allowed), "{signal}");
    }
    // The filter ignores the bits that the kernel ignores.
    assert!(!is_allowed(ALL, libc::SYS_kill, [77, 1 << 32 | 9, 0, 0, 0, 0]));
    for call in [
        libc::SYS_tkill,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_rt_tgsigqueueinfo,
        libc::SYS_pidfd_send_signal,
        libc::SYS_timer_create,
    ] {
        assert!(!is_allowed(ALL, call, [77, 6, 0, 0, 0, 0]), "{call}");
    }
}

#[test]
fn memory_calls_visible_to_other_processes_are_denied() {
    let advice = |advice| is_allowed(ALL, libc::SYS_madvise, [0, 4096, advice, 0, 0, 0]);
    // Removal, merging, poison, paging out, collapsing.
    for refused in [5, 6, 7, 9, 12, 13, 20, 21, 25, 100, 101, 1 << 32 | 12] {
        assert!(!advice(refused), "{refused}");
    }
    for allowed in [0, 1, 2, 3, 4, 8, 10, 11, 14, 15, 16, 18, 19, 102, 103] {
        assert!(advice(allowed), "{allowed}");
    }
    assert!(is_allowed(ALL, libc::SYS_mmap, [0, 4096, 3, 0x22, u64::MAX, 0]));
    assert!(!is_allowed(ALL, libc::SYS_mmap, [0, 4096, 3, 0x4_0022, u64::MAX, 0]));
    assert!(is_allowed(ALL, libc::SYS_fallocate, [3, 0, 0, 1, 0, 0]));
    assert!(!is_allowed(ALL, libc::SYS_fallocate, [3, 1, 0, 1, 0, 0]));
    for call in [libc::SYS_memfd_create, libc::SYS_memfd_secret] {
        let answer = answered(ALL, call, [1, 0, 0, 0, 0, 0]);
        assert_eq!(answer, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32, "{call}");
    }
    assert!(!is_allowed(ALL, libc::SYS_prctl, [67, 1, 0, 0, 0, 0]));
}

#[test]
fn socket_options_are_limited_to_client_options() {
    let program = filter(ALL, 77);
    let set = |level: i32, option: i32| {
        let arguments = [3, level as u64, option as u64, 0, 4, 0];
        let given = answer(&program, HERE, libc::SYS_setsockopt as u32, arguments);
        given == libc::SECCOMP_RET_ALLOW
    };
    let (tcp, ip, ipv6) = (libc::IPPROTO_TCP, libc::IPPROTO_IP, libc::IPPROTO_IPV6);
    for (level, option) in [
        (tcp, libc::TCP_NODELAY),
        (tcp, libc::TCP_KEEPIDLE),
        (tcp, libc::TCP_USER_TIMEOUT),
        (ip, libc::IP_TOS),
        (ipv6, libc::IPV6_V6ONLY),
        (libc::SOL_SOCKET, libc::SO_KEEPALIVE),
    ] {
        assert!(set(level, option), "{level} {option}");
    }
    let allowed = (-1..300).flat_map(|level| (0..300).map(move |option| (level, option)));
    let allowed = allowed.filter(|(level, option)| set(*level, *option)).count();
    let listed: usize = OPTIONS.iter().map(|(_, options)| options.len()).sum();
    assert_eq!(allowed, listed);
    for (level, option) in [
        (libc::SOL_SOCKET, libc::SO_LINGER),
        (libc::SOL_SOCKET, libc::SO_REUSEPORT),
        (libc::SOL_SOCKET, libc::SO_BINDTODEVICE),
        (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER),
        (tcp, libc::TCP_ULP),
        (tcp, libc::TCP_REPAIR),
        (tcp, libc::TCP_MD5SIG),
        (tcp, libc::TCP_CONGESTION),
        (ip, libc::IP_OPTIONS),
        (ip, libc::IP_TRANSPARENT),
        (ip, libc::IP_ADD_MEMBERSHIP),
        (ip, 64),
        (ipv6, 64),
        (libc::IPPROTO_UDP, 100),
    ] {
        assert!(!set(level, option), "{level} {option}");
    }
}

#[test]
fn sendmsg_without_connection_grant_is_denied() {
    let message = [3, 1, 0, 0, 0, 0];
    let nothing = Reach::default();
    assert!(!is_allowed(nothing, libc::SYS_sendmsg, message));
    assert!(is_allowed(Reach { network: true, ..nothing }, libc::SYS_sendmsg, message));
    assert!(is_allowed(Reach { bus: true, ..nothing }, libc::SYS_sendmsg, message));
    assert!(!is_allowed(ALL, libc::SYS_sendmmsg, message));
    assert!(!is_allowed(ALL, libc::SYS_recvmmsg, message));
}

#[test]
fn seccomp_filter_has_fewer_than_700_instructions() {
    // The kernel walks through the filter once for each possible call number.
    let longest = filter(ALL, 77).len();
    assert!(longest < 700, "{longest} instructions");
}

#[test]
fn read_only_open_with_truncate_is_denied() {
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
