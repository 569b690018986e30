//! One secret as one line of the file:
//! `<name> <kind> <value> <metadata> <version> <checksum>`, bytes in hexadecimal.
//!
//! Metadata: `-`, or `<key>=<type><value>` joined by commas. Types: `t`ext, `i`nteger, `b`oolean,
//! `m`oment, `l`ist of texts after a `+` each. The checksum detects accidents, not attacks.

use keystead_plugin_api::{
    Error, Metadata, MetadataValue, Result, Secret, SecretBytes, SecretName, Value,
};

/// Returns the secret's line without its end.
///
/// # Errors
/// [`ErrorKind::Invalid`](keystead_plugin_api::ErrorKind::Invalid) for a value over the
/// limits, `Unsupported` for metadata of a later version.
pub(crate) fn write(name: &SecretName, secret: &Secret) -> Result<SecretBytes> {
    let value = secret.value.encode()?;
    let kind = secret.value.kind().code().to_string();
    let metadata = write_metadata(&secret.metadata)?;
    let version = hex(secret.version.as_deref().unwrap_or_default());
    let texts = kind.len() + metadata.len() + version.len();
    let size = 2 * (name.as_str().len() + value.len()) + texts + 5 + 16;
    // Full capacity from the start: a buffer that grows leaves copies of the secret behind.
    let mut line = Vec::with_capacity(size);
    push_hex(name.as_str().as_bytes(), &mut line);
    line.push(b' ');
    line.extend_from_slice(kind.as_bytes());
    line.push(b' ');
    push_hex(value.expose(), &mut line);
    line.push(b' ');
    line.extend_from_slice(metadata.as_bytes());
    line.push(b' ');
    line.extend_from_slice(version.as_bytes());
    let sum = format!(" {:016x}", checksum(&line));
    line.extend_from_slice(sum.as_bytes());
    Ok(SecretBytes::new(line))
}

/// Returns the secret of a line, or the line's fault.
pub(crate) fn read(line: &[u8]) -> Result<(SecretName, Secret), &'static str> {
    let end = line.iter().rposition(|byte| *byte == b' ').ok_or("no checksum")?;
    let (content, sum) = (&line[..end], &line[end + 1..]);
    if sum != format!("{:016x}", checksum(content)).as_bytes() {
        return Err("the checksum does not fit");
    }
    let fields: Vec<&[u8]> = content.split(|byte| *byte == b' ').collect();
    let (name, kind, value, metadata, version) = match fields[..] {
        [name, kind, value, metadata, version] => (name, kind, value, metadata, version),
        _ => return Err("not five fields and a checksum"),
    };
    let name = SecretName::parse(&text(name)?).map_err(|_| "not a secret's name")?;
    let kind = plain(kind)?.parse().map_err(|_| "the kind is not a number")?;
    let value = SecretBytes::new(bytes(value)?);
    let value = Value::decode(kind, value.expose()).map_err(|_| "not a value of its kind")?;
    let secret = Secret::with_metadata(value, read_metadata(plain(metadata)?)?);
    Ok((name, secret.of_version(text(version)?)))
}

fn write_metadata(metadata: &Metadata) -> Result<String> {
    if metadata.is_empty() {
        return Ok("-".to_owned());
    }
    let mut parts = Vec::with_capacity(metadata.len());
    for (key, value) in metadata.iter() {
        let value = match value {
            MetadataValue::Text(text) => format!("t{}", hex(text)),
            MetadataValue::Integer(number) => format!("i{number}"),
            MetadataValue::Boolean(yes) => format!("b{}", u8::from(*yes)),
            MetadataValue::Timestamp(at) => format!("m{at}"),
            MetadataValue::TextList(texts) => {
                texts.iter().fold("l".to_owned(), |list, text| list + "+" + &hex(text))
            }
            _ => return Err(Error::unsupported(format!("the type of the metadata `{key}`"))),
        };
        parts.push(format!("{}={value}", hex(key)));
    }
    Ok(parts.join(","))
}

fn read_metadata(field: &str) -> Result<Metadata, &'static str> {
    let mut metadata = Metadata::new();
    if field == "-" {
        return Ok(metadata);
    }
    for part in field.split(',') {
        let (key, value) = part.split_once('=').ok_or("metadata without `=`")?;
        let number = |digits: &str| digits.parse().map_err(|_| "metadata is not a number");
        let value = match (value.get(..1), value.get(1..)) {
            (Some("t"), Some(value)) => MetadataValue::Text(text(value.as_bytes())?),
            (Some("i"), Some(value)) => MetadataValue::Integer(number(value)?),
            (Some("b"), Some("0")) => MetadataValue::Boolean(false),
            (Some("b"), Some("1")) => MetadataValue::Boolean(true),
            (Some("m"), Some(value)) => MetadataValue::Timestamp(number(value)?),
            (Some("l"), Some(value)) => MetadataValue::TextList(texts(value)?),
            _ => return Err("metadata of an unknown type"),
        };
        match metadata.insert(text(key.as_bytes())?, value) {
            Ok(None) => {}
            _ => return Err("metadata twice or over the limits"),
        }
    }
    Ok(metadata)
}

