//! Each difference between how glibc's loader and inspection could read an ELF file. A test file is
//! a good plugin with that one change, and is refused.
//!
//! The numbers in it are those of x86-64.
#![cfg(target_arch = "x86_64")]

mod dynamic;
mod edit;
mod glibc;
mod relocations;
mod segments;
mod symbols;

use std::sync::LazyLock;

use super::super::fixture::Elf;
use super::super::inspect;
use super::refusal;
use edit::*;

const RUST: &str = "_1as_0lib_1header_0root_bmodule_bloader";
const DT_GNU_HASH: u64 = 0x6fff_fef5;
const DT_VERSYM: u64 = 0x6fff_fff0;
const DT_RELACOUNT: u64 = 0x6fff_fff9;
const DT_VERNEED: u64 = 0x6fff_fffe;
const DT_VERNEEDNUM: u64 = 0x6fff_ffff;

/// A plugin with both hash tables, thread-local data, data to change, relocations of each form and
/// spare bytes.
static RICH: LazyLock<File> = LazyLock::new(|| {
    let code = "extern int elsewhere; int *there = &elsewhere;\n\
                static int own; int *here = &own;\n\
                __thread int counter = 7; __thread int counters[4];\n\
                int bss[9000];\n\
                int *const many[128] = {&elsewhere};\n\
                char *strdup(const char *); char *other(void) { return strdup(\"x\"); }\n\
                const unsigned char spare[1024] = \"SPARE\";\n\
                void *(*jump(void))(const char *) { return (void *(*)(const char *))getenv; }\n";
    let flags = &["-Wl,--hash-style=both", "-Wl,-z,lazy", "-Wl,-z,undefs"];
    File(Elf { code, flags, ..Elf::default() }.build())
});

/// Returns the offset of bytes in memory that nothing else uses.
fn spare(file: &File) -> usize {
    file.find(b"SPARE")
}

type Case<'a> = (&'a str, &'a str, &'a dyn Fn(&mut File));

fn check(cases: &[Case<'_>]) {
    inspect(&RICH.0).expect("the unchanged plugin is good");
    for (name, expected, change) in cases {
        let mut file = RICH.clone();
        change(&mut file);
        let found = match inspect(&file.0) {
            Ok(_) => "it is accepted".to_owned(),
            Err(error) => format!("{}: {error}", error.code()),
        };
        let expected = match expected.split_once(": ") {
            Some(("as", what)) => format!(
                "E05.not-as-loaded: the system's loader would read the file in another way: {what}"
            ),
            Some(("ask", what)) => format!(
                "E05.loader-request: the library asks the system's loader for what no plugin may \
                 have: {what}"
            ),
            Some(("bad", what)) => format!("E05.malformed: the file is malformed: {what}"),
            _ => (*expected).to_owned(),
        };
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn elf_header_that_glibc_reads_differently_is_rejected() {
    let other = "bad: the ELF header is of another operating system's";
    check(&[
        ("FreeBSD", other, &|file| file.0[7] = 9),
        ("version of the ABI", other, &|file| file.0[8] = 1),
        ("padding", other, &|file| file.0[15] = 1),
        ("e_version", "bad: the ELF header has an unknown version", &|file| {
            file.set(0, E_VERSION, 2);
        }),
        ("e_phentsize", "bad: the ELF program headers have another size", &|file| {
            file.set(0, E_PHENTSIZE, 64);
        }),
        ("e_phnum", "bad: there are too many ELF program headers", &|file| {
            file.set(0, E_PHNUM, 129);
            file.0.resize(1 << 14, 0);
        }),
    ]);
    // The count in the first section, which the specification defines and glibc ignores.
    let mut file = RICH.clone();
    let sections = file.get(0, (40, 8)) as usize;
    let count = file.get(0, E_PHNUM);
    file.set(sections, (44, 4), count);
    file.set(0, E_PHNUM, 0xffff);
    file.0.resize(0x1_0001 * 56, 0);
    let expected = "E05.malformed: the file is malformed: there are too many ELF program headers";
    assert_eq!(refusal(&file.0), expected);
}
