/* Does its misdeed before its constructors: while the loader asks it where a function is. It has
 * no library then, and speaks to the kernel itself. OUTSIDE is a path. */
#include "hostile.h"

static long opened = 1;

static int real(void) { return 1; }

static int (*resolve(void))(void) {
    static const char path[] = OUTSIDE;
    register long flags __asm__("rdx") = O_RDONLY;
    register long mode __asm__("r10") = 0;
    __asm__ volatile("syscall"
                     : "=a"(opened)
                     : "a"(SYS_openat), "D"((long)AT_FDCWD), "S"(path), "r"(flags), "r"(mode)
                     : "rcx", "r11", "memory");
    return real;
}

int indirect(void) __attribute__((ifunc("resolve")));

static const char *attempt(const char *what, const char *target) {
    (void)what, (void)target;
    if (!indirect()) return "unknown";
    errno = (int)-opened;
    return outcome(opened < 0 ? -1 : opened);
}
