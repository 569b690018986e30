/* The C door of Keystead, ABI `c-1`: the contract of a vault plugin as tables of C functions.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A plugin is a shared library with two things in it: a manifest, which KEYSTEAD_MANIFEST writes
 * into the file, and the function keystead_plugin_v1, which returns the plugin's table. What
 * each call must do is the same as for a plugin in Rust and is written there (the traits
 * `Plugin` and `Vault` of keystead-plugin-api); this file says how it is said in C.
 *
 * The rules:
 *
 * - Nobody frees what somebody else allocated. What the host passes lives until the call
 *   returns. What a plugin passes to the host is copied before the host's function returns.
 * - Answers are not returned but told: a call is given a reply, a number, and the plugin tells
 *   the host's functions what belongs to it. The call ends with its status. A reply ends with
 *   its call: whatever is told to it later is a fault of the plugin.
 * - Tables and requests begin with their size and are only ever appended to. Read nothing behind
 *   the size that is given; KEYSTEAD_HAS asks. Small structs without a size never grow. Numbers
 *   never change their meaning.
 * - Text is UTF-8, with a length and without a final NUL. A null start means absent, which is
 *   not the same as empty.
 * - Never let an exception or a panic leave a function, never call exit, never print. A vault is
 *   called by one caller at a time, perhaps from another thread each time.
 *
 * Compiles as C99 and later and as C++11 and later.
 */
#ifndef KEYSTEAD_PLUGIN_H
#define KEYSTEAD_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the contract that this file is; a manifest's member `api`. */
#define KEYSTEAD_API_VERSION "1.0.0"

/* What both tables begin with: "KEYST-C1". */
#define KEYSTEAD_MAGIC UINT64_C(0x4b455953542d4331)

/* Whether a table or request, of which the pointer is given, has this field. */
#define KEYSTEAD_HAS(pointer, field)                                                           \
    ((pointer)->size >= (size_t)((const char *)(&(pointer)->field + 1) - (const char *)(pointer)))

/* What a call comes to. Another number is taken for KEYSTEAD_INTERNAL. */
typedef uint32_t keystead_status;
enum {
    KEYSTEAD_OK = 0,
    KEYSTEAD_NOT_FOUND = 1,      /* no secret of this name; never for anything else */
    KEYSTEAD_ALREADY_EXISTS = 2, /* a create-only write met a secret of this name */
    KEYSTEAD_LOCKED = 3,         /* tell challenge and prompts; the call had no effect */
    KEYSTEAD_PERMISSION_DENIED = 4, /* the vault's rules or its server refuse this caller */
    KEYSTEAD_UNAVAILABLE = 5,    /* cannot be reached now; may work later */
    KEYSTEAD_UNSUPPORTED = 6,    /* this vault cannot do or hold this */
    KEYSTEAD_INVALID = 7,        /* the request is wrong: a parameter, a name, a value */
    KEYSTEAD_CORRUPT = 8,        /* what the vault keeps is damaged */
    KEYSTEAD_INTERNAL = 9,       /* a fault of the plugin */
    KEYSTEAD_TIMED_OUT = 10,     /* the deadline passed before it was done */

    /* Details, each of the kind in its low byte. A host that does not know one takes it for that. */
    KEYSTEAD_THROTTLED = 5 | 1 << 8,       /* the server asks for fewer requests */
    KEYSTEAD_CERTIFICATE = 5 | 2 << 8,     /* the server's certificate is not trusted */
    KEYSTEAD_CONFLICT = 2 | 3 << 8,        /* the secret has another version than expected */
    KEYSTEAD_RECOVERABLE = 1 | 4 << 8,     /* the secret was removed and can be brought back */
    KEYSTEAD_NO_SUCH_VERSION = 1 | 5 << 8, /* the secret has no such version */
    KEYSTEAD_NOT_GRANTED = 4 | 6 << 8      /* the registration does not grant what this needs */
};

/* Kinds of value. A value crosses as its kind and its byte form, 16 MiB at most. A *part* is a
 * 32-bit little-endian length and as many bytes.
 *
 *   text        one part, UTF-8
 *   bytes       one part
 *   credential  two parts: user name, password; both UTF-8
 *   map         a 32-bit little-endian count of entries; each is a part (its key, UTF-8), the
 *               32-bit little-endian kind of its value, and that value's byte form. At most 16
 *               levels and 10,000 entries; a key is there once.
 *
 * A vault that only keeps values may keep kind and bytes as they are. */
enum {
    KEYSTEAD_VALUE_TEXT = 1,
    KEYSTEAD_VALUE_BYTES = 2,
    KEYSTEAD_VALUE_CREDENTIAL = 3,
    KEYSTEAD_VALUE_MAP = 4
};

