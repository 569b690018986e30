/* Makes a system call that changes the machine, the process's identity or its sandbox, in a form
 * that harms nobody: it changes nothing, or its arguments are wrong. */
#include "hostile.h"

static const struct { const char *name; long number, first, second, third; } CALLS[] = {
    {"perf_event_open", SYS_perf_event_open, 0, 0, 0}, {"unshare", SYS_unshare, 0, 0, 0},
    {"setns", SYS_setns, -1, 0, 0}, {"chroot", SYS_chroot, (long)"/nowhere/hostile", 0, 0},
    {"pivot_root", SYS_pivot_root, (long)"/nowhere/hostile", (long)"/nowhere/hostile", 0},
    {"kexec_load", SYS_kexec_load, 0, 0, 0}, {"init_module", SYS_init_module, 0, 0, 0},
    {"finit_module", SYS_finit_module, -1, 0, 0}, {"delete_module", SYS_delete_module, 0, 0, 0},
    {"reboot", SYS_reboot, 0, 0, 0}, {"swapon", SYS_swapon, 0, 0, 0},
    {"swapoff", SYS_swapoff, 0, 0, 0}, {"settimeofday", SYS_settimeofday, 0, 0, 0},
    {"clock_settime", SYS_clock_settime, -1, 0, 0}, {"adjtimex", SYS_adjtimex, 0, 0, 0},
    {"personality", SYS_personality, 0xffffffff, 0, 0}, {"quotactl", SYS_quotactl, -1, 0, 0},
    {"acct", SYS_acct, (long)"/nowhere/hostile", 0, 0}, {"iopl", SYS_iopl, 0, 0, 0},
    {"ioperm", SYS_ioperm, 0, 0, 0}, {"modify_ldt", SYS_modify_ldt, -1, 0, 0},
    {"syslog", SYS_syslog, 3, 0, 0}, {"sethostname", SYS_sethostname, 0, -1, 0},
    {"setdomainname", SYS_setdomainname, 0, -1, 0}, {"setuid", SYS_setuid, -1, 0, 0},
    {"setgid", SYS_setgid, -1, 0, 0}, {"setresuid", SYS_setresuid, -1, -1, -1},
    {"setgroups", SYS_setgroups, -1, 0, 0}, {"capset", SYS_capset, 0, 0, 0},
    {"seccomp", SYS_seccomp, 2, 0, 0}, {"landlock", SYS_landlock_create_ruleset, 0, 0, 1},
    {"fanotify_init", SYS_fanotify_init, -1, 0, 0}, {"inotify_init1", SYS_inotify_init1, 0, 0, 0},
    {"sync", SYS_sync, 0, 0, 0}, {"lookup_dcookie", SYS_lookup_dcookie, 0, 0, 0},
    {"set_mempolicy", SYS_set_mempolicy, 0, 0, 0}, {"nobody's", 4000, 0, 0, 0},
};

static const char *attempt(const char *what, const char *target) {
    (void)target;
    for (size_t at = 0; at < sizeof CALLS / sizeof *CALLS; at++)
        if (same(what, CALLS[at].name))
            return outcome(syscall(CALLS[at].number, CALLS[at].first, CALLS[at].second,
                                   CALLS[at].third, 0, 0, 0));
    return "unknown";
}
