//! Has one secret, which can be renamed but not written or removed: a move must use `rename`. It
//! rejects the name `stuck`.
#![forbid(unsafe_code)]

use sound::api::manifest::Capability;
use sound::api::{
    export_plugin, Context, Entry, Error, GetRequest, ListRequest, Metadata, OpenRequest, Page,
    Plugin, RenameRequest, Renamed, Result, Secret, SecretName, Vault,
};

export_plugin! {
    plugin: Renames,
    manifest: sound::manifest("renames")
        .kinds(&[sound::kind()
            .can(&[Capability::Write, Capability::Rename, Capability::Metadata])]),
}

struct Renames(SecretName);

impl Plugin for Renames {
    fn open(request: OpenRequest, context: Context) -> Result<Box<dyn Vault>> {
        if let Some(host) = request.host {
            context.warn(&format!("opened by {} {}", host.name, host.version));
        }
        Ok(Box::new(Self(SecretName::parse("a")?)))
    }
}

impl Vault for Renames {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        match request.name == self.0 {
            true => Ok(sound::secret()),
            false => Err(Error::not_found()),
        }
    }

    fn list(&mut self, _: &ListRequest) -> Result<Page> {
        Ok(Page::new(vec![Entry::new(self.0.clone(), None, Metadata::new())], None))
    }

    fn rename(&mut self, request: &RenameRequest) -> Result<Renamed> {
        if request.to.as_str() == "stuck" {
            return Err(Error::unsupported("it stays as it is"));
        }
        if request.from != self.0 {
            return Err(Error::not_found());
        }
        self.0 = request.to.clone();
        Ok(Renamed::new())
    }
}
