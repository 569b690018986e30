//! An index beside the files lists those whose UTF-8 content is bytes. The files themselves have
//! nothing but their content, for any program that reads them.
//!
//! Each line is about one content: the file's name, inode number, size and modification time.
//! Content from another program has another time, so its kind depends on its bytes. A renamed file
//! keeps its number, and a copy that keeps names and times keeps its kinds. The index reveals
//! nothing about a content that the directory does not.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::dir::Snapshot;
use crate::name::{INDEX, NEW_INDEX};
use crate::trust;
use crate::write::created;

/// First word of a line.
const BYTES: &str = "bytes";

/// The most bytes of an index that are read: some 200,000 lines.
const MAX_BYTES: u64 = 64 << 20;

/// Number of outdated lines that an index may have, in addition to twice the number of names.
const STALE: usize = 64;

/// Identity of one content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Content {
    number: u64,
    size: i64,
    seconds: i64,
    nanoseconds: i64,
}

impl Content {
    fn of(stat: &Stat) -> Self {
        Self {
            number: stat.st_ino,
            size: stat.st_size,
            seconds: stat.st_mtime,
            nanoseconds: i64::try_from(stat.st_mtime_nsec).unwrap_or(0),
        }
    }

    /// Returns whether these are the same content, assuming the same file.
    fn is_alike(self, other: Self) -> bool {
        Self { number: other.number, ..self } == other
    }
}

/// One line of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    content: Content,
    name: String,
}

impl Line {
    /// Returns the parsed line; `None` if the line is not known.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.splitn(6, ' ');
        if fields.next()? != BYTES {
            return None;
        }
        let number = fields.next()?.parse().ok()?;
        let mut numbers = [0i64; 3];
        for one in &mut numbers {
            *one = fields.next()?.parse().ok()?;
        }
        let [size, seconds, nanoseconds] = numbers;
        let content = Content { number, size, seconds, nanoseconds };
        Some(Self { content, name: fields.next()?.to_owned() })
    }

    fn is_of(&self, name: &str, content: Content) -> bool {
        self.content.is_alike(content)
            && (self.name == name || self.content.number == content.number)
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Content { number, size, seconds, nanoseconds } = self.content;
        writeln!(f, "{BYTES} {number} {size} {seconds} {nanoseconds} {}", self.name)
    }
}

/// The parsed index.
#[derive(Debug, Default, Clone)]
pub(crate) struct Kinds {
    lines: Vec<Line>,
    /// Whether the file ends with a line end, so that the next line begins there.
    is_whole: bool,
}

/// The index as last read, with the state of its file.
pub(crate) type Cache = RefCell<Option<Box<Cached>>>;

pub(crate) struct Cached {
    state: State,
    kinds: Rc<Kinds>,
}

/// Parts of an index file's state that change with each write.
type State = (u64, Content, i64, u64);

fn state(stat: &Stat) -> State {
    (stat.st_dev, Content::of(stat), stat.st_ctime, stat.st_ctime_nsec)
}

impl Kinds {
    /// Returns the current index of a directory. An index that other users could have written
    /// counts as empty.
    pub(crate) fn of(snapshot: &Snapshot) -> io::Result<Rc<Self>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
        // Does not wait if the index is a pipe.
        let flags = flags | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&snapshot.dir, INDEX, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Ok(Rc::default()),
            Err(error) => return Err(error.into()),
        };
        let stat = rustix::fs::fstat(&file)?;
        let path = snapshot.path.join(INDEX);
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let place = snapshot.place.join(INDEX);
        let seen = snapshot.outside.seen(&place, stat, &file);
        let (outside, mount) =
            seen.map_err(|error| io::Error::other(error.message().to_owned()))?;
        if !is_file || trust::file(&path, &outside, mount).is_err() {
            return Ok(Rc::default());
        }
        let state = state(&stat);
        if let Some(read) = &*snapshot.kinds.borrow()
            && read.state == state
        {
            return Ok(read.kinds.clone());
        }
        let mut text = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut text)?;
        let kinds = Rc::new(Self::parse(&String::from_utf8_lossy(&text)));
        let read = Cached { state, kinds: kinds.clone() };
        *snapshot.kinds.borrow_mut() = Some(Box::new(read));
        Ok(kinds)
    }

    pub(crate) fn parse(text: &str) -> Self {
        // Text after the last line end is an incomplete line.
        let (whole, rest) = text.rsplit_once('\n').unwrap_or(("", text));
        let lines = whole.split('\n').filter_map(Line::parse).collect();
        Self { lines, is_whole: rest.is_empty() }
    }

    /// Returns whether this content of the file with this name is bytes.
    pub(crate) fn has(&self, name: &str, stat: &Stat) -> bool {
        let content = Content::of(stat);
        self.lines.iter().any(|line| line.is_of(name, content))
    }

    /// Returns whether the index has a line for a file with this name.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.lines.iter().any(|line| line.name == name)
    }

    /// Returns whether most lines are for contents that no longer exist.
    pub(crate) fn is_stale(&self) -> bool {
        let names: HashSet<_> = self.lines.iter().map(|line| line.name.as_str()).collect();
        self.lines.len() > 2 * names.len() + STALE
    }
}

