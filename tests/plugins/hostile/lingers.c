/* Gives the host a connection that takes so many seconds to be closed: the last to close it
 * would wait. It was granted the network; `target` is SECONDS/PORT. */
#define PERMISSIONS ",\"network\""
#include <netinet/in.h>

#include "hostile.h"

static long hand_over(int descriptor) {
    union { struct cmsghdr head; char space[CMSG_SPACE(sizeof(int))]; } control = {{0}};
    struct iovec packet = {"hostile's own", 9};
    struct msghdr message = {.msg_iov = &packet, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = sizeof control};
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.head), &descriptor, sizeof(int));
    return sendmsg(connection(), &message, MSG_NOSIGNAL);
}

static const char *attempt(const char *what, const char *target) {
    static char much[1 << 20];
    struct linger linger = {1, atoi(target)};
    struct sockaddr_in to = {.sin_family = AF_INET};
    const char *port = strchr(target, '/');
    int one = socket(AF_INET, SOCK_STREAM, 0);
    (void)what;
    to.sin_port = htons((uint16_t)atoi(port + 1));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (one < 0 || connect(one, (struct sockaddr *)&to, sizeof to) < 0) return outcome(-1);
    if (setsockopt(one, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) < 0) return outcome(-1);
    fcntl(one, F_SETFL, O_NONBLOCK);
    while (send(one, much, sizeof much, MSG_NOSIGNAL) > 0) {} /* nobody reads it */
    fcntl(one, F_SETFL, 0);
    if (connection() < 0) return "no connection";
    for (int at = 0; at < 200; at++) /* so that the host is busy until our own end is closed */
        host->log_line(context, KEYSTEAD_LOG_DEBUG, keystead_text("so that it is busy"));
    long handed = hand_over(one);
    if (handed < 0) return outcome(handed);
    close(one); /* the host's is the last */
    return "done";
}
