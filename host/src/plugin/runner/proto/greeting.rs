//! The first frame: who speaks, what is granted, and which plugin comes with it.

use keystead_plugin_api as api;

use super::super::super::abi_check::Fit;
use super::super::super::inspect::Abi;
use super::super::child::Plugin;
use super::super::{Grants, Image};
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
        /// The plugin, not yet at a path.
        plugin: Plugin,
    },
}

impl Greeting {
    /// Writes this process's greeting.
    pub(in crate::plugin::runner) fn write(
        w: &mut Writer<'_>,
        grants: &Grants,
        image: &Image,
        known: Option<Fit>,
    ) {
        w.u32(PROTOCOL);
        w.text(BUILD);
        w.u32(std::process::id());
        w.count(grants.0.len());
        for grant in &grants.0 {
            w.text(grant);
        }
        w.text(&image.file.to_string_lossy());
        w.raw(&image.sha256);
        w.text(image.door.as_str());
        w.text(known.map_or("", Fit::as_str));
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
        let count = r.count(MAX_GRANTS, "more than 1000 grants")?;
        let mut grants = Vec::with_capacity(count);
        for _ in 0..count {
            grants.push(r.text(MAX_GRANT_BYTES, "a grant of more than 8192 bytes")?.to_owned());
        }
        let file = r.text(MAX_GRANT_BYTES, "a path of more than 8192 bytes")?.to_owned();
        let sha256 = r.array()?;
        let door = Abi::parse(r.text(64, "a door of more than 64 bytes")?);
        let door = door.ok_or_else(|| Fault::new("an unknown door"))?;
        let known = Fit::parse(r.text(64, "a fit of more than 64 bytes")?);
        r.end()?;
        let plugin = Plugin { path: "".into(), file, sha256, door, known };
        Ok(Self::Own { parent, grants: Grants(grants), plugin })
    }
}

/// Reads the answer to `open`: how the plugin fits.
pub(in crate::plugin::runner) fn opened(r: &mut Reader<'_>) -> Result<Fit, Fault> {
    let fit = r.text(64, "a fit of more than 64 bytes")?;
    Fit::parse(fit).ok_or_else(|| Fault::new("an unknown fit"))
}