/* Kinds of a registration's or an action's parameter, as a plugin is given it. */
enum {
    KEYSTEAD_PARAMETER_TEXT = 1,
    KEYSTEAD_PARAMETER_INTEGER = 2,
    KEYSTEAD_PARAMETER_BOOLEAN = 3, /* `integer` is 0 or 1 */
    KEYSTEAD_PARAMETER_SECRET = 4
};

/* Kinds of a parameter in an action's schema. */
enum {
    KEYSTEAD_SCHEMA_TEXT = 1,
    KEYSTEAD_SCHEMA_INTEGER = 2,
    KEYSTEAD_SCHEMA_BOOLEAN = 3,
    KEYSTEAD_SCHEMA_PATH = 4
};

/* Flags of a parameter in an action's schema. */
enum { KEYSTEAD_REQUIRED = 1, KEYSTEAD_SECRET = 2 };

/* Kinds of metadata. A timestamp is milliseconds since 1970 in UTC, years 1 to 9999. */
enum {
    KEYSTEAD_METADATA_TEXT = 1,
    KEYSTEAD_METADATA_INTEGER = 2,
    KEYSTEAD_METADATA_BOOLEAN = 3, /* `integer` is 0 or 1 */
    KEYSTEAD_METADATA_TIMESTAMP = 4
};

/* What a write does when the name is there already, or is not. */
enum { KEYSTEAD_CREATE_ONLY = 1, KEYSTEAD_REPLACE = 2, KEYSTEAD_UPSERT = 3 };

/* Levels of the log. */
enum { KEYSTEAD_WARNING = 1, KEYSTEAD_INFO = 2, KEYSTEAD_DEBUG = 3 };

/* Flags of a prompt: what is typed must not be shown; it is chosen now, and typed twice. */
enum { KEYSTEAD_HIDDEN = 1, KEYSTEAD_NEW = 2 };

/* Names a reply or a vault's way to its host: a number and no pointer, so that the host can tell
 * one that has ended. 0 is none. */
typedef uint64_t keystead_reply;
typedef uint64_t keystead_context;

/* A plugin's open vault, which only the plugin looks into. */
typedef struct keystead_vault keystead_vault;

/* Bytes or text. */
typedef struct {
    const char *data;
    size_t size;
} keystead_bytes;

/* These never grow. */
typedef struct {
    keystead_bytes name;
    uint32_t kind;
    int64_t integer;
    keystead_bytes text;
} keystead_parameter;

typedef struct {
    keystead_bytes key;
    uint32_t kind;
    int64_t integer;
    keystead_bytes text;
} keystead_metadata;

typedef struct {
    keystead_bytes name;
    keystead_bytes value;
} keystead_answer;

typedef struct {
    keystead_bytes name;
    keystead_bytes value;
} keystead_variable;

/* Requests. `deadline_millis` is what is left when the call is made. */
typedef struct {
    size_t size;
    uint64_t deadline_millis;
} keystead_plain_request;

typedef struct {
    size_t size;
    uint64_t deadline_millis;
    keystead_bytes vault; /* the name it is registered under */
    keystead_bytes kind;  /* which of the manifest's kinds */
    const keystead_parameter *parameters;
    size_t parameter_count;
    keystead_bytes session; /* what an earlier unlock gave out, or absent */
    uint64_t session_millis;
    keystead_bytes host_name;    /* which program opens it, or absent; never to decide by */
    keystead_bytes host_version; /* a semantic version, or absent */
} keystead_open_request;

typedef struct {
    size_t size;
    uint64_t deadline_millis;
    keystead_bytes name;
    keystead_bytes version; /* or absent: the newest */
} keystead_get_request;

typedef struct {
    size_t size;
    uint64_t deadline_millis;
    keystead_bytes name;
    uint32_t value_kind;
    uint32_t mode;
    keystead_bytes value;
    const keystead_metadata *metadata; /* null: what there was stays */
    size_t metadata_count;
} keystead_set_request;

typedef struct {
    size_t size;
    uint64_t deadline_millis;
    keystead_bytes name;
    const keystead_metadata *metadata; /* instead of all there was; never null */
    size_t metadata_count;
} keystead_set_metadata_request;

typedef struct {
    size_t size;
    uint64_t deadline_millis;
    keystead_bytes from; /* its name */
    keystead_bytes to;   /* its new name */
} keystead_rename_request;

