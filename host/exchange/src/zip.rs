//! The files in a zip, read one by one into memory that is wiped. Nothing is written to disk, so
//! the paths in it have no effect.
//!
//! Each file is unpacked directly into a buffer of its stated size, which is checked first. A crate
//! for zips unpacks through a window that is never wiped.

use std::io::{self, Read, Seek, SeekFrom};

use keystead_plugin_api::SecretBytes;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use zeroize::Zeroizing;

/// Size in bytes of the record at the end of a zip, without the comment.
const END_BYTES: usize = 22;

/// Maximum size in bytes of the list of files: 65,535 files with names of 470 bytes.
const MAX_LIST_BYTES: u64 = 32 * 1024 * 1024;

/// Maximum ratio of unpacked to packed size in deflate.
const MAX_RATIO: u64 = 1_032;

/// Error of a zip, or of a file in it.
#[derive(Debug)]
pub(super) enum Fault {
    /// It cannot be read.
    Read(io::Error),
    /// It is encrypted.
    Encrypted,
    /// It is broken or of an unsupported type: a lower-case fragment.
    Broken(String),
}

impl From<io::Error> for Fault {
    fn from(fault: io::Error) -> Self {
        match fault.kind() {
            io::ErrorKind::UnexpectedEof => broken("it is cut off"),
            _ => Self::Read(fault),
        }
    }
}

fn broken(why: &str) -> Fault {
    Fault::Broken(why.to_owned())
}

/// A file of a zip, as described in the list at its end.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its name, used only for comparison.
    pub(super) name: String,
    encrypted: bool,
    method: u16,
    checksum: u32,
    packed: u64,
    size: u64,
    at: u64,
}

/// A zip that is open.
#[derive(Debug)]
pub(super) struct Archive<R> {
    file: R,
    entries: Vec<Entry>,
    /// Number of packed bytes that may still be read: overlapping files need more than there are.
    left: u64,
}

impl<R: Read + Seek> Archive<R> {
    /// Reads the list of files.
    pub(super) fn open(mut file: R) -> Result<Self, Fault> {
        let len = file.seek(SeekFrom::End(0))?;
        let tail_len = len.min((END_BYTES + usize::from(u16::MAX)) as u64);
        let tail = read_at(&mut file, len - tail_len, tail_len)?;
        let end = (0..=tail.len().saturating_sub(END_BYTES)).rev().find(|&at| {
            let record = &tail[at..];
            record.starts_with(b"PK\x05\x06")
                && record.len() >= END_BYTES
                && record.len() - END_BYTES == usize::from(u16_at(record, 20))
        });
        let end = &tail[end.ok_or_else(|| broken("it is no zip"))?..];
        let (count, list_len, list_at) = (u16_at(end, 10), u32_at(end, 12), u32_at(end, 16));
        if u16_at(end, 4) != 0 || u16_at(end, 8) != count {
            return Err(broken("it is one part of a zip in several"));
        }
        if count == u16::MAX || list_len == u32::MAX || list_at == u32::MAX {
            return Err(broken("it is a zip of 4 GiB or 65,535 files and more"));
        }
        let (list_len, list_at) = (u64::from(list_len), u64::from(list_at));
        if list_len > MAX_LIST_BYTES || list_at + list_len > len {
            return Err(broken("its list of files cannot be right"));
        }
        let list = read_at(&mut file, list_at, list_len)?;
        let mut entries = Vec::new();
        let mut rest = list.as_slice();
        for _ in 0..count {
            let (entry, after) =
                entry(rest).ok_or_else(|| broken("its list of files is broken"))?;
            entries.push(entry);
            rest = after;
        }
        Ok(Self { file, entries, left: len })
    }

    /// Returns the files, in the order of the list.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the number of the first file of this name.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.name == name)
    }

    /// Unpacks a file of at most this many bytes.
    pub(super) fn read(&mut self, number: usize, most: u64) -> Result<SecretBytes, Fault> {
        let Entry { encrypted, method, checksum, packed, size, at, .. } = self.entries[number];
        if encrypted {
            return Err(Fault::Encrypted);
        }
        if size > most {
            return Err(Fault::Broken(format!("it has {size} bytes; the most is {most}")));
        }
        let header = read_at(&mut self.file, at, 30)?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(broken("it is not where the list says"));
        }
        let names = u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
        // Checked before memory of that size is allocated.
        self.left = self.left.checked_sub(packed).ok_or_else(|| broken("files overlap"))?;
        if size > packed.saturating_mul(MAX_RATIO) {
            return Err(broken("it cannot become as long as it says"));
        }
        let packed = read_at(&mut self.file, at + 30 + names, packed)?;
        let bytes = match method {
            0 if packed.len() as u64 == size => packed,
            8 => inflate(&packed, size as usize).ok_or_else(|| broken("it is damaged"))?,
            0 => return Err(broken("it is damaged")),
            _ => return Err(broken("it is packed in a way that is not read")),
        };
        if crc32(&bytes) != checksum {
            return Err(broken("it is damaged"));
        }
        let mut bytes = bytes;
        Ok(SecretBytes::new(std::mem::take(&mut *bytes)))
    }
}

