/* Reads what /proc tells of another process, or of the machine: `what:pid`. */
#include "zoo.h"

static const char *attempt(const char *what, const char *target) {
    char path[128];
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
