//! A file as the loader maps it: by whole pages, in the order of its program headers.
//! Every read of the file goes by its address in this image.

use std::ops::Range;

use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, elf};

use super::machine::Traits;
use super::{Error, Machine, Result, bad, machine, within};

/// The most program headers that are walked: a linker writes about ten.
const MAX_PROGRAM_HEADERS: u16 = 128;

/// Maximum bytes of memory that a library may cover, and of its alignment: the limit that a runner
/// may write at all.
pub(super) const MAX_SPAN: u64 = 1 << 30;

/// The number of program headers that stands for "see the first section", which glibc does
/// not do.
const PN_XNUM: u16 = 0xffff;

/// A program header, as numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub(super) kind: elf::ProgramType,
    pub(super) flags: elf::ProgramFlags,
    /// Offset in the file, in bytes.
    pub(super) offset: u64,
    /// Address in memory, relative to where the file is mapped.
    pub(super) address: u64,
    /// Bytes in the file.
    pub(super) file: u64,
    /// Bytes in memory; bytes that the file lacks are zero.
    pub(super) memory: u64,
    pub(super) align: u64,
}

impl Segment {
    /// Returns whether the file has these bytes of the segment, and they are readable in memory.
    fn has(&self, address: u64, len: u64) -> bool {
        self.flags.contains(elf::PF_R)
            && address >= self.address
            && len <= self.file
            && address - self.address <= self.file - len
    }

    fn covers(&self, address: u64, len: u64) -> bool {
        address >= self.address && len <= self.memory && address - self.address <= self.memory - len
    }
}

/// The mapped file, and the headers that define the mapping.
pub(super) struct Image<'data, Elf: FileHeader<Endian = Endianness>> {
    pub(super) bytes: &'data [u8],
    pub(super) endian: Endianness,
    pub(super) header: &'data Elf,
    pub(super) headers: &'data [Elf::ProgramHeader],
    pub(super) machine: Machine,
    pub(super) traits: Traits,
    segments: Vec<Segment>,
}

impl<'data, Elf: FileHeader<Endian = Endianness>> Image<'data, Elf> {
    pub(super) fn new(header: &'data Elf, endian: Endianness, bytes: &'data [u8]) -> Result<Self> {
        let count = header.e_phnum(endian);
        if count == PN_XNUM || count > MAX_PROGRAM_HEADERS {
            return Err(Error::malformed("there are too many ELF program headers"));
        }
        let headers = header
            .program_headers(endian, bytes)
            .map_err(|fault| bad("ELF program headers", fault))?;
        let segments = headers.iter().map(|header| Segment {
            kind: header.p_type(endian),
            flags: header.p_flags(endian),
            offset: header.p_offset(endian).into(),
            address: header.p_vaddr(endian).into(),
            file: header.p_filesz(endian).into(),
            memory: header.p_memsz(endian).into(),
            align: header.p_align(endian).into(),
        });
        let segments = segments.collect();
        let machine = machine::machine(header, endian);
        let traits = Traits::of(machine);
        let image = Self { bytes, endian, header, headers, machine, traits, segments };
        image.check_loads()?;
        Ok(image)
    }

    /// Refuses segments that differ between memory and file. The loader maps whole pages, one
    /// segment after the other: a later segment hides an earlier one in the same page.
    fn check_loads(&self) -> Result<()> {
        let page = self.traits.page;
        let mut pages: Option<Range<u64>> = None;
        let mut bytes_end = 0;
        for load in self.loads() {
            within(self.bytes, load.offset.saturating_add(load.file))?;
            let wrong = || Error::malformed("the ELF segments overlap or are out of order");
            let end = load.address.checked_add(load.memory).ok_or_else(wrong)?;
            if load.file > load.memory || load.address < bytes_end {
                return Err(wrong());
            }
            let pages_end = end.checked_next_multiple_of(page).ok_or_else(wrong)?;
            let pages_start = load.address - load.address % page;
            let aligned = load.align.is_power_of_two()
                && load.align >= page
                && load.address % load.align == load.offset % load.align;
            if !aligned {
                return Err(Error::not_as_loaded(format!(
                    "an ELF segment is not aligned to pages of {page} bytes"
                )));
            }
            let start = match &pages {
                Some(before) if pages_start < before.end => {
                    return Err(Error::not_as_loaded(format!(
                        "two ELF segments share a page of {page} bytes"
                    )));
                }
                Some(before) => before.start,
                // glibc asks the kernel for this address: the code's address is then known.
                None if pages_start != 0 => {
                    return Err(Error::loader_request("an address of its own choice"));
                }
                None => pages_start,
            };
            if pages_end - start > MAX_SPAN || load.align > MAX_SPAN {
                return Err(Error::malformed("the ELF segments cover too much memory"));
            }
            bytes_end = end;
            pages = Some(start..pages_end);
        }
        match pages {
            Some(_) => Ok(()),
            None => Err(Error::malformed("the ELF file has nothing to load")),
        }
    }

