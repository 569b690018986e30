//! The dynamic table.

use super::*;

#[test]
fn dynamic_entry_requesting_loader_features_is_rejected() {
    for (tag, name) in [
        (0x7fff_fffd, "DT_AUXILIARY"),
        (0x7fff_ffff, "DT_FILTER"),
        (0x6fff_fefc, "DT_AUDIT"),
        (0x6fff_fefb, "DT_DEPAUDIT"),
        (0x6fff_fefa, "DT_CONFIG"),
        (32, "DT_PREINIT_ARRAY"),
        (33, "DT_PREINIT_ARRAYSZ"),
    ] {
        check(&[(name, &format!("ask: {name}"), &|file| file.add_entry(tag, 1))]);
    }
    // Unknown tags, tags of prelink, and tags that glibc takes for others where it counts in 32
    // bits.
    for tag in [
        34,
        38,
        0x6000_000d,
        0x6fff_fdf5,
        0x6fff_fef8,
        0x6fff_fef9,
        0x6fff_fdfd,
        0x7000_0002,
        0x7fff_fffe,
        0x1_0000_0001,
        0x1_7fff_fffd,
        0xffff_fffd,
        0xffff_ffff_ffff_fffd,
    ] {
        let expected = format!("ask: the dynamic entry {:#x}", tag as i64);
        check(&[("unknown", &expected, &|file| file.add_entry(tag, 1))]);
    }
    for bit in (0..64).filter(|bit| ![0, 1, 2, 3, 4].contains(bit)) {
        let expected = format!("ask: DT_FLAGS {:#x}", 1_u64 << bit);
        check(&[("flags", &expected, &|file| set_flags(file, 30, 1 << bit))]);
    }
    // The flag of a program has an error of its own.
    for bit in (0..64).filter(|bit| ![0, 3, 7, 27].contains(bit)) {
        let expected = format!("ask: DT_FLAGS_1 {:#x}", 1_u64 << bit);
        check(&[("flags", &expected, &|file| set_flags(file, 0x6fff_fffb, 1 << bit))]);
    }
    for name in ["libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "libother.so"] {
        let flag = format!("-Wl,-soname,{name}");
        let flags: &'static [&'static str] = Box::leak(Box::new([&*flag.leak()]));
        let file = Elf { flags, ..Elf::default() }.build();
        match inspect(&file) {
            Ok(_) => assert_eq!(name, "libother.so"),
            Err(error) => assert_eq!(
                format!("{}: {error}", error.code()),
                format!(
                    "E05.loader-request: the library asks the system's loader for what no plugin \
                     may have: the name `{name}`"
                )
            ),
        }
    }
}

fn set_flags(file: &mut File, tag: u64, flags: u64) {
    if file.entries().iter().any(|at| file.tag(*at) == tag) {
        file.set_value(tag, flags);
    } else {
        file.add_entry(tag, flags);
    }
}

#[test]
fn duplicate_dynamic_entry_is_rejected() {
    for at in RICH.entries() {
        let tag = RICH.tag(at);
        if tag <= 1 {
            continue;
        }
        let expected = format!("as: the ELF dynamic table has the entry {tag:#x} twice");
        let value = RICH.get(at, (8, 8));
        check(&[("twice", &expected, &|file| file.add_entry(tag, value))]);
    }
}

#[test]
fn needed_libraries_are_read_up_to_table_end() {
    let mut file = RICH.clone();
    let name = file.value(1);
    file.add_entry(1, name);
    assert_eq!(inspect(&file.0).unwrap().needed, ["libc.so.6", "libc.so.6"]);
    let mut file = RICH.clone();
    let end = *file.entries().last().unwrap();
    file.set(end + 16, (0, 8), 1);
    file.set(end + 16, (8, 8), name);
    assert_eq!(inspect(&file.0).unwrap().needed, ["libc.so.6"]);
}

#[test]
fn dynamic_entries_trusted_by_glibc_are_checked() {
    let entry = |file: &mut File, tag: u64, other: u64| {
        let at = file.entry(tag);
        file.set(at, (0, 8), other);
    };
    let sizes =
        |tag: u64| format!("bad: the ELF dynamic table has another size of entries in {tag:#x}");
    let form = "as: the ELF relocations are not of the machine's form";
    let code = |tag: u64| format!("bad: the ELF function {tag:#x} is not in code that can be run");
    let list = |tag: u64| format!("bad: the ELF list of functions {tag:#x} is not mapped");
    // No other entry depends on DT_SYMBOLIC.
    for (tag, first) in [
        (10, 5),
        (6, 5),
        (5, 5),
        (8, 7),
        (9, 7),
        (7, 7),
        (2, 0x17),
        (20, 0x17),
        (0x17, 0x17),
        (27, 25),
        (28, 26),
        (DT_VERNEEDNUM, DT_VERNEED),
    ] {
        let expected = format!("bad: the ELF dynamic table has only a part of {first:#x}");
        check(&[("part", &expected, &|file| entry(file, tag, 16))]);
    }
    check(&[
        ("DT_SYMENT", &sizes(11), &|file| file.set_value(11, 16)),
        ("DT_RELAENT", &sizes(9), &|file| file.set_value(9, 16)),
        ("DT_PLTREL", form, &|file| file.set_value(20, 17)),
        ("DT_PLTREL of neither form", form, &|file| file.set_value(20, 3)),
        ("DT_REL", form, &|file| {
            for (from, to) in [(7, 17), (8, 18), (9, 19)] {
                entry(file, from, to);
            }
        }),
        ("DT_INIT", &code(12), &|file| {
            let address = file.address(spare(file));
            file.set_value(12, address);
        }),
        ("DT_FINI", &code(13), &|file| file.set_value(13, 0x4000_0000)),
        ("DT_INIT_ARRAY", &list(25), &|file| file.set_value(25, 0x4000_0000)),
        ("DT_INIT_ARRAYSZ", &list(25), &|file| file.set_value(27, 7)),
        ("DT_FINI_ARRAYSZ", &list(26), &|file| file.set_value(28, 1 << 40)),
        ("DT_PLTGOT", "bad: the ELF table of addresses is not mapped", &|file| {
            file.set_value(3, 0x4000_0000);
        }),
        ("DT_STRTAB", "bad: the ELF strings is not mapped", &|file| file.set_value(5, 0x4000_0000)),
        ("DT_STRSZ", "as: the last ELF name has no end", &|file| {
            let len = file.value(10);
            file.set_value(10, len - 1);
        }),
        ("no hash table", "bad: the ELF file has no hash table", &|file| {
            entry(file, 4, 16);
            entry(file, DT_GNU_HASH, 24);
        }),
        ("table over a note", "as: the ELF dynamic table overlaps the note", &|file| {
            let (at, table) = (file.copy_segment(PT_NOTE), file.segment(PT_DYNAMIC));
            for field in [P_OFFSET, P_VADDR] {
                let value = file.get(table, field);
                file.set(at, field, value + 16);
            }
            for field in [P_FILESZ, P_MEMSZ] {
                file.set(at, field, 32);
            }
        }),
    ]);
}
