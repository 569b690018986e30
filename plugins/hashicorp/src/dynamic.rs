//! Secrets that an engine creates on request, each with a lease and a limited lifetime. A handle
//! returns the same secret again during most of its lifetime instead of creating another.

use std::collections::BTreeMap;

use keystead_plugin_api::{
    Action, ActionList, ActionOutcome, ActionRequest, ActionsRequest, Credential, Deadline, Entry,
    Error, ErrorKind, GetRequest, ListRequest, LockRequest, Locked, Map, Metadata, MetadataValue,
    Page, Parameter, ParameterKind, Parameters, Result, Secret, SecretBytes, SecretName,
    SecretText, TestReport, TestRequest, UnlockRequest, Unlocked, Value, ValueKind, Vault,
};
use serde_json::value::RawValue;

use crate::answer::{Answer, no_answer};
use crate::json::{Object, as_object, as_string, string, written};
use crate::kv::Mount;
use crate::server::{Ask, Server};
use crate::settings::{folder, is_path};
use crate::{field, vault};

/// Prefix of the names of a database's static roles.
const STATIC: &str = "static/";

/// The most secrets that a handle caches.
const MOST: usize = 1_000;

/// One open vault.
pub(crate) struct Dynamic {
    server: Server,
    mount: String,
    engine: Option<Engine>,
    made: BTreeMap<String, Made>,
}

/// Type of engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    /// Database users, by role; static roles too.
    Database,
    /// Certificates, by role and name.
    Pki,
    /// Any other engine that has `creds/ROLE`.
    Other,
}

/// A created secret.
struct Made {
    secret: Secret,
    /// End of the time in which it is returned again, in milliseconds since 1970.
    again: i64,
}

impl Dynamic {
    /// Returns the vault for these parameters.
    pub(crate) fn new(server: Server, parameters: &Parameters) -> Result<Self> {
        let mount = folder("mount", parameters.text("mount").unwrap_or_default())?;
        if mount.is_empty() {
            return Err(Error::invalid("`mount` is empty"));
        }
        Ok(Self { server, mount, engine: None, made: BTreeMap::new() })
    }

    fn engine(&mut self, deadline: Deadline) -> Result<Engine> {
        if let Some(engine) = self.engine {
            return Ok(engine);
        }
        let found = Mount::ask(&mut self.server, &self.mount, deadline)?;
        let engine = match &*found.kind {
            "database" => Engine::Database,
            "pki" => Engine::Pki,
            "kv" | "generic" | "cubbyhole" => {
                let message = format!(
                    "the mount `{}` keeps secrets and makes none: register it as the kind `kv`",
                    self.mount
                );
                return Err(Error::invalid(message));
            }
            _ => Engine::Other,
        };
        self.engine = Some(engine);
        Ok(engine)
    }

    /// Requests a new secret from the server.
    fn make(&mut self, name: &str, deadline: Deadline) -> Result<Made> {
        let engine = self.engine(deadline)?;
        let (path, body) = match (engine, name.split_once('/')) {
            (Engine::Pki, None) => (format!("issue/{name}"), Some(SecretBytes::copy_of(b"{}"))),
            (Engine::Pki, Some((role, common))) => {
                (format!("issue/{role}"), Some(for_name(common)?))
            }
            (Engine::Database, Some(("static", role))) => (format!("static-creds/{role}"), None),
            (_, _) => (format!("creds/{name}"), None),
        };
        let path = format!("{}/{path}", self.mount);
        let ask = match &body {
            Some(body) => Ask::post(&path, body),
            // Each request creates a secret, so a repeat is not safe.
            None => Ask { repeat: keystead_rest::Repeat::Never, ..Ask::get(&path) },
        };
        let reply = self.server.ask(&ask, deadline)?;
        if !reply.is_success() {
            let read = Answer::read(&reply, self.server.address());
            if read.as_ref().is_ok_and(|answer| answer.says("unsupported path")) {
                return Err(Error::not_found());
            }
            let unknown = read.is_ok_and(|answer| {
                answer.is_nothing(&reply) || (reply.status == 400 && answer.says("unknown role"))
            });
            return Err(match unknown {
                true => Error::not_found(),
                // The request contained no secret, only a name.
                false => self.server.refused_openly(&ask, &reply),
            });
        }
        let answer = Answer::read(&reply, self.server.address())?;
        made(&answer).ok_or_else(|| no_answer(self.server.address()))?
    }

