//! The entries of the dynamic table: each known, each unique, and related entries complete. Of
//! several entries glibc takes the last, and assumes that related entries exist.

use std::collections::BTreeMap;

use object::elf::{self, DynamicTag};
use object::read::elf::{Dyn, FileHeader};
use object::{Endianness, pod};

use super::image::{Image, Taken};
use super::machine::{Form, X86_64_PLT};
use super::{Error, Machine, Result, index, segments};

/// The tags that linkers write for libraries, which glibc and this reader both know. Names of
/// libraries and search paths are checked where they are read.
const KNOWN: [DynamicTag; 41] = [
    elf::DT_NEEDED,
    elf::DT_PLTRELSZ,
    elf::DT_PLTGOT,
    elf::DT_HASH,
    elf::DT_STRTAB,
    elf::DT_SYMTAB,
    elf::DT_RELA,
    elf::DT_RELASZ,
    elf::DT_RELAENT,
    elf::DT_STRSZ,
    elf::DT_SYMENT,
    elf::DT_INIT,
    elf::DT_FINI,
    elf::DT_SONAME,
    elf::DT_RPATH,
    elf::DT_SYMBOLIC,
    elf::DT_REL,
    elf::DT_RELSZ,
    elf::DT_RELENT,
    elf::DT_PLTREL,
    elf::DT_TEXTREL,
    elf::DT_JMPREL,
    elf::DT_BIND_NOW,
    elf::DT_INIT_ARRAY,
    elf::DT_FINI_ARRAY,
    elf::DT_INIT_ARRAYSZ,
    elf::DT_FINI_ARRAYSZ,
    elf::DT_RUNPATH,
    elf::DT_FLAGS,
    elf::DT_RELRSZ,
    elf::DT_RELR,
    elf::DT_RELRENT,
    elf::DT_GNU_HASH,
    elf::DT_VERSYM,
    elf::DT_RELACOUNT,
    elf::DT_RELCOUNT,
    elf::DT_FLAGS_1,
    elf::DT_VERDEF,
    elf::DT_VERDEFNUM,
    elf::DT_VERNEED,
    elf::DT_VERNEEDNUM,
];

/// Further known tags. They have no effect if all symbols are looked up at once, as they are for
/// plugins.
const IDLE: [DynamicTag; 3] = [elf::DT_DEBUG, elf::DT_TLSDESC_PLT, elf::DT_TLSDESC_GOT];

/// Tags that glibc reads together, without a check that all of them are there.
const TOGETHER: [&[DynamicTag]; 9] = [
    &[elf::DT_STRTAB, elf::DT_STRSZ, elf::DT_SYMTAB],
    &[elf::DT_RELA, elf::DT_RELASZ, elf::DT_RELAENT],
    &[elf::DT_REL, elf::DT_RELSZ, elf::DT_RELENT],
    &[elf::DT_RELR, elf::DT_RELRSZ, elf::DT_RELRENT],
    &[elf::DT_JMPREL, elf::DT_PLTREL, elf::DT_PLTRELSZ],
    &[elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ],
    &[elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ],
    &[elf::DT_VERNEED, elf::DT_VERNEEDNUM],
    &[elf::DT_VERDEF, elf::DT_VERDEFNUM],
];

/// The tags of a search among libraries, and other tags that let a library influence what else is
/// loaded or run.
const REQUESTS: [(DynamicTag, &str); 7] = [
    (elf::DT_AUXILIARY, "DT_AUXILIARY"),
    (elf::DT_FILTER, "DT_FILTER"),
    (elf::DT_AUDIT, "DT_AUDIT"),
    (elf::DT_DEPAUDIT, "DT_DEPAUDIT"),
    (elf::DT_CONFIG, "DT_CONFIG"),
    (elf::DT_PREINIT_ARRAY, "DT_PREINIT_ARRAY"),
    (elf::DT_PREINIT_ARRAYSZ, "DT_PREINIT_ARRAYSZ"),
];

/// The flags a plugin may have in `DT_FLAGS`. `DF_TEXTREL` has an error of its own.
const FLAGS: u64 = elf::DF_ORIGIN.0
    | elf::DF_SYMBOLIC.0
    | elf::DF_TEXTREL.0
    | elf::DF_BIND_NOW.0
    | elf::DF_STATIC_TLS.0;

