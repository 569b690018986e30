//! Inspection of good files, and refusals of bad files.

mod loader;
mod manifest;

use std::sync::LazyLock;

use keystead_plugin_api::manifest::section::{ABI_C, ABI_RUST};
use keystead_plugin_api::manifest::{Capability, NameRule};
use keystead_plugin_api::{OwnedParameter, ParameterKind, ValueKind};

use super::fixture::{Elf, block, block_of, header, json, macho, patch, pe, put};
use super::*;

/// The plain good ELF plugin: the compiler runs once.
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| Elf::default().build());

fn refusal(bytes: &[u8]) -> String {
    let error = inspect(bytes).expect_err("the file must be refused");
    format!("{}: {error}", error.code())
}

/// Returns the refusal of a good file with this JSON as its manifest.
fn json_refusal(json: &str) -> String {
    match ParsedManifest::parse(json.as_bytes()) {
        Err(error) => format!("{}: {error}", error.code()),
        Ok(manifest) => panic!("the manifest must be refused: {manifest:?}"),
    }
}

fn here() -> LocalPlatform {
    LocalPlatform {
        format: Format::Elf,
        machine: Machine::X86_64,
        glibc: Some((2, 36)),
        api: semver::Version::new(1, 0, 0),
        granted_libraries: Default::default(),
    }
}

fn refusal_here(bytes: &[u8], here: &LocalPlatform) -> String {
    let error = inspect(bytes).unwrap().check_here(here).expect_err("it must be refused");
    format!("{}: {error}", error.code())
}

#[test]
fn manifest_and_abi_of_elf_plugin_are_reported() {
    let found = inspect(&GOOD).unwrap();
    let manifest = &found.manifest;
    assert_eq!(manifest.id, "vendor-safe");
    assert_eq!(manifest.version, semver::Version::new(2, 1, 0));
    assert_eq!(manifest.api, semver::Version::new(1, 0, 0));
    assert_eq!(manifest.description, "Secrets in a \"Vendor\" Safe");
    assert_eq!(manifest.vendor, "Vendor Ltd");
    assert_eq!(manifest.license, "MIT");
    assert_eq!(manifest.homepage, "https://vendor.example/keystead");
    let kind = manifest.kind(None).unwrap();
    assert_eq!(kind.name, "safe");
    assert_eq!(kind.names, NameRule::CaseInsensitive);
    assert_eq!(kind.capabilities, [Capability::Write, Capability::Unlock]);
    assert_eq!(kind.values, [ValueKind::Text, ValueKind::Map]);
    assert_eq!(kind.parameters[0].name, "path");
    assert_eq!(kind.parameters[0].kind, ParameterKind::Path);
    assert!(kind.parameters[0].required);
    let permissions: Vec<_> = manifest.permissions.iter().map(ToString::to_string).collect();
    assert_eq!(
        permissions,
        ["may read and write files under {path}", "is linked with the library libvendor.so.1"]
    );
    assert_eq!(found.abi, Abi::Rust);
    assert_eq!(found.format, Format::Elf);
    assert_eq!(found.needed, ["libc.so.6"]);
    assert!(found.glibc.is_some_and(|version| version >= (2, 0)), "{:?}", found.glibc);
    assert_eq!(found.constructors, 1);
    assert_eq!(found.findings, []);
}

#[test]
fn windows_plugin_is_inspected_on_any_platform() {
    let found = inspect(&pe()).unwrap();
    assert_eq!((found.format, found.machine, found.abi), (Format::Pe, Machine::X86_64, Abi::Rust));
    assert_eq!(found.manifest.id, "vendor-safe");
    assert_eq!(found.needed, ["KERNEL32.dll"]);
    assert_eq!(found.glibc, None);
}

#[test]
fn macos_plugin_is_inspected_on_any_platform() {
    let found = inspect(&macho()).unwrap();
    assert_eq!(
        (found.format, found.machine, found.abi),
        (Format::MachO, Machine::Aarch64, Abi::Rust)
    );
    assert_eq!(found.manifest.id, "vendor-safe");
    assert_eq!(found.needed, ["/usr/lib/libSystem.B.dylib"]);
    assert_eq!(found.constructors, 1);
}

#[test]
fn manifest_without_section_headers_is_found() {
    let mut file = GOOD.clone();
    put(&mut file, 40, &0_u64.to_le_bytes()); // where they are
    put(&mut file, 60, &[0; 4]); // how many, and which has the names
    assert_eq!(inspect(&file).unwrap().manifest.id, "vendor-safe");
}

