//! A vault that keeps every obligation but the one it is told to break, and the subject
//! that opens it. Its secrets outlive its handles, as those of most vaults do.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::place::{copy, expect, with_own, Place, OWN};
use keystead_plugin_api::manifest::{Capability, NameRule};
use keystead_plugin_api::testing::{Declared, Places, Stop, Subject};
use keystead_plugin_api::*;

/// The password of the vault, where it has one.
pub const PASSWORD: &str = "canary-password";

/// The most entries on a page unless a test says otherwise: small, so that there are many pages.
const PAGE: usize = 10;

/// Opens vaults with one fault.
pub struct Faults {
    pub fault: &'static str,
    pub capabilities: Vec<Capability>,
    pub values: Vec<ValueKind>,
    pub locked: bool,
    /// Which write stops the check, once it is done.
    pub stops: Option<(&'static str, Stop)>,
    /// The most entries on a page, whatever is asked for.
    pub page: usize,
    /// Calls that are under way, of those that must not meet.
    busy: Arc<AtomicUsize>,
    places: Mutex<BTreeMap<String, Arc<Mutex<Place>>>>,
}

impl Faults {
    /// Returns vaults that have every capability and this fault.
    pub fn new(fault: &'static str) -> Self {
        let (mut capabilities, mut values) = (Capability::ALL.to_vec(), ValueKind::ALL.to_vec());
        // Some obligations are about what is not declared.
        if fault == "unsupported" {
            capabilities.retain(|capability| *capability != Capability::Versions);
        }
        if fault == "set-kind" {
            values.retain(|kind| *kind != ValueKind::Map);
        }
        Self {
            fault,
            capabilities,
            values,
            locked: true,
            stops: None,
            page: PAGE,
            busy: Arc::default(),
            places: Mutex::default(),
        }
    }

    pub fn declared(&self) -> Declared {
        let rule = NameRule::CaseSensitive;
        let declared = Declared::new(self.capabilities.clone(), self.values.clone(), rule);
        match self.locked {
            true => declared.answering("password", SecretText::new(PASSWORD)),
            false => declared,
        }
    }

    /// Returns where the secrets of this vault are.
    pub fn place(&self, vault: &str) -> Arc<Mutex<Place>> {
        let place = if self.fault == "own-handle" { "one for all" } else { vault };
        self.places.lock().unwrap().entry(place.to_owned()).or_default().clone()
    }

    pub fn names(&self, vault: &str) -> Vec<String> {
        let place = self.place(vault);
        let place = place.lock().unwrap();
        place.secrets.keys().map(|name| name.to_string()).collect()
    }

    /// Returns the names of all vaults that were ever opened.
    pub fn vaults(&self) -> Vec<String> {
        self.places.lock().unwrap().keys().cloned().collect()
    }

    pub fn insert(&self, vault: &str, key: &str, value: Value) {
        self.place(vault).lock().unwrap().insert(key, value);
    }
}

impl Subject for Faults {
    fn open(&self, vault: &str, session: Option<Session>) -> Result<Box<dyn Vault>> {
        let place = self.place(vault);
        if self.fault == "open-no-login" {
            return Err(Error::permission_denied("log in first"));
        }
        if self.fault == "open-no-effect" {
            let mut place = place.lock().unwrap();
            place.count += 1;
            let key = format!("welcome {}", place.count);
            place.insert(&key, Value::text("welcome"));
        }
        let unsaved = std::mem::take(&mut place.lock().unwrap().unsaved);
        place.lock().unwrap().secrets.retain(|name, _| !unsaved.contains(name));
        let locked = self.locked && session.is_none();
        let (capabilities, values) = (self.capabilities.clone(), self.values.clone());
        let (fault, stops, page) = (self.fault, self.stops.clone(), self.page);
        let number = format!("{}-", place.lock().unwrap().version());
        let (busy, seen) = (Arc::clone(&self.busy), BTreeMap::new());
        let faulty =
            Faulty { fault, capabilities, values, locked, stops, page, place, number, busy, seen };
        Ok(Box::new(faulty))
    }

    fn kept_session(&self) -> Option<Session> {
        self.places.lock().unwrap().values().find_map(|place| place.lock().unwrap().session.take())
    }

