/* The plugin `skew` in C: compiled with today's headers and with those of a later version, which
 * tests/boundary/skew/header.rs makes, it is the older and the newer one of a pair.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include <stdlib.h>

#include "keystead_value.h"

KEYSTEAD_MANIFEST(
    "{\"schema\":1,\"id\":\"skew-c\",\"version\":\"0.1.0\",\"api\":\"" KEYSTEAD_API_VERSION "\","
    "\"kinds\":[{\"name\":\"vault\",\"capabilities\":[\"write\",\"metadata\"]}]}");

struct keystead_vault {
    const keystead_host *host;
    keystead_context context;
    int written;
};

static void say(keystead_vault *v, uint32_t level, const char *what, keystead_bytes of) {
    char line[64], *end;
    if (of.size > 32) of.size = 32;
    end = keystead_copy(keystead_copy(line, keystead_text(what)), of);
    keystead_bytes bytes = {line, (size_t)(end - line)};
    v->host->log_line(v->context, level, bytes);
}

static keystead_status open(const keystead_host *host, keystead_context context,
                            const keystead_open_request *r, keystead_reply reply,
                            keystead_vault **vault) {
    keystead_vault *v;
    size_t at;
    for (at = 0; at < r->parameter_count; at++) {
        uint32_t kind = r->parameters[at]->kind;
#ifdef KEYSTEAD_NEXT
        if (kind == KEYSTEAD_PARAMETER_URL) continue;
#endif
        if (kind <= KEYSTEAD_PARAMETER_SECRET) continue;
        host->message(reply, keystead_text("a parameter is of a kind unknown here"));
        return KEYSTEAD_UNSUPPORTED;
    }
    v = calloc(1, sizeof *v);
    if (!v) return KEYSTEAD_UNAVAILABLE;
    v->host = host, v->context = context;
    *vault = v;
#ifdef KEYSTEAD_NEXT
    say(v, KEYSTEAD_LOG_TRACE, "opened", keystead_text(""));
#endif
    return KEYSTEAD_OK;
}

static void close(keystead_vault *v) { free(v); }

#ifdef KEYSTEAD_NEXT
/* What a newer vault answers under some names; KEYSTEAD_NOT_FOUND under all others. */
static keystead_status new_answer(keystead_vault *v, keystead_bytes name, keystead_reply reply) {
    keystead_challenge challenge = {.size = sizeof challenge, .id = name};
    keystead_prompt prompt = {.size = sizeof prompt, .flags = KEYSTEAD_PROMPT_FLAG_HIDDEN};
    prompt.name = name, prompt.label = name;
    if (keystead_is(name, "throttled") || keystead_is(name, "approval")) {
        int is_throttled = keystead_is(name, "throttled");
        v->host->message(reply, keystead_text(is_throttled ? "slow down" : "ask the other one"));
        return is_throttled ? KEYSTEAD_OVERLOADED : KEYSTEAD_APPROVAL;
    }
    if (keystead_is(name, "notify")) {
        int shown = KEYSTEAD_HAS(v->host, notify) && !v->host->notify(v->context, keystead_text("look"));
        v->host->text(reply, keystead_text(shown ? "yes" : "no"));
        return KEYSTEAD_OK;
    }
    if (keystead_is(name, "touch")) {
        challenge.wait = KEYSTEAD_WAIT_TOUCH, challenge.expires_millis = 60000;
        v->host->challenge(reply, &challenge);
        return KEYSTEAD_LOCKED;
    }
    if (!keystead_is(name, "pin") && !keystead_is(name, "digits")) return KEYSTEAD_NOT_FOUND;
    if (keystead_is(name, "pin")) prompt.kind = KEYSTEAD_PROMPT_PIN;
    else prompt.flags |= KEYSTEAD_PROMPT_FLAG_DIGITS;
    v->host->challenge(reply, &challenge);
    v->host->prompt(reply, &prompt);
    return KEYSTEAD_LOCKED;
}
#endif

#if defined(PLANTED_LENGTH)
/* Says that a value has one byte more than there is. */
static keystead_status planted(keystead_vault *v, keystead_bytes name, keystead_reply reply) {
    char *data = malloc(64);
    keystead_bytes text = {data, 65};
    (void)name;
    if (!data) return KEYSTEAD_UNAVAILABLE;
    memset(data, 'x', 64);
    v->host->text(reply, text);
    free(data);
    return KEYSTEAD_OK;
}
#elif defined(PLANTED_REQUEST)
/* Reads of the last request, which has ended. */
static keystead_status planted(keystead_vault *v, keystead_bytes name, keystead_reply reply) {
    static keystead_bytes last;
    keystead_bytes before = last;
    last = name;
    v->host->text(reply, keystead_text(before.size && before.data[0] == 'x' ? "x" : "y"));
    return KEYSTEAD_OK;
}
#endif

