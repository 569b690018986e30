/* Changes how another process runs: `what:pid`. */
#include "hostile.h"

static const char *attempt(const char *what, const char *target) {
    pid_t pid = atoi(target);
    struct sched_param idle = {0};
    struct rlimit few = {64, 64};
    cpu_set_t one;
    char path[64];
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    if (same(what, "priority")) return outcome(setpriority(PRIO_PROCESS, (id_t)pid, 19));
    if (same(what, "user")) return outcome(setpriority(PRIO_USER, getuid(), 0));
    if (same(what, "processors")) return outcome(sched_setaffinity(pid, sizeof one, &one));
    if (same(what, "scheduler")) return outcome(sched_setscheduler(pid, SCHED_IDLE, &idle));
    if (same(what, "disk")) return outcome(syscall(SYS_ioprio_set, 1, pid, 3 << 13));
    if (same(what, "limits")) return outcome(prlimit(pid, RLIMIT_NOFILE, &few, NULL));
    if (same(what, "pages")) {
        unsigned long nodes = 1;
        return outcome(syscall(SYS_migrate_pages, pid, 64, &nodes, &nodes));
    }
    if (same(what, "oom")) {
        snprintf(path, sizeof path, "/proc/%d/oom_score_adj", pid);
        int file = open(path, O_WRONLY);
        return file < 0 ? outcome(-1) : outcome(write(file, "1000", 4));
    }
    return "unknown";
}
