//! What the header says, asked of a C compiler, is what Rust has.

use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::super::reply::MAX_LINE_BYTES;
use super::super::table::*;
use keystead_plugin_api::manifest::{API_VERSION, section};
use keystead_plugin_api::{
    ErrorDetail, ErrorKind, Level, ParameterKind, PromptKind, ValueKind, WriteMode,
};

pub(super) fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugin-api/include")
}

/// Returns the text of all headers.
fn headers() -> String {
    let names = ["keystead_types.h", "keystead_plugin.h", "keystead_value.h"];
    names.map(|name| std::fs::read_to_string(include().join(name)).unwrap()).concat()
}

/// Returns the names of all numbers that the headers have: members of enumerations, and the magic.
pub(super) fn constants() -> Vec<String> {
    let text = headers();
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '='));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let pairs = words.windows(2).filter(|pair| pair[1] == "=" && pair[0].starts_with("KEYSTEAD_"));
    let mut names: Vec<String> = pairs.map(|pair| pair[0].to_owned()).collect();
    names.push("KEYSTEAD_MAGIC".to_owned());
    assert!(names.len() > 70, "{} numbers", names.len());
    names
}

pub(super) fn told(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{said}");
    output
}

/// Runs a compiler on a source text.
pub(super) fn compile(compiler: &str, language: &str, source: &str, options: &[&str], to: &Path) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("source");
    std::fs::write(&file, source).unwrap();
    let mut command = Command::new(compiler);
    command.args(["-Wall", "-Wextra", "-Werror", "-pedantic"]).args(options);
    command.arg("-I").arg(include()).args(["-x", language]).arg(&file).arg("-o").arg(to);
    told(&mut command);
}

/// Returns what C says of these expressions, each a number.
pub(super) fn in_c(expressions: &[String]) -> Vec<u64> {
    let lines: String =
        expressions.iter().map(|it| format!("    number((uint64_t)({it}));\n")).collect();
    let source = format!(
        "#include <inttypes.h>\n#include <stdio.h>\n#include \"keystead_value.h\"\n\
         static void number(uint64_t n) {{ printf(\"%\" PRIu64 \"\\n\", n); }}\n\
         int main(void) {{\n{lines}    return 0;\n}}\n"
    );
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("program");
    compile("cc", "c", &source, &["-std=c11"], &program);
    let output = told(&mut Command::new(&program));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.parse().unwrap()).collect()
}

/// Each expression in C, with what it is here.
fn compare(pairs: Vec<(String, u64)>) {
    let expressions: Vec<String> = pairs.iter().map(|(text, _)| text.clone()).collect();
    let found = in_c(&expressions);
    assert_eq!(found.len(), pairs.len());
    for ((text, here), there) in pairs.into_iter().zip(found) {
        assert_eq!(there, here, "`{text}` is {there} in C and {here} in Rust");
    }
}

macro_rules! layout {
    ($($rust:ty as $c:ident { $($field:ident $(= $c_field:ident)?),* $(,)? })*) => {{
        let mut pairs: Vec<(String, u64)> = Vec::new();
        $(
            let c = stringify!($c);
            pairs.push((format!("sizeof({c})"), size_of::<$rust>() as u64));
            let mut last = 0;
            $(
                let field = [$(stringify!($c_field),)? stringify!($field)][0];
                let at = offset_of!($rust, $field) as u64;
                pairs.push((format!("offsetof({c}, {field})"), at));
                assert!(at >= last, "the fields of {c} are not in order");
                last = at;
            )*
            // Nothing is left out behind the last one.
            assert!(size_of::<$rust>() as u64 - last <= 16, "{c} has more fields: {last}");
        )*
        pairs
    }};
}

