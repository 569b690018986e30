/* With the network granted: sets an option of a connection, `set:LEVEL.OPTION`. */
#define PERMISSIONS ",\"network\""
#include "hostile.h"

static const char *attempt(const char *what, const char *target) {
    int level, option, on = 1, one = socket(AF_INET, SOCK_STREAM, 0);
    (void)what;
    if (sscanf(target, "%d.%d", &level, &option) != 2) return "unknown";
    if (one < 0) return outcome(-1);
    return outcome(setsockopt(one, level, option, &on, sizeof on));
}
