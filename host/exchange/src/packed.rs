//! Builds valid and inconsistent zips for tests.

/// A file of a zip, with its false properties.
pub(super) struct Packed {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) deflate: bool,
    pub(super) encrypted: bool,
    pub(super) size: Option<u32>,
    pub(super) method: Option<u16>,
    pub(super) checksum: Option<u32>,
}

impl Packed {
    pub(super) fn stored(name: &str, bytes: &[u8]) -> Self {
        Self {
            name: name.into(),
            bytes: bytes.into(),
            deflate: false,
            encrypted: false,
            size: None,
            method: None,
            checksum: None,
        }
    }

    pub(super) fn deflated(name: &str, bytes: &[u8]) -> Self {
        Self { deflate: true, ..Self::stored(name, bytes) }
    }
}

/// Returns the zip of these files.
pub(super) fn zip(files: &[Packed]) -> Vec<u8> {
    let (mut bytes, mut list) = (Vec::new(), Vec::new());
    for file in files {
        let packed = match file.deflate {
            true => miniz_oxide::deflate::compress_to_vec(&file.bytes, 6),
            false => file.bytes.clone(),
        };
        let at = bytes.len() as u32;
        // From the needed version to the length of the extra part: the same in both headers.
        let mut common = Vec::new();
        common.extend(20_u16.to_le_bytes());
        common.extend(u16::from(file.encrypted).to_le_bytes());
        common.extend(file.method.unwrap_or(8 * u16::from(file.deflate)).to_le_bytes());
        common.extend([0; 4]);
        common.extend(file.checksum.unwrap_or_else(|| crc32(&file.bytes)).to_le_bytes());
        common.extend((packed.len() as u32).to_le_bytes());
        common.extend(file.size.unwrap_or(file.bytes.len() as u32).to_le_bytes());
        common.extend((file.name.len() as u16).to_le_bytes());
        common.extend([0; 2]);
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend(file.name.as_bytes());
        bytes.extend(packed);
        list.extend(b"PK\x01\x02\x14\x00");
        list.extend(&common);
        list.extend([0; 10]);
        list.extend(at.to_le_bytes());
        list.extend(file.name.as_bytes());
    }
    let list_at = bytes.len() as u32;
    bytes.extend(&list);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    for _ in 0..2 {
        bytes.extend((files.len() as u16).to_le_bytes());
    }
    bytes.extend((list.len() as u32).to_le_bytes());
    bytes.extend(list_at.to_le_bytes());
    bytes.extend([0; 2]);
    bytes
}

/// Returns the checksum of zip, computed bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, &byte| (0..8).fold(sum ^ u32::from(byte), |sum, _| step(sum)))
}
