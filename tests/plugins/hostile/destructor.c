/* Answers well, and misbehaves when its process ends: it ends it in its own way, or not at all. */
#include "hostile.h"

static const char *last = "";

__attribute__((destructor)) static void misbehave(void) {
    if (same(last, "hang")) pause();
    if (same(last, "exit")) _exit(9);
}

static const char *attempt(const char *what, const char *target) {
    (void)target;
    last = same(what, "hang") ? "hang" : same(what, "exit") ? "exit" : "";
    return "done";
}
