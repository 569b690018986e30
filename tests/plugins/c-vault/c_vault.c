/* A whole vault in C: secrets in memory, gone when the vault is closed. It can be written to,
 * keeps metadata and versions' numbers, and may be locked with a password.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>

#include "keystead_plugin.h"

KEYSTEAD_MANIFEST(
    "{\"schema\":1,\"id\":\"c-vault\",\"version\":\"1.0.0\",\"api\":\"" KEYSTEAD_API_VERSION "\","
    "\"description\":\"Secrets in memory\",\"vendor\":\"Example\",\"license\":\"MIT\","
    "\"homepage\":\"\",\"permissions\":[],\"kinds\":[{\"name\":\"memory\",\"description\":"
    "\"secrets until the vault is closed\",\"names\":\"case-sensitive\","
    "\"capabilities\":[\"write\",\"metadata\",\"unlock\",\"conditional\"],"
    "\"values\":[\"text\",\"bytes\",\"credential\",\"map\",\"json\"],\"parameters\":["
    "{\"name\":\"password\",\"kind\":\"text\",\"description\":\"locks the vault until it is "
    "given\",\"required\":false,\"secret\":true,\"default\":\"\"}]}]}");

typedef struct secret {
    struct secret *next; /* sorted by name */
    keystead_bytes name, value;
    uint32_t kind;
    char version[24]; /* a number that no other state of a secret has had */
    keystead_metadata *metadata; size_t count;
} secret;

struct keystead_vault {
    const keystead_host *host;
    secret *first;
    keystead_bytes password; /* null: it is never locked */
    int locked;
    unsigned long long written; /* how many writes there were */
};

/* Also of nothing a copy is not null. */
static keystead_bytes copy(keystead_bytes bytes) {
    keystead_bytes own = {malloc(bytes.size + 1), bytes.size};
    if (own.data) keystead_copy((char *)own.data, bytes);
    return own;
}

static void wipe(keystead_bytes *bytes) {
    if (bytes->data) explicit_bzero((char *)bytes->data, bytes->size);
    free((char *)bytes->data);
    bytes->data = NULL;
}

/* Returns the place of the first secret whose name is not before this one. */
static secret **place(keystead_vault *vault, keystead_bytes name) {
    secret **at = &vault->first;
    while (*at && keystead_compare((*at)->name, name) < 0) at = &(*at)->next;
    return at;
}

static secret *find(keystead_vault *vault, keystead_bytes name) {
    secret *found = *place(vault, name);
    return found && keystead_compare(found->name, name) == 0 ? found : NULL;
}

static void forget(secret *one) {
    wipe(&one->name), wipe(&one->value);
    free(one->metadata);
    free(one);
}

/* Replaces a secret's metadata by a copy in one block: the array, then lists, then texts. */
static keystead_status keep_metadata(secret *one, const keystead_metadata *const *new, size_t count) {
    size_t at, n, listed = 0, room = (count + 1) * sizeof **new;
    for (at = 0; at < count; at++) {
        room += new[at]->key.size + new[at]->text.size;
        for (n = 0; n < new[at]->text_count; n++) room += new[at]->texts[n].size;
        listed += new[at]->text_count;
    }
    keystead_metadata *own = malloc(room + listed * sizeof(keystead_bytes));
    if (!own) return KEYSTEAD_UNAVAILABLE;
    keystead_bytes *list = (keystead_bytes *)(own + count);
    char *to = (char *)(list + listed);
    for (at = 0; at < count; at++) {
        own[at] = *new[at];
        own[at].size = sizeof own[at]; /* a newer host's may be longer */
        own[at].key.data = to, to = keystead_copy(to, new[at]->key);
        own[at].text.data = to, to = keystead_copy(to, new[at]->text);
        own[at].texts = list;
        for (n = 0; n < own[at].text_count; n++, list++) {
            *list = new[at]->texts[n];
            list->data = to, to = keystead_copy(to, new[at]->texts[n]);
        }
    }
    free(one->metadata);
    one->metadata = own, one->count = count;
    return KEYSTEAD_OK;
}