/// Records permanently that the next content of a file is bytes. The line of the current content
/// stays.
pub(crate) fn add(snapshot: &Snapshot, name: &str, stat: &Stat) -> io::Result<()> {
    let before = Kinds::of(snapshot)?;
    let is_whole = before.is_whole;
    drop(before);
    let dir = &snapshot.dir;
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(dir, INDEX, flags | OFlags::NONBLOCK, Mode::empty());
    let (mut file, is_new) = match opened {
        Ok(file) if is_ours(&file)? => (File::from(file), false),
        // The existing index is not ours.
        Ok(_) | Err(Errno::LOOP | Errno::NXIO) => {
            rustix::fs::unlinkat(dir, INDEX, AtFlags::empty())?;
            (created(dir, INDEX)?, true)
        }
        Err(Errno::NOENT) => (created(dir, INDEX)?, true),
        Err(error) => return Err(error.into()),
    };
    let line = Line { content: Content::of(stat), name: name.to_owned() };
    let end = if is_new || is_whole { "" } else { "\n" };
    file.write_all(format!("{end}{line}").as_bytes())?;
    file.sync_all()?;
    if is_new {
        rustix::fs::fsync(dir)?;
    } else if let Some(read) = &mut *snapshot.kinds.borrow_mut() {
        // The cached index stays valid: a batch adds many lines.
        read.state = state(&rustix::fs::fstat(&file)?);
        let kinds = Rc::make_mut(&mut read.kinds);
        kinds.lines.push(line);
        kinds.is_whole = true;
    }
    Ok(())
}

/// Returns whether only root and this user can have written an open index.
fn is_ours(file: &OwnedFd) -> io::Result<bool> {
    let stat = rustix::fs::fstat(file)?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    Ok(is_file && trust::file(INDEX.as_ref(), &stat, trust::Mount::Writable).is_ok())
}

/// Keeps only the lines for existing contents, under their current names.
pub(crate) fn tidy(snapshot: &Snapshot) -> io::Result<()> {
    let before = Kinds::of(snapshot)?;
    let dir = &snapshot.dir;
    let mut text = String::new();
    for found in Dir::read_from(dir)? {
        let found = found?;
        let Ok(name) = found.file_name().to_str() else { continue };
        if name.starts_with("..") || name == "." {
            continue;
        }
        let stat = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => continue,
            Err(error) => return Err(error.into()),
        };
        if before.has(name, &stat) {
            let line = Line { content: Content::of(&stat), name: name.to_owned() };
            text.push_str(&line.to_string());
        }
    }
    if text.is_empty() {
        return match rustix::fs::unlinkat(dir, INDEX, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        };
    }
    let mut file = created(dir, NEW_INDEX)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(rustix::fs::renameat(dir, NEW_INDEX, dir, INDEX)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: Content = Content { number: 5, size: 3, seconds: -1, nanoseconds: 7 };

    fn kinds(text: &str) -> Vec<Line> {
        Kinds::parse(text).lines
    }

    #[test]
    fn index_line_round_trips() {
        for name in ["key", "with space ", "ü", "bytes 1 2 3 4 x"] {
            let line = Line { content: CONTENT, name: name.to_owned() };
            assert_eq!(kinds(&line.to_string()), [line]);
        }
    }

    #[test]
    fn incomplete_index_line_is_ignored() {
        for text in [
            "",
            "\n",
            "bytes",
            "bytes 5 3 1 7 key",
            "bytes 5 3 1 7\n",
            "bytes 5 3 1 key\n",
            "bytes -5 3 1 7 key\n",
            "map 5 3 1 7 key\n",
            "5 3 1 7 key\n",
        ] {
            assert_eq!(kinds(text), [], "{text:?}");
        }
        let torn = Kinds::parse("bytes 5 3 1 7 a\nbytes 5 3");
        assert_eq!((torn.lines.len(), torn.is_whole), (1, false));
        assert!(Kinds::parse("bytes 5 3 1 7 a\n").is_whole);
        // The next write ends a torn line before its own line.
        assert_eq!(kinds("bytes 5 3\nbytes 5 3 1 7 b\n").len(), 1);
    }

    #[test]
    fn index_entry_matches_name_or_inode_with_size_and_time() {
        let line = Line { content: CONTENT, name: "key".to_owned() };
        assert!(line.is_of("key", CONTENT));
        assert!(line.is_of("renamed", CONTENT));
        assert!(line.is_of("key", Content { number: 6, ..CONTENT }));
        assert!(!line.is_of("other", Content { number: 6, ..CONTENT }));
        for other in [
            Content { size: 4, ..CONTENT },
            Content { seconds: 0, ..CONTENT },
            Content { nanoseconds: 8, ..CONTENT },
        ] {
            assert!(!line.is_of("key", other));
        }
    }
}
