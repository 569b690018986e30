//! The headers in every language and compiler that they support: no warning, no padding, and the
//! manifest where Keystead searches for it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::header::{include, told};
use crate::plugin::inspect::inspect;

/// Uses everything in a header that can be wrong in one language and right in the other.
const USER: &str = r#"
#include "keystead_value.h"
#include "keystead_value.h"
KEYSTEAD_MANIFEST("{\"api\":\"" KEYSTEAD_API_VERSION "\"}");
static const keystead_host *used(const keystead_host *host, keystead_bytes value) {
    keystead_bytes part;
    keystead_writer writer;
    char buffer[64];
    uint32_t number;
    keystead_entry entry;
    memset(&entry, 0, sizeof entry);
    entry.size = sizeof entry;
    entry.present = KEYSTEAD_WITH_VERSION | KEYSTEAD_WITH_CREATED;
    entry.name = keystead_text("text");
    (void)keystead_part(&value, &part);
    (void)keystead_number(&value, &number);
    (void)keystead_is(value, "text");
    (void)keystead_compare(value, part);
    (void)keystead_copy(buffer, part);
    (void)keystead_find(NULL, 0, "name");
    keystead_writer_begin(&writer, buffer, sizeof buffer);
    keystead_writer_text(&writer, keystead_text("key"), keystead_text("text"));
    (void)keystead_writer_end(&writer, &value);
    if (!KEYSTEAD_HAS(host, result)) return NULL;
    (void)host->entry(0, &entry);
    (void)host->log_line(0, KEYSTEAD_LOG_DEBUG, value);
    return host;
}
static keystead_status KEYSTEAD_CALL get(keystead_vault *vault,
                                         const keystead_get_request *request,
                                         keystead_reply reply) {
    (void)vault, (void)reply;
    return used(NULL, request->name) ? (keystead_status)KEYSTEAD_OK
                                     : (keystead_status)KEYSTEAD_CONFLICT;
}
static keystead_plugin table;
const keystead_plugin *KEYSTEAD_CALL keystead_plugin_v1(void) {
    table.magic = KEYSTEAD_MAGIC;
    table.size = sizeof table;
    table.get = get;
    return &table;
}
"#;

/// A plugin that needs no C library.
const BARE: &str = r#"
#include "keystead_plugin.h"
KEYSTEAD_MANIFEST("{\"schema\":1,\"id\":\"bare\",\"version\":\"1.0.0\","
    "\"api\":\"" KEYSTEAD_API_VERSION "\",\"description\":\"\",\"vendor\":\"\",\"license\":\"\","
    "\"homepage\":\"\",\"permissions\":[],\"kinds\":[{\"name\":\"bare\",\"description\":\"\","
    "\"names\":\"case-sensitive\",\"capabilities\":[],\"values\":[],\"parameters\":[]}]}");
static const keystead_plugin table = {KEYSTEAD_MAGIC, sizeof(keystead_plugin), 0, 0, 0, 0, 0, 0, 0,
                                      0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
const keystead_plugin *KEYSTEAD_CALL keystead_plugin_v1(void) { return &table; }
"#;

/// The parts of `string.h` that the headers use, for targets without a C library here.
const STRING: &str = "#include <stddef.h>\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\
    size_t strlen(const char *);\nint memcmp(const void *, const void *, size_t);\n\
    void *memcpy(void *, const void *, size_t);\nvoid *memset(void *, int, size_t);\n\
    #ifdef __cplusplus\n}\n#endif\n";

const WARNINGS: [&str; 11] = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-pedantic",
    "-Wpadded",
    "-Wshadow",
    "-Wconversion",
    "-Wsign-conversion",
    "-Wcast-qual",
    "-Wundef",
    "-Wvla",
];

const C: [&str; 4] = ["c99", "c11", "c17", "c2x"];

const CXX: [&str; 4] = ["c++11", "c++14", "c++17", "c++20"];

/// Each target whose C library is not here, with what the standard headers need to know.
const TARGETS: [&str; 7] = [
    "x86_64-pc-windows-msvc",
    "i686-pc-windows-msvc",
    "aarch64-pc-windows-msvc",
    "x86_64-pc-windows-gnu",
    "arm64-apple-macos11",
    "armv7-unknown-linux-gnueabihf",
    "i686-unknown-linux-gnu",
];

/// Returns the program that this variable names.
pub(super) fn provided(variable: &str) -> OsString {
    let message = format!("`cargo xtask test` provides it in {variable}");
    std::env::var_os(variable).expect(&message)
}

/// Compiles a source text to an object, with every warning an error.
fn object(
    compiler: &OsStr,
    language: &str,
    standard: &str,
    more: &[&str],
    source: &str,
) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let (file, object) = (dir.path().join("source"), dir.path().join("object"));
    std::fs::write(&file, source).unwrap();
    std::fs::write(dir.path().join("string.h"), STRING).unwrap();
    let mut command = Command::new(compiler);
    command.args(WARNINGS).arg(format!("-std={standard}")).args(more);
    if more.iter().any(|option| option.starts_with("--target=")) {
        command.args(["-ffreestanding", "-nostdlibinc", "-isystem"]).arg(dir.path());
    }
    command.arg("-I").arg(include()).args(["-x", language, "-c"]).arg(&file).arg("-o").arg(&object);
    told(&mut command);
    std::fs::read(object).unwrap()
}

