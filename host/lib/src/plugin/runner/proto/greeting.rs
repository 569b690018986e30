//! The first two frames: who speaks and what is granted; then which plugin comes with it. The
//! runner shuts itself in between them.

use keystead_plugin_api as api;

use super::super::super::abi_check::Fit;
use super::super::super::grant::Granted;
use super::super::super::inspect::{Abi, FileAccess, Permission};
use super::super::child::Plugin;
use super::super::socket::MAX_DESCRIPTORS;
use super::super::{Cage, Image, Namespaces};
use super::{BUILD, PROTOCOL};
use crate::codec::{Fault, Reader, Writer};
use crate::platform::sandbox::Reach;

/// The most bytes of a path: what Linux takes for one, twice.
const MAX_PATH_BYTES: usize = 8_192;

/// Marks in a greeting's number.
const WHOLE: u32 = 1;
const NETWORK: u32 = 2;
const BUS: u32 = 4;
const LIBRARIES: u32 = 8;
const NO_NAMESPACES: u32 = 16;
const MUST_HAVE_NAMESPACES: u32 = 32;
const SOCKETS: u32 = 64;

/// What a runner is told that its plugin may do. Its descriptors travel beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::plugin::runner) struct Told {
    pub(in crate::plugin::runner) reach: Reach,
    pub(in crate::plugin::runner) cage: Cage,
    pub(in crate::plugin::runner) namespaces: Namespaces,
    /// Each path and what may be done with it, in the order of the descriptors.
    pub(in crate::plugin::runner) paths: Vec<(String, FileAccess)>,
}

/// What a runner reads in a greeting.
pub(in crate::plugin::runner) enum Greeting {
    /// Of another build: nothing else of it can be read.
    Foreign {
        /// Which.
        build: String,
    },
    /// Of this build.
    Own {
        /// The host's process id.
        parent: u32,
        /// What is granted.
        told: Told,
    },
}

impl Greeting {
    /// Writes this process's greeting. The descriptors of the paths that are there go beside it.
    pub(in crate::plugin::runner) fn write(w: &mut Writer<'_>, granted: &Granted) {
        w.u32(PROTOCOL);
        w.text(BUILD);
        w.u32(std::process::id());
        let marks = [
            (WHOLE, granted.cage() == Cage::Whole),
            (NETWORK, granted.has(&Permission::Network)),
            (BUS, granted.has(&Permission::Dbus)),
            (LIBRARIES, granted.has_libraries()),
            (NO_NAMESPACES, granted.namespaces() == Namespaces::Off),
            (MUST_HAVE_NAMESPACES, granted.namespaces() == Namespaces::Required),
            (SOCKETS, granted.asks_to_connect()),
        ];
        w.u32(marks.iter().filter(|(_, is_set)| *is_set).map(|(mark, _)| mark).sum());
        let there = || granted.paths().iter().filter(|path| path.object().is_some());
        let sockets = || granted.sockets().iter().filter(|socket| socket.object().is_some());
        w.count(there().count() + sockets().count());
        for path in there() {
            w.text(path.name());
            w.u32(u32::from(path.access() == FileAccess::ReadWrite));
        }
        // To be seen there, by programs that look before they connect.
        for socket in sockets() {
            w.text(socket.name());
            w.u32(0);
        }
    }

    /// Reads a greeting; the protocol's number decides whether the rest can be read.
    pub(in crate::plugin::runner) fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let protocol = r.u32()?;
        let build = r.text(api::MAX_MESSAGE_BYTES, "a build of more than 4096 bytes")?;
        if protocol != PROTOCOL {
            return Ok(Self::Foreign { build: format!("{build} with protocol {protocol}") });
        }
        if build != BUILD {
            return Ok(Self::Foreign { build: build.to_owned() });
        }
        let parent = r.u32()?;
        let marks = r.u32()?;
        if marks >= SOCKETS << 1 {
            return Err(Fault::new("an unknown mark"));
        }
        let has = |mark| marks & mark != 0;
        let reach = Reach {
            network: has(NETWORK),
            bus: has(BUS),
            sockets: has(SOCKETS),
            libraries: has(LIBRARIES),
        };
        let cage = if has(WHOLE) { Cage::Whole } else { Cage::Possible };
        let namespaces = match (has(NO_NAMESPACES), has(MUST_HAVE_NAMESPACES)) {
            (false, false) => Namespaces::BestEffort,
            (true, false) => Namespaces::Off,
            (false, true) => Namespaces::Required,
            (true, true) => return Err(Fault::new("marks that exclude each other")),
        };
        let count = r.count(MAX_DESCRIPTORS, "more than 200 paths")?;
        let mut paths = Vec::with_capacity(count);
        for _ in 0..count {
            let path = r.text(MAX_PATH_BYTES, "a path of more than 8192 bytes")?.to_owned();
            let access = match r.u32()? {
                0 => FileAccess::Read,
                1 => FileAccess::ReadWrite,
                _ => return Err(Fault::new("an unknown access")),
            };
            paths.push((path, access));
        }
        r.end()?;
        Ok(Self::Own { parent, told: Told { reach, cage, namespaces, paths } })
    }
}

/// Writes which plugin travels with the frame.
pub(in crate::plugin::runner) fn write_plugin(
    w: &mut Writer<'_>,
    image: &Image,
    known: Option<Fit>,
) {
    w.text(&image.file.to_string_lossy());
    w.raw(&image.sha256);
    w.text(image.door.as_str());
    w.text(known.map_or("", Fit::as_str));
}

/// Reads which plugin travels with the frame; it is not at a path yet.
pub(in crate::plugin::runner) fn plugin(r: &mut Reader<'_>) -> Result<Plugin, Fault> {
    let file = r.text(MAX_PATH_BYTES, "a path of more than 8192 bytes")?.to_owned();
    let sha256 = r.array()?;
    let door = Abi::parse(r.text(64, "an ABI of more than 64 bytes")?);
    let door = door.ok_or_else(|| Fault::new("an unknown ABI"))?;
    let known = Fit::parse(r.text(64, "a fit of more than 64 bytes")?);
    r.end()?;
    Ok(Plugin { path: "".into(), file, sha256, door, known })
}

/// Reads the answer to `open`: how the plugin fits.
pub(in crate::plugin::runner) fn opened(r: &mut Reader<'_>) -> Result<Fit, Fault> {
    let fit = r.text(64, "a fit of more than 64 bytes")?;
    Fit::parse(fit).ok_or_else(|| Fault::new("an unknown fit"))
}
