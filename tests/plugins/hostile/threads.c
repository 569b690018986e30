/* Starts so many threads that wait for ever. */
#include <pthread.h>

#include "hostile.h"

static void *wait_for_ever(void *nothing) {
    for (;;) pause();
    return nothing;
}

static const char *attempt(const char *what, const char *target) {
    pthread_attr_t attributes;
    (void)what;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 16384);
    for (int at = atoi(target); at > 0; at--) {
        pthread_t thread;
        errno = pthread_create(&thread, &attributes, wait_for_ever, NULL);
        if (errno) return outcome(-1);
    }
    return "done";
}
