//! The vaults that the host sees: one that stores secrets, one that creates them.

use keystead_plugin_api::{
    ActionList, ActionOutcome, ActionRequest, ActionsRequest, Context, DescribeRequest, Entry,
    Error, GetRequest, ListRemovedRequest, ListRequest, LockRequest, Locked, MetadataWritten,
    NameEquality, OpenRequest, Page, Plugin, PurgeRequest, Purged, RemoveRequest, Removed,
    RemovedPage, RestoreRequest, Restored, Result, Rules, RulesRequest, Secret, SetMetadataRequest,
    SetRequest, TestReport, TestRequest, UnlockRequest, Unlocked, Vault, VersionPage,
    VersionsRequest, Written,
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
        let server = Server::new(&request, context)?;
        if request.kind == DYNAMIC {
            return Ok(Box::new(Dynamic::new(server, &request.parameters)?));
        }
        let kv = Kv::new(&request.parameters)?;
        Ok(Box::new(Keeper { server, kv }))
    }
}

/// Warns that the connection to the server is not encrypted.
pub(crate) fn warn_of_clear_text(server: &Server) {
    if server.address().is_clear() {
        let address = server.address();
        server.context().warn(&format!(
            "{address} is asked without TLS: token and secrets can be read on the way"
        ));
    }
}

/// A vault that stores secrets.
struct Keeper {
    server: Server,
    kv: Kv,
}

impl Vault for Keeper {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        self.kv.get(&mut self.server, request)
    }

    fn list(&mut self, request: &ListRequest) -> Result<Page> {
        self.kv.list(&mut self.server, request)
    }

    fn describe(&mut self, request: &DescribeRequest) -> Result<Entry> {
        self.kv.describe(&mut self.server, request)
    }

    fn set(&mut self, request: SetRequest) -> Result<Written> {
        self.kv.set(&mut self.server, request)
    }

    fn remove(&mut self, request: &RemoveRequest) -> Result<Removed> {
        self.kv.remove(&mut self.server, request)
    }

    fn set_metadata(&mut self, request: SetMetadataRequest) -> Result<MetadataWritten> {
        self.kv.set_metadata(&mut self.server, &request)
    }

    fn list_removed(&mut self, request: &ListRemovedRequest) -> Result<RemovedPage> {
        self.kv.list_removed(&mut self.server, request)
    }

    fn restore(&mut self, request: &RestoreRequest) -> Result<Restored> {
        self.kv.restore(&mut self.server, request)
    }

    fn purge(&mut self, request: &PurgeRequest) -> Result<Purged> {
        self.kv.purge(&mut self.server, request)
    }

    fn rules(&mut self, _: &RulesRequest) -> Result<Rules> {
        let mut rules = Rules::new(NameEquality::Exact);
        rules.name_grammar =
            Some("parts between slashes, none of them empty, `.` or `..`".to_owned());
        Ok(rules)
    }

    fn unlock(&mut self, request: &UnlockRequest) -> Result<Unlocked> {
        self.server.unlock(request)
    }

    fn lock(&mut self, _: &LockRequest) -> Result<Locked> {
        self.server.lock().map(|()| Locked::new())
    }

    fn test(&mut self, request: &TestRequest) -> Result<TestReport> {
        warn_of_clear_text(&self.server);
        let version = match self.kv.test(&mut self.server, request.deadline)? {
            Engine::One => 1,
            Engine::Two => 2,
        };
        let (mount, address) = (self.kv.mount(), self.server.address());
        self.server
            .context()
            .info(&format!("the mount `{mount}` of {address} is KV version {version}"));
        Ok(TestReport::new())
    }

    fn versions(&mut self, request: &VersionsRequest) -> Result<VersionPage> {
        self.kv.versions(&mut self.server, request)
    }

    fn actions(&mut self, _: &ActionsRequest) -> Result<ActionList> {
        Ok(ActionList::new(action::all()))
    }

    fn run_action(&mut self, request: &ActionRequest) -> Result<ActionOutcome> {
        if !action::all().iter().any(|action| action.id == request.action) {
            let message = format!("this vault has no action `{}`", request.action);
            return Err(Error::unsupported(message));
        }
        action::act(&mut self.server, &mut self.kv, request)
    }
}
