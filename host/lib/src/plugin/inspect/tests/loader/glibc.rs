//! Compares inspection with glibc: good plugins with headers and tables changed at random, from a
//! fixed seed. glibc loads each accepted file.

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;
use crate::plugin::inspect::elf;

/// How many changed files are inspected. Some hundreds of them are accepted and loaded.
const FILES: usize = 3_000;

/// Numbers that follow from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Returns a plugin whose code runs only when it is called: nothing of what is changed.
fn quiet() -> File {
    let code = "int elsewhere; int *there = &elsewhere;\n\
                static int own; int *here = &own;\n\
                __thread int counter = 7;\n\
                int bss[9000];\n\
                int *const many[16] = {&elsewhere};\n\
                char *strdup(const char *); char *other(void) { return strdup(\"x\"); }\n\
                const unsigned char spare[512] = \"SPARE\";\n";
    let flags = &["-Wl,--hash-style=both", "-nostartfiles"];
    let mut file = File(Elf { code, flags, ..Elf::default() }.build());
    // Without sections, so that the manifest is a note or is absent.
    file.set(0, (40, 8), 0);
    file.set(0, (60, 4), 0);
    file
}

/// Returns the offsets and lengths of the loader's input: each field that could be changed.
fn fields(file: &File) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    let mut add = |start: usize, count: usize, sizes: &[usize]| {
        let mut at = start;
        for _ in 0..count {
            for size in sizes {
                all.push((at, *size));
                at += size;
            }
        }
    };
    add(7, 1, &[1, 1]);
    add(16, 1, &[2, 2, 4, 8, 8, 8, 4, 2, 2, 2, 2, 2, 2]);
    for at in file.headers() {
        add(at, 1, &[4, 4, 8, 8, 8, 8, 8, 8]);
    }
    // Twice: most possible errors are here.
    for at in [file.entries(), file.entries()].concat() {
        add(at, 1, &[8, 8]);
    }
    let symbols = file.place(file.value(6));
    let count = file.get(file.place(file.value(4)), (4, 4)) as usize;
    add(symbols, count, &[4, 1, 1, 2, 8, 8]);
    add(file.place(file.value(4)), 24, &[4]);
    add(file.place(file.value(DT_GNU_HASH)), 24, &[4]);
    add(file.place(file.value(DT_VERSYM)), count, &[2]);
    add(file.place(file.value(DT_VERNEED)), 1, &[2, 2, 4, 4, 4, 4, 2, 2, 4, 4]);
    add(file.place(file.value(7)), file.value(8) as usize / 24, &[8, 8, 8]);
    all
}

/// Changes some fields: to a meaningful number, or to that of another field.
fn change(good: &File, fields: &[(usize, usize)], random: &mut Random) -> File {
    let mut file = good.clone();
    for _ in 0..=random.below(3) {
        let (at, len) = *random.of(fields);
        let old = file.get(at, (0, len));
        let other = *random.of(fields);
        let new = match random.below(6) {
            0 => *random.of(&[0, 1, 2, 4, 7, 16, 0x1000, 0x7fff_fffd, 0x6fff_fefc, u64::MAX]),
            1 => old.wrapping_add(*random.of(&[1, 8, 16, 24, 0x1000])),
            2 => old.wrapping_sub(*random.of(&[1, 8, 16, 24, 0x1000])),
            3 => old ^ 1 << random.below(8 * len),
            4 => file.get(other.0, (0, other.1)),
            _ => good.address_of(random.below(8)),
        };
        file.set(at, (0, len), new);
    }
    if random.below(8) == 0 {
        // A whole header or entry replaces another.
        let all = if random.below(2) == 0 { good.headers() } else { good.entries() };
        let (from, to) = (*random.of(&all), *random.of(&all));
        let len = all[1] - all[0];
        file.0.copy_within(from..from + len, to);
    }
    file
}

impl File {
    /// Returns one of the meaningful addresses.
    fn address_of(&self, which: usize) -> u64 {
        let start = |kind| self.segments(kind).first().map_or(0, |at| self.get(*at, P_VADDR));
        match which {
            0 => start(PT_DYNAMIC),
            1 => start(PT_NOTE),
            2 => start(PT_GNU_RELRO),
            3 => start(PT_TLS),
            4 => 0x40,
            5 => self.segments(PT_LOAD).last().map_or(0, |at| self.get(*at, P_VADDR)),
            6 => 0x1000,
            _ => 0x2000,
        }
    }
}

/// Returns glibc's result for each file.
fn load(dir: &std::path::Path, files: &[Vec<u8>]) -> Vec<String> {
    let program = dir.join("walk");
    std::fs::write(dir.join("walk.c"), include_str!("walk.c")).unwrap();
    let arguments = ["-o", "walk", "walk.c", "-ldl"];
    let done = Command::new("cc").args(arguments).current_dir(dir).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut paths = String::new();
    for (index, bytes) in files.iter().enumerate() {
        let path = dir.join(format!("{index}.so"));
        std::fs::write(&path, bytes).unwrap();
        paths += &format!("{}\n", path.display());
    }
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(paths.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let lines: Vec<_> =
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), files.len());
    lines
}

/// Returns inspection's result for a file, in the words of the program above; `None` if the entry
/// is not at the address that glibc found.
fn said(bytes: &[u8], address: u64) -> Option<String> {
    let raw = elf::read(bytes).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut line = "loaded".to_owned();
    for name in &raw.needed {
        line += &format!(" needed={name}");
    }
    let data = raw.rust_entry.expect("it is a plugin of the Rust ABI").data;
    // Offset in the file of the bytes that inspection took for the entry.
    let place = data.as_ptr() as usize - bytes.as_ptr() as usize;
    if File(bytes.to_vec()).place(address) != place {
        return None;
    }
    line += &format!(" address={address:x} entry={}", hex(&data[..40]));
    Some(line + &format!(" note={}", hex(raw.block)))
}

/// Compares both for files changed from a seed; returns how many were accepted, and loaded.
fn compare(seed: u64, count: usize) -> (usize, usize) {
    let good = quiet();
    let fields = fields(&good);
    let mut random = Random(seed);
    let mut accepted = vec![good.0.clone()];
    for _ in 0..count {
        let file = change(&good, &fields, &mut random);
        if inspect(&file.0).is_ok() {
            accepted.push(file.0);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let lines = load(dir.path(), &accepted);
    let mut loaded = 0;
    let mut wrong = Vec::new();
    for (bytes, line) in accepted.iter().zip(&lines) {
        if line.starts_with("refused") {
            continue;
        }
        let address = line.split(" address=").nth(1).and_then(|rest| rest.split(' ').next());
        let address = address.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let said = address.and_then(|address| said(bytes, address));
        if said.as_ref() == Some(line) {
            loaded += 1;
            continue;
        }
        let changes = bytes.iter().zip(&good.0).enumerate().filter(|(_, (a, b))| a != b);
        let changes: Vec<_> =
            changes.map(|(at, (new, old))| format!("{at:#x}: {old:02x} -> {new:02x}")).collect();
        wrong.push(format!("{changes:?}\n glibc: {line}\n  said: {said:?}"));
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), accepted.len(), wrong.join("\n"));
    (accepted.len(), loaded)
}

#[test]
fn accepted_file_loads_in_glibc_as_inspected() {
    let (accepted, loaded) = compare(0x9e37_79b9_7f4a_7c15, FILES);
    assert!(accepted > FILES / 20 && loaded > FILES / 40, "{accepted} accepted, {loaded} loaded");
}
