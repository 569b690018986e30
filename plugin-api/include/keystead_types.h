/* The C ABI of Keystead: numbers and structs. keystead_plugin.h includes this file and has the
 * rules.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef KEYSTEAD_TYPES_H
#define KEYSTEAD_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How functions are called, in both directions. */
#if defined(_WIN32) && (defined(_M_IX86) || defined(__i386__))
#define KEYSTEAD_CALL __cdecl
#else
#define KEYSTEAD_CALL
#endif

/* The version of the contract that this file is; a manifest's member `api`. */
#define KEYSTEAD_API_VERSION "1.0.0"

/* What both tables begin with: "KEYST-C1". */
#define KEYSTEAD_MAGIC 0x4b455953542d4331ULL

/* Whether the table or struct that the pointer leads to has this field. */
#define KEYSTEAD_HAS(pointer, field)                                                           \
    ((pointer)->size >= (size_t)((const char *)(&(pointer)->field + 1) - (const char *)(pointer)))

/* How a call ended. The host takes another number for KEYSTEAD_INTERNAL. */
typedef uint32_t keystead_status;
enum {
    KEYSTEAD_OK = 0,
    KEYSTEAD_NOT_FOUND = 1,         /* no secret of this name; never for anything else */
    KEYSTEAD_ALREADY_EXISTS = 2,    /* a create-only write met a secret of this name */
    KEYSTEAD_LOCKED = 3,            /* with a challenge and prompts; the call had no effect */
    KEYSTEAD_PERMISSION_DENIED = 4, /* the vault's rules or its server refuse this caller */
    KEYSTEAD_UNAVAILABLE = 5,       /* cannot be reached now; may work later */
    KEYSTEAD_UNSUPPORTED = 6,       /* this vault cannot do or hold this */
    KEYSTEAD_INVALID = 7,           /* the request is wrong: a parameter, a name, a value */
    KEYSTEAD_CORRUPT = 8,           /* what the vault keeps is damaged */
    KEYSTEAD_INTERNAL = 9,          /* a fault of the plugin */
    KEYSTEAD_TIMED_OUT = 10,        /* the deadline passed before it was done */

    /* Details: the low byte is the kind. A host that does not know one takes it for its kind. */
    KEYSTEAD_THROTTLED = 0x105,       /* unavailable: the server asks for fewer requests */
    KEYSTEAD_CERTIFICATE = 0x205,     /* unavailable: the server's certificate is not trusted */
    KEYSTEAD_CONFLICT = 0x302,        /* already exists: the secret has another version */
    KEYSTEAD_RECOVERABLE = 0x401,     /* not found: it was removed and can be brought back */
    KEYSTEAD_NO_SUCH_VERSION = 0x501, /* not found: the secret has no such version */
    KEYSTEAD_NOT_GRANTED = 0x604,     /* permission denied: the registration does not grant it */
    KEYSTEAD_NAME_HELD = 0x702        /* already exists: a removed secret still has the name */
};

/* Value kinds. A value crosses as its kind and its byte form, 16 MiB at most. A *part* is a
 * 32-bit little-endian length and as many bytes.
 *
 *   text        one part, UTF-8
 *   bytes       one part
 *   credential  two parts: user name, password; both UTF-8
 *   map         a 32-bit little-endian count of members; each is a part (its key, UTF-8), the
 *               32-bit little-endian kind of its value, and that value's byte form. At most 16
 *               levels and 10,000 members; each key once.
 *   json        one part, one JSON text
 *
 * A vault that only keeps values may keep kind and bytes as they are. */
enum {
    KEYSTEAD_VALUE_TEXT = 1,
    KEYSTEAD_VALUE_BYTES = 2,
    KEYSTEAD_VALUE_CREDENTIAL = 3,
    KEYSTEAD_VALUE_MAP = 4,
    KEYSTEAD_VALUE_JSON = 5
};

/* Kinds of a parameter that a plugin gets, of a registration or of an action. */
enum {
    KEYSTEAD_PARAMETER_TEXT = 1,
    KEYSTEAD_PARAMETER_INTEGER = 2,
    KEYSTEAD_PARAMETER_BOOLEAN = 3, /* `integer` is 0 or 1 */
    KEYSTEAD_PARAMETER_SECRET = 4
};

