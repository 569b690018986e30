/* Looks for descriptors that somebody left open: what is there beside the three that every
 * process has, the connection to its host, and its own file. */
#include "hostile.h"

static const char *attempt(const char *what, const char *target) {
    int count = 0;
    (void)what, (void)target;
    for (int at = 3; at < 1024; at++) count += fcntl(at, F_GETFD) >= 0;
    return count <= 2 ? "nothing" : (snprintf(found, sizeof found, "%d of them", count), found);
}
