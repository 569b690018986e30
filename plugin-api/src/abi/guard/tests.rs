//! What is refused never reaches the vault.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::challenge::{Challenge, Prompt};
use crate::metadata::{Metadata, MetadataValue};
use crate::name::SecretName;
use crate::parameters::Parameters;
use crate::value::Value;

/// Says yes to everything it is asked once it is unlocked, and keeps the calls.
struct Yes {
    calls: Arc<Mutex<Vec<&'static str>>>,
    locked: Option<&'static str>,
    rules: Rules,
}

impl Yes {
    fn called(&self, call: &'static str) -> Result<()> {
        self.calls.lock().unwrap().push(call);
        match self.locked {
            None => Ok(()),
            Some(id) => {
                let prompts = vec![Prompt::secret("password", "Password")];
                Err(Error::locked(Challenge::new(id, prompts)))
            }
        }
    }
}

impl Vault for Yes {
    fn get(&mut self, _: &GetRequest) -> Result<Secret> {
        self.called("get").map(|()| Secret::new(Value::text("x")))
    }

    fn list(&mut self, _: &ListRequest) -> Result<Page> {
        self.called("list").map(|()| Page::default())
    }

    fn set(&mut self, _: SetRequest) -> Result<Written> {
        self.called("set").map(|()| Written::new())
    }

    fn remove(&mut self, _: &RemoveRequest) -> Result<Removed> {
        self.called("remove").map(|()| Removed::new())
    }

    fn unlock(&mut self, _: &UnlockRequest) -> Result<Unlocked> {
        self.calls.lock().unwrap().push("unlock");
        self.locked = match self.locked {
            Some("first") => Some("second"),
            _ => None,
        };
        self.called("unlocked").map(|()| Unlocked::default())
    }

    fn versions(&mut self, _: &VersionsRequest) -> Result<VersionPage> {
        self.called("versions").map(|()| VersionPage::default())
    }

    fn rename(&mut self, _: &RenameRequest) -> Result<Renamed> {
        self.called("rename").map(|()| Renamed::new())
    }

    fn rules(&mut self, _: &RulesRequest) -> Result<Rules> {
        // Not among the calls: when it is asked is the guard's own business.
        Ok(self.rules.clone())
    }

    fn actions(&mut self, _: &ActionsRequest) -> Result<ActionList> {
        self.called("actions").map(|()| ActionList::new(vec![Action::new("tidy", "tidies")]))
    }

    fn run_action(&mut self, _: &ActionRequest) -> Result<ActionOutcome> {
        self.called("run_action").map(|()| ActionOutcome::new("tidied"))
    }
}

type Calls = Arc<Mutex<Vec<&'static str>>>;

fn guarded(
    locked: Option<&'static str>,
    capabilities: &[Capability],
) -> (Guarded<Box<dyn Vault>>, Calls) {
    let calls = Calls::default();
    let vault: Box<dyn Vault> =
        Box::new(Yes { calls: calls.clone(), locked, rules: Rules::new(NameEquality::Exact) });
    (Guarded::new(vault, capabilities, [ValueKind::Text]), calls)
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(5))
}

fn name() -> SecretName {
    SecretName::parse("x").unwrap()
}

fn refused<T: fmt::Debug>(answer: Result<T>) -> ErrorKind {
    answer.unwrap_err().kind()
}

fn set(value: Value) -> SetRequest {
    SetRequest::new(name(), value, soon())
}

#[test]
fn request_without_capability_is_unsupported_and_not_called() {
    let (mut vault, calls) = guarded(None, &[]);
    let mut get = GetRequest::new(name(), soon());
    get.version = Some("1".into());
    assert_eq!(refused(vault.get(&get)), ErrorKind::Unsupported);
    let newest = GetRequest::new(name(), soon());
    let many = vault.get_many(&GetManyRequest::new(vec![get, newest])).unwrap().results;
    assert!(many[0].is_err() && many[1].is_ok());
    assert_eq!(
        refused(vault.versions(&VersionsRequest::new(name(), soon()))),
        ErrorKind::Unsupported
    );
    assert_eq!(refused(vault.set(set(Value::text("x")))), ErrorKind::Unsupported);
    let remove = RemoveRequest::new(name(), soon());
    assert_eq!(refused(vault.remove(&remove)), ErrorKind::Unsupported);
    let unlock = UnlockRequest::new("first", Vec::new(), soon());
    assert_eq!(refused(vault.unlock(&unlock)), ErrorKind::Unsupported);
    assert_eq!(refused(vault.lock(&LockRequest::new(soon()))), ErrorKind::Unsupported);
    assert_eq!(vault.actions(&ActionsRequest::new(soon())).unwrap(), ActionList::default());
    assert_eq!(*calls.lock().unwrap(), ["get"]);
}