/* Kinds of a parameter in an action's schema, and its flags. */
enum {
    KEYSTEAD_SCHEMA_TEXT = 1,
    KEYSTEAD_SCHEMA_INTEGER = 2,
    KEYSTEAD_SCHEMA_BOOLEAN = 3,
    KEYSTEAD_SCHEMA_PATH = 4
};
enum { KEYSTEAD_SCHEMA_FLAG_REQUIRED = 1, KEYSTEAD_SCHEMA_FLAG_SECRET = 2 };

/* Kinds of metadata, and its flag. A timestamp is milliseconds since 1970 in UTC, years 1 to 9999.
 * Read-only is what the vault reports of itself: it is shown, never copied, and in no request. */
enum {
    KEYSTEAD_METADATA_TEXT = 1,
    KEYSTEAD_METADATA_INTEGER = 2,
    KEYSTEAD_METADATA_BOOLEAN = 3, /* `integer` is 0 or 1 */
    KEYSTEAD_METADATA_TIMESTAMP = 4,
    KEYSTEAD_METADATA_TEXT_LIST = 5 /* `texts`, in order; none is a value too */
};
enum { KEYSTEAD_METADATA_FLAG_READ_ONLY = 1 };

/* What a write does when a secret has the name already, or none has. */
enum { KEYSTEAD_MODE_CREATE_ONLY = 1, KEYSTEAD_MODE_REPLACE = 2, KEYSTEAD_MODE_UPSERT = 3 };

/* Levels of the log. */
enum { KEYSTEAD_LOG_WARNING = 1, KEYSTEAD_LOG_INFO = 2, KEYSTEAD_LOG_DEBUG = 3 };

/* Kinds of a prompt (0 is a line), and its flags: the input is not shown; it is chosen now, and typed twice. */
enum { KEYSTEAD_PROMPT_LINE = 1, KEYSTEAD_PROMPT_CHOICE = 2, KEYSTEAD_PROMPT_YES_NO = 3 };
enum { KEYSTEAD_PROMPT_FLAG_HIDDEN = 1, KEYSTEAD_PROMPT_FLAG_NEW = 2 };

/* What a challenge waits for beside its prompts: nothing; something outside, so that the host
 * calls `unlock` again without answers until it is done (a login in a browser, a push on a
 * phone); or a dialog of the operating system during the next `unlock`. Prompts are asked once,
 * before the host waits: after their answers a challenge of the same id is "not yet". */
enum { KEYSTEAD_WAIT_NONE = 0, KEYSTEAD_WAIT_POLL = 1, KEYSTEAD_WAIT_SYSTEM = 2 };

/* Which names are one secret: see keystead_rules. */
enum {
    KEYSTEAD_NAMES_UNKNOWN = 0,
    KEYSTEAD_NAMES_EXACT = 1,        /* the same bytes */
    KEYSTEAD_NAMES_ASCII_CASE = 2,   /* the same bytes once A to Z are a to z */
    KEYSTEAD_NAMES_COMPOSED = 3,     /* the same once composed (NFC) */
    KEYSTEAD_NAMES_COMPOSED_CASE = 4 /* composed, each character folded alone, composed again */
};

/* Flags of a version: it is still named and cannot be read. Of an action: something is lost. */
enum { KEYSTEAD_VERSION_FLAG_UNREADABLE = 1 };
enum { KEYSTEAD_ACTION_FLAG_DESTRUCTIVE = 1 };

/* Flags of a plugin's table: `set`, `set_many`, `remove` and `set_metadata` check `if_version`;
 * `set`, `set_many` and `set_metadata` keep KEYSTEAD_METADATA_TEXT_LIST. Without the flag the host
 * refuses such a request and does not make the call. */
enum { KEYSTEAD_PLUGIN_FLAG_CONDITIONAL = 1, KEYSTEAD_PLUGIN_FLAG_TEXT_LISTS = 2 };

/* Bits of `present`, one for each field that may be absent. */
enum {
    KEYSTEAD_WITH_VERSION = 1,
    KEYSTEAD_WITH_IF_VERSION = 2,
    KEYSTEAD_WITH_METADATA = 4,
    KEYSTEAD_WITH_CURSOR = 8,
    KEYSTEAD_WITH_PATTERN = 16,
    KEYSTEAD_WITH_SESSION = 32,
    KEYSTEAD_WITH_ID = 64,
    KEYSTEAD_WITH_CREATED = 128,
    KEYSTEAD_WITH_REMOVED = 256,
    KEYSTEAD_WITH_RECOVERABLE_UNTIL = 512,
    KEYSTEAD_WITH_EXPECTED = 1024,
    KEYSTEAD_WITH_FILE = 2048
};

