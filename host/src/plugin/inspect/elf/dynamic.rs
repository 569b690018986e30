//! The dynamic table: what a library needs, which symbols it has, and what the loader would
//! do with it.

use object::read::elf::{FileHeader, GnuHashTable, HashTable};
use object::{Endianness, elf, pod};

use super::super::{Error, MAX_NEEDED, Result, text};
use super::{Image, index};

/// The most versions of symbols that are walked: the whole of glibc has some hundred.
const MAX_VERSIONS: usize = 4_096;

/// Returns whether the table says that this is a program, which can lie anywhere in memory
/// like a library.
pub(super) fn is_program(table: &[(elf::DynamicTag, u64)]) -> bool {
    table.iter().any(|(tag, value)| *tag == elf::DT_FLAGS_1 && value & elf::DF_1_PIE.0 != 0)
}

/// What the dynamic table says.
pub(super) struct Dynamic<'data> {
    pub(super) strings: &'data [u8],
    pub(super) needed: Vec<String>,
    pub(super) glibc: Option<(u32, u32)>,
    pub(super) constructor_bytes: u64,
    pub(super) symbols: Option<&'data [u8]>,
    pub(super) symbol_count: usize,
}

impl<'data> Dynamic<'data> {
    pub(super) fn read<Elf: FileHeader<Endian = Endianness>>(
        image: &Image<'data, Elf>,
        entries: &[(elf::DynamicTag, u64)],
    ) -> Result<Self> {
        let value =
            |wanted| entries.iter().find(|(tag, _)| *tag == wanted).map(|(_, value)| *value);
        let strings = value(elf::DT_STRTAB).and_then(|address| image.at(address));
        let strings = strings.unwrap_or_default();
        let size = value(elf::DT_STRSZ).map_or(Ok(0), index)?;
        let strings = strings
            .get(..size)
            .ok_or_else(|| Error::malformed("the ELF strings are not mapped"))?;
        let string = |offset: u64| {
            usize::try_from(offset)
                .ok()
                .and_then(|offset| strings.get(offset..))
                .and_then(text::name)
                .ok_or_else(|| Error::malformed("a name in the ELF dynamic table"))
        };

        let mut needed: Vec<String> = Vec::new();
        for (tag, value) in entries {
            match *tag {
                elf::DT_RUNPATH | elf::DT_RPATH => {
                    let kind = if *tag == elf::DT_RPATH { "RPATH" } else { "RUNPATH" };
                    let path = text::shown(string(*value)?);
                    return Err(Error::SearchPath { what: format!("{kind} `{path}`") });
                }
                // Filters are loaded like what is needed, under another name.
                elf::DT_NEEDED | elf::DT_AUXILIARY | elf::DT_FILTER => {
                    let name = string(*value)?;
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
        let versions = value(elf::DT_VERNEED).and_then(|address| image.at(address));
        Ok(Self {
            strings,
            needed,
            glibc: newest_glibc(versions.unwrap_or_default(), image.endian, &string)?,
            constructor_bytes: value(elf::DT_INIT_ARRAYSZ).unwrap_or(0),
            symbols: value(elf::DT_SYMTAB).and_then(|address| image.at(address)),
            symbol_count: symbol_count(image, &value),
        })
    }
}

/// Returns how many dynamic symbols there are, which only the hash tables say.
fn symbol_count<Elf: FileHeader<Endian = Endianness>>(
    image: &Image<'_, Elf>,
    value: &impl Fn(elf::DynamicTag) -> Option<u64>,
) -> usize {
    let table = |tag| value(tag).and_then(|address| image.at(address));
    let gnu = table(elf::DT_GNU_HASH)
        .and_then(|data| GnuHashTable::<Elf>::parse(image.endian, data).ok())
        .and_then(|hashes| hashes.symbol_table_length(image.endian));
    let old = table(elf::DT_HASH)
        .and_then(|data| HashTable::<Elf>::parse(image.endian, data).ok())
        .map(|hashes| hashes.symbol_table_length());
    gnu.or(old).map_or(0, |count| count as usize)
}

/// Returns the newest `GLIBC_x.y` that the needed versions name.
fn newest_glibc<'data>(
    table: &'data [u8],
    endian: Endianness,
    string: &impl Fn(u64) -> Result<&'data str>,
) -> Result<Option<(u32, u32)>> {
    let broken = || Error::malformed("the ELF version needs");
    let mut newest = None;
    let mut at = 0_usize;
    let mut steps = 0;
    while !table.is_empty() {
        let need: &elf::Verneed<Endianness> = read_at(table, at).ok_or_else(broken)?;
        let mut aux_at = at.saturating_add(need.vn_aux.get(endian) as usize);
        for _ in 0..need.vn_cnt.get(endian) {
            steps += 1;
            let aux: &elf::Vernaux<Endianness> = read_at(table, aux_at).ok_or_else(broken)?;
            let name = string(aux.vna_name.get(endian).into())?;
            newest = newest.max(glibc_version(name));
            aux_at = aux_at.saturating_add(aux.vna_next.get(endian) as usize);
            if steps > MAX_VERSIONS {
                return Err(broken());
            }
        }
        steps += 1;
        match need.vn_next.get(endian) as usize {
            0 => break,
            _ if steps > MAX_VERSIONS => return Err(broken()),
            next => at = at.saturating_add(next),
        }
    }
    Ok(newest)
}

/// Returns the version of glibc that has the symbols of this version name.
pub(in super::super) fn glibc_version(name: &str) -> Option<(u32, u32)> {
    if name == "GLIBC_ABI_DT_RELR" {
        return Some((2, 36)); // The first glibc that reads packed relocations.
    }
    let (major, rest) = name.strip_prefix("GLIBC_")?.split_once('.')?;
    let minor = rest.split('.').next().unwrap_or(rest);
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn read_at<T: pod::Pod>(bytes: &[u8], at: usize) -> Option<&T> {
    pod::from_bytes(bytes.get(at..)?).ok().map(|(value, _)| value)
}

/// Returns the versions of symbols a library defines: how the running glibc says which one
/// it is. Nothing for a file that cannot be read.
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
        if names.len() > MAX_VERSIONS {
            break;
        }
    }
    names
}
