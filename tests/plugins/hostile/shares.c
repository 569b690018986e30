/* Makes what outlives a process, or what others meet by its name; and removes it again. */
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "hostile.h"

static const char *attempt(const char *what, const char *target) {
    int made = -1;
    (void)target;
    if (same(what, "memory") && (made = shmget(IPC_PRIVATE, 4096, 0600)) >= 0)
        shmctl(made, IPC_RMID, NULL);
    if (same(what, "semaphores") && (made = semget(IPC_PRIVATE, 1, 0600)) >= 0)
        semctl(made, 0, IPC_RMID);
    if (same(what, "messages") && (made = msgget(IPC_PRIVATE, 0600)) >= 0)
        msgctl(made, IPC_RMID, NULL);
    if (same(what, "queue")) {
        char name[32];
        snprintf(name, sizeof name, "/hostile-%d", getpid());
        if ((made = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, NULL)) >= 0) mq_unlink(name);
    }
    if (same(what, "named")) {
        char name[32];
        snprintf(name, sizeof name, "/hostile-%d", getpid());
        if ((made = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600)) >= 0) shm_unlink(name);
    }
    return outcome(made);
}
