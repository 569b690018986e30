/* Puts a link to somebody else's folder where it was granted a second folder, so that the next
 * process would be granted what the link leads to: `put:PATH`, then `read:NAME`. */
#define PERMISSIONS ",\"files:{folder}/sub/:rw\""
#include "hostile.h"

static const char *attempt(const char *what, const char *target) {
    char path[1300];
    if (same(what, "put")) {
        if (rmdir(own("sub")) < 0) return outcome(-1);
        return outcome(symlink(target, own("sub")));
    }
    snprintf(path, sizeof path, "%s/%s", own("sub"), target);
    return read_from(open(path, O_RDONLY));
}