    fn places(&self) -> Places {
        Places::Separate
    }
}

struct Faulty {
    fault: &'static str,
    capabilities: Vec<Capability>,
    values: Vec<ValueKind>,
    locked: bool,
    stops: Option<(&'static str, Stop)>,
    page: usize,
    place: Arc<Mutex<Place>>,
    number: String,
    busy: Arc<AtomicUsize>,
    /// What it has read before, where it remembers that.
    seen: BTreeMap<SecretName, Secret>,
}

impl Faulty {
    fn has(&self, fault: &str) -> bool {
        self.fault == fault
    }

    fn needs(&self, capability: Capability) -> Result<()> {
        match self.capabilities.contains(&capability) {
            true => Ok(()),
            false => Err(Error::unsupported("not this vault")),
        }
    }

    fn place(&self) -> Result<MutexGuard<'_, Place>> {
        let place = self.place.lock().unwrap();
        if !self.locked || (self.has("open-own-handle") && place.unlocked) {
            return Ok(place);
        }
        let prompt = Prompt::secret("password", "Password");
        let prompts =
            if self.has("no-prompt") { vec![prompt.clone(), prompt] } else { vec![prompt] };
        Err(Error::locked(Challenge::new("password", prompts)))
    }

    fn check_own(&self, metadata: &Metadata) -> Result<()> {
        if metadata.get(OWN).is_some() && !self.has("set-metadata-read-only") {
            return Err(Error::invalid("that is read-only"));
        }
        Ok(())
    }

    /// Waits for another call that is under way at the same time, and returns whether there was one.
    fn met_another(&self) -> bool {
        let began = Instant::now();
        self.busy.fetch_add(1, SeqCst);
        while self.busy.load(SeqCst) < 2 && began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.busy.load(SeqCst) >= 2
    }

    fn writable(&self) -> Result<MutexGuard<'_, Place>> {
        self.needs(Capability::Write)?;
        self.place()
    }
}

/// The most bytes that a value may have.
const MAX_BYTES: usize = 4 << 20;

