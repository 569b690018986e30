/* Talks to somebody: `tcp:PORT`, `unix:PATH`, `abstract:NAME` and so on. */
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "hostile.h"

static struct sockaddr_in loopback(const char *port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return to;
}

static struct sockaddr_un named(const char *name, int abstract, socklen_t *size) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    if (length > sizeof to.sun_path - 2) length = sizeof to.sun_path - 2;
    memcpy(to.sun_path + abstract, name, length);
    *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + abstract + length + !abstract);
    return to;
}

static const char *local(const char *what, const char *target) {
    socklen_t size;
    struct sockaddr_un to = named(target, same(what, "abstract"), &size);
    int pair[2] = {-1, -1};
    if (same(what, "pair-datagram")) { /* a pair can send to whom it likes */
        if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0) return outcome(-1);
        return outcome(sendto(pair[0], "hostile", 3, 0, (struct sockaddr *)&to, size));
    }
    if (same(what, "pair-message")) {
        struct msghdr message = {.msg_name = &to, .msg_namelen = size};
        message.msg_iov = &(struct iovec){"hostile", 3};
        message.msg_iovlen = 1;
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) return outcome(-1);
        return outcome(sendmsg(pair[0], &message, MSG_NOSIGNAL));
    }
    if (same(what, "squat")) { /* a name that others may want */
        to = named(target, 1, &size);
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) return outcome(-1);
        return outcome(bind(pair[0], (struct sockaddr *)&to, size));
    }
    if (same(what, "pair-again")) { /* the half of a pair that has lost the other */
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) return outcome(-1);
        close(pair[1]);
        return outcome(connect(pair[0], (struct sockaddr *)&to, size));
    }
    if (same(what, "host-again")) /* its connection to the host */
        return outcome(connect(connection(), (struct sockaddr *)&to, size));
    pair[0] = socket(AF_UNIX, same(what, "unix-datagram") ? SOCK_DGRAM : SOCK_STREAM, 0);
    if (pair[0] < 0) return outcome(-1);
    return outcome(connect(pair[0], (struct sockaddr *)&to, size));
}

static const char *listens(int type, int family) {
    struct sockaddr_in at = loopback("0");
    int one = socket(family, type, 0);
    if (one < 0 || bind(one, (struct sockaddr *)&at, sizeof at) < 0) return outcome(-1);
    return outcome(listen(one, 1));
}

static const char *attempt(const char *what, const char *target) {
    struct sockaddr_in to = loopback(target);
    int one;
    if (same(what, "tcp") || same(what, "fast-open") || same(what, "multipath")) {
        one = socket(AF_INET, SOCK_STREAM, same(what, "multipath") ? 262 : 0);
        if (one < 0) return outcome(-1);
        if (same(what, "fast-open"))
            return outcome(sendto(one, "hostile", 3, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof to));
        return outcome(connect(one, (struct sockaddr *)&to, sizeof to));
    }
    if (same(what, "udp")) {
        one = socket(AF_INET, SOCK_DGRAM, 0);
        if (one < 0) return outcome(-1);
        return outcome(sendto(one, "hostile", 3, 0, (struct sockaddr *)&to, sizeof to));
    }
    if (same(what, "resolve")) {
        struct addrinfo *found_addresses;
        int failure = getaddrinfo(target, "80", NULL, &found_addresses);
        return failure ? gai_strerror(failure) : "done";
    }
    if (same(what, "listen")) return listens(SOCK_STREAM, AF_INET);
    if (same(what, "raw")) return outcome(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    if (same(what, "family")) return outcome(socket(atoi(target), SOCK_RAW, 0));
    if (same(what, "stream-of")) return outcome(socket(atoi(target), SOCK_STREAM, 0));
    if (same(what, "sequence-of")) return outcome(socket(atoi(target), SOCK_SEQPACKET, 0));
    if (same(what, "audit")) return outcome(socket(AF_NETLINK, SOCK_RAW, 9));
    return local(what, target);
}
