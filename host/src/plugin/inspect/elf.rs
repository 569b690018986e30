//! ELF, read the way the loader reads it: through the program headers and the dynamic
//! table. Sections, which the loader never looks at, only tell whether the file is whole.

mod dynamic;

use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader, Sym};
use object::{Endianness, elf, pod};

use keystead_plugin_api::manifest::section::{ELF_SECTION, NOTE_OWNER, NOTE_TYPE};

use super::entry::{C_SYMBOL, Entry, RUST_SYMBOL};
use super::{Error, Finding, Format, Machine, Raw, Result, text, within};
use dynamic::Dynamic;
pub(super) use dynamic::{defined_versions, glibc_version};

/// The most program headers that are walked: a linker writes about ten.
const MAX_PROGRAM_HEADERS: usize = 128;

/// Reads an ELF file of either word size and byte order.
pub(super) fn read(bytes: &[u8]) -> Result<Raw<'_>> {
    match bytes.get(4) {
        Some(&1) => read_as::<elf::FileHeader32<Endianness>>(bytes),
        Some(&2) => read_as::<elf::FileHeader64<Endianness>>(bytes),
        Some(_) => Err(Error::malformed("the ELF header has an unknown class")),
        None => within(bytes, 64).and(Err(Error::malformed("the ELF header"))),
    }
}

fn read_as<Elf>(bytes: &[u8]) -> Result<Raw<'_>>
where
    Elf: FileHeader<Endian = Endianness>,
{
    within(bytes, size_of::<Elf>() as u64)?;
    let header = Elf::parse(bytes).map_err(|fault| bad("ELF header", fault))?;
    let endian = header.endian().map_err(|fault| bad("ELF header", fault))?;
    match header.e_type(endian) {
        elf::ET_DYN => {}
        elf::ET_REL => return Err(Error::NotLibrary { found: "an object file" }),
        elf::ET_EXEC => return Err(Error::NotLibrary { found: "a program" }),
        elf::ET_CORE => return Err(Error::NotLibrary { found: "a core dump" }),
        _ => return Err(Error::NotLibrary { found: "an ELF file of an unknown type" }),
    }
    whole(header, endian, bytes)?;
    let image = Image::<Elf>::new(header, endian, bytes)?;
    let table = image.dynamic_table()?;
    if dynamic::is_program(&table) {
        return Err(Error::NotLibrary { found: "a program" });
    }
    // Before what else could be wrong: most libraries are none of our business.
    let block = image.manifest()?;
    let dynamic = Dynamic::read(&image, &table)?;
    let (rust_entry, c_entry) = image.entries(&dynamic)?;
    image.check_stack()?;
    let mut findings = Vec::new();
    if image.segments(elf::PT_LOAD).any(|load| {
        let flags = load.p_flags(endian);
        flags.contains(elf::PF_W) && flags.contains(elf::PF_X)
    }) {
        findings.push(Finding::WritableCode);
    }
    if has_symbols(header, endian, bytes) {
        findings.push(Finding::NotStripped);
    }
    Ok(Raw {
        format: Format::Elf,
        machine: machine(header, endian),
        endian,
        pointer_bytes: size_of::<Elf::Word>(),
        block,
        rust_entry,
        c_entry,
        needed: dynamic.needed,
        glibc: dynamic.glibc,
        constructors: usize::try_from(dynamic.constructor_bytes).unwrap_or(usize::MAX)
            / size_of::<Elf::Word>(),
        findings,
    })
}

/// Refuses a file whose headers reach beyond its end. `dlopen` of one would be SIGBUS.
fn whole<Elf>(header: &Elf, endian: Endianness, bytes: &[u8]) -> Result<()>
where
    Elf: FileHeader<Endian = Endianness>,
{
    let table = |start: u64, count: u64, each: u64| start.saturating_add(count * each);
    let programs = u64::from(header.e_phnum(endian));
    within(
        bytes,
        table(header.e_phoff(endian).into(), programs, header.e_phentsize(endian).into()),
    )?;
    let start: u64 = header.e_shoff(endian).into();
    if start != 0 {
        let sections = u64::from(header.e_shnum(endian));
        within(bytes, table(start, sections, header.e_shentsize(endian).into()))?;
    }
    Ok(())
}

