//! Program headers: the mapped segments, and the loader's treatment of the other segments.

use super::*;

#[test]
fn segment_mapped_differently_than_read_is_rejected() {
    let overlap = "bad: the ELF segments overlap or are out of order";
    let page = "as: two ELF segments share a page of 4096 bytes";
    let align = "as: an ELF segment is not aligned to pages of 4096 bytes";
    let large = "bad: the ELF segments cover too much memory";
    let load = |file: &File, index: usize| file.segments(PT_LOAD)[index];
    let last = |file: &File| *file.segments(PT_LOAD).last().unwrap();
    check(&[
        ("overlap", overlap, &|file| {
            let (first, next) = (load(file, 0), load(file, 1));
            let len = file.get(next, P_VADDR) + 1;
            file.set(first, P_MEMSZ, len);
        }),
        ("one page, other bytes", page, &|file| {
            let (first, next) = (load(file, 0), load(file, 1));
            let start = file.get(next, P_VADDR);
            file.set(first, P_MEMSZ, start + 8);
            for (field, change) in [
                (P_VADDR, 16_u64),
                (P_OFFSET, 16),
                (P_FILESZ, 16_u64.wrapping_neg()),
                (P_MEMSZ, 16_u64.wrapping_neg()),
            ] {
                file.add(next, field, change);
            }
        }),
        ("order", overlap, &|file| {
            let (first, next) = (load(file, 0), load(file, 1));
            let (a, b) = (file.0[first..first + 56].to_vec(), file.0[next..next + 56].to_vec());
            file.0[first..first + 56].copy_from_slice(&b);
            file.0[next..next + 56].copy_from_slice(&a);
            // The first of them is at no other address then.
            file.set(first, P_VADDR, 0);
            file.set(first, P_OFFSET, 0);
        }),
        ("more in the file than in memory", overlap, &|file| {
            let at = load(file, 0);
            let len = file.get(at, P_FILESZ);
            file.set(at, P_MEMSZ, len - 1);
        }),
        ("end of the address space", overlap, &|file| {
            let at = last(file);
            file.set(at, P_MEMSZ, u64::MAX);
        }),
        ("no power of two", align, &|file| {
            let at = load(file, 1);
            file.set(at, P_ALIGN, 0x3000);
        }),
        ("less than a page", align, &|file| {
            let at = load(file, 1);
            file.set(at, P_ALIGN, 1);
        }),
        ("offset", align, &|file| {
            let at = load(file, 1);
            file.add(at, P_OFFSET, 8);
        }),
        ("address", "ask: an address of its own choice", &|file| {
            for at in file.segments(PT_LOAD) {
                file.add(at, P_VADDR, 0x1000_0000);
            }
        }),
        ("span", large, &|file| {
            let at = last(file);
            file.set(at, P_MEMSZ, 1 << 31);
        }),
        ("alignment", large, &|file| {
            let at = load(file, 0);
            file.set(at, P_ALIGN, 1 << 40);
        }),
        ("nothing", "bad: the ELF file has nothing to load", &|file| {
            for at in file.segments(PT_LOAD) {
                file.set(at, P_TYPE, 0);
            }
        }),
    ]);
    let mut file = RICH.clone();
    let at = last(&file);
    file.add(at, P_FILESZ, 1 << 20);
    file.add(at, P_MEMSZ, 1 << 20);
    assert!(refusal(&file.0).starts_with("E05.truncated"));
}

