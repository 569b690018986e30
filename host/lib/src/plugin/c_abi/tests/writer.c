/* The page for authors shows this: a map with a map in it. Prints the value's bytes as numbers. */
#include <stdio.h>
#include <stdlib.h>

#include "keystead_value.h"

static int fill(char *buffer, size_t room, keystead_bytes user, size_t *size) {
    keystead_writer writer;
    keystead_bytes value;
    size_t at;
    int whole;
    keystead_writer_begin(&writer, buffer, room);
    keystead_writer_text(&writer, keystead_text("user"), user);
    keystead_writer_begin_map(&writer, keystead_text("server"));
    keystead_writer_json(&writer, keystead_text("port"), keystead_text("5432"));
    keystead_writer_end_map(&writer);
    whole = keystead_writer_end(&writer, &value);
    for (at = 0; at < value.size; at++) printf("%u ", (unsigned)(unsigned char)value.data[at]);
    *size = writer.size;
    return whole;
}

int main(void) {
    keystead_bytes user = keystead_text("me");
    size_t size;
    char *buffer;
    if (fill(NULL, 0, user, &size)) return 1; /* measures */
    buffer = malloc(size);
    if (!buffer || !fill(buffer, size, user, &size)) return 2;
    free(buffer);
    return 0;
}
