//! Plugin files for tests, made when a test runs. The system's C compiler makes ELF; PE and Mach-O
//! are laid out by hand, not by the library that reads them.

use std::path::Path;
use std::process::Command;

use keystead_plugin_api::manifest::section::{ABI_RUST, NOTE_OWNER};
use keystead_plugin_api::manifest::{Capability, Kind, Manifest, NameRule};
use keystead_plugin_api::{Parameter, ParameterKind, ValueKind};

/// The symbol of the Rust ABI, written once more: the reader has its own.
const RUST_SYMBOL: &str = "_1as_0lib_1header_0root_bmodule_bloader";

/// The manifest of the fixtures.
const MANIFEST: Manifest = Manifest::new("vendor-safe", "2.1.0")
    .description("Secrets in a \"Vendor\" Safe")
    .vendor("Vendor Ltd")
    .license("MIT")
    .homepage("https://vendor.example/keystead")
    .kinds(&[Kind::new("safe", "one safe")
        .can(&[Capability::Write, Capability::Unlock])
        .values(&[ValueKind::Text, ValueKind::Map])
        .names(NameRule::CaseInsensitive)
        .parameters(&[Parameter::required("path", ParameterKind::Path, "where the safe is")])])
    .permissions(&["files:{path}:rw", "library:libvendor.so.1"]);

/// Returns the manifest's JSON, written by the same code as in a plugin.
pub(super) fn json() -> String {
    const JSON: [u8; MANIFEST.json_len()] = MANIFEST.json();
    String::from_utf8(JSON.to_vec()).unwrap()
}

/// Returns a manifest's block, little-endian.
pub(super) fn block(json: &str) -> Vec<u8> {
    block_of(1, json.len() as u32, &ABI_RUST, json)
}

/// Returns a block whose header has these values, true or not.
pub(super) fn block_of(version: u32, len: u32, abi: &[u8; 16], json: &str) -> Vec<u8> {
    let mut out = b"KEYSTEAD".to_vec();
    out.extend(version.to_le_bytes());
    out.extend(len.to_le_bytes());
    out.extend(abi);
    out.extend(json.as_bytes());
    out
}

/// Returns the bytes of a `LibHeader` of this version of abi_stable, little-endian.
pub(super) fn header(major: u32, minor: u32) -> Vec<u8> {
    let mut out = b"abi stable library for Rust     ".to_vec();
    out.extend(major.to_le_bytes());
    out.extend(minor.to_le_bytes());
    out.resize(152, 0x5a);
    out
}

/// An ELF library to build.
pub(super) struct Elf {
    /// The manifest's block; `None` to omit it.
    pub(super) block: Option<Vec<u8>>,
    /// The bytes at the entry symbol; `None` to omit them.
    pub(super) header: Option<Vec<u8>>,
    /// Further C code.
    pub(super) code: &'static str,
    /// Further arguments for the compiler.
    pub(super) flags: &'static [&'static str],
}

impl Default for Elf {
    fn default() -> Self {
        Self { block: Some(block(&json())), header: Some(header(0, 11)), code: "", flags: &[] }
    }
}

impl Elf {
    pub(super) fn build(&self) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let mut code = String::from(
            "char *getenv(const char *);\nchar *probe(void) { return getenv(\"X\"); }\n",
        );
        if let Some(block) = &self.block {
            let mut note = Vec::new();
            note.extend(9_u32.to_le_bytes());
            note.extend((block.len() as u32).to_le_bytes());
            note.extend(1_u32.to_le_bytes());
            note.extend(NOTE_OWNER);
            note.extend(block);
            let bytes = array(&note);
            code += &format!(
                "__attribute__((used, section(\".note.keystead\"), aligned(4)))\n\
                 static const unsigned char note[] = {bytes};\n"
            );
        }
        if let Some(header) = &self.header {
            code += &format!("unsigned char {RUST_SYMBOL}[] = {};\n", array(header));
        }
        code += self.code;
        compile(dir.path(), &code, self.flags);
        std::fs::read(dir.path().join("plugin.so")).unwrap()
    }
}

