/* Makes a system call that no vault needs and many attacks begin with, in a form that harms
 * nobody: its arguments are wrong. */
#include "hostile.h"

static const struct { const char *name; long number; } CALLS[] = {
    {"ptrace", SYS_ptrace}, {"process_vm_readv", SYS_process_vm_readv},
    {"process_vm_writev", SYS_process_vm_writev}, {"bpf", SYS_bpf}, {"mount", SYS_mount},
    {"umount2", SYS_umount2}, {"keyctl", SYS_keyctl}, {"add_key", SYS_add_key},
    {"request_key", SYS_request_key}, {"io_uring_setup", SYS_io_uring_setup},
    {"io_uring_enter", SYS_io_uring_enter}, {"userfaultfd", SYS_userfaultfd},
    {"fsopen", SYS_fsopen}, {"open_tree", SYS_open_tree}, {"move_mount", SYS_move_mount},
};

static const char *attempt(const char *what, const char *target) {
    (void)target;
    for (size_t at = 0; at < sizeof CALLS / sizeof *CALLS; at++)
        if (same(what, CALLS[at].name))
            return outcome(syscall(CALLS[at].number, -1L, -1L, -1L, -1L, -1L, -1L));
    return "unknown";
}
