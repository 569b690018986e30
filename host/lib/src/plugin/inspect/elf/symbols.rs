//! The dynamic symbols, found like glibc does: through a hash table. An entry symbol is inspected
//! only if every way to look it up leads to the same address.

use object::read::elf::{FileHeader, Sym};
use object::{Endian, Endianness, elf};

use super::dynamic::{Strings, records};
use super::image::{Image, Taken};
use super::tags::Table;
use super::versions::INDEX;
use super::{Error, Result, text};

/// The dynamic symbols.
pub(super) struct Symbols<'data> {
    table: &'data [u8],
    strings: Strings<'data>,
    /// Number of symbols that the hash tables prove: if none can be found, only the first few.
    pub(super) count: usize,
    /// Whether `count` covers all symbols.
    pub(super) counted: bool,
    /// Version of each symbol, two bytes each.
    pub(super) versions: Option<&'data [u8]>,
    /// Tables through which glibc may look up a symbol. It uses GNU's if there is one.
    hashes: Vec<Hash<'data>>,
    /// Number of symbols that are functions which return the function to use instead.
    pub(super) indirect: usize,
}

/// A symbol of the file that glibc finds.
pub(super) struct Found {
    pub(super) address: u64,
    pub(super) size: u64,
}

impl<'data> Symbols<'data> {
    pub(super) fn read<Elf: FileHeader<Endian = Endianness>>(
        image: &Image<'data, Elf>,
        table: &Table,
        strings: Strings<'data>,
        taken: &mut Taken,
    ) -> Result<Self> {
        let endian = image.endian;
        let mut hashes = Vec::new();
        let mut counts = Vec::new();
        for (tag, is_gnu) in [(elf::DT_GNU_HASH, true), (elf::DT_HASH, false)] {
            let Some(address) = table.value(tag) else { continue };
            let bytes = image.table(address, 1, "hash table").and(Ok(image.at(address)))?;
            let numbers = |width| Numbers { bytes: bytes.unwrap_or_default(), width, endian };
            let (hash, count, len) = if is_gnu {
                gnu(numbers(4), image.word())?
            } else {
                system_v(numbers(image.traits.hash_word))?
            };
            taken.add(address, len as u64, "hash table");
            hashes.push(hash);
            counts.push(count);
        }
        // GNU's table has no symbols after those that can be found.
        let count = match counts[..] {
            [] => return Err(Error::malformed("the ELF file has no hash table")),
            [only] => only,
            [gnu, all, ..] if gnu <= all => all,
            _ => return Err(Error::not_as_loaded("the ELF hash tables are not of one length")),
        };
        let address = table.value(elf::DT_SYMTAB).unwrap_or_default();
        let len = (count as u64).saturating_mul(size_of::<Elf::Sym>() as u64);
        let bytes = image.table(address, len, "symbols")?;
        taken.add(address, len, "symbols");
        let versions = match table.value(elf::DT_VERSYM) {
            None => None,
            Some(address) => {
                let len = (count as u64).saturating_mul(2);
                taken.add(address, len, "versions of symbols");
                Some(image.table(address, len, "versions of symbols")?)
            }
        };
        let mut indirect = 0;
        for symbol in records::<Elf::Sym>(bytes, "symbols")? {
            strings.rest(symbol.st_name(endian).into())?;
            if symbol.st_type() == elf::STT_GNU_IFUNC && symbol.st_shndx(endian) != elf::SHN_UNDEF {
                if !image.is(elf::PF_X, symbol.st_value(endian).into(), 1) {
                    return Err(Error::malformed("an indirect ELF function is not code"));
                }
                indirect += 1;
            }
        }
        let counted = hashes.iter().any(Hash::counts);
        Ok(Self { table: bytes, strings, count, counted, versions, hashes, indirect })
    }

