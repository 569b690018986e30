//! Symbols, their hash tables and their versions.

use super::*;

#[test]
fn entry_symbol_invisible_to_glibc_is_rejected() {
    let missing = format!("E05.no-entry: the library does not export `{RUST}`");
    let hash = format!("as: an ELF hash table does not lead to `{RUST}`");
    let symbol = |file: &File| file.symbol(RUST);
    let version = |file: &File| file.place(file.value(DT_VERSYM)) + 2 * file.number(RUST) as usize;
    let behind = "as: an ELF name begins behind the names' end";
    let broken = "bad: the ELF hash table";
    check(&[
        ("undefined", &missing, &|file| file.set(symbol(file), ST_SHNDX, 0)),
        ("absolute", &missing, &|file| file.set(symbol(file), ST_SHNDX, 0xfff1)),
        ("common", &missing, &|file| file.set(symbol(file), ST_SHNDX, 0xfff2)),
        ("local", &missing, &|file| file.set(symbol(file), ST_INFO, 1)),
        ("unique", &missing, &|file| file.set(symbol(file), ST_INFO, 0xa1)),
        ("thread-local", &missing, &|file| file.set(symbol(file), ST_INFO, 0x16)),
        ("indirect", &missing, &|file| {
            let code = file.get(file.symbol("probe"), ST_VALUE);
            file.set(symbol(file), ST_VALUE, code);
            file.set(symbol(file), ST_INFO, 0x1a);
        }),
        ("hidden", &missing, &|file| file.set(symbol(file), ST_OTHER, 2)),
        ("internal", &missing, &|file| file.set(symbol(file), ST_OTHER, 1)),
        ("at nothing", &missing, &|file| file.set(symbol(file), ST_VALUE, 0)),
        ("of a hidden version", &missing, &|file| {
            let number = file.get(version(file), (0, 2));
            file.set(version(file), (0, 2), number | 0x8000);
        }),
        ("twice", "bad: the entry symbol is there twice", &|file| {
            let name = file.get(symbol(file), ST_NAME);
            file.set(file.symbol("probe"), ST_NAME, name);
        }),
        ("a name behind the names", behind, &|file| {
            let len = file.value(10);
            file.set(file.symbol("probe"), ST_NAME, len);
        }),
        ("indirect and no code", "bad: an indirect ELF function is not code", &|file| {
            let number = file.symbol("bss");
            file.set(number, ST_INFO, 0x1a);
        }),
        // glibc does not look for a symbol that the table's filter lacks.
        ("filter", &hash, &|file| {
            let at = file.place(file.value(DT_GNU_HASH));
            let words = file.get(at, (8, 4)) as usize;
            file.0[at + 16..at + 16 + 8 * words].fill(0);
        }),
        ("hash of GNU", &hash, &|file| {
            let at = chain(file, RUST);
            let hash = file.get(at, (0, 4));
            file.set(at, (0, 4), hash ^ 0x100);
        }),
        ("chain of System V", &hash, &|file| {
            // Both hash tables lead to all symbols: only one way is cut off.
            let at = file.place(file.value(4));
            let (buckets, number) = (file.get(at, (0, 4)), file.number(RUST));
            let all = buckets + file.get(at, (4, 4));
            for index in 0..all {
                let link = at + 8 + 4 * index as usize;
                if file.get(link, (0, 4)) == number {
                    file.set(link, (0, 4), 0);
                }
            }
        }),
        ("buckets of GNU", broken, &|file| set_hash(file, 0, 0)),
        ("filter of no words", broken, &|file| set_hash(file, 8, 0)),
        ("filter of three words", broken, &|file| set_hash(file, 8, 3)),
        ("filter of many words", broken, &|file| set_hash(file, 8, 1 << 31)),
        ("shift", broken, &|file| set_hash(file, 12, 32)),
        ("bucket before the first symbol", broken, &|file| set_hash(file, 4, 0x1000)),
        ("chain without an end", broken, &|file| {
            let at = file.place(file.value(DT_GNU_HASH));
            let first = file.get(at, (4, 4));
            let buckets = at + 16 + 8 * file.get(at, (8, 4)) as usize;
            file.set(buckets, (0, 4), first + 0x100_0000);
        }),
        ("circle in System V's", broken, &|file| {
            let at = file.place(file.value(4));
            let buckets = file.get(at, (0, 4)) as usize;
            let number = file.number(RUST) as usize;
            file.set(at + 8 + 4 * (buckets + number), (0, 4), number as u64);
        }),
        ("link behind System V's", broken, &|file| {
            let at = file.place(file.value(4));
            let buckets = file.get(at, (0, 4)) as usize;
            let number = file.number(RUST) as usize;
            file.set(at + 8 + 4 * (buckets + number), (0, 4), 0x10_0000);
        }),
        ("length of System V's", "as: the ELF hash tables are not of one length", &|file| {
            let at = file.place(file.value(4));
            let (buckets, count) = (file.get(at, (0, 4)), file.get(at, (4, 4)));
            // The rest of the table is empty.
            for index in 0..buckets + count {
                file.set(at + 8 + 4 * index as usize, (0, 4), 0);
            }
            file.set(at, (4, 4), count - 1);
        }),
        ("symbols", "bad: the ELF symbols is not mapped", &|file| file.set_value(6, 0x4000_0000)),
        ("versions of symbols", "bad: the ELF versions of symbols is not mapped", &|file| {
            file.set_value(DT_VERSYM, 0x4000_0000);
        }),
    ]);
    let json = super::super::json();
    let block = super::super::block_of(1, json.len() as u32, &super::super::ABI_C, &json);
    let code = "const void *keystead_plugin_v1(void) { return 0; }";
    let good = File(Elf { block: Some(block), header: None, code, ..Elf::default() }.build());
    inspect(&good.0).unwrap();
    let mut file = good.clone();
    let symbol = file.symbol("keystead_plugin_v1");
    // A note is no code, whatever the type of the symbol.
    let note = file.get(file.segments(PT_NOTE)[0], P_VADDR);
    file.set(symbol, ST_VALUE, note);
    let missing = "E05.no-entry: the library does not export `keystead_plugin_v1`";
    assert_eq!(refusal(&file.0), missing);
    file.set(symbol, ST_INFO, 0x10);
    assert_eq!(refusal(&file.0), missing);
}