/* Answers one secret, or an error. */
static keystead_status answer(keystead_vault *v, const keystead_get_request *r, keystead_reply to) {
#ifdef KEYSTEAD_NEXT
    keystead_secret known = {.size = sizeof known, .present = KEYSTEAD_WITH_LEASE, .lease_millis = 60000};
    keystead_metadata digest = {.size = sizeof digest, .kind = KEYSTEAD_METADATA_DIGEST};
    if (KEYSTEAD_HAS(r, reason)) say(v, KEYSTEAD_LOG_INFO, "reason: ", r->reason);
    digest.key = keystead_text("md"), digest.text = keystead_text("\xff");
    if (keystead_is(r->name, "text")) v->host->secret(to, &known), v->host->metadata(to, &digest);
    if (keystead_is(r->name, "link")) {
        keystead_bytes link = {"\4\0\0\0text", 8};
        v->host->value(to, KEYSTEAD_VALUE_LINK, link);
        return KEYSTEAD_OK;
    }
#endif
    if (keystead_is(r->name, "text") || (v->written && keystead_is(r->name, "two"))) {
        v->host->text(to, keystead_text("plain"));
        return KEYSTEAD_OK;
    }
#ifdef KEYSTEAD_NEXT
    return new_answer(v, r->name, to);
#else
    return KEYSTEAD_NOT_FOUND;
#endif
}

static keystead_status get(keystead_vault *v, const keystead_get_request *r, keystead_reply reply) {
#if defined(PLANTED_LENGTH) || defined(PLANTED_REQUEST)
    return planted(v, r->name, reply);
#else
    return answer(v, r, reply);
#endif
}

static keystead_status get_many(keystead_vault *v, const keystead_get_many_request *r,
                                keystead_reply reply) {
    size_t at;
    for (at = 0; at < r->request_count; at++)
        v->host->result(reply, answer(v, r->requests[at], reply));
    return KEYSTEAD_OK;
}

static keystead_status list(keystead_vault *v, const keystead_list_request *r, keystead_reply reply) {
    keystead_entry entry = {.size = sizeof entry, .kind = KEYSTEAD_VALUE_TEXT};
    (void)r;
    entry.name = keystead_text("text");
    v->host->entry(reply, &entry);
#ifdef KEYSTEAD_NEXT
    entry.name = keystead_text("link"), entry.kind = KEYSTEAD_VALUE_LINK;
    v->host->entry(reply, &entry);
#endif
    return KEYSTEAD_OK;
}

static keystead_status set(keystead_vault *v, const keystead_set_request *r, keystead_reply reply) {
    (void)reply;
    say(v, KEYSTEAD_LOG_INFO, "set ", r->name);
#ifndef KEYSTEAD_NEXT
    if (r->value_kind > KEYSTEAD_VALUE_JSON || r->mode > KEYSTEAD_MODE_UPSERT)
        return KEYSTEAD_UNSUPPORTED;
#endif
    v->written = 1;
    return KEYSTEAD_OK;
}

static keystead_status set_metadata(keystead_vault *v, const keystead_set_metadata_request *r,
                                    keystead_reply reply) {
    (void)reply;
    say(v, KEYSTEAD_LOG_INFO, "set_metadata ", r->name);
    return KEYSTEAD_OK;
}

static keystead_status rules(keystead_vault *v, const keystead_rules_request *r,
                             keystead_reply reply) {
    keystead_rules rules = {.size = sizeof rules, .names = KEYSTEAD_NAMES_EXACT};
    (void)r;
#ifdef KEYSTEAD_NEXT
    rules.names = KEYSTEAD_NAMES_WIDTH, rules.folding = 15, rules.composition = 16;
#endif
    v->host->rules(reply, &rules);
    return KEYSTEAD_OK;
}

static keystead_status actions(keystead_vault *v, const keystead_actions_request *r,
                               keystead_reply reply) {
    keystead_action action = {.size = sizeof action};
    keystead_parameter_schema from = {.size = sizeof from, .kind = KEYSTEAD_SCHEMA_TEXT};
    (void)r;
#ifdef KEYSTEAD_NEXT
    from.kind = KEYSTEAD_SCHEMA_URL;
#endif
    action.id = keystead_text("fetch"), from.name = keystead_text("from");
    v->host->action(reply, &action);
    v->host->parameter(reply, &from);
    action.id = keystead_text("count");
    v->host->action(reply, &action);
    return KEYSTEAD_OK;
}

#ifdef KEYSTEAD_NEXT
static keystead_status health(keystead_vault *v, const keystead_health_request *r,
                              keystead_reply reply) {
    (void)r;
    v->host->health(reply, keystead_text("mood"), keystead_text("fine"));
    return KEYSTEAD_OK;
}
#endif

static const keystead_plugin table = {
    .magic = KEYSTEAD_MAGIC, .size = sizeof table, .open = open, .close = close, .get = get,
    .list = list, .set = set, .set_metadata = set_metadata, .actions = actions,
    .get_many = get_many, .rules = rules,
#ifdef KEYSTEAD_NEXT
    .flags = KEYSTEAD_PLUGIN_FLAG_NEXT, .health = health,
#endif
};

const keystead_plugin *keystead_plugin_v1(void) { return &table; }
