/* Sets and removes attributes of files that it was granted to read, and no more. */
#define FILES "files:{folder}/:r"
#include "attributes.c"
