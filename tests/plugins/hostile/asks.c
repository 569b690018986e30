/* Asks the host to run a program that was not granted. */
#include "hostile.h"

static void take(void *own, const keystead_exec_output *output) {
    (void)own;
    snprintf(found, sizeof found, "%.*s", (int)output->message.size, output->message.data);
}

static const char *attempt(const char *what, const char *target) {
    keystead_exec_request request = {.size = sizeof request, .deadline_millis = 5000};
    (void)target;
    request.program = keystead_text(same(what, "shell") ? "/bin/sh" : "../../bin/sh");
    return host->exec(context, &request, take, NULL) == KEYSTEAD_OK ? "done" : found;
}