fn texts(list: &str) -> Result<Vec<String>, &'static str> {
    let mut parts = list.split('+');
    match parts.next() {
        Some("") => parts.map(|part| text(part.as_bytes())).collect(),
        _ => Err("a list without `+`"),
    }
}

fn plain(field: &[u8]) -> Result<&str, &'static str> {
    std::str::from_utf8(field).map_err(|_| "not plain text")
}

fn text(field: &[u8]) -> Result<String, &'static str> {
    String::from_utf8(bytes(field)?).map_err(|_| "not UTF-8")
}

fn bytes(field: &[u8]) -> Result<Vec<u8>, &'static str> {
    if field.len() % 2 != 0 {
        return Err("half a byte");
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err("not hexadecimal"),
    };
    let mut out = Vec::with_capacity(field.len() / 2);
    for pair in field.chunks_exact(2) {
        out.push(digit(pair[0])? << 4 | digit(pair[1])?);
    }
    Ok(out)
}

fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        let pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        out.extend_from_slice(&pair);
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// FNV-1a over eight bytes at a time: it detects every changed byte in one line of code.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(0xcbf2_9ce4_8422_2325, |sum, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        // The rotation carries high bits down, which the multiplication alone never does.
        (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x0100_0000_01b3).rotate_left(29)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> (SecretName, Secret) {
        let mut metadata = Metadata::new();
        metadata.insert("a = b, c", MetadataValue::Text("ü\n".into())).unwrap();
        metadata.insert("b", MetadataValue::Integer(i64::MIN)).unwrap();
        metadata.insert("c", MetadataValue::Boolean(true)).unwrap();
        metadata.insert("d", MetadataValue::Boolean(false)).unwrap();
        metadata.insert("e", MetadataValue::Timestamp(-1)).unwrap();
        metadata.insert("f", MetadataValue::Text(String::new())).unwrap();
        metadata.insert("g", MetadataValue::TextList(Vec::new())).unwrap();
        let texts = ["b", "", "a+,=", ""].map(str::to_owned).to_vec();
        metadata.insert("h", MetadataValue::TextList(texts)).unwrap();
        let value = Value::credential("bob", "canary");
        let secret = Secret::with_metadata(value, metadata).of_version("7");
        (SecretName::parse("a b/ü").unwrap(), secret)
    }

    #[test]
    fn secret_line_round_trips() {
        let (name, secret) = example();
        let line = write(&name, &secret).unwrap();
        assert_eq!(read(line.expose()), Ok((name, secret)));

        let (name, secret) =
            (SecretName::parse("x").unwrap(), Secret::new(Value::text("")).of_version(""));
        let line = write(&name, &secret).unwrap();
        assert_eq!(read(line.expose()), Ok((name, secret)));
    }

    #[test]
    fn flipped_bit_or_cut_in_line_is_detected() {
        let (name, secret) = example();
        let line = write(&name, &secret).unwrap();
        let line = line.expose();
        for at in 0..line.len() {
            assert!(read(&line[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut flipped = line.to_vec();
                flipped[at] ^= 1 << bit;
                assert!(read(&flipped).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn malformed_line_with_right_checksum_is_rejected() {
        for content in [
            "",
            " ",
            "61 1 00000000",
            "61 1 00000000 - - 37",
            "6 1 00000000 - 37",
            "6G 1 00000000 - 37",
            "6A 1 00000000 - 37",
            "00 1 00000000 - 37",
            " 1 00000000 - 37",
            "ff 1 00000000 - 37",
            "61 x 00000000 - 37",
            "61 99 00000000 - 37",
            "61 1 01000000 - 37",
            "61 1 00000000  37",
            "61 1 00000000 61 37",
            "61 1 00000000 61= 37",
            "61 1 00000000 61=x1 37",
            "61 1 00000000 61=b2 37",
            "61 1 00000000 61=i 37",
            "61 1 00000000 61=ü 37",
            "61 1 00000000 61=i1,61=i1 37",
            "61 1 00000000 61=m9223372036854775807 37",
        ] {
            let line = format!("{content} {:016x}", checksum(content.as_bytes()));
            assert!(read(line.as_bytes()).is_err(), "{content:?}");
        }
    }
}