    pub(super) fn segments(&self, kind: elf::ProgramType) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(move |segment| segment.kind == kind)
    }

    pub(super) fn loads(&self) -> impl Iterator<Item = &Segment> {
        self.segments(elf::PT_LOAD)
    }

    /// Returns the size of an address.
    pub(super) const fn word(&self) -> u64 {
        size_of::<Elf::Word>() as u64
    }

    /// Returns the file's bytes from an address to the end of its segment.
    pub(super) fn at(&self, address: u64) -> Option<&'data [u8]> {
        let load = self.loads().find(|load| load.has(address, 1))?;
        let start = usize::try_from(load.offset + (address - load.address)).ok()?;
        let end = usize::try_from(load.offset + load.file).ok()?;
        self.bytes.get(start..end)
    }

    /// Returns this many of the file's bytes from an address.
    pub(super) fn span(&self, address: u64, len: u64) -> Option<&'data [u8]> {
        if len == 0 {
            return Some(&[]);
        }
        self.at(address)?.get(..usize::try_from(len).ok()?)
    }

    /// Returns whether all of this memory belongs to one segment with these flags.
    pub(super) fn is(&self, flags: elf::ProgramFlags, address: u64, len: u64) -> bool {
        self.loads().any(|load| load.flags.contains(flags) && load.covers(address, len))
    }

    /// Returns whether a part of the file has, in memory, the address that it states.
    pub(super) fn is_mapped(&self, offset: u64, address: u64, len: u64) -> bool {
        self.loads().any(|load| {
            load.has(address, len)
                && offset.checked_sub(load.offset) == Some(address - load.address)
        })
    }

    /// Returns the address where glibc looks for a part of the file: in the first segment whose
    /// pages contain it. The part must lie in the segment itself: other bytes of these pages may be
    /// zero in memory.
    pub(super) fn place_of(&self, offset: u64, len: u64) -> Result<Option<u64>> {
        let page = self.traits.page;
        let end = offset.saturating_add(len);
        let Some(load) = self.loads().find(|load| {
            let pages_end = (load.offset + load.file).next_multiple_of(page);
            load.offset - load.offset % page <= offset && end <= pages_end
        }) else {
            return Ok(None);
        };
        if offset < load.offset || end > load.offset + load.file {
            return Err(Error::not_as_loaded(
                "the ELF program headers are at the edge of a segment",
            ));
        }
        Ok(Some(load.address + (offset - load.offset)))
    }

    /// Returns the entries of the table at this address with this size.
    pub(super) fn table(&self, address: u64, len: u64, what: &str) -> Result<&'data [u8]> {
        self.span(address, len)
            .ok_or_else(|| Error::malformed(format!("the ELF {what} is not mapped")))
    }
}

/// Parts of the image that inspection read, by address: they must be the same in memory and file.
#[derive(Default)]
pub(super) struct Taken(Vec<(Range<u64>, &'static str)>);

impl Taken {
    pub(super) fn add(&mut self, address: u64, len: u64, what: &'static str) {
        if len > 0 {
            self.0.push((address..address.saturating_add(len), what));
        }
    }

    /// Returns the part that overlaps this memory.
    pub(super) fn hit(&self, address: u64, len: u64) -> Option<&'static str> {
        let end = address.saturating_add(len);
        self.0
            .iter()
            .find(|(range, _)| address < range.end && range.start < end)
            .map(|(_, what)| *what)
    }
}
