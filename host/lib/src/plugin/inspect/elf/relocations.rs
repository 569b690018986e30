//! The relocations: changes that the loader makes in memory once the file is mapped. They may
//! change data, but nothing that inspection has read.

use object::read::elf::{FileHeader, Rel, Rela};
use object::{Endian, Endianness, elf};

use super::dynamic::records;
use super::image::{Image, Taken};
use super::machine::Relocations;
use super::symbols::Symbols;
use super::tags::Table;
use super::{Error, Result};

/// Maximum number of relocations that are walked: the largest libraries have a million.
const MAX_RELOCATIONS: usize = 4_000_000;

/// The parts of one relocation that the checks need.
struct Change {
    address: u64,
    symbol: u32,
    kind: u32,
    /// Number to add; `None` if the relocation has no addend.
    addend: Option<u64>,
}

/// State of the check: what may change, and the relocations so far.
struct Checker<'a, 'data, Elf: FileHeader<Endian = Endianness>> {
    image: &'a Image<'data, Elf>,
    taken: &'a Taken,
    /// Number of symbols; `None` if unknown.
    symbols: Option<usize>,
    steps: usize,
    /// Number of relocations that call a function for their value.
    indirect: usize,
}

/// Checks all relocations; returns how many of them call a function of the file.
pub(super) fn check<Elf: FileHeader<Endian = Endianness>>(
    image: &Image<'_, Elf>,
    table: &Table,
    symbols: &Symbols<'_>,
    taken: &mut Taken,
) -> Result<usize> {
    let rela = table.part(elf::DT_RELA, elf::DT_RELASZ);
    let rel = table.part(elf::DT_REL, elf::DT_RELSZ);
    let mut plt = table.part(elf::DT_JMPREL, elf::DT_PLTRELSZ);
    let packed = table.part(elf::DT_RELR, elf::DT_RELRSZ);
    for (address, len) in [rela, rel, plt, packed].into_iter().flatten() {
        image.table(address, len, "relocations")?;
        taken.add(address, len, "relocations");
    }
    // On some machines glibc writes its own addresses to the start of this table.
    if let (Some(address), Some(_)) = (table.value(elf::DT_PLTGOT), plt)
        && let Some(what) = taken.hit(address, 3 * image.word())
    {
        return Err(Error::not_as_loaded(format!("the ELF table of addresses is in the {what}")));
    }
    let plt_is_rela = table.value(elf::DT_PLTREL) == Some(elf::DT_RELA.0 as u64);
    // glibc accepts two lists in a row, or a list that ends with the other.
    let other = if plt_is_rela { rela } else { rel };
    if let (Some((start, len)), Some((plt_start, plt_len))) = (other, plt)
        && plt_len > 0
        && plt_start < start.saturating_add(len)
        && start < plt_start.saturating_add(plt_len)
    {
        if plt_start < start || plt_start + plt_len != start + len {
            return Err(Error::malformed("the ELF relocations overlap"));
        }
        plt = None;
    }
    let count = symbols.counted.then_some(symbols.count);
    let mut checker =
        Checker { image, taken, symbols: count, steps: 0, indirect: symbols.indirect };
    if let Some((address, len)) = packed {
        checker.packed(address, len)?;
    }
    let own_len = |len: u64, is_rela: bool| match table.value(elf::DT_PLTRELSZ) {
        Some(plt_len) if plt.is_none() && is_rela == plt_is_rela => len - plt_len,
        _ => len,
    };
    if let Some((address, len)) = rela {
        let count = table.count(elf::DT_RELACOUNT)?;
        checker.rela(address, len)?;
        checker.relative::<Elf::Rela>(
            address,
            own_len(len, true),
            count,
            |entry: &Elf::Rela| entry.r_type(image.endian, false).0,
        )?;
    }
    if let Some((address, len)) = rel {
        let count = table.count(elf::DT_RELCOUNT)?;
        checker.rel(address, len)?;
        checker.relative::<Elf::Rel>(address, own_len(len, false), count, |entry: &Elf::Rel| {
            entry.r_type(image.endian).0
        })?;
    }
    if let Some((address, len)) = plt {
        if plt_is_rela {
            checker.rela(address, len)?;
        } else {
            checker.rel(address, len)?;
        }
    }
    Ok(checker.indirect)
}

