/* Writes so many lines of 4,000 bytes: to the log, to its standard error, to its standard
 * output. */
#include "hostile.h"

static const char *attempt(const char *what, const char *target) {
    static char line[4001];
    keystead_bytes text = {line, 4000};
    memset(line, 'z', 4000);
    line[4000] = '\n';
    for (int at = atoi(target); at > 0; at--) {
        if (same(what, "log"))
            host->log_line(context, KEYSTEAD_LOG_DEBUG, text);
        else if (write(same(what, "stderr") ? 2 : 1, line, sizeof line) < 0)
            return outcome(-1);
    }
    return "done";
}
