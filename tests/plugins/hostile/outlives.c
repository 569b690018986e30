/* Gets ready to outlive its host, says so, and stays: deaf to signals, cut off from its parent's
 * end and from the connection. */
#include "hostile.h"

static const char *attempt(const char *what, const char *target) {
    sigset_t all;
    (void)what, (void)target;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_PDEATHSIG, 0);
    setsid();
    if (fork() == 0) setsid();
    host->log_line(context, KEYSTEAD_LOG_WARNING, keystead_text("it is ready"));
    for (;;) pass_millis(1000);
    return "never";
}