#[test]
fn ambiguous_non_load_segment_is_rejected() {
    let headers = "as: the ELF program headers are not in memory what they are in the file";
    let relro = "bad: the ELF data that is read-only later is not its data";
    let tls = "bad: the ELF thread-local data has an impossible size";
    check(&[
        ("two dynamic tables", "as: there are two ELF segments for the dynamic table", &|file| {
            file.copy_segment(PT_DYNAMIC);
        }),
        (
            "dynamic table elsewhere",
            "as: the ELF dynamic table is not in memory what it is in the file",
            &|file| {
                let at = file.segment(PT_DYNAMIC);
                file.add(at, P_OFFSET, 16);
            },
        ),
        (
            "dynamic table that is longer in memory",
            "as: the ELF dynamic table is not in memory what it is in the file",
            &|file| {
                let at = file.segment(PT_DYNAMIC);
                file.add(at, P_MEMSZ, 16);
            },
        ),
        ("dynamic table without an end", "as: the ELF dynamic table has no end", &|file| {
            let (at, count) = (file.segment(PT_DYNAMIC), file.entries().len() as u64 - 1);
            file.set(at, P_FILESZ, count * 16);
            file.set(at, P_MEMSZ, count * 16);
        }),
        ("no dynamic table", "bad: the ELF file has no dynamic table", &|file| {
            let at = file.segment(PT_DYNAMIC);
            file.set(at, P_TYPE, 0);
        }),
        ("dynamic table in no segment", "bad: the ELF dynamic table is not mapped", &|file| {
            let at = file.segment(PT_DYNAMIC);
            file.set(at, P_VADDR, 0x10_0000);
        }),
        (
            "dynamic table that cannot be written",
            "bad: the ELF dynamic table cannot be written",
            &|file| {
                let at = *file.segments(PT_LOAD).last().unwrap();
                file.set(at, P_FLAGS, 4);
            },
        ),
        ("program headers elsewhere", headers, &|file| {
            let at = file.copy_segment(PT_LOAD);
            file.set(at, P_TYPE, PT_PHDR);
        }),
        (
            "program headers at the edge",
            "as: the ELF program headers are at the edge of a segment",
            &|file| {
                // In the page of the data, behind it: zero in memory.
                let at = *file.segments(PT_LOAD).last().unwrap();
                let end =
                    (file.get(at, P_OFFSET) + file.get(at, P_FILESZ)).next_multiple_of(8) as usize;
                let all = file.headers();
                let bytes = file.0[all[0]..all[0] + all.len() * 56].to_vec();
                assert!(end % 4096 + bytes.len() <= 4096, "they are in the same page");
                let len = file.0.len().max(end + bytes.len());
                file.0.resize(len, 0);
                file.0[end..end + bytes.len()].copy_from_slice(&bytes);
                file.set(0, E_PHOFF, end as u64);
                // Sections were there.
                file.set(0, (40, 8), 0);
                file.set(0, (60, 4), 0);
            },
        ),
        ("note elsewhere", "as: the ELF note is not in memory what it is in the file", &|file| {
            let at = file.segments(PT_NOTE)[0];
            file.add(at, P_VADDR, 4);
        }),
        (
            "note that is longer in memory",
            "as: the ELF note is not in memory what it is in the file",
            &|file| {
                let at = file.segments(PT_NOTE)[0];
                file.add(at, P_MEMSZ, 4);
            },
        ),
        (
            "note that is not in memory",
            "as: the ELF note is not in memory what it is in the file",
            &|file| {
                let at = file.segments(PT_NOTE)[0];
                file.set(at, P_MEMSZ, 0);
            },
        ),
        (
            "note that cannot be read",
            "as: the ELF note is not in memory what it is in the file",
            &|file| {
                let at = file.segments(PT_LOAD)[0];
                file.set(at, P_FLAGS, 0);
            },
        ),
        (
            "unwinding elsewhere",
            "as: the ELF table for unwinding is not in memory what it is in the file",
            &|file| {
                let at = file.segment(PT_GNU_EH_FRAME);
                file.set(at, P_VADDR, 0x4000_0000);
            },
        ),
        ("property without an end", "bad: an ELF property is longer than its segment", &|file| {
            let at = property(file);
            let place = file.get(at, P_OFFSET) as usize;
            file.set(place, (4, 4), 0x1000);
        }),
        (
            "two thread-local segments",
            "as: there are two ELF segments for the thread-local data",
            &|file| {
                file.copy_segment(PT_TLS);
            },
        ),
        (
            "thread-local data elsewhere",
            "as: the ELF thread-local data is not in memory what it is in the file",
            &|file| {
                let at = file.segment(PT_TLS);
                file.add(at, P_VADDR, 0x4000_0000);
            },
        ),
        ("thread-local data of any size", tls, &|file| {
            let at = file.segment(PT_TLS);
            file.set(at, P_MEMSZ, 1 << 40);
        }),
        ("thread-local data of any alignment", tls, &|file| {
            let at = file.segment(PT_TLS);
            file.set(at, P_ALIGN, 48);
        }),
        (
            "two parts that are protected",
            "as: there are two ELF segments for the data that is read-only later",
            &|file| {
                file.copy_segment(PT_GNU_RELRO);
            },
        ),
        ("protected memory elsewhere", relro, &|file| {
            let at = file.segment(PT_GNU_RELRO);
            file.set(at, P_VADDR, 0x7000_0000);
        }),
        ("protected code", relro, &|file| {
            let (at, code) = (file.segment(PT_GNU_RELRO), file.segments(PT_LOAD)[1]);
            let address = file.get(code, P_VADDR);
            file.set(at, P_VADDR, address);
        }),
        ("protected without end", relro, &|file| {
            let at = file.segment(PT_GNU_RELRO);
            file.set(at, P_MEMSZ, u64::MAX);
        }),
    ]);
}

/// Returns the offset of a header for properties, made of another if the compiler writes none.
fn property(file: &mut File) -> usize {
    let at = file.copy_segment(PT_NOTE);
    let place = spare(file);
    file.set(place, (0, 4), 4);
    file.set(place, (8, 4), 5);
    file.set(place, (12, 4), u64::from(u32::from_le_bytes(*b"GNU\0")));
    let address = file.address(place);
    for (field, value) in [
        (P_TYPE, PT_GNU_PROPERTY),
        (P_OFFSET, place as u64),
        (P_VADDR, address),
        (P_FILESZ, 32),
        (P_MEMSZ, 32),
        (P_ALIGN, 8),
    ] {
        file.set(at, field, value);
    }
    at
}
