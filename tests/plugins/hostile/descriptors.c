/* Opens descriptors until it gets no more, or has so many; then it lets go of them. */
#include "hostile.h"

static const char *attempt(const char *what, const char *target) {
    static int kept[8192];
    int count = 0, most = atoi(target);
    const char *answer = "done";
    while (count < most) {
        int pair[2];
        long made = same(what, "memfd")    ? (pair[0] = memfd_create("hostile", 0))
                    : same(what, "socket") ? socketpair(AF_UNIX, SOCK_STREAM, 0, pair)
                                           : pipe(pair);
        if (made < 0) {
            answer = outcome(-1);
            break;
        }
        kept[count++] = pair[0];
        if (!same(what, "memfd")) kept[count++] = pair[1];
    }
    while (count) close(kept[--count]);
    return answer;
}
