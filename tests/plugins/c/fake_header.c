/* Everything that can be read from the file says: a plugin of abi_stable 0.11. Behind the
 * header there is nothing, and the constructor leaves a mark. */
#include <stdint.h>
#include <stdio.h>

#ifndef MAGIC
#define MAGIC "abi stable library for Rust     "
#endif

#ifndef POINTERS
#define POINTERS 64
#endif

#define JSON                                                                                   \
    "{\"schema\":1,\"id\":\"fake\",\"version\":\"1.0.0\",\"api\":\"1.0.0\",\"description\":\"\","            \
    "\"vendor\":\"\",\"license\":\"\",\"homepage\":\"\",\"kinds\":[{\"name\":\"fake\","         \
    "\"description\":\"\",\"capabilities\":[],\"values\":[],\"names\":\"case-sensitive\","      \
    "\"parameters\":[]}],\"permissions\":[]}"

struct block {
    uint32_t owner_len, content_len, kind;
    char owner[12];
    char magic[8];
    uint32_t version, json_len;
    char abi[16];
    char json[sizeof JSON - 1];
};

__attribute__((section(".note.keystead"), used, aligned(4))) const struct block note = {
    9, 32 + sizeof JSON - 1, 1, "Keystead", "KEYSTEAD", 1, sizeof JSON - 1,
    "abi_stable-0.11", JSON,
};

struct header {
    char magic[32];
    uint32_t major, minor;
    void *rest[POINTERS];
};

const struct header _1as_0lib_1header_0root_bmodule_bloader = {
    MAGIC, 0, 11, {(void *)16},
};

__attribute__((constructor)) static void mark(void) {
    FILE *file = fopen(MARK, "w");
    if (file) fclose(file);
    /* Its sandbox keeps it from that; this reaches the log. */
    fputs("constructed\n", stderr);
}
