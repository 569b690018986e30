//! The headers in other languages: every number is there and the same.

use std::path::Path;
use std::process::Command;

use super::header::{constants, in_c, include, told};
use super::matrix::provided;

/// Returns each number with its value in C.
fn numbers() -> Vec<(String, u64)> {
    let names = constants();
    let values = in_c(&names);
    names.into_iter().zip(values).collect()
}

fn written(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join(name), text).unwrap();
}

#[test]
#[ignore = "needs bindgen"]
fn header_constants_match_in_rust_needs_bindgen() {
    let dir = tempfile::tempdir().unwrap();
    let mut bindgen = Command::new(provided("KEYSTEAD_TEST_BINDGEN"));
    // Without declarations of the C library.
    bindgen.args(["--no-layout-tests", "--allowlist-type", "keystead_.*", "--allowlist-var"]);
    bindgen.args(["KEYSTEAD_.*", "--allowlist-function", "keystead_.*"]);
    bindgen.arg(include().join("keystead_value.h")).arg("--").arg("-I").arg(include());
    let rust = String::from_utf8(told(&mut bindgen).stdout).unwrap();
    let uses = numbers()
        .into_iter()
        .map(|(name, value)| format!("const _: () = assert!({name} as u64 == {value});\n"));
    let table = "pub static TABLE: fn(&keystead_plugin) -> u64 = |plugin| plugin.magic;\n\
                 pub fn size(host: &keystead_host) -> u32 { host.size }\n";
    let source = format!("#![allow(warnings)]\n{rust}\n{}{table}", uses.collect::<String>());
    written(dir.path(), "bindings.rs", &source);
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut rustc = Command::new(rustc);
    rustc.args(["--edition=2021", "--crate-type=lib", "--emit=metadata", "bindings.rs"]);
    told(rustc.current_dir(dir.path()));
}

#[test]
#[ignore = "needs go"]
fn header_constants_match_in_go_needs_go() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = numbers();
    let lines = numbers.iter().map(|(name, value)| {
        format!("\tif uint64(C.{name}) != {value} {{\n\t\tpanic(\"{name}\")\n\t}}\n")
    });
    let source = format!(
        "package main\n\n/*\n#include \"keystead_value.h\"\n*/\nimport \"C\"\n\nfunc main() {{\n\
         \tvar table C.keystead_plugin\n\ttable.magic = C.KEYSTEAD_MAGIC\n{}}}\n",
        lines.collect::<String>()
    );
    written(dir.path(), "main.go", &source);
    written(dir.path(), "go.mod", "module example/numbers\n\ngo 1.19\n");
    let mut go = Command::new(provided("KEYSTEAD_TEST_GO"));
    go.current_dir(dir.path()).args(["run", "."]);
    go.env("CGO_ENABLED", "1").env("CGO_CFLAGS", format!("-I{}", include().display()));
    // The cache is kept for the next run.
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/plugins/go");
    go.env("GOCACHE", std::path::absolute(target.join("cache")).unwrap());
    go.env("GOPATH", std::path::absolute(target.join("path")).unwrap());
    go.env("GOENV", "off").env("GOPROXY", "off").env("GOTOOLCHAIN", "local");
    told(&mut go);
}

/// A plugin in Zig, as far as the compiler checks it.
const ZIG: &str = r#"
const c = @cImport(@cInclude("keystead_value.h"));
fn get(vault: ?*c.keystead_vault, request: [*c]const c.keystead_get_request, reply: c.keystead_reply) callconv(.C) c.keystead_status {
    _ = vault;
    _ = reply;
    if (request.*.present & c.KEYSTEAD_WITH_VERSION != 0) return c.KEYSTEAD_UNSUPPORTED;
    return if (c.keystead_is(request.*.name, "a") != 0) c.KEYSTEAD_OK else c.KEYSTEAD_NOT_FOUND;
}
var table: c.keystead_plugin = undefined;
export fn keystead_plugin_v1() *const c.keystead_plugin {
    table.magic = c.KEYSTEAD_MAGIC;
    table.size = @sizeOf(c.keystead_plugin);
    table.get = get;
    return &table;
}
"#;

#[test]
#[ignore = "needs zig"]
fn header_constants_match_in_zig_needs_zig() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = numbers();
    let uses = numbers
        .iter()
        .map(|(name, value)| format!("    if (c.{name} != {value}) @compileError(\"{name}\");\n"));
    let source = format!("{ZIG}comptime {{\n{}}}\n", uses.collect::<String>());
    written(dir.path(), "plugin.zig", &source);
    let mut zig = Command::new(provided("KEYSTEAD_TEST_ZIG"));
    zig.current_dir(dir.path()).args(["build-lib", "-fno-emit-bin", "-lc", "plugin.zig"]);
    zig.arg(format!("-I{}", include().display()));
    let cache = dir.path().join("cache");
    zig.env("ZIG_GLOBAL_CACHE_DIR", &cache).env("ZIG_LOCAL_CACHE_DIR", &cache);
    told(&mut zig);
}
