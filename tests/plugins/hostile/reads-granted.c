/* Reads, with the network granted, what lies beside the files that a connection needs. */
#define PERMISSIONS ",\"network\""
#include "reads.c"
