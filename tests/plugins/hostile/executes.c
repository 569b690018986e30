/* Becomes another program: it would print and end well. */
#include "hostile.h"

static const char *attempt(const char *what, const char *target) {
    char *arguments[] = {"echo", "hostile", NULL}, *none[] = {NULL};
    (void)target;
    if (same(what, "execve")) return outcome(execve("/bin/echo", arguments, none));
    if (same(what, "execveat"))
        return outcome(syscall(SYS_execveat, AT_FDCWD, "/bin/echo", arguments, none, 0));
    if (same(what, "system")) return system("true") == 0 ? "done" : "not run";
    if (same(what, "memfd")) { /* a program of its own, that is in no file */
        int memfd = memfd_create("hostile", 0);
        if (memfd < 0 || write(memfd, "#!/bin/echo\n", 12) < 0) return outcome(-1);
        return outcome(fexecve(memfd, arguments, none));
    }
    return "unknown";
}