    /// Returns the available names, sorted.
    fn names(&mut self, deadline: Deadline) -> Result<Vec<String>> {
        let engine = self.engine(deadline)?;
        let mut names = self.roles("roles", "", deadline)?;
        if engine == Engine::Database {
            names.extend(self.roles("static-roles", STATIC, deadline)?);
        }
        names.sort_unstable();
        Ok(names)
    }

    fn roles(&mut self, part: &str, prefix: &str, deadline: Deadline) -> Result<Vec<String>> {
        let path = format!("{}/{part}", self.mount);
        let ask = Ask::list(&path);
        let reply = self.server.ask(&ask, deadline)?;
        let Some(answer) = self.server.found(&ask, &reply)? else { return Ok(Vec::new()) };
        let keys = answer.data.and_then(as_object).and_then(|mut data| data.remove("keys"));
        let keys = keys.and_then(|raw| serde_json::from_str::<Vec<String>>(raw.get()).ok());
        let keys = keys.ok_or_else(|| no_answer(self.server.address()))?;
        Ok(keys.into_iter().map(|key| format!("{prefix}{key}")).collect())
    }
}

/// Returns the request body for a certificate of this name.
fn for_name(common: &str) -> Result<SecretBytes> {
    written(|to| {
        to.write_all(b"{\"common_name\":")?;
        string(to, common)?;
        to.write_all(b"}")
    })
}

/// Returns the parsed secret; `None` if the reply does not have the expected form.
fn made(answer: &Answer<'_>) -> Option<Result<Made>> {
    let data = as_object(answer.data?)?;
    let now = crate::now();
    let seconds = |name: &str| data.get(name)?.get().parse::<i64>().ok();
    let ends = match (answer.lease_duration, seconds("expiration"), seconds("ttl")) {
        (lease @ 1.., ..) => {
            Some(now.saturating_add(i64::try_from(lease).ok()?.saturating_mul(1000)))
        }
        (_, Some(expiration), _) => Some(expiration.saturating_mul(1000)),
        (_, _, Some(ttl)) => Some(now.saturating_add(ttl.saturating_mul(1000))),
        _ => None,
    };
    let mut metadata = Metadata::new();
    let described = (|| {
        // The lease is valid only on this server; the expiry time also applies to a copy.
        let mut lease = |key: &str, value| metadata.insert_read_only(key, value).map(drop);
        if !answer.lease_id.is_empty() {
            lease("lease-id", MetadataValue::Text(answer.lease_id.clone()))?;
            lease("renewable", MetadataValue::Boolean(answer.renewable))?;
        }
        if answer.lease_duration > 0 {
            let seconds = i64::try_from(answer.lease_duration).unwrap_or(i64::MAX);
            lease("lease-seconds", MetadataValue::Integer(seconds))?;
        }
        if let Some(serial) = data.get("serial_number").and_then(|raw| as_string(raw)) {
            metadata.insert("serial-number", MetadataValue::Text(serial))?;
        }
        let end = ends.map(|ends| metadata.insert("expires", MetadataValue::Timestamp(ends)));
        end.transpose().map(drop)
    })();
    // An expiry time beyond the year 9999 is an error.
    if let Err(error) = described {
        return Some(Err(Error::corrupt(format!("what was made: {}", error.message()))));
    }
    // Every caller gets at least a third of the lifetime.
    let again = ends.map_or(now, |ends| now.saturating_add(ends.saturating_sub(now) / 3 * 2));
    Some(value(data).map(|value| Made { secret: Secret::with_metadata(value, metadata), again }))
}

/// Returns the value of a created secret: a credential if it has a user name and a password.
fn value(data: Object<'_>) -> Result<Value> {
    let text = |name: &str| data.get(name).and_then(|raw: &&RawValue| as_string(raw));
    if let Some(password) = text("password").map(SecretText::new)
        && let Some(user) = text("username")
    {
        return Ok(Value::Credential(Credential::new(user, password)));
    }
    let mut map = Map::new();
    for (key, raw) in data {
        let value = match field::lines(raw) {
            Some(lines) => Value::Text(lines),
            None => field::unshaped(raw, 2)?,
        };
        map.insert(key, value);
    }
    Ok(Value::Map(map))
}

