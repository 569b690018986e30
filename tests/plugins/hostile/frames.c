/* Speaks on the runner's own connection to the host, instead of the runner or beside it. A frame
 * is the call's number, a kind and a body. */
#include "hostile.h"

enum { READY = 1, REPLY = 3, ASK = 7, CALL = 35, APART = 0x80 };

/* Services that are asked for: the number before the request. */
enum { LOG = 1, EXEC = 2 };

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

/* Asks for a service with what is no request for it. */
static long send_ask(uint64_t call, uint32_t service, size_t body) {
    memcpy(frame + 9, &service, sizeof service);
    return send_frame(call, ASK, sizeof service + body);
}

static const char *attempt(const char *what, const char *target) {
    int one = connection();
    (void)target;
    if (one < 0) return "no connection";
    if (same(what, "sound")) return "done";
    if (same(what, "garbage")) return memset(frame, 0xee, 300), outcome(send(one, frame, 300, 0));
    if (same(what, "empty")) return outcome(send(one, frame, 0, 0));
    if (same(what, "short")) return outcome(send(one, frame, 5, 0));
    if (same(what, "huge")) return outcome(send_frame(calls, REPLY, 66000));
    if (same(what, "damaged")) return memset(frame, 0xee, 300), outcome(send_frame(calls, REPLY, 80));
    if (same(what, "greeting")) return outcome(send_frame(0, READY, 0));
    if (same(what, "other-call")) return outcome(send_frame(calls + 7, REPLY, 0));
    if (same(what, "request")) return outcome(send_frame(calls, CALL, 0));
    if (same(what, "service")) return outcome(send_ask(calls, 77, 0));
    if (same(what, "log")) return outcome(send_ask(calls, LOG, 60000));
    if (same(what, "exec")) return outcome(send_ask(calls, EXEC, 60000));
    if (same(what, "descriptor")) return outcome(send_with(REPLY, 0, 1));
    if (same(what, "descriptors")) return outcome(send_with(REPLY, 0, 250));
    if (same(what, "endless")) return outcome(send_with(REPLY | APART, open("/dev/zero", 0), 1));
    if (same(what, "too-large")) return outcome(send_part(calls, REPLY, 1ul << 40, 9));
    if (same(what, "too-long"))
        return send_part(calls, REPLY, 70000, FIRST), outcome(send_part(calls, REPLY, 0, 5000));
    if (same(what, "empty-parts"))
        return send_part(calls, REPLY, 70000, FIRST), outcome(send_part(calls, REPLY, 0, 0));
    if (same(what, "small-parts")) return outcome(send_part(calls, REPLY, 9, 5));
    if (same(what, "other-part"))
        return send_part(calls, REPLY, 70000, FIRST), outcome(send_part(calls + 1, REPLY, 0, 1));
    if (same(what, "unfinished")) return outcome(send_part(calls, REPLY, 70000, FIRST));
    if (same(what, "own-connection")) return outcome(send_with(REPLY | APART, one, 1));
    if (same(what, "shutdown")) return shutdown(one, SHUT_RDWR), "done";
    if (same(what, "twice")) { /* `hostile`, before the runner answers what is returned here */
        /* An answer: field 1, a value of kind 1, which is a text. */
        static const char answer[] = "\0\1\0\13\0\0\0\1\0\0\0\3\0\0\0zoo";
        memcpy(frame + 9, answer, sizeof answer - 1);
        return outcome(send_frame(calls, REPLY, sizeof answer - 1));
    }
    if (same(what, "flood")) /* lines for the log, without end */
        for (;;) {
            /* Field 1, a level; field 2, a text. */
            static const char line[] = "\1\0\4\0\0\0\3\0\0\0\2\0\0\0\0";
            memcpy(frame + 13, line, sizeof line);
            if (send_ask(calls, LOG, sizeof line) < 0) return outcome(-1);
        }
    if (same(what, "eats")) /* what the host says next */
        for (;;) recv(one, frame, sizeof frame, 0);
    return "unknown";
}