typedef struct {
    size_t size;
    uint64_t deadline_millis;
    keystead_bytes cursor;  /* the last page's `next_cursor`; absent for the first page */
    keystead_bytes pattern; /* the host is going to apply it: `*` is any characters, `?` is one; or
                             * absent */
    size_t limit;           /* 1 to 1,000 entries */
    keystead_bytes prefix;  /* what every wanted name begins with, or absent */
} keystead_list_request;

typedef struct {
    size_t size;
    uint64_t deadline_millis;
    keystead_bytes challenge;
    const keystead_answer *answers;
    size_t answer_count;
} keystead_unlock_request;

typedef struct {
    size_t size;
    uint64_t deadline_millis;
    keystead_bytes action;
    const keystead_parameter *parameters;
    size_t parameter_count;
} keystead_action_request;

/* What a plugin asks of the host: fill all of it, `size` with sizeof. */
typedef struct {
    size_t size;
    uint64_t deadline_millis;
    keystead_bytes program; /* as the permission exec:PROGRAM names it */
    const keystead_bytes *arguments; /* never a secret: others can read them */
    size_t argument_count;
    keystead_bytes input; /* its standard input, or absent */
    const keystead_variable *variables; /* beside PATH and HOME, each as exec:PROGRAM:VAR,VAR names
                                         * it; nothing secret either */
    size_t variable_count;
} keystead_exec_request;

/* How a program ended, or why it was not run. */
typedef struct {
    size_t size;
    int32_t status;         /* its exit status; 128 and the signal's number */
    keystead_bytes output;  /* its standard output */
    keystead_bytes errors;  /* its standard error, as text, 64 KiB at most */
    keystead_bytes message; /* where it was not run: why; else absent */
} keystead_exec_output;

typedef void (*keystead_take_output)(void *own, const keystead_exec_output *output);

/* One file that the host reads, and replaces as a whole, for a plugin with the permission
 * replace:PATH. */
typedef struct {
    size_t size;
    uint64_t deadline_millis;
    keystead_bytes path; /* as it is granted: the value of the parameter */
} keystead_read_file_request;

typedef struct {
    size_t size;
    uint64_t deadline_millis;
    keystead_bytes path;
    keystead_bytes expected; /* the version that this content is made from; absent to create it */
    keystead_bytes content;  /* all of the new content, 16 MiB at most */
} keystead_replace_file_request;

/* What the host says of the file. */
typedef struct {
    size_t size;
    keystead_bytes content; /* of read_file: absent where there is no file */
    keystead_bytes version; /* for `expected`; absent where there is no file */
    keystead_bytes message; /* with an error: why; else absent */
} keystead_file;

typedef void (*keystead_take_file)(void *own, const keystead_file *file);

/* The host's functions. They may be called from any thread; those with a reply only within its
 * call. Each returns 0 where the host took what it was told. Where it returns another number,
 * the host will answer the whole call with an error of its own, and the plugin may as well end
 * it. */
