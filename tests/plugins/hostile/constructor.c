/* Does its misdeeds while it is loaded, before anybody called it, and tells of them later.
 * OUTSIDE is a path, SOCKET another, PORT a number. */
#include <netinet/in.h>

#include "hostile.h"

static const char *opened, *made, *connected, *internet, *forked, *signalled;

__attribute__((constructor)) static void misbehave(void) {
    struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = SOCKET};
    struct sockaddr_in out = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    opened = outcome(open(OUTSIDE, O_RDONLY));
    made = outcome(open(OUTSIDE ".hostile", O_WRONLY | O_CREAT, 0600));
    int one = socket(AF_UNIX, SOCK_STREAM, 0);
    connected = one < 0 ? outcome(-1) : outcome(connect(one, (struct sockaddr *)&to, sizeof to));
    one = socket(AF_INET, SOCK_STREAM, 0);
    internet = one < 0 ? outcome(-1) : outcome(connect(one, (struct sockaddr *)&out, sizeof out));
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    forked = outcome(pid);
    if (pid > 0) waitpid(pid, NULL, 0);
    signalled = outcome(kill(getppid(), SIGURG));
}

static const char *attempt(const char *what, const char *target) {
    (void)target;
    return same(what, "open")     ? opened
           : same(what, "create") ? made
           : same(what, "unix")   ? connected
           : same(what, "tcp")    ? internet
           : same(what, "fork")   ? forked
                                  : signalled;
}
