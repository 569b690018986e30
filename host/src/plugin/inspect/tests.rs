//! What is read out of good files, and what is refused about bad ones.

mod loader;

use std::sync::LazyLock;

use keystead_plugin_api::manifest::section::{ABI_C, ABI_RUST};
use keystead_plugin_api::manifest::{Capability, NameRule};
use keystead_plugin_api::{ParameterKind, ValueKind};

use super::fixture::{Elf, block, block_of, header, json, macho, patch, pe, put};
use super::*;

/// The plain good ELF plugin: the compiler runs once.
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| Elf::default().build());

fn refusal(bytes: &[u8]) -> String {
    let error = inspect(bytes).expect_err("the file must be refused");
    format!("{}: {error}", error.code())
}

/// Returns the refusal of a good file with this JSON in the place of its manifest.
fn json_refusal(json: &str) -> String {
    match Manifest::parse(json.as_bytes()) {
        Err(error) => format!("{}: {error}", error.code()),
        Ok(manifest) => panic!("the manifest must be refused: {manifest:?}"),
    }
}

fn here() -> Here {
    Here {
        format: Format::Elf,
        machine: Machine::X86_64,
        glibc: Some((2, 36)),
        api: semver::Version::new(1, 0, 0),
        granted_libraries: Default::default(),
    }
}

fn refusal_here(bytes: &[u8], here: &Here) -> String {
    let error = inspect(bytes).unwrap().check_here(here).expect_err("it must be refused");
    format!("{}: {error}", error.code())
}