impl Vault for Faulty {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        if self.has("deadline") && request.deadline.remaining() < Duration::from_secs(1) {
            std::thread::sleep(Duration::from_secs(60));
        }
        if self.has("concurrent-shows") && request.name.as_str().contains("concurrent-shows") {
            if let Some(seen) = self.seen.get(&request.name) {
                return Ok(copy(seen));
            }
            let read = copy(self.place()?.newest(&request.name)?);
            self.seen.insert(request.name.clone(), copy(&read));
            return Ok(read);
        }
        let mut place = self.place()?;
        if let Some(version) = &request.version {
            self.needs(Capability::Versions)?;
            let versions = place.secrets.get(&request.name).ok_or_else(Error::not_found)?;
            let missing = || match self.has("version-missing") {
                true => Error::not_found(),
                false => Error::detailed(ErrorDetail::NoSuchVersion, "no such version"),
            };
            let at = version.parse().map_err(|_| missing())?;
            return versions.get::<usize>(at).map(copy).ok_or_else(missing);
        }
        if self.has("get-no-effect") {
            place.count += 1;
            let key = format!("access log/{}", place.count);
            place.insert(&key, Value::text(""));
        }
        let secret = match place.newest(&request.name) {
            Err(_) if self.has("get-missing") => return Err(Error::unavailable("what?")),
            newest => copy(newest?),
        };
        match &secret.value {
            Value::Text(text) if self.has("get-what-was-set") => {
                let changed = Value::text(text.expose().trim_end());
                let mut secret = secret;
                secret.value = changed;
                Ok(secret)
            }
            Value::Bytes(bytes) if self.has("get-empty") && bytes.is_empty() => {
                Err(Error::not_found())
            }
            _ => Ok(secret),
        }
    }

    fn list(&mut self, request: &ListRequest) -> Result<Page> {
        let place = self.place()?;
        if self.has("not-found-only") && request.pattern.is_some() {
            return Err(Error::not_found());
        }
        let own = if self.has("concurrent-cursors") { self.number.as_str() } else { "" };
        let cursor = request.cursor.as_deref().map_or(Some("0"), |cursor| cursor.strip_prefix(own));
        let cursor = cursor.ok_or_else(|| Error::invalid("not this handle's cursor"))?;
        let mut from: usize = cursor.parse().unwrap();
        if self.has("list-advances") && from > PAGE {
            from = PAGE;
        }
        let mut count = request.limit.min(self.page);
        if self.has("list-limit") && count < PAGE {
            count += 1;
        }
        let entry = |(name, versions): (&SecretName, &Vec<Secret>)| {
            let secret = versions.last().unwrap();
            let mut name = name.clone();
            if self.has("list-as-given") && name.as_str().chars().any(char::is_uppercase) {
                name = SecretName::parse(&name.as_str().to_lowercase()).unwrap();
            }
            let mut metadata = secret.metadata.clone();
            if self.has("list-no-values") && metadata.is_empty() {
                if let Value::Text(text) = &secret.value {
                    let text = MetadataValue::Text(text.expose().chars().take(20).collect());
                    metadata.insert("preview", text).unwrap();
                }
            }
            let metadata = with_own(&metadata);
            let mut entry = Entry::new(name, Some(secret.value.kind()), metadata);
            entry.version.clone_from(&secret.version);
            entry
        };
        let lost = |name: &SecretName| self.has("list-all") && name.as_str().ends_with("00007");
        let for_ever = |entries| Ok(Page::new(entries, Some((from + 1).to_string())));
        match self.fault {
            "empty pages for ever" => return for_ever(Vec::new()),
            "the same page for ever" if !place.secrets.is_empty() => {
                return for_ever(place.secrets.iter().take(count).map(entry).collect());
            }
            "new names for ever" => {
                let name = |n| SecretName::parse(&format!("new {}", from * PAGE + n)).unwrap();
                let new = |n| Entry::new(name(n), None, Metadata::new());
                return for_ever((0..count).map(new).collect());
            }
            _ => {}
        }
        let entries: Vec<Entry> = place.secrets.iter().skip(from).take(count).map(entry).collect();
        let to = from + entries.len();
        let next = (to < place.secrets.len()).then(|| format!("{own}{to}"));
        Ok(Page::new(entries.into_iter().filter(|entry| !lost(&entry.name)).collect(), next))
    }

    fn describe(&mut self, request: &DescribeRequest) -> Result<Entry> {
        let place = self.place()?;
        match place.newest(&request.name) {
            Err(_) if self.has("describe-missing") => Err(Error::unavailable("what?")),
            Err(error) => Err(error),
            Ok(secret) => {
                let kind = secret.value.kind();
                let kind = if self.has("describe-as-listed") { None } else { Some(kind) };
                let metadata = with_own(&secret.metadata);
                let mut entry = Entry::new(request.name.clone(), kind, metadata);
                entry.version.clone_from(&secret.version);
                Ok(entry)
            }
        }
    }

    fn set(&mut self, request: SetRequest) -> Result<Written> {
        if let Some((name, stop)) = &self.stops {
            if request.name.as_str() == *name {
                stop.stop();
            }
        }
        self.needs(Capability::Write)?;
        self.seen.remove(&request.name);
        let meets = ["-calls-0", "-calls-1"].iter().any(|end| request.name.as_str().ends_with(end));
        if self.has("concurrent-calls") && meets && self.met_another() {
            return Err(Error::unavailable("another call is under way"));
        }
        if self.has("locked-no-effect") && self.locked {
            let value = request.value.duplicate();
            self.place.lock().unwrap().insert(request.name.as_str(), value);
        }
        let mut place = self.place()?;
        if !self.values.contains(&request.value.kind()) && !self.has("set-kind") {
            return Err(Error::unsupported("not this kind"));
        }
        if let Some(metadata) = request.metadata.as_ref().filter(|metadata| !metadata.is_empty()) {
            self.needs(Capability::Metadata)?;
            self.check_own(metadata)?;
        }
        if request.value.encoded_len()? > MAX_BYTES && !self.has("rules-limits") {
            return Err(Error::invalid("too large"));
        }
        let version = place.version();
        if !self.has("set-if-version") {
            expect(&place, &request.name, &request.if_version)?;
        }
        let old = place.newest(&request.name).ok();
        match (request.mode, old.is_some()) {
            (WriteMode::CreateOnly, true) if self.has("no-secret-in-error") => {
                let shown = match &request.value {
                    Value::Text(text) => text.expose().to_owned(),
                    _ => String::new(),
                };
                return Err(Error::new(ErrorKind::AlreadyExists, format!("no place for {shown}")));
            }
            (WriteMode::CreateOnly, true) if !self.has("set-create-only") => {
                return Err(Error::already_exists());
            }
            (WriteMode::Replace, false) if !self.has("set-replace") => {
                return Err(Error::not_found());
            }
            _ => {}
        }
        let mut metadata = old.map(|old| old.metadata.clone()).unwrap_or_default();
        match request.metadata {
            Some(given) if self.has("set-metadata-with-value") => {
                for (key, value) in given.iter() {
                    metadata.insert(key, value.clone()).unwrap();
                }
            }
            Some(given) => metadata = given,
            None => {}
        }
        let mut value = request.value;
        if let (Some(Value::Map(old)), Value::Map(new)) = (old.map(|old| &old.value), &mut value) {
            for (key, value) in old.iter().filter(|_| self.has("set-atomic")) {
                if new.get(key).is_none() {
                    new.insert(key, value.duplicate());
                }
            }
        }
        let versions = place.secrets.entry(request.name).or_default();
        versions.push(Secret::with_metadata(value, metadata).of_version(version));
        Ok(Written::new())
    }

    fn set_many(&mut self, request: SetManyRequest) -> Result<SetManyResults> {
        let mut requests = request.requests;
        if self.has("set-many-refused") && self.locked {
            let value = requests[0].value.duplicate();
            self.place.lock().unwrap().insert(requests[0].name.as_str(), value);
        }
        drop(self.place()?);
        if self.has("set-many-order") {
            requests.reverse();
        }
        let mut results: Vec<Result<Written>> = Vec::new();
        for request in requests {
            if self.has("set-many-kept") {
                self.place()?.unsaved.push(request.name.clone());
            }
            let stopped = self.has("set-many-each") && results.iter().any(Result::is_err);
            let late = || Err(Error::timed_out());
            results.push(if stopped { late() } else { self.set(request) });
        }
        if self.has("set-many-order") {
            results.reverse();
        }
        Ok(SetManyResults::new(results))
    }

    fn remove(&mut self, request: &RemoveRequest) -> Result<Removed> {
        self.seen.remove(&request.name);
        let mut place = self.writable()?;
        if !self.has("remove-if-version") {
            expect(&place, &request.name, &request.if_version)?;
        }
        if self.has("removes nothing") {
            return Err(Error::unavailable("not now"));
        }
        if self.has("remove-then-missing") && place.newest(&request.name).is_ok() {
            return Ok(Removed::new());
        }
        let removed = place.secrets.remove(&request.name).map(|removed| {
            place.removed.insert(request.name.clone(), removed);
            Removed::new()
        });
        if self.has("remove-only-that") {
            place.secrets.retain(|name, _| !name.as_str().starts_with(request.name.as_str()));
        }
        match removed {
            None if self.has("remove-missing") => Ok(Removed::new()),
            removed => removed.ok_or_else(Error::not_found),
        }
    }

    fn rename(&mut self, request: &RenameRequest) -> Result<Renamed> {
        self.needs(Capability::Rename)?;
        let mut place = self.writable()?;
        let versions = match place.secrets.get(&request.from) {
            None if self.has("rename-missing") => return Ok(Renamed::new()),
            None => return Err(Error::not_found()),
            Some(versions) => versions,
        };
        if place.secrets.contains_key(&request.to) && !self.has("rename-taken") {
            return Err(Error::already_exists());
        }
        let copies = versions.iter().map(copy).collect();
        place.secrets.insert(request.to.clone(), copies);
        if !self.has("rename-moves") {
            place.secrets.remove(&request.from);
        }
        Ok(Renamed::new())
    }

    fn set_metadata(&mut self, request: SetMetadataRequest) -> Result<MetadataWritten> {
        self.needs(Capability::Metadata)?;
        let mut place = self.writable()?;
        if !self.has("set-metadata-if-version") {
            expect(&place, &request.name, &request.if_version)?;
        }
        self.check_own(&request.metadata)?;
        let version = place.version();
        let secret = match place.secrets.get_mut(&request.name) {
            None if self.has("set-metadata-missing") => return Ok(MetadataWritten::new()),
            versions => versions.and_then(|all| all.last_mut()).ok_or_else(Error::not_found)?,
        };
        secret.version = Some(version);
        if self.has("set-metadata-only") {
            secret.value = Value::text("");
        }
        if self.has("set-metadata-replaces") {
            for (key, value) in request.metadata.iter() {
                secret.metadata.insert(key, value.clone()).unwrap();
            }
        } else {
            secret.metadata = request.metadata;
        }
        Ok(MetadataWritten::new())
    }

    fn unlock(&mut self, request: &UnlockRequest) -> Result<Unlocked> {
        self.needs(Capability::Unlock)?;
        if request.challenge != "password" && !self.has("unlock-stale") {
            return Err(Error::invalid("not mine"));
        }
        let right = request.answer("password") == Some(&SecretText::new(PASSWORD));
        if self.has("unlock-right") || !(right || self.has("unlock-wrong")) {
            return Err(Error::permission_denied("wrong"));
        }
        self.locked = false;
        self.place.lock().unwrap().unlocked = true;
        let secret = SecretBytes::new(b"a session".to_vec());
        let session = Session::new(secret, Duration::from_secs(60));
        self.place.lock().unwrap().session = Some(session);
        Ok(Unlocked::new())
    }

    fn lock(&mut self, _: &LockRequest) -> Result<Locked> {
        self.needs(Capability::Unlock)?;
        self.locked = !self.has("lock-locks");
        self.place.lock().unwrap().unlocked = false;
        Ok(Locked::new())
    }

    fn test(&mut self, _: &TestRequest) -> Result<TestReport> {
        let mut place = self.place()?;
        if self.has("test-read-only") {
            place.count += 1;
            let key = format!("probe {}", place.count);
            place.insert(&key, Value::text(""));
        }
        Ok(TestReport::new())
    }

    fn unregister(&mut self, _: &UnregisterRequest) -> Result<Unregistered> {
        if self.has("unregister-keeps") {
            self.place.lock().unwrap().secrets.clear();
        }
        Ok(Unregistered::new())
    }

    fn get_many(&mut self, request: &GetManyRequest) -> Result<GetManyResults> {
        drop(self.place()?);
        let mut results: Vec<_> =
            request.requests.iter().map(|request| self.get(request)).collect();
        if self.has("get-many-each") {
            results.retain(Result::is_ok);
        }
        Ok(GetManyResults::new(results))
    }

    fn versions(&mut self, request: &VersionsRequest) -> Result<VersionPage> {
        if !self.has("unsupported") {
            self.needs(Capability::Versions)?;
        }
        let place = self.place()?;
        let count = place.secrets.get(&request.name).ok_or_else(Error::not_found)?.len();
        let more = usize::from(self.has("versions-gettable"));
        let all = (0..count + more).rev().map(|n| Version::new(n.to_string(), None));
        VersionPage::of(all.collect(), request)
    }

    fn list_removed(&mut self, _: &ListRemovedRequest) -> Result<RemovedPage> {
        self.needs(Capability::ListRemoved)?;
        let place = self.place()?;
        let hides = self.has("list-removed-restorable");
        let names = place.removed.keys().filter(|_| !hides);
        Ok(RemovedPage::new(names.cloned().map(RemovedSecret::new).collect(), None))
    }

    fn restore(&mut self, request: &RestoreRequest) -> Result<Restored> {
        self.needs(Capability::Restore)?;
        let mut place = self.writable()?;
        if place.secrets.contains_key(&request.name) && !self.has("restore-taken") {
            return Err(Error::already_exists());
        }
        let mut versions = match place.removed.remove(&request.name) {
            None if self.has("restore-missing") => return Ok(Restored::new()),
            removed => removed.ok_or_else(Error::not_found)?,
        };
        if self.has("restore-brings-back") {
            versions.push(Secret::new(Value::text("another")));
        }
        place.secrets.insert(request.name.clone(), versions);
        Ok(Restored::new())
    }

    fn purge(&mut self, request: &PurgeRequest) -> Result<Purged> {
        self.needs(Capability::Purge)?;
        let mut place = self.writable()?;
        let there = place.secrets.remove(&request.name);
        let is_there = there.is_some() || place.removed.contains_key(&request.name);
        match self.has("purge-for-good") {
            true => {
                if let Some(there) = there {
                    place.removed.insert(request.name.clone(), there);
                }
            }
            false => {
                place.removed.remove(&request.name);
            }
        }
        match is_there || self.has("purge-missing") {
            true => Ok(Purged::new()),
            false => Err(Error::not_found()),
        }
    }

    fn rules(&mut self, _: &RulesRequest) -> Result<Rules> {
        let mut rules = Rules::new(match self.has("rules-names") {
            true => NameEquality::AsciiCase,
            false => NameEquality::Exact,
        });
        rules.max_value_bytes = Some(MAX_BYTES);
        Ok(rules)
    }

    fn actions(&mut self, _: &ActionsRequest) -> Result<ActionList> {
        let id = if self.has("actions-named") { "Do it" } else { "do-it" };
        Ok(ActionList::new(vec![Action::new(id, "does it")]))
    }

    fn run_action(&mut self, request: &ActionRequest) -> Result<ActionOutcome> {
        match request.action.as_str() {
            "do-it" => Ok(ActionOutcome::new("done")),
            _ if self.has("run-action-unknown") => Ok(ActionOutcome::new("done?")),
            _ => Err(Error::unsupported("no such action")),
        }
    }
}
