//! Each vault leaves a file of its name in a shared directory. A listing returns only after the
//! given number of vaults has done so. A host that calls the vaults in sequence reaches the
//! deadline.
#![forbid(unsafe_code)]

use std::fs;
use std::path::PathBuf;

use sound::api::{
    export_plugin, Context, Error, GetRequest, ListRequest, OpenRequest, Page, Parameter,
    ParameterKind, Plugin, Result, Secret, Vault,
};

export_plugin! {
    plugin: Waits,
    manifest: sound::manifest("waits-for-others")
        .kinds(&[sound::kind().parameters(&[
            Parameter::required("folder", ParameterKind::Path, "where vaults meet"),
            Parameter::required("vaults", ParameterKind::Integer, "how many meet there"),
        ])])
        .permissions(&["files:{folder}/:rw"]),
}

struct Waits {
    name: String,
    dir: PathBuf,
    vaults: i64,
}

impl Plugin for Waits {
    fn open(request: OpenRequest, _: Context) -> Result<Box<dyn Vault>> {
        Ok(Box::new(Self {
            name: request.vault.to_string(),
            dir: request.parameters.text("folder").unwrap_or_default().into(),
            vaults: request.parameters.integer("vaults").unwrap_or_default(),
        }))
    }
}

impl Vault for Waits {
    fn get(&mut self, _: &GetRequest) -> Result<Secret> {
        Err(Error::not_found())
    }

    fn list(&mut self, request: &ListRequest) -> Result<Page> {
        let failed = |fault: std::io::Error| Error::unavailable(fault.to_string());
        fs::write(self.dir.join(&self.name), "").map_err(failed)?;
        while (fs::read_dir(&self.dir).map_err(failed)?.count() as i64) < self.vaults {
            if request.deadline.has_passed() {
                return Err(Error::timed_out());
            }
            sound::sleep_ms(5);
        }
        Ok(Page::new(vec![sound::entry(0)], None))
    }
}
