/* A whole vault in C: secrets in memory, gone when the vault is closed. It can be written to,
 * keeps metadata, and may be locked with a password.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _DEFAULT_SOURCE
#include <stdlib.h>

#include "keystead_plugin.h"

KEYSTEAD_MANIFEST(
    "{\"schema\":1,\"id\":\"c-vault\",\"version\":\"1.0.0\",\"api\":\"" KEYSTEAD_API_VERSION "\","
    "\"description\":\"Secrets in memory\",\"vendor\":\"Example\",\"license\":\"MIT\","
    "\"homepage\":\"\",\"permissions\":[],\"kinds\":[{\"name\":\"memory\",\"description\":"
    "\"secrets until the vault is closed\",\"names\":\"case-sensitive\","
    "\"capabilities\":[\"write\",\"metadata\",\"unlock\"],"
    "\"values\":[\"text\",\"bytes\",\"credential\",\"map\"],\"parameters\":["
    "{\"name\":\"password\",\"kind\":\"text\",\"description\":\"locks the vault until it is "
    "given\",\"required\":false,\"secret\":true,\"default\":\"\"}]}]}");

static const keystead_host *host; /* the same for all vaults, and never changed */

typedef struct secret {
    struct secret *next; /* sorted by name */
    keystead_bytes name, value;
    uint32_t kind;
    keystead_metadata *metadata; size_t count;
} secret;

struct keystead_vault {
    secret *first;
    keystead_bytes password; /* absent: it is never locked */
    int locked;
};

static keystead_bytes copy(keystead_bytes bytes) {
    keystead_bytes own = {malloc(bytes.size + 1), bytes.size};
    if (own.data && bytes.size) memcpy((char *)own.data, bytes.data, bytes.size);
    return own;
}

static void wipe(keystead_bytes *bytes) {
    if (bytes->data) explicit_bzero((char *)bytes->data, bytes->size);
    free((char *)bytes->data);
    bytes->data = NULL;
}

