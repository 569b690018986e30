//! Import formats: detection of each, and the only function that opens them.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use keystead_plugin_api::SecretText;

use super::dotenv::Dotenv;
use super::json_lines::JsonLines;
use super::{Error, Rows, bitwarden, csv, foreign, input, keepass, onepux, pass, secretstore};

/// Format of a file or directory with secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportFormat {
    /// One JSON object a line.
    JsonLines,
    /// `KEY=VALUE`.
    Dotenv,
    /// Bitwarden's JSON.
    Bitwarden,
    /// 1Password's 1PUX.
    OnePux,
    /// KeePass's XML.
    KeePassXml,
    /// A table.
    Csv,
    /// A directory of `pass`.
    Pass,
    /// The directory of PowerShell's SecretStore.
    SecretStore,
}

/// Options for reading some formats.
#[derive(Debug, Default)]
pub struct ImportOptions {
    /// Roles of a table's columns; if empty, a well-known table is recognised.
    pub columns: Vec<csv::Column>,
    /// Separator of a table's fields; `None`: the most frequent in its header row.
    pub delimiter: Option<csv::Delimiter>,
    /// Settings for decrypting a directory of `pass`.
    pub gpg: pass::Gpg,
    /// Account of a SecretStore, and its password.
    pub owner: secretstore::Owner,
    /// The password of an encrypted export; `None` if there is none.
    pub password: Option<SecretText>,
}

/// Source of an import, at its start.
pub enum ImportSource {
    /// A file.
    File(File),
    /// A stream that can be read only once: a pipe.
    Stream(Box<dyn Read>),
    /// A directory.
    Dir(PathBuf),
}

/// Number of bytes at the start of a file that determine its format.
pub const HEAD: usize = 4_096;

impl ImportFormat {
    /// All formats, in display order.
    pub const ALL: &'static [Self] = &[
        Self::JsonLines,
        Self::Dotenv,
        Self::Bitwarden,
        Self::OnePux,
        Self::KeePassXml,
        Self::Csv,
        Self::Pass,
        Self::SecretStore,
    ];

    /// Returns the format's name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JsonLines => "jsonl",
            Self::Dotenv => "dotenv",
            Self::Bitwarden => "bitwarden",
            Self::OnePux => "1pux",
            Self::KeePassXml => "keepass-xml",
            Self::Csv => "csv",
            Self::Pass => "pass",
            Self::SecretStore => "secretstore",
        }
    }

    /// Returns the format of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|form| form.as_str() == name)
    }

    /// Returns the format of a file, by its name or else by its first bytes; of a directory if
    /// `head` is `None`.
    ///
    /// # Errors
    /// [`Error::Foreign`] if its first bytes are those of an unsupported file;
    /// [`Error::UnknownForm`] if no format matches, or several do.
    pub fn recognise(path: &Path, head: Option<&[u8]>) -> Result<Self, Error> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let only = |fits: &dyn Fn(Self) -> bool| {
            let mut fitting = Self::ALL.iter().copied().filter(|form| fits(*form));
            fitting.next().filter(|_| fitting.next().is_none())
        };
        if head.is_none() && path.join(".gpg-id").is_file() {
            return Ok(Self::Pass);
        }
        if head.is_none() && secretstore::is_store(path) {
            return Ok(Self::SecretStore);
        }
        let named = only(&|form| form.has_name(&name, head.is_none()));
        let starts = || head.and_then(|head| only(&|form| form.starts(head)));
        match named.or_else(starts) {
            Some(form) => Ok(form),
            None => {
                foreign::check(head.unwrap_or_default())?;
                Err(Error::UnknownForm)
            }
        }
    }

    /// Returns whether files of this format usually have such a name.
    fn has_name(self, name: &str, is_dir: bool) -> bool {
        match self {
            Self::JsonLines => !is_dir && (name.ends_with(".jsonl") || name.ends_with(".ndjson")),
            Self::Dotenv => !is_dir && (name.ends_with(".env") || name.starts_with(".env.")),
            Self::OnePux => !is_dir && name.ends_with(".1pux"),
            Self::Csv => !is_dir && (name.ends_with(".csv") || name.ends_with(".tsv")),
            Self::Pass => is_dir && name == ".password-store",
            Self::Bitwarden | Self::KeePassXml | Self::SecretStore => false,
        }
    }

    /// Returns whether a file of this format may start with these bytes.
    fn starts(self, head: &[u8]) -> bool {
        let text = head.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let text = text.trim_start_matches('\u{feff}');
        let begins_with = |member: &str| {
            let inner = text.trim_start().strip_prefix('{').map(str::trim_start);
            inner.is_some_and(|inner| inner.starts_with(member))
        };
        match self {
            // Its zip begins with the file of the items.
            Self::Bitwarden => {
                begins_with("\"encrypted\"")
                    || head.starts_with(b"PK\x03\x04")
                        && head.get(30..).is_some_and(|name| name.starts_with(b"data.json"))
            }
            Self::OnePux => {
                let holds = |name: &[u8]| head.windows(name.len()).any(|found| found == name);
                head.starts_with(b"PK\x03\x04")
                    && (holds(b"export.attributes") || holds(b"export.data"))
            }
            Self::KeePassXml => text.trim_start().starts_with('<') && text.contains("<KeePassFile"),
            Self::Csv => csv::is_known(head),
            Self::Pass | Self::SecretStore => false,
            Self::JsonLines => {
                let line = text.trim_start().lines().next().unwrap_or_default();
                let inner = line.strip_prefix('{').map(str::trim_start);
                // A file written by hand may have no schema.
                inner.is_some_and(|inner| {
                    inner.starts_with("\"schema\"")
                        || inner.starts_with("\"name\"") && inner.contains("\"value\"")
                })
            }
            Self::Dotenv => {
                let said = |line: &&str| !line.is_empty() && !line.starts_with('#');
                let line = text.lines().map(str::trim_start).find(said).unwrap_or_default();
                let line = line.strip_prefix("export ").unwrap_or(line);
                let key = line.split_once('=').map_or("", |(key, _)| key.trim_end());
                !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            }
        }
    }
}

