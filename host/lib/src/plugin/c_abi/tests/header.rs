//! The header's layouts and numbers, as a C compiler reports them, equal Rust's.

use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::super::table::*;
use keystead_plugin_api::abi::wire::{MAX_LINE_BYTES, READ_ONLY};
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

/// Returns the numbers that C computes for these expressions.
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

/// Compares each expression in C with its number in Rust.
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
            // The struct has no further field behind the last one.
            assert!(size_of::<$rust>() as u64 - last <= 16, "{c} has more fields: {last}");
        )*
        pairs
    }};
}

/// Layout of a described struct.
struct Layout {
    rust: &'static str,
    c: &'static str,
    size: usize,
    /// Size of its first version, in bytes, for a struct that a plugin reports.
    first: usize,
    fields: Vec<LaidField>,
}

/// A field: its names in C, in order; its type in Rust; its offset and size, in bytes.
struct LaidField {
    names: &'static [&'static str],
    rust: &'static str,
    at: usize,
    size: usize,
}

macro_rules! layouts {
    (bits { $( $(#[$bit_attribute:meta])* $bit:ident = $value:literal, )* } ; $(
        $type:ident $record:tt $(, most $most:expr)? $(, then $then:expr)?
        $(, c $way:ident $c:ident $([ $first:literal, $what:literal ])? { $(
            $(#[$attribute:meta])* $name:ident $(+ $more:ident)* : $as:ty
                $(| $with:ident)? $(= $field:ident)? $({ $($flags:tt)* })?
        ),* $(,)? })? ;
    )*) => {
        /// The names and numbers of the bits of `present`.
        const BITS: &[(&str, u32)] = &[ $( $(#[$bit_attribute])* (stringify!($bit), $value), )* ];

        /// Returns all described layouts.
        fn layouts() -> Vec<Layout> {
            let mut layouts = Vec::new();
            $( $(
                let mut fields = vec![
                    LaidField { names: &["size"], rust: "u32", at: 0, size: 4 },
                    LaidField { names: &["present"], rust: "u32", at: 4, size: 4 },
                ];
                $( $(#[$attribute])* fields.push(LaidField {
                    names: &[stringify!($name) $(, stringify!($more))*],
                    rust: stringify!($as),
                    at: offset_of!($type, $name),
                    size: size_of::<$as>(),
                }); )*
                let (rust, c, size) = (stringify!($type), stringify!($c), size_of::<$type>());
                layouts.push(Layout { rust, c, size, first: [$($first,)? 0][0], fields });
            )? )*
            layouts
        }
    };
}

keystead_plugin_api::keystead_records! { layouts }

#[test]
fn header_struct_layouts_match_rust() {
    let mut pairs = layout! {
        Bytes as keystead_bytes { data, size }
        Pair as keystead_variable { name, value }
        Parameter as keystead_parameter { size, kind, name, integer, text }
        Metadata as keystead_metadata { size, kind, key, integer, text, texts, flags, reserved }
        ExecOutput as keystead_exec_output { size, status, output, errors, message }
        HostTable as keystead_host {
            magic, size, flags, log_line, exec, message, retry_after, challenge, prompt, value, text,
            bytes, json, credential, metadata, secret, entry, next_cursor, written, removed,
            version, removed_secret, rules, action, parameter, keep_session, result, read_file,
            replace_file, is_granted, forget_session,
        }
        FileTold as keystead_file { size, present, content, version, message }
        PluginTable as keystead_plugin {
            magic, size, flags, open, close, get, list, describe, set, remove, set_metadata,
            unlock, lock, test, unregister, versions, actions, run_action, get_many, set_many,
            rename, list_removed, restore, purge, rules,
        }
    };
    for Layout { c, size, fields, .. } in layouts() {
        pairs.push((format!("sizeof({c})"), size as u64));
        let mut end = 0;
        for LaidField { names, at, size, .. } in fields {
            assert_eq!(at, end, "{c} has room before {names:?}");
            end = at + size;
            let last = names[names.len() - 1];
            pairs.push((format!("offsetof({c}, {})", names[0]), at as u64));
            pairs.push((format!("offsetof({c}, {last}) + sizeof((({c} *)0)->{last})"), end as u64));
        }
        assert_eq!(end, size, "{c} has room at its end");
    }
    compare(pairs);
}

/// Returns the declarations in C of a field of this type.
fn declared(field: &LaidField, layouts: &[Layout]) -> Vec<String> {
    let rust = field.rust.replace(' ', "");
    let rust = rust.strip_prefix("Opt<").map_or(&*rust, |inner| &inner[..inner.len() - 1]);
    let list = rust.strip_prefix("List<").map(|listed| match &listed[..listed.len() - 1] {
        "Parameter" => "keystead_parameter",
        "Metadata" => "keystead_metadata",
        listed => layouts.iter().find(|it| it.rust == listed).expect("it is described").c,
    });
    let list = list.map(|listed| format!("const {listed} *const *"));
    let types = match rust {
        "u32" => vec!["uint32_t "],
        "u64" => vec!["uint64_t "],
        "i64" => vec!["int64_t "],
        "Bytes" => vec!["keystead_bytes "],
        "Pair" => vec!["keystead_bytes "; 2],
        "Padded" => vec!["uint32_t "; 2],
        "NameRule" => vec!["uint32_t "; 4],
        "Waiting" => vec!["uint32_t ", "uint32_t ", "uint64_t ", "uint64_t "],
        "Choices" | "Arguments" => vec!["const keystead_bytes *", "size_t "],
        "Variables" => vec!["const keystead_variable *", "size_t "],
        _ => vec![list.as_deref().unwrap_or_else(|| panic!("what is {rust} in C?")), "size_t "],
    };
    assert_eq!(types.len(), field.names.len(), "{:?}", field.names);
    types.iter().zip(field.names).map(|(of, name)| format!("{of}{name}")).collect()
}

/// Returns a text without its comments.
fn bare(text: &str) -> String {
    let parts = text.split("/*").enumerate();
    parts.map(|(at, part)| if at == 0 { part } else { part.split_once("*/").unwrap().1 }).collect()
}

const HELP: &str = "`cargo xtask contract --write` adds what is missing at an end";

#[test]
fn c_header_matches_record_description() {
    let file = include().join("keystead_types.h");
    let mut header = std::fs::read_to_string(&file).unwrap();
    let writes = std::env::var_os("KEYSTEAD_REGENERATE_LAYOUT").is_some();
    for (name, bit) in BITS {
        let member = format!("    KEYSTEAD_WITH_{name} = {bit}");
        let is_there = header.lines().any(|line| line.trim_end_matches(',') == member);
        assert!(is_there || writes, "the header lacks `{member}`: {HELP}");
        if !is_there {
            let first = header.find("    KEYSTEAD_WITH_").unwrap();
            let end = first + header[first..].find("\n};").unwrap();
            header.insert_str(end, &format!(",\n{member}"));
        }
    }
    let layouts = layouts();
    for Layout { c, fields, .. } in &layouts {
        let described = fields.iter().flat_map(|field| declared(field, &layouts));
        let described: Vec<String> = described.collect();
        if header.contains(&format!("KEYSTEAD_PLAIN_REQUEST({c});")) {
            assert_eq!(described[1..], ["uint32_t present", "uint64_t deadline_millis"], "{c}");
            continue;
        }
        let end = header.find(&format!("}} {c};")).unwrap_or_else(|| panic!("no struct {c}"));
        let body = &header[..end];
        let body = bare(&body[body.rfind(&format!("typedef struct {c} {{")).unwrap()..]);
        let members = body.split_once('{').unwrap().1.split(';').map(str::trim);
        let members = members.filter(|member| !member.is_empty()).map(str::to_owned);
        let found: Vec<String> = members.collect();
        match described.strip_prefix(&*found) {
            Some([]) => {}
            Some(added) if writes => {
                let lines: String = added.iter().map(|it| format!("    {it};\n")).collect();
                header.insert_str(end, &lines);
            }
            _ => panic!("{c} is {found:?} in the header, and described as {described:?}: {HELP}"),
        }
    }
    if writes {
        std::fs::write(&file, header).unwrap();
    }
}

#[test]
fn first_size_of_a_struct_is_that_of_the_first_version() {
    let copy = "tests/fixtures/contract/1.0.0/plugin-api/tests/header.golden";
    let copy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(copy);
    let written = std::fs::read_to_string(copy).unwrap();
    let told = layouts().into_iter().filter(|it| it.first != 0).map(|it| (it.c, it.first));
    for (c, first) in told.chain([("keystead_metadata", Metadata::FIRST)]) {
        let line = format!("struct {c}: size {first}, grows at its end\n");
        assert!(written.contains(&line), "`{line}` is not in the copy of 1.0.0");
    }
}

#[test]
fn header_constants_match_plugin_api() {
    let named = |name: &str, number: u32| (format!("KEYSTEAD_{name}"), u64::from(number));
    let detailed = |detail| keystead_plugin_api::Error::detailed(detail, "").number();
    let mut pairs = vec![
        ("KEYSTEAD_MAGIC".to_owned(), MAGIC),
        ("KEYSTEAD_PLUGIN_V1_SIZE".to_owned(), PLUGIN_V1_BYTES as u64),
        // The size of the first version never changes.
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
        // As the twins of the Rust ABI have them (plugin-api/src/abi/wire/part.rs).
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
        named("VALUE_MAX_LEVELS", keystead_plugin_api::MAX_VALUE_DEPTH as u32),
        named("VALUE_MAX_MEMBERS", keystead_plugin_api::MAX_VALUE_ENTRIES as u32),
        named("VALUE_MAX_BYTES", keystead_plugin_api::MAX_VALUE_BYTES as u32),
    ];
    pairs.extend(BITS.iter().map(|(name, bit)| named(&format!("WITH_{name}"), *bit)));
    let text = |kind: &str| kind.to_uppercase();
    for kind in ValueKind::ALL {
        pairs.push(named(&format!("VALUE_{}", text(kind.as_str())), kind.code()));
    }
    for kind in ParameterKind::ALL {
        pairs.push(named(&format!("SCHEMA_{}", text(kind.as_str())), kind.code()));
    }
    // The list above has every constant.
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
