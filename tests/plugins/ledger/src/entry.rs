//! One entry as bytes: a mark, the length of the rest, its checksum, and texts with their lengths.
//! The texts are name, kind, value, and metadata by key. Numbers are little-endian. The checksum
//! detects accidents, not attacks.

use keystead_plugin_api::{Error, Metadata, MetadataValue, Result, SecretBytes, SecretName, Value};

const MARK: &[u8; 4] = b"LGR1";

/// Mark, length, checksum.
const HEAD_BYTES: usize = 4 + 4 + 8;

/// Content of an entry.
pub(crate) enum Line {
    Set(SecretName, Value, Metadata),
    Remove(SecretName),
}

/// Returns the bytes of an entry.
pub(crate) fn write(line: &Line) -> Result<SecretBytes> {
    let (name, value, metadata) = match line {
        Line::Set(name, value, metadata) => (name, Some(value), Some(metadata)),
        Line::Remove(name) => (name, None, None),
    };
    let encoded = value.map(Value::encode).transpose()?;
    let mut front = Vec::new();
    let mut back = Vec::new();
    push(&mut front, name.as_str().as_bytes());
    if let (Some(value), Some(metadata)) = (value, metadata) {
        front.extend_from_slice(&value.kind().code().to_le_bytes());
        for (key, value) in metadata.iter() {
            push(&mut back, key.as_bytes());
            let (kind, bytes) = match value {
                MetadataValue::Text(text) => (b't', text.clone().into_bytes()),
                MetadataValue::Integer(number) => (b'i', number.to_le_bytes().to_vec()),
                MetadataValue::Boolean(yes) => (b'b', vec![u8::from(*yes)]),
                MetadataValue::Timestamp(at) => (b'm', at.to_le_bytes().to_vec()),
                MetadataValue::TextList(texts) => {
                    let mut bytes = Vec::new();
                    texts.iter().for_each(|text| push(&mut bytes, text.as_bytes()));
                    (b'l', bytes)
                }
                _ => return Err(Error::unsupported("a ledger has no such metadata")),
            };
            back.push(kind);
            push(&mut back, &bytes);
        }
    }
    // Reserved once: a buffer that grows leaves copies of the secret behind.
    let size = front.len() + encoded.as_ref().map_or(0, |bytes| 4 + bytes.len()) + back.len();
    let mut bytes = Vec::with_capacity(HEAD_BYTES + size);
    bytes.extend_from_slice(MARK);
    push_len(&mut bytes, size);
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&front);
    if let Some(encoded) = &encoded {
        push(&mut bytes, encoded.expose());
    }
    bytes.extend_from_slice(&back);
    let sum = checksum(&bytes[HEAD_BYTES..]).to_le_bytes();
    bytes[HEAD_BYTES - 8..HEAD_BYTES].copy_from_slice(&sum);
    Ok(SecretBytes::new(bytes))
}

/// Returns the entry at this offset and the offset of the next one. Returns `None` if the entry is
/// incomplete.
pub(crate) fn read(bytes: &[u8], at: usize) -> Result<Option<(Line, usize)>, &'static str> {
    let bytes = bytes.get(at..).unwrap_or_default();
    if !MARK.starts_with(&bytes[..bytes.len().min(MARK.len())]) {
        return Err("this is no entry of a ledger");
    }
    let Some((head, rest)) = bytes.split_at_checked(HEAD_BYTES) else { return Ok(None) };
    let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    let Some(body) = rest.get(..size) else { return Ok(None) };
    if checksum(body).to_le_bytes() != head[8..] {
        return Err("the checksum does not fit");
    }
    let mut body = Body(body);
    let name = SecretName::parse(body.text()?).map_err(|_| "this is not a secret's name")?;
    let end = at + HEAD_BYTES + size;
    if body.0.is_empty() {
        return Ok(Some((Line::Remove(name), end)));
    }
    let kind = body.number()?;
    let value = Value::decode(kind, body.bytes()?).map_err(|_| "this is not a value")?;
    let mut metadata = Metadata::new();
    while !body.0.is_empty() {
        let key = body.text()?.to_owned();
        let value = match body.take(1)? {
            b"t" => MetadataValue::Text(body.text()?.to_owned()),
            b"i" => MetadataValue::Integer(i64::from_le_bytes(body.array()?)),
            b"b" => MetadataValue::Boolean(body.array::<1>()? == [1]),
            b"m" => MetadataValue::Timestamp(i64::from_le_bytes(body.array()?)),
            b"l" => MetadataValue::TextList(texts(body.bytes()?)?),
            _ => return Err("this is not metadata"),
        };
        metadata.insert(key, value).map_err(|_| "this is not metadata")?;
    }
    Ok(Some((Line::Set(name, value, metadata), end)))
}

fn texts(list: &[u8]) -> Result<Vec<String>, &'static str> {
    let (mut list, mut texts) = (Body(list), Vec::new());
    while !list.0.is_empty() {
        texts.push(list.text()?.to_owned());
    }
    Ok(texts)
}

fn push(to: &mut Vec<u8>, bytes: &[u8]) {
    push_len(to, bytes.len());
    to.extend_from_slice(bytes);
}

/// All lengths are below 16 MiB, by the contract's limits.
fn push_len(to: &mut Vec<u8>, len: usize) {
    to.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}

/// FNV-1a.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The rest of an entry.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or("an entry is too short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, &'static str> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn bytes(&mut self) -> Result<&'a [u8], &'static str> {
        let len = self.number()? as usize;
        self.take(len)
    }

    fn text(&mut self) -> Result<&'a str, &'static str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| "a text is not UTF-8")
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        self.bytes()?.try_into().map_err(|_| "a number has a wrong length")
    }
}