static void answer_metadata(keystead_vault *v, const secret *one, keystead_reply reply) {
    for (size_t at = 0; at < one->count; at++) v->host->metadata(reply, &one->metadata[at]);
}

/* Gives a secret that was written a new version, and answers it. */
static keystead_status written(keystead_vault *v, secret *one, keystead_reply reply) {
    keystead_written answer = {.size = sizeof answer, .present = KEYSTEAD_WITH_VERSION};
    snprintf(one->version, sizeof one->version, "%llu", ++v->written);
    answer.version = keystead_text(one->version);
    v->host->written(reply, &answer);
    return KEYSTEAD_OK;
}

/* Says whether a write may go on that expects a version, or any. */
static keystead_status check(const secret *found, uint32_t present, keystead_bytes expected) {
    if (!(present & KEYSTEAD_WITH_IF_VERSION)) return KEYSTEAD_OK;
    if (!found) return KEYSTEAD_NOT_FOUND;
    return keystead_is(expected, found->version) ? KEYSTEAD_OK : KEYSTEAD_CONFLICT;
}

static int is_locked(keystead_vault *v, keystead_reply reply) {
    keystead_challenge challenge = {.size = sizeof challenge, .id = keystead_text("password")};
    keystead_prompt prompt = {.size = sizeof prompt, .flags = KEYSTEAD_PROMPT_FLAG_HIDDEN};
    prompt.name = keystead_text("password"), prompt.label = keystead_text("Password");
    if (!v->locked) return 0;
    v->host->challenge(reply, &challenge);
    v->host->prompt(reply, &prompt);
    return 1;
}

static keystead_status get(keystead_vault *v, const keystead_get_request *r, keystead_reply to) {
    keystead_secret known = {.size = sizeof known, .present = KEYSTEAD_WITH_VERSION};
    secret *found;
    if (is_locked(v, to)) return KEYSTEAD_LOCKED;
    if (r->present & KEYSTEAD_WITH_VERSION) return KEYSTEAD_UNSUPPORTED;
    if (!(found = find(v, r->name))) return KEYSTEAD_NOT_FOUND;
    known.version = keystead_text(found->version);
    v->host->value(to, found->kind, found->value);
    v->host->secret(to, &known);
    answer_metadata(v, found, to);
    return KEYSTEAD_OK;
}

static keystead_status list(keystead_vault *v, const keystead_list_request *r, keystead_reply to) {
    int first = !(r->present & KEYSTEAD_WITH_CURSOR);
    secret *one = v->first;
    if (is_locked(v, to)) return KEYSTEAD_LOCKED;
    while (one && !first && keystead_compare(one->name, r->cursor) <= 0) one = one->next;
    for (size_t count = 0; one && count < r->limit; count++, one = one->next) {
        keystead_entry entry = {.size = sizeof entry, .present = KEYSTEAD_WITH_VERSION};
        entry.name = one->name, entry.kind = one->kind;
        entry.version = keystead_text(one->version);
        v->host->entry(to, &entry);
        answer_metadata(v, one, to);
        if (count + 1 == r->limit && one->next) v->host->next_cursor(to, one->name);
    }
    return KEYSTEAD_OK;
}

static keystead_status set(keystead_vault *v, const keystead_set_request *r, keystead_reply to) {
    secret **at = place(v, r->name), *found = find(v, r->name), *one;
    keystead_status status = check(found, r->present, r->if_version);
    if (is_locked(v, to)) return KEYSTEAD_LOCKED;
    if (status) return status;
    if (r->mode == KEYSTEAD_MODE_CREATE_ONLY && found) return KEYSTEAD_ALREADY_EXISTS;
    if (r->mode == KEYSTEAD_MODE_REPLACE && !found) return KEYSTEAD_NOT_FOUND;
    one = found ? found : calloc(1, sizeof *one);
    keystead_bytes value = copy(r->value);
    if (one && !found) one->name = copy(r->name);
    if (!one || !one->name.data || !value.data ||
        ((r->present & KEYSTEAD_WITH_METADATA) &&
         keep_metadata(one, r->metadata, r->metadata_count))) {
        wipe(&value);
        if (one && !found) forget(one);
        return KEYSTEAD_UNAVAILABLE;
    }
    wipe(&one->value);
    one->value = value, one->kind = r->value_kind;
    if (!found) one->next = *at, *at = one;
    return written(v, one, to);
}

