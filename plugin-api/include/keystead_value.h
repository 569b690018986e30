/* The byte form of values: takes values apart, and puts maps together in memory of the caller.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef KEYSTEAD_VALUE_H
#define KEYSTEAD_VALUE_H

#include "keystead_plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The most levels, bytes and members of a value. */
enum {
    KEYSTEAD_VALUE_MAX_LEVELS = 16,
    KEYSTEAD_VALUE_MAX_MEMBERS = 10000,
    KEYSTEAD_VALUE_MAX_BYTES = 16 * 1024 * 1024
};

/* Takes a 32-bit number off the front of a value's byte form: a map's count, a member's kind.
 * Returns whether there was one. */
static inline int keystead_number(keystead_bytes *value, uint32_t *number) {
    unsigned char bytes[4];
    if (value->size < 4) return 0;
    memcpy(bytes, value->data, 4);
    *number = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
              (uint32_t)bytes[3] << 24;
    value->size -= 4;
    value->data = value->size ? value->data + 4 : NULL;
    return 1;
}

/* Takes one part off the front of a value's byte form. Returns whether there was one; if not, the
 * value is as before. */
static inline int keystead_part(keystead_bytes *value, keystead_bytes *part) {
    keystead_bytes rest = *value;
    uint32_t size;
    if (!keystead_number(&rest, &size) || size > rest.size) return 0;
    part->size = size;
    part->data = size ? rest.data : NULL;
    rest.size -= size;
    rest.data = rest.size ? rest.data + size : NULL;
    *value = rest;
    return 1;
}

/* Writes the byte form of a map:
 *
 *     keystead_writer writer;
 *     keystead_writer_begin(&writer, buffer, sizeof buffer);
 *     keystead_writer_text(&writer, keystead_text("host"), keystead_text("example.com"));
 *     keystead_writer_begin_map(&writer, keystead_text("inner"));
 *     keystead_writer_end_map(&writer);
 *     if (keystead_writer_end(&writer, &value)) host->value(reply, KEYSTEAD_VALUE_MAP, value);
 *
 * It never writes behind the buffer. `size` is how many bytes the map needs, also where the
 * buffer is too small: with a null buffer of size 0 nothing is written and the size is measured.
 * Give each key once. The buffer is the caller's: wipe it. */
typedef struct keystead_writer {
    char *buffer;
    size_t room;
    size_t size;
    uint32_t failed; /* too deep, too large, or ended too often */
    uint32_t levels; /* how many maps are open */
    uint32_t members;
    uint32_t reserved;
    size_t starts[KEYSTEAD_VALUE_MAX_LEVELS];
    uint32_t counts[KEYSTEAD_VALUE_MAX_LEVELS];
} keystead_writer;

/* Appends bytes as far as there is room. For the functions below. */
static inline void keystead_writer_bytes_raw(keystead_writer *writer, keystead_bytes bytes) {
    if (writer->failed || bytes.size > (size_t)KEYSTEAD_VALUE_MAX_BYTES - writer->size) {
        writer->failed = 1;
        return;
    }
    if (writer->size <= writer->room && bytes.size <= writer->room - writer->size && bytes.size)
        memcpy(writer->buffer + writer->size, bytes.data, bytes.size);
    writer->size += bytes.size;
}

static inline void keystead_writer_number_raw(keystead_writer *writer, uint32_t number) {
    char data[4];
    keystead_bytes bytes;
    data[0] = (char)(number & 0xff);
    data[1] = (char)(number >> 8 & 0xff);
    data[2] = (char)(number >> 16 & 0xff);
    data[3] = (char)(number >> 24 & 0xff);
    bytes.data = data;
    bytes.size = 4;
    keystead_writer_bytes_raw(writer, bytes);
}

static inline void keystead_writer_part_raw(keystead_writer *writer, keystead_bytes part) {
    if (part.size > (size_t)KEYSTEAD_VALUE_MAX_BYTES) {
        writer->failed = 1;
        return;
    }
    keystead_writer_number_raw(writer, (uint32_t)part.size);
    keystead_writer_bytes_raw(writer, part);
}