#[test]
fn c_abi_plugin_is_read_and_missing_entry_rejected() {
    let json = json();
    let block = block_of(1, json.len() as u32, &ABI_C, &json);
    let code = "const void *keystead_plugin_v1(void) { return 0; }";
    let file = Elf { block: Some(block.clone()), header: None, code, ..Elf::default() }.build();
    assert_eq!(inspect(&file).unwrap().abi, Abi::C);
    let missing = "E05.no-entry: the library does not export `keystead_plugin_v1`";
    // A table under the entry's name is not the function that returns it.
    for code in ["", "const void *keystead_plugin_v1[19] = {0};"] {
        let block = Some(block.clone());
        let file = Elf { block, header: None, code, ..Elf::default() }.build();
        assert_eq!(refusal(&file), missing);
    }
}

#[test]
fn non_library_file_is_rejected_with_its_type() {
    for (bytes, found) in [
        (&b""[..], "empty"),
        (b"hello\n", "text"),
        (b"gr\xc3\xbc\xc3\x9fe", "text"),
        (b"#!/bin/sh\n", "a script"),
        (b"!<arch>\n", "a static library"),
        (b"\0asm\x01\0\0\0", "a WebAssembly module"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\xca\xfe\xba\xbe\0\0\0\x41", "of an unknown form"),
        (&[0; 4096], "of an unknown form"),
    ] {
        let expected =
            format!("E05.not-a-library: the file is not a shared library: it is {found}");
        assert_eq!(refusal(bytes), expected);
    }
    let program = Elf { code: "int main(void) {}", flags: &["-pie"], ..Elf::default() };
    assert_eq!(
        refusal(&program.build()),
        "E05.not-a-library: the file is not a shared library: it is a program"
    );
}

#[test]
fn universal_binary_is_rejected_with_hint() {
    let file = b"\xca\xfe\xba\xbe\0\0\0\x02";
    assert_eq!(
        refusal(file),
        "E05.universal: the file is a universal binary: split it with `lipo -thin`"
    );
}

#[test]
fn truncated_file_is_rejected() {
    for file in [GOOD.clone(), pe(), macho()] {
        for tenth in 0..10 {
            let len = (file.len() * tenth / 10).max(4);
            let error = inspect(&file[..len]).unwrap_err();
            assert_eq!(error.code(), "E05.truncated", "{len} of {}: {error}", file.len());
        }
        for missing in 1..64 {
            let error = inspect(&file[..file.len() - missing]).unwrap_err();
            assert_eq!(error.code(), "E05.truncated", "{missing} missing: {error}");
        }
    }
    assert_eq!(
        refusal(&GOOD[..64]),
        format!(
            "E05.truncated: {}",
            Error::Truncated { has: 64, needs: 64 + 56 * u64::from(GOOD[56]) }
        )
    );
}

#[test]
fn library_without_manifest_is_rejected() {
    let expected = "E05.no-manifest: the library has no manifest: it is not a plugin";
    assert_eq!(refusal(&Elf { block: None, ..Elf::default() }.build()), expected);
    assert_eq!(refusal(&Elf { block: None, header: None, ..Elf::default() }.build()), expected);
    assert_eq!(refusal(&patch(pe(), b".keystd\0", b".keystx\0")), expected);
    assert_eq!(refusal(&patch(macho(), b"__keystead", b"__keysteax")), expected);
}

#[test]
fn file_with_two_manifests_is_rejected() {
    let code = "__asm__(\".section .note.keystead\\n.balign 4\\n\
                .long 9, 1, 1\\n.ascii \\\"Keystead\\\\0\\\\0\\\\0\\\\0x\\\"\\n.balign 4\\n.text\");";
    let file = Elf { code, ..Elf::default() }.build();
    assert_eq!(
        refusal(&file),
        "E05.bad-manifest: the manifest is not valid: the file carries two manifests"
    );
}

#[test]
fn library_without_entry_symbol_is_rejected() {
    let expected = "E05.no-entry: the library does not export \
                    `_1as_0lib_1header_0root_bmodule_bloader`";
    assert_eq!(refusal(&Elf { header: None, ..Elf::default() }.build()), expected);
    let file = Elf { flags: &["-fvisibility=hidden"], ..Elf::default() }.build();
    assert_eq!(refusal(&file), expected);
    let code = "void _1as_0lib_1header_0root_bmodule_bloader(void) {}";
    assert_eq!(refusal(&Elf { header: None, code, ..Elf::default() }.build()), expected);
    let symbol = entry::RUST_SYMBOL.as_bytes();
    let mut other = symbol.to_vec();
    other[1] = b'2';
    assert_eq!(refusal(&patch(pe(), symbol, &other)), expected);
    assert_eq!(refusal(&patch(macho(), symbol, &other)), expected);
}

#[test]
fn invalid_entry_symbol_is_rejected() {
    let with = |header| Elf { header: Some(header), ..Elf::default() }.build();
    let symbol = entry::RUST_SYMBOL;
    let wrong = format!("E05.wrong-magic: the symbol `{symbol}` is not a header of abi_stable");
    assert_eq!(refusal(&with(vec![0x41; 152])), wrong);
    let older = "E06.abi-stable: the plugin is built with abi_stable 0.10; this host needs 0.11";
    assert_eq!(refusal(&with(header(0, 10))), older);
    assert_eq!(refusal(&with(header(0, 10)[..144].to_vec())), older);
    for len in [1, 39, 40, 151] {
        let short =
            format!("E05.short-entry: the symbol `{symbol}` has {len} bytes instead of 152");
        assert_eq!(refusal(&with(header(0, 11)[..len].to_vec())), short);
    }
    let magic = b"abi stable library";
    assert_eq!(refusal(&patch(pe(), magic, b"abi stable librarx")), wrong);
    assert_eq!(refusal(&patch(macho(), magic, b"abi stable librarx")), wrong);
}

#[test]
fn library_with_own_search_path_is_rejected() {
    let file = Elf { flags: &["-Wl,-rpath,$ORIGIN/lib"], ..Elf::default() }.build();
    assert_eq!(
        refusal(&file),
        "E05.search-path: the library brings its own search path: RUNPATH `$ORIGIN/lib`"
    );
    let file =
        Elf { flags: &["-Wl,-rpath,/opt", "-Wl,--disable-new-dtags"], ..Elf::default() }.build();
    assert_eq!(
        refusal(&file),
        "E05.search-path: the library brings its own search path: RPATH `/opt`"
    );
    let file = patch(GOOD.clone(), b"libc.so.6\0", b"./c.so.66\0");
    assert_eq!(
        refusal(&file),
        "E05.search-path: the library brings its own search path: it needs `./c.so.66`"
    );
    let file = patch(macho(), b"/usr/lib/libS", b"@rpath/x/libS");
    assert_eq!(
        refusal(&file),
        "E05.search-path: the library brings its own search path: it needs \
         `@rpath/x/libSystem.B.dylib`"
    );
    let file = patch(pe(), b"KERNEL32.dll", b"\\\\evil\\a.dll");
    assert_eq!(
        refusal(&file),
        "E05.search-path: the library brings its own search path: it needs `\\\\evil\\a.dll`"
    );
}

#[test]
fn executable_stack_is_rejected() {
    let expected = "E05.executable-stack: the library asks for an executable stack";
    let file = Elf { flags: &["-Wl,-z,execstack"], ..Elf::default() }.build();
    assert_eq!(refusal(&file), expected);
    // glibc makes the stack executable where the header is missing.
    let file = patch(GOOD.clone(), &[0x51, 0xe5, 0x74, 0x64], &[0, 0, 0, 0]);
    assert_eq!(refusal(&file), expected);
}

#[test]
fn text_relocations_are_rejected() {
    let code = "int target; __asm__(\".text\\n.quad target\\n\");";
    let file = Elf { code, flags: &["-Wl,-z,notext"], ..Elf::default() }.build();
    assert_eq!(
        refusal(&file),
        "E05.text-relocations: the library has relocations in its code: it was built without \
         `-fPIC`"
    );
}

#[test]
fn extra_constructors_are_noted() {
    let code = "__attribute__((constructor)) static void a(void) {}\n\
                __attribute__((constructor)) static void b(void) {}";
    let found = inspect(&Elf { code, ..Elf::default() }.build()).unwrap();
    assert_eq!(found.findings, [InspectionNote::Constructors(3)]);
    assert_eq!(found.findings[0].to_string(), "runs 3 functions while it is loaded; 2 are usual");
}

#[test]
fn valid_plugin_is_loadable_on_build_machine() {
    let here = LocalPlatform::current();
    assert_eq!(here.api.major, 1);
    assert!(here.glibc.is_some_and(|version| version >= (2, 17)), "{here:?}");
    inspect(&GOOD).unwrap().check_here(&here).unwrap();
}

#[test]
fn plugin_for_other_machine_or_platform_is_rejected() {
    let mut file = GOOD.clone();
    put(&mut file, 18, &183_u16.to_le_bytes());
    assert_eq!(
        refusal_here(&file, &here()),
        "E05.other-machine: the plugin is for aarch64 and this machine is x86-64"
    );
    put(&mut file, 18, &9_999_u16.to_le_bytes());
    assert_eq!(
        refusal_here(&file, &here()),
        "E05.other-machine: the plugin is for machine 0x270f and this machine is x86-64"
    );
    assert_eq!(
        refusal_here(&pe(), &here()),
        "E05.other-platform: the plugin is a PE file and this system loads ELF files"
    );
    assert_eq!(
        refusal_here(&macho(), &here()),
        "E05.other-platform: the plugin is a Mach-O file and this system loads ELF files"
    );
}

#[test]
fn plugin_for_other_api_major_version_is_rejected() {
    let with = |api: &str| {
        let json = json().replace("\"api\":\"1.0.0\"", &format!("\"api\":\"{api}\""));
        let mut found = inspect(&GOOD).unwrap();
        found.manifest = ParsedManifest::parse(json.as_bytes()).unwrap();
        found.machine = Machine::X86_64;
        found.check_here(&LocalPlatform { glibc: None, ..here() })
    };
    with("1.0.0").unwrap();
    with("1.7.3").unwrap();
    for api in ["2.0.0", "0.9.0"] {
        let error = with(api).unwrap_err();
        assert_eq!(error.code(), "E06.api");
        let text = format!("the plugin is built for plugin API {api}; this host has 1.0.0");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn plugin_for_newer_glibc_is_rejected() {
    let from = GOOD.windows(6).position(|w| w == b"GLIBC_").expect("getenv has a version");
    let mut file = GOOD.clone();
    put(&mut file, from, b"GLIBC_2.99\0");
    let mut found = inspect(&file).unwrap();
    found.machine = Machine::X86_64;
    assert_eq!(found.glibc, Some((2, 99)));
    let error = found.check_here(&here()).unwrap_err();
    assert_eq!(
        format!("{}: {error}", error.code()),
        "E06.glibc: the plugin needs glibc 2.99; this system has 2.36"
    );
    found.check_here(&LocalPlatform { glibc: None, ..here() }).unwrap();
}

#[test]
fn extra_library_without_request_or_grant_is_rejected() {
    let flags = &["-Wl,--no-as-needed", "-lvendor"];
    let file = Elf { flags, ..Elf::default() }.build();
    let mut found = inspect(&file).unwrap();
    found.machine = Machine::X86_64;
    let here = LocalPlatform { glibc: None, ..here() };
    assert_eq!(found.extra_libraries().collect::<Vec<_>>(), ["libvendor.so.1"]);
    let error = found.check_here(&here).unwrap_err();
    assert_eq!(
        format!("{}: {error}", error.code()),
        "E07.library-not-granted: the plugin needs the library `libvendor.so.1`, which was not \
         granted"
    );
    let granting = here.granting(&found.manifest.permissions);
    found.check_here(&granting).unwrap();
    found.manifest.permissions.pop();
    let error = found.check_here(&granting).unwrap_err();
    assert_eq!(
        format!("{}: {error}", error.code()),
        "E07.library-not-asked: the plugin needs the library `libvendor.so.1` and its manifest \
         does not ask for it"
    );
}

#[test]
fn mutated_file_never_panics_inspection() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    let hostile = [0, 1, 0x7f, 0x80, 0xff];
    for seed in [GOOD.clone(), pe(), macho()] {
        let mut accepted = 0;
        for _ in 0..6_000 {
            let mut file = seed.clone();
            for _ in 0..=next(8) {
                // Headers are at the start: most changes go there.
                let end = if next(2) == 0 { file.len() } else { file.len().min(0x400) };
                let at = next(end);
                match next(3) {
                    0 => file[at] ^= 1 << next(8),
                    1 => file[at] = hostile[next(hostile.len())],
                    _ => {
                        let to = (at + 8).min(file.len());
                        file[at..to].fill(hostile[next(hostile.len())]);
                    }
                }
            }
            if next(4) == 0 {
                file.truncate(next(file.len()));
            }
            if let Ok(found) = inspect(&file) {
                let _ = found.check_here(&here());
                accepted += 1;
            }
        }
        assert!(accepted > 0, "the changes must leave some files whole, or they test nothing");
    }
}
