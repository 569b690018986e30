//! Keystead's reference plugin, whole on one page: a vault that keeps its secrets as long
//! as it stays open or, with the parameter `file`, in that file in clear text. Not for
//! secrets that matter: for tests, and as the page to start a plugin of your own from.

use std::ops::Bound;

use keystead_plugin_api::manifest::{Capability, Kind, Manifest};
use keystead_plugin_api::*;

use crate::secrets::{new_version, Map, Secrets}; // secrets by name, and their file where there is one

/// What the plugin says of itself; the host reads it without running the plugin.
pub const MANIFEST: Manifest = Manifest::new("memory", env!("CARGO_PKG_VERSION"))
    .description("Secrets in memory, or in a file in clear text: for tests and for plugin authors")
    .vendor("Keystead")
    .license("MIT OR Apache-2.0")
    .kinds(&[Kind::new("memory", "forgets all when it is closed, unless it has a file")
        .can(&[
            Capability::Write,
            Capability::Rename,
            Capability::Conditional,
            Capability::Metadata,
            Capability::Unlock,
            Capability::Actions,
        ])
        .values(ValueKind::ALL)
        .parameters(&[
            Parameter::optional("file", ParameterKind::Path, "keep secrets here, IN CLEAR TEXT"),
            Parameter::optional("locked", ParameterKind::Text, "the password to ask for").secret(),
        ])])
    .permissions(&["files:{file}/..:rw"]);

export_plugin! { plugin: Memory, manifest: MANIFEST }

/// One open vault.
pub struct Memory {
    secrets: Secrets,
    password: Option<SecretText>,
    locked: bool,
    context: Context,
}

impl Plugin for Memory {
    fn open(request: OpenRequest, context: Context) -> Result<Box<dyn Vault>> {
        let secrets = Secrets::new(request.parameters.text("file"))?;
        let password = request.parameters.secret("locked").map(SecretText::duplicate);
        let locked = match (&password, &request.session) {
            (Some(password), Some(session)) => !crate::session::is_good(session, password),
            (password, _) => password.is_some(),
        };
        Ok(Box::new(Self { secrets, password, locked, context }))
    }
}

