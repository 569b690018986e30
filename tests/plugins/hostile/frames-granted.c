/* Speaks on the runner's own connection, and was granted the network, with which descriptors can be
 * sent. */
#define PERMISSIONS ",\"network\""
#include "frames.c"