/* Numbers that stand for a reply and for a vault's way to its host, so that the host notices one
 * that has ended. 0 is none. */
typedef uint64_t keystead_reply;
typedef uint64_t keystead_context;

/* A plugin's open vault, which only the plugin looks into. */
typedef struct keystead_vault keystead_vault;

/* Bytes or text; null where there are none. Never grows. */
typedef struct keystead_bytes {
    const char *data;
    size_t size;
} keystead_bytes;

/* A variable of a program. Never grows. */
typedef struct keystead_variable {
    keystead_bytes name;
    keystead_bytes value;
} keystead_variable;

/* What a plugin gets in a request. Several come as pointers, so that each may grow. */
typedef struct keystead_parameter {
    uint32_t size;
    uint32_t kind;
    keystead_bytes name;
    int64_t integer;
    keystead_bytes text;
} keystead_parameter;

typedef struct keystead_metadata { /* also what a plugin answers */
    uint32_t size;
    uint32_t kind;
    keystead_bytes key;
    int64_t integer;
    keystead_bytes text;
    const keystead_bytes *texts; /* of a list: 1,000 at most */
    size_t text_count;
    uint32_t flags;
    uint32_t reserved;
} keystead_metadata;

typedef struct keystead_answer {
    uint32_t size;
    uint32_t present;
    keystead_bytes name; /* the prompt's */
    keystead_bytes value;
} keystead_answer;

/* Requests, one type for each call. `deadline_millis` is what is left when the call is made. */
typedef struct keystead_open_request {
    uint32_t size;
    uint32_t present; /* session */
    uint64_t deadline_millis;
    keystead_bytes vault; /* the name it is registered under */
    keystead_bytes kind;  /* which of the manifest's kinds */
    const keystead_parameter *const *parameters;
    size_t parameter_count;
    keystead_bytes session; /* what an earlier unlock gave out */
    uint64_t session_millis;
    keystead_bytes host_name;    /* which program opens it; never to decide by */
    keystead_bytes host_version; /* a semantic version */
} keystead_open_request;

typedef struct keystead_get_request {
    uint32_t size;
    uint32_t present; /* version */
    uint64_t deadline_millis;
    keystead_bytes name;
    keystead_bytes version; /* absent: the newest */
} keystead_get_request;

typedef struct keystead_get_many_request {
    uint32_t size;
    uint32_t present;
    const keystead_get_request *const *requests;
    size_t request_count; /* 10,000 at most */
} keystead_get_many_request;

typedef struct keystead_list_request {
    uint32_t size;
    uint32_t present; /* cursor, pattern */
    uint64_t deadline_millis;
    keystead_bytes cursor;  /* the last page's `next_cursor`; absent for the first page */
    keystead_bytes pattern; /* the host is going to apply it: `*` is any characters, `?` is one */
    keystead_bytes prefix;  /* what every wanted name begins with */
    uint32_t limit;         /* 1 to 1,000 entries */
    uint32_t reserved;
} keystead_list_request;

typedef struct keystead_describe_request {
    uint32_t size;
    uint32_t present;
    uint64_t deadline_millis;
    keystead_bytes name;
} keystead_describe_request;

typedef struct keystead_set_request {
    uint32_t size;
    uint32_t present; /* metadata, if_version */
    uint64_t deadline_millis;
    keystead_bytes name;
    keystead_bytes value;
    uint32_t value_kind;
    uint32_t mode;
    const keystead_metadata *const *metadata; /* absent: what there was stays */
    size_t metadata_count;
    keystead_bytes if_version; /* the version that it must still be */
} keystead_set_request;

typedef struct keystead_set_many_request {
    uint32_t size;
    uint32_t present;
    const keystead_set_request *const *requests;
    size_t request_count; /* 1,000 at most */
} keystead_set_many_request;

typedef struct keystead_remove_request {
    uint32_t size;
    uint32_t present; /* if_version */
    uint64_t deadline_millis;
    keystead_bytes name;
    keystead_bytes if_version;
} keystead_remove_request;

