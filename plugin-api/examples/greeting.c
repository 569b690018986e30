/* A small vault in C: one secret, `greeting`, which its registration says.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include <stdlib.h>

#include "keystead_plugin.h"

KEYSTEAD_MANIFEST(
    "{\"schema\":1,\"id\":\"greeting\",\"version\":\"1.0.0\",\"api\":\"" KEYSTEAD_API_VERSION "\","
    "\"description\":\"One secret\",\"vendor\":\"Example\",\"license\":\"MIT\",\"homepage\":\"\","
    "\"permissions\":[],\"kinds\":[{\"name\":\"greeting\",\"description\":\"a greeting\","
    "\"names\":\"case-sensitive\",\"capabilities\":[],\"values\":[\"text\"],\"parameters\":["
    "{\"name\":\"words\",\"kind\":\"text\",\"description\":\"what it says\",\"required\":true,"
    "\"secret\":false,\"default\":\"\"}]}]}");

static const keystead_host *host;

struct keystead_vault {
    char *words;
};

static keystead_status open_vault(const keystead_open_request *request, keystead_context context,
                                  keystead_reply reply, keystead_vault **vault) {
    keystead_bytes words = request->parameters[0].text; /* required, and the only one */
    keystead_vault *new = malloc(sizeof *new);
    (void)context, (void)reply;
    if (!new || !(new->words = calloc(1, words.size + 1))) {
        free(new);
        return KEYSTEAD_UNAVAILABLE;
    }
    memcpy(new->words, words.data, words.size);
    *vault = new;
    return KEYSTEAD_OK;
}

static void close_vault(keystead_vault *vault) {
    free(vault->words);
    free(vault);
}

static keystead_status get(keystead_vault *vault, const keystead_get_request *request,
                           keystead_reply reply) {
    if (request->version.data) return KEYSTEAD_UNSUPPORTED;
    if (!keystead_is(request->name, "greeting")) return KEYSTEAD_NOT_FOUND;
    host->text(reply, keystead_text(vault->words));
    return KEYSTEAD_OK;
}

static keystead_status list(keystead_vault *vault, const keystead_list_request *request,
                            keystead_reply reply) {
    (void)vault, (void)request;
    host->entry(reply, keystead_text("greeting"), KEYSTEAD_VALUE_TEXT);
    return KEYSTEAD_OK;
}

static const keystead_plugin plugin = {
    .magic = KEYSTEAD_MAGIC,
    .size = sizeof(keystead_plugin),
    .open = open_vault,
    .close = close_vault,
    .get = get,
    .list = list,
};

const keystead_plugin *keystead_plugin_v1(const keystead_host *given) {
    host = given;
    return &plugin;
}