/// The flags a plugin may have in `DT_FLAGS_1`. Plugins are always bound at once, never unloaded,
/// and have no search path that could name their own directory.
const FLAGS_1: u64 = elf::DF_1_NOW.0 | elf::DF_1_NODELETE.0 | elf::DF_1_ORIGIN.0;

/// The dynamic table, up to the entry that ends it.
pub(super) struct Table {
    entries: Vec<(DynamicTag, u64)>,
    values: BTreeMap<i64, u64>,
    address: u64,
    len: u64,
}

impl Table {
    pub(super) fn read<Elf: FileHeader<Endian = Endianness>>(
        image: &Image<'_, Elf>,
    ) -> Result<Self> {
        let what = "dynamic table";
        let Some(segment) = segments::only(image, elf::PT_DYNAMIC, what)? else {
            return Err(Error::malformed("the ELF file has no dynamic table"));
        };
        let size = segment.file;
        let data = image
            .span(segment.address, size)
            .ok_or_else(|| Error::malformed("the ELF dynamic table is not mapped"))?;
        segments::same_place(image, segment, what)?;
        if segment.flags.contains(elf::PF_W) && !image.is(elf::PF_W, segment.address, size) {
            return Err(Error::malformed("the ELF dynamic table cannot be written"));
        }
        let (all, _) = pod::slice_from_bytes::<Elf::Dyn>(data, data.len() / size_of::<Elf::Dyn>())
            .map_err(|()| Error::malformed("the ELF dynamic table is not mapped"))?;
        let entries: Vec<_> = all
            .iter()
            .map(|entry| (entry.tag(image.endian), entry.val(image.endian)))
            .take_while(|(tag, _)| *tag != elf::DT_NULL)
            .collect();
        // glibc reads on behind the segment.
        if entries.len() == all.len() {
            return Err(Error::not_as_loaded("the ELF dynamic table has no end"));
        }
        let values = entries.iter().map(|(tag, value)| (tag.0, *value)).collect();
        Ok(Self { entries, values, address: segment.address, len: size })
    }

    /// Returns whether the table declares a program, which can lie anywhere in memory like a
    /// library.
    pub(super) fn is_program(&self) -> bool {
        let is_pie = |(tag, value): &(DynamicTag, u64)| {
            *tag == elf::DT_FLAGS_1 && value & elf::DF_1_PIE.0 != 0
        };
        self.entries.iter().any(is_pie)
    }

    /// Refuses entries that the loader reads in another way, or that no plugin needs.
    pub(super) fn check<Elf: FileHeader<Endian = Endianness>>(
        &self,
        image: &Image<'_, Elf>,
    ) -> Result<()> {
        let mut seen = std::collections::BTreeSet::new();
        for (tag, value) in &self.entries {
            if let Some((_, name)) = REQUESTS.iter().find(|(request, _)| request == tag) {
                return Err(Error::loader_request(*name));
            }
            let own = match image.traits.tags {
                Some(tags) => tags.contains(tag),
                None => (elf::DT_LOPROC..=elf::DT_HIPROC).contains(&tag.0),
            };
            if !own && !KNOWN.contains(tag) && !IDLE.contains(tag) {
                return Err(Error::loader_request(format!("the dynamic entry {:#x}", tag.0)));
            }
            if *tag != elf::DT_NEEDED && !seen.insert(tag.0) {
                return Err(Error::not_as_loaded(format!(
                    "the ELF dynamic table has the entry {:#x} twice",
                    tag.0
                )));
            }
            let unknown = match *tag {
                elf::DT_FLAGS => value & !FLAGS,
                elf::DT_FLAGS_1 => value & !FLAGS_1,
                _ => 0,
            };
            if unknown != 0 {
                let name = if *tag == elf::DT_FLAGS { "DT_FLAGS" } else { "DT_FLAGS_1" };
                return Err(Error::loader_request(format!("{name} {unknown:#x}")));
            }
        }
        for group in TOGETHER {
            let there = group.iter().filter(|tag| self.values.contains_key(&tag.0)).count();
            if there != 0 && there != group.len() {
                return Err(Error::malformed(format!(
                    "the ELF dynamic table has only a part of {:#x}",
                    group[0].0
                )));
            }
        }
        self.sizes(image)?;
        self.addresses(image)
    }