impl ImportSource {
    /// Returns the bytes.
    ///
    /// # Errors
    /// [`Error::NotOfForm`] for a directory.
    pub(super) fn into_read(self, form: &'static str) -> Result<Box<dyn Read>, Error> {
        match self {
            Self::File(file) => Ok(Box::new(file)),
            Self::Stream(stream) => Ok(stream),
            Self::Dir(_) => Err(Error::NotOfForm { form, why: "it is a directory".to_owned() }),
        }
    }
}

/// Opens a source in this format: the only function in which formats differ.
///
/// # Errors
/// The source cannot be of this format.
pub fn open(
    form: ImportFormat,
    source: ImportSource,
    reading: &ImportOptions,
) -> Result<Box<dyn Rows>, Error> {
    match form {
        ImportFormat::Bitwarden => {
            let from = source.into_read(bitwarden::FORM)?;
            Ok(Box::new(bitwarden::read(from, reading.password.as_ref())?))
        }
        ImportFormat::OnePux => match source {
            ImportSource::File(file) => Ok(Box::new(onepux::read(file)?)),
            // A zip is read from its end.
            stream => {
                let bytes = input::wiped(stream.into_read(onepux::FORM)?, onepux::FORM)?;
                Ok(Box::new(onepux::read(Cursor::new(bytes))?))
            }
        },
        ImportFormat::KeePassXml => Ok(Box::new(keepass::read(source.into_read(keepass::FORM)?)?)),
        ImportFormat::Csv => {
            let from = source.into_read(csv::FORM)?;
            Ok(Box::new(csv::read(from, &reading.columns, reading.delimiter)?))
        }
        ImportFormat::Pass => match source {
            ImportSource::Dir(dir) => Ok(Box::new(pass::read(&dir, reading.gpg.clone())?)),
            _ => Err(Error::NotOfForm { form: pass::FORM, why: "it is no directory".into() }),
        },
        ImportFormat::SecretStore => match source {
            ImportSource::Dir(dir) => Ok(Box::new(secretstore::read(&dir, &reading.owner)?)),
            _ => {
                Err(Error::NotOfForm { form: secretstore::FORM, why: "it is no directory".into() })
            }
        },
        ImportFormat::JsonLines => Ok(Box::new(JsonLines::new(source.into_read("JSON Lines")?))),
        ImportFormat::Dotenv => Ok(Box::new(Dotenv::new(source.into_read("an environment file")?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn import_format_is_detected_by_path_or_content() {
        let of = |name: &str, head: &str| {
            ImportFormat::recognise(Path::new(name), Some(head.as_bytes())).ok()
        };
        for name in ["a.jsonl", "A.NDJSON", "x/b.jsonl"] {
            assert_eq!(of(name, ""), Some(ImportFormat::JsonLines), "{name}");
        }
        for name in [".env", "prod.env", ".env.local"] {
            assert_eq!(of(name, "{"), Some(ImportFormat::Dotenv), "{name}");
        }
        assert_eq!(of("x", "\u{feff}{ \"schema\": 1"), Some(ImportFormat::JsonLines));
        assert_eq!(of("x", "{\"name\":\"a\",\"value\":{"), Some(ImportFormat::JsonLines));
        assert_eq!(of("x", "# said\n\nexport A_1 = b"), Some(ImportFormat::Dotenv));
        assert_eq!(of("x", "\u{feff}{\n  \"encrypted\": false,"), Some(ImportFormat::Bitwarden));
        assert_eq!(of("x.json", "{\"encrypted\":true"), Some(ImportFormat::Bitwarden));
        assert_eq!(of("A.1PUX", ""), Some(ImportFormat::OnePux));
        assert_eq!(of("x", "PK\x03\x04......export.data"), Some(ImportFormat::OnePux));
        let zip = format!("PK\x03\x04{}data.json", "\0".repeat(26));
        assert_eq!(of("x.zip", &zip), Some(ImportFormat::Bitwarden));
        assert_eq!(of("x.csv", "a=b"), Some(ImportFormat::Csv));
        assert_eq!(of("x", "name,url,username,password\na,b,c,"), Some(ImportFormat::Csv));
        assert_eq!(
            of("x.xml", "<?xml version=\"1.0\"?>\n<KeePassFile>"),
            Some(ImportFormat::KeePassXml)
        );
        for head in ["", "{\"items\":[]}", "name,password\n", "hunter2\n", "https://x/?a=b"] {
            assert_eq!(of("x", head), None, "{head}");
        }
        assert!(ImportFormat::recognise(Path::new(".env"), None).is_err(), "a directory");
        assert_eq!(
            ImportFormat::recognise(Path::new("/x/.password-store"), None).ok(),
            Some(ImportFormat::Pass)
        );
        let dir = tempfile::tempdir().unwrap();
        assert!(ImportFormat::recognise(dir.path(), None).is_err(), "it has no keys");
        fs_err::write(dir.path().join(".gpg-id"), "x").unwrap();
        assert_eq!(ImportFormat::recognise(dir.path(), None).ok(), Some(ImportFormat::Pass));
        let store =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/secretstore/no-password");
        assert_eq!(
            ImportFormat::recognise(Path::new(store), None).ok(),
            Some(ImportFormat::SecretStore)
        );
    }
}
