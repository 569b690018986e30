/* The C ABI of Keystead, `c-1`: the contract of a vault plugin as tables of C functions.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A plugin is a shared library with two things in it: a manifest, which KEYSTEAD_MANIFEST puts
 * into the file, and the function keystead_plugin_v1, which returns the plugin's table. What
 * each call must do is the same as for a plugin in Rust and is written there (the traits
 * `Plugin` and `Vault` of keystead-plugin-api).
 *
 * The rules:
 *
 * - Memory. Each side frees only its own. What the host passes lives until the call returns.
 *   The host copies what a plugin passes to it before the host's function returns.
 * - Answers. A call gets a reply, a number, and passes its answer to the host's functions with
 *   it. The call ends with its status. A reply ends with its call: using it later is a fault of
 *   the plugin.
 * - Sizes. Tables and most structs begin with their size. They only ever grow at their end:
 *   never read behind the size that is given (KEYSTEAD_HAS), and fill in sizeof for your own.
 *   Start from zeroes: what is reserved is 0. Structs without a size never grow. Numbers never
 *   change their meaning.
 * - Text is UTF-8, with a size and without a final NUL. Where `size` is 0, `data` is null: check
 *   the size before you copy (keystead_copy does). Whether something is there at all is told by
 *   its bit in `present`, never by a pointer. For texts and numbers without such a bit, empty
 *   and 0 mean none.
 * - Threads. The host makes one call of what `open` gave at a time, each perhaps from another
 *   thread. Calls of different vaults, of several handles of one vault whose kind declares
 *   `concurrent`, `open` and keystead_plugin_v1 may run at the same time. The host's functions
 *   may be called from any thread; those with a reply only during its call.
 * - Never let an exception or a panic leave a function, never call exit, never write to
 *   standard output.
 *
 * Compiles as C99 and later and as C++11 and later. Beside this file are keystead_types.h, which
 * it includes, and keystead_value.h, which takes values apart and puts maps together.
 */
#ifndef KEYSTEAD_PLUGIN_H
#define KEYSTEAD_PLUGIN_H

#include <string.h>

#include "keystead_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The host's functions. Each returns 0 where the host took what it got. Otherwise the host
 * answers the whole call with an error of its own, and the plugin may as well end it. */