    /// Returns the symbol with this name, if glibc finds it and it has one of these types. Every
    /// hash table must lead to it.
    pub(super) fn find<Elf: FileHeader<Endian = Endianness>>(
        &self,
        image: &Image<'data, Elf>,
        name: &str,
        types: &[elf::SymbolType],
    ) -> Result<Option<Found>> {
        let endian = image.endian;
        let symbols = records::<Elf::Sym>(self.table, "symbols")?;
        let is_named = |symbol: &Elf::Sym| {
            let offset = symbol.st_name(endian).into();
            self.strings.rest(offset).is_ok_and(|rest| text::is_name(rest, name))
        };
        let mut all = symbols.iter().enumerate().filter(|(_, symbol)| is_named(symbol));
        let Some((at, symbol)) = all.next() else { return Ok(None) };
        if all.next().is_some() {
            return Err(Error::malformed("the entry symbol is there twice"));
        }
        let section = symbol.st_shndx(endian);
        let visibility = symbol.st_visibility();
        let version = self.versions.and_then(|all| all.get(at * 2..at * 2 + 2));
        let version = version.map_or(0, |bytes| endian.read_u16([bytes[0], bytes[1]]));
        let address: u64 = symbol.st_value(endian).into();
        let usable = types.contains(&symbol.st_type())
            && section != elf::SHN_UNDEF
            // Not an absolute address, the same wherever the file is mapped.
            && section.0 < elf::SHN_LORESERVE
            // Not a unique symbol: another plugin may have defined it already for all.
            && [elf::STB_GLOBAL, elf::STB_WEAK].contains(&symbol.st_bind())
            && [elf::STV_DEFAULT, elf::STV_PROTECTED].contains(&visibility)
            && version & !INDEX == 0
            && address != 0;
        if !usable {
            return Ok(None);
        }
        for hash in &self.hashes {
            let is_it = |index: usize| symbols.get(index).is_some_and(is_named);
            if hash.find(name.as_bytes(), is_it) != Some(at) {
                return Err(Error::not_as_loaded(format!(
                    "an ELF hash table does not lead to `{name}`"
                )));
            }
        }
        Ok(Some(Found { address, size: symbol.st_size(endian).into() }))
    }
}

/// Numbers in a row in memory.
#[derive(Clone, Copy)]
struct Numbers<'data> {
    bytes: &'data [u8],
    /// Bytes of a number: 4 or 8.
    width: usize,
    endian: Endianness,
}

impl Numbers<'_> {
    fn get(self, at: usize) -> Option<u64> {
        let start = at.checked_mul(self.width)?;
        let bytes = self.bytes.get(start..start.checked_add(self.width)?)?;
        Some(match *bytes {
            [a, b, c, d] => self.endian.read_u32([a, b, c, d]).into(),
            _ => self.endian.read_u64(bytes.try_into().ok()?),
        })
    }

    fn index(self, at: usize) -> Option<usize> {
        usize::try_from(self.get(at)?).ok()
    }

    fn from(self, at: usize) -> Option<Self> {
        Some(Self { bytes: self.bytes.get(at.checked_mul(self.width)?..)?, ..self })
    }

    fn until(self, count: usize) -> Option<Self> {
        Some(Self { bytes: self.bytes.get(..count.checked_mul(self.width)?)?, ..self })
    }
}

/// A hash table in which every link leads to a symbol.
enum Hash<'data> {
    Gnu {
        bloom: Numbers<'data>,
        bloom_count: u64,
        shift: u64,
        buckets: Numbers<'data>,
        bucket_count: u64,
        /// Number of the first symbol that can be found.
        first: usize,
        chain: Numbers<'data>,
    },
    SystemV {
        buckets: Numbers<'data>,
        bucket_count: u64,
        chain: Numbers<'data>,
    },
}

fn broken() -> Error {
    Error::malformed("the ELF hash table")
}

