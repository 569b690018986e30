//! Opens the file or connects to the port in the secret's name. `read:PATH`, `write:PATH` and
//! `connect:PORT` use the contract's functions, `plain:PATH` opens the file directly.
#![forbid(unsafe_code)]

use std::fs::OpenOptions;

use sound::api::manifest::PermissionRequest;
use sound::api::{
    export_plugin, Context, Entry, Error, GetRequest, ListRequest, Metadata, OpenRequest, Page,
    Parameter, ParameterKind, Plugin, Result, Secret, SecretName, Value, Vault,
};

export_plugin! {
    plugin: ReachesOut,
    manifest: sound::manifest("reaches-out").kinds(&[sound::kind()
        .parameters(&[
            Parameter::optional("folder", ParameterKind::Path, "what it may read"),
            Parameter::optional("first", ParameterKind::Path, "what it opens at once"),
        ])
        .permissions(&[
            PermissionRequest::required("files:{folder}:r"),
            PermissionRequest::optional("network", "connects to a port"),
        ])]),
}

struct ReachesOut(Context);

impl Plugin for ReachesOut {
    fn open(request: OpenRequest, context: Context) -> Result<Box<dyn Vault>> {
        if let Some(first) = request.parameters.text("first") {
            context.open_to_read(first)?;
        }
        Ok(Box::new(Self(context)))
    }
}

impl Vault for ReachesOut {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        let name = request.name.as_str();
        let (what, target) = name.split_once(':').ok_or_else(Error::not_found)?;
        match what {
            "read" => drop(self.0.open_to_read(target)?),
            "write" => drop(self.0.open_to_write(target, OpenOptions::new().append(true))?),
            "connect" => {
                let port = target.parse().map_err(|_| Error::not_found())?;
                drop(self.0.connect("127.0.0.1", port, request.deadline)?);
            }
            "plain" => {
                let failed =
                    |error| Error::unavailable(format!("cannot read {}: {}", target, error));
                drop(std::fs::File::open(target).map_err(failed)?);
            }
            _ => return Err(Error::not_found()),
        }
        Ok(Secret::new(Value::text("done")))
    }

    fn list(&mut self, _: &ListRequest) -> Result<Page> {
        let name = SecretName::parse("plain:/none")?;
        Ok(Page::new(vec![Entry::new(name, None, Metadata::new())], None))
    }
}
