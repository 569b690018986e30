/* Makes processes: so many, or until one is refused. Those of a bomb stay; a single one is
 * waited for. */
#include <spawn.h>

#include "hostile.h"

static long one(const char *what, int stays) {
    char *none[] = {"true", NULL};
    pid_t pid = -1;
    if (same(what, "vfork")) return vfork() ?: (_exit(0), 0);
    if (same(what, "posix_spawn")) {
        errno = posix_spawn(&pid, "/bin/true", NULL, NULL, none, none);
        return errno ? -1 : pid;
    }
    if (same(what, "fork"))
        pid = fork();
    else if (same(what, "clone"))
        pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    else if (same(what, "beside")) /* the host's child, and not its own */
        pid = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
    else if (same(what, "clone3")) {
        uint64_t arguments[11] = {[4] = SIGCHLD};
        pid = (pid_t)syscall(SYS_clone3, arguments, sizeof arguments);
    }
    if (pid == 0) {
        if (stays) pause();
        _exit(0);
    }
    return pid;
}

static const char *attempt(const char *what, const char *target) {
    int count = atoi(target);
    for (int at = 0; at < count; at++) {
        long pid = one(what, count > 1);
        if (pid < 0) return outcome(pid);
        if (count == 1) waitpid((pid_t)pid, NULL, 0);
    }
    return "done";
}
