//! The first two frames: who speaks and what is granted; then which plugin comes with it. The
//! runner shuts itself in between them.

use keystead_plugin_api as api;

use super::super::super::abi_check::Fit;
use super::super::super::inspect::Abi;
use super::super::child::Plugin;
use super::super::{Cage, Grants, Image, Namespaces};
use super::{BUILD, PROTOCOL};
use crate::codec::{Fault, Reader, Writer};

/// The most grants that a greeting has.
const MAX_GRANTS: usize = 1_000;

/// The most bytes of a grant or a path: what Linux takes for a path, and a prefix.
const MAX_GRANT_BYTES: usize = 8_192;

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
        grants: Grants,
        /// How much there has to be of a cage.
        cage: Cage,
        /// Whether it is to have namespaces of its own.
        namespaces: Namespaces,
    },
}

impl Greeting {
    /// Writes this process's greeting.
    pub(in crate::plugin::runner) fn write(
        w: &mut Writer<'_>,
        grants: &Grants,
        cage: Cage,
        namespaces: Namespaces,
    ) {
        w.u32(PROTOCOL);
        w.text(BUILD);
        w.u32(std::process::id());
        w.u32(u32::from(cage == Cage::Whole));
        w.u32(match namespaces {
            Namespaces::Off => 0,
            Namespaces::BestEffort => 1,
            Namespaces::Required => 2,
        });
        w.count(grants.0.len());
        for grant in &grants.0 {
            w.text(grant);
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
        let cage = match r.u32()? {
            0 => Cage::Possible,
            1 => Cage::Whole,
            _ => return Err(Fault::new("an unknown cage")),
        };
        let namespaces = match r.u32()? {
            0 => Namespaces::Off,
            1 => Namespaces::BestEffort,
            2 => Namespaces::Required,
            _ => return Err(Fault::new("unknown namespaces")),
        };
        let count = r.count(MAX_GRANTS, "more than 1000 grants")?;
        let mut grants = Vec::with_capacity(count);
        for _ in 0..count {
            grants.push(r.text(MAX_GRANT_BYTES, "a grant of more than 8192 bytes")?.to_owned());
        }
        r.end()?;
        Ok(Self::Own { parent, grants: Grants(grants), cage, namespaces })
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
    let file = r.text(MAX_GRANT_BYTES, "a path of more than 8192 bytes")?.to_owned();
    let sha256 = r.array()?;
    let door = Abi::parse(r.text(64, "a door of more than 64 bytes")?);
    let door = door.ok_or_else(|| Fault::new("an unknown door"))?;
    let known = Fit::parse(r.text(64, "a fit of more than 64 bytes")?);
    r.end()?;
    Ok(Plugin { path: "".into(), file, sha256, door, known })
}

/// Reads the answer to `open`: how the plugin fits.
pub(in crate::plugin::runner) fn opened(r: &mut Reader<'_>) -> Result<Fit, Fault> {
    let fit = r.text(64, "a fit of more than 64 bytes")?;
    Fit::parse(fit).ok_or_else(|| Fault::new("an unknown fit"))
}
