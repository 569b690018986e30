/* Reads what /proc tells of another process, or of the machine: `what:pid`. Asks the kernel for
 * another one's processor time, group, session, priority. */
#include "hostile.h"

static const char *attempt(const char *what, const char *target) {
    char path[128];
    int pid = atoi(target);
    struct timespec time;
    if (same(what, "clock")) return outcome(clock_gettime(~pid * 8 | 2, &time));
    if (same(what, "resolution")) return outcome(clock_getres(~pid * 8 | 2, &time));
    if (same(what, "group")) return outcome(getpgid(pid));
    if (same(what, "session")) return outcome(getsid(pid));
    if (same(what, "priority")) return outcome(syscall(SYS_getpriority, 0, pid));
    snprintf(path, sizeof path, "/proc/%s/%s", target, what);
    if (same(what, "exe") || same(what, "cwd"))
        return outcome(readlink(path, found, sizeof found - 1));
    if (same(what, "fd")) return outcome(open(path, O_RDONLY | O_DIRECTORY));
    if (same(what, "all")) return outcome(open("/proc", O_RDONLY | O_DIRECTORY));
    if (same(what, "sockets")) return outcome(open("/proc/self/net/unix", O_RDONLY));
    int file = open(path, O_RDONLY);
    if (file < 0) return outcome(-1);
    return outcome(read(file, found, 1));
}