#[test]
fn the_header_lays_out_what_rust_lays_out() {
    compare(layout! {
        Bytes as keystead_bytes { data, size }
        Variable as keystead_variable { name, value }
        Item as keystead_parameter { size, kind, name, integer, text }
        Metadata as keystead_metadata {
            size, kind, key, integer, text, texts, text_count, flags, reserved,
        }
        Answer as keystead_answer { size, present, name, value }
        OpenRequest as keystead_open_request {
            size, present, deadline_millis, vault, kind, parameters, parameter_count, session,
            session_millis, host_name, host_version,
        }
        GetRequest as keystead_get_request { size, present, deadline_millis, name, version }
        ManyRequest<GetRequest> as keystead_get_many_request {
            size, present, requests, request_count,
        }
        ListRequest as keystead_list_request {
            size, present, deadline_millis, cursor, pattern, prefix, limit, reserved,
        }
        DescribeRequest as keystead_describe_request { size, present, deadline_millis, name }
        SetRequest as keystead_set_request {
            size, present, deadline_millis, name, value, value_kind, mode, metadata,
            metadata_count, if_version,
        }
        ManyRequest<SetRequest> as keystead_set_many_request {
            size, present, requests, request_count,
        }
        RemoveRequest as keystead_remove_request {
            size, present, deadline_millis, name, if_version,
        }
        RenameRequest as keystead_rename_request { size, present, deadline_millis, from, to }
        SetMetadataRequest as keystead_set_metadata_request {
            size, present, deadline_millis, name, metadata, metadata_count, if_version,
        }
        UnlockRequest as keystead_unlock_request {
            size, present, deadline_millis, challenge, answers, answer_count,
        }
        VersionsRequest as keystead_versions_request {
            size, present, deadline_millis, name, cursor, limit, reserved,
        }
        ListRemovedRequest as keystead_list_removed_request {
            size, present, deadline_millis, cursor, limit, reserved,
        }
        RemovedOneRequest as keystead_restore_request {
            size, present, deadline_millis, name, id, version,
        }
        RemovedOneRequest as keystead_purge_request {
            size, present, deadline_millis, name, id, version,
        }
        ActionRequest as keystead_action_request {
            size, present, deadline_millis, action, parameters, parameter_count,
        }
        PlainRequest as keystead_lock_request { size, present, deadline_millis }
        PlainRequest as keystead_test_request { size, present, deadline_millis }
        PlainRequest as keystead_unregister_request { size, present, deadline_millis }
        PlainRequest as keystead_rules_request { size, present, deadline_millis }
        PlainRequest as keystead_actions_request { size, present, deadline_millis }
        Challenge as keystead_challenge {
            size, present, id, message, url, wait, reserved, interval_millis, expires_millis,
        }
        Prompt as keystead_prompt {
            size, present, kind, flags, name, label, choices, choice_count,
        }
        Secret as keystead_secret { size, present, version }
        Secret as keystead_written { size, present, version }
        Entry as keystead_entry { size, present, name, kind, reserved, version }
        Removed as keystead_removed { size, present, recoverable_until }
        RemovedSecret as keystead_removed_secret {
            size, present, name, id, removed, recoverable_until,
        }
        Version as keystead_version { size, present, id, created, flags, reserved }
        Rules as keystead_rules {
            size, present, names, folding, composition, reserved, max_name_bytes,
            max_value_bytes, name_grammar,
        }
        Action as keystead_action { size, present, id, description, flags, reserved }
        Schema as keystead_parameter_schema {
            size, present, kind, flags, name, description, preset,
        }
        ExecRequest as keystead_exec_request {
            size, present, deadline_millis, program, arguments, argument_count, input, variables,
            variable_count,
        }
        ExecOutput as keystead_exec_output { size, status, output, errors, message }
        HostTable as keystead_host {
            magic, size, flags, log_line, exec, message, retry_after, challenge, prompt, value, text,
            bytes, json, credential, metadata, secret, entry, next_cursor, written, removed,
            version, removed_secret, rules, action, parameter, keep_session, result, read_file,
            replace_file, is_granted, forget_session,
        }
        ReadFileRequest as keystead_read_file_request { size, present, deadline_millis, path }
        ReplaceFileRequest as keystead_replace_file_request {
            size, present, deadline_millis, path, expected, content,
        }
        FileTold as keystead_file { size, present, content, version, message }
        PluginTable as keystead_plugin {
            magic, size, flags, open, close, get, list, describe, set, remove, set_metadata,
            unlock, lock, test, unregister, versions, actions, run_action, get_many, set_many,
            rename, list_removed, restore, purge, rules,
        }
    });
}