fn machine<Elf>(header: &Elf, endian: Endianness) -> Machine
where
    Elf: FileHeader<Endian = Endianness>,
{
    let machine = header.e_machine(endian);
    match (machine, header.is_class_64(), endian) {
        (elf::EM_X86_64, true, Endianness::Little) => Machine::X86_64,
        (elf::EM_AARCH64, true, Endianness::Little) => Machine::Aarch64,
        (elf::EM_386, false, Endianness::Little) => Machine::X86,
        (elf::EM_ARM, false, Endianness::Little) => Machine::Arm,
        (elf::EM_RISCV, true, Endianness::Little) => Machine::Riscv64,
        (elf::EM_S390, true, Endianness::Big) => Machine::S390x,
        (elf::EM_PPC64, true, Endianness::Little) => Machine::Powerpc64le,
        (elf::EM_LOONGARCH, true, Endianness::Little) => Machine::Loongarch64,
        _ => Machine::Other(u32::from(machine.0)),
    }
}

fn has_symbols<Elf>(header: &Elf, endian: Endianness, bytes: &[u8]) -> bool
where
    Elf: FileHeader<Endian = Endianness>,
{
    // A library without readable section headers has nothing left to strip.
    header.section_headers(endian, bytes).is_ok_and(|sections| {
        sections.iter().any(|section| section.sh_type(endian) == elf::SHT_SYMTAB)
    })
}

fn bad(part: &str, fault: object::read::Error) -> Error {
    Error::malformed(format!("{part}: {fault}"))
}

/// A run of bytes that is mapped from the file.
struct Load {
    address: u64,
    offset: usize,
    len: usize,
}

/// What is mapped, and the headers that say so.
struct Image<'data, Elf: FileHeader<Endian = Endianness>> {
    bytes: &'data [u8],
    endian: Endianness,
    header: &'data Elf,
    headers: &'data [Elf::ProgramHeader],
    loads: Vec<Load>,
}

impl<'data, Elf: FileHeader<Endian = Endianness>> Image<'data, Elf> {
    fn new(header: &'data Elf, endian: Endianness, bytes: &'data [u8]) -> Result<Self> {
        let headers = header
            .program_headers(endian, bytes)
            .map_err(|fault| bad("ELF program headers", fault))?;
        if headers.len() > MAX_PROGRAM_HEADERS {
            return Err(Error::malformed("there are too many ELF program headers"));
        }
        let mut loads = Vec::new();
        let mut free_from = 0;
        for segment in headers.iter().filter(|header| header.p_type(endian) == elf::PT_LOAD) {
            let (offset, len) = segment.file_range(endian);
            within(bytes, offset.saturating_add(len))?;
            let address: u64 = segment.p_vaddr(endian).into();
            let memory: u64 = segment.p_memsz(endian).into();
            let end = address.checked_add(memory);
            // One address must mean one place: the loader maps in order, we read by address.
            let (Some(end), true) = (end, len <= memory && address >= free_from) else {
                return Err(Error::malformed("the ELF segments overlap or are out of order"));
            };
            free_from = end;
            loads.push(Load { address, offset: index(offset)?, len: index(len)? });
        }
        if loads.is_empty() {
            return Err(Error::malformed("the ELF file has nothing to load"));
        }
        Ok(Self { bytes, endian, header, headers, loads })
    }

