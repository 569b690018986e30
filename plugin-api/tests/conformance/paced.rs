//! A vault whose calls take a while, by a clock that only they move: no test waits for them, and no
//! busy machine makes them longer.

#[cfg(feature = "next")]
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use keystead_plugin_api::testing::{Places, Subject};
use keystead_plugin_api::*;

use crate::faulty::Faults;

/// Opens vaults whose calls take a while, an opening too.
pub struct Paced {
    pub vaults: Faults,
    pub places: Places,
    clock: Arc<Clock>,
}

/// A clock that only calls move. Each thread that calls has a time of its own: it begins when the first
/// thread starts it, or when its vault was called last, and the first one, which makes no calls
/// meanwhile, goes on at the latest of all.
pub struct Clock {
    /// How long a call takes.
    pause: Duration,
    /// Whether a call really takes so long.
    sleeps: bool,
    began: Instant,
    first: ThreadId,
    calls: Mutex<HashMap<ThreadId, u32>>,
}

impl Clock {
    /// Returns the time of this thread, in calls, after so many more that begin at this time or later.
    fn after(&self, earliest: u32, calls: u32) -> u32 {
        if self.sleeps {
            thread::sleep(self.pause * calls);
        }
        let mut all = self.calls.lock().unwrap();
        let thread = thread::current().id();
        let latest = all.values().copied().max().unwrap_or(0);
        let start = match thread == self.first {
            true => latest,
            false => all.get(&thread).or_else(|| all.get(&self.first)).copied().unwrap_or(0),
        };
        let end = start.max(earliest) + calls;
        all.insert(thread, end);
        end
    }
}

impl Paced {
    pub fn new(vaults: Faults, pause: Duration) -> Self {
        let first = thread::current().id();
        let (calls, places) = (Mutex::default(), vaults.places());
        Self {
            vaults,
            places,
            clock: Arc::new(Clock { pause, sleeps: false, began: Instant::now(), first, calls }),
        }
    }

    /// Has calls really take so long, by the clock on the wall.
    pub fn sleeping(mut self) -> Self {
        Arc::get_mut(&mut self.clock).expect("nothing was opened").sleeps = true;
        self
    }

    /// Returns how long all calls so far have taken.
    pub fn spent(&self) -> Duration {
        self.clock.pause * self.clock.after(0, 0)
    }
}

impl Subject for Paced {
    fn open(&self, vault: &str, session: Option<Session>) -> Result<Box<dyn Vault>> {
        let at = self.clock.after(0, 1);
        let vault = self.vaults.open(vault, session)?;
        Ok(Box::new(Counted { vault, clock: Arc::clone(&self.clock), at }))
    }

    fn kept_session(&self) -> Option<Session> {
        self.vaults.kept_session()
    }

    fn places(&self) -> Places {
        self.places
    }

    fn now(&self) -> Instant {
        match self.clock.sleeps {
            true => Instant::now(),
            false => self.clock.began + self.spent(),
        }
    }
}

struct Counted {
    vault: Box<dyn Vault>,
    clock: Arc<Clock>,
    /// When its last call ended.
    at: u32,
}

macro_rules! counted {
    ($($call:ident($request:ty) -> $answer:ty;)*) => {$(
        fn $call(&mut self, request: $request) -> Result<$answer> {
            self.at = self.clock.after(self.at, 1);
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
        self.at = self.clock.after(self.at, request.requests.len() as u32);
        self.vault.get_many(request)
    }

    fn set_many(&mut self, request: SetManyRequest) -> Result<SetManyResults> {
        self.at = self.clock.after(self.at, request.requests.len() as u32);
        self.vault.set_many(request)
    }

    #[cfg(feature = "next")]
    fn health(&mut self, deadline: Deadline) -> Result<BTreeMap<String, String>> {
        self.vault.health(deadline)
    }
}
