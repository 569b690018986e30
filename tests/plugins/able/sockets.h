/* Connects to Unix sockets in all the ways that a program can, and in those that an attack would. */
#include <poll.h>
#include <stdatomic.h>

static struct sockaddr_un socket_at(const char *path) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    return to;
}

static int unix_socket(int type) { return socket(AF_UNIX, type | SOCK_CLOEXEC, 0); }

static int connect_to(int one, const char *path) {
    struct sockaddr_un to = socket_at(path);
    return connect(one, (struct sockaddr *)&to, sizeof to);
}

/* Reads what whoever listens greets with. */
static const char *greeted(const char *path, int type) {
    int one = unix_socket(type);
    if (one < 0 || connect_to(one, path) < 0) return outcome(-1);
    return read_from(one);
}

/* As an event loop does it: it never waits for the connection, and not to read. */
static const char *nonblocking(const char *path, int at_once) {
    int one = unix_socket(SOCK_STREAM | (at_once ? SOCK_NONBLOCK : 0));
    struct pollfd ready = {.fd = one, .events = POLLIN};
    struct timeval second = {.tv_sec = 7}, kept = {0};
    socklen_t size = sizeof kept;
    if (one < 0) return outcome(-1);
    if (!at_once && fcntl(one, F_SETFL, O_NONBLOCK) < 0) return outcome(-1);
    if (setsockopt(one, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second) < 0) return outcome(-1);
    if (connect_to(one, path) < 0) return outcome(-1);
    if (!(fcntl(one, F_GETFL) & O_NONBLOCK)) return "blocking";
    if (getsockopt(one, SOL_SOCKET, SO_RCVTIMEO, &kept, &size) < 0) return outcome(-1);
    if (kept.tv_sec != 7) return "no timeout";
    if (poll(&ready, 1, 10000) != 1) return "nothing";
    return read_from(one);
}

static const char *abstract(const char *name) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int one = unix_socket(SOCK_STREAM);
    size_t size = strlen(name);
    if (size > sizeof to.sun_path - 1) return "too long";
    memcpy(to.sun_path + 1, name, size);
    size += offsetof(struct sockaddr_un, sun_path) + 1;
    if (one < 0 || connect(one, (struct sockaddr *)&to, (socklen_t)size) < 0) return outcome(-1);
    return read_from(one);
}

/* Sends without connecting, from every sort of socket that there is. */
static const char *sends(const char *path) {
    struct sockaddr_un to = socket_at(path);
    struct iovec text = {"hello", 5};
    struct msghdr message = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &text, .msg_iovlen = 1};
    int types[] = {SOCK_STREAM, SOCK_SEQPACKET}, pair[2];
    int one = unix_socket(SOCK_STREAM);
    if (unix_socket(SOCK_DGRAM) >= 0 || unix_socket(SOCK_SEQPACKET) >= 0) return "made";
    if (one < 0) return outcome(-1);
    if (sendto(one, "hello", 5, MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof to) >= 0) return "sent";
    if (sendmsg(one, &message, MSG_NOSIGNAL) >= 0) return "sent";
    for (int at = 0; at < 2; at++) {
        if (socketpair(AF_UNIX, types[at], 0, pair) < 0) return outcome(-1);
        if (sendto(pair[0], "hello", 5, MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof to) >= 0) return "sent";
        close(pair[1]);
        if (connect_to(pair[0], path) >= 0) return "connected";
        close(pair[0]);
    }
    return "refused";
}

/* Connects one socket to the first, and then to the second: `FIRST;;SECOND`. */
static const char *goes_on(const char *first, const char *second) {
    int one = unix_socket(SOCK_STREAM);
    if (one < 0 || connect_to(one, first) < 0) return outcome(-1);
    shutdown(one, SHUT_RDWR);
    if (connect_to(one, second) == 0) return read_from(one);
    return outcome(-1);
}

/* A copy of a socket that is not connected yet, and the number of one that is closed. */
static const char *copies(const char *path) {
    int one = unix_socket(SOCK_STREAM), copy = dup(one);
    if (one < 0 || copy < 0) return outcome(-1);
    if (connect_to(copy, path) == 0) return read_from(copy);
    return outcome(-1);
}

/* By a descriptor of the socket, which is opened to be no more than a place. */
static const char *by_descriptor(const char *path) {
    char name[64];
    int place = open(path, O_PATH | O_CLOEXEC);
    if (place < 0) return outcome(-1);
    snprintf(name, sizeof name, "/proc/self/fd/%d", place);
    return greeted(name, SOCK_STREAM);
}

