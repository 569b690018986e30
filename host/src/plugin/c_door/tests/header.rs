//! What the header says, asked of a C compiler, is what Rust has.

use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::super::reply::MAX_LINE_BYTES;
use super::super::table::*;
use keystead_plugin_api::manifest::{API_VERSION, section};
use keystead_plugin_api::{ErrorDetail, ErrorKind, Level, ParameterKind, ValueKind, WriteMode};

fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin-api/include")
}

fn told(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{said}");
    output
}

/// Runs a compiler on a source text.
fn compile(compiler: &str, language: &str, source: &str, options: &[&str], to: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("source");
    std::fs::write(&file, source).unwrap();
    let mut command = Command::new(compiler);
    command.args(["-Wall", "-Wextra", "-Werror", "-pedantic"]).args(options);
    command.arg("-I").arg(include()).args(["-x", language]).arg(&file).arg("-o").arg(to);
    told(&mut command);
}

/// Returns what C says of these expressions, each a number.
fn in_c(expressions: &[String]) -> Vec<u64> {
    let lines: String =
        expressions.iter().map(|it| format!("    number((uint64_t)({it}));\n")).collect();
    let source = format!(
        "#include <inttypes.h>\n#include <stdio.h>\n#include \"keystead_plugin.h\"\n\
         static void number(uint64_t n) {{ printf(\"%\" PRIu64 \"\\n\", n); }}\n\
         int main(void) {{\n{lines}    return 0;\n}}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
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
    ($($rust:ident as $c:ident { $($field:ident $(= $c_field:ident)?),* $(,)? })*) => {{
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
        Item as keystead_parameter { name, kind, integer, text }
        Item as keystead_metadata { name = key, kind, integer, text }
        Answer as keystead_answer { name, value }
        Variable as keystead_variable { name, value }
        PlainRequest as keystead_plain_request { size, deadline_millis }
        OpenRequest as keystead_open_request {
            size, deadline_millis, vault, kind, parameters, parameter_count, session,
            session_millis, host_name, host_version,
        }
        GetRequest as keystead_get_request { size, deadline_millis, name, version }
        SetRequest as keystead_set_request {
            size, deadline_millis, name, value_kind, mode, value, metadata, metadata_count,
        }
        RenameRequest as keystead_rename_request { size, deadline_millis, from, to }
        SetMetadataRequest as keystead_set_metadata_request {
            size, deadline_millis, name, metadata, metadata_count,
        }
        ListRequest as keystead_list_request { size, deadline_millis, cursor, pattern, limit, prefix }
        UnlockRequest as keystead_unlock_request {
            size, deadline_millis, challenge, answers, answer_count,
        }
        ActionRequest as keystead_action_request {
            size, deadline_millis, action, parameters, parameter_count,
        }
        ExecRequest as keystead_exec_request {
            size, deadline_millis, program, arguments, argument_count, input, variables,
            variable_count,
        }
        ExecOutput as keystead_exec_output { size, status, output, errors, message }
        HostTable as keystead_host {
            magic, size, log, exec, message, challenge, prompt, wait, value, text, bytes,
            credential, metadata, entry, next_cursor, session, version, action, parameter, result,
            read_file, replace_file, is_granted,
        }
        ReadFileRequest as keystead_read_file_request { size, deadline_millis, path }
        ReplaceFileRequest as keystead_replace_file_request {
            size, deadline_millis, path, expected, content,
        }
        FileTold as keystead_file { size, content, version, message }
        PluginTable as keystead_plugin {
            magic, size, open, close, get, list, describe, set, remove, set_metadata, unlock,
            lock, test, unregister, versions, actions, run_action, get_many, set_many,
            rename,
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
        ("KEYSTEAD_HOST_V1_SIZE".to_owned(), 160),
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
        named("CREATE_ONLY", WriteMode::CreateOnly.code()),
        named("REPLACE", WriteMode::Replace.code()),
        named("UPSERT", WriteMode::Upsert.code()),
        named("WARNING", Level::Warning.code()),
        named("INFO", Level::Info.code()),
        named("DEBUG", Level::Debug.code()),
        // As the twins of the Rust door have them (plugin-api/src/abi/types.rs).
        named("PARAMETER_TEXT", 1),
        named("PARAMETER_INTEGER", 2),
        named("PARAMETER_BOOLEAN", 3),
        named("PARAMETER_SECRET", 4),
        named("METADATA_TEXT", 1),
        named("METADATA_INTEGER", 2),
        named("METADATA_BOOLEAN", 3),
        named("METADATA_TIMESTAMP", 4),
        named("HIDDEN", 1),
        named("NEW", 2),
        named("REQUIRED", 1),
        named("SECRET", 2),
    ];
    let text = |kind: &str| kind.to_uppercase();
    for kind in ValueKind::ALL {
        pairs.push(named(&format!("VALUE_{}", text(kind.as_str())), kind.code()));
    }
    for kind in ParameterKind::ALL {
        pairs.push(named(&format!("SCHEMA_{}", text(kind.as_str())), kind.code()));
    }
    compare(pairs);
    assert_eq!(MAX_LINE_BYTES, keystead_plugin_api::MAX_MESSAGE_BYTES);
    let header = std::fs::read_to_string(include().join("keystead_plugin.h")).unwrap();
    assert!(header.contains(&format!("#define KEYSTEAD_API_VERSION \"{API_VERSION}\"\n")));
    assert!(header.contains(&format!("\"{}\"", section::ELF_SECTION)));
    assert!(header.contains(&format!("\"{}\"", section::PE_SECTION)));
}

/// Uses all that a header can get wrong in one language and not in the other.
const USER: &str = r#"
#include "keystead_plugin.h"
KEYSTEAD_MANIFEST("{}");
const keystead_plugin *keystead_plugin_v1(const keystead_host *host) {
    keystead_bytes value = keystead_text("text"), part;
    (void)keystead_part(&value, &part);
    (void)keystead_is(value, "text");
    if (!KEYSTEAD_HAS(host, result)) return NULL;
    return NULL;
}
"#;

fn check(compiler: &str, language: &str, standard: &str) {
    let folder = tempfile::tempdir().unwrap();
    let object = folder.path().join("object");
    let standard = format!("-std={standard}");
    compile(compiler, language, USER, &["-c", &standard], &object);
}

#[test]
fn the_header_compiles_without_a_warning_as_c() {
    for standard in ["c99", "c11", "c17"] {
        check("cc", "c", standard);
    }
}

#[test]
fn the_header_compiles_without_a_warning_as_cxx_needs_cxx() {
    for standard in ["c++11", "c++17", "c++20"] {
        check("c++", "c++", standard);
    }
}

#[test]
fn a_part_of_a_value_is_never_read_past_its_end() {
    // Of each form: how many parts there are.
    let parts = r#"
#include <stdio.h>
#include "keystead_plugin.h"
static int parts(const char *data, size_t size) {
    keystead_bytes value = {data, size}, part;
    int count = 0;
    while (keystead_part(&value, &part)) count++;
    return count;
}
int main(void) {
    printf("%d %d %d %d %d\n", parts("", 0), parts("\1\0\0\0x", 5), parts("\2\0\0\0x", 5),
           parts("\0\0\0\0\1\0\0\0x", 9), parts("\xff\xff\xff\xff", 4));
    return 0;
}
"#;
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    compile("cc", "c", parts, &["-std=c99"], &program);
    let output = told(&mut Command::new(&program));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "0 1 0 2 0\n");
}
