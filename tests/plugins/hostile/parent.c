/* Looks into another process, or reaches for what it has open: `what:pid`. */
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "hostile.h"

/* An address that the process has mapped. */
static unsigned long address(const char *pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/maps", pid);
    const char *map = read_from(open(path, O_RDONLY));
    unsigned long at = strtoul(map, NULL, 16);
    return at > 4096 ? at : 0x400000;
}

static const char *attempt(const char *what, const char *target) {
    pid_t pid = atoi(target);
    char path[64], byte;
    struct iovec mine = {&byte, 1}, theirs = {(void *)address(target), 1};
    int one = connection(), peer = -1;
    socklen_t size = sizeof peer;
    if (same(what, "mem")) {
        snprintf(path, sizeof path, "/proc/%d/mem", pid);
        int file = open(path, O_RDONLY);
        if (file < 0) return outcome(-1);
        return outcome(pread(file, &byte, 1, (off_t)(uintptr_t)theirs.iov_base));
    }
    if (same(what, "readv")) return outcome(process_vm_readv(pid, &mine, 1, &theirs, 1, 0));
    if (same(what, "writev")) return outcome(process_vm_writev(pid, &mine, 0, &theirs, 0, 0));
    if (same(what, "attach")) {
        long attached = ptrace(PTRACE_SEIZE, pid, NULL, NULL);
        return outcome(attached);
    }
    if (same(what, "pidfd")) return outcome(syscall(SYS_pidfd_open, pid, 0));
    if (same(what, "getfd")) {
        int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        return outcome(syscall(SYS_pidfd_getfd, pidfd, 0, 0));
    }
    if (same(what, "peer-getfd")) { /* the host, by the other end of its connection */
        if (getsockopt(one, SOL_SOCKET, 77 /* SO_PEERPIDFD */, &peer, &size) < 0)
            return outcome(-1);
        return outcome(syscall(SYS_pidfd_getfd, peer, 0, 0));
    }
    if (same(what, "compare")) return outcome(syscall(SYS_kcmp, getpid(), pid, 0, 0, 0));
    return "unknown";
}
