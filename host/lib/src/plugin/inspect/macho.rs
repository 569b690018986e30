//! Mach-O, the format of macOS libraries.

use object::read::macho::{LoadCommandVariant, MachHeader, Nlist, Section, Segment};
use object::{Endianness, macho};

use keystead_plugin_api::manifest::section::MACHO_SECTION;

use super::entry::{C_SYMBOL, Entry, RUST_SYMBOL};
use super::{Error, Format, InspectionNote, MAX_NEEDED, Machine, Raw, Result, text, within};

/// Returns whether these bytes start a Mach-O file for one machine.
pub(super) fn is_thin(bytes: &[u8]) -> bool {
    matches!(bytes, [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xfe, 0xed, 0xfa, 0xcf | 0xce, ..])
}

/// Returns whether these bytes start a file for several machines. Java classes start with the same
/// four bytes, and a version of at least 45 in place of the number of machines.
pub(super) fn is_universal(bytes: &[u8]) -> bool {
    matches!(bytes, [0xca, 0xfe, 0xba, 0xbe | 0xbf, 0, 0, 0, count, ..] if *count < 45)
}

/// Reads a Mach-O file of either word size and byte order.
pub(super) fn read(bytes: &[u8]) -> Result<Raw<'_>> {
    match bytes {
        [0xcf, ..] | [_, _, _, 0xcf, ..] => read_as::<macho::MachHeader64<Endianness>>(bytes),
        _ => read_as::<macho::MachHeader32<Endianness>>(bytes),
    }
}

fn read_as<Mach>(bytes: &[u8]) -> Result<Raw<'_>>
where
    Mach: MachHeader<Endian = Endianness>,
{
    within(bytes, size_of::<Mach>() as u64)?;
    let header = Mach::parse(bytes, 0).map_err(|fault| bad("Mach-O header", fault))?;
    let endian = header.endian().map_err(|fault| bad("Mach-O header", fault))?;
    within(bytes, size_of::<Mach>() as u64 + u64::from(header.sizeofcmds(endian)))?;
    match header.filetype(endian) {
        macho::MH_DYLIB | macho::MH_BUNDLE => {}
        macho::MH_EXECUTE => return Err(Error::NotLibrary { found: "a program" }),
        macho::MH_OBJECT => return Err(Error::NotLibrary { found: "an object file" }),
        macho::MH_CORE => return Err(Error::NotLibrary { found: "a core dump" }),
        _ => return Err(Error::NotLibrary { found: "a Mach-O file of another type" }),
    }
    let image = Image::<Mach>::read(header, endian, bytes)?;
    let block = image.block.ok_or(Error::NoManifest)?;
    if let Some(what) = image.search_path {
        return Err(Error::SearchPath { what });
    }
    if header.flags(endian).contains(macho::MH_ALLOW_STACK_EXECUTION) {
        return Err(Error::ExecutableStack);
    }
    Ok(Raw {
        format: Format::MachO,
        machine: machine(header.cputype(endian)),
        endian,
        pointer_bytes: if header.is_type_64() { 8 } else { 4 },
        block,
        rust_entry: image.rust_entry,
        c_entry: image.c_entry,
        needed: image.needed,
        glibc: None,
        constructors: image.constructors,
        findings: image.findings,
    })
}

fn machine(cpu: macho::CpuType) -> Machine {
    match cpu {
        macho::CPU_TYPE_X86_64 => Machine::X86_64,
        macho::CPU_TYPE_ARM64 => Machine::Aarch64,
        macho::CPU_TYPE_X86 => Machine::X86,
        macho::CPU_TYPE_ARM => Machine::Arm,
        _ => Machine::Other(cpu.0),
    }
}

/// Contents of the load commands.
struct Image<'data, Mach: MachHeader<Endian = Endianness>> {
    bytes: &'data [u8],
    endian: Endianness,
    segments: Vec<&'data Mach::Segment>,
    block: Option<&'data [u8]>,
    rust_entry: Option<Entry<'data>>,
    c_entry: Option<Entry<'data>>,
    needed: Vec<String>,
    search_path: Option<String>,
    constructors: usize,
    findings: Vec<InspectionNote>,
}

impl<'data, Mach: MachHeader<Endian = Endianness>> Image<'data, Mach> {
    fn read(header: &'data Mach, endian: Endianness, bytes: &'data [u8]) -> Result<Self> {
        let mut image = Self {
            bytes,
            endian,
            segments: Vec::new(),
            block: None,
            rust_entry: None,
            c_entry: None,
            needed: Vec::new(),
            search_path: None,
            constructors: 0,
            findings: Vec::new(),
        };
        let mut symbols = None;
        let broken = |fault| bad("Mach-O load commands", fault);
        let mut commands = header.load_commands(endian, bytes, 0).map_err(broken)?;
        while let Some(command) = commands.next().map_err(broken)? {
            if let Some((segment, sections)) =
                Mach::Segment::from_command(command).map_err(broken)?
            {
                image.segment(segment, sections)?;
                continue;
            }
            match command.variant().map_err(broken)? {
                LoadCommandVariant::Symtab(table) => symbols = Some(table),
                LoadCommandVariant::Dylib(library) => {
                    let name = command.string(endian, library.dylib.name).map_err(broken)?;
                    image.library(name)?;
                }
                LoadCommandVariant::Rpath(path) => {
                    let path = command.string(endian, path.path).map_err(broken)?;
                    let path = text::shown(&String::from_utf8_lossy(path));
                    image.search_path = Some(format!("LC_RPATH `{path}`"));
                }
                _ => {}
            }
        }
        if let Some(symbols) = symbols {
            image.symbols(symbols)?;
        }
        Ok(image)
    }