fn array(bytes: &[u8]) -> String {
    let numbers: Vec<_> = bytes.iter().map(u8::to_string).collect();
    format!("{{{}}}", numbers.join(","))
}

fn compile(dir: &Path, code: &str, flags: &[&str]) {
    std::fs::write(dir.join("plugin.c"), code).unwrap();
    std::fs::write(dir.join("vendor.c"), "int vendor;").unwrap();
    let run = |arguments: &[&str]| {
        let done = Command::new("cc").args(arguments).current_dir(dir).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    if flags.contains(&"-lvendor") {
        let name = "-Wl,-soname,libvendor.so.1";
        run(&["-shared", "-fPIC", name, "-o", "libvendor.so", "vendor.c"]);
    }
    let mut all = vec!["-fPIC", "-s", "-L.", "-o", "plugin.so", "plugin.c"];
    if !flags.contains(&"-pie") {
        all.push("-shared");
    }
    all.extend(flags);
    run(&all);
}

/// Returns a Windows library: x86-64, with a section for exports and imports.
pub(super) fn pe() -> Vec<u8> {
    const SYMBOL_AT: usize = 0x40;
    const IMPORTS_AT: usize = 0x80;
    const ENTRY_AT: usize = 0x100;
    let mut rdata = vec![0; 0x200];
    put(&mut rdata, 12, &rva(0x34)); // the library's own name
    put(&mut rdata, 16, &1_u32.to_le_bytes()); // the first ordinal
    put(&mut rdata, 20, &1_u32.to_le_bytes()); // one function
    put(&mut rdata, 24, &1_u32.to_le_bytes()); // one name
    put(&mut rdata, 28, &rva(0x28));
    put(&mut rdata, 32, &rva(0x2c));
    put(&mut rdata, 36, &rva(0x30));
    put(&mut rdata, 0x28, &rva(ENTRY_AT));
    put(&mut rdata, 0x2c, &rva(SYMBOL_AT));
    put(&mut rdata, 0x34, b"p.dll\0");
    put(&mut rdata, SYMBOL_AT, RUST_SYMBOL.as_bytes());
    put(&mut rdata, IMPORTS_AT, &rva(0xb0));
    put(&mut rdata, IMPORTS_AT + 12, &rva(0xc0));
    put(&mut rdata, IMPORTS_AT + 16, &rva(0xb0));
    put(&mut rdata, 0xc0, b"KERNEL32.dll\0");
    put(&mut rdata, ENTRY_AT, &header(0, 11));

    let mut manifest = block(&json());
    let manifest_len = manifest.len();
    manifest.resize(manifest_len.next_multiple_of(0x200), 0);

    let mut out = vec![0; 0x400];
    put(&mut out, 0, b"MZ");
    put(&mut out, 60, &64_u32.to_le_bytes());
    put(&mut out, 64, b"PE\0\0");
    put(&mut out, 68, &0x8664_u16.to_le_bytes());
    put(&mut out, 70, &2_u16.to_le_bytes());
    put(&mut out, 84, &240_u16.to_le_bytes());
    put(&mut out, 86, &0x2022_u16.to_le_bytes()); // a DLL
    let optional = 88;
    put(&mut out, optional, &0x20b_u16.to_le_bytes());
    put(&mut out, optional + 32, &0x1000_u32.to_le_bytes());
    put(&mut out, optional + 36, &0x200_u32.to_le_bytes());
    put(&mut out, optional + 70, &0x0160_u16.to_le_bytes()); // may be moved, no code on the stack
    put(&mut out, optional + 108, &16_u32.to_le_bytes());
    put(&mut out, optional + 112, &rva(0));
    put(&mut out, optional + 116, &0x80_u32.to_le_bytes());
    put(&mut out, optional + 120, &rva(IMPORTS_AT));
    put(&mut out, optional + 124, &40_u32.to_le_bytes());
    let mut section = |at: usize, name: &[u8], len: usize, address: u32, offset: u32| {
        put(&mut out, at, name);
        put(&mut out, at + 8, &(len as u32).to_le_bytes());
        put(&mut out, at + 12, &address.to_le_bytes());
        put(&mut out, at + 16, &(len.next_multiple_of(0x200) as u32).to_le_bytes());
        put(&mut out, at + 20, &offset.to_le_bytes());
        put(&mut out, at + 36, &0x4000_0040_u32.to_le_bytes());
    };
    section(optional + 240, b".rdata", rdata.len(), 0x1000, 0x400);
    section(optional + 280, b".keystd", manifest_len, 0x2000, 0x600);
    out.extend(rdata);
    out.extend(manifest);
    out
}

fn rva(at: usize) -> [u8; 4] {
    (0x1000 + at as u32).to_le_bytes()
}

/// Returns a macOS library: aarch64, with one segment for data and one for symbols.
pub(super) fn macho() -> Vec<u8> {
    const DATA_AT: u64 = 0x400;
    let manifest = block(&json());
    let entry_at = DATA_AT + manifest.len().next_multiple_of(8) as u64;
    let init_at = entry_at + 152;
    let data_end = init_at + 8;
    let strings = format!("\0_{RUST_SYMBOL}\0");
    let symbols_at = data_end;
    let strings_at = symbols_at + 16;

    let mut commands = Vec::new();
    let number = |out: &mut Vec<u8>, value: u64, bytes: usize| {
        out.extend(&value.to_le_bytes()[..bytes]);
    };
    let segment = |out: &mut Vec<u8>, name: &str, from: u64, to: u64, sections: u64| {
        number(out, 0x19, 4);
        number(out, 72 + 80 * sections, 4);
        out.extend(padded(name));
        for value in [from, to - from, from, to - from] {
            number(out, value, 8);
        }
        for value in [3, 3, sections, 0] {
            number(out, value, 4);
        }
    };
    let section = |out: &mut Vec<u8>, name: &str, from: u64, len: u64, kind: u64| {
        out.extend(padded(name));
        out.extend(padded("__DATA"));
        for value in [from, len] {
            number(out, value, 8);
        }
        for value in [from, 3, 0, 0, kind, 0, 0, 0] {
            number(out, value, 4);
        }
    };
    segment(&mut commands, "__DATA", DATA_AT, data_end, 3);
    section(&mut commands, "__keystead", DATA_AT, manifest.len() as u64, 0);
    section(&mut commands, "__const", entry_at, 152, 0);
    section(&mut commands, "__mod_init_func", init_at, 8, 9);
    segment(&mut commands, "__LINKEDIT", symbols_at, strings_at + strings.len() as u64, 0);
    for value in [2, 24, symbols_at, 1, strings_at, strings.len() as u64] {
        number(&mut commands, value, 4);
    }
    for value in [0xc, 56, 24, 0, 0, 0] {
        number(&mut commands, value, 4);
    }
    commands.extend(padded("/usr/lib/libSystem.B.dylib"));

    let mut out = Vec::new();
    for value in [0xfeed_facf, 0x0100_000c, 0, 6, 4, commands.len() as u64, 0x85, 0] {
        number(&mut out, value, 4);
    }
    out.extend(commands);
    assert!(out.len() as u64 <= DATA_AT);
    out.resize(DATA_AT as usize, 0);
    out.extend(manifest);
    out.resize(entry_at as usize, 0);
    out.extend(header(0, 11));
    out.extend([0; 8]);
    number(&mut out, 1, 4); // the name's place
    out.extend([0x0f, 2, 0, 0]); // exported, in the second section
    number(&mut out, entry_at, 8);
    out.extend(strings.as_bytes());
    out
}

/// Returns a name in the next multiple of 16 bytes.
fn padded(name: &str) -> Vec<u8> {
    let mut out = name.as_bytes().to_vec();
    out.resize(name.len().next_multiple_of(16), 0);
    out
}

/// Overwrites the bytes at this offset.
pub(super) fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    out[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Replaces the first occurrence of a text with a text of the same length.
pub(super) fn patch(mut file: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = file.windows(from.len()).position(|window| window == from).expect("it is there");
    put(&mut file, at, to);
    file
}