typedef struct keystead_host {
    uint64_t magic;
    size_t size;

    /* A line for the log, never a secret: one of the levels above, 4,096 bytes at most. */
    uint32_t (*log)(keystead_context context, uint32_t level, keystead_bytes line);
    /* Runs a granted program. `take` is called once before this returns, also where the
     * program was not run; the output is gone and wiped when `take` returns. Returns
     * KEYSTEAD_OK where it was run, whatever its exit status, and why not where it was not. */
    keystead_status (*exec)(keystead_context context, const keystead_exec_request *request,
                            keystead_take_output take, void *own);

    /* Any call: a sentence for people, a lower-case fragment without full stop, never a secret.
     * With an error it is the error's; from `act` what was done. 4,096 bytes of it are kept. */
    uint32_t (*message)(keystead_reply reply, keystead_bytes text);
    /* With KEYSTEAD_LOCKED: names the step, for whoever answers it; then its prompts, 1 to 16. */
    uint32_t (*challenge)(keystead_reply reply, keystead_bytes id);
    uint32_t (*prompt)(keystead_reply reply, keystead_bytes name, keystead_bytes label,
                       uint32_t flags);
    /* With an error: after how long the same call may work. */
    uint32_t (*wait)(keystead_reply reply, uint64_t millis);

    /* get, act and each of get_many: the value, in its byte form or by its parts. */
    uint32_t (*value)(keystead_reply reply, uint32_t kind, keystead_bytes value);
    uint32_t (*text)(keystead_reply reply, keystead_bytes text);
    uint32_t (*bytes)(keystead_reply reply, keystead_bytes bytes);
    uint32_t (*credential)(keystead_reply reply, keystead_bytes user, keystead_bytes password);
    /* get, each of get_many, describe and each entry of list: one piece of metadata. */
    uint32_t (*metadata)(keystead_reply reply, const keystead_metadata *metadata);

    /* list and describe: begins an entry; the kind of its value, or 0 where not known. */
    uint32_t (*entry)(keystead_reply reply, keystead_bytes name, uint32_t kind);
    /* list: what to ask for next, 4,096 bytes at most. Nothing on the last page. */
    uint32_t (*next_cursor)(keystead_reply reply, keystead_bytes cursor);

    /* unlock: a secret that reopens the vault, good for so long, a day at most. */
    uint32_t (*session)(keystead_reply reply, keystead_bytes secret, uint64_t millis);
    /* versions: one more, newest first; `created` is null where not known. */
    uint32_t (*version)(keystead_reply reply, keystead_bytes id, const int64_t *created);
    /* actions: one more, and then its parameters. */
    uint32_t (*action)(keystead_reply reply, keystead_bytes id, keystead_bytes description,
                       uint32_t destructive);
    uint32_t (*parameter)(keystead_reply reply, keystead_bytes name, uint32_t schema_kind,
                          uint32_t flags, keystead_bytes description, keystead_bytes preset);

    /* get_many and set_many: what was told since the last of it is the answer to the next of
     * the requests, which ends so. */
    uint32_t (*result)(keystead_reply reply, keystead_status status);

    /* Reads the file. `take` is called once before this returns, also with an error; what it is
     * given is gone and wiped when it returns. A plugin's sandbox has no other way to the file. */
    keystead_status (*read_file)(keystead_context context,
                                 const keystead_read_file_request *request,
                                 keystead_take_file take, void *own);
    /* Replaces the file, or creates it: after a crash there is the old one or the new one. Owner,
     * mode, access list and labels are kept. KEYSTEAD_CONFLICT where the file is no longer what
     * was read: read it again. */
    keystead_status (*replace_file)(keystead_context context,
                                    const keystead_replace_file_request *request,
                                    keystead_take_file take, void *own);

    /* Returns 1 where a permission is granted, written as in a manifest with its parameters put in
     * ("files:/srv/x:r", "network"), or where nothing holds the plugin back; 0 where it is not.
     * After an open or a connect that failed it tells what is missing: name the permission in the
     * message, and answer KEYSTEAD_NOT_GRANTED. */
    uint32_t (*is_granted)(keystead_context context, keystead_bytes permission);
} keystead_host;

/* A plugin's table. Fields that are null are what the vault cannot do: the host then answers
 * as the contract says, unsupported for most. `open`, `close`, `get` and `list` are never null.
 * The table stays as it is for as long as the process lives. */
typedef struct keystead_plugin {
    uint64_t magic; /* KEYSTEAD_MAGIC */
    size_t size;    /* sizeof(keystead_plugin) */

    /* Opens a vault and puts it into `vault`, not null, where it returns KEYSTEAD_OK. The
     * context is good until `close` has returned. Does nothing that needs authentication and
     * creates nothing. */
    keystead_status (*open)(const keystead_open_request *request, keystead_context context,
                            keystead_reply reply, keystead_vault **vault);
    /* Ends a vault, once. */
    void (*close)(keystead_vault *vault);
    /* Tells a value, and metadata. */
    keystead_status (*get)(keystead_vault *vault, const keystead_get_request *request,
                           keystead_reply reply);
    /* Tells entries, each with its metadata, and the next page's cursor. */
    keystead_status (*list)(keystead_vault *vault, const keystead_list_request *request,
                            keystead_reply reply);
    /* Tells one entry. Null: the host looks for it page by page. */
    keystead_status (*describe)(keystead_vault *vault, const keystead_get_request *request,
                                keystead_reply reply);
    /* With the capability `write`. */
    keystead_status (*set)(keystead_vault *vault, const keystead_set_request *request,
                           keystead_reply reply);
    keystead_status (*remove)(keystead_vault *vault, const keystead_get_request *request,
                              keystead_reply reply);
    /* With the capability `metadata`. */
    keystead_status (*set_metadata)(keystead_vault *vault,
                                    const keystead_set_metadata_request *request,
                                    keystead_reply reply);
    /* With the capability `unlock`. */
    keystead_status (*unlock)(keystead_vault *vault, const keystead_unlock_request *request,
                              keystead_reply reply);
    keystead_status (*lock)(keystead_vault *vault, const keystead_plain_request *request,
                            keystead_reply reply);
    /* Says whether the vault could do its work. Null: it could. */
    keystead_status (*test)(keystead_vault *vault, const keystead_plain_request *request,
                            keystead_reply reply);
    /* With the capability `unregister`. */
    keystead_status (*unregister)(keystead_vault *vault, const keystead_plain_request *request,
                                  keystead_reply reply);
    /* With the capability `versions`. */
    keystead_status (*versions)(keystead_vault *vault, const keystead_get_request *request,
                                keystead_reply reply);
    /* With the capability `actions`. */
    keystead_status (*actions)(keystead_vault *vault, const keystead_plain_request *request,
                               keystead_reply reply);
    keystead_status (*run_action)(keystead_vault *vault, const keystead_action_request *request,
                           keystead_reply reply);
    /* Several at once, in order, each ended with `result`. Null: the host asks one by one.
     * Where another status than KEYSTEAD_OK is returned, it answers all of them. */
    keystead_status (*get_many)(keystead_vault *vault,
                                const keystead_get_request *const *requests, size_t count,
                                keystead_reply reply);
    keystead_status (*set_many)(keystead_vault *vault,
                                const keystead_set_request *const *requests, size_t count,
                                keystead_reply reply);

    /* Added since the first version. With the capability `rename`: gives a secret another name in
     * one step. KEYSTEAD_ALREADY_EXISTS where another secret has it. */
    keystead_status (*rename)(keystead_vault *vault, const keystead_rename_request *request,
                              keystead_reply reply);
} keystead_plugin;

