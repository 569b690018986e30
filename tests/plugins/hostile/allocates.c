/* Takes memory, and writes to all of it: so many MiB. */
#include "hostile.h"

static const char *fill(char *memory, size_t size) {
    for (size_t at = 0; at < size; at += 4096) memory[at] = 1;
    return "done";
}

/* In a file that is nowhere, which no mapping counts for. */
static const char *file(size_t size) {
    static char block[1 << 20];
    int memfd = memfd_create("hostile", MFD_CLOEXEC);
    const char *answer = "done";
    if (memfd < 0) return outcome(-1);
    memset(block, 1, sizeof block);
    for (size_t at = 0; at < size; at += sizeof block)
        if (write(memfd, block, sizeof block) < 0) {
            answer = outcome(-1);
            break;
        }
    close(memfd);
    return answer;
}

static const char *attempt(const char *what, const char *target) {
    size_t size = (size_t)atol(target) << 20;
    char *memory;
    if (same(what, "memfd")) return file(size);
    if (same(what, "malloc"))
        memory = malloc(size);
    else
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_ANONYMOUS | (same(what, "shared") ? MAP_SHARED : MAP_PRIVATE), -1, 0);
    if (!memory || memory == MAP_FAILED) return outcome(-1);
    return fill(memory, size);
}