#[test]
fn undeclared_value_kind_or_metadata_is_unsupported() {
    let (mut vault, calls) = guarded(None, &[Capability::Write]);
    assert_eq!(refused(vault.set(set(Value::bytes(vec![1])))), ErrorKind::Unsupported);
    let mut about = Metadata::new();
    about.insert("k", MetadataValue::Text("v".into())).unwrap();
    let mut with = set(Value::text("x"));
    with.metadata = Some(about);
    assert_eq!(refused(vault.set(with)), ErrorKind::Unsupported);
    assert!(calls.lock().unwrap().is_empty());
    let mut without = set(Value::text("x"));
    without.metadata = Some(Metadata::new());
    vault.set(without).unwrap();

    let many = vec![set(Value::bytes(vec![1])), set(Value::text("x"))];
    let results = vault.set_many(SetManyRequest::new(many)).unwrap().results;
    assert!(results[0].is_err() && results[1].is_ok());
    let none = vec![set(Value::bytes(vec![1]))];
    assert!(vault.set_many(SetManyRequest::new(none)).unwrap().results[0].is_err());
    assert_eq!(*calls.lock().unwrap(), ["set", "set"]);
}

#[test]
fn unlock_with_stale_challenge_is_invalid() {
    let (mut vault, calls) = guarded(Some("first"), &[Capability::Unlock]);
    let unlock = |vault: &mut Guarded<_>, id: &str| {
        vault.unlock(&UnlockRequest::new(id, Vec::new(), soon()))
    };
    assert_eq!(refused(unlock(&mut vault, "first")), ErrorKind::Invalid);
    let get = GetRequest::new(name(), soon());
    assert_eq!(refused(vault.get(&get)), ErrorKind::Locked);
    assert_eq!(refused(unlock(&mut vault, "other")), ErrorKind::Invalid);
    assert_eq!(refused(unlock(&mut vault, "first")), ErrorKind::Locked);
    assert_eq!(refused(unlock(&mut vault, "first")), ErrorKind::Invalid);
    unlock(&mut vault, "second").unwrap();
    // It was answered: not a second time.
    assert_eq!(refused(unlock(&mut vault, "second")), ErrorKind::Invalid);
    vault.get(&get).unwrap();
    let calls = calls.lock().unwrap();
    assert_eq!(*calls, ["get", "unlock", "unlocked", "unlock", "unlocked", "get"]);
}

#[test]
fn challenge_from_before_lock_is_invalid() {
    let (mut vault, calls) = guarded(Some("first"), &[Capability::Unlock]);
    assert_eq!(refused(vault.get(&GetRequest::new(name(), soon()))), ErrorKind::Locked);
    let _ = vault.lock(&LockRequest::new(soon()));
    let request = UnlockRequest::new("first", Vec::new(), soon());
    assert_eq!(refused(vault.unlock(&request)), ErrorKind::Invalid);
    assert_eq!(*calls.lock().unwrap(), ["get"]);
}

#[test]
fn unknown_action_is_unsupported_and_not_run() {
    let (mut vault, calls) = guarded(None, &[Capability::Actions]);
    let act = |id: &str| ActionRequest::new(id, Parameters::new(), soon());
    assert_eq!(refused(vault.run_action(&act("sweep"))), ErrorKind::Unsupported);
    vault.run_action(&act("tidy")).unwrap();
    assert_eq!(*calls.lock().unwrap(), ["actions", "run_action"]);
}

#[test]
fn name_or_value_over_vault_limit_is_unsupported() {
    let calls = Calls::default();
    let mut rules = Rules::new(NameEquality::Exact);
    (rules.max_name_bytes, rules.max_value_bytes) = (Some(1), Some(1));
    let vault: Box<dyn Vault> = Box::new(Yes { calls: calls.clone(), locked: None, rules });
    let can = [Capability::Write, Capability::Rename];
    let mut vault = Guarded::new(vault, can, [ValueKind::Text]);
    let long = || SecretName::parse("xx").unwrap();
    assert_eq!(refused(vault.set(set(Value::text("xx")))), ErrorKind::Unsupported);
    let request = SetRequest::new(long(), Value::text("x"), soon());
    assert_eq!(refused(vault.set(request)), ErrorKind::Unsupported);
    let rename = RenameRequest::new(name(), long(), soon());
    assert_eq!(refused(vault.rename(&rename)), ErrorKind::Unsupported);
    assert!(calls.lock().unwrap().is_empty());
    let many = vec![set(Value::text("xx")), set(Value::text("x"))];
    let results = vault.set_many(SetManyRequest::new(many)).unwrap().results;
    assert!(results[0].is_err() && results[1].is_ok());
    vault.rename(&RenameRequest::new(name(), name(), soon())).unwrap();
    assert_eq!(*calls.lock().unwrap(), ["set", "rename"]);
}
