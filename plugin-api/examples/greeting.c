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

struct keystead_vault {
    const keystead_host *host;
    char *words;
};

static keystead_status KEYSTEAD_CALL open_vault(const keystead_host *host, keystead_context context,
                                                const keystead_open_request *request,
                                                keystead_reply reply, keystead_vault **vault) {
    const keystead_parameter *words =
        keystead_find(request->parameters, request->parameter_count, "words");
    keystead_vault *new = malloc(sizeof *new);
    (void)context, (void)reply;
    if (!new || !(new->words = calloc(1, words->text.size + 1))) {
        free(new);
        return KEYSTEAD_UNAVAILABLE;
    }
    keystead_copy(new->words, words->text); /* required, and so there */
    new->host = host;
    *vault = new;
    return KEYSTEAD_OK;
}

static void KEYSTEAD_CALL close_vault(keystead_vault *vault) {
    free(vault->words);
    free(vault);
}

static keystead_status KEYSTEAD_CALL get(keystead_vault *vault,
                                         const keystead_get_request *request,
                                         keystead_reply reply) {
    if (request->present & KEYSTEAD_WITH_VERSION) return KEYSTEAD_UNSUPPORTED;
    if (!keystead_is(request->name, "greeting")) return KEYSTEAD_NOT_FOUND;
    vault->host->text(reply, keystead_text(vault->words));
    return KEYSTEAD_OK;
}

static keystead_status KEYSTEAD_CALL list(keystead_vault *vault,
                                          const keystead_list_request *request,
                                          keystead_reply reply) {
    keystead_entry entry = {.size = sizeof entry, .kind = KEYSTEAD_VALUE_TEXT};
    (void)request;
    entry.name = keystead_text("greeting");
    vault->host->entry(reply, &entry);
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

const keystead_plugin *KEYSTEAD_CALL keystead_plugin_v1(void) { return &plugin; }
