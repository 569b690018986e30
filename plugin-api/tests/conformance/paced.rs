//! A vault whose calls take a while, by a clock that only they move: no test waits for them, and no
//! busy machine makes them longer.

#[cfg(feature = "next")]
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keystead_plugin_api::testing::{Places, Subject};
use keystead_plugin_api::*;

use crate::faulty::Faults;

/// Opens vaults whose calls take a while, an opening too.
pub struct Paced {
    vaults: Faults,
    /// How long a call takes.
    pause: Duration,
    calls: Arc<AtomicU32>,
    began: Instant,
}

impl Paced {
    pub fn new(vaults: Faults, pause: Duration) -> Self {
        Self { vaults, pause, calls: Arc::default(), began: Instant::now() }
    }

    /// Returns how long all calls so far have taken.
    pub fn spent(&self) -> Duration {
        self.pause * self.calls.load(SeqCst)
    }
}

impl Subject for Paced {
    fn open(&mut self, vault: &str, session: Option<Session>) -> Result<Box<dyn Vault>> {
        self.calls.fetch_add(1, SeqCst);
        let vault = self.vaults.open(vault, session)?;
        Ok(Box::new(Counted { vault, calls: Arc::clone(&self.calls) }))
    }

    fn kept_session(&mut self) -> Option<Session> {
        self.vaults.kept_session()
    }

    fn places(&self) -> Places {
        self.vaults.places()
    }

    fn now(&self) -> Instant {
        self.began + self.spent()
    }
}

struct Counted {
    vault: Box<dyn Vault>,
    calls: Arc<AtomicU32>,
}

macro_rules! counted {
    ($($call:ident($request:ty) -> $answer:ty;)*) => {$(
        fn $call(&mut self, request: $request) -> Result<$answer> {
            self.calls.fetch_add(1, SeqCst);
            self.vault.$call(request)
        }
    )*};
}

impl Vault for Counted {
    counted! {
        get(&GetRequest) -> Secret;
        list(&ListRequest) -> Page;
        describe(&DescribeRequest) -> Entry;
        set(SetRequest) -> Written;
        remove(&RemoveRequest) -> Removed;
        rename(&RenameRequest) -> Renamed;
        set_metadata(SetMetadataRequest) -> MetadataWritten;
        unlock(&UnlockRequest) -> Unlocked;
        lock(&LockRequest) -> Locked;
        test(&TestRequest) -> TestReport;
        unregister(&UnregisterRequest) -> Unregistered;
        versions(&VersionsRequest) -> VersionPage;
        list_removed(&ListRemovedRequest) -> RemovedPage;
        restore(&RestoreRequest) -> Restored;
        purge(&PurgeRequest) -> Purged;
        rules(&RulesRequest) -> Rules;
        actions(&ActionsRequest) -> ActionList;
        run_action(&ActionRequest) -> ActionOutcome;
    }

    // One after the other, as most vaults do it.
    fn get_many(&mut self, request: &GetManyRequest) -> Result<GetManyResults> {
        self.calls.fetch_add(request.requests.len() as u32, SeqCst);
        self.vault.get_many(request)
    }

    fn set_many(&mut self, request: SetManyRequest) -> Result<SetManyResults> {
        self.calls.fetch_add(request.requests.len() as u32, SeqCst);
        self.vault.set_many(request)
    }

    #[cfg(feature = "next")]
    fn health(&mut self, deadline: Deadline) -> Result<BTreeMap<String, String>> {
        self.vault.health(deadline)
    }
}
