//! A 64-bit, little-endian ELF library that is edited by hand: it follows the ELF specification,
//! without the library with which inspection reads files.

use super::super::super::fixture::put;

pub(super) const PT_LOAD: u64 = 1;
pub(super) const PT_DYNAMIC: u64 = 2;
pub(super) const PT_NOTE: u64 = 4;
pub(super) const PT_PHDR: u64 = 6;
pub(super) const PT_TLS: u64 = 7;
pub(super) const PT_GNU_EH_FRAME: u64 = 0x6474_e550;
pub(super) const PT_GNU_RELRO: u64 = 0x6474_e552;
pub(super) const PT_GNU_PROPERTY: u64 = 0x6474_e553;

/// A field: its offset in its structure, and its number of bytes.
pub(super) type Field = (usize, usize);

pub(super) const E_VERSION: Field = (20, 4);
pub(super) const E_PHOFF: Field = (32, 8);
pub(super) const E_PHENTSIZE: Field = (54, 2);
pub(super) const E_PHNUM: Field = (56, 2);

pub(super) const P_TYPE: Field = (0, 4);
pub(super) const P_FLAGS: Field = (4, 4);
pub(super) const P_OFFSET: Field = (8, 8);
pub(super) const P_VADDR: Field = (16, 8);
pub(super) const P_FILESZ: Field = (32, 8);
pub(super) const P_MEMSZ: Field = (40, 8);
pub(super) const P_ALIGN: Field = (48, 8);

pub(super) const ST_NAME: Field = (0, 4);
pub(super) const ST_INFO: Field = (4, 1);
pub(super) const ST_OTHER: Field = (5, 1);
pub(super) const ST_SHNDX: Field = (6, 2);
pub(super) const ST_VALUE: Field = (8, 8);

pub(super) const R_OFFSET: Field = (0, 8);
pub(super) const R_INFO: Field = (8, 8);
pub(super) const R_ADDEND: Field = (16, 8);

const PHDR: usize = 56;
const DYN: usize = 16;
const SYM: usize = 24;

/// A library that tests edit. Offsets are those in the file.
#[derive(Clone)]
pub(super) struct File(pub(super) Vec<u8>);

impl File {
    pub(super) fn get(&self, at: usize, (from, len): Field) -> u64 {
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(&self.0[at + from..at + from + len]);
        u64::from_le_bytes(bytes)
    }

    pub(super) fn set(&mut self, at: usize, (from, len): Field, value: u64) {
        put(&mut self.0, at + from, &value.to_le_bytes()[..len]);
    }

    pub(super) fn add(&mut self, at: usize, field: Field, value: u64) {
        let sum = self.get(at, field).wrapping_add(value);
        self.set(at, field, sum);
    }

    /// Returns the offsets of all program headers.
    pub(super) fn headers(&self) -> Vec<usize> {
        let start = self.get(0, E_PHOFF) as usize;
        (0..self.get(0, E_PHNUM) as usize).map(|index| start + index * PHDR).collect()
    }

    /// Returns the offsets of the program headers of a type.
    pub(super) fn segments(&self, kind: u64) -> Vec<usize> {
        self.headers().into_iter().filter(|at| self.get(*at, P_TYPE) == kind).collect()
    }

    /// Returns the offset of the only program header of a type.
    pub(super) fn segment(&self, kind: u64) -> usize {
        let all = self.segments(kind);
        assert_eq!(all.len(), 1, "{kind:#x}");
        all[0]
    }

    /// Overwrites the header that only unwinding needs with a copy of another.
    pub(super) fn copy_segment(&mut self, kind: u64) -> usize {
        let from = self.segments(kind)[0];
        let to = self.segment(PT_GNU_EH_FRAME);
        let bytes = self.0[from..from + PHDR].to_vec();
        put(&mut self.0, to, &bytes);
        to
    }

    /// Returns the offset in the file of an address in memory.
    pub(super) fn place(&self, address: u64) -> usize {
        let load = self
            .segments(PT_LOAD)
            .into_iter()
            .find(|at| {
                let start = self.get(*at, P_VADDR);
                (start..start.saturating_add(self.get(*at, P_FILESZ))).contains(&address)
            })
            .expect("the address is mapped");
        (address - self.get(load, P_VADDR) + self.get(load, P_OFFSET)) as usize
    }

    /// Returns the address in memory of an offset in the file.
    pub(super) fn address(&self, place: usize) -> u64 {
        let place = place as u64;
        let load = self
            .segments(PT_LOAD)
            .into_iter()
            .find(|at| {
                let start = self.get(*at, P_OFFSET);
                (start..start.saturating_add(self.get(*at, P_FILESZ))).contains(&place)
            })
            .expect("the place is mapped");
        place - self.get(load, P_OFFSET) + self.get(load, P_VADDR)
    }

    /// Returns the offsets of the entries of the dynamic table, with the last, which ends it.
    pub(super) fn entries(&self) -> Vec<usize> {
        let start = self.place(self.get(self.segment(PT_DYNAMIC), P_VADDR));
        let mut all: Vec<_> =
            (0..).map(|index| start + index * DYN).take_while(|at| self.tag(*at) != 0).collect();
        all.push(start + all.len() * DYN);
        all
    }

    pub(super) fn tag(&self, at: usize) -> u64 {
        self.get(at, (0, 8))
    }

    /// Returns the offset of the entry with this tag.
    pub(super) fn entry(&self, tag: u64) -> usize {
        let at = self.entries().into_iter().find(|at| self.tag(*at) == tag);
        at.unwrap_or_else(|| panic!("there is no entry {tag:#x}"))
    }

    pub(super) fn value(&self, tag: u64) -> u64 {
        self.get(self.entry(tag), (8, 8))
    }

    pub(super) fn set_value(&mut self, tag: u64, value: u64) {
        let at = self.entry(tag);
        self.set(at, (8, 8), value);
    }

    /// Adds an entry where the linker left room for some.
    pub(super) fn add_entry(&mut self, tag: u64, value: u64) {
        let end = *self.entries().last().unwrap();
        assert_eq!(self.tag(end + DYN), 0, "there is room for one more");
        self.set(end, (0, 8), tag);
        self.set(end, (8, 8), value);
    }

    /// Returns the offset of the symbol with this name.
    pub(super) fn symbol(&self, name: &str) -> usize {
        let (symbols, names) = (self.place(self.value(6)), self.place(self.value(5)));
        let all = (1..).map(|index| symbols + index * SYM).take_while(|at| *at < names);
        let mut all = all.filter(|at| {
            self.0[names + self.get(*at, ST_NAME) as usize..]
                .starts_with(&[name.as_bytes(), b"\0"].concat())
        });
        all.next().expect("there is such a symbol")
    }

    /// Returns the number of that symbol.
    pub(super) fn number(&self, name: &str) -> u64 {
        ((self.symbol(name) - self.place(self.value(6))) / SYM) as u64
    }

    /// Returns the offset of bytes that are there once.
    pub(super) fn find(&self, bytes: &[u8]) -> usize {
        let at = self.0.windows(bytes.len()).position(|window| window == bytes);
        at.expect("the bytes are there")
    }
}