typedef struct keystead_host {
    uint64_t magic;
    uint32_t size;
    uint32_t flags;

    /* A line for the log, never a secret; 4,096 bytes at most. */
    uint32_t(KEYSTEAD_CALL *log_line)(keystead_context context, uint32_t level,
                                      keystead_bytes line);
    /* Runs a granted program. The host calls `take` once before this returns, also where the
     * program was not run, and wipes the output when `take` returns. Returns KEYSTEAD_OK where
     * it was run, whatever its exit status, and why not where it was not. */
    keystead_status(KEYSTEAD_CALL *exec)(keystead_context context,
                                         const keystead_exec_request *request,
                                         keystead_take_output take, void *own);

    /* Any call: a sentence for people, a lower-case fragment without full stop, never a secret.
     * With an error it is the error's; from `run_action` what was done. The host keeps 4,096
     * bytes of it. */
    uint32_t(KEYSTEAD_CALL *message)(keystead_reply reply, keystead_bytes text);
    /* With an error: after how long the same call may work. */
    uint32_t(KEYSTEAD_CALL *retry_after)(keystead_reply reply, uint64_t millis);
    /* With KEYSTEAD_LOCKED: one challenge, and then its prompts, 16 at most; none only where it waits. */
    uint32_t(KEYSTEAD_CALL *challenge)(keystead_reply reply, const keystead_challenge *challenge);
    uint32_t(KEYSTEAD_CALL *prompt)(keystead_reply reply, const keystead_prompt *prompt);

    /* get, run_action and each of get_many: the value, in its byte form or by its parts. */
    uint32_t(KEYSTEAD_CALL *value)(keystead_reply reply, uint32_t kind, keystead_bytes value);
    uint32_t(KEYSTEAD_CALL *text)(keystead_reply reply, keystead_bytes text);
    uint32_t(KEYSTEAD_CALL *bytes)(keystead_reply reply, keystead_bytes bytes);
    uint32_t(KEYSTEAD_CALL *json)(keystead_reply reply, keystead_bytes text);
    uint32_t(KEYSTEAD_CALL *credential)(keystead_reply reply, keystead_bytes user,
                                        keystead_bytes password);
    /* get, each of get_many, each entry of list and describe, each version: one piece of it. */
    uint32_t(KEYSTEAD_CALL *metadata)(keystead_reply reply, const keystead_metadata *metadata);
    /* get and each of get_many: what more is known of the secret. */
    uint32_t(KEYSTEAD_CALL *secret)(keystead_reply reply, const keystead_secret *secret);
    /* list and describe: one more entry, and then its metadata. */
    uint32_t(KEYSTEAD_CALL *entry)(keystead_reply reply, const keystead_entry *entry);
    /* list, versions, list_removed: where the next page begins, 4,096 bytes at most. Nothing on
     * the last page. */
    uint32_t(KEYSTEAD_CALL *next_cursor)(keystead_reply reply, keystead_bytes cursor);
    /* set, each of set_many, set_metadata, rename, restore: the version that there is now. */
    uint32_t(KEYSTEAD_CALL *written)(keystead_reply reply, const keystead_written *written);
    /* remove: until when the secret can be brought back. */
    uint32_t(KEYSTEAD_CALL *removed)(keystead_reply reply, const keystead_removed *removed);
    /* versions: one more, newest first, and then its metadata. */
    uint32_t(KEYSTEAD_CALL *version)(keystead_reply reply, const keystead_version *version);
    /* list_removed: one more. */
    uint32_t(KEYSTEAD_CALL *removed_secret)(keystead_reply reply,
                                            const keystead_removed_secret *removed);
    /* rules: all of them. */
    uint32_t(KEYSTEAD_CALL *rules)(keystead_reply reply, const keystead_rules *rules);
    /* actions: one more, and then its parameters. */
    uint32_t(KEYSTEAD_CALL *action)(keystead_reply reply, const keystead_action *action);
    uint32_t(KEYSTEAD_CALL *parameter)(keystead_reply reply,
                                       const keystead_parameter_schema *parameter);
    /* Hands the host a secret that reopens the vault without another login, good for so long, a day
     * at most, 16 KiB at most: after a login, and when it was renewed, from any call. A later one
     * replaces it. The host decides whether it keeps it. Returns 0 where it was handed over. */
    uint32_t(KEYSTEAD_CALL *keep_session)(keystead_context context, keystead_bytes secret,
                                          uint64_t millis);

    /* get_many and set_many: ends the answer to the next of the requests, which is what was
     * passed since the last `result`. */
    uint32_t(KEYSTEAD_CALL *result)(keystead_reply reply, keystead_status status);

    /* Reads the file of the permission replace:PATH. The host calls `take` once before this
     * returns, also with an error, and wipes the content when `take` returns. A plugin's sandbox
     * has no other way to the file. */
    keystead_status(KEYSTEAD_CALL *read_file)(keystead_context context,
                                              const keystead_read_file_request *request,
                                              keystead_take_file take, void *own);
    /* Replaces the file, or creates it: after a crash there is the old one or the new one. Owner,
     * mode, access list and labels are kept. KEYSTEAD_CONFLICT where the file is no longer what
     * was read: read it again. */
    keystead_status(KEYSTEAD_CALL *replace_file)(keystead_context context,
                                                 const keystead_replace_file_request *request,
                                                 keystead_take_file take, void *own);
    /* Returns 1 where a permission is granted, written as in a manifest with its parameters put in
     * ("files:/srv/x:r", "network"), or where nothing restricts the plugin; 0 where it is not, and for
     * what is no permission. A path is absolute.
     * After an open or a connect that failed it says what is missing: name the permission in the
     * message, and answer KEYSTEAD_NOT_GRANTED. */
    uint32_t(KEYSTEAD_CALL *is_granted)(keystead_context context, keystead_bytes permission);
    /* The session that the vault was opened with, or handed over, is good for nothing any more. */
    uint32_t(KEYSTEAD_CALL *forget_session)(keystead_context context);
} keystead_host;

/* A function of a vault. */
#define KEYSTEAD_VAULT_CALL(name, request_type)                                                \
    keystead_status(KEYSTEAD_CALL *name)(keystead_vault * vault, const request_type *request,  \
                                         keystead_reply reply)

/* A plugin's table. A field that is null is what the vault cannot do: the host then answers as
 * the contract says, unsupported for most. `open`, `close`, `get` and `list` are never null.
 * The table stays as it is for as long as the process lives. */
