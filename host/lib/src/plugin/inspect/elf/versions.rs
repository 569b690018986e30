//! The versions of symbols: those that a library needs, those that it defines, and the version of
//! each symbol. Walked like glibc does, from link to link. The counts, which other readers use,
//! must agree.

use std::collections::BTreeSet;

use object::elf;
use object::read::elf::FileHeader;
use object::{Endian, Endianness, pod};

use super::dynamic::Strings;
use super::image::{Image, Taken};
use super::symbols::Symbols;
use super::tags::Table;
use super::{Error, Result};

/// Maximum number of symbol versions that are walked: all of glibc has some hundred.
pub(super) const MAX_VERSIONS: usize = 4_096;

/// Bits of a symbol's version that hold its number; the bit above them hides the symbol.
pub(super) const INDEX: u16 = 0x7fff;

fn broken() -> Error {
    Error::malformed("the ELF version needs")
}

/// A walk along links that are relative to their own position.
struct Walk<'data> {
    bytes: &'data [u8],
    steps: usize,
    end: usize,
}

impl<'data> Walk<'data> {
    fn read<T: pod::Pod>(&mut self, at: usize) -> Result<&'data T> {
        self.steps += 1;
        if self.steps > MAX_VERSIONS {
            return Err(broken());
        }
        let rest = self.bytes.get(at..).ok_or_else(broken)?;
        let (value, _) = pod::from_bytes(rest).map_err(|()| broken())?;
        self.end = self.end.max(at.saturating_add(size_of::<T>()));
        Ok(value)
    }
}

/// Checks all three tables; returns the newest `GLIBC_x.y` that the library needs.
pub(super) fn check<Elf: FileHeader<Endian = Endianness>>(
    image: &Image<'_, Elf>,
    table: &Table,
    strings: Strings<'_>,
    needed: &[String],
    symbols: &Symbols<'_>,
    taken: &mut Taken,
) -> Result<Option<(u32, u32)>> {
    let mut known = BTreeSet::new();
    let newest = needs(image, table, strings, needed, &mut known, taken)?;
    definitions(image, table, strings, &mut known, taken)?;
    let Some(versions) = symbols.versions else {
        // glibc follows the missing address.
        return if known.is_empty() { Ok(newest) } else { Err(broken()) };
    };
    for version in versions.chunks_exact(2) {
        let index = image.endian.read_u16([version[0], version[1]]) & INDEX;
        if index > elf::VER_NDX_GLOBAL.0 && !known.contains(&index) {
            return Err(Error::malformed("an ELF symbol has a version that is not there"));
        }
    }
    // glibc then has no list of versions, and reads from it all the same.
    if known.is_empty() && symbols.count > 0 {
        return Err(Error::malformed("the ELF symbols have versions and there are none"));
    }
    Ok(newest)
}

fn needs<Elf: FileHeader<Endian = Endianness>>(
    image: &Image<'_, Elf>,
    table: &Table,
    strings: Strings<'_>,
    needed: &[String],
    known: &mut BTreeSet<u16>,
    taken: &mut Taken,
) -> Result<Option<(u32, u32)>> {
    let endian = image.endian;
    let Some(address) = table.value(elf::DT_VERNEED) else { return Ok(None) };
    let mut walk = Walk { bytes: image.at(address).ok_or_else(broken)?, steps: 0, end: 0 };
    let mut newest = None;
    let (mut at, mut libraries) = (0_usize, 0);
    loop {
        let need: &elf::Verneed<Endianness> = walk.read(at)?;
        libraries += 1;
        // glibc stops the process if the library is missing.
        let library = strings.name(need.vn_file.get(endian).into())?;
        if need.vn_version.get(endian) != elf::VER_NEED_CURRENT
            || !needed.iter().any(|name| name == library)
        {
            return Err(broken());
        }
        let mut aux_at = at.saturating_add(need.vn_aux.get(endian) as usize);
        let mut versions = 0_u16;
        loop {
            let aux: &elf::Vernaux<Endianness> = walk.read(aux_at)?;
            versions = versions.saturating_add(1);
            let name = strings.name(aux.vna_name.get(endian).into())?;
            newest = newest.max(glibc_version(name));
            add(known, aux.vna_other.get(endian).0)?;
            match aux.vna_next.get(endian) as usize {
                0 => break,
                next => aux_at = aux_at.saturating_add(next),
            }
        }
        counted(versions.into(), need.vn_cnt.get(endian).into())?;
        match need.vn_next.get(endian) as usize {
            0 => break,
            next => at = at.saturating_add(next),
        }
    }
    counted(libraries, table.count(elf::DT_VERNEEDNUM)?)?;
    taken.add(address, walk.end as u64, "versions that are needed");
    Ok(newest)
}

fn definitions<Elf: FileHeader<Endian = Endianness>>(
    image: &Image<'_, Elf>,
    table: &Table,
    strings: Strings<'_>,
    known: &mut BTreeSet<u16>,
    taken: &mut Taken,
) -> Result<()> {
    let endian = image.endian;
    let Some(address) = table.value(elf::DT_VERDEF) else { return Ok(()) };
    let mut walk = Walk { bytes: image.at(address).ok_or_else(broken)?, steps: 0, end: 0 };
    let (mut at, mut count) = (0_usize, 0);
    loop {
        let definition: &elf::Verdef<Endianness> = walk.read(at)?;
        count += 1;
        let aux_at = at.saturating_add(definition.vd_aux.get(endian) as usize);
        let aux: &elf::Verdaux<Endianness> = walk.read(aux_at)?;
        let name = strings.name(aux.vda_name.get(endian).into())?;
        if definition.vd_version.get(endian) != elf::VER_DEF_CURRENT
            || definition.vd_hash.get(endian) != elf::hash(name.as_bytes())
        {
            return Err(broken());
        }
        add(known, definition.vd_ndx.get(endian).0)?;
        match definition.vd_next.get(endian) as usize {
            0 => break,
            next => at = at.saturating_add(next),
        }
    }
    counted(count, table.count(elf::DT_VERDEFNUM)?)?;
    taken.add(address, walk.end as u64, "versions that are defined");
    Ok(())
}

/// Adds the number of a version. If two versions have the same number, glibc takes the last.
fn add(known: &mut BTreeSet<u16>, number: u16) -> Result<()> {
    if known.insert(number & INDEX) {
        return Ok(());
    }
    Err(Error::not_as_loaded("two ELF versions have one number"))
}

fn counted(found: usize, said: usize) -> Result<()> {
    if found == said {
        return Ok(());
    }
    Err(Error::not_as_loaded("there are more or fewer ELF versions than their count says"))
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
