/* The plugin's manifest and table, which lead to the functions in vault.go.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "glue.h"

#include "_cgo_export.h"

KEYSTEAD_MANIFEST(
    "{\"schema\":1,\"id\":\"go-vault\",\"version\":\"1.0.0\",\"api\":\"" KEYSTEAD_API_VERSION "\","
    "\"description\":\"Secrets in a JSON file, in clear text\",\"vendor\":\"Example\","
    "\"license\":\"MIT\",\"homepage\":\"\",\"permissions\":[\"files:{file}/..:rw\"],\"kinds\":["
    "{\"name\":\"json\",\"description\":\"a file of secrets\",\"names\":\"case-sensitive\","
    "\"capabilities\":[\"write\"],\"values\":[\"text\",\"bytes\",\"credential\",\"map\"],"
    "\"parameters\":[{\"name\":\"file\",\"kind\":\"path\",\"description\":\"the file\","
    "\"required\":true,\"secret\":false,\"default\":\"\"}]}]}");

static const keystead_host *host;

static keystead_bytes bytes(char *start, size_t length) {
    keystead_bytes bytes = {start, length};
    return bytes;
}

void tell_message(keystead_reply reply, char *start, size_t length) {
    host->message(reply, bytes(start, length));
}

void tell_value(keystead_reply reply, uint32_t kind, char *start, size_t length) {
    host->value(reply, kind, bytes(start, length));
}

void tell_entry(keystead_reply reply, uint32_t kind, char *start, size_t length) {
    host->entry(reply, bytes(start, length), kind);
}

void tell_next(keystead_reply reply, char *start, size_t length) {
    host->next_cursor(reply, bytes(start, length));
}

static keystead_status open_vault(const keystead_open_request *r, keystead_context context,
                                  keystead_reply reply, keystead_vault **vault) {
    (void)context, (void)reply;
    *vault = (keystead_vault *)goOpen(r->parameters[0].text);
    return KEYSTEAD_OK;
}

static void close_vault(keystead_vault *vault) { goClose((uintptr_t)vault); }

static keystead_status get(keystead_vault *v, const keystead_get_request *r, keystead_reply to) {
    return r->version.data ? KEYSTEAD_UNSUPPORTED : goGet((uintptr_t)v, r->name, to);
}

static keystead_status list(keystead_vault *v, const keystead_list_request *r, keystead_reply to) {
    return goList((uintptr_t)v, r->cursor, r->limit, to);
}

static keystead_status set(keystead_vault *v, const keystead_set_request *r, keystead_reply to) {
    if (r->metadata_count > 0) return KEYSTEAD_UNSUPPORTED;
    return goSet((uintptr_t)v, r->name, r->value, r->value_kind, r->mode, to);
}

static keystead_status erase(keystead_vault *v, const keystead_get_request *r, keystead_reply to) {
    return goRemove((uintptr_t)v, r->name, to);
}

static const keystead_plugin plugin = {
    .magic = KEYSTEAD_MAGIC, .size = sizeof(keystead_plugin), .open = open_vault,
    .close = close_vault, .get = get, .list = list, .set = set, .remove = erase,
};

const keystead_plugin *keystead_plugin_v1(const keystead_host *given) {
    host = given;
    return &plugin;
}