impl Vault for Memory {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        if request.version.is_some() {
            return Err(Error::unsupported("this vault keeps no earlier versions"));
        }
        let secret = self.unlocked()?.read()?.get(&request.name).ok_or_else(Error::not_found)?;
        Ok(duplicate(secret))
    }

    fn list(&mut self, request: &ListRequest) -> Result<Page> {
        let from = request.after()?.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.unlocked()?.read()?.range((from, Bound::Unbounded));
        let entries = rest.map(|(name, secret)| {
            let kind = Some(secret.value.kind());
            let mut entry = Entry::new(name.clone(), kind, secret.metadata.clone());
            entry.version.clone_from(&secret.version);
            entry
        });
        Ok(Page::of(entries, request))
    }

    fn set(&mut self, request: SetRequest) -> Result<Written> {
        let written = self.unlocked()?.change(request.deadline, |secrets| put(secrets, request))?;
        if self.secrets.file().is_none() {
            self.context.warn("this vault has no file: what is set is gone when it is closed");
        }
        Ok(written)
    }

    fn set_many(&mut self, request: SetManyRequest) -> Result<SetManyResults> {
        let secrets = self.unlocked()?;
        let deadline = match request.requests.first() {
            Some(first) => first.deadline,
            None => return Ok(SetManyResults::new(Vec::new())),
        };
        // The file is written once for all of them.
        secrets.change(deadline, |secrets| {
            let results = request.requests.into_iter().map(|request| put(secrets, request));
            Ok(SetManyResults::new(results.collect()))
        })
    }

    fn remove(&mut self, request: &RemoveRequest) -> Result<Removed> {
        self.unlocked()?.change(request.deadline, |secrets| {
            check_version(request.if_version.as_deref(), version(secrets, &request.name))?;
            secrets.remove(&request.name).map(|_| Removed::new()).ok_or_else(Error::not_found)
        })
    }

    fn rename(&mut self, request: &RenameRequest) -> Result<Renamed> {
        self.unlocked()?.change(request.deadline, |secrets| {
            if !secrets.contains_key(&request.from) {
                return Err(Error::not_found());
            }
            if request.from != request.to && secrets.contains_key(&request.to) {
                return Err(Error::already_exists());
            }
            let secret = secrets.remove(&request.from);
            secrets.extend(secret.map(|secret| (request.to.clone(), secret)));
            Ok(Renamed::new())
        })
    }

    fn set_metadata(&mut self, request: SetMetadataRequest) -> Result<MetadataWritten> {
        self.unlocked()?.change(request.deadline, |secrets| {
            check_version(request.if_version.as_deref(), version(secrets, &request.name))?;
            let secret = secrets.get_mut(&request.name).ok_or_else(Error::not_found)?;
            secret.metadata = request.metadata;
            let version = new_version();
            secret.version = Some(version.clone());
            Ok(MetadataWritten::new().of_version(version))
        })
    }

    fn unlock(&mut self, request: &UnlockRequest) -> Result<Unlocked> {
        let password = self.password.as_ref().ok_or_else(never_locked)?;
        if request.challenge != "password" {
            return Err(Error::invalid("this vault did not give that challenge"));
        }
        if request.answer("password") != Some(password) {
            return Err(Error::permission_denied("the password is wrong"));
        }
        self.locked = false;
        self.context.keep_session(crate::session::new(password));
        Ok(Unlocked::new())
    }

    fn lock(&mut self, _: &LockRequest) -> Result<Locked> {
        self.locked = self.password.is_some();
        self.password.as_ref().map(|_| Locked::new()).ok_or_else(never_locked)
    }

    fn rules(&mut self, _: &RulesRequest) -> Result<Rules> {
        Ok(Rules::new(NameEquality::Exact))
    }

    fn test(&mut self, _: &TestRequest) -> Result<TestReport> {
        if let Some(path) = self.secrets.file() {
            self.context.warn(&format!("secrets are kept in clear text in {}", path.display()));
        }
        self.secrets.read().map(|_| TestReport::new())
    }

    fn actions(&mut self, _: &ActionsRequest) -> Result<ActionList> {
        let clear = Action::new("clear", "removes every secret").destructive();
        Ok(ActionList::new(vec![clear]))
    }

    fn run_action(&mut self, request: &ActionRequest) -> Result<ActionOutcome> {
        if request.action != "clear" {
            let message = format!("this vault has no action `{}`", request.action);
            return Err(Error::unsupported(message));
        }
        self.unlocked()?.change(request.deadline, |secrets| {
            let count = std::mem::take(secrets).len();
            Ok(ActionOutcome::new(format!("secrets removed: {count}")))
        })
    }
}

impl Memory {
    fn unlocked(&mut self) -> Result<&mut Secrets> {
        if !self.locked {
            return Ok(&mut self.secrets);
        }
        let prompt = Prompt::secret("password", "Password");
        Err(Error::locked(Challenge::new("password", vec![prompt])))
    }
}

/// Returns a copy of a secret.
fn duplicate(secret: &Secret) -> Secret {
    let mut copy = Secret::with_metadata(secret.value.duplicate(), secret.metadata.clone());
    copy.version.clone_from(&secret.version);
    copy
}

/// Returns the version of a secret; `None` where there is none.
fn version<'a>(secrets: &'a Map, name: &SecretName) -> Option<&'a str> {
    secrets.get(name)?.version.as_deref()
}

fn put(secrets: &mut Map, request: SetRequest) -> Result<Written> {
    check_version(request.if_version.as_deref(), version(secrets, &request.name))?;
    let old = secrets.get(&request.name);
    request.mode.check(old.is_some())?;
    let kept = old.map(|old| old.metadata.clone()).unwrap_or_default();
    let metadata = request.metadata.unwrap_or(kept);
    let version = new_version();
    let new = Secret::with_metadata(request.value, metadata).of_version(version.clone());
    secrets.insert(request.name, new);
    Ok(Written::new().of_version(version))
}

fn never_locked() -> Error {
    Error::unsupported("this vault is never locked: it was registered without `locked`")
}