#[test]
fn the_headers_numbers_are_those_of_the_contract() {
    let named = |name: &str, number: u32| (format!("KEYSTEAD_{name}"), u64::from(number));
    let detailed = |detail| keystead_plugin_api::Error::detailed(detail, "").number();
    let mut pairs = vec![
        ("KEYSTEAD_MAGIC".to_owned(), MAGIC),
        ("KEYSTEAD_PLUGIN_V1_SIZE".to_owned(), PLUGIN_V1_BYTES as u64),
        // The first version's, for ever.
        ("KEYSTEAD_HOST_V1_SIZE".to_owned(), 240),
        named("OK", 0),
        named("NOT_FOUND", ErrorKind::NotFound.code()),
        named("ALREADY_EXISTS", ErrorKind::AlreadyExists.code()),
        named("LOCKED", ErrorKind::Locked.code()),
        named("PERMISSION_DENIED", ErrorKind::PermissionDenied.code()),
        named("UNAVAILABLE", ErrorKind::Unavailable.code()),
        named("UNSUPPORTED", ErrorKind::Unsupported.code()),
        named("INVALID", ErrorKind::Invalid.code()),
        named("CORRUPT", ErrorKind::Corrupt.code()),
        named("INTERNAL", ErrorKind::Internal.code()),
        named("TIMED_OUT", ErrorKind::TimedOut.code()),
        named("THROTTLED", detailed(ErrorDetail::Throttled)),
        named("CERTIFICATE", detailed(ErrorDetail::Certificate)),
        named("CONFLICT", detailed(ErrorDetail::Conflict)),
        named("RECOVERABLE", detailed(ErrorDetail::Recoverable)),
        named("NO_SUCH_VERSION", detailed(ErrorDetail::NoSuchVersion)),
        named("NOT_GRANTED", detailed(ErrorDetail::NotGranted)),
        named("NAME_HELD", detailed(ErrorDetail::NameHeld)),
        named("MODE_CREATE_ONLY", WriteMode::CreateOnly.code()),
        named("MODE_REPLACE", WriteMode::Replace.code()),
        named("MODE_UPSERT", WriteMode::Upsert.code()),
        named("LOG_WARNING", Level::Warning.code()),
        named("LOG_INFO", Level::Info.code()),
        named("LOG_DEBUG", Level::Debug.code()),
        // As the twins of the Rust ABI have them (plugin-api/src/abi/types.rs).
        named("PARAMETER_TEXT", 1),
        named("PARAMETER_INTEGER", 2),
        named("PARAMETER_BOOLEAN", 3),
        named("PARAMETER_SECRET", 4),
        named("METADATA_TEXT", 1),
        named("METADATA_INTEGER", 2),
        named("METADATA_BOOLEAN", 3),
        named("METADATA_TIMESTAMP", 4),
        named("METADATA_TEXT_LIST", 5),
        named("METADATA_FLAG_READ_ONLY", READ_ONLY),
        named("PROMPT_FLAG_HIDDEN", 1),
        named("PROMPT_FLAG_NEW", 2),
        named("PROMPT_LINE", PromptKind::Line.code()),
        named("PROMPT_CHOICE", PromptKind::Choice.code()),
        named("PROMPT_YES_NO", PromptKind::YesNo.code()),
        named("WAIT_NONE", 0),
        named("WAIT_POLL", 1),
        named("WAIT_SYSTEM", 2),
        named("SCHEMA_FLAG_REQUIRED", 1),
        named("SCHEMA_FLAG_SECRET", 2),
        named("VERSION_FLAG_UNREADABLE", 1),
        named("ACTION_FLAG_DESTRUCTIVE", 1),
        named("PLUGIN_FLAG_CONDITIONAL", CONDITIONAL),
        named("PLUGIN_FLAG_TEXT_LISTS", TEXT_LISTS),
        named("NAMES_UNKNOWN", 0),
        named("NAMES_EXACT", 1),
        named("NAMES_ASCII_CASE", 2),
        named("NAMES_COMPOSED", 3),
        named("NAMES_COMPOSED_CASE", 4),
        named("WITH_VERSION", with::VERSION),
        named("WITH_IF_VERSION", with::IF_VERSION),
        named("WITH_METADATA", with::METADATA),
        named("WITH_CURSOR", with::CURSOR),
        named("WITH_PATTERN", with::PATTERN),
        named("WITH_SESSION", with::SESSION),
        named("WITH_ID", with::ID),
        named("WITH_CREATED", with::CREATED),
        named("WITH_REMOVED", with::REMOVED),
        named("WITH_RECOVERABLE_UNTIL", with::RECOVERABLE_UNTIL),
        named("WITH_EXPECTED", with::EXPECTED),
        named("WITH_FILE", with::FILE),
        named("VALUE_MAX_LEVELS", keystead_plugin_api::MAX_VALUE_DEPTH as u32),
        named("VALUE_MAX_MEMBERS", keystead_plugin_api::MAX_VALUE_ENTRIES as u32),
        named("VALUE_MAX_BYTES", keystead_plugin_api::MAX_VALUE_BYTES as u32),
    ];
    let text = |kind: &str| kind.to_uppercase();
    for kind in ValueKind::ALL {
        pairs.push(named(&format!("VALUE_{}", text(kind.as_str())), kind.code()));
    }
    for kind in ParameterKind::ALL {
        pairs.push(named(&format!("SCHEMA_{}", text(kind.as_str())), kind.code()));
    }
    // None was forgotten here.
    let known: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    for constant in constants() {
        assert!(known.contains(&constant.as_str()), "{constant} is compared with nothing");
    }
    compare(pairs);
    assert_eq!(MAX_LINE_BYTES, keystead_plugin_api::MAX_MESSAGE_BYTES);
    let header = headers();
    assert!(header.contains(&format!("#define KEYSTEAD_API_VERSION \"{API_VERSION}\"\n")));
    assert!(header.contains(&format!("\"{}\"", section::ELF_SECTION)));
    assert!(header.contains(&format!("\"{}\"", section::PE_SECTION)));
}
