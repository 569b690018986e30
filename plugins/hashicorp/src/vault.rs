//! The vaults as the host sees them: one that keeps secrets, one that makes them.

use keystead_plugin_api::{
    ActRequest, Action, Context, Deadline, Entry, Error, GetRequest, ListRequest, Metadata,
    OpenRequest, Outcome, Page, Plugin, Result, Secret, Session, SetRequest, UnlockRequest, Vault,
    Version,
};

use crate::action;
use crate::dynamic::Dynamic;
use crate::kv::{Engine, Kv};
use crate::manifest::DYNAMIC;
use crate::server::Server;

/// The plugin.
pub struct Hashicorp;

impl Plugin for Hashicorp {
    fn open(request: OpenRequest, context: Context) -> Result<Box<dyn Vault>> {
        let server = Server::new(&request)?;
        if request.kind == DYNAMIC {
            return Ok(Box::new(Dynamic::new(server, &request.parameters, context)?));
        }
        let kv = Kv::new(&request.parameters)?;
        Ok(Box::new(Keeper { server, kv, context }))
    }
}

/// Warns of what others can read on the way.
pub(crate) fn warn_of_clear_text(server: &Server, context: &Context) {
    if server.address().is_clear() {
        let address = server.address();
        context.warn(&format!(
            "{address} is asked without TLS: token and secrets can be read on the way"
        ));
    }
}

/// A vault that keeps secrets.
struct Keeper {
    server: Server,
    kv: Kv,
    context: Context,
}

impl Vault for Keeper {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        self.kv.get(&mut self.server, request)
    }

    fn list(&mut self, request: &ListRequest) -> Result<Page> {
        self.kv.list(&mut self.server, request)
    }

    fn describe(&mut self, request: &GetRequest) -> Result<Entry> {
        self.kv.describe(&mut self.server, request)
    }

    fn set(&mut self, request: SetRequest) -> Result<()> {
        self.kv.set(&mut self.server, request)
    }

    fn remove(&mut self, request: &GetRequest) -> Result<()> {
        self.kv.remove(&mut self.server, request)
    }

    fn set_metadata(&mut self, request: &GetRequest, metadata: Metadata) -> Result<()> {
        self.kv.set_metadata(&mut self.server, request, &metadata)
    }

    fn unlock(&mut self, request: &UnlockRequest) -> Result<Option<Session>> {
        self.server.unlock(request)
    }

    fn lock(&mut self, _: Deadline) -> Result<()> {
        self.server.lock()
    }

    fn test(&mut self, deadline: Deadline) -> Result<()> {
        warn_of_clear_text(&self.server, &self.context);
        let version = match self.kv.test(&mut self.server, deadline)? {
            Engine::One => 1,
            Engine::Two => 2,
        };
        let (mount, address) = (self.kv.mount(), self.server.address());
        self.context.info(&format!("the mount `{mount}` of {address} is KV version {version}"));
        Ok(())
    }

    fn versions(&mut self, request: &GetRequest) -> Result<Vec<Version>> {
        self.kv.versions(&mut self.server, request)
    }

    fn actions(&mut self, _: Deadline) -> Result<Vec<Action>> {
        Ok(action::all())
    }

    fn act(&mut self, request: &ActRequest) -> Result<Outcome> {
        if !action::all().iter().any(|action| action.id == request.action) {
            let message = format!("this vault has no action `{}`", request.action);
            return Err(Error::unsupported(message));
        }
        action::act(&mut self.server, &mut self.kv, request)
    }
}