static struct sockaddr_storage flipped;
static atomic_int stop;

struct flip {
    struct sockaddr_storage addresses[2];
};

/* Writes one address over the other, again and again. */
static void *flips(void *own) {
    struct flip *flip = own;
    for (unsigned at = 0; !atomic_load(&stop); at++) {
        memcpy(&flipped, &flip->addresses[at & 1], sizeof flipped);
        atomic_signal_fence(memory_order_seq_cst);
    }
    return NULL;
}

/* Connects while another thread writes over the address, and counts who answers: `FIRST;;SECOND`, a
 * path or, with the network, a port. */
static const char *races(const char *first, const char *second) {
    struct flip flip = {0};
    struct sockaddr_un to = socket_at(second);
    struct sockaddr_in port = {.sin_family = AF_INET};
    pthread_t thread;
    struct timespec begun;
    int counts[3] = {0};
    memcpy(&flip.addresses[1], &to, sizeof to);
    to = socket_at(first);
    memcpy(&flip.addresses[0], &to, sizeof to);
    if (first[0] != '/') {
        memset(&flip.addresses[0], 0, sizeof flip.addresses[0]);
        port.sin_port = htons((uint16_t)atoi(first));
        port.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        memcpy(&flip.addresses[0], &port, sizeof port);
    }
    memcpy(&flipped, &flip.addresses[0], sizeof flipped);
    atomic_store(&stop, 0);
    if (pthread_create(&thread, NULL, flips, &flip)) return "no thread";
    clock_gettime(CLOCK_MONOTONIC, &begun);
    for (int round = 0; round < 3000; round++) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (round >= 200 && now.tv_sec - begun.tv_sec > 2) break;
        int one = unix_socket(SOCK_STREAM);
        const char *said;
        if (one < 0) return outcome(-1);
        if (connect(one, (struct sockaddr *)&flipped, sizeof(struct sockaddr_un)) < 0) {
            counts[2]++;
            close(one);
            continue;
        }
        said = read_from(one);
        counts[same(said, "granted") ? 0 : 1]++;
    }
    atomic_store(&stop, 1);
    pthread_join(thread, NULL);
    snprintf(found, sizeof found, "%s, %s, %d others", counts[0] ? "granted" : "none",
             counts[2] ? "refused" : "never refused", counts[1]);
    return found;
}

/* Makes more of them than it may have descriptors. */
static const char *exhausts(const char *path) {
    int all[300], count = 0;
    while (count < 300 && (all[count] = unix_socket(SOCK_STREAM)) >= 0) count++;
    if (count == 300) return "no end";
    while (count > 0) close(all[--count]);
    return greeted(path, SOCK_STREAM);
}

/* What of its descriptors leads to the host's answers, or to memory. */
static const char *holds(void) {
    char name[64], target[256];
    for (int at = 0; at < 256; at++) {
        ssize_t size;
        snprintf(name, sizeof name, "/proc/self/fd/%d", at);
        size = readlink(name, target, sizeof target - 1);
        if (size < 0) continue;
        target[size] = 0;
        if (strstr(target, "seccomp") || strstr(target, "/mem")) return strcpy(found, target);
    }
    return "none";
}

static const char *of_sockets(const char *what, const char *target) {
    char first[1100];
    const char *second = strstr(target, ";;");
    snprintf(first, sizeof first, "%.*s", second ? (int)(second - target) : 0, target);
    if (second) second += 2;
    if (same(what, "stream")) return greeted(target, SOCK_STREAM);
    if (same(what, "datagram")) return greeted(target, SOCK_DGRAM);
    if (same(what, "packets")) return greeted(target, SOCK_SEQPACKET);
    if (same(what, "nonblocking")) return nonblocking(target, 1);
    if (same(what, "nonblocking-later")) return nonblocking(target, 0);
    if (same(what, "abstract")) return abstract(target);
    if (same(what, "send")) return sends(target);
    if (same(what, "copy")) return copies(target);
    if (same(what, "by-descriptor")) return by_descriptor(target);
    if (same(what, "exhaust")) return exhausts(target);
    if (same(what, "hold")) return holds();
    if (same(what, "seen")) {
        struct stat there;
        return outcome(stat(target, &there) == 0 && S_ISSOCK(there.st_mode) ? 0 : -1);
    }
    if (same(what, "go-on") && second) return goes_on(first, second);
    if (same(what, "race") && second) return races(first, second);
    return NULL;
}
