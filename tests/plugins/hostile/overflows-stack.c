/* Calls itself for ever. */
#include "hostile.h"

static volatile int depth;

#pragma GCC diagnostic ignored "-Winfinite-recursion"
__attribute__((noinline)) static int deeper(volatile char *above) {
    volatile char here[4096];
    here[0] = above ? above[0] : 0;
    depth++;
    return deeper(here) + here[0];
}

static const char *attempt(const char *what, const char *target) {
    (void)what, (void)target;
    return deeper(NULL) ? "done" : "never";
}
