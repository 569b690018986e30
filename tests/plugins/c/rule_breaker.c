/* A plugin of the C ABI that breaks one rule: which one says the macro that is defined, or
 * else the name of the secret that is asked for. */
#include <stdlib.h>

#include "keystead_plugin.h"

#ifndef ID
#define ID "hostile"
#endif

KEYSTEAD_MANIFEST(
    "{\"schema\":1,\"id\":\"" ID "\",\"version\":\"1.0.0\",\"api\":\"" KEYSTEAD_API_VERSION "\","
    "\"description\":\"\",\"vendor\":\"\",\"license\":\"\",\"homepage\":\"\",\"permissions\":[],"
    "\"kinds\":[{\"name\":\"hostile\",\"description\":\"\",\"names\":\"case-sensitive\","
    "\"capabilities\":[\"unlock\"],\"values\":[\"text\"],\"parameters\":[]}]}");

static const keystead_host *host;
static keystead_reply ended;

static keystead_bytes lie(const char *start, size_t length) {
    keystead_bytes bytes;
    bytes.data = start;
    bytes.size = length;
    return bytes;
}

static int asked(keystead_bytes name, const char *fault) { return keystead_is(name, fault); }

static keystead_status sound(keystead_reply reply) {
    host->text(reply, keystead_text("sound"));
    return KEYSTEAD_OK;
}

/* An entry of this name. */
static uint32_t entry(keystead_reply reply, keystead_bytes name) {
    keystead_entry entry = {.size = sizeof entry, .name = name};
    return host->entry(reply, &entry);
}

static void challenge(keystead_reply reply, keystead_bytes id) {
    keystead_challenge challenge = {.size = sizeof challenge, .id = id};
    host->challenge(reply, &challenge);
}

static void prompt(keystead_reply reply, keystead_bytes name) {
    keystead_prompt prompt = {.size = sizeof prompt, .name = name, .label = name};
    host->prompt(reply, &prompt);
}

static keystead_status get(keystead_vault *vault, const keystead_get_request *request,
                           keystead_reply reply) {
    keystead_bytes name = request->name;
    (void)vault;
    if (asked(name, "sound")) return sound(reply);
    if (asked(name, "no-value")) return KEYSTEAD_OK;
    if (asked(name, "two-values")) return sound(reply), sound(reply);
    if (asked(name, "entry")) return entry(reply, name), sound(reply);
    if (asked(name, "status")) return 4000;
    if (asked(name, "status-told"))
        return host->message(reply, keystead_text("in my own words")), 4000;
    if (asked(name, "success-and-error")) return sound(reply), KEYSTEAD_NOT_FOUND;
    if (asked(name, "null-value")) return host->text(reply, lie(NULL, 5)), KEYSTEAD_OK;
    if (asked(name, "long-value"))
        return host->text(reply, lie("x", (size_t)-1 / 2)), KEYSTEAD_OK;
    if (asked(name, "long-message"))
        return host->message(reply, lie("x", (size_t)1 << 60)), KEYSTEAD_PERMISSION_DENIED;
    if (asked(name, "not-utf-8")) return host->text(reply, keystead_text("\xff\xfe")), KEYSTEAD_OK;
    if (asked(name, "kind")) return host->value(reply, 77, name), KEYSTEAD_OK;
    if (asked(name, "short-form"))
        return host->value(reply, KEYSTEAD_VALUE_TEXT, lie("\xff\0\0\0x", 5)), KEYSTEAD_OK;
    if (asked(name, "wide-map"))
        return host->value(reply, KEYSTEAD_VALUE_MAP, lie("\xff\xff\xff\xff", 4)), KEYSTEAD_OK;
    if (asked(name, "null-metadata")) return host->metadata(reply, NULL), sound(reply);
    if (asked(name, "odd-metadata"))
        return host->metadata(reply, (const keystead_metadata *)(uintptr_t)3), sound(reply);
    if (asked(name, "locked")) return KEYSTEAD_LOCKED;
    if (asked(name, "locked-for-nothing")) return challenge(reply, name), KEYSTEAD_LOCKED;
    if (asked(name, "prompt-twice")) {
        challenge(reply, name);
        prompt(reply, name);
        return prompt(reply, name), KEYSTEAD_LOCKED;
    }
    if (asked(name, "null-challenge")) return host->challenge(reply, NULL), KEYSTEAD_LOCKED;
    if (asked(name, "short-entry")) {
        keystead_entry entry = {.size = 8};
        return host->entry(reply, &entry), sound(reply);
    }
    if (asked(name, "huge-entry")) {
        keystead_entry entry = {.size = UINT32_MAX};
        return host->entry(reply, &entry), sound(reply);
    }
    if (asked(name, "choices")) {
        keystead_prompt prompt = {.size = sizeof prompt, .kind = KEYSTEAD_PROMPT_CHOICE,
                                  .choice_count = SIZE_MAX};
        challenge(reply, name);
        return host->prompt(reply, &prompt), KEYSTEAD_LOCKED;
    }
    if (asked(name, "written")) {
        keystead_written written = {.size = sizeof written, .present = KEYSTEAD_WITH_VERSION};
        return host->written(reply, &written), sound(reply);
    }
    if (asked(name, "prompts")) {
        char id = 'a';
        challenge(reply, name);
        for (; id <= 'z'; id++) prompt(reply, lie(&id, 1));
        return KEYSTEAD_LOCKED;
    }
    if (asked(name, "no-reply"))
        return host->text(0, name), host->text(~UINT64_C(0), name), KEYSTEAD_OK;
    if (asked(name, "keep")) return ended = reply, sound(reply);
    if (asked(name, "use-kept")) return host->text(ended, name), sound(reply);
    /* What nobody can check. */
    if (asked(name, "lying-length")) return host->text(reply, lie("x", 16 << 20)), KEYSTEAD_OK;
    if (asked(name, "wild-pointer"))
        return host->text(reply, lie((const char *)(uintptr_t)64, 5)), KEYSTEAD_OK;
    if (asked(name, "exit")) exit(7);
    return KEYSTEAD_NOT_FOUND;
}

