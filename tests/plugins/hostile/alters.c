/* Changes of a file, its folder or their file system what is not their content: `what:path`. */
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>

#include "hostile.h"

/* Makes it, and says whether it has a special mode. */
static const char *made(long returned, const char *path) {
    struct stat about;
    if (returned < 0) return outcome(returned);
    if (same(path, "")) { /* it has no name */
        if (fstat((int)returned, &about) < 0) return outcome(-1);
    } else if (stat(path, &about) < 0)
        return outcome(-1);
    return about.st_mode & 07000 ? "done" : "plain";
}

static const char *by_file(const char *what, int file) {
    static const struct timespec old[2] = {{1, 0}, {1, 0}};
    long flags = 0x10; /* FS_IMMUTABLE_FL, and FS_XFLAG_IMMUTABLE is 8 */
    uint64_t hint = 2;
    if (file < 0) return outcome(-1);
    if (same(what, "mode")) return outcome(fchmod(file, 0777));
    if (same(what, "owner")) return outcome(fchown(file, getuid(), getgid()));
    if (same(what, "times")) return outcome(futimens(file, old));
    if (same(what, "flags")) return outcome(ioctl(file, FS_IOC_SETFLAGS, &flags));
    if (same(what, "clone")) return outcome(ioctl(file, FICLONE, file));
    if (same(what, "verity")) return outcome(ioctl(file, _IOW('f', 133, char[128]), "hostile"));
    if (same(what, "label")) return outcome(ioctl(file, FS_IOC_SETFSLABEL, "hostile"));
    if (same(what, "lease")) return outcome(fcntl(file, F_SETLEASE, F_RDLCK));
    if (same(what, "notice")) return outcome(fcntl(file, F_NOTIFY, DN_MODIFY));
    if (same(what, "hint")) return outcome(fcntl(file, F_SET_RW_HINT, &hint));
    if (same(what, "hole")) return outcome(fallocate(file, 3, 0, 1));
    if (same(what, "behind-end")) return outcome(fallocate(file, 1, 0, 1l << 40));
    if (same(what, "syncfs")) return outcome(syncfs(file));
    if (same(what, "sync-range")) return outcome(sync_file_range(file, 0, 0, 2));
    if (same(what, "capacity")) return outcome(fallocate(file, 0, 0, 100));
    return "unknown";
}

static const char *attempt(const char *what, const char *target) {
    struct open_how how = {.flags = O_WRONLY | O_CREAT, .mode = 04755};
    const char *mine = own("mine");
    umask(0);
    unlink(mine), rmdir(mine);
    if (same(what, "set-user")) return made(open(mine, O_WRONLY | O_CREAT, 04755), mine);
    if (same(what, "set-group")) return made(open(mine, O_WRONLY | O_CREAT, 02755), mine);
    if (same(what, "sticky")) return made(open(mine, O_WRONLY | O_CREAT, 01666), mine);
    if (same(what, "creat")) return made(creat(mine, 06755), mine);
    if (same(what, "nameless")) return made(open(folder, O_WRONLY | O_TMPFILE, 04755), "");
    if (same(what, "openat2"))
        return made(syscall(SYS_openat2, AT_FDCWD, mine, &how, sizeof how), mine);
    if (same(what, "mkdir")) return made(mkdir(mine, 01777), mine);
    if (same(what, "for-others")) {
        struct stat about;
        if (fstat(open(mine, O_WRONLY | O_CREAT, 0666), &about) < 0) return outcome(-1);
        return about.st_mode & 077 ? "done" : "own";
    }
    if (same(what, "plain")) return made(open(mine, O_WRONLY | O_CREAT, 0755), mine);
    if (same(what, "fchmodat2")) return outcome(syscall(452, AT_FDCWD, target, 04755, 0));
    if (same(what, "whiteout")) return outcome(renameat2(AT_FDCWD, target, AT_FDCWD, mine, 4));
    return by_file(what, open(target, O_RDWR | O_CLOEXEC));
}
