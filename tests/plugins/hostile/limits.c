/* Raises its own limits, or gives itself back what the sandbox took. */
#include "hostile.h"

static const char *raise_limit(int resource) {
    struct rlimit now;
    if (getrlimit(resource, &now) < 0) return outcome(-1);
    now.rlim_cur = now.rlim_max == RLIM_INFINITY ? RLIM_INFINITY : now.rlim_max + 1;
    now.rlim_max = now.rlim_cur;
    return outcome(setrlimit(resource, &now));
}

static const char *attempt(const char *what, const char *target) {
    struct rlimit all = {4096, 4096};
    (void)target;
    if (same(what, "memory")) return raise_limit(RLIMIT_AS);
    if (same(what, "data")) return raise_limit(RLIMIT_DATA);
    if (same(what, "descriptors")) return raise_limit(RLIMIT_NOFILE);
    if (same(what, "file")) return raise_limit(RLIMIT_FSIZE);
    if (same(what, "core")) return raise_limit(RLIMIT_CORE);
    if (same(what, "prlimit")) return outcome(prlimit(0, RLIMIT_STACK, &all, NULL));
    if (same(what, "dumpable")) return outcome(prctl(PR_SET_DUMPABLE, 1));
    if (same(what, "tracer")) return outcome(prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY));
    if (same(what, "outlives")) return outcome(prctl(PR_SET_PDEATHSIG, 0));
    if (same(what, "oom")) {
        int file = open("/proc/self/oom_score_adj", O_WRONLY);
        return file < 0 ? outcome(-1) : outcome(write(file, "0", 1));
    }
    return "unknown";
}