#[test]
fn headers_compile_without_warning_as_c() {
    for standard in C {
        object("cc".as_ref(), "c", standard, &[], USER);
    }
}

#[test]
fn manifest_of_64_kib_compiles_and_other_literals_still_warn() {
    let long = format!("KEYSTEAD_MANIFEST(\"{{\\\"x\\\":\\\"{}\\\"}}\");\n", "y".repeat(65_000));
    let source = format!("#include \"keystead_plugin.h\"\n{long}");
    for standard in C {
        object("cc".as_ref(), "c", standard, &["-Woverlength-strings"], &source);
    }
    let own = format!(
        "{source}extern const char own[];\nconst char own[] = \"{}\";\n",
        "y".repeat(65_000)
    );
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("own.c");
    std::fs::write(&file, own).unwrap();
    let mut command = Command::new("cc");
    command.args([
        "-std=c99",
        "-pedantic",
        "-Woverlength-strings",
        "-Werror",
        "-c",
        "-o",
        "/dev/null",
    ]);
    let answer = command.arg("-I").arg(include()).arg(&file).output().unwrap();
    let stderr = String::from_utf8_lossy(&answer.stderr);
    assert!(!answer.status.success() && stderr.contains("const char own"), "{stderr}");
}

/// Headers of C that have macros with arguments, some named as a host could name its functions.
const MACROS: &str = "#include <assert.h>\n#include <ctype.h>\n#include <errno.h>\n\
    #include <math.h>\n#include <setjmp.h>\n#include <signal.h>\n#include <stdarg.h>\n\
    #include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <tgmath.h>\n\
    #include <time.h>\n#include <sys/stat.h>\n#include <sys/wait.h>\n#include <unistd.h>\n";

#[test]
fn headers_compile_with_c_library_macros() {
    // `tgmath.h` itself causes warnings of `-Wpadded` and the like.
    for standard in ["c99", "c11", "gnu17"] {
        let source = format!("{MACROS}{USER}");
        object("cc".as_ref(), "c", standard, &["-Wno-padded"], &source);
    }
}

#[test]
#[ignore = "needs cxx"]
fn headers_compile_without_warning_as_cxx_needs_cxx() {
    for standard in CXX {
        object("c++".as_ref(), "c++", standard, &[], USER);
    }
}

#[test]
#[ignore = "needs clang"]
fn headers_compile_without_warning_in_clang_needs_clang() {
    let clang = provided("KEYSTEAD_TEST_CLANG");
    for (language, standards) in [("c", C), ("c++", CXX)] {
        for standard in standards {
            object(&clang, language, standard, &[], USER);
        }
        for target in TARGETS {
            for standard in [standards[0], standards[3]] {
                let target = format!("--target={target}");
                object(&clang, language, standard, &[&target], USER);
            }
        }
    }
}

/// Returns whether the object has the bytes that only the manifest's block has.
fn has_block(object: &[u8]) -> bool {
    object.windows(8).any(|bytes| bytes == b"KEYSTEAD")
}

#[test]
#[ignore = "needs clang"]
fn manifest_is_in_objects_of_every_target_needs_clang() {
    let clang = provided("KEYSTEAD_TEST_CLANG");
    for target in TARGETS {
        let section: &[u8] = match target {
            target if target.contains("windows") => b".keystd",
            target if target.contains("apple") => b"__keystead",
            _ => b".note.keystead",
        };
        for (language, standard) in [("c", "c99"), ("c++", "c++11")] {
            let target = format!("--target={target}");
            let object = object(&clang, language, standard, &[&target, "-O2"], BARE);
            assert!(has_block(&object), "{target} has no manifest");
            let named = object.windows(section.len()).any(|bytes| bytes == section);
            assert!(named, "{target} has it in another section");
        }
    }
}

/// Makes a library for Windows of the plugin that needs no C library.
fn windows_library(language: &str, standard: &str, dir: &Path) -> PathBuf {
    let clang = provided("KEYSTEAD_TEST_CLANG");
    let options = ["--target=x86_64-pc-windows-msvc", "-O2"];
    let object = object(&clang, language, standard, &options, BARE);
    let (from, to) = (dir.join("bare.obj"), dir.join("bare.dll"));
    std::fs::write(&from, object).unwrap();
    let mut link = Command::new(provided("KEYSTEAD_TEST_LLD"));
    // Drops unreferenced data, as a release build does.
    link.args(["/dll", "/noentry", "/nodefaultlib", "/opt:ref", "/opt:icf"]);
    told(link.arg(format!("/out:{}", to.display())).arg(from));
    to
}

#[test]
#[ignore = "needs clang and lld"]
fn manifest_of_windows_library_is_found_needs_clang_needs_lld() {
    for (language, standard) in [("c", "c99"), ("c++", "c++11")] {
        let dir = tempfile::tempdir().unwrap();
        let library = windows_library(language, standard, dir.path());
        let found = inspect(&std::fs::read(library).unwrap()).unwrap();
        assert_eq!(found.manifest.id, "bare");
    }
}
