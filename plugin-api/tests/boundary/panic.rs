//! A panic, wherever it happens, becomes an error of that handle and of nothing else.

use std::sync::Once;

use keystead_plugin_api::*;

use crate::host::{
    describe, get, get_many, open, remove, set, set_metadata, soon, text_parameter, versions,
};

struct Fragile;

/// Panics in the call that its parameter `in` names.
struct Cracked {
    context: Context,
    place: String,
}

impl Plugin for Fragile {
    fn open(request: OpenRequest, context: Context) -> Result<Box<dyn Vault>> {
        let place = request.parameters.text("in").unwrap_or("").to_owned();
        let cracked = Cracked { context, place };
        cracked.call("open");
        Ok(Box::new(cracked))
    }
}

/// A payload that panics once more when it is dropped.
struct Grudge;

impl Drop for Grudge {
    fn drop(&mut self) {
        panic!("on purpose, again");
    }
}

impl Cracked {
    fn call(&self, place: &str) {
        self.context.info(place);
        if self.place == place {
            quiet();
            std::panic::panic_any(Grudge);
        }
    }
}

impl Drop for Cracked {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.call("drop");
        }
    }
}

/// Keeps panics that are on purpose out of the tests' output.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let message = info.to_string();
            if !message.contains("on purpose") && !info.payload().is::<Grudge>() {
                loud(info);
            }
        }));
    });
}

impl Vault for Cracked {
    fn get(&mut self, _: &GetRequest) -> Result<Secret> {
        self.call("get");
        Ok(Secret::new(Value::text("fine")))
    }
    fn list(&mut self, _: &ListRequest) -> Result<Page> {
        self.call("list");
        Ok(Page::default())
    }
    fn describe(&mut self, request: &DescribeRequest) -> Result<Entry> {
        self.call("describe");
        Ok(Entry::new(request.name.clone(), None, Metadata::new()))
    }
    fn set(&mut self, _: SetRequest) -> Result<Written> {
        self.call("set");
        Ok(Written::new())
    }
    fn set_many(&mut self, _: SetManyRequest) -> Result<SetManyResults> {
        self.call("set_many");
        Ok(SetManyResults::new(vec![Ok(Written::new())]))
    }
    fn remove(&mut self, _: &RemoveRequest) -> Result<Removed> {
        self.call("remove");
        Ok(Removed::new())
    }
    fn set_metadata(&mut self, _: SetMetadataRequest) -> Result<MetadataWritten> {
        self.call("set_metadata");
        Ok(MetadataWritten::new())
    }
    fn unlock(&mut self, _: &UnlockRequest) -> Result<Unlocked> {
        self.call("unlock");
        Ok(Unlocked::new())
    }
    fn lock(&mut self, _: &LockRequest) -> Result<Locked> {
        self.call("lock");
        Ok(Locked::new())
    }
    fn test(&mut self, _: &TestRequest) -> Result<TestReport> {
        self.call("test");
        Ok(TestReport::new())
    }
    fn unregister(&mut self, _: &UnregisterRequest) -> Result<Unregistered> {
        self.call("unregister");
        Ok(Unregistered::new())
    }
    fn get_many(&mut self, _: &GetManyRequest) -> Result<GetManyResults> {
        self.call("get_many");
        Ok(GetManyResults::new(vec![Err(Error::not_found())]))
    }
    fn versions(&mut self, _: &VersionsRequest) -> Result<VersionPage> {
        self.call("versions");
        Ok(VersionPage::default())
    }
    fn actions(&mut self, _: &ActionsRequest) -> Result<ActionList> {
        self.call("actions");
        Ok(ActionList::default())
    }
    fn run_action(&mut self, _: &ActionRequest) -> Result<ActionOutcome> {
        self.call("run_action");
        Ok(ActionOutcome::new("fine"))
    }
}

type Call = fn(&mut dyn Vault) -> Result<()>;

const CALLS: &[(&str, Call)] = &[
    ("get", |vault| vault.get(&get("n")).map(drop)),
    ("list", |vault| vault.list(&ListRequest::new(soon())).map(drop)),
    ("describe", |vault| vault.describe(&describe("n")).map(drop)),
    ("set", |vault| vault.set(set("n", Value::text("x"))).map(drop)),
    ("set_many", |vault| {
        vault.set_many(SetManyRequest::new(vec![set("n", Value::text("x"))])).map(drop)
    }),
    ("remove", |vault| vault.remove(&remove("n")).map(drop)),
    ("set_metadata", |vault| vault.set_metadata(set_metadata("n", Metadata::new())).map(drop)),
    ("unlock", |vault| vault.unlock(&UnlockRequest::new("", vec![], soon())).map(drop)),
    ("lock", |vault| vault.lock(&LockRequest::new(soon())).map(drop)),
    ("test", |vault| vault.test(&TestRequest::new(soon())).map(drop)),
    ("unregister", |vault| vault.unregister(&UnregisterRequest::new(soon())).map(drop)),
    ("get_many", |vault| vault.get_many(&get_many(&["n"])).map(drop)),
    ("versions", |vault| vault.versions(&versions("n")).map(drop)),
    ("actions", |vault| vault.actions(&ActionsRequest::new(soon())).map(drop)),
    ("run_action", |vault| {
        vault.run_action(&ActionRequest::new("a", Parameters::new(), soon())).map(drop)
    }),
];

#[test]
fn panic_in_any_call_is_error_and_poisons_only_its_handle() {
    for (place, call) in CALLS {
        let (cracked, notes) = open::<Fragile>(text_parameter("in", place));
        let (sound, _) = open::<Fragile>(Parameters::new());
        let (mut cracked, mut sound) = (cracked.unwrap(), sound.unwrap());

        let fault = call(&mut cracked).unwrap_err();
        assert_eq!(fault, Error::internal(format!("the plugin panicked in `{place}`")));

        notes.take();
        for (_, call) in CALLS {
            let fault = call(&mut cracked).unwrap_err();
            assert_eq!(fault, Error::internal("the plugin panicked earlier in this vault"));
        }
        drop(cracked);
        assert_eq!(notes.take(), [""; 0], "code of the author's ran after the panic in {place}");
        for (_, call) in CALLS {
            call(&mut sound).unwrap();
        }
    }
}

#[test]
fn panic_in_open_is_error_and_closes_context() {
    let (vault, notes) = open::<Fragile>(text_parameter("in", "open"));
    assert_eq!(vault.err(), Some(Error::internal("the plugin panicked in `open`")));
    assert_eq!(notes.take(), ["Info: open", "context closed"]);
}

#[test]
fn panic_in_vault_drop_stays_in_plugin() {
    let (vault, notes) = open::<Fragile>(text_parameter("in", "drop"));
    drop(vault.unwrap());
    assert_eq!(notes.take(), ["Info: open", "Info: drop", "context closed"]);
}

struct Caller;

impl Plugin for Caller {
    fn open(_: OpenRequest, context: Context) -> Result<Box<dyn Vault>> {
        context.info("the host panics on purpose");
        let run = ExecRequest::new("the host panics on purpose", vec![], soon());
        Err(context.exec(run).unwrap_err())
    }
}

#[test]
fn host_service_panic_does_not_unwind_into_plugin() {
    quiet();
    let (vault, _) = open::<Caller>(Parameters::new());
    assert_eq!(vault.err(), Some(Error::internal("the host panicked")));
}