static inline void keystead_writer_member_raw(keystead_writer *writer, keystead_bytes key,
                                              uint32_t kind) {
    if (writer->levels == 0 || writer->members == KEYSTEAD_VALUE_MAX_MEMBERS) {
        writer->failed = 1;
        return;
    }
    writer->members++;
    writer->counts[writer->levels - 1]++;
    keystead_writer_part_raw(writer, key);
    keystead_writer_number_raw(writer, kind);
}

static inline void keystead_writer_open_raw(keystead_writer *writer) {
    if (writer->failed || writer->levels == KEYSTEAD_VALUE_MAX_LEVELS) {
        writer->failed = 1;
        return;
    }
    writer->starts[writer->levels] = writer->size;
    writer->counts[writer->levels] = 0;
    writer->levels++;
    keystead_writer_number_raw(writer, 0); /* the count, which is known at the end */
}

static inline void keystead_writer_close_raw(keystead_writer *writer) {
    size_t end = writer->size;
    if (writer->failed || writer->levels == 0) {
        writer->failed = 1;
        return;
    }
    writer->levels--;
    writer->size = writer->starts[writer->levels];
    keystead_writer_number_raw(writer, writer->counts[writer->levels]);
    writer->size = end;
}

/* Begins the outermost map. */
static inline void keystead_writer_begin(keystead_writer *writer, char *buffer, size_t room) {
    memset(writer, 0, sizeof *writer);
    writer->buffer = buffer;
    writer->room = buffer ? room : 0;
    keystead_writer_open_raw(writer);
}

/* Each adds one member to the innermost map that is open. */
static inline void keystead_writer_text(keystead_writer *writer, keystead_bytes key,
                                        keystead_bytes text) {
    keystead_writer_member_raw(writer, key, KEYSTEAD_VALUE_TEXT);
    keystead_writer_part_raw(writer, text);
}

static inline void keystead_writer_bytes(keystead_writer *writer, keystead_bytes key,
                                         keystead_bytes bytes) {
    keystead_writer_member_raw(writer, key, KEYSTEAD_VALUE_BYTES);
    keystead_writer_part_raw(writer, bytes);
}

static inline void keystead_writer_json(keystead_writer *writer, keystead_bytes key,
                                        keystead_bytes text) {
    keystead_writer_member_raw(writer, key, KEYSTEAD_VALUE_JSON);
    keystead_writer_part_raw(writer, text);
}

static inline void keystead_writer_credential(keystead_writer *writer, keystead_bytes key,
                                              keystead_bytes user, keystead_bytes password) {
    keystead_writer_member_raw(writer, key, KEYSTEAD_VALUE_CREDENTIAL);
    keystead_writer_part_raw(writer, user);
    keystead_writer_part_raw(writer, password);
}

/* A member of any kind that is in its byte form already. */
static inline void keystead_writer_value(keystead_writer *writer, keystead_bytes key, uint32_t kind,
                                         keystead_bytes value) {
    keystead_writer_member_raw(writer, key, kind);
    keystead_writer_bytes_raw(writer, value);
}

/* A member that is a map: what follows is in it, until it ends. */
static inline void keystead_writer_begin_map(keystead_writer *writer, keystead_bytes key) {
    keystead_writer_member_raw(writer, key, KEYSTEAD_VALUE_MAP);
    keystead_writer_open_raw(writer);
}

static inline void keystead_writer_end_map(keystead_writer *writer) {
    if (writer->levels < 2) writer->failed = 1;
    keystead_writer_close_raw(writer);
}

/* Ends the outermost map and puts its byte form into `value`. Returns whether it is whole: the
 * buffer was large enough, every other map has ended, and no limit was exceeded. Where only the
 * buffer is too small, `failed` is 0 and `size` is what is needed. */
static inline int keystead_writer_end(keystead_writer *writer, keystead_bytes *value) {
    if (writer->levels != 1) writer->failed = 1;
    keystead_writer_close_raw(writer);
    value->size = 0;
    value->data = NULL;
    if (writer->failed || writer->size > writer->room) return 0;
    value->size = writer->size;
    value->data = writer->buffer;
    return 1;
}

#ifdef __cplusplus
}
#endif

#endif
