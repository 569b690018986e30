//! One secret's two sealed parts: the *overview* (name, kind, metadata), which a listing opens, and
//! the *value*, which it does not. Both are bound to one place in the vault, and a value to one
//! version of its overview. So no part can stand for that of another secret.

use keystead_plugin_api::{
    Entry, Error, Metadata, MetadataValue, Result, Secret, SecretBytes, SecretName, Value,
    ValueKind,
};
use zeroize::Zeroizing;

use crate::bytes::{Reader, put_text};
use crate::key::{Key, fill};
use crate::seal;

/// Place of a secret: a keyed hash of its folded name.
pub(crate) type Place = i64;

/// Keys that seal secrets.
pub(crate) struct RecordKeys {
    overview: Key,
    value: Key,
}

/// A secret without its value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overview {
    pub(crate) name: SecretName,
    /// Code of the value kind in the plugin API: a later version may write a new one.
    pub(crate) kind: u32,
    pub(crate) metadata: Metadata,
    /// Id of the value that belongs to the overview.
    version: [u8; 8],
}

impl Overview {
    /// Returns the overview for a new value.
    pub(crate) fn new(name: SecretName, kind: ValueKind, metadata: Metadata) -> Result<Self> {
        let mut version = [0; 8];
        fill(&mut version)?;
        Ok(Self { name, kind: kind.code(), metadata, version })
    }

    /// Returns the list entry for the overview that was sealed as these bytes.
    pub(crate) fn into_entry(self, sealed: &[u8]) -> Entry {
        let kind = ValueKind::from_code(self.kind);
        Entry::new(self.name, kind, self.metadata).of_version(seal::name(sealed))
    }

    /// Returns the byte form.
    ///
    /// # Errors
    /// `Unsupported` for metadata of a later version, which would be lost.
    fn write(&self) -> Result<Vec<u8>> {
        self.metadata.check_complete()?;
        let size = 64 + self.name.as_str().len() + self.metadata.bytes() + self.metadata.len() * 16;
        let mut out = Vec::with_capacity(size);
        out.extend_from_slice(&self.version);
        out.extend_from_slice(&self.kind.to_le_bytes());
        put_text(&mut out, self.name.as_str());
        let count = u32::try_from(self.metadata.len()).expect("at most 256 entries");
        out.extend_from_slice(&count.to_le_bytes());
        for (key, value) in self.metadata.iter() {
            put_text(&mut out, key);
            match value {
                MetadataValue::Text(text) => {
                    out.push(1);
                    put_text(&mut out, text);
                }
                MetadataValue::Integer(number) => {
                    out.push(2);
                    out.extend_from_slice(&number.to_le_bytes());
                }
                MetadataValue::Boolean(yes) => out.extend_from_slice(&[3, u8::from(*yes)]),
                MetadataValue::Timestamp(at) => {
                    out.push(4);
                    out.extend_from_slice(&at.to_le_bytes());
                }
                MetadataValue::TextList(texts) => {
                    out.push(5);
                    let size: usize = texts.iter().map(|text| 4 + text.len()).sum();
                    let size = u32::try_from(size).expect("metadata is far below 4 GiB");
                    out.extend_from_slice(&size.to_le_bytes());
                    texts.iter().for_each(|text| put_text(&mut out, text));
                }
                _ => {
                    let message =
                        format!("the metadata `{key}` is of a kind this vault does not know");
                    return Err(Error::unsupported(message));
                }
            }
        }
        Ok(out)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let version = reader.array()?;
        let kind = reader.u32()?;
        let name = SecretName::parse(reader.text()?).ok()?;
        let mut metadata = Metadata::new();
        for _ in 0..reader.u32()? {
            let key = reader.text()?;
            let value = match reader.u8()? {
                1 => MetadataValue::Text(reader.text()?.to_owned()),
                2 => MetadataValue::Integer(reader.i64()?),
                3 => MetadataValue::Boolean(reader.u8()? != 0),
                4 => MetadataValue::Timestamp(reader.i64()?),
                // From here on a value includes its size, so that an unknown one can be skipped.
                kind @ 5.. => {
                    let size = usize::try_from(reader.u32()?).ok()?;
                    let content = reader.take(size)?;
                    if kind != 5 {
                        metadata.mark_incomplete();
                        continue;
                    }
                    texts(content)?
                }
                _ => return None,
            };
            if metadata.insert(key, value).ok()?.is_some() {
                return None;
            }
        }
        reader.is_empty().then_some(Self { name, kind, metadata, version })
    }
}

/// Returns the list of texts that these bytes hold.
fn texts(content: &[u8]) -> Option<MetadataValue> {
    let mut reader = Reader::new(content);
    let mut texts = Vec::new();
    while !reader.is_empty() {
        texts.push(reader.text()?.to_owned());
    }
    Some(MetadataValue::TextList(texts))
}

impl RecordKeys {
    /// Returns the keys of a vault with this data key.
    pub(crate) fn of(data_key: &Key) -> Self {
        Self { overview: data_key.derive("overview"), value: data_key.derive("value") }
    }

    pub(crate) fn seal_overview(&self, place: Place, overview: &Overview) -> Result<Vec<u8>> {
        seal::seal(&self.overview, &[&place.to_le_bytes()], &overview.write()?)
    }