    /// Refuses entry sizes that make glibc stop the process, or that glibc ignores.
    fn sizes<Elf: FileHeader<Endian = Endianness>>(&self, image: &Image<'_, Elf>) -> Result<()> {
        let form = image.traits.form;
        let other_form = match form {
            Some(Form::Rela) => self.value(elf::DT_REL).or(self.value(elf::DT_RELCOUNT)),
            Some(Form::Rel) => self.value(elf::DT_RELA).or(self.value(elf::DT_RELACOUNT)),
            None => None,
        };
        let plt = match self.value(elf::DT_PLTREL).map(|form| DynamicTag(form as i64)) {
            None => true,
            Some(elf::DT_RELA) => form != Some(Form::Rel),
            Some(elf::DT_REL) => form != Some(Form::Rela),
            Some(_) => false,
        };
        if other_form.is_some() || !plt {
            return Err(Error::not_as_loaded("the ELF relocations are not of the machine's form"));
        }
        for (tag, size) in [
            (elf::DT_SYMENT, size_of::<Elf::Sym>()),
            (elf::DT_RELAENT, size_of::<Elf::Rela>()),
            (elf::DT_RELENT, size_of::<Elf::Rel>()),
            (elf::DT_RELRENT, size_of::<Elf::Word>()),
        ] {
            if self.value(tag).is_some_and(|value| value != size as u64) {
                return Err(Error::malformed(format!(
                    "the ELF dynamic table has another size of entries in {:#x}",
                    tag.0
                )));
            }
        }
        Ok(())
    }

    /// Refuses addresses of functions outside code, and lists of them outside the file.
    fn addresses<Elf: FileHeader<Endian = Endianness>>(
        &self,
        image: &Image<'_, Elf>,
    ) -> Result<()> {
        for tag in [elf::DT_INIT, elf::DT_FINI] {
            if self.value(tag).is_some_and(|address| !image.is(elf::PF_X, address, 1)) {
                return Err(Error::malformed(format!(
                    "the ELF function {:#x} is not in code that can be run",
                    tag.0
                )));
            }
        }
        for (tag, size) in
            [(elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ), (elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ)]
        {
            let (Some(address), Some(size)) = (self.value(tag), self.value(size)) else { continue };
            // glibc counts them in 32 bits.
            let whole = size % image.word() == 0 && size / image.word() <= u64::from(u32::MAX);
            if !whole || size > 0 && image.span(address, size).is_none() {
                return Err(Error::malformed(format!(
                    "the ELF list of functions {:#x} is not mapped",
                    tag.0
                )));
            }
        }
        if let Some(address) = self.value(elf::DT_PLTGOT)
            && !image.is(elf::ProgramFlags(0), address, image.word())
        {
            return Err(Error::malformed("the ELF table of addresses is not mapped"));
        }
        if image.machine == Machine::X86_64 {
            let [start, size, _] = X86_64_PLT.map(|tag| self.value(tag));
            let size = size.unwrap_or(0);
            if start.is_some_and(|start| !image.is(elf::PF_X, start, size)) {
                return Err(Error::malformed("the ELF procedure table is not in code"));
            }
        }
        Ok(())
    }

    pub(super) fn entries(&self) -> &[(DynamicTag, u64)] {
        &self.entries
    }

    pub(super) fn value(&self, tag: DynamicTag) -> Option<u64> {
        self.values.get(&tag.0).copied()
    }

    /// Returns an address and the number of bytes there, from the tags of both.
    pub(super) fn part(&self, address: DynamicTag, len: DynamicTag) -> Option<(u64, u64)> {
        Some((self.value(address)?, self.value(len)?))
    }

    /// Refuses a table whose own bytes were also read as another part: glibc writes addresses into
    /// the table. Then adds the table to the parts that were read.
    pub(super) fn take(&self, taken: &mut Taken) -> Result<()> {
        if let Some(what) = taken.hit(self.address, self.len) {
            return Err(Error::not_as_loaded(format!("the ELF dynamic table overlaps the {what}")));
        }
        taken.add(self.address, self.len, "dynamic table");
        Ok(())
    }

    /// Returns the address of a list and the number of its entries, checked to be in range.
    pub(super) fn count(&self, tag: DynamicTag) -> Result<usize> {
        self.value(tag).map_or(Ok(0), index)
    }
}
