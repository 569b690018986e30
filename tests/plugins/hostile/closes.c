/* Closes every descriptor of the process, or puts another over it. */
#include "hostile.h"

static const char *attempt(const char *what, const char *target) {
    int pipes[2];
    (void)target;
    if (same(what, "close_range")) return outcome(syscall(SYS_close_range, 0, ~0u, 0));
    if (same(what, "dup2") && pipe(pipes) < 0) return outcome(-1);
    for (int at = 0; at < 1024; at++) {
        if (same(what, "close")) close(at);
        if (same(what, "dup2") && fcntl(at, F_GETFD) >= 0) dup2(pipes[0], at);
    }
    return "done";
}
