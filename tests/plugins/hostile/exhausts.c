/* Takes of what the user or the machine has one of for all: so many. */
#include <pthread.h>

#include "hostile.h"

static int made[1 << 14];

/* Opens pipes for ever, in a table of descriptors of its own where it can have one. */
static int opens(void *most) {
    for (int count = 0; count < *(int *)most; count++)
        if (open("/dev/null", O_RDONLY) < 0) return outcome(-1), 0;
    return 0;
}

static const char *thread_apart(int flags, int count) {
    static char stack[1 << 16];
    static int most;
    most = count;
    return outcome(clone(opens, stack + sizeof stack, flags | CLONE_VM | CLONE_SIGHAND | CLONE_THREAD,
                         &most));
}

/* Descriptors in messages that nobody takes. */
static const char *in_flight(int count) {
    static union { struct cmsghdr head; char space[CMSG_SPACE(100 * sizeof(int))]; } control;
    struct msghdr message = {.msg_iov = &(struct iovec){"hostile", 3}, .msg_iovlen = 1,
                             .msg_control = &control, .msg_controllen = sizeof control};
    int pair[2];
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(100 * sizeof(int)); /* of standard input, all of them */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0) return outcome(-1);
    const char *answer = "done";
    for (int sent = 0; sent < count; sent += 100)
        if (sendmsg(pair[0], &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
            answer = outcome(-1);
            break;
        }
    close(pair[0]), close(pair[1]);
    return answer;
}

static const char *signals(int count) {
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGRTMIN);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    for (int at = 0; at < count; at++)
        if (syscall(SYS_tgkill, getpid(), gettid(), SIGRTMIN) < 0) return outcome(-1);
    return "done";
}

static const char *timers(int count) {
    struct sigevent none = {.sigev_notify = SIGEV_NONE};
    for (int at = 0; at < count; at++)
        if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &none, &made[at & 0x3fff]) < 0)
            return outcome(-1);
    return "done";
}

/* Addresses in pieces that no limit of writable memory counts: they are made read-only again. */
static const char *pieces(int count) {
    size_t size = 64ul << 20;
    for (int at = 0; at < count; at += 64) {
        char *piece = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (piece == MAP_FAILED || mprotect(piece, size, PROT_READ) < 0) return outcome(-1);
    }
    return "done";
}

static const char *attempt(const char *what, const char *target) {
    int count = atoi(target), pair[2];
    size_t size = (size_t)count << 20;
    if (same(what, "own-table")) return thread_apart(CLONE_FS | CLONE_SYSVSEM, count);
    if (same(what, "own-folder")) return thread_apart(CLONE_FILES | CLONE_SYSVSEM, count);
    if (same(what, "unshared")) return outcome(syscall(SYS_close_range, 1000, 1000, 2));
    if (same(what, "in-flight")) return in_flight(count);
    if (same(what, "signals")) return signals(count);
    if (same(what, "timers")) return timers(count);
    if (same(what, "pieces")) return pieces(count);
    if (same(what, "locked")) {
        char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        const char *answer = memory == MAP_FAILED ? outcome(-1) : outcome(mlock(memory, size));
        if (memory != MAP_FAILED) munmap(memory, size);
        return answer;
    }
    if (same(what, "secret")) return outcome(syscall(SYS_memfd_secret, 0));
    if (same(what, "huge")) { /* of pages that the machine has set aside */
        char *memory = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
        return memory == MAP_FAILED ? outcome(-1) : "done";
    }
    if (same(what, "pipe")) {
        if (pipe(pair) < 0) return outcome(-1);
        return outcome(fcntl(pair[0], F_SETPIPE_SZ, count << 10));
    }
    if (same(what, "merge")) { /* with pages of others, whose times tell what is in them */
        char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) return outcome(-1);
        return outcome(madvise(memory, 4096, MADV_MERGEABLE));
    }
    if (same(what, "merge-all")) return outcome(prctl(67, 1, 0, 0, 0));
    if (same(what, "poison")) return outcome(madvise(NULL, 4096, 101));
    return "unknown";
}
