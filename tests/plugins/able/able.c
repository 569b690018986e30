/* Does what it was granted: PERMISSIONS_ASKED is a string of permissions, each with a comma before
 * it. What it does is said by the secret's name, as in the hostile plugins. */
#define PERMISSIONS PERMISSIONS_ASKED
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>

#include "../hostile/hostile.h"

#ifdef WITH_LIBRARY
extern const char *zlibVersion(void);
#endif

static void take(void *own, const keystead_exec_output *output) {
    keystead_bytes said = output->message.size ? output->message : output->output;
    (void)own;
    snprintf(found, sizeof found, "%.*s", (int)said.size, said.size ? said.data : "");
}

/* Has a shell run a script, with one variable where the script ends with `;;NAME`. */
static const char *scripts(const char *script) {
    const char *name = strstr(script, ";;");
    keystead_exec_request request = {.size = sizeof request, .deadline_millis = 5000};
    keystead_bytes words[] = {keystead_text("-c"), keystead_text(script)};
    keystead_variable variable;
    if (name) {
        words[1].size = (size_t)(name - script);
        variable.name = keystead_text(name + 2);
        variable.value = keystead_text("chosen");
        request.variables = &variable;
        request.variable_count = 1;
    }
    request.program = keystead_text("/bin/sh");
    request.arguments = words;
    request.argument_count = 2;
    host->exec(context, &request, take, NULL);
    return found;
}

static const char *runs(const char *program) {
    keystead_exec_request request = {.size = sizeof request, .deadline_millis = 5000};
    keystead_bytes word = keystead_text("granted");
    request.program = keystead_text(program);
    request.arguments = &word;
    request.argument_count = 1;
    return host->exec(context, &request, take, NULL) == KEYSTEAD_OK ? found : "refused";
}

static char version[200];

static void take_file(void *own, const keystead_file *file) {
    keystead_bytes said = file->message.size ? file->message : file->content;
    (void)own;
    snprintf(found, sizeof found, "%.*s", said.size ? (int)said.size : 7, said.size ? said.data : "nothing");
    snprintf(version, sizeof version, "%.*s", (int)file->version.size,
             file->version.size ? file->version.data : "");
}

/* Has the host read a file. */
static const char *takes(const char *path) {
    keystead_read_file_request request = {.size = sizeof request, .deadline_millis = 5000};
    request.path = keystead_text(path);
    host->read_file(context, &request, take_file, NULL);
    return found;
}

/* Has the host put a text in the place of what was read last, which it keeps: `PATH;;TEXT`, and
 * with `PATH;;` as many bytes as are too many. */
static const char *puts_there(const char *target) {
    keystead_replace_file_request request = {.size = sizeof request, .deadline_millis = 5000};
    const char *text = strstr(target, ";;");
    size_t most = 16 * 1024 * 1024;
    char *large = NULL;
    keystead_status status;
    request.path = keystead_text(target);
    request.path.size = (size_t)(text - target);
    if (version[0]) {
        request.expected = keystead_text(version);
        request.present = KEYSTEAD_WITH_EXPECTED;
    }
    request.content = keystead_text(text + 2);
    if (!text[2]) {
        large = calloc(1, most + 1);
        request.content.data = large;
        request.content.size = most + 1;
    }
    status = host->replace_file(context, &request, take_file, NULL);
    free(large);
    return status == KEYSTEAD_OK ? "replaced" : status == KEYSTEAD_CONFLICT ? strcat(found, "!") : found;
}

/* Reads a file and replaces it with a text in one call: `PATH;;TEXT`. */
static const char *takes_and_puts(const char *target) {
    char path[1100];
    const char *text = strstr(target, ";;");
    snprintf(path, sizeof path, "%.*s", (int)(text - target), target);
    takes(path);
    return puts_there(target);
}

/* Connects to a name as a client does, and reads what the server greets with. */
static const char *resolves(const char *port) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;
    int one, failed = getaddrinfo("localhost", port, &hints, &list);
    if (failed) return gai_strerror(failed);
    one = socket(list->ai_family, list->ai_socktype | SOCK_CLOEXEC, list->ai_protocol);
    failed = one < 0 || connect(one, list->ai_addr, list->ai_addrlen) < 0;
    freeaddrinfo(list);
    return failed ? outcome(-1) : read_from(one);
}

