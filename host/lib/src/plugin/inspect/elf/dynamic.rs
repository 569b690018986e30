//! The dynamic table: the libraries that a file needs, its symbols, and the loader's treatment of
//! the file.

use object::elf;
use object::read::elf::FileHeader;
use object::{Endianness, pod};

use super::super::here::ELF_BASE;
use super::super::{Error, MAX_NEEDED, Result, text};
use super::image::{Image, Taken};
use super::index;
use super::symbols::Symbols;
use super::tags::Table;
use super::versions;

/// Contents of the dynamic table.
pub(super) struct Dynamic<'data> {
    pub(super) needed: Vec<String>,
    pub(super) glibc: Option<(u32, u32)>,
    pub(super) constructor_bytes: u64,
    pub(super) symbols: Symbols<'data>,
}

/// The names in a file, found by their offsets.
#[derive(Clone, Copy)]
pub(super) struct Strings<'data>(&'data [u8]);

impl<'data> Strings<'data> {
    /// Returns the bytes from an offset in the table to its end.
    pub(super) fn rest(self, offset: u64) -> Result<&'data [u8]> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..));
        // The loader knows no end of the table: it accepts a name that begins behind it.
        rest.filter(|rest| !rest.is_empty())
            .ok_or_else(|| Error::not_as_loaded("an ELF name begins behind the names' end"))
    }

    pub(super) fn name(self, offset: u64) -> Result<&'data str> {
        let broken = || Error::malformed("a name in the ELF dynamic table");
        text::name(self.rest(offset)?).ok_or_else(broken)
    }
}

impl<'data> Dynamic<'data> {
    pub(super) fn read<Elf: FileHeader<Endian = Endianness>>(
        image: &Image<'data, Elf>,
        table: &Table,
        taken: &mut Taken,
    ) -> Result<Self> {
        table.check(image)?;
        let Some((address, size)) = table.part(elf::DT_STRTAB, elf::DT_STRSZ) else {
            return Err(Error::malformed("the ELF file has no dynamic symbols"));
        };
        let names = image.table(address, size, "strings")?;
        if !names.ends_with(&[0]) {
            return Err(Error::not_as_loaded("the last ELF name has no end"));
        }
        taken.add(address, size, "names");
        let strings = Strings(names);
        let needed = needed(table, strings)?;
        own_name(table, strings, &needed)?;
        let symbols = Symbols::read(image, table, strings, taken)?;
        let glibc = versions::check(image, table, strings, &needed, &symbols, taken)?;
        Ok(Self {
            needed,
            glibc,
            constructor_bytes: table.value(elf::DT_INIT_ARRAYSZ).unwrap_or(0),
            symbols,
        })
    }
}

/// Returns all libraries that are loaded with the file.
fn needed(table: &Table, strings: Strings<'_>) -> Result<Vec<String>> {
    let mut needed: Vec<String> = Vec::new();
    for (tag, value) in table.entries() {
        match *tag {
            elf::DT_RUNPATH | elf::DT_RPATH => {
                let kind = if *tag == elf::DT_RPATH { "RPATH" } else { "RUNPATH" };
                let path = text::shown(strings.name(*value)?);
                return Err(Error::SearchPath { what: format!("{kind} `{path}`") });
            }
            elf::DT_NEEDED => {
                let name = strings.name(*value)?;
                if name.contains(['/', '$']) {
                    let what = format!("it needs `{}`", text::shown(name));
                    return Err(Error::SearchPath { what });
                }
                needed.push(name.to_owned());
                if needed.len() > MAX_NEEDED {
                    return Err(Error::malformed("it needs too many libraries"));
                }
            }
            elf::DT_TEXTREL => return Err(Error::TextRelocations),
            elf::DT_FLAGS if value & elf::DF_TEXTREL.0 != 0 => {
                return Err(Error::TextRelocations);
            }
            _ => {}
        }
    }
    Ok(needed)
}

/// Refuses a library that replaces another: the loader skips a library if a library of the same
/// name is already loaded.
fn own_name(table: &Table, strings: Strings<'_>, needed: &[String]) -> Result<()> {
    let Some(offset) = table.value(elf::DT_SONAME) else { return Ok(()) };
    let name = strings.name(offset)?;
    if ELF_BASE.contains(&name) || needed.iter().any(|needed| needed == name) {
        return Err(Error::loader_request(format!("the name `{}`", text::shown(name))));
    }
    Ok(())
}

/// Returns the symbol versions that a library defines, which identify the running glibc. Returns an
/// empty list for a file that cannot be read.
pub(in super::super) fn defined_versions(bytes: &[u8]) -> Vec<String> {
    let Ok(header) = elf::FileHeader64::<Endianness>::parse(bytes) else { return Vec::new() };
    let Ok(endian) = header.endian() else { return Vec::new() };
    let Ok(sections) = header.sections(endian, bytes) else { return Vec::new() };
    let Ok(Some((mut definitions, link))) = sections.gnu_verdef(endian, bytes) else {
        return Vec::new();
    };
    let Ok(strings) = sections.strings(endian, bytes, link) else { return Vec::new() };
    let mut names = Vec::new();
    while let Ok(Some((_, mut names_of))) = definitions.next() {
        let Ok(Some(name)) = names_of.next() else { continue };
        let Ok(name) = name.name(endian, strings) else { continue };
        names.push(String::from_utf8_lossy(name).into_owned());
        if names.len() > versions::MAX_VERSIONS {
            break;
        }
    }
    names
}

/// Returns the bytes as numbers or records, as many as there are.
pub(super) fn records<'data, T: pod::Pod>(bytes: &'data [u8], what: &str) -> Result<&'data [T]> {
    let broken = || Error::malformed(format!("the ELF {what}"));
    if !bytes.len().is_multiple_of(size_of::<T>()) {
        return Err(Error::malformed(format!("the ELF {what} end within an entry")));
    }
    let count = index((bytes.len() / size_of::<T>()) as u64)?;
    pod::slice_from_bytes::<T>(bytes, count).map(|(all, _)| all).map_err(|()| broken())
}
