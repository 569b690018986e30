/* Makes system calls by the kernel's other doors, whose numbers are others: `getpid` each. */
#include "hostile.h"

static const char *attempt(const char *what, const char *target) {
    long answer;
    (void)target;
    if (same(what, "32-bit"))
        __asm__ volatile("int $0x80" : "=a"(answer) : "a"(20L) : "memory");
    else
        answer = syscall(0x40000000 | SYS_getpid);
    if (answer == getpid()) return "done";
    if (answer < -1) errno = (int)-answer;
    return outcome(-1);
}
