//! Relocations.

use super::*;

#[test]
fn relocation_of_inspected_data_is_rejected() {
    // The last entry of the first list, for the address of `elsewhere` or of a function.
    let one = |file: &File| file.place(file.value(7)) + file.value(8) as usize - 24;
    let to = |file: &mut File, address: u64| {
        let at = one(file);
        file.set(at, R_OFFSET, address);
    };
    let changes =
        |what: &str| format!("as: an ELF relocation changes the {what}, which was inspected");
    let no_data = "bad: an ELF relocation changes what is no data of the file";
    let note = |file: &File| file.get(file.segments(PT_NOTE)[0], P_VADDR);
    let code = |file: &File| file.get(file.segments(PT_LOAD)[1], P_VADDR);
    let writable = |file: &mut File| {
        for at in file.segments(PT_LOAD) {
            file.set(at, P_FLAGS, 6);
        }
        // Here code runs in writable memory.
        let at = file.segments(PT_LOAD)[1];
        file.set(at, P_FLAGS, 7);
    };
    check(&[
        ("dynamic table", &changes("dynamic table"), &|file| {
            let address = file.get(file.segment(PT_DYNAMIC), P_VADDR);
            to(file, address + 8);
        }),
        ("header", &changes("header of abi_stable"), &|file| {
            let address = file.get(file.symbol(RUST), ST_VALUE);
            to(file, address + 39);
        }),
        ("before the header", &changes("header of abi_stable"), &|file| {
            let address = file.get(file.symbol(RUST), ST_VALUE);
            to(file, address - 7);
        }),
        ("code", no_data, &|file| {
            let address = code(file);
            to(file, address);
        }),
        ("note", no_data, &|file| {
            let address = note(file);
            to(file, address);
        }),
        ("another library", no_data, &|file| to(file, 0x5000_0000)),
        ("before the file", no_data, &|file| to(file, 0_u64.wrapping_sub(0x1000))),
        ("table of addresses", "as: the ELF table of addresses is in the dynamic table", &|file| {
            let address = file.get(file.segment(PT_DYNAMIC), P_VADDR);
            file.set_value(3, address + 8);
        }),
        ("past the data", no_data, &|file| {
            let at = *file.segments(PT_LOAD).last().unwrap();
            let end = file.get(at, P_VADDR) + file.get(at, P_MEMSZ);
            to(file, end - 7);
        }),
        ("two words past the data", no_data, &|file| {
            let at = *file.segments(PT_LOAD).last().unwrap();
            let end = file.get(at, P_VADDR) + file.get(at, P_MEMSZ);
            to(file, end - 8);
            file.set(one(file), R_INFO, 36);
        }),
        ("note that can be written", &changes("note"), &|file| {
            writable(file);
            let address = note(file);
            to(file, address + 20);
        }),
        ("names that can be written", &changes("names"), &|file| {
            writable(file);
            let address = file.value(5);
            to(file, address + 1);
        }),
        ("symbols that can be written", &changes("symbols"), &|file| {
            writable(file);
            let address = file.value(6);
            to(file, address + 24);
        }),
        ("hashes that can be written", &changes("hash table"), &|file| {
            writable(file);
            let address = file.value(DT_GNU_HASH);
            to(file, address);
        }),
        ("versions that can be written", &changes("versions that are needed"), &|file| {
            writable(file);
            let address = file.value(DT_VERNEED);
            to(file, address + 8);
        }),
        ("relocations that can be written", &changes("relocations"), &|file| {
            writable(file);
            let address = file.value(7);
            to(file, address);
        }),
        ("program headers that can be written", &changes("program headers"), &|file| {
            writable(file);
            to(file, 0x40);
        }),
        ("copy", "ask: a copy of another library's data", &|file| {
            file.set(one(file), R_INFO, 5 | 1 << 32);
        }),
        ("symbol", "bad: an ELF relocation is for a symbol not there", &|file| {
            file.set(one(file), R_INFO, 6 | 0x10_0000 << 32);
        }),
        ("symbol of none", "bad: an ELF relocation is for a symbol not there", &|file| {
            file.set(one(file), R_INFO, 0x10_0000 << 32);
        }),
        ("function that is none", "bad: an ELF relocation calls what is not code", &|file| {
            let address = file.address(spare(file));
            file.set(one(file), R_INFO, 37);
            file.set(one(file), R_ADDEND, address);
        }),
        ("DT_RELACOUNT", "as: the ELF relocations are not counted as they are", &|file| {
            let count = file.value(DT_RELACOUNT);
            file.set_value(DT_RELACOUNT, count + 1);
        }),
        (
            "DT_RELACOUNT behind the end",
            "as: the ELF relocations are not counted as they are",
            &|file| {
                file.set_value(DT_RELACOUNT, 0x1_0000);
            },
        ),
        ("DT_RELASZ", "bad: the ELF relocations end within an entry", &|file| {
            let len = file.value(8);
            file.set_value(8, len - 1);
        }),
        ("DT_RELA", "bad: the ELF relocations is not mapped", &|file| {
            file.set_value(7, 0x4000_0000)
        }),
        ("overlap", "bad: the ELF relocations overlap", &|file| {
            let start = file.value(7);
            file.set_value(0x17, start);
        }),
    ]);
}

#[test]
fn packed_relocations_are_checked() {
    let base = |file: &mut File, words: &[u64]| {
        let place = spare(file);
        for (index, word) in words.iter().enumerate() {
            file.set(place + 8 * index, (0, 8), *word);
        }
        let address = file.address(place);
        file.add_entry(36, address);
        file.add_entry(35, 8 * words.len() as u64);
        file.add_entry(37, 8);
    };
    let bss = {
        let at = *RICH.segments(PT_LOAD).last().unwrap();
        (RICH.get(at, P_VADDR) + RICH.get(at, P_FILESZ)).next_multiple_of(4096)
    };
    let table = RICH.get(RICH.segment(PT_DYNAMIC), P_VADDR);
    let mut good = RICH.clone();
    base(&mut good, &[bss, u64::MAX, u64::MAX]);
    inspect(&good.0).unwrap();
    let no_data = "bad: an ELF relocation changes what is no data of the file";
    let changes = "as: an ELF relocation changes the dynamic table, which was inspected";
    check(&[
        ("address", changes, &|file| base(file, &[table + 8])),
        ("bits", changes, &|file| base(file, &[table - 16, 1 | 1 << 2])),
        ("bits after bits", changes, &|file| base(file, &[table - 8 * 64, 1, 3])),
        ("behind the data", no_data, &|file| {
            base(
                file,
                &[
                    bss,
                    1,
                    1,
                    1,
                    1 << 63 | 1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    3,
                ],
            )
        }),
        ("bits first", "bad: the packed ELF relocations", &|file| base(file, &[3])),
    ]);
    let mut file = RICH.clone();
    base(&mut file, &[bss]);
    file.set_value(35, 7);
    let expected = "E05.malformed: the file is malformed: the ELF relocations end within an entry";
    assert_eq!(refusal(&file.0), expected);
}

#[test]
fn ifunc_relocations_count_as_constructors() {
    let code = "static int first(void) { return 1; }\n\
                static int (*choose(void))(void) { return first; }\n\
                int chosen(void) __attribute__((ifunc(\"choose\")));\n\
                int (*there)(void) = chosen;";
    let found = inspect(&Elf { code, ..Elf::default() }.build()).unwrap();
    let plain = inspect(&Elf::default().build()).unwrap();
    assert!(found.constructors > plain.constructors, "{}", found.constructors);
}
