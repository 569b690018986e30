//! PE, the form of Windows libraries.

use object::read::pe::{ImageNtHeaders, ImageOptionalHeader, PeFile, PeFile32, PeFile64};
use object::{Endianness, LittleEndian as LE, pe};

use keystead_plugin_api::manifest::section::PE_SECTION;

use super::entry::{C_SYMBOL, Entry, RUST_SYMBOL};
use super::{Error, Format, InspectionNote, MAX_NEEDED, Machine, Raw, Result, text, within};

/// The most sections: the Windows loader's own limit.
const MAX_SECTIONS: usize = 96;

/// Maximum number of exported names that are searched: the loader's limit for ordinals.
const MAX_EXPORTS: usize = 65_536;

/// Reads a PE file of either word size.
pub(super) fn read(bytes: &[u8]) -> Result<Raw<'_>> {
    whole(bytes)?;
    match object::read::pe::optional_header_magic(bytes) {
        Ok(pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC) => {
            read_as(PeFile64::parse(bytes).map_err(|fault| bad("PE headers", fault))?, bytes)
        }
        Ok(pe::IMAGE_NT_OPTIONAL_HDR32_MAGIC) => {
            read_as(PeFile32::parse(bytes).map_err(|fault| bad("PE headers", fault))?, bytes)
        }
        _ => Err(Error::NotLibrary { found: "a DOS program" }),
    }
}

/// Refuses a file that ends within its headers: a parser cannot report why it fails then.
fn whole(bytes: &[u8]) -> Result<()> {
    within(bytes, 64)?;
    let short = |at: usize| u64::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let start = u32::from_le_bytes([bytes[60], bytes[61], bytes[62], bytes[63]]);
    if start as usize >= bytes.len() && bytes.len() > 0x200 {
        return Err(Error::NotLibrary { found: "a DOS program" });
    }
    within(bytes, u64::from(start) + 24)?;
    let start = start as usize;
    let (sections, optional) = (short(start + 6), short(start + 20));
    within(bytes, start as u64 + 24 + optional + sections * 40)
}

fn read_as<'data, Pe: ImageNtHeaders>(
    file: PeFile<'data, Pe>,
    bytes: &'data [u8],
) -> Result<Raw<'data>> {
    let headers = file.nt_headers();
    let flags = headers.file_header().characteristics.get(LE);
    if !flags.contains(pe::IMAGE_FILE_DLL) {
        return Err(Error::NotLibrary { found: "a program" });
    }
    let sections = file.section_table();
    if sections.len() > MAX_SECTIONS {
        return Err(Error::malformed("there are too many PE sections"));
    }
    let mut block = None;
    let mut findings = Vec::new();
    for section in sections.iter() {
        let len = section.size_of_raw_data.get(LE);
        if len != 0 {
            within(bytes, u64::from(section.pointer_to_raw_data.get(LE)) + u64::from(len))?;
        }
        let flags = section.characteristics.get(LE);
        if flags.contains(pe::IMAGE_SCN_MEM_EXECUTE)
            && flags.contains(pe::IMAGE_SCN_MEM_WRITE)
            && !findings.contains(&InspectionNote::WritableCode)
        {
            findings.push(InspectionNote::WritableCode);
        }
        if section.raw_name() == PE_SECTION.as_bytes() {
            let data = section.pe_data(bytes).map_err(|fault| bad("PE section", fault))?;
            if block.replace(data).is_some() {
                return Err(Error::bad_manifest("the file carries two manifests"));
            }
        }
    }
    let block = block.ok_or(Error::NoManifest)?;
    if !headers
        .optional_header()
        .dll_characteristics()
        .contains(pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT)
    {
        return Err(Error::ExecutableStack);
    }
    let (rust_entry, c_entry) = entries(&file, bytes)?;
    Ok(Raw {
        format: Format::Pe,
        machine: machine(headers.file_header().machine.get(LE), headers.is_type_64()),
        endian: Endianness::Little,
        pointer_bytes: if headers.is_type_64() { 8 } else { 4 },
        block,
        rust_entry,
        c_entry,
        needed: needed(&file)?,
        glibc: None,
        constructors: 0,
        findings,
    })
}

fn machine(machine: pe::Machine, wide: bool) -> Machine {
    match (machine, wide) {
        (pe::IMAGE_FILE_MACHINE_AMD64, true) => Machine::X86_64,
        (pe::IMAGE_FILE_MACHINE_ARM64, true) => Machine::Aarch64,
        (pe::IMAGE_FILE_MACHINE_I386, false) => Machine::X86,
        (pe::IMAGE_FILE_MACHINE_ARMNT, false) => Machine::Arm,
        _ => Machine::Other(u32::from(machine.0)),
    }
}

fn entries<'data, Pe: ImageNtHeaders>(
    file: &PeFile<'data, Pe>,
    bytes: &'data [u8],
) -> Result<(Option<Entry<'data>>, Option<Entry<'data>>)> {
    let mut found = (None, None);
    let table = file.export_table().map_err(|fault| bad("PE exports", fault))?;
    let Some(table) = table else { return Ok(found) };
    if table.name_pointers().len() > MAX_EXPORTS {
        return Err(Error::malformed("there are too many PE exports"));
    }
    let sections = file.section_table();
    for (pointer, index) in table.name_iter() {
        let name = sections.pe_data_at(bytes, pointer).unwrap_or_default();
        let slot = if text::is_name(name, RUST_SYMBOL) {
            &mut found.0
        } else if text::is_name(name, C_SYMBOL) {
            &mut found.1
        } else {
            continue;
        };
        let address = table.address_by_index(index).map_err(|fault| bad("PE exports", fault))?;
        if table.is_forward(address) {
            continue; // Another library's symbol.
        }
        let data = sections.pe_data_at(bytes, address).unwrap_or_default();
        if slot.replace(Entry { data, size: None }).is_some() {
            return Err(Error::malformed("the entry symbol is there twice"));
        }
    }
    Ok(found)
}

/// Returns the libraries that are imported, at once or when first used.
fn needed<Pe: ImageNtHeaders>(file: &PeFile<'_, Pe>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut add = |name: Option<&str>| {
        let name = name.ok_or_else(|| Error::malformed("a name in the PE imports"))?;
        if name.contains(['/', '\\', ':']) {
            let what = format!("it needs `{}`", text::shown(name));
            return Err(Error::SearchPath { what });
        }
        if names.len() >= MAX_NEEDED {
            return Err(Error::malformed("it needs too many libraries"));
        }
        names.push(name.to_owned());
        Ok(())
    };
    let sections = file.section_table();
    let bytes = file.data();
    let name_at = |address: u32| sections.pe_data_at(bytes, address).and_then(text::name);
    if let Some(table) = file.import_table().map_err(|fault| bad("PE imports", fault))? {
        let mut imports = table.descriptors().map_err(|fault| bad("PE imports", fault))?;
        while let Some(import) = imports.next().map_err(|fault| bad("PE imports", fault))? {
            add(name_at(import.name.get(LE)))?;
        }
    }
    if let Some(table) = file.delay_load_import_table().map_err(|fault| bad("PE imports", fault))? {
        let mut imports = table.descriptors().map_err(|fault| bad("PE imports", fault))?;
        while let Some(import) = imports.next().map_err(|fault| bad("PE imports", fault))? {
            add(name_at(import.dll_name_rva.get(LE)))?;
        }
    }
    Ok(names)
}

fn bad(part: &str, fault: object::read::Error) -> Error {
    Error::malformed(format!("{part}: {fault}"))
}