    fn segments(&self, kind: elf::ProgramType) -> impl Iterator<Item = &'data Elf::ProgramHeader> {
        let endian = self.endian;
        self.headers.iter().filter(move |header| header.p_type(endian) == kind)
    }

    /// Returns the file's bytes from an address to the end of its segment.
    fn at(&self, address: u64) -> Option<&'data [u8]> {
        self.loads.iter().find_map(|load| {
            let inside = usize::try_from(address.checked_sub(load.address)?).ok()?;
            let mapped = &self.bytes[load.offset..load.offset + load.len];
            mapped.get(inside..).filter(|rest| !rest.is_empty())
        })
    }

    /// Returns the manifest's block: the content of the one note that is ours.
    fn manifest(&self) -> Result<&'data [u8]> {
        let mut found = None;
        for segment in self.segments(elf::PT_NOTE) {
            // A note that cannot be read is not ours.
            let Ok(Some(mut notes)) = segment.notes(self.endian, self.bytes) else { continue };
            while let Ok(Some(note)) = notes.next() {
                if note.n_type(self.endian).0 != NOTE_TYPE || note.name() != owner() {
                    continue;
                }
                if found.replace(note.desc()).is_some() {
                    return Err(Error::bad_manifest("the file carries two manifests"));
                }
            }
        }
        found.or_else(|| self.manifest_section()).ok_or(Error::NoManifest)
    }

    /// Returns the manifest's block by its section, for a linker that makes no note of it.
    fn manifest_section(&self) -> Option<&'data [u8]> {
        let sections = self.header.sections(self.endian, self.bytes).ok()?;
        let (_, section) = sections.section_by_name(self.endian, ELF_SECTION.as_bytes())?;
        let data = section.data(self.endian, self.bytes).ok()?;
        data.get(12..)?.strip_prefix(&NOTE_OWNER)
    }

    /// Refuses a library for which the loader would make the stack executable: where the
    /// header is missing, glibc assumes the worst.
    fn check_stack(&self) -> Result<()> {
        let mut stacks = self.segments(elf::PT_GNU_STACK).peekable();
        let harmless = stacks.peek().is_some()
            && stacks.all(|stack| !stack.p_flags(self.endian).contains(elf::PF_X));
        if harmless { Ok(()) } else { Err(Error::ExecutableStack) }
    }

    /// Returns the entries of the dynamic table, up to the one that ends it.
    fn dynamic_table(&self) -> Result<Vec<(elf::DynamicTag, u64)>> {
        let Some(segment) = self.segments(elf::PT_DYNAMIC).next() else {
            return Err(Error::malformed("the ELF file has no dynamic table"));
        };
        let missing = || Error::malformed("the ELF dynamic table is not mapped");
        let size = index(segment.p_filesz(self.endian).into())?;
        let data = self.at(segment.p_vaddr(self.endian).into()).ok_or_else(missing)?;
        let data = data.get(..size).ok_or_else(missing)?;
        let (entries, _) = pod::slice_from_bytes::<Elf::Dyn>(data, size / size_of::<Elf::Dyn>())
            .map_err(|()| missing())?;
        let entries = entries.iter().map(|entry| (entry.tag(self.endian), entry.val(self.endian)));
        Ok(entries.take_while(|(tag, _)| *tag != elf::DT_NULL).collect())
    }

    fn entries(
        &self,
        dynamic: &Dynamic<'data>,
    ) -> Result<(Option<Entry<'data>>, Option<Entry<'data>>)> {
        let mut found = (None, None);
        let symbols = dynamic.symbols.unwrap_or_default();
        let count = dynamic.symbol_count.min(symbols.len() / size_of::<Elf::Sym>());
        let (symbols, _) = pod::slice_from_bytes::<Elf::Sym>(symbols, count)
            .map_err(|()| Error::malformed("the ELF symbols"))?;
        for symbol in symbols {
            let name = dynamic.strings.get(symbol.st_name(self.endian) as usize..);
            let (name, kind) = (name.unwrap_or_default(), symbol.st_type());
            let slot = if text::is_name(name, RUST_SYMBOL) {
                // Anything else than data would be called or moved before it is read.
                if kind != elf::STT_OBJECT && kind != elf::STT_NOTYPE {
                    continue;
                }
                &mut found.0
            } else if text::is_name(name, C_SYMBOL) {
                // Data would be run, and an indirect function before there is a check of ours.
                if kind != elf::STT_FUNC && kind != elf::STT_NOTYPE {
                    continue;
                }
                &mut found.1
            } else {
                continue;
            };
            if symbol.st_shndx(self.endian) == elf::SHN_UNDEF || symbol.st_bind() == elf::STB_LOCAL
            {
                continue;
            }
            let size = Some(symbol.st_size(self.endian).into());
            let data = self.at(symbol.st_value(self.endian).into()).unwrap_or_default();
            if slot.replace(Entry { data, size }).is_some() {
                return Err(Error::malformed("the entry symbol is there twice"));
            }
        }
        Ok(found)
    }
}

/// Returns the owner of our notes without its padding.
fn owner() -> &'static [u8] {
    NOTE_OWNER.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn index(number: u64) -> Result<usize> {
    usize::try_from(number).map_err(|_| Error::malformed("an ELF size is out of range"))
}
