//! The headers of a later version: today's, with permitted additions. These are new numbers, and
//! fields and functions at the end of structs and tables.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::plugin_files::{Contract, Patch, repository, succeed, target};

const TYPES: &str = "keystead_types.h";

const PLUGIN: &str = "keystead_plugin.h";

/// The additions.
const ADDED: [Patch; 7] = [
    (
        TYPES,
        "/* Numbers that stand for a reply",
        "#define KEYSTEAD_NEXT 1
enum {
    KEYSTEAD_OVERLOADED = 11, KEYSTEAD_APPROVAL = 0xc804, KEYSTEAD_VALUE_LINK = 6,
    KEYSTEAD_PARAMETER_URL = 200, KEYSTEAD_SCHEMA_URL = 200, KEYSTEAD_METADATA_DIGEST = 200,
    KEYSTEAD_MODE_MERGE = 200, KEYSTEAD_LOG_TRACE = 200, KEYSTEAD_PROMPT_PIN = 200,
    KEYSTEAD_PROMPT_FLAG_DIGITS = 0x100, KEYSTEAD_WAIT_TOUCH = 200, KEYSTEAD_NAMES_WIDTH = 200,
    KEYSTEAD_PLUGIN_FLAG_NEXT = 0x100, KEYSTEAD_WITH_LEASE = 0x100000
};
/* Numbers that stand for a reply",
    ),
    (
        TYPES,
        "    keystead_bytes version; /* absent: the newest */\n} keystead_get_request;",
        "    keystead_bytes version; /* absent: the newest */\n    keystead_bytes reason;\n\
         } keystead_get_request;",
    ),
    (TYPES, "\n} keystead_secret;", "\n    uint64_t lease_millis;\n} keystead_secret;"),
    (
        TYPES,
        "KEYSTEAD_PLAIN_REQUEST(keystead_lock_request);",
        "KEYSTEAD_PLAIN_REQUEST(keystead_health_request);\n\
         KEYSTEAD_PLAIN_REQUEST(keystead_lock_request);",
    ),
    (
        PLUGIN,
        "\n} keystead_host;",
        "\n    uint32_t(KEYSTEAD_CALL *notify)(keystead_context context, keystead_bytes line);\n    \
         uint32_t(KEYSTEAD_CALL *health)(keystead_reply reply, keystead_bytes key, \
         keystead_bytes value);\n} keystead_host;",
    ),
    (
        PLUGIN,
        "\n} keystead_plugin;",
        "\n    KEYSTEAD_VAULT_CALL(health, keystead_health_request);\n} keystead_plugin;",
    ),
    (TYPES, "KEYSTEAD_API_VERSION \"1.0.0\"", "KEYSTEAD_API_VERSION \"1.1.0\""),
];

/// Returns the directory with the headers of this version.
fn include(contract: Contract) -> PathBuf {
    let today = repository().join("plugin-api/include");
    if contract == Contract::Today {
        return today;
    }
    let next = target().join("next/include");
    fs::create_dir_all(&next).unwrap();
    for name in [TYPES, PLUGIN, "keystead_value.h"] {
        let mut text = fs::read_to_string(today.join(name)).unwrap();
        for (_, old, new) in ADDED.iter().filter(|(file, ..)| *file == name) {
            assert_eq!(text.matches(old).count(), 1, "{name} has not once: {old}");
            text = text.replacen(old, new, 1);
        }
        fs::write(next.join(name), text).unwrap();
    }
    next
}

/// Compiles the plugin `skew` in C with the headers of this version, and these options.
pub(super) fn compiled(contract: Contract, options: &[&str], dir: &Path) -> PathBuf {
    let file = dir.join("skew_c.so");
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]).args(options);
    cc.arg(format!("-I{}", include(contract).display())).arg("-o").arg(&file);
    succeed(cc.arg(repository().join("tests/plugins/skew/skew.c")));
    file
}
