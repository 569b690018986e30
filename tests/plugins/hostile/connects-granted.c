/* Talks to somebody who is not on the network, and was granted the network. */
#define PERMISSIONS ",\"network\""
#include "connects.c"
