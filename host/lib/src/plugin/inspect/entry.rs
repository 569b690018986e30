//! The entry symbol of a plugin, as far as the file shows it.

use object::{Endian, Endianness};

use super::{Abi, Error, Raw, Result};

/// The symbol of a plugin of the Rust ABI: a static `LibHeader` of abi_stable, not a pointer to it
/// (abi_stable 0.11, `library::ROOT_MODULE_LOADER_NAME`).
pub(super) const RUST_SYMBOL: &str = "_1as_0lib_1header_0root_bmodule_bloader";

/// The function of a plugin of the C ABI.
pub(super) const C_SYMBOL: &str = "keystead_plugin_v1";

/// The start of every `LibHeader` (abi_stable 0.11, `AbiHeader::VALUE`).
const MAGIC: &[u8; 32] = b"abi stable library for Rust     ";

/// The version of abi_stable this host is built with; minors of 0.x do not mix.
const VERSION: (u32, u32) = (0, 11);

/// Returns the size of a `LibHeader`, in bytes. Magic and version have 40 bytes. With pointers of 8
/// bytes: three texts, layout and test functions (72), globals (8), module with its lock (24),
/// constructor (8). The host reads all of it before the layout check can refuse.
const fn header_bytes(pointer_bytes: usize) -> u64 {
    40 + 14 * pointer_bytes as u64
}

/// An exported symbol.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'data> {
    /// The file's bytes from the symbol to the end of its mapping.
    pub(super) data: &'data [u8],
    /// The symbol's own size, in bytes; `None` if the format does not keep it.
    pub(super) size: Option<u64>,
}

/// Checks the symbol that the manifest's ABI requires.
pub(super) fn check(abi: Abi, raw: &Raw<'_>) -> Result<()> {
    match abi {
        Abi::C => raw.c_entry.map(|_| ()).ok_or(Error::NoEntry { symbol: C_SYMBOL }),
        Abi::Rust => {
            let entry = raw.rust_entry.ok_or(Error::NoEntry { symbol: RUST_SYMBOL })?;
            check_header(entry, raw.endian, header_bytes(raw.pointer_bytes))
        }
    }
}

fn check_header(entry: Entry<'_>, endian: Endianness, needs: u64) -> Result<()> {
    let symbol = RUST_SYMBOL;
    let mapped = entry.data.len() as u64;
    let has = entry.size.unwrap_or(mapped).min(mapped);
    let magic = entry.data.get(..32).filter(|_| has >= 40);
    if magic.is_some_and(|magic| magic != MAGIC) {
        return Err(Error::WrongMagic { symbol });
    }
    let (Some(major), Some(minor)) = (number(entry.data, 32), number(entry.data, 36)) else {
        return Err(Error::ShortEntry { symbol, has, needs });
    };
    let (major, minor) = (endian.read_u32(major), endian.read_u32(minor));
    // Before the size: the header of another version has another size.
    if has >= 40 && (major, minor) != VERSION {
        return Err(Error::AbiStable { major, minor });
    }
    if has < needs {
        return Err(Error::ShortEntry { symbol, has, needs });
    }
    Ok(())
}

fn number(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..at + 4)?.try_into().ok()
}