/* The sizes of the first version: no table is smaller. */
#define KEYSTEAD_HOST_V1_SIZE (offsetof(keystead_host, result) + sizeof(void (*)(void)))
#define KEYSTEAD_PLUGIN_V1_SIZE (offsetof(keystead_plugin, set_many) + sizeof(void (*)(void)))

#if defined(_WIN32)
#define KEYSTEAD_EXPORT __declspec(dllexport)
#else
#define KEYSTEAD_EXPORT __attribute__((visibility("default")))
#endif

/* The plugin's entry, which the plugin defines. Called once in a process, before everything
 * else; the host's table stays as it is for as long as the process lives. */
KEYSTEAD_EXPORT const keystead_plugin *keystead_plugin_v1(const keystead_host *host);

/* Returns the bytes of a text that ends with a NUL; absent for null. */
static inline keystead_bytes keystead_text(const char *text) {
    keystead_bytes bytes;
    bytes.data = text;
    bytes.size = text ? strlen(text) : 0;
    return bytes;
}

/* Returns whether these bytes are this text. */
static inline int keystead_is(keystead_bytes bytes, const char *text) {
    size_t length = strlen(text);
    return bytes.data && bytes.size == length && memcmp(bytes.data, text, length) == 0;
}

/* Takes one part off the front of a value's byte form. Returns whether there was one. */
static inline int keystead_part(keystead_bytes *value, keystead_bytes *part) {
    const unsigned char *length = (const unsigned char *)value->data;
    uint32_t count;
    if (value->size < 4) return 0;
    count = (uint32_t)length[0] | (uint32_t)length[1] << 8 | (uint32_t)length[2] << 16 |
            (uint32_t)length[3] << 24;
    if (count > value->size - 4) return 0;
    part->data = value->data + 4;
    part->size = count;
    value->data += 4 + (size_t)count;
    value->size -= 4 + (size_t)count;
    return 1;
}

/* Where the manifest lies. Of these three only ELF, the last, has been tried. */
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
#define KEYSTEAD_NOTE_VALUES(json) 9, 32 + sizeof(json), 1, "Keystead",
#else
#define KEYSTEAD_NOTE_FIELDS
#define KEYSTEAD_NOTE_VALUES(json)
#endif

/* Writes the manifest into the file: once, at the top level of one source file. `json` is a
 * string literal (docs/plugin-file.md has its members), 64 KiB at most, whose member `api` is
 * KEYSTEAD_API_VERSION. Keystead reads it without running anything. */
#define KEYSTEAD_MANIFEST(json_text)                                                           \
    struct keystead_manifest_block {                                                           \
        KEYSTEAD_NOTE_FIELDS                                                                   \
        char magic[8];                                                                         \
        uint32_t version, json_length;                                                         \
        char abi[16];                                                                          \
        char json[sizeof(json_text)];                                                          \
    };                                                                                         \
    static const struct keystead_manifest_block keystead_manifest                              \
        __attribute__((section(KEYSTEAD_SECTION), used, aligned(4))) = {                       \
            KEYSTEAD_NOTE_VALUES(json_text){'K', 'E', 'Y', 'S', 'T', 'E', 'A', 'D'},           \
            1,                                                                                 \
            sizeof(json_text) - 1,                                                             \
            "c-1",                                                                             \
            json_text}

#ifdef __cplusplus
}
#endif

#endif
