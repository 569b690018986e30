//! The first two frames: the sender and its grants, then the plugin that comes with the frame. The
//! runner enters its sandbox between them.

use keystead_plugin_api as api;

use super::super::super::abi_check::AbiCompatibility;
use super::super::super::grant::Granted;
use super::super::super::inspect::{Abi, FileAccess, Permission};
use super::super::child::Plugin;
use super::super::socket::MAX_DESCRIPTORS;
use super::super::{Image, Namespaces, SandboxLevel};
use super::{BUILD, PROTOCOL};
use crate::codec::{Fault, Reader, Writer};
use crate::platform::sandbox::Reach;

/// Maximum bytes of a path: twice the limit of Linux.
const MAX_PATH_BYTES: usize = 8_192;

/// Flags in a greeting's number.
const WHOLE: u32 = 1;
const NETWORK: u32 = 2;
const BUS: u32 = 4;
const LIBRARIES: u32 = 8;
const NO_NAMESPACES: u32 = 16;
const MUST_HAVE_NAMESPACES: u32 = 32;
const SOCKETS: u32 = 64;

/// The grants that the host sends to a runner. Their descriptors travel beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::plugin::runner) struct Told {
    pub(in crate::plugin::runner) reach: Reach,
    pub(in crate::plugin::runner) sandbox: SandboxLevel,
    pub(in crate::plugin::runner) namespaces: Namespaces,
    /// Each path and its access, in the order of the descriptors.
    pub(in crate::plugin::runner) paths: Vec<(String, FileAccess)>,
}

/// A greeting as the runner reads it.
pub(in crate::plugin::runner) enum Greeting {
    /// A greeting of another build: the rest of it cannot be read.
    Foreign {
        /// The other build.
        build: String,
    },
    /// A greeting of this build.
    Own {
        /// The host's process id.
        parent: u32,
        /// The grants.
        told: Told,
    },
}

impl Greeting {
    /// Writes this process's greeting. The descriptors of existing paths travel beside it.
    pub(in crate::plugin::runner) fn write(w: &mut Writer<'_>, granted: &Granted) {
        w.u32(PROTOCOL);
        w.text(BUILD);
        w.u32(std::process::id());
        let marks = [
            (WHOLE, granted.sandbox() == SandboxLevel::Full),
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
        // Sockets are listed for programs that look before they connect.
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
        let sandbox = if has(WHOLE) { SandboxLevel::Full } else { SandboxLevel::BestEffort };
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
        Ok(Self::Own { parent, told: Told { reach, sandbox, namespaces, paths } })
    }
}

/// Writes the description of the plugin that travels with the frame.
pub(in crate::plugin::runner) fn write_plugin(
    w: &mut Writer<'_>,
    image: &Image,
    known: Option<AbiCompatibility>,
) {
    w.text(&image.file.to_string_lossy());
    w.raw(&image.sha256);
    w.text(image.abi.as_str());
    w.text(known.map_or("", AbiCompatibility::as_str));
}

/// Reads the description of the plugin that travels with the frame; its path is not set yet.
pub(in crate::plugin::runner) fn plugin(r: &mut Reader<'_>) -> Result<Plugin, Fault> {
    let file = r.text(MAX_PATH_BYTES, "a path of more than 8192 bytes")?.to_owned();
    let sha256 = r.array()?;
    let abi = Abi::parse(r.text(64, "an ABI of more than 64 bytes")?);
    let abi = abi.ok_or_else(|| Fault::new("an unknown ABI"))?;
    let known = AbiCompatibility::parse(r.text(64, "a fit of more than 64 bytes")?);
    r.end()?;
    Ok(Plugin { path: "".into(), file, sha256, abi, known })
}

/// Reads the answer to `open`: the compatibility of the plugin.
pub(in crate::plugin::runner) fn opened(r: &mut Reader<'_>) -> Result<AbiCompatibility, Fault> {
    let fit = r.text(64, "a fit of more than 64 bytes")?;
    AbiCompatibility::parse(fit).ok_or_else(|| Fault::new("an unknown fit"))
}
