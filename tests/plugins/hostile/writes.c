/* Changes what is at a path, or beside it: `what:path`. */
#include <sys/file.h>
#include <sys/xattr.h>

#include "hostile.h"

#define CALLS(name, call) if (same(what, name)) return outcome(call)

static long opened(const char *path, int flags) {
    int file = open(path, flags | O_CLOEXEC, 0600);
    if (file >= 0) {
        if ((flags & O_ACCMODE) != O_RDONLY && write(file, "hostile", 3) < 0) return -1;
        close(file);
    }
    return file;
}

/* Through a descriptor that only reads. */
static long by_reading(const char *what, const char *path) {
    static const struct timespec old[2] = {{1, 0}, {1, 0}};
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    return same(what, "fchmod")   ? fchmod(file, 0600)
           : same(what, "fchown") ? fchown(file, getuid(), getgid())
                                  : futimens(file, old);
}

static const char *attempt(const char *what, const char *target) {
    char beside[1200], mine[1200];
    snprintf(beside, sizeof beside, "%s.hostile", target);
    snprintf(mine, sizeof mine, "%s", own("mine"));
    CALLS("append", opened(target, O_WRONLY | O_APPEND));
    CALLS("create", opened(beside, O_WRONLY | O_CREAT | O_EXCL));
    CALLS("open-truncate", opened(target, O_RDONLY | O_TRUNC));
    CALLS("write-truncate", opened(target, O_WRONLY | O_TRUNC));
    CALLS("neither-truncate", open(target, O_ACCMODE | O_TRUNC));
    CALLS("truncate", truncate(target, 0));
    CALLS("unlink", unlink(target));
    CALLS("mkdir", mkdir(beside, 0700));
    CALLS("rmdir", rmdir(target));
    CALLS("symlink", symlink("/", beside));
    CALLS("fifo", mkfifo(beside, 0600));
    CALLS("socket", mknod(beside, S_IFSOCK | 0600, 0));
    CALLS("device", mknod(beside, S_IFCHR | 0600, 0x103));
    CALLS("nameless", opened(target, O_WRONLY | O_TMPFILE));
    CALLS("rename", rename(target, beside));
    CALLS("rename-in", rename(target, own("taken")));
    CALLS("link-in", link(target, own("linked")));
    CALLS("chmod", chmod(target, 0600));
    CALLS("chown", chown(target, getuid(), getgid()));
    CALLS("utimes", utimensat(AT_FDCWD, target, NULL, 0));
    CALLS("setxattr", setxattr(target, "user.hostile", "1", 1, 0));
    CALLS("removexattr", removexattr(target, "user.keep"));
    if (same(what, "fchmod") || same(what, "fchown") || same(what, "futimens"))
        return outcome(by_reading(what, target));
    if (same(what, "set-user")) /* whoever runs it is the user whose plugin wrote it */
        return outcome(fchmod(open(target, O_RDWR), 04755));
    if (same(what, "lock")) return outcome(flock(open(target, O_RDONLY), LOCK_EX | LOCK_NB));
    /* Out of its own folder. */
    if (opened(mine, O_WRONLY | O_CREAT) < 0) return "EOWN";
    CALLS("rename-out", rename(mine, beside));
    CALLS("link-out", link(mine, beside));
    CALLS("exchange", renameat2(AT_FDCWD, mine, AT_FDCWD, target, RENAME_EXCHANGE));
    return "unknown";
}
