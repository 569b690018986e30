/* The plugin's manifest and table, which lead to the functions in vault.go.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "glue.h"

#include <stdlib.h>

#include "_cgo_export.h"

KEYSTEAD_MANIFEST(
    "{\"schema\":1,\"id\":\"go-vault\",\"version\":\"1.0.0\",\"api\":\"" KEYSTEAD_API_VERSION "\","
    "\"description\":\"Secrets in a JSON file, in clear text\",\"vendor\":\"Example\","
    "\"license\":\"MIT\",\"homepage\":\"\",\"permissions\":[\"files:{file}/..:rw\"],\"kinds\":["
    "{\"name\":\"json\",\"description\":\"a file of secrets\",\"names\":\"case-sensitive\","
    "\"capabilities\":[\"write\"],\"values\":[\"text\",\"bytes\",\"credential\",\"map\",\"json\"],"
    "\"parameters\":[{\"name\":\"file\",\"kind\":\"path\",\"description\":\"the file\","
    "\"required\":true,\"secret\":false,\"default\":\"\"}]}]}");

/* What an open vault is: Go's handle of it, and its host. */
struct keystead_vault {
    const keystead_host *host;
    uintptr_t handle;
};

static keystead_bytes bytes(char *start, size_t length) {
    keystead_bytes bytes = {start, length};
    return bytes;
}

void answer_message(answering host, keystead_reply reply, char *start, size_t length) {
    host->message(reply, bytes(start, length));
}

void answer_value(answering host, keystead_reply reply, uint32_t kind, char *start,
                  size_t length) {
    host->value(reply, kind, bytes(start, length));
}

void answer_entry(answering host, keystead_reply reply, uint32_t kind, char *start,
                  size_t length) {
    keystead_entry entry = {.size = sizeof entry, .kind = kind, .name = bytes(start, length)};
    host->entry(reply, &entry);
}

void answer_next(answering host, keystead_reply reply, char *start, size_t length) {
    host->next_cursor(reply, bytes(start, length));
}

static keystead_status open_vault(const keystead_host *host, keystead_context context,
                                  const keystead_open_request *r, keystead_reply reply,
                                  keystead_vault **vault) {
    keystead_vault *new = malloc(sizeof *new);
    (void)context, (void)reply;
    if (!new) return KEYSTEAD_UNAVAILABLE;
    new->host = host;
    new->handle = goOpen(keystead_find(r->parameters, r->parameter_count, "file")->text);
    *vault = new;
    return KEYSTEAD_OK;
}

static void close_vault(keystead_vault *vault) {
    goClose(vault->handle);
    free(vault);
}

static keystead_status get(keystead_vault *v, const keystead_get_request *r, keystead_reply to) {
    if (r->present & KEYSTEAD_WITH_VERSION) return KEYSTEAD_UNSUPPORTED;
    return goGet(v->host, v->handle, r->name, to);
}

static keystead_status list(keystead_vault *v, const keystead_list_request *r, keystead_reply to) {
    return goList(v->host, v->handle, r->cursor, r->limit, to);
}

static keystead_status set(keystead_vault *v, const keystead_set_request *r, keystead_reply to) {
    if (r->metadata_count > 0) return KEYSTEAD_UNSUPPORTED;
    return goSet(v->host, v->handle, r->name, r->value, r->value_kind, r->mode, to);
}

static keystead_status erase(keystead_vault *v, const keystead_remove_request *r,
                             keystead_reply to) {
    return goRemove(v->host, v->handle, r->name, to);
}

static const keystead_plugin plugin = {
    .magic = KEYSTEAD_MAGIC, .size = sizeof(keystead_plugin), .open = open_vault,
    .close = close_vault, .get = get, .list = list, .set = set, .remove = erase,
};

const keystead_plugin *keystead_plugin_v1(void) { return &plugin; }
