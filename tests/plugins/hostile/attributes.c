/* Sets and removes one extended attribute in every way that there is: `NAME:path`. Some of them
 * are no attributes: `system.posix_acl_access` is the file's mode. Says how the first way ended that
 * was not refused, or `EPERM` where all were. */
#include <sys/ioctl.h>
#include <sys/xattr.h>

#include "hostile.h"

/* Everybody may do everything: an access list, as the kernel has it. */
static const uint32_t ACL[] = {2, 7 << 16 | 1, ~0u, 7 << 16 | 4, ~0u, 7 << 16 | 32, ~0u};

struct arguments { uint64_t value; uint32_t size, flags; };

/* The library that every program may read. */
static const char *library(void) {
    static const char *const paths[] = {"/lib/x86_64-linux-gnu/librt.so.1",
                                        "/lib/aarch64-linux-gnu/librt.so.1", "/lib64/librt.so.1",
                                        "/usr/lib/librt.so.1"};
    for (size_t at = 0; at < sizeof paths / sizeof *paths; at++)
        if (access(paths[at], F_OK) == 0) return paths[at];
    return "/nowhere/hostile";
}

#define TRY(way, call)                                                                    \
    if ((call) >= 0 || errno != EPERM) {                                                  \
        const char *ended = outcome(errno ? -1 : 0);                                      \
        snprintf(found, sizeof found, "%s%s", way, ended);                                \
        return found;                                                                     \
    }                                                                                     \
    errno = 0

static const char *by_descriptor(const char *name, const void *value, size_t size, int file) {
    errno = 0;
    TRY("fsetxattr ", fsetxattr(file, name, value, size, 0));
    TRY("fremovexattr ", fremovexattr(file, name));
    /* FS_IOC_FSSETXATTR */
    TRY("ioctl ", ioctl(file, 0x401c5820, ACL));
    return NULL;
}

static const char *attempt(const char *name, const char *target) {
    const char *path = same(target, "library") ? library() : target;
    int is_list = !strncmp(name, "system.", 7), writable = open(path, O_RDWR | O_CLOEXEC);
    const void *value = is_list ? (const void *)ACL : "hostile";
    size_t size = is_list ? sizeof ACL : 3;
    struct arguments arguments = {(uint64_t)(uintptr_t)value, (uint32_t)size, 0};
    int readable = open(path, O_RDONLY | O_CLOEXEC);
    const char *ended = NULL;
    if (readable < 0) return outcome(-1);
    ended = by_descriptor(name, value, size, readable);
    if (!ended && writable >= 0) ended = by_descriptor(name, value, size, writable);
    close(readable);
    if (writable >= 0) close(writable);
    if (ended) return ended;
    errno = 0;
    TRY("setxattr ", setxattr(path, name, value, size, 0));
    TRY("lsetxattr ", lsetxattr(path, name, value, size, 0));
    TRY("removexattr ", removexattr(path, name));
    TRY("lremovexattr ", lremovexattr(path, name));
    TRY("setxattrat ", syscall(463, AT_FDCWD, path, 0, name, &arguments, sizeof arguments));
    TRY("removexattrat ", syscall(466, AT_FDCWD, path, 0, name));
    TRY("file_setattr ", syscall(469, AT_FDCWD, path, ACL, sizeof ACL, 0));
    return "EPERM";
}
