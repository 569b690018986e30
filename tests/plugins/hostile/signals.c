/* Sends a signal to another process, or what ends it to its own: `what:pid`. */
#include "hostile.h"

/* Has the kernel send it, when something can be read. */
static const char *by_owner(pid_t pid) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) return outcome(-1);
    if (fcntl(pair[0], F_SETSIG, SIGKILL) < 0 || fcntl(pair[0], F_SETOWN, pid) < 0)
        return outcome(-1);
    if (fcntl(pair[0], F_SETFL, O_ASYNC) < 0) return outcome(-1);
    return outcome(write(pair[1], "x", 1));
}

/* To itself, as nobody but others can: such an end is not the plugin's. */
static const char *to_itself(const char *what, int signal) {
    siginfo_t info = {.si_signo = signal, .si_code = SI_QUEUE};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = signal};
    struct itimerspec soon = {.it_value = {0, 1}};
    timer_t timer;
    pid_t pid = getpid();
    if (same(what, "own-kill")) return outcome(kill(pid, signal));
    if (same(what, "own-tkill")) return outcome(syscall(SYS_tkill, gettid(), signal));
    if (same(what, "own-tgkill")) return outcome(syscall(SYS_tgkill, pid, gettid(), signal));
    if (same(what, "own-queue")) return outcome(syscall(SYS_rt_sigqueueinfo, pid, signal, &info));
    if (same(what, "own-thread"))
        return outcome(syscall(SYS_rt_tgsigqueueinfo, pid, gettid(), signal, &info));
    if (same(what, "own-pidfd")) {
        int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        return outcome(syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
    }
    if (same(what, "own-timer")) {
        if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0) return outcome(-1);
        return timer_settime(timer, 0, &soon, NULL) < 0 ? outcome(-1) : (pause(), "done");
    }
    if (same(what, "own-parent")) return outcome(prctl(PR_SET_PDEATHSIG, signal));
    if (same(what, "own-strict")) return prctl(PR_SET_SECCOMP, 1) < 0 ? outcome(-1) : "done";
    return "unknown";
}

static const char *attempt(const char *what, const char *target) {
    pid_t pid = atoi(target);
    if (!strncmp(what, "own-", 4)) return to_itself(what, atoi(target));
    siginfo_t info = {.si_signo = SIGKILL, .si_code = SI_QUEUE};
    if (same(what, "kill")) return outcome(kill(pid, SIGKILL));
    if (same(what, "tkill")) return outcome(syscall(SYS_tkill, pid, SIGKILL));
    if (same(what, "tgkill")) return outcome(syscall(SYS_tgkill, pid, pid, SIGKILL));
    if (same(what, "queue")) return outcome(syscall(SYS_rt_sigqueueinfo, pid, SIGKILL, &info));
    if (same(what, "pidfd")) {
        int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        return outcome(syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0));
    }
    if (same(what, "owner")) return by_owner(pid);
    /* These reach more than one, with a signal that nobody minds. */
    if (same(what, "everybody")) return outcome(kill(-1, SIGURG));
    if (same(what, "group")) return outcome(kill(0, SIGURG));
    if (same(what, "parent")) return outcome(kill(getppid(), SIGURG));
    if (same(what, "setpgid")) return outcome(setpgid(0, pid));
    if (same(what, "setsid")) return outcome(setsid());
    return "unknown";
}