static int compare(keystead_bytes a, keystead_bytes b) {
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* Returns the place of the first secret whose name is not before this one. */
static secret **place(keystead_vault *vault, keystead_bytes name) {
    secret **at = &vault->first;
    while (*at && compare((*at)->name, name) < 0) at = &(*at)->next;
    return at;
}

static secret *find(keystead_vault *vault, keystead_bytes name) {
    secret *found = *place(vault, name);
    return found && compare(found->name, name) == 0 ? found : NULL;
}

static void forget(secret *one) {
    wipe(&one->name), wipe(&one->value);
    free(one->metadata);
    free(one);
}

/* Replaces a secret's metadata by a copy in one block: the array, and then its texts. */
static keystead_status keep_metadata(secret *one, const keystead_metadata *new, size_t count) {
    size_t at, room = (count + 1) * sizeof *new;
    for (at = 0; at < count; at++) room += new[at].key.size + new[at].text.size;
    keystead_metadata *own = malloc(room);
    char *to = (char *)(own + count);
    if (!own) return KEYSTEAD_UNAVAILABLE;
    for (at = 0; at < count; at++) {
        own[at] = new[at];
        own[at].key.data = memcpy(to, new[at].key.data, new[at].key.size);
        to += new[at].key.size;
        if (!new[at].text.data) continue; /* a number has none */
        own[at].text.data = memcpy(to, new[at].text.data, new[at].text.size);
        to += new[at].text.size;
    }
    free(one->metadata);
    one->metadata = own, one->count = count;
    return KEYSTEAD_OK;
}

static void tell_metadata(const secret *one, keystead_reply reply) {
    for (size_t at = 0; at < one->count; at++) host->metadata(reply, &one->metadata[at]);
}

static int is_locked(keystead_vault *vault, keystead_reply reply) {
    if (!vault->locked) return 0;
    host->challenge(reply, keystead_text("password"));
    host->prompt(reply, keystead_text("password"), keystead_text("Password"), KEYSTEAD_HIDDEN);
    return 1;
}

static keystead_status get(keystead_vault *v, const keystead_get_request *r, keystead_reply to) {
    secret *found;
    if (is_locked(v, to)) return KEYSTEAD_LOCKED;
    if (r->version.data) return KEYSTEAD_UNSUPPORTED;
    if (!(found = find(v, r->name))) return KEYSTEAD_NOT_FOUND;
    host->value(to, found->kind, found->value);
    tell_metadata(found, to);
    return KEYSTEAD_OK;
}

static keystead_status list(keystead_vault *v, const keystead_list_request *r, keystead_reply to) {
    secret *one = v->first;
    if (is_locked(v, to)) return KEYSTEAD_LOCKED;
    while (one && r->cursor.data && compare(one->name, r->cursor) <= 0) one = one->next;
    for (size_t told = 0; one && told < r->limit; told++, one = one->next) {
        host->entry(to, one->name, one->kind);
        tell_metadata(one, to);
        if (told + 1 == r->limit && one->next) host->next_cursor(to, one->name);
    }
    return KEYSTEAD_OK;
}

static keystead_status set(keystead_vault *v, const keystead_set_request *r, keystead_reply to) {
    secret **at = place(v, r->name), *found = find(v, r->name), *one;
    if (is_locked(v, to)) return KEYSTEAD_LOCKED;
    if (r->mode == KEYSTEAD_CREATE_ONLY && found) return KEYSTEAD_ALREADY_EXISTS;
    if (r->mode == KEYSTEAD_REPLACE && !found) return KEYSTEAD_NOT_FOUND;
    one = found ? found : calloc(1, sizeof *one);
    keystead_bytes value = copy(r->value);
    if (one && !found) one->name = copy(r->name);
    if (!one || !one->name.data || !value.data ||
        (r->metadata && keep_metadata(one, r->metadata, r->metadata_count))) {
        wipe(&value);
        if (one && !found) forget(one);
        return KEYSTEAD_UNAVAILABLE;
    }
    wipe(&one->value);
    one->value = value, one->kind = r->value_kind;
    if (!found) one->next = *at, *at = one;
    return KEYSTEAD_OK;
}

static keystead_status erase(keystead_vault *v, const keystead_get_request *r, keystead_reply to) {
    secret **at = place(v, r->name), *found = find(v, r->name);
    if (is_locked(v, to)) return KEYSTEAD_LOCKED;
    if (!found) return KEYSTEAD_NOT_FOUND;
    *at = found->next;
    forget(found);
    return KEYSTEAD_OK;
}

static keystead_status set_metadata(keystead_vault *v, const keystead_set_metadata_request *r,
                                    keystead_reply to) {
    secret *found = find(v, r->name);
    if (is_locked(v, to)) return KEYSTEAD_LOCKED;
    if (!found) return KEYSTEAD_NOT_FOUND;
    return keep_metadata(found, r->metadata, r->metadata_count);
}

static keystead_status unlock(keystead_vault *v, const keystead_unlock_request *r,
                              keystead_reply to) {
    (void)to;
    if (!v->password.data) return KEYSTEAD_UNSUPPORTED;
    if (!keystead_is(r->challenge, "password")) return KEYSTEAD_INVALID;
    if (r->answer_count != 1 || compare(r->answers[0].value, v->password))
        return KEYSTEAD_PERMISSION_DENIED;
    v->locked = 0;
    return KEYSTEAD_OK;
}

static keystead_status lock(keystead_vault *v, const keystead_plain_request *r, keystead_reply to) {
    (void)r, (void)to;
    v->locked = v->password.data != NULL;
    return v->locked ? KEYSTEAD_OK : KEYSTEAD_UNSUPPORTED;
}

static void close_(keystead_vault *vault) {
    for (secret *one; (one = vault->first); forget(one)) vault->first = one->next;
    wipe(&vault->password);
    free(vault);
}

static keystead_status open_(const keystead_open_request *request, keystead_context context,
                             keystead_reply reply, keystead_vault **vault) {
    keystead_vault *new = calloc(1, sizeof *new);
    (void)context, (void)reply;
    if (!new) return KEYSTEAD_UNAVAILABLE;
    if (request->parameter_count == 1) new->password = copy(request->parameters[0].text);
    new->locked = new->password.data != NULL;
    *vault = new;
    return KEYSTEAD_OK;
}

/* What is not here is null: the vault cannot do it, or the host knows how to do without. */
static const keystead_plugin plugin = {
    .magic = KEYSTEAD_MAGIC, .size = sizeof(keystead_plugin), .open = open_, .close = close_,
    .get = get, .list = list, .set = set, .remove = erase, .set_metadata = set_metadata,
    .unlock = unlock, .lock = lock,
};

const keystead_plugin *keystead_plugin_v1(const keystead_host *given) {
    host = given;
    return &plugin;
}