/// Reads a piece of the file. Its length cannot exceed the file's, even if the zip states more.
fn read_at(file: &mut (impl Read + Seek), at: u64, len: u64) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let end = file.seek(SeekFrom::End(0))?;
    if at.checked_add(len).is_none_or(|last| last > end) {
        return Err(broken("it is cut off"));
    }
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Zeroizing::new(vec![0; len as usize]);
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Returns the first file of a list, and the rest of the list.
fn entry(list: &[u8]) -> Option<(Entry, &[u8])> {
    if list.len() < 46 || !list.starts_with(b"PK\x01\x02") {
        return None;
    }
    let name_end = 46 + usize::from(u16_at(list, 28));
    let end = name_end + usize::from(u16_at(list, 30)) + usize::from(u16_at(list, 32));
    let name = String::from_utf8_lossy(list.get(46..name_end)?).into_owned();
    let entry = Entry {
        name,
        encrypted: u16_at(list, 8) & 1 != 0,
        method: u16_at(list, 10),
        checksum: u32_at(list, 16),
        packed: u32_at(list, 20).into(),
        size: u32_at(list, 24).into(),
        at: u32_at(list, 42).into(),
    };
    Some((entry, list.get(end..)?))
}

/// Unpacks deflate into a buffer of exactly this size.
fn inflate(packed: &[u8], size: usize) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; size]);
    let mut state = Box::<DecompressorOxide>::default();
    let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let (status, _, written) = decompress(&mut state, packed, &mut bytes, 0, flags);
    (status == TINFLStatus::Done && written == size).then_some(bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Contribution of each byte value to the checksum.
const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};

/// Returns the checksum of zip, which detects accidents, not attacks.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(!0_u32, |sum, &byte| (sum >> 8) ^ CRC_TABLE[usize::from((sum & 0xff) as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::packed::{Packed, zip};
    use super::*;

    fn why(bytes: &[u8]) -> String {
        match Archive::open(Cursor::new(bytes)).and_then(|mut archive| archive.read(0, 1_000)) {
            Ok(_) => "fine".into(),
            Err(Fault::Broken(why)) => why,
            Err(other) => format!("{other:?}"),
        }
    }

    #[test]
    fn crc32_matches_standard_check_value() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn stored_and_deflated_zip_entries_are_read() {
        let text = b"canary ".repeat(100);
        let bytes = zip(&[Packed::deflated("a", &text), Packed::stored("b/../c", b"\x00\x01")]);
        let mut archive = Archive::open(Cursor::new(&bytes)).unwrap();
        assert_eq!(archive.read(0, 700).unwrap().expose(), text);
        assert_eq!(archive.read(1, 2).unwrap().expose(), b"\x00\x01");
        assert_eq!(archive.find("b/../c"), Some(1));
        let bytes = zip(&[]);
        assert!(Archive::open(Cursor::new(bytes)).unwrap().entries().is_empty());
    }

    #[test]
    fn zip_bomb_is_rejected_before_inflation() {
        let zeros = vec![0; 1_000_000];
        assert_eq!(
            why(&zip(&[Packed::deflated("a", &zeros)])),
            "it has 1000000 bytes; the most is 1000"
        );
        // Its stated size is too short.
        let lying = Packed { size: Some(900), ..Packed::deflated("a", &zeros) };
        assert_eq!(why(&zip(&[lying])), "it is damaged");
        let lying = Packed { size: Some(999), ..Packed::deflated("a", b"") };
        assert_eq!(why(&zip(&[lying])), "it is damaged");
        let mut archive = Archive::open(Cursor::new(zip(&[Packed {
            size: Some(4_000_000_000),
            ..Packed::deflated("a", b"x")
        }])))
        .unwrap();
        let Err(Fault::Broken(why)) = archive.read(0, u64::MAX) else { panic!() };
        assert_eq!(why, "it cannot become as long as it says");
    }

    #[test]
    fn overlapping_zip_entries_are_rejected() {
        let bytes = zip(&[Packed::stored("a", &[7; 500])]);
        let mut archive = Archive::open(Cursor::new(bytes)).unwrap();
        assert!(archive.read(0, 500).is_ok());
        let Err(Fault::Broken(why)) = archive.read(0, 500) else { panic!() };
        assert_eq!(why, "files overlap");
    }

    #[test]
    fn damaged_encrypted_or_unknown_zip_is_rejected() {
        let good = zip(&[Packed::deflated("a", b"hello hello")]);
        assert_eq!(why(&good), "fine");
        assert_eq!(why(b""), "it is no zip");
        assert_eq!(why(&good[..good.len() - 1]), "it is no zip");
        assert_eq!(why(&good[1..]), "its list of files is broken");
        let encrypted = Packed { encrypted: true, ..Packed::stored("a", b"x") };
        assert_eq!(why(&zip(&[encrypted])), "Encrypted");
        let unknown = Packed { method: Some(99), ..Packed::stored("a", b"x") };
        assert_eq!(why(&zip(&[unknown])), "it is packed in a way that is not read");
        let damaged = Packed { checksum: Some(1), ..Packed::stored("a", b"x") };
        assert_eq!(why(&zip(&[damaged])), "it is damaged");
    }

    #[test]
    fn changed_or_truncated_zip_never_panics() {
        let good = zip(&[Packed::deflated("a", b"hello hello"), Packed::stored("b", b"x")]);
        for at in 0..good.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut bytes = good.clone();
                bytes[at] = byte;
                let _ = why(&bytes);
            }
            let _ = why(&good[..at]);
        }
    }
}
