/* Types on the user's terminal, or reads what the user types. */
#include <sys/ioctl.h>

#include "hostile.h"

static const char *attempt(const char *what, const char *target) {
    (void)target;
    if (same(what, "standard")) /* by the descriptor that may be one */
        return outcome(ioctl(2, TIOCSTI, "z"));
    int terminal = open("/dev/tty", same(what, "types") ? O_RDWR : O_RDONLY);
    if (terminal < 0) return outcome(-1);
    return same(what, "types") ? outcome(ioctl(terminal, TIOCSTI, "z")) : "done";
}