    fn segment(&mut self, segment: &'data Mach::Segment, sections: &'data [u8]) -> Result<()> {
        let endian = self.endian;
        let (offset, len) = segment.file_range(endian);
        within(self.bytes, offset.saturating_add(len))?;
        let protection = segment.initprot(endian);
        if protection.contains(macho::VM_PROT_WRITE)
            && protection.contains(macho::VM_PROT_EXECUTE)
            && !self.findings.contains(&InspectionNote::WritableCode)
        {
            self.findings.push(InspectionNote::WritableCode);
        }
        let sections =
            segment.sections(endian, sections).map_err(|fault| bad("Mach-O sections", fault))?;
        for section in sections {
            let size: u64 = section.size(endian).into();
            let entries = |each: u64| usize::try_from(size / each).unwrap_or(usize::MAX);
            match section.section_type(endian) {
                macho::S_MOD_INIT_FUNC_POINTERS => {
                    let each = u64::from(Mach::pointer_size());
                    self.constructors = self.constructors.saturating_add(entries(each));
                }
                macho::S_INIT_FUNC_OFFSETS => {
                    self.constructors = self.constructors.saturating_add(entries(4));
                }
                _ => {}
            }
            if section.segment_name() == MACHO_SECTION.0.as_bytes()
                && section.name() == MACHO_SECTION.1.as_bytes()
            {
                let data = section
                    .data(endian, self.bytes, section.offset(endian).into())
                    .map_err(|fault| bad("Mach-O section", fault))?;
                if self.block.replace(data).is_some() {
                    return Err(Error::bad_manifest("the file carries two manifests"));
                }
            }
        }
        self.segments.push(segment);
        Ok(())
    }

    fn library(&mut self, name: &[u8]) -> Result<()> {
        let name = std::str::from_utf8(name).ok().filter(|name| {
            !name.is_empty() && name.len() <= 1_024 && !name.chars().any(text::misleads)
        });
        let name = name.ok_or_else(|| Error::malformed("a name in the Mach-O load commands"))?;
        if !name.starts_with('/') {
            self.search_path = Some(format!("it needs `{}`", text::shown(name)));
        }
        if self.needed.len() >= MAX_NEEDED {
            return Err(Error::malformed("it needs too many libraries"));
        }
        self.needed.push(name.to_owned());
        Ok(())
    }

    fn symbols(&mut self, table: &macho::SymtabCommand<Endianness>) -> Result<()> {
        let endian = self.endian;
        let (offset, len) = (table.stroff.get(endian) as usize, table.strsize.get(endian) as usize);
        let strings = self.bytes.get(offset..).and_then(|rest| rest.get(..len));
        let strings = strings.ok_or_else(|| Error::malformed("the Mach-O strings"))?;
        let table = table
            .symbols::<Mach, _>(endian, self.bytes)
            .map_err(|fault| bad("Mach-O symbols", fault))?;
        for symbol in table.iter() {
            let flags = symbol.n_type();
            if !symbol.is_definition() || !flags.is_ext() || flags.is_pext() {
                continue;
            }
            // C symbols have an underscore before their names here.
            let name = strings.get(symbol.n_strx(endian) as usize..).unwrap_or_default();
            let Some(name) = name.strip_prefix(b"_") else { continue };
            let (is_rust, is_c) = (text::is_name(name, RUST_SYMBOL), text::is_name(name, C_SYMBOL));
            if !is_rust && !is_c {
                continue;
            }
            let data = self.at(symbol.n_value(endian).into()).unwrap_or_default();
            let slot = if is_rust { &mut self.rust_entry } else { &mut self.c_entry };
            if slot.replace(Entry { data, size: None }).is_some() {
                return Err(Error::malformed("the entry symbol is there twice"));
            }
        }
        Ok(())
    }

    /// Returns the file's bytes from an address to the end of its segment.
    fn at(&self, address: u64) -> Option<&'data [u8]> {
        self.segments.iter().find_map(|segment| {
            let inside = address.checked_sub(segment.vmaddr(self.endian).into())?;
            let mapped = segment.data(self.endian, self.bytes).ok()?;
            mapped.get(usize::try_from(inside).ok()?..).filter(|rest| !rest.is_empty())
        })
    }
}

fn bad(part: &str, fault: object::read::Error) -> Error {
    Error::malformed(format!("{part}: {fault}"))
}