impl<Elf: FileHeader<Endian = Endianness>> Checker<'_, '_, Elf> {
    fn rela(&mut self, address: u64, len: u64) -> Result<()> {
        let endian = self.image.endian;
        let bytes = self.image.table(address, len, "relocations")?;
        for entry in records::<Elf::Rela>(bytes, "relocations")? {
            let addend: i64 = entry.r_addend(endian).into();
            self.one(&Change {
                address: entry.r_offset(endian).into(),
                symbol: entry.r_sym(endian, false),
                kind: entry.r_type(endian, false).0,
                addend: Some(addend as u64),
            })?;
        }
        Ok(())
    }

    fn rel(&mut self, address: u64, len: u64) -> Result<()> {
        let endian = self.image.endian;
        let bytes = self.image.table(address, len, "relocations")?;
        for entry in records::<Elf::Rel>(bytes, "relocations")? {
            self.one(&Change {
                address: entry.r_offset(endian).into(),
                symbol: entry.r_sym(endian),
                kind: entry.r_type(endian).0,
                addend: None,
            })?;
        }
        Ok(())
    }

    /// Refuses a wrong count of relative relocations: glibc stops the process, or reads beyond the
    /// table.
    fn relative<T: object::pod::Pod>(
        &self,
        address: u64,
        len: u64,
        count: usize,
        kind: impl Fn(&T) -> u32,
    ) -> Result<()> {
        let Some(Relocations { relative, .. }) = &self.image.traits.relocations else {
            return Ok(());
        };
        let bytes = self.image.table(address, len, "relocations")?;
        let first = records::<T>(bytes, "relocations")?.get(..count);
        if first.is_some_and(|first| first.iter().all(|entry| relative.contains(&kind(entry)))) {
            return Ok(());
        }
        Err(Error::not_as_loaded("the ELF relocations are not counted as they are"))
    }

    fn one(&mut self, change: &Change) -> Result<()> {
        let word = self.image.word();
        let mut len = word;
        if let Some(kinds) = &self.image.traits.relocations {
            // For every relocation, glibc looks up the version of its symbol first.
            if self.symbols.is_some_and(|count| change.symbol as usize >= count.max(1)) {
                return Err(Error::malformed("an ELF relocation is for a symbol not there"));
            }
            if change.kind == kinds.copy {
                return Err(Error::loader_request("a copy of another library's data"));
            }
            if change.kind == kinds.indirect {
                self.indirect += 1;
                if change.addend.is_some_and(|code| !self.image.is(elf::PF_X, code, 1)) {
                    return Err(Error::malformed("an ELF relocation calls what is not code"));
                }
            }
            if kinds.wide == Some(change.kind) {
                len = 2 * word;
            }
        }
        // On every machine, type 0 does nothing.
        if change.kind == 0 {
            return self.step();
        }
        self.write(change.address, len)
    }

    /// Walks packed relocations: addresses, each followed by bits for the words after it.
    fn packed(&mut self, address: u64, len: u64) -> Result<()> {
        let word = self.image.word();
        let bytes = self.image.table(address, len, "relocations")?;
        if !len.is_multiple_of(word) {
            return Err(Error::malformed("the ELF relocations end within an entry"));
        }
        let endian = self.image.endian;
        let mut next = None;
        for entry in bytes.chunks_exact(word as usize) {
            let entry = match *entry {
                [a, b, c, d] => u64::from(endian.read_u32([a, b, c, d])),
                _ => endian.read_u64(entry.try_into().unwrap_or_default()),
            };
            if entry & 1 == 0 {
                self.write(entry, word)?;
                next = entry.checked_add(word);
                continue;
            }
            let broken = || Error::malformed("the packed ELF relocations");
            let start = next.ok_or_else(broken)?;
            let mut bits = entry >> 1;
            let mut at = Some(start);
            while bits != 0 {
                if bits & 1 != 0 {
                    self.write(at.ok_or_else(broken)?, word)?;
                }
                bits >>= 1;
                at = at.and_then(|at| at.checked_add(word));
            }
            next = start.checked_add((word * 8 - 1) * word);
        }
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        self.steps += 1;
        if self.steps > MAX_RELOCATIONS {
            return Err(Error::malformed("there are too many ELF relocations"));
        }
        Ok(())
    }

    fn write(&mut self, address: u64, len: u64) -> Result<()> {
        self.step()?;
        if !self.image.is(elf::PF_W, address, len) {
            return Err(Error::malformed("an ELF relocation changes what is no data of the file"));
        }
        match self.taken.hit(address, len) {
            None => Ok(()),
            Some(what) => Err(Error::not_as_loaded(format!(
                "an ELF relocation changes the {what}, which was inspected"
            ))),
        }
    }
}