typedef struct keystead_plugin {
    uint64_t magic; /* KEYSTEAD_MAGIC */
    uint32_t size;  /* sizeof(keystead_plugin) */
    uint32_t flags;

    /* Opens a vault and puts it into `vault`, not null, where it returns KEYSTEAD_OK. Host and
     * context are good until `close` has returned: keep both in the vault. Another vault may
     * have another host. Does nothing that needs authentication and creates nothing. */
    keystead_status(KEYSTEAD_CALL *open)(const keystead_host *host, keystead_context context,
                                         const keystead_open_request *request,
                                         keystead_reply reply, keystead_vault **vault);
    /* Ends a vault, once. */
    void(KEYSTEAD_CALL *close)(keystead_vault *vault);
    /* Answers a value, metadata, and which version it is. */
    KEYSTEAD_VAULT_CALL(get, keystead_get_request);
    /* Answers entries, each with its metadata, and the next page's cursor. */
    KEYSTEAD_VAULT_CALL(list, keystead_list_request);
    /* Answers one entry. Null: the host looks for it page by page. */
    KEYSTEAD_VAULT_CALL(describe, keystead_describe_request);
    /* With the capability `write`. */
    KEYSTEAD_VAULT_CALL(set, keystead_set_request);
    KEYSTEAD_VAULT_CALL(remove, keystead_remove_request);
    /* With the capability `metadata`. */
    KEYSTEAD_VAULT_CALL(set_metadata, keystead_set_metadata_request);
    /* With the capability `unlock`. */
    KEYSTEAD_VAULT_CALL(unlock, keystead_unlock_request);
    KEYSTEAD_VAULT_CALL(lock, keystead_lock_request);
    /* Says whether the vault could do its work. Null: it could. */
    KEYSTEAD_VAULT_CALL(test, keystead_test_request);
    /* With the capability `unregister`. */
    KEYSTEAD_VAULT_CALL(unregister, keystead_unregister_request);
    /* With the capability `versions`. */
    KEYSTEAD_VAULT_CALL(versions, keystead_versions_request);
    /* With the capability `actions`. */
    KEYSTEAD_VAULT_CALL(actions, keystead_actions_request);
    KEYSTEAD_VAULT_CALL(run_action, keystead_action_request);
    /* Several at once, in order, each ended with `result`. Null: the host makes one call for
     * each. A status other than KEYSTEAD_OK is the answer to all of them. */
    KEYSTEAD_VAULT_CALL(get_many, keystead_get_many_request);
    KEYSTEAD_VAULT_CALL(set_many, keystead_set_many_request);
    /* With the capability `rename`: gives a secret another name in one step.
     * KEYSTEAD_ALREADY_EXISTS where another secret has it. */
    KEYSTEAD_VAULT_CALL(rename, keystead_rename_request);
    /* With the capabilities `list-removed`, `restore`, `purge`. */
    KEYSTEAD_VAULT_CALL(list_removed, keystead_list_removed_request);
    KEYSTEAD_VAULT_CALL(restore, keystead_restore_request);
    KEYSTEAD_VAULT_CALL(purge, keystead_purge_request);
    /* Answers which names are one secret, and what the vault can hold. Null: not known. */
    KEYSTEAD_VAULT_CALL(rules, keystead_rules_request);
} keystead_plugin;

/* The sizes of the first version: no table is smaller. */
enum {
    KEYSTEAD_HOST_V1_SIZE =
        offsetof(keystead_host, forget_session) + sizeof(void(KEYSTEAD_CALL *)(void)),
    KEYSTEAD_PLUGIN_V1_SIZE =
        offsetof(keystead_plugin, rules) + sizeof(void(KEYSTEAD_CALL *)(void))
};

#if defined(_WIN32)
#define KEYSTEAD_EXPORT __declspec(dllexport)
#else
#define KEYSTEAD_EXPORT __attribute__((visibility("default")))
#endif

/* The plugin's entry, which the plugin defines: returns the same table each time. */
KEYSTEAD_EXPORT const keystead_plugin *KEYSTEAD_CALL keystead_plugin_v1(void);

/* Returns the bytes of a text that ends with a NUL; none for null. */
static inline keystead_bytes keystead_text(const char *text) {
    keystead_bytes bytes;
    bytes.size = text ? strlen(text) : 0;
    bytes.data = bytes.size ? text : NULL;
    return bytes;
}

/* Returns whether these bytes are this text. */
static inline int keystead_is(keystead_bytes bytes, const char *text) {
    size_t size = strlen(text);
    return bytes.size == size && (size == 0 || memcmp(bytes.data, text, size) == 0);
}