fn set_hash(file: &mut File, field: usize, value: u64) {
    let at = file.place(file.value(DT_GNU_HASH));
    file.set(at, (field, 4), value);
}

/// Returns the offset of a symbol's hash in the chains of GNU's table.
fn chain(file: &File, name: &str) -> usize {
    let at = file.place(file.value(DT_GNU_HASH));
    let (buckets, first, words) =
        (file.get(at, (0, 4)), file.get(at, (4, 4)), file.get(at, (8, 4)));
    at + (16 + 8 * words + 4 * (buckets + file.number(name) - first)) as usize
}

#[test]
fn symbol_version_count_mismatch_is_rejected() {
    let counts = "as: there are more or fewer ELF versions than their count says";
    let broken = "bad: the ELF version needs";
    let need = |file: &File| file.place(file.value(DT_VERNEED));
    let first = |file: &File| need(file) + file.get(need(file), (8, 4)) as usize;
    check(&[
        ("DT_VERNEEDNUM", counts, &|file| file.set_value(DT_VERNEEDNUM, 2)),
        ("vn_cnt", counts, &|file| file.add(need(file), (2, 2), 1)),
        ("vn_cnt of none", counts, &|file| file.set(need(file), (2, 2), 0)),
        ("vn_version", broken, &|file| file.set(need(file), (0, 2), 2)),
        ("vn_file", broken, &|file| {
            // A name that no needed library has.
            let name = file.get(file.symbol("probe"), ST_NAME);
            file.set(need(file), (4, 4), name);
        }),
        ("vn_aux", broken, &|file| file.set(need(file), (8, 4), 0xffff_fff0)),
        ("vn_next", broken, &|file| file.set(need(file), (12, 4), 0xffff_fff0)),
        ("vna_other", "bad: an ELF symbol has a version that is not there", &|file| {
            file.set(first(file), (6, 2), 77);
        }),
        ("DT_VERNEED", broken, &|file| file.set_value(DT_VERNEED, 0x4000_0000)),
        ("no DT_VERSYM", broken, &|file| {
            let at = file.entry(DT_VERSYM);
            file.set(at, (0, 8), 16);
        }),
        ("no versions", "bad: the ELF symbols have versions and there are none", &|file| {
            for (tag, other) in [(DT_VERNEED, 16), (DT_VERNEEDNUM, 24)] {
                let at = file.entry(tag);
                file.set(at, (0, 8), other);
            }
            let at = file.place(file.value(DT_VERSYM));
            let count = (file.place(file.value(4)), file.get(file.place(file.value(4)), (4, 4)));
            for index in 0..count.1 as usize {
                file.set(at + 2 * index, (0, 2), 1);
            }
        }),
    ]);
}
