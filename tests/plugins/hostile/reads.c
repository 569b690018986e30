/* Reads the file at a path, or asks what is there: `what:path`. */
#include <linux/openat2.h>
#include <sys/inotify.h>

#include "hostile.h"

static const char *read_at(const char *form, long number, const char *path) {
    char whole[1300];
    snprintf(whole, sizeof whole, form, number, path);
    return read_from(open(whole, O_RDONLY | O_CLOEXEC));
}

static const char *by_openat2(const char *path) {
    struct open_how how = {.flags = O_RDONLY};
    return read_from((int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how));
}

static const char *by_handle(const char *path) {
    struct { struct file_handle head; char more[128]; } handle = {{.handle_bytes = 128}, {0}};
    int mount, root = open("/", O_RDONLY | O_DIRECTORY);
    if (name_to_handle_at(AT_FDCWD, path, &handle.head, &mount, 0) < 0) return outcome(-1);
    return read_from(open_by_handle_at(root, &handle.head, O_RDONLY));
}

static const char *by_map(const char *path) {
    int file = open(path, O_RDONLY);
    char *memory = file < 0 ? MAP_FAILED : mmap(NULL, 100, PROT_READ, MAP_PRIVATE, file, 0);
    if (memory == MAP_FAILED) return outcome(-1);
    snprintf(found, sizeof found, "%.90s", memory);
    return found;
}

static const char *by_link(const char *what, const char *path) {
    const char *name = own("link");
    char number[64];
    snprintf(number, sizeof number, "/proc/self/fd/%d", open(path, O_PATH));
    if ((same(what, "hard-link") ? link(path, name)
         : same(what, "symlink") ? symlink(path, name)
                                 : linkat(AT_FDCWD, number, AT_FDCWD, name, AT_SYMLINK_FOLLOW)) < 0)
        return outcome(-1);
    const char *answer = read_from(open(name, O_RDONLY));
    unlink(name);
    return answer;
}

static const char *attempt(const char *what, const char *target) {
    char path[1100];
    int at;
    if (same(what, "open")) return read_at("%2$s", 0, target);
    if (same(what, "openat2")) return by_openat2(target);
    if (same(what, "symlink") || same(what, "hard-link") || same(what, "link-by-number"))
        return by_link(what, target);
    if (same(what, "own-root")) return read_at("/proc/self/root%2$s", 0, target);
    if (same(what, "thread-root")) return read_at("/proc/thread-self/root%2$s", 0, target);
    if (same(what, "parent-root")) return read_at("/proc/%ld/root%s", getppid(), target);
    if (same(what, "dots")) return read_at("/proc/self/../..%2$s", 0, target);
    if (same(what, "by-number")) return read_at("/proc/self/fd/%ld", open(target, O_PATH), "");
    if (same(what, "handle")) return by_handle(target);
    if (same(what, "map")) return by_map(target);
    if (same(what, "neither")) return outcome(open(target, O_ACCMODE)); /* to be locked, say */
    if (same(what, "folder")) return outcome(open(target, O_RDONLY | O_DIRECTORY));
    if (same(what, "watch")) return outcome(inotify_add_watch(inotify_init1(0), target, IN_OPEN));
    if (same(what, "stat")) return outcome(stat(target, &(struct stat){0}));
    if (same(what, "readlink")) {
        ssize_t length = readlink(target, path, sizeof path - 1);
        if (length < 0) return outcome(-1);
        return "done";
    }
    if (same(what, "chdir")) { /* a name that is not absolute */
        snprintf(path, sizeof path, "%s", target);
        char *name = strrchr(path, '/');
        *name++ = 0;
        at = open(path, O_PATH);
        if (fchdir(at) < 0) return outcome(-1);
        return read_from(open(name, O_RDONLY));
    }
    return "unknown";
}