#[test]
fn tells_everything_a_plugin_says_of_itself() {
    let found = inspect(&GOOD).unwrap();
    let manifest = &found.manifest;
    assert_eq!(manifest.id, "vendor-safe");
    assert_eq!(manifest.version, semver::Version::new(2, 1, 0));
    assert_eq!(manifest.api, semver::Version::new(1, 0, 0));
    assert_eq!(manifest.description, "Secrets in a \"Vendor\" Safe");
    assert_eq!(manifest.vendor, "Vendor Ltd");
    assert_eq!(manifest.licence, "MIT");
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
fn describes_a_windows_plugin_anywhere() {
    let found = inspect(&pe()).unwrap();
    assert_eq!((found.format, found.machine, found.abi), (Format::Pe, Machine::X86_64, Abi::Rust));
    assert_eq!(found.manifest.id, "vendor-safe");
    assert_eq!(found.needed, ["KERNEL32.dll"]);
    assert_eq!(found.glibc, None);
}

#[test]
fn describes_a_macos_plugin_anywhere() {
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
fn finds_the_manifest_of_a_file_without_section_headers() {
    let mut file = GOOD.clone();
    put(&mut file, 40, &0_u64.to_le_bytes()); // where they are
    put(&mut file, 60, &[0; 4]); // how many, and which has the names
    assert_eq!(inspect(&file).unwrap().manifest.id, "vendor-safe");
}

#[test]
fn reads_a_plugin_of_the_c_table() {
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
fn refuses_what_is_no_library() {
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
fn refuses_a_universal_binary_in_words() {
    let file = b"\xca\xfe\xba\xbe\0\0\0\x02";
    assert_eq!(
        refusal(file),
        "E05.universal: the file is a universal binary: split it with `lipo -thin`"
    );
}

#[test]
fn refuses_a_file_cut_off_anywhere() {
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
fn refuses_a_library_without_a_manifest() {
    let expected = "E05.no-manifest: the library has no manifest: it is not a plugin";
    assert_eq!(refusal(&Elf { block: None, ..Elf::default() }.build()), expected);
    assert_eq!(refusal(&Elf { block: None, header: None, ..Elf::default() }.build()), expected);
    assert_eq!(refusal(&patch(pe(), b".keystd\0", b".keystx\0")), expected);
    assert_eq!(refusal(&patch(macho(), b"__keystead", b"__keysteax")), expected);
}

#[test]
fn refuses_two_manifests_in_one_file() {
    let code = "__asm__(\".section .note.keystead\\n.balign 4\\n\
                .long 9, 1, 1\\n.ascii \\\"Keystead\\\\0\\\\0\\\\0\\\\0x\\\"\\n.balign 4\\n.text\");";
    let file = Elf { code, ..Elf::default() }.build();
    assert_eq!(
        refusal(&file),
        "E05.bad-manifest: the manifest is not valid: the file carries two manifests"
    );
}

#[test]
fn refuses_a_manifest_whose_header_lies() {
    let json = json();
    let len = json.len() as u32;
    let with = |block: Vec<u8>| Elf { block: Some(block), ..Elf::default() }.build();
    let longer = block_of(1, len + 1, &ABI_RUST, &json);
    assert_eq!(
        refusal(&with(longer)),
        format!(
            "E05.bad-manifest: the manifest is not valid: its header says {} bytes and there \
             are {len}",
            len + 1
        )
    );
    assert_eq!(
        refusal(&with(block_of(1, u32::MAX, &ABI_RUST, &json))),
        "E05.bad-manifest: the manifest is not valid: its header says 4294967295 bytes; the most \
         is 65536"
    );
    assert_eq!(
        refusal(&with(b"KEYSTEAD".to_vec())),
        "E05.bad-manifest: the manifest is not valid: its header is cut off"
    );
    assert_eq!(
        refusal(&with(block_of(2, len, &ABI_RUST, &json))),
        "E06.manifest-version: the manifest has version 2 and this host reads version 1"
    );
    assert_eq!(
        refusal(&with(block_of(1, len, b"abi_stable-0.12\0", &json))),
        "E06.unknown-abi: the plugin has the ABI `abi_stable-0.12`; this host knows \
         `abi_stable-0.11` and `c-1`"
    );
    assert_eq!(
        refusal(&with(block("not JSON"))),
        "E05.manifest-not-json: the manifest is not JSON as expected: expected ident at line 1 \
         column 2"
    );
}

#[test]
fn refuses_a_manifest_that_says_what_it_must_not() {
    let json = json();
    let refused = |from: &str, to: &str| {
        assert!(json.contains(from), "{from} is not in {json}");
        let text = json_refusal(&json.replace(from, to));
        text.strip_prefix("E05.bad-manifest: the manifest is not valid: ").unwrap().to_owned()
    };
    let rule = "1 to 64 lower-case letters, digits and dashes are allowed";
    for id in ["", "Vendor", "-a", "a/b", "..", "a b"] {
        assert_eq!(refused("vendor-safe", id), format!("`id` is `{id}`: {rule}"));
    }
    refused("vendor-safe", &"a".repeat(65));
    assert_eq!(refused("2.1.0", "2.1"), "`version` is `2.1`: not a semantic version");
    assert_eq!(
        refused("\"api\":\"1.0.0\"", "\"api\":\"1\""),
        "`api` is `1`: not a semantic version"
    );
    assert_eq!(refused("Vendor Ltd", "V\\u001b[2J"), "`vendor` has the character U+001B");
    assert_eq!(refused("Vendor Ltd", "V\u{202e}dtL"), "`vendor` has the character U+202E");
    assert_eq!(refused("Vendor Ltd", &"V".repeat(1_025)), "`vendor` has more than 1024 bytes");
    assert_eq!(refused("case-insensitive", "as it likes"), "`names` is `as it likes`");
    for template in
        ["{a.to}/..", "{a.to}/.ssh/", "{a.to}.key", "/srv/{a.to}", "{a.to}{a.of}", "{a.to}//"]
    {
        assert_eq!(
            refused("files:{path}", &format!("files:{template}")),
            format!(
                "permission `files:{template}:rw` has more of a path than what is typed for an action"
            )
        );
    }
    assert_eq!(
        refused("files:{path}", "files:{file}"),
        "permission `files:{file}:rw` refers to a parameter that no kind has"
    );
    let kinds =
        &json[json.find("[{\"name\":\"safe\"").unwrap()..json.find(",\"permissions\"").unwrap()];
    let kind = &kinds[1..kinds.len() - 1];
    assert_eq!(refused(kinds, "[]"), "`kinds` is empty");
    assert_eq!(refused(kinds, &format!("[{kind},{kind}]")), "`kinds` has `safe` twice");
    assert_eq!(
        refused(kinds, &format!("[{}]", [kind; 33].join(","))),
        "`kinds` has more than 32 entries"
    );
    let from = json.find("[{\"name\":\"path\"").unwrap();
    let parameters = &json[from..json.find("]}]").unwrap() + 1];
    let parameter = &parameters[1..parameters.len() - 1];
    assert_eq!(
        refused(parameters, &format!("[{parameter},{parameter}]")),
        "`parameters` has `path` twice"
    );
    assert_eq!(
        refused("\"default\":\"\"", "\"default\":\"/srv\""),
        "the default of parameter `path`"
    );
    assert_eq!(
        json_refusal(&json.replace("\"schema\":1", "\"schema\":2")),
        "E06.manifest-version: the manifest has version 2 and this host reads version 1"
    );
}

#[test]
fn never_repeats_foreign_text_that_misleads_or_does_not_end() {
    let json =
        json().replace("\"schema\":1", &format!("\"schema\":\"\u{202e}{}\"", "x".repeat(9_999)));
    let text = json_refusal(&json);
    assert!(text.len() < 200 && !text.contains('\u{202e}'), "{text}");
    let json = self::json().replace("vendor-safe", &format!("\\u001b[2J{}", "x".repeat(9_999)));
    let text = json_refusal(&json);
    assert!(text.len() < 300 && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn keeps_what_a_newer_plugin_says_apart() {
    let newer = json()
        .replace("\"schema\":1", "\"schema\":1,\"colour\":[\"teal\"]")
        .replace("\"capabilities\":[", "\"capabilities\":[\"rotate\",")
        .replace("\"values\":[", "\"values\":[\"link\",")
        .replace(
            "\"parameters\":[",
            "\"parameters\":[{\"name\":\"wait\",\"kind\":\"duration\",\"description\":\"\",\
             \"required\":false,\"secret\":false,\"default\":\"1s\"},",
        );
    let manifest = Manifest::parse(newer.as_bytes()).unwrap();
    let kind = &manifest.kinds[0];
    assert_eq!(kind.unknown, ["rotate", "link", "duration"]);
    assert_eq!(kind.capabilities, [Capability::Write, Capability::Unlock]);
    assert_eq!(kind.parameters.len(), 1);
    let needed = newer.replace("\"\",\"required\":false", "\"\",\"required\":true");
    assert_eq!(
        json_refusal(&needed),
        "E06.parameter-kind: the parameter `wait` has the kind `duration`, which this host does \
         not know"
    );
}

#[test]
fn refuses_a_permission_it_cannot_grant() {
    for written in ["root", "network:all", "files", "rotate:x", ""] {
        let error = Permission::parse(written).unwrap_err();
        assert_eq!(error.code(), "E07.unknown-permission", "{written}: {error}");
    }
    for written in [
        "files:{path}:w",
        "files:{path}",
        "files:etc:r",
        "files:/a/../b:r",
        "files:{a:r",
        "files:a}:r",
        "files:/{{a}}:r",
        "env:",
        "env:1A",
        "env:A=B",
        "env:LD_PRELOAD",
        "env:GLIBC_TUNABLES",
        "exec:",
        "exec:a/b",
        "exec:../sh",
        "library:",
        "library:../x.so",
        "library:$ORIGIN",
        "exec:a\u{202e}b",
    ] {
        let error = Permission::parse(written).unwrap_err();
        assert_eq!(error.code(), "E05.bad-manifest", "{written}: {error}");
    }
}

#[test]
fn a_permission_reads_as_plain_words_and_writes_as_it_was() {
    for (written, words) in [
        ("files:{path}:r", "may read files under {path}"),
        ("files:/srv/{name}:rw", "may read and write files under /srv/{name}"),
        ("network", "may use the network"),
        ("env:HTTPS_PROXY", "may read the environment variable HTTPS_PROXY"),
        ("exec:gpg", "may run the program gpg"),
        ("exec:/usr/bin/gpg", "may run the program /usr/bin/gpg"),
        ("dbus", "may use the session bus, which acts as you"),
        ("library:libpcsclite.so.1", "is linked with the library libpcsclite.so.1"),
    ] {
        let permission = Permission::parse(written).unwrap();
        assert_eq!(permission.to_string(), words);
        assert_eq!(permission.text(), written);
    }
    let permission = Permission::parse("files:/srv/{a}/{b}:r").unwrap();
    assert_eq!(permission.parameters().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn refuses_a_library_without_the_entry() {
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
fn refuses_an_entry_that_is_not_what_it_must_be() {
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
fn refuses_a_search_path_of_the_librarys_own() {
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
fn refuses_an_executable_stack() {
    let expected = "E05.executable-stack: the library asks for an executable stack";
    let file = Elf { flags: &["-Wl,-z,execstack"], ..Elf::default() }.build();
    assert_eq!(refusal(&file), expected);
    // glibc makes the stack executable where the header is missing.
    let file = patch(GOOD.clone(), &[0x51, 0xe5, 0x74, 0x64], &[0, 0, 0, 0]);
    assert_eq!(refusal(&file), expected);
}

#[test]
fn refuses_relocations_in_code() {
    let code = "int target; __asm__(\".text\\n.quad target\\n\");";
    let file = Elf { code, flags: &["-Wl,-z,notext"], ..Elf::default() }.build();
    assert_eq!(
        refusal(&file),
        "E05.text-relocations: the library has relocations in its code: it was built without \
         `-fPIC`"
    );
}

#[test]
fn points_out_what_is_unusual() {
    let code = "__attribute__((constructor)) static void a(void) {}\n\
                __attribute__((constructor)) static void b(void) {}";
    let found = inspect(&Elf { code, ..Elf::default() }.build()).unwrap();
    assert_eq!(found.findings, [Finding::Constructors(3)]);
    assert_eq!(found.findings[0].to_string(), "runs 3 functions while it is loaded; 2 are usual");
}

#[test]
fn a_good_plugin_can_be_loaded_on_the_machine_that_made_it() {
    let here = Here::current();
    assert_eq!(here.api.major, 1);
    assert!(here.glibc.is_some_and(|version| version >= (2, 17)), "{here:?}");
    inspect(&GOOD).unwrap().check_here(&here).unwrap();
}

#[test]
fn refuses_another_machines_and_another_platforms_plugin() {
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
fn refuses_another_major_version_of_the_contract_only() {
    let with = |api: &str| {
        let json = json().replace("\"api\":\"1.0.0\"", &format!("\"api\":\"{api}\""));
        let mut found = inspect(&GOOD).unwrap();
        found.manifest = Manifest::parse(json.as_bytes()).unwrap();
        found.machine = Machine::X86_64;
        found.check_here(&Here { glibc: None, ..here() })
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
fn refuses_a_plugin_for_a_newer_c_library() {
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
    found.check_here(&Here { glibc: None, ..here() }).unwrap();
}

#[test]
fn a_library_beyond_the_systems_must_be_asked_for_and_granted() {
    let flags = &["-Wl,--no-as-needed", "-lvendor"];
    let file = Elf { flags, ..Elf::default() }.build();
    let mut found = inspect(&file).unwrap();
    found.machine = Machine::X86_64;
    let here = Here { glibc: None, ..here() };
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
fn a_wild_file_is_an_error_and_never_a_panic() {
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