typedef struct keystead_rename_request {
    uint32_t size;
    uint32_t present;
    uint64_t deadline_millis;
    keystead_bytes from; /* its name */
    keystead_bytes to;   /* its new name */
} keystead_rename_request;

typedef struct keystead_set_metadata_request {
    uint32_t size;
    uint32_t present; /* if_version */
    uint64_t deadline_millis;
    keystead_bytes name;
    const keystead_metadata *const *metadata; /* instead of all there was */
    size_t metadata_count;
    keystead_bytes if_version;
} keystead_set_metadata_request;

typedef struct keystead_unlock_request {
    uint32_t size;
    uint32_t present;
    uint64_t deadline_millis;
    keystead_bytes challenge;
    const keystead_answer *const *answers;
    size_t answer_count;
} keystead_unlock_request;

typedef struct keystead_versions_request {
    uint32_t size;
    uint32_t present; /* cursor */
    uint64_t deadline_millis;
    keystead_bytes name;
    keystead_bytes cursor;
    uint32_t limit; /* 1 to 1,000 versions */
    uint32_t reserved;
} keystead_versions_request;

typedef struct keystead_list_removed_request {
    uint32_t size;
    uint32_t present; /* cursor */
    uint64_t deadline_millis;
    keystead_bytes cursor;
    uint32_t limit; /* 1 to 1,000 secrets */
    uint32_t reserved;
} keystead_list_removed_request;

typedef struct keystead_restore_request {
    uint32_t size;
    uint32_t present; /* id, version */
    uint64_t deadline_millis;
    keystead_bytes name;
    keystead_bytes id;      /* which of several of that name; absent: the one removed last */
    keystead_bytes version; /* absent: the secret as it was removed */
} keystead_restore_request;

typedef struct keystead_purge_request {
    uint32_t size;
    uint32_t present; /* id, version */
    uint64_t deadline_millis;
    keystead_bytes name;
    keystead_bytes id;      /* absent: what there is of the name, removed or not */
    keystead_bytes version; /* absent: all */
} keystead_purge_request;

typedef struct keystead_action_request {
    uint32_t size;
    uint32_t present;
    uint64_t deadline_millis;
    keystead_bytes action;
    const keystead_parameter *const *parameters;
    size_t parameter_count;
} keystead_action_request;

#define KEYSTEAD_PLAIN_REQUEST(name)                                                           \
    typedef struct name {                                                                      \
        uint32_t size;                                                                         \
        uint32_t present;                                                                      \
        uint64_t deadline_millis;                                                              \
    } name
KEYSTEAD_PLAIN_REQUEST(keystead_lock_request);
KEYSTEAD_PLAIN_REQUEST(keystead_test_request);
KEYSTEAD_PLAIN_REQUEST(keystead_unregister_request);
KEYSTEAD_PLAIN_REQUEST(keystead_rules_request);
KEYSTEAD_PLAIN_REQUEST(keystead_actions_request);
#undef KEYSTEAD_PLAIN_REQUEST

/* Parts of answers, which a plugin fills and passes to the host. */
typedef struct keystead_challenge {
    uint32_t size;
    uint32_t present;
    keystead_bytes id;      /* names the step; comes back with the answers */
    keystead_bytes message; /* a sentence for the user, not secret; 4,096 bytes at most */
    keystead_bytes url;     /* what the user opens: https alone, ASCII, 2,048 bytes at most */
    uint32_t wait;
    uint32_t reserved;
    uint64_t interval_millis; /* of KEYSTEAD_WAIT_POLL: between two calls; 1 s to 5 min are kept */
    uint64_t expires_millis;  /* how long it may take in all; 15 min at most, and for 0 */
} keystead_challenge;

typedef struct keystead_prompt {
    uint32_t size;
    uint32_t present;
    uint32_t kind;
    uint32_t flags;
    keystead_bytes name;
    keystead_bytes label;
    const keystead_bytes *choices; /* of KEYSTEAD_PROMPT_CHOICE: 32 lines at most */
    size_t choice_count;
} keystead_prompt;

typedef struct keystead_secret {
    uint32_t size;
    uint32_t present;       /* version */
    keystead_bytes version; /* which one it is; compared with `if_version` later; not secret */
} keystead_secret;

