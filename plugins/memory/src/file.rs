//! The file of a vault. The first line has a number that changes on every write, then one secret a
//! line, and a last line counts them. The vault rereads it after another process's write. A damaged
//! file is an error that names the line, and is never overwritten.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use keystead_plugin_api::{Deadline, Error, Result, SecretBytes};

use crate::claim::{self, Claim};
use crate::line;
use crate::secrets::Map;

/// Start of the first line; the digit is the version of the format.
const FIRST: &str = "keystead-memory 2 ";

/// Length of the first line in bytes, with its line end: [`FIRST`] and 16 digits.
const FIRST_BYTES: usize = FIRST.len() + 17;

/// The most bytes in the file, which is held in memory as a whole.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// The file, and the state in which it was last read.
pub(crate) struct SecretFile {
    path: PathBuf,
    seen: Seen,
}

/// File state that matches the map in memory.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// No state: the file must be read.
    Nothing,
    /// The state with these properties.
    State { first: [u8; FIRST_BYTES], modified: Option<SystemTime>, len: u64 },
}

impl SecretFile {
    /// Returns the file at this path without opening it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](keystead_plugin_api::ErrorKind::Invalid) if the path cannot be a
    /// file's path.
    pub(crate) fn new(path: &str) -> Result<Self> {
        let path = PathBuf::from(path);
        if !path.is_absolute() || path.file_name().is_none() || path.parent().is_none() {
            let message = format!("`file` is not the absolute path of a file: {}", path.display());
            return Err(Error::invalid(message));
        }
        Ok(Self { path, seen: Seen::Nothing })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Updates the map from the file; a missing file is empty.
    pub(crate) fn refresh(&mut self, map: &mut Map) -> Result<()> {
        match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                map.clear();
                self.seen = Seen::Nothing;
                return Ok(());
            }
            Err(error) => return Err(failed("read", &self.path, &error)),
            // Opening a pipe would block forever.
            Ok(meta) if !meta.is_file() => {
                return Err(Error::invalid(format!("{} is not a file", self.path.display())));
            }
            Ok(_) => {}
        }
        match self.read_if_changed() {
            Ok(None) => Ok(()),
            Ok(Some((content, seen))) => {
                // A damaged file contributes no secrets.
                self.seen = Seen::Nothing;
                map.clear();
                *map = parse(content.expose()).map_err(|(line, fault)| {
                    Error::corrupt(format!("{}, line {line}: {fault}", self.path.display()))
                })?;
                self.seen = seen;
                Ok(())
            }
            Err(error) => Err(failed("read", &self.path, &error)),
        }
    }

    /// Creates the file's directory if it is missing, for its owner alone.
    fn make_dir(&self) -> io::Result<()> {
        match self.path.parent() {
            Some(dir) if !dir.exists() => {
                let mut make = fs::DirBuilder::new();
                make.recursive(true);
                #[cfg(unix)]
                std::os::unix::fs::DirBuilderExt::mode(&mut make, 0o700);
                make.create(dir)
            }
            _ => Ok(()),
        }
    }

    /// Changes the file. No other process writes between the read before `edit` and the write. On
    /// an error, the file keeps its old content.
    pub(crate) fn change<T>(
        &mut self,
        map: &mut Map,
        deadline: Deadline,
        edit: impl FnOnce(&mut Map) -> Result<T>,
    ) -> Result<T> {
        self.make_dir().map_err(|error| failed("make the directory of", &self.path, &error))?;
        let mut claim = Claim::take(&self.path, deadline)?;
        self.refresh(map)?;
        let done = edit(map)?;
        // Until the write, the map is ahead of the file.
        self.seen = Seen::Nothing;
        let content = render(map)?;
        claim.write(content.expose())?;
        let seen = seen_of(claim.file(), content.expose())
            .map_err(|error| failed("write", &self.path, &error))?;
        claim.commit()?;
        self.seen = seen;
        Ok(done)
    }

    /// Returns the file's content and its state, or `None` if the state is unchanged.
    fn read_if_changed(&self) -> io::Result<Option<(SecretBytes, Seen)>> {
        let mut file = File::open(&self.path)?;
        let len = file.metadata()?.len();
        if len > MAX_BYTES {
            let message = format!("it has more than {} MiB", MAX_BYTES >> 20);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let mut first = [0; FIRST_BYTES];
        if len >= FIRST_BYTES as u64 {
            file.read_exact(&mut first)?;
            if seen_of(&file, &first)? == self.seen {
                return Ok(None);
            }
        }
        let capacity = usize::try_from(len).unwrap_or(usize::MAX);
        let mut content = Vec::with_capacity(capacity.saturating_add(1));
        if len >= FIRST_BYTES as u64 {
            content.extend_from_slice(&first);
        }
        file.by_ref().take(MAX_BYTES).read_to_end(&mut content)?;
        let content = SecretBytes::new(content);
        let seen = seen_of(&file, content.expose())?;
        Ok(Some((content, seen)))
    }
}

