//! A process's file operations and output, read from a log of `strace`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// One event.
#[derive(Debug)]
pub(crate) enum Event {
    Mkdir(PathBuf),
    /// Opened a file, and created it if it was missing.
    Make(PathBuf),
    Write(PathBuf, usize, Vec<u8>),
    Truncate(PathBuf, usize),
    /// Synced a file, or a directory's names.
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
    /// Wrote a line to standard output.
    Say(String),
}

/// Calls that can change a file, and those that identify the file.
pub(crate) const CALLS: &str = "openat,open,creat,close,dup,dup2,dup3,write,writev,pwrite64,\
    pwritev,pwritev2,ftruncate,truncate,fallocate,copy_file_range,sendfile,splice,fsync,fdatasync,\
    sync_file_range,unlink,unlinkat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,mkdir,\
    mkdirat,rmdir,mmap";

/// Reads a trace: the events in this directory, and the standard output.
pub(crate) fn read(trace: &str, dir: &Path) -> Vec<Event> {
    let mut reader = Reader { dir, files: HashMap::new(), events: Vec::new() };
    trace.lines().for_each(|line| reader.line(line));
    reader.events
}

struct Reader<'a> {
    dir: &'a Path,
    /// Open files of the directory, with the offset of the next `write`.
    files: HashMap<i32, (PathBuf, usize)>,
    events: Vec<Event>,
}

impl Reader<'_> {
    fn line(&mut self, line: &str) {
        let Some((_, call)) = line.split_once(' ') else { return };
        let call = call.trim_start();
        let Some((name, rest)) = call.split_once('(') else { return };
        // strace pads short calls before the `=`.
        let Some((arguments, result)) = rest.rsplit_once(" = ") else {
            // The test harness prints its result from a thread of its own.
            let is_result = call.starts_with(r#"write(1, "\x6f\x6b""#);
            assert!(is_result || !call.contains("unfinished"), "two threads at once: {line}");
            return;
        };
        let arguments = arguments.trim_end().strip_suffix(')').unwrap();
        let result = result.split(' ').next().unwrap();
        let result: i64 = match result.strip_prefix("0x") {
            Some(address) => i64::from_str_radix(address, 16).unwrap(),
            None => result.parse().unwrap(),
        };
        if result >= 0 {
            let arguments: Vec<&str> = split(arguments);
            self.call(name, &arguments, result);
        }
    }

    fn call(&mut self, name: &str, arguments: &[&str], result: i64) {
        let number = |at: usize| arguments[at].parse::<i64>().unwrap();
        let size = |at: usize| usize::try_from(number(at)).unwrap();
        let path = |at: usize| self.path(arguments[at]);
        match name {
            "openat" => {
                let Some(path) = path(1) else { return };
                if arguments[2].contains("O_CREAT") {
                    self.events.push(Event::Make(path.clone()));
                }
                assert!(!arguments[2].contains("O_TRUNC"), "it is emptied: {}", path.display());
                assert!(!arguments[2].contains("O_APPEND"), "{}", path.display());
                self.files.insert(result as i32, (path, 0));
            }
            "close" => drop(self.files.remove(&(number(0) as i32))),
            "write" if number(0) == 1 => {
                let text = String::from_utf8(bytes(arguments[1])).unwrap();
                self.events.extend(text.lines().map(|line| Event::Say(line.to_owned())));
            }
            "mkdir" => self.events.extend(path(0).map(Event::Mkdir)),
            "unlink" => self.events.extend(path(0).map(Event::Unlink)),
            "unlinkat" => self.events.extend(path(1).map(Event::Unlink)),
            "renameat2" => {
                if let (Some(from), Some(to)) = (path(1), path(3)) {
                    for (open, _) in self.files.values_mut().filter(|(open, _)| *open == from) {
                        open.clone_from(&to);
                    }
                    self.events.push(Event::Rename(from, to));
                }
            }
            "mmap" => {
                let shared = arguments[3].contains("MAP_SHARED");
                let ours = self.files.contains_key(&(number(4) as i32));
                assert!(!(shared && ours), "it is written through memory");
            }
            "write" | "pwrite64" | "ftruncate" | "fsync" => {
                let Some((path, at)) = self.files.get_mut(&(number(0) as i32)) else { return };
                let path = path.clone();
                self.events.push(match name {
                    "ftruncate" => Event::Truncate(path, size(1)),
                    "fsync" => Event::Sync(path),
                    _ => {
                        let written = bytes(arguments[1]);
                        assert_eq!(written.len(), result as usize, "a part was written");
                        let to = if name == "write" { *at } else { size(3) };
                        *at += if name == "write" { written.len() } else { 0 };
                        Event::Write(path, to, written)
                    }
                });
            }
            _ => {
                let file = arguments[0].parse().is_ok_and(|file| self.files.contains_key(&file));
                assert!(!file && !self.names(arguments), "{name} is not known");
            }
        }
    }

    fn names(&self, arguments: &[&str]) -> bool {
        arguments.iter().any(|argument| self.path(argument).is_some())
    }

    /// Returns a path if it is in the traced directory.
    fn path(&self, argument: &str) -> Option<PathBuf> {
        if !argument.starts_with('"') {
            return None;
        }
        let path = PathBuf::from(String::from_utf8(bytes(argument)).ok()?);
        path.starts_with(self.dir).then_some(path)
    }
}

/// Splits arguments: those in quotes contain only hexadecimal escapes.
fn split(arguments: &str) -> Vec<&str> {
    arguments.split(", ").collect()
}

/// Returns the bytes of `"\x00\x01"`.
fn bytes(quoted: &str) -> Vec<u8> {
    assert!(quoted.ends_with('"'), "it was cut: {}", &quoted[..quoted.len().min(50)]);
    let digits = quoted.trim_matches('"').split("\\x").skip(1);
    digits.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}