typedef struct keystead_entry {
    uint32_t size;
    uint32_t present; /* version */
    keystead_bytes name;
    uint32_t kind; /* of its value; 0 where not known */
    uint32_t reserved;
    keystead_bytes version;
} keystead_entry;

typedef struct keystead_written {
    uint32_t size;
    uint32_t present; /* version */
    keystead_bytes version; /* that the secret has now */
} keystead_written;

typedef struct keystead_removed {
    uint32_t size;
    uint32_t present; /* recoverable_until */
    int64_t recoverable_until;
} keystead_removed;

typedef struct keystead_removed_secret {
    uint32_t size;
    uint32_t present; /* id, removed, recoverable_until */
    keystead_bytes name;
    keystead_bytes id; /* which of several that were removed under this name */
    int64_t removed;
    int64_t recoverable_until;
} keystead_removed_secret;

typedef struct keystead_version {
    uint32_t size;
    uint32_t present; /* created */
    keystead_bytes id;
    int64_t created;
    uint32_t flags;
    uint32_t reserved;
} keystead_version;

typedef struct keystead_rules {
    uint32_t size;
    uint32_t present;
    uint32_t names;
    uint32_t folding;     /* of composed names: the major version of Unicode's case folding */
    uint32_t composition; /* and of its composition */
    uint32_t reserved;
    uint64_t max_name_bytes;  /* 0: 1,024 */
    /* Of a text, of bytes and of JSON: the content; of a credential and a map: the byte form.
     * 0: 16 MiB. */
    uint64_t max_value_bytes;
    keystead_bytes name_grammar; /* for people: `letters, digits and dashes` */
} keystead_rules;

typedef struct keystead_action {
    uint32_t size;
    uint32_t present;
    keystead_bytes id;
    keystead_bytes description;
    uint32_t flags;
    uint32_t reserved;
} keystead_action;

typedef struct keystead_parameter_schema {
    uint32_t size;
    uint32_t present;
    uint32_t kind;
    uint32_t flags;
    keystead_bytes name;
    keystead_bytes description;
    keystead_bytes preset; /* its default */
} keystead_parameter_schema;

/* A program that the host runs for the plugin, and how it ended. */
typedef struct keystead_exec_request {
    uint32_t size;
    uint32_t present;
    uint64_t deadline_millis;
    keystead_bytes program;          /* as the permission exec:PROGRAM names it */
    const keystead_bytes *arguments; /* never a secret: other users can read them */
    size_t argument_count;
    keystead_bytes input;               /* its standard input */
    const keystead_variable *variables; /* beside PATH and HOME, each as exec:PROGRAM:VAR,VAR
                                         * names it; nothing secret either */
    size_t variable_count;
} keystead_exec_request;

typedef struct keystead_exec_output {
    uint32_t size;
    int32_t status;         /* its exit status; 128 and the signal's number */
    keystead_bytes output;  /* its standard output */
    keystead_bytes errors;  /* its standard error, as text, 64 KiB at most */
    keystead_bytes message; /* where it was not run: why */
} keystead_exec_output;

typedef void(KEYSTEAD_CALL *keystead_take_output)(void *own, const keystead_exec_output *output);

/* One file that the host reads, and replaces as a whole, for a plugin with the permission
 * replace:PATH. */
typedef struct keystead_read_file_request {
    uint32_t size;
    uint32_t present;
    uint64_t deadline_millis;
    keystead_bytes path; /* as it is granted: the value of the parameter */
} keystead_read_file_request;

typedef struct keystead_replace_file_request {
    uint32_t size;
    uint32_t present; /* expected */
    uint64_t deadline_millis;
    keystead_bytes path;
    keystead_bytes expected; /* the version that this content is made from; absent to create it */
    keystead_bytes content;  /* all of the new content, 16 MiB at most */
} keystead_replace_file_request;

/* The file as it is now. */
typedef struct keystead_file {
    uint32_t size;
    uint32_t present;       /* file: there is one */
    keystead_bytes content; /* of read_file */
    keystead_bytes version; /* for `expected` */
    keystead_bytes message; /* with an error: why */
} keystead_file;

typedef void(KEYSTEAD_CALL *keystead_take_file)(void *own, const keystead_file *file);

#ifdef __cplusplus
}
#endif

#endif
