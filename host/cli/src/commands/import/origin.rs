//! Source of the rows of an import: opened once, and read from the start as often as possible.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::Duration;

use keystead_exchange::{HEAD, ImportFormat, ImportSource};

use super::super::get::listed;
use crate::failure::Failure;
use crate::value::input::{Patient, Unbuffered};

/// Source of the rows.
pub(super) enum Origin {
    /// A file, opened once, so that its name cannot lead to another file later.
    File(File),
    Dir(PathBuf),
    /// A stream, which can be read only once.
    Stream(Option<Box<dyn Read>>),
}

impl Origin {
    /// Opens the source of an import; `-` is the standard input. `limit` is the timeout for a pipe
    /// or device.
    pub(super) fn open(path: &Path, limit: Duration) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self::Stream(Some(Box::new(Unbuffered::standard()))));
        }
        let failed = |fault: io::Error| {
            Failure::act(format!("cannot open `{}`", path.display())).because(fault)
        };
        let file = Patient::open(path, limit).map_err(failed)?;
        let found = file.file.metadata().map_err(failed)?;
        if found.is_dir() {
            Ok(Self::Dir(path.to_owned()))
        } else if found.is_file() {
            Ok(Self::File(file.file))
        } else {
            Ok(Self::Stream(Some(Box::new(file))))
        }
    }

    pub(super) fn is_read_once(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// Returns the format, by the name or the first bytes.
    pub(super) fn form(&mut self, path: &Path) -> Result<ImportFormat, Failure> {
        let head = match self {
            Self::Dir(_) => None,
            Self::File(file) => Some(head(file)?),
            // Inspecting a stream consumes its bytes.
            Self::Stream(_) => Some(Vec::new().into()),
        };
        ImportFormat::recognise(path, head.as_ref().map(|head| head.as_slice())).map_err(|error| {
            if !matches!(error, keystead_exchange::Error::UnknownForm) {
                return error.into();
            }
            let mut failure = Failure::from(error);
            failure.hints.clear();
            let names: Vec<&str> = super::names().collect();
            failure.hint(format!("add `--from FORMAT`: {}", listed(&names)))
        })
    }

    /// Returns the rows' source, from its start.
    pub(super) fn source(&mut self) -> Result<ImportSource, Failure> {
        match self {
            Self::Dir(path) => Ok(ImportSource::Dir(path.clone())),
            Self::File(file) => {
                let again = || -> io::Result<File> {
                    let mut file = file.try_clone()?;
                    file.rewind()?;
                    Ok(file)
                };
                again().map(ImportSource::File).map_err(unreadable)
            }
            Self::Stream(stream) => {
                Ok(ImportSource::Stream(stream.take().expect("a stream is read in one pass")))
            }
        }
    }
}

fn head(file: &mut File) -> Result<zeroize::Zeroizing<Vec<u8>>, Failure> {
    let mut head = zeroize::Zeroizing::new(vec![0; HEAD]);
    let mut len = 0;
    while len < HEAD {
        match file.read(&mut head[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(fault) => return Err(unreadable(fault)),
        }
    }
    head.truncate(len);
    Ok(head)
}

fn unreadable(fault: io::Error) -> Failure {
    keystead_exchange::Error::Read(fault).into()
}