static const char *asks(const char *port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int one = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (one < 0) return outcome(-1);
    if (sendto(one, "hello", 5, 0, (struct sockaddr *)&to, sizeof to) < 0) return outcome(-1);
    return read_from(one);
}

/* Greets a bus as its library does, and reads whether it is welcome. */
static const char *greets(void) {
    const char *address = getenv("DBUS_SESSION_BUS_ADDRESS");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char hello[64];
    int one;
    if (!address || strncmp(address, "unix:path=", 10) != 0) return "no address";
    snprintf(to.sun_path, sizeof to.sun_path, "%.*s", (int)strcspn(address + 10, ","), address + 10);
    one = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (one < 0 || connect(one, (struct sockaddr *)&to, sizeof to) < 0) return outcome(-1);
    snprintf(hello, sizeof hello, "%d", (int)getuid());
    dprintf(one, "%cAUTH EXTERNAL ", 0);
    for (const char *digit = hello; *digit; digit++) dprintf(one, "%02x", *digit);
    dprintf(one, "\r\n");
    return read_from(one);
}

/* Finds what the system says this code is mapped from. */
static const char *is_mapped_from(void) {
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[1200];
    unsigned long at = (unsigned long)(void *)is_mapped_from, from, to;
    const char *told = "nothing";
    if (!maps) return outcome(-1);
    while (fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx", &from, &to) != 2 || at < from || at >= to) continue;
        line[strcspn(line, "\n")] = 0;
        told = strchr(line, '/') ? strcpy(found, strchr(line, '/')) : "no file";
    }
    fclose(maps);
    return told;
}

static void *answer(void *own) { return own; }

#include "sockets.h"

static const char *attempt(const char *what, const char *target) {
    if (same(what, "read")) return read_from(open(target, O_RDONLY | O_CLOEXEC));
    if (same(what, "write")) {
        int one = open(target, O_WRONLY | O_TRUNC | O_CLOEXEC);
        return outcome(one < 0 ? -1 : write(one, "written", 7));
    }
    if (same(what, "make")) return outcome(open(target, O_WRONLY | O_CREAT | O_EXCL, 0600));
    if (same(what, "list")) {
        DIR *at = opendir(target);
        struct dirent *entry = NULL;
        if (!at) return outcome(-1);
        while ((entry = readdir(at)) && entry->d_name[0] == '.') {}
        return entry ? strcpy(found, entry->d_name) : "nothing";
    }
    if (same(what, "replace")) {
        char fresh[1100];
        int one;
        snprintf(fresh, sizeof fresh, "%s.new", target);
        one = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (one < 0 || write(one, "replaced", 8) < 0 || fsync(one) < 0) return outcome(-1);
        return outcome(rename(fresh, target));
    }
    if (same(what, "connect")) return resolves(target);
    if (same(what, "ask")) return asks(target);
    if (same(what, "plain")) {
        int one = open(target, O_RDONLY | O_CLOEXEC);
        if (one >= 0) return read_from(one);
        snprintf(refusal, sizeof refusal, "cannot open %s: %s", target, strerror(errno));
        return "";
    }
    if (same(what, "reach")) {
        struct addrinfo *list;
        int failed = getaddrinfo(target, "443", NULL, &list);
        if (!failed) return freeaddrinfo(list), "done";
        snprintf(refusal, sizeof refusal, "cannot reach %s: %s", target, gai_strerror(failed));
        return "";
    }
    if (same(what, "variable")) return getenv(target) ? getenv(target) : "none";
    if (same(what, "run")) return runs(target);
    if (same(what, "shell")) return scripts(target);
    if (same(what, "file")) return takes(target);
    if (same(what, "put")) return puts_there(target);
    if (same(what, "swap")) return takes_and_puts(target);
    if (same(what, "granted"))
        return host->is_granted(context, keystead_text(target)) ? "granted" : "not granted";
    if (same(what, "bus")) return greets();
    if (same(what, "mapped")) return is_mapped_from();
    if (same(what, "thread")) {
        pthread_t one;
        void *told = NULL;
        int failed = pthread_create(&one, NULL, answer, found);
        if (failed) return strerrorname_np(failed);
        pthread_join(one, &told);
        return told == found ? "done" : "lost";
    }
#ifdef WITH_LIBRARY
    if (same(what, "library")) return zlibVersion()[0] ? "done" : "none";
#endif
    {
        const char *told = of_sockets(what, target);
        if (told) return told;
    }
    return "unknown";
}