static keystead_status list(keystead_vault *vault, const keystead_list_request *request,
                            keystead_reply reply) {
    size_t at;
    char digits[4] = "000";
    keystead_bytes pattern = request->pattern;
    (void)vault;
    if (pattern.size) pattern.size--; /* the wildcard at its end */
    if (asked(pattern, "over"))
        for (at = 0; at <= request->limit; at++) {
            digits[0] = (char)('0' + at / 100 % 10);
            digits[1] = (char)('0' + at / 10 % 10);
            digits[2] = (char)('0' + at % 10);
            entry(reply, lie(digits, 3));
        }
    if (asked(pattern, "still"))
        host->next_cursor(reply, request->cursor.size ? request->cursor : keystead_text("still"));
    if (asked(pattern, "cycle"))
        host->next_cursor(reply, keystead_text(keystead_is(request->cursor, "a") ? "b" : "a"));
    if (asked(pattern, "long-cursor")) host->next_cursor(reply, lie("x", 5000));
    if (asked(pattern, "two-cursors")) host->next_cursor(reply, pattern), host->next_cursor(reply, pattern);
    if (asked(pattern, "name")) entry(reply, keystead_text("\xff"));
    if (asked(pattern, "control")) entry(reply, keystead_text("a\x1b[2J"));
    if (asked(pattern, "empty")) entry(reply, keystead_text(""));
    if (asked(pattern, "value")) host->text(reply, pattern);
    if (asked(pattern, "metadata")) {
        keystead_metadata one = {sizeof one, KEYSTEAD_METADATA_INTEGER, {"a", 1}, 1, {NULL, 0}};
        host->metadata(reply, &one);
    }
    return KEYSTEAD_OK;
}

static keystead_status open_vault(const keystead_host *own, keystead_context context,
                                  const keystead_open_request *request, keystead_reply reply,
                                  keystead_vault **vault) {
    static int state;
    host = own;
    (void)request, (void)context, (void)reply;
#ifdef OPENS_NOTHING
    return KEYSTEAD_OK;
#endif
#ifdef REFUSES_AND_OPENS
    *vault = (keystead_vault *)(uintptr_t)8; /* must not be closed */
    return host->message(reply, keystead_text("not today")), KEYSTEAD_PERMISSION_DENIED;
#endif
    *vault = (keystead_vault *)&state;
    return KEYSTEAD_OK;
}

static void close_vault(keystead_vault *vault) {
#ifdef REFUSES_AND_OPENS
    abort();
#endif
    (void)vault;
}

#ifndef MAGIC
#define MAGIC KEYSTEAD_MAGIC
#endif
#ifndef SIZE
#define SIZE sizeof(keystead_plugin)
#endif
#ifdef GET_IS_NULL
#define GET NULL
#else
#define GET get
#endif

/* A newer table has more behind what is known. */
static struct {
    keystead_plugin plugin;
    void *more[4];
} table = {
    {.magic = MAGIC, .size = SIZE, .open = open_vault, .close = close_vault, .get = GET,
     .list = list},
    {(void *)16},
};

const keystead_plugin *keystead_plugin_v1(void) {
#ifdef ANSWER
    return (const keystead_plugin *)(ANSWER);
#else
    return &table.plugin;
#endif
}