impl Vault for Dynamic {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        if request.version.is_some() {
            return Err(Error::unsupported("what is made each time has no versions"));
        }
        let name = request.name.as_str();
        if !is_path(name) {
            return Err(Error::not_found());
        }
        let now = crate::now();
        self.made.retain(|_, made| made.again > now);
        if !self.made.contains_key(name) {
            let made = self.make(name, request.deadline)?;
            if made.again <= now || self.made.len() >= MOST {
                return Ok(made.secret);
            }
            self.made.insert(name.to_owned(), made);
        }
        let made = self.made.get(name).ok_or_else(Error::not_found)?;
        let Secret { value, metadata, .. } = &made.secret;
        Ok(Secret::with_metadata(value.duplicate(), metadata.clone()))
    }

    fn list(&mut self, request: &ListRequest) -> Result<Page> {
        let names = self.names(request.deadline)?;
        let kind = match self.engine {
            Some(Engine::Database) => Some(ValueKind::Credential),
            Some(Engine::Pki) => Some(ValueKind::Map),
            _ => None,
        };
        let names = names.iter().filter_map(|name| SecretName::parse(name).ok());
        let entries = names.map(|name| Entry::new(name, kind, Metadata::new()));
        Ok(Page::of(entries, request))
    }

    fn unlock(&mut self, request: &UnlockRequest) -> Result<Unlocked> {
        self.server.unlock(request)
    }

    fn lock(&mut self, _: &LockRequest) -> Result<Locked> {
        self.server.lock()?;
        self.made.clear();
        Ok(Locked::new())
    }

    fn test(&mut self, request: &TestRequest) -> Result<TestReport> {
        vault::warn_of_clear_text(&self.server);
        self.names(request.deadline).map(|_| TestReport::new())
    }

    fn actions(&mut self, _: &ActionsRequest) -> Result<ActionList> {
        const LEASE: &[Parameter] = &[Parameter::required(
            "lease-id",
            ParameterKind::Text,
            "the lease, as metadata has it",
        )];
        Ok(ActionList::new(vec![
            Action::new("renew", "makes a lease last longer").parameters(LEASE),
            Action::new("revoke", "ends a lease now, and what was made for it")
                .parameters(LEASE)
                .destructive(),
        ]))
    }

    fn run_action(&mut self, request: &ActionRequest) -> Result<ActionOutcome> {
        let id = request.parameters.text("lease-id").unwrap_or_default();
        if !matches!(&*request.action, "renew" | "revoke") {
            let message = format!("this vault has no action `{}`", request.action);
            return Err(Error::unsupported(message));
        }
        // A vault of one mount does not change the leases of another.
        if !is_path(id) || !id.starts_with(&format!("{}/", self.mount)) {
            let message = format!("`{id}` is no lease of the mount `{}`", self.mount);
            return Err(Error::invalid(message));
        }
        let body = written(|to| {
            to.write_all(b"{\"lease_id\":")?;
            string(to, id)?;
            to.write_all(b"}")
        })?;
        let path = format!("sys/leases/{}", request.action);
        let ask = Ask::post(&path, &body).harmless();
        let reply = self.server.ask(&ask, request.deadline)?;
        if !reply.is_success() {
            let error = self.server.refused_openly(&ask, &reply);
            return Err(match error.message().contains("lease not found") {
                true => Error::new(ErrorKind::Invalid, format!("there is no lease `{id}`")),
                false => error,
            });
        }
        self.made.retain(|_, made| {
            made.secret.metadata.get("lease-id") != Some(&MetadataValue::Text(id.to_owned()))
        });
        if request.action == "revoke" {
            return Ok(ActionOutcome::new(format!("lease `{id}` is revoked")));
        }
        let answer = Answer::read(&reply, self.server.address())?;
        let seconds = answer.lease_duration;
        Ok(ActionOutcome::new(format!("lease `{id}` is good for {seconds} seconds")))
    }
}
