/* Changes files that it was granted to read, and no more: `what:path`. */
#define FILES "files:{folder}/:r"
#include "writes.c"
