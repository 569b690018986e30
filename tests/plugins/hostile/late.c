/* Answers late, or never: so many milliseconds. */
#include "hostile.h"

static const char *attempt(const char *what, const char *target) {
    long millis = atol(target);
    struct timespec now, start;
    if (same(what, "masked")) { /* whoever ends it must not ask */
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, NULL);
        signal(SIGTERM, SIG_IGN);
    }
    if (same(what, "stopped") && raise(SIGSTOP) != 0) return outcome(-1);
    if (same(what, "busy")) {
        clock_gettime(CLOCK_MONOTONIC, &start);
        do clock_gettime(CLOCK_MONOTONIC, &now);
        while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < millis);
        return "done";
    }
    pass_millis(millis);
    return "done";
}