/* Compares bytes: less than 0, 0, or more than 0. */
static inline int keystead_compare(keystead_bytes a, keystead_bytes b) {
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* Copies bytes, also none, and returns the end of the copy. */
static inline char *keystead_copy(char *to, keystead_bytes bytes) {
    if (bytes.size) memcpy(to, bytes.data, bytes.size);
    return to + bytes.size;
}

/* Returns the parameter of this name, or null. */
static inline const keystead_parameter *keystead_find(const keystead_parameter *const *parameters,
                                                      size_t count, const char *name) {
    size_t at;
    for (at = 0; at < count; at++)
        if (keystead_is(parameters[at]->name, name)) return parameters[at];
    return NULL;
}

/* Where the manifest lies. In ELF a note's header stands before it. */
#if defined(_WIN32)
#define KEYSTEAD_SECTION ".keystd"
#elif defined(__APPLE__)
#define KEYSTEAD_SECTION "__DATA,__keystead"
#else
#define KEYSTEAD_SECTION ".note.keystead"
#define KEYSTEAD_NOTE 1
#endif

#ifdef KEYSTEAD_NOTE
#define KEYSTEAD_NOTE_FIELDS                                                                   \
    uint32_t owner_length, content_length, type;                                               \
    char owner[12];
#define KEYSTEAD_NOTE_VALUES(json) 9, 32 + KEYSTEAD_ROUNDED(json), 1, "Keystead",
#else
#define KEYSTEAD_NOTE_FIELDS
#define KEYSTEAD_NOTE_VALUES(json)
#endif

/* The size of a literal, rounded up so that nothing unnamed follows it. */
#define KEYSTEAD_ROUNDED(literal) ((sizeof(literal) + 3) / 4 * 4)

/* How it is put there. MSVC drops what nothing refers to, unless the linker is told. */
#if defined(_MSC_VER)
#pragma section(".keystd", read)
#if defined(_M_IX86)
#define KEYSTEAD_KEPT __pragma(comment(linker, "/include:_keystead_manifest_v1"))
#else
#define KEYSTEAD_KEPT __pragma(comment(linker, "/include:keystead_manifest_v1"))
#endif
#ifdef __cplusplus
#define KEYSTEAD_LINKAGE extern "C"
#else
#define KEYSTEAD_LINKAGE extern
#endif
#define KEYSTEAD_PLACED                                                                        \
    KEYSTEAD_KEPT KEYSTEAD_LINKAGE const struct keystead_manifest_block keystead_manifest_v1;  \
    __declspec(allocate(KEYSTEAD_SECTION)) const
#else
#define KEYSTEAD_PLACED                                                                        \
    static const __attribute__((section(KEYSTEAD_SECTION), used, aligned(4)))
#endif

/* A manifest is longer than the literals that a compiler must take. */
#if defined(_MSC_VER) && !defined(__clang__)
#define KEYSTEAD_LONG_LITERAL
#define KEYSTEAD_LONG_LITERAL_END
#else
#define KEYSTEAD_LONG_LITERAL                                                                  \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Woverlength-strings\"")
#define KEYSTEAD_LONG_LITERAL_END                                                              \
    ;                                                                                          \
    _Pragma("GCC diagnostic pop") struct keystead_manifest_block
#endif

/* Puts the manifest into the file: once, at the top level of one source file. `json_text` is a
 * string literal (docs/reference/plugin-manifest.md has its members), 64 KiB at most, whose member `api` is
 * KEYSTEAD_API_VERSION. Keystead reads it without running anything. */
#define KEYSTEAD_MANIFEST(json_text)                                                           \
    KEYSTEAD_LONG_LITERAL                                                                      \
    struct keystead_manifest_block {                                                           \
        KEYSTEAD_NOTE_FIELDS                                                                   \
        char magic[8];                                                                         \
        uint32_t version, json_length;                                                         \
        char abi[16];                                                                          \
        char json[KEYSTEAD_ROUNDED(json_text)];                                                \
    };                                                                                         \
    KEYSTEAD_PLACED struct keystead_manifest_block keystead_manifest_v1 = {                    \
        KEYSTEAD_NOTE_VALUES(json_text){'K', 'E', 'Y', 'S', 'T', 'E', 'A', 'D'},               \
        1,                                                                                     \
        sizeof(json_text) - 1,                                                                 \
        "c-1",                                                                                 \
        json_text}                                                                             \
    KEYSTEAD_LONG_LITERAL_END

#ifdef __cplusplus
}
#endif

#endif
