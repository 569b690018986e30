/* What every plugin that is hostile has around its one misdeed: a manifest, a table, and a `get` that
 * takes the secret's name for what to try, `what:target`, and answers what came of it: `done`, the
 * error's name, or what was read.
 *
 * A row is a file that includes this and says `attempt`; it is built with _GNU_SOURCE, and with its
 * own name as HOSTILE. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "keystead_plugin.h"

/* What it asks for: its own folder, unless the row says so; and what the row has beside it. */
#ifndef FILES
#define FILES "files:{folder}/:rw"
#endif
#ifndef PERMISSIONS
#define PERMISSIONS ""
#endif
#ifndef REQUESTS
#define REQUESTS ""
#endif

KEYSTEAD_MANIFEST(
    "{\"schema\":1,\"id\":\"" HOSTILE "\",\"version\":\"1.0.0\",\"api\":\"" KEYSTEAD_API_VERSION "\","
    "\"description\":\"\",\"vendor\":\"\",\"license\":\"\",\"homepage\":\"\","
    "\"permissions\":[\"" FILES "\"" PERMISSIONS "],\"kinds\":[{\"name\":\"hostile\","
    "\"description\":\"\",\"names\":\"case-sensitive\",\"capabilities\":[],"
    "\"values\":[\"text\"],\"parameters\":[{\"name\":\"folder\",\"kind\":\"path\","
    "\"description\":\"its own\",\"required\":false,\"secret\":false,\"default\":\"\"}],"
    "\"permissions\":[" REQUESTS "]}]}");

static const keystead_host *host __attribute__((unused));
static keystead_context context __attribute__((unused));
static uint64_t calls;      /* how many were answered, `open` among them */
static char folder[1024];   /* its own, where it was granted one */
static char found[4096];    /* what is answered, where it is no constant */

/* Does what the row is about. */
static const char *attempt(const char *what, const char *target);

/* What a call came to that returns less than 0 where it fails. */
static inline const char *outcome(long returned) {
    return returned < 0 ? strerrorname_np(errno) : "done";
}

static inline int same(const char *a, const char *b) { return strcmp(a, b) == 0; }

/* What can be read from this descriptor, which is closed. */
static inline const char *read_from(int descriptor) {
    ssize_t length = descriptor < 0 ? -1 : read(descriptor, found, 200);
    int error = errno;
    if (descriptor >= 0) close(descriptor);
    errno = error;
    if (length < 0) return outcome(-1);
    while (length > 0 && (unsigned char)found[length - 1] <= ' ') length--;
    found[length] = 0;
    return length ? found : "nothing";
}

/* A path in its own folder. */
static inline const char *own(const char *name) {
    static char path[1100];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* The descriptor of the connection to the host, or -1 where there is none. */
static inline int connection(void) {
    for (int at = 0; at < 256; at++) {
        int type = 0;
        socklen_t size = sizeof type;
        if (getsockopt(at, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET)
            return at;
    }
    return -1;
}

static inline void pass_millis(long millis) {
    struct timespec time = {millis / 1000, millis % 1000 * 1000000};
    while (nanosleep(&time, &time) < 0 && errno == EINTR) {}
}

/* What `get` answers with as an error, where an attempt leaves something here. */
static char refusal[1100];

static keystead_status get(keystead_vault *vault, const keystead_get_request *request,
                           keystead_reply reply) {
    static char name[1100];
    char *target;
    const char *answer;
    (void)vault;
    calls++;
    memcpy(name, request->name.data, request->name.size);
    name[request->name.size] = 0;
    target = strchr(name, ':');
    if (target) *target++ = 0;
    answer = attempt(name, target ? target : "");
    if (refusal[0]) {
        host->message(reply, keystead_text(refusal));
        refusal[0] = 0;
        return KEYSTEAD_UNAVAILABLE;
    }
    host->text(reply, keystead_text(answer ? answer : "an error without a name"));
    return KEYSTEAD_OK;
}

/* Tells its names, where the row has any. */
#ifndef LIST
#define LIST list
static keystead_status list(keystead_vault *vault, const keystead_list_request *request,
                            keystead_reply reply) {
    (void)vault, (void)request, (void)reply;
    calls++;
    return KEYSTEAD_OK;
}
#else
static keystead_status LIST(keystead_vault *vault, const keystead_list_request *request,
                            keystead_reply reply);
#endif

static keystead_status open_vault(const keystead_host *own_host, keystead_context given,
                                  const keystead_open_request *request, keystead_reply reply,
                                  keystead_vault **vault) {
    static int state;
    (void)reply;
    calls++;
    host = own_host;
    context = given;
    if (request->parameter_count == 1)
        snprintf(folder, sizeof folder, "%.*s", (int)request->parameters[0]->text.size,
                 request->parameters[0]->text.data);
    *vault = (keystead_vault *)&state;
    return KEYSTEAD_OK;
}

static void close_vault(keystead_vault *vault) { (void)vault; }

static const keystead_plugin table = {.magic = KEYSTEAD_MAGIC, .size = sizeof table,
                                      .open = open_vault, .close = close_vault, .get = get,
                                      .list = LIST};

const keystead_plugin *keystead_plugin_v1(void) { return &table; }