    /// Opens an overview; `None` if it belongs to another place.
    pub(crate) fn open_overview(&self, place: Place, sealed: &[u8]) -> Option<Overview> {
        let plain = seal::open(&self.overview, &[&place.to_le_bytes()], sealed)?;
        Overview::read(plain.expose())
    }

    pub(crate) fn seal_value(&self, place: Place, of: &Overview, value: &Value) -> Result<Vec<u8>> {
        let encoded: SecretBytes = value.encode()?;
        let mut plain = Zeroizing::new(Vec::with_capacity(4 + encoded.len()));
        plain.extend_from_slice(&value.kind().code().to_le_bytes());
        plain.extend_from_slice(encoded.expose());
        seal::seal(&self.value, &[&place.to_le_bytes(), &of.version], &plain)
    }

    /// Returns whether the value belongs to this overview.
    pub(crate) fn is_value(&self, place: Place, of: &Overview, sealed: &[u8]) -> bool {
        seal::open(&self.value, &[&place.to_le_bytes(), &of.version], sealed).is_some()
    }

    /// Opens the value that belongs to an overview.
    ///
    /// # Errors
    /// `Corrupt` if it belongs to another; `Unsupported` for a kind of a later plugin API.
    pub(crate) fn open_value(&self, place: Place, of: Overview, sealed: &[u8]) -> Result<Secret> {
        let plain = seal::open(&self.value, &[&place.to_le_bytes(), &of.version], sealed);
        let value = plain.as_ref().and_then(|plain| {
            let mut reader = Reader::new(plain.expose());
            let kind = reader.u32()?;
            (kind == of.kind).then(|| Value::decode(kind, reader.rest()))
        });
        let Some(value) = value else {
            return Err(Error::corrupt("a secret's value is damaged"));
        };
        Ok(Secret::with_metadata(value?, of.metadata))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overview() -> Overview {
        let mut metadata = Metadata::new();
        metadata.insert("text", MetadataValue::Text("dev ü".into())).unwrap();
        metadata.insert("number", MetadataValue::Integer(i64::MIN)).unwrap();
        metadata.insert("yes", MetadataValue::Boolean(true)).unwrap();
        metadata.insert("no", MetadataValue::Boolean(false)).unwrap();
        metadata.insert("at", MetadataValue::Timestamp(1_651_363_200_000)).unwrap();
        metadata.insert("empty", MetadataValue::TextList(Vec::new())).unwrap();
        let texts = ["b", "", "a", "b"].map(str::to_owned).to_vec();
        metadata.insert("list", MetadataValue::TextList(texts)).unwrap();
        let name = SecretName::parse("db/Password ü").unwrap();
        Overview::new(name, ValueKind::Text, metadata).unwrap()
    }

    #[test]
    fn overview_and_value_round_trip() {
        let keys = RecordKeys::of(&Key::random().unwrap());
        let overview = overview();
        let value = Value::text("canary-value");
        let sealed = keys.seal_overview(7, &overview).unwrap();
        let details = keys.seal_value(7, &overview, &value).unwrap();
        let back = keys.open_overview(7, &sealed).unwrap();
        assert_eq!(back, overview);
        let secret = keys.open_value(7, back, &details).unwrap();
        assert_eq!((secret.value, secret.metadata), (value, overview.metadata));
    }

    #[test]
    fn sealed_part_from_other_place_or_version_is_rejected() {
        let keys = RecordKeys::of(&Key::random().unwrap());
        let (old, new) = (overview(), overview());
        let value = Value::text("canary-old");
        assert!(keys.open_overview(8, &keys.seal_overview(7, &old).unwrap()).is_none());
        let sealed = keys.seal_value(7, &old, &value).unwrap();
        assert!(keys.open_value(8, overview(), &sealed).is_err());
        // The previous value, restored beside the current overview.
        assert!(keys.open_value(7, new, &sealed).is_err());
        // The two parts are not interchangeable.
        assert!(keys.open_overview(7, &sealed).is_none());
    }

    #[test]
    fn newer_metadata_type_is_skipped_and_not_written_back() {
        let mut metadata = Metadata::new();
        metadata.insert("k", MetadataValue::TextList(vec!["canary".into()])).unwrap();
        let name = SecretName::parse("n").unwrap();
        let known = Overview::new(name, ValueKind::Text, metadata).unwrap();
        let mut bytes = known.write().unwrap();
        // Version, kind, name, count, key, and then the type.
        let at = 8 + 4 + 5 + 4 + 5;
        assert_eq!(bytes[at], 5);
        bytes[at] = 6;
        let later = Overview::read(&bytes).unwrap();
        assert!(later.metadata.is_empty() && later.metadata.is_incomplete());
        assert_eq!(later.write().unwrap_err().kind(), keystead_plugin_api::ErrorKind::Unsupported);
        // The size must match, and a list contains only texts.
        bytes.pop();
        assert!(Overview::read(&bytes).is_none());
        for content in [&b"x"[..], &[9, 0, 0, 0, b'x'], &[1, 0, 0, 0, 0xff]] {
            assert!(texts(content).is_none());
        }
        let empty = [0; 4].repeat(100_000);
        assert!(Metadata::new().insert("k", texts(&empty).unwrap()).is_err());
    }

    #[test]
    fn truncated_overview_is_rejected() {
        let bytes = overview().write().unwrap();
        for at in 0..bytes.len() {
            assert!(Overview::read(&bytes[..at]).is_none());
        }
        assert!(Overview::read(&[&bytes[..], b"x"].concat()).is_none());
    }
}