static keystead_status erase(keystead_vault *v, const keystead_remove_request *r,
                             keystead_reply to) {
    secret **at = place(v, r->name), *found = find(v, r->name);
    keystead_status status = check(found, r->present, r->if_version);
    if (is_locked(v, to)) return KEYSTEAD_LOCKED;
    if (status || !found) return status ? status : (keystead_status)KEYSTEAD_NOT_FOUND;
    *at = found->next;
    forget(found);
    return KEYSTEAD_OK;
}

static keystead_status set_metadata(keystead_vault *v, const keystead_set_metadata_request *r,
                                    keystead_reply to) {
    secret *found = find(v, r->name);
    keystead_status status = check(found, r->present, r->if_version);
    if (is_locked(v, to)) return KEYSTEAD_LOCKED;
    if (status || !found) return status ? status : (keystead_status)KEYSTEAD_NOT_FOUND;
    status = keep_metadata(found, r->metadata, r->metadata_count);
    return status ? status : written(v, found, to);
}

static keystead_status rules(keystead_vault *v, const keystead_rules_request *r,
                             keystead_reply to) {
    keystead_rules rules = {.size = sizeof rules, .names = KEYSTEAD_NAMES_EXACT};
    (void)r;
    v->host->rules(to, &rules);
    return KEYSTEAD_OK;
}

static keystead_status unlock(keystead_vault *v, const keystead_unlock_request *r,
                              keystead_reply to) {
    (void)to;
    if (!v->password.data) return KEYSTEAD_UNSUPPORTED;
    if (!keystead_is(r->challenge, "password")) return KEYSTEAD_INVALID;
    if (r->answer_count != 1 || keystead_compare(r->answers[0]->value, v->password))
        return KEYSTEAD_PERMISSION_DENIED;
    v->locked = 0;
    return KEYSTEAD_OK;
}

static keystead_status lock(keystead_vault *v, const keystead_lock_request *r, keystead_reply to) {
    (void)r, (void)to;
    v->locked = v->password.data != NULL;
    return v->locked ? KEYSTEAD_OK : KEYSTEAD_UNSUPPORTED;
}

static void close_(keystead_vault *vault) {
    for (secret *one; (one = vault->first); forget(one)) vault->first = one->next;
    wipe(&vault->password);
    free(vault);
}

static keystead_status open_(const keystead_host *host, keystead_context context,
                             const keystead_open_request *request, keystead_reply reply,
                             keystead_vault **vault) {
    const keystead_parameter *password =
        keystead_find(request->parameters, request->parameter_count, "password");
    keystead_vault *new = calloc(1, sizeof *new);
    (void)context, (void)reply;
    if (!new) return KEYSTEAD_UNAVAILABLE;
    new->host = host;
    if (password) new->password = copy(password->text);
    new->locked = new->password.data != NULL;
    *vault = new;
    return KEYSTEAD_OK;
}

/* What is not here is null: the vault cannot do it, or the host knows how to do without. */
static const keystead_plugin plugin = {
    .magic = KEYSTEAD_MAGIC, .size = sizeof(keystead_plugin),
    .flags = KEYSTEAD_PLUGIN_FLAG_CONDITIONAL | KEYSTEAD_PLUGIN_FLAG_TEXT_LISTS,
    .open = open_, .close = close_, .get = get,
    .list = list, .set = set, .remove = erase, .set_metadata = set_metadata, .unlock = unlock,
    .lock = lock, .rules = rules,
};

const keystead_plugin *keystead_plugin_v1(void) { return &plugin; }
