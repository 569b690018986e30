/* Writes so many MiB, of nothing, to a file in its own folder, and removes it. */
#include "hostile.h"

static const char *attempt(const char *what, const char *target) {
    int file = open(own("much"), O_WRONLY | O_CREAT, 0600);
    (void)what;
    if (file < 0) return outcome(-1);
    unlink(own("much"));
    return outcome(ftruncate(file, atol(target) << 20));
}
