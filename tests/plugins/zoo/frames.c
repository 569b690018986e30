/* Speaks on the runner's own connection to the host, instead of the runner or beside it. A frame
 * is the call's number, a kind and a body. */
#include "zoo.h"

enum { READY = 1, DONE = 3, LOG = 7, EXEC = 8, APART = 0x80 };

/* What a first part has: all that there is room for. */
enum { FIRST = 65536 - 9 - 8 };

static char frame[70000];

static long send_frame(uint64_t call, int kind, size_t body) {
    memcpy(frame, &call, 8);
    frame[8] = (char)kind;
    return send(connection(), frame, 9 + body, MSG_NOSIGNAL);
}

/* With so many copies of a descriptor. */
static long send_with(int kind, int descriptor, int count) {
    static union { struct cmsghdr head; char space[CMSG_SPACE(250 * sizeof(int))]; } control;
    struct iovec packet = {frame, 9};
    struct msghdr message = {.msg_iov = &packet, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    for (int at = 0; at < count; at++)
        memcpy(CMSG_DATA(&control.head) + (size_t)at * sizeof(int), &descriptor, sizeof(int));
    memcpy(frame, &calls, 8);
    frame[8] = (char)kind;
    return sendmsg(connection(), &message, MSG_NOSIGNAL);
}

/* A part of a body, the first with how long all of it is. */
static long send_part(uint64_t call, int kind, uint64_t total, size_t size) {
    size_t at = 0;
    if (total) memcpy(frame + 9, &total, at = 8);
    memset(frame + 9 + at, 1, size);
    return send_frame(call, kind | APART, at + size);
}

static const char *attempt(const char *what, const char *target) {
    int one = connection();
    (void)target;
    if (one < 0) return "no connection";
    if (same(what, "sound")) return "done";
    if (same(what, "garbage")) return memset(frame, 0xee, 300), outcome(send(one, frame, 300, 0));
    if (same(what, "empty")) return outcome(send(one, frame, 0, 0));
    if (same(what, "short")) return outcome(send(one, frame, 5, 0));
    if (same(what, "huge")) return outcome(send_frame(calls, DONE, 66000));
    if (same(what, "damaged")) return memset(frame, 0xee, 300), outcome(send_frame(calls, DONE, 80));
    if (same(what, "greeting")) return outcome(send_frame(0, READY, 0));
    if (same(what, "other-call")) return outcome(send_frame(calls + 7, DONE, 0));
    if (same(what, "request")) return outcome(send_frame(calls, 36, 0));
    if (same(what, "log")) return outcome(send_frame(calls, LOG, 60000));
    if (same(what, "exec")) return outcome(send_frame(calls, EXEC, 60000));
    if (same(what, "descriptor")) return outcome(send_with(DONE, 0, 1));
    if (same(what, "descriptors")) return outcome(send_with(DONE, 0, 250));
    if (same(what, "endless")) return outcome(send_with(DONE | APART, open("/dev/zero", 0), 1));
    if (same(what, "too-large")) return outcome(send_part(calls, DONE, 1ul << 40, 9));
    if (same(what, "too-long"))
        return send_part(calls, DONE, 70000, FIRST), outcome(send_part(calls, DONE, 0, 5000));
    if (same(what, "empty-parts"))
        return send_part(calls, DONE, 70000, FIRST), outcome(send_part(calls, DONE, 0, 0));
    if (same(what, "small-parts")) return outcome(send_part(calls, DONE, 9, 5));
    if (same(what, "other-part"))
        return send_part(calls, DONE, 70000, FIRST), outcome(send_part(calls + 1, DONE, 0, 1));
    if (same(what, "unfinished")) return outcome(send_part(calls, DONE, 70000, FIRST));
    if (same(what, "own-connection")) return outcome(send_with(DONE | APART, one, 1));
    if (same(what, "shutdown")) return shutdown(one, SHUT_RDWR), "done";
    if (same(what, "twice")) { /* `zoo`, before the runner answers what is returned here */
        uint32_t value[] = {1, 7, 3}, nothing = 0;
        memcpy(frame + 9, value, sizeof value);
        memcpy(frame + 21, "zoo", 3);
        memcpy(frame + 24, &nothing, sizeof nothing);
        return outcome(send_frame(calls, DONE, 19));
    }
    if (same(what, "flood")) /* lines for the log, without end */
        for (;;) {
            uint32_t body[2] = {3, 0};
            memcpy(frame + 9, body, sizeof body);
            if (send_frame(calls, LOG, sizeof body) < 0) return outcome(-1);
        }
    if (same(what, "eats")) /* what the host says next */
        for (;;) recv(one, frame, sizeof frame, 0);
    return "unknown";
}