/// Returns the file's state from its first bytes, its time and its length.
fn seen_of(file: &File, content: &[u8]) -> io::Result<Seen> {
    let meta = file.metadata()?;
    match content.get(..FIRST_BYTES) {
        None => Ok(Seen::Nothing),
        Some(start) => {
            let mut first = [0; FIRST_BYTES];
            first.copy_from_slice(start);
            Ok(Seen::State { first, modified: meta.modified().ok(), len: meta.len() })
        }
    }
}

/// Returns the file's content for these secrets.
fn render(map: &Map) -> Result<SecretBytes> {
    let lines: Vec<SecretBytes> =
        map.iter().map(|(name, secret)| line::write(name, secret)).collect::<Result<_>>()?;
    let first = format!("{FIRST}{:016x}\n", claim::random());
    let last = format!("end {}\n", lines.len());
    let size = first.len() + lines.iter().map(|line| line.len() + 1).sum::<usize>() + last.len();
    if size as u64 > MAX_BYTES {
        let message = format!("a vault's file has at most {} MiB", MAX_BYTES >> 20);
        return Err(Error::invalid(message));
    }
    let mut content = Vec::with_capacity(size);
    content.extend_from_slice(first.as_bytes());
    for line in &lines {
        content.extend_from_slice(line.expose());
        content.push(b'\n');
    }
    content.extend_from_slice(last.as_bytes());
    Ok(SecretBytes::new(content))
}

/// Returns the secrets of this content, or the number of a line and its fault.
fn parse(content: &[u8]) -> Result<Map, (usize, &'static str)> {
    let mut map = Map::new();
    let body = match content.split_last() {
        Some((b'\n', body)) => body,
        _ => return Err((content.split(|byte| *byte == b'\n').count(), "it ends too early")),
    };
    let mut lines = body.split(|byte| *byte == b'\n').zip(1..);
    match lines.next() {
        Some((first, _)) if first.starts_with(FIRST.as_bytes()) => {
            if first.len() + 1 != FIRST_BYTES {
                return Err((1, "the first line is too long or too short"));
            }
        }
        Some((first, _)) if first.starts_with(b"keystead-memory ") => {
            return Err((1, "it was written by another version of this plugin"));
        }
        _ => return Err((1, "it was not written by this plugin")),
    }
    let mut number = 1;
    while let Some((content, at)) = lines.next() {
        number = at;
        if content.starts_with(b"end ") {
            if content != format!("end {}", map.len()).as_bytes() {
                return Err((number, "the count does not fit"));
            }
            return match lines.next() {
                None => Ok(map),
                Some((_, at)) => Err((at, "something follows the end")),
            };
        }
        let (name, secret) = line::read(content).map_err(|fault| (number, fault))?;
        if map.insert(name, secret).is_some() {
            return Err((number, "the secret is there twice"));
        }
    }
    Err((number, "the line with the count is missing"))
}

/// Returns the error for a failed system call.
pub(crate) fn failed(verb: &str, path: &Path, error: &io::Error) -> Error {
    let message = format!("cannot {verb} {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::PermissionDenied => Error::permission_denied(message),
        io::ErrorKind::InvalidData => Error::corrupt(message),
        _ => Error::unavailable(message),
    }
}