/// Reads a GNU table; also returns the number of symbols and the bytes of the table.
fn gnu(all: Numbers<'_>, word: u64) -> Result<(Hash<'_>, usize, usize)> {
    let head = |at| all.index(at).ok_or_else(broken);
    let (bucket_count, first, bloom_count, shift) = (head(0)?, head(1)?, head(2)?, head(3)?);
    // glibc stops the process for some of these, and reads from any address for others.
    if bucket_count == 0 || !bloom_count.is_power_of_two() || shift >= 32 {
        return Err(broken());
    }
    let word = word as usize;
    let parts = || {
        let bloom = Numbers { width: word, ..all.from(4)? }.until(bloom_count)?;
        let buckets_at = 4 + bloom.bytes.len() / 4;
        let buckets = all.from(buckets_at)?.until(bucket_count)?;
        Some((bloom, buckets_at, buckets, all.from(buckets_at.checked_add(bucket_count)?)?))
    };
    let (bloom, buckets_at, buckets, chain) = parts().ok_or_else(broken)?;
    let mut last = None;
    for at in 0..bucket_count {
        let bucket = buckets.index(at).ok_or_else(broken)?;
        if bucket != 0 && bucket < first {
            return Err(broken());
        }
        last = last.max(Some(bucket));
    }
    // Every chain goes upwards, so the chain that begins last also ends last.
    let count = match last {
        None | Some(0) => first,
        Some(mut at) => {
            while chain.get(at - first).ok_or_else(broken)? & 1 == 0 {
                at += 1;
            }
            at + 1
        }
    };
    let len = (buckets_at + bucket_count + (count - first)) * 4;
    let hash = Hash::Gnu {
        bloom,
        bloom_count: bloom_count as u64,
        shift: shift as u64,
        buckets,
        bucket_count: bucket_count as u64,
        first,
        chain,
    };
    Ok((hash, count, len))
}

/// Reads a System V table; also returns the number of symbols and the bytes of the table.
fn system_v(all: Numbers<'_>) -> Result<(Hash<'_>, usize, usize)> {
    let parts = || {
        let (bucket_count, count) = (all.index(0)?, all.index(1)?);
        let buckets = all.from(2)?.until(bucket_count)?;
        let chain = all.from(2_usize.checked_add(bucket_count)?)?.until(count)?;
        Some((bucket_count, count, buckets, chain))
    };
    let (bucket_count, count, buckets, chain) = parts().ok_or_else(broken)?;
    if bucket_count == 0 {
        return Err(broken());
    }
    // glibc follows a chain until it ends. A symbol is in one chain, once.
    let mut seen = vec![false; count];
    for bucket in 0..bucket_count {
        let mut at = buckets.index(bucket).ok_or_else(broken)?;
        while at != 0 {
            match seen.get_mut(at) {
                Some(seen) if !*seen => *seen = true,
                _ => return Err(broken()),
            }
            at = chain.index(at).ok_or_else(broken)?;
        }
    }
    let len = (2 + bucket_count + count) * all.width;
    Ok((Hash::SystemV { buckets, bucket_count: bucket_count as u64, chain }, count, len))
}

impl Hash<'_> {
    /// Returns whether the table states the number of symbols: GNU's does so only if a symbol can
    /// be found.
    fn counts(&self) -> bool {
        match *self {
            Self::Gnu { buckets, .. } => buckets.bytes.iter().any(|byte| *byte != 0),
            Self::SystemV { .. } => true,
        }
    }

    /// Returns the first symbol under this name's hash that `is_it` accepts.
    fn find(&self, name: &[u8], is_it: impl Fn(usize) -> bool) -> Option<usize> {
        match *self {
            Self::Gnu { bloom, bloom_count, shift, buckets, bucket_count, first, chain } => {
                let hash = u64::from(elf::gnu_hash(name));
                let bits = bloom.width as u64 * 8;
                let filter = bloom.get(((hash / bits) & (bloom_count - 1)) as usize)?;
                if (filter >> (hash % bits)) & (filter >> ((hash >> shift) % bits)) & 1 == 0 {
                    return None;
                }
                let mut at = buckets.index((hash % bucket_count) as usize)?;
                while at >= first && at != 0 {
                    let link = chain.get(at - first)?;
                    if (link ^ hash) >> 1 == 0 && is_it(at) {
                        return Some(at);
                    }
                    if link & 1 != 0 {
                        return None;
                    }
                    at += 1;
                }
                None
            }
            Self::SystemV { buckets, bucket_count, chain } => {
                let hash = u64::from(elf::hash(name));
                let mut at = buckets.index((hash % bucket_count) as usize)?;
                while at != 0 {
                    if is_it(at) {
                        return Some(at);
                    }
                    at = chain.index(at)?;
                }
                None
            }
        }
    }
}
