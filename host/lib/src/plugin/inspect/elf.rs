//! ELF, read the way the loader reads it: through the program headers and the dynamic
//! table. The loader never reads sections; they only show whether the file is complete.

mod dynamic;
mod image;
mod machine;
mod relocations;
mod segments;
mod symbols;
mod tags;
mod versions;

use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, elf};

use keystead_plugin_api::manifest::section::{ELF_SECTION, NOTE_OWNER, NOTE_TYPE};

use super::entry::{C_SYMBOL, Entry, RUST_SYMBOL};
use super::{Error, Format, InspectionNote, Machine, Raw, Result, text, within};
use dynamic::Dynamic;
pub(super) use dynamic::defined_versions;
use image::{Image, Taken};
use tags::Table;
pub(super) use versions::glibc_version;

/// Bytes of a header of abi_stable that are read from the file: nothing may change them before they
/// are read in memory. The addresses after them must change.
const HEADER_READ: u64 = 40;

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
    plain(header, endian)?;
    whole(header, endian, bytes)?;
    let image = Image::<Elf>::new(header, endian, bytes)?;
    let table = Table::read(&image)?;
    if table.is_program() {
        return Err(Error::NotLibrary { found: "a program" });
    }
    let mut taken = Taken::default();
    // Before other checks: most libraries are no plugins.
    let block = manifest(&image, &mut taken)?;
    segments::check(&image, &mut taken)?;
    let dynamic = Dynamic::read(&image, &table, &mut taken)?;
    let (rust_entry, c_entry) = entries(&image, &dynamic, &mut taken)?;
    table.take(&mut taken)?;
    let indirect = relocations::check(&image, &table, &dynamic.symbols, &mut taken)?;
    let mut findings = Vec::new();
    if image.loads().any(|load| load.flags.contains(elf::PF_W | elf::PF_X)) {
        findings.push(InspectionNote::WritableCode);
    }
    if has_symbols(header, endian, bytes) {
        findings.push(InspectionNote::NotStripped);
    }
    let listed = usize::try_from(dynamic.constructor_bytes / image.word()).unwrap_or(usize::MAX);
    Ok(Raw {
        format: Format::Elf,
        machine: image.machine,
        endian,
        pointer_bytes: size_of::<Elf::Word>(),
        block,
        rust_entry,
        c_entry,
        needed: dynamic.needed,
        glibc: dynamic.glibc,
        constructors: listed.saturating_add(indirect),
        findings,
    })
}

/// Refuses a header with a value that glibc refuses or ignores.
fn plain<Elf>(header: &Elf, endian: Endianness) -> Result<()>
where
    Elf: FileHeader<Endian = Endianness>,
{
    let ident = header.e_ident();
    let own = header.e_machine(endian) == elf::EM_ARM && ident.os_abi == elf::ELFOSABI_ARM;
    let known = own || [elf::ELFOSABI_SYSV, elf::ELFOSABI_GNU].contains(&ident.os_abi);
    if !known || ident.abi_version != 0 || ident.padding != [0; 7] {
        return Err(Error::malformed("the ELF header is of another operating system's"));
    }
    if header.e_version(endian) != u32::from(elf::EV_CURRENT.0) {
        return Err(Error::malformed("the ELF header has an unknown version"));
    }
    if usize::from(header.e_phentsize(endian)) != size_of::<Elf::ProgramHeader>() {
        return Err(Error::malformed("the ELF program headers have another size"));
    }
    Ok(())
}

/// Refuses a file whose headers reach beyond its end: `dlopen` of such a file causes SIGBUS.
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

/// Returns the data at the symbols through which a plugin is entered.
fn entries<'data, Elf: FileHeader<Endian = Endianness>>(
    image: &Image<'data, Elf>,
    dynamic: &Dynamic<'data>,
    taken: &mut Taken,
) -> Result<(Option<Entry<'data>>, Option<Entry<'data>>)> {
    // Symbols other than data could be called or moved before they are read.
    let data = [elf::STT_OBJECT, elf::STT_NOTYPE];
    // Data could run as code, and an indirect function runs before the host's checks.
    let code = [elf::STT_FUNC, elf::STT_NOTYPE];
    let rust = dynamic.symbols.find(image, RUST_SYMBOL, &data)?;
    let c = dynamic.symbols.find(image, C_SYMBOL, &code)?;
    if let Some(found) = &rust {
        taken.add(found.address, HEADER_READ, "header of abi_stable");
    }
    let entry = |found: symbols::Found| Entry {
        data: image.at(found.address).unwrap_or_default(),
        size: Some(found.size),
    };
    let c = c.filter(|found| image.is(elf::PF_X, found.address, 1));
    Ok((rust.map(entry), c.map(entry)))
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

/// Returns the manifest's block: the content of the only note of Keystead.
fn manifest<'data, Elf: FileHeader<Endian = Endianness>>(
    image: &Image<'data, Elf>,
    taken: &mut Taken,
) -> Result<&'data [u8]> {
    let endian = image.endian;
    let mut found = None;
    for segment in image.headers.iter().filter(|header| header.p_type(endian) == elf::PT_NOTE) {
        // An unreadable note is not from Keystead.
        let Ok(Some(mut notes)) = segment.notes(endian, image.bytes) else { continue };
        while let Ok(Some(note)) = notes.next() {
            if note.n_type(endian).0 != NOTE_TYPE || note.name() != owner() {
                continue;
            }
            if found.replace(note.desc()).is_some() {
                return Err(Error::bad_manifest("the file carries two manifests"));
            }
        }
    }
    match found {
        Some(found) => Ok(found),
        None => manifest_section(image, taken)?.ok_or(Error::NoManifest),
    }
}

/// Returns the manifest's block by its section, for a linker that makes no note of it.
fn manifest_section<'data, Elf: FileHeader<Endian = Endianness>>(
    image: &Image<'data, Elf>,
    taken: &mut Taken,
) -> Result<Option<&'data [u8]>> {
    let endian = image.endian;
    let Ok(sections) = image.header.sections(endian, image.bytes) else { return Ok(None) };
    let mut found = None;
    for section in sections.iter() {
        if sections.section_name(endian, section) != Ok(ELF_SECTION.as_bytes()) {
            continue;
        }
        let Ok(data) = section.data(endian, image.bytes) else { return Ok(None) };
        let address = section.sh_addr(endian).into();
        if !image.is_mapped(section.sh_offset(endian).into(), address, data.len() as u64) {
            return Err(Error::not_as_loaded("the section with the manifest is not mapped"));
        }
        taken.add(address, data.len() as u64, "manifest");
        if found.replace(data).is_some() {
            return Err(Error::bad_manifest("the file carries two manifests"));
        }
    }
    Ok(found.and_then(|data| data.get(12..)?.strip_prefix(&NOTE_OWNER)))
}

/// Returns the owner of Keystead's notes without its padding.
fn owner() -> &'static [u8] {
    NOTE_OWNER.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn index(number: u64) -> Result<usize> {
    usize::try_from(number).map_err(|_| Error::malformed("an ELF size is out of range"))
}
