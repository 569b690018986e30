/* With the network granted: wants to hear from strangers, by each socket that could be sent to
 * without a server: `FAMILY.TYPE.PROTOCOL`. */
#define PERMISSIONS ",\"network\""
#include <netinet/in.h>

#include "hostile.h"

/* A stranger, who sends to a port of this machine. */
static long tell(int family, int type, int protocol, struct sockaddr_storage *to, socklen_t size) {
    int stranger = socket(family, type, protocol);
    if (stranger < 0) return -1;
    if (family == AF_INET)
        ((struct sockaddr_in *)to)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        ((struct sockaddr_in6 *)to)->sin6_addr = in6addr_loopback;
    return sendto(stranger, "hostile", 3, 0, (struct sockaddr *)to, size);
}

static const char *attempt(const char *what, const char *target) {
    struct sockaddr_storage at = {0};
    socklen_t size = sizeof at;
    struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_port = htons(9)};
    int family, type, protocol, one;
    if (sscanf(target, "%d.%d.%d", &family, &type, &protocol) != 3) return "unknown";
    one = socket(family, type, protocol);
    if (one < 0) return outcome(-1);
    nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (same(what, "write")) /* which fails, and has made it a port */
        if (write(one, "hostile", 3) >= 0) return "sent";
    if (same(what, "failed")) { /* nobody may send to all without asking for that */
        nobody.sin_addr.s_addr = htonl(INADDR_BROADCAST);
        if (connect(one, (struct sockaddr *)&nobody, sizeof nobody) >= 0) return "connected";
    }
    if (same(what, "talked")) sendto(one, "hostile", 3, 0, (struct sockaddr *)&nobody, sizeof nobody);
    if (same(what, "again")) { /* connected, let go, and used anew */
        connect(one, (struct sockaddr *)&nobody, sizeof nobody);
        nobody.sin_family = AF_UNSPEC;
        connect(one, (struct sockaddr *)&nobody, sizeof nobody);
        if (write(one, "hostile", 3) >= 0) return "sent";
    }
    if (getsockname(one, (struct sockaddr *)&at, &size) < 0) return outcome(-1);
    if (tell(family, type, protocol, &at, size) < 0) return outcome(-1);
    pass_millis(20);
    return recv(one, found, sizeof found, MSG_DONTWAIT) > 0 ? "done" : outcome(-1);
}
