/* Takes of what there is one of for all, and was granted the network. */
#define PERMISSIONS ",\"network\""
#include "exhausts.c"
