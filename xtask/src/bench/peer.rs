//! Programs that others use to keep secrets: which of them are here, and how each is made to
//! hold our secrets and to read one of them.
//!
//! A peer that is not installed is left out. Nothing is installed here: `docs/speed.md` says
//! how to.

mod age;
mod bao;
mod fnox;
mod keepassxc;
mod pass;
mod secret_service;
mod secretspec;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::cache::Cache;
use crate::process::{last_line, output};
use crate::provision::on_search_path;

use super::data;
use super::home::{Home, Started};
use super::row::{Race, Row, Whose};

/// How many secrets a peer has beside the one, where it can.
const MANY: usize = 10_000;

/// A program of others.
struct Peer {
    name: &'static str,
    /// What it needs on the search path: its own program first.
    programs: &'static [&'static str],
    /// The command that tells its version, of which the first word that looks like one is
    /// taken.
    version: &'static [&'static str],
    /// How its secrets are kept here.
    kept: &'static str,
    /// The most secrets it is given.
    most: usize,
    /// Makes it hold so many secrets.
    hold: fn(&mut Home, usize) -> Result<Ready>,
}

/// A peer that holds secrets.
struct Ready {
    /// The command that reads the one that is measured.
    words: Vec<OsString>,
    /// What else reads the same secret of the same server.
    beside: Vec<Beside>,
    started: Vec<Started>,
}

impl Ready {
    fn new<S: Into<OsString>>(words: impl IntoIterator<Item = S>) -> Self {
        let words = words.into_iter().map(Into::into).collect();
        Self { words, beside: Vec::new(), started: Vec::new() }
    }
}

/// A command beside a peer's.
struct Beside {
    whose: Whose,
    name: &'static str,
    words: Vec<OsString>,
    /// Whether it answers the value alone.
    bare: bool,
    /// Whether it is a plugin of ours in a cage.
    caged: bool,
}

const PEERS: [&Peer; 8] = [
    &age::PEER,
    &secretspec::PEER,
    &fnox::PEER,
    &pass::PEER,
    &secret_service::SECRET_TOOL,
    &secret_service::KEYRING,
    &keepassxc::PEER,
    &bao::PEER,
];

/// A peer that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: &'static str,
    pub(super) version: String,
    pub(super) kept: &'static str,
}

/// The peers on this machine.
#[derive(Default)]
pub(super) struct Peers {
    pub(super) found: Vec<Found>,
    /// What is not here, or would not do, and why.
    pub(super) left_out: Vec<String>,
}

/// Hands each row of each peer that is here to a function while the peer is ready.
pub(super) fn each(
    cache: &Cache,
    folder: &Path,
    prefix: &Path,
    measure: &mut dyn FnMut(&Row) -> Result<()>,
) -> Result<Peers> {
    let mut peers = Peers::default();
    let path = search_path(cache, prefix);
    for peer in PEERS {
        let missing = peer.programs.iter().find(|own| on_search_path(&path, own).is_none());
        if let Some(missing) = missing {
            peers.left_out.push(format!("{}: there is no `{missing}` on PATH", peer.name));
            continue;
        }
        let mut measured = false;
        for (race, secrets) in [(Race::One, 1), (Race::Many, MANY)] {
            if secrets > peer.most {
                continue;
            }
            let home = format!("{}-{secrets}", peer.programs[0]);
            let home = Home::new(folder.join(home), path.clone())?;
            match peer.row(home, race, secrets, measure) {
                Ok(()) => measured = true,
                Err(error) => {
                    let (shown, said) = (data::grouped(secrets), error.to_string());
                    let why = last_line(&said);
                    peers.left_out.push(format!("{} with {shown}: {why}", peer.name));
                }
            }
        }
        if measured {
            let bare = folder.join(format!("{}-version", peer.programs[0]));
            let mut asked = Home::new(bare, path.clone())?.command(peer.version[0]);
            peers.found.push(Found {
                name: peer.name,
                version: version(&mut asked, &peer.version[1..]),
                kept: peer.kept,
            });
        }
    }
    Ok(peers)
}

impl Peer {
    fn row(
        &self,
        mut home: Home,
        race: Race,
        secrets: usize,
        measure: &mut dyn FnMut(&Row) -> Result<()>,
    ) -> Result<()> {
        eprintln!("{}: {} made ready", self.name, data::grouped(secrets));
        let ready = (self.hold)(&mut home, secrets)?;
        let name = match race {
            Race::One => self.name.to_owned(),
            _ => format!("{}, 1 of {}", self.name, data::grouped(secrets)),
        };
        let row = Row::read(race, Whose::Peer, name, &home).words(ready.words);
        let value = || data::value(data::measured(secrets));
        let mut done = measure(&row.answers(value()));
        for Beside { whose, name, words, bare, caged } in ready.beside {
            let name = match race {
                Race::One => name.to_owned(),
                _ => format!("{name}, 1 of {}", data::grouped(secrets)),
            };
            let row = Row::read(race, whose, name, &home).words(words).caged(caged);
            let row = if bare { row.answers(value()) } else { row };
            done = done.and_then(|()| measure(&row));
        }
        drop(ready.started);
        done
    }
}

/// Returns the search path, with what was installed for us alone first, and us.
fn search_path(cache: &Cache, prefix: &Path) -> OsString {
    let mut path = cache.root().join("peers/bin").into_os_string();
    let venv = cache.root().join("peers/venv/bin").into();
    for more in [venv, prefix.join("bin").into(), cache.tools_first()] {
        path.push(":");
        path.push(more);
    }
    path
}

/// Returns the first word of an answer that looks like a version.
fn version(command: &mut Command, words: &[&str]) -> String {
    let said = output(command.args(words))
        .map(|answer| [answer.stdout, answer.stderr].concat())
        .unwrap_or_default();
    version_in(&String::from_utf8_lossy(&said)).unwrap_or("of unknown version").to_owned()
}

fn version_in(text: &str) -> Option<&str> {
    text.split(|c: char| c.is_whitespace() || c == ',')
        .map(|word| word.strip_prefix('v').unwrap_or(word))
        .find(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()))
}

/// Returns the names and values of so many secrets.
fn secrets(count: usize) -> impl Iterator<Item = (String, String)> {
    (0..count).map(|index| (data::name(index), data::value(index)))
}

/// Returns the name of the secret that is read.
fn wanted(secrets: usize) -> String {
    data::name(data::measured(secrets))
}

/// Writes a file into a home.
fn write(home: &Home, name: &str, text: impl AsRef<[u8]>) -> Result<PathBuf> {
    let file = home.at(name);
    if let Some(folder) = file.parent() {
        fs_err::create_dir_all(folder)?;
    }
    fs_err::write(&file, text)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_programs_say() {
        for (said, version) in [
            ("v1.1.1\n", "1.1.1"),
            ("OpenBao v2.7.2 (9e0a0d), committed 2026-10-26", "2.7.2"),
            ("====\n=   v1.7.4     =\n=  Jason@zx2c4.com =", "1.7.4"),
            ("gnome-keyring-daemon: 42.1\ntesting: enabled", "42.1"),
        ] {
            assert_eq!(version_in(said), Some(version));
        }
        assert_eq!(version_in("usage: secret-tool"), None);
    }
}
