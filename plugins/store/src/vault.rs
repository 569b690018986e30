//! The vault that the host sees. It opens lazily: it reads nothing before the first call, and
//! creates nothing before the first write.

use std::path::PathBuf;

use keystead_plugin_api::{
    ActionList, ActionOutcome, ActionRequest, ActionsRequest, Context, Deadline, DescribeRequest,
    Entry, Error, ErrorKind, GetRequest, ListRequest, LockRequest, Locked, MAX_PAGE_ENTRIES,
    MetadataWritten, OpenRequest, Page, Plugin, RemoveRequest, Removed, RenameRequest, Renamed,
    Result, Rules, RulesRequest, Secret, SecretName, SecretText, Session, SetManyRequest,
    SetManyResults, SetMetadataRequest, SetRequest, TestReport, TestRequest, UnlockRequest,
    Unlocked, Vault, WriteMode, Written, check_version,
};
use rusqlite::Connection;

use crate::action;
use crate::chain::{self, HEAD, Want, Whose};
use crate::database::{Database, damaged};
use crate::header::Header;
use crate::key::Key;
use crate::key_file;
use crate::keys::Keys;
use crate::manifest::{CASE_SENSITIVE, KEY_FILE, PATH};
use crate::name::{Case, folded};
use crate::opening::{self, NEW_VAULT, OpenKeys, PASSWORD};
use crate::record::{Overview, Place};
use crate::seal;
use crate::session;
use crate::slot::{Opener, Slot};

/// One open vault.
pub struct Store {
    dir: PathBuf,
    pub(crate) key_file: Option<PathBuf>,
    case: Case,
    session: Option<Session>,
    database: Option<Database>,
    unlocked: Option<OpenKeys>,
    /// Whether the unlocked keys are known to match the open file.
    known: bool,
    /// Whether there was a file, so that a missing one has been moved away.
    seen: bool,
    /// Password typed for an action that needs a new one.
    pub(crate) chosen: Option<SecretText>,
    context: Context,
}

impl Plugin for Store {
    fn open(request: OpenRequest, context: Context) -> Result<Box<dyn Vault>> {
        let path = |name: &str| request.parameters.text(name).map(PathBuf::from);
        let dir = path(PATH).ok_or_else(|| Error::invalid("`path` is missing"))?;
        let key_file = path(KEY_FILE);
        for path in std::iter::once(&dir).chain(&key_file) {
            if !path.is_absolute() {
                let message = format!("{} is not an absolute path", path.display());
                return Err(Error::invalid(message));
            }
        }
        let case = match request.parameters.boolean(CASE_SENSITIVE) {
            Some(true) => Case::Sensitive,
            _ => Case::Folded,
        };
        Ok(Box::new(Self {
            seen: request.session.is_some(),
            dir,
            key_file,
            case,
            session: request.session,
            database: None,
            unlocked: None,
            known: false,
            chosen: None,
            context,
        }))
    }
}

impl Vault for Store {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        if request.version.is_some() {
            return Err(Error::unsupported("this vault keeps no earlier versions"));
        }
        let Some((database, unlocked)) = self.existing(request.deadline)? else {
            return Err(Error::not_found());
        };
        let file = database.reading(request.deadline)?;
        let (row, overview) = found(file, unlocked, &request.name, Want::Value)?;
        let sealed = row
            .sealed
            .as_ref()
            .ok_or_else(|| damaged(file, "a secret's value is missing from it"))?;
        let secret = unlocked.keys.records.open_value(row.place, overview, sealed)?;
        Ok(secret.of_version(version(&row)))
    }

    fn list(&mut self, request: &ListRequest) -> Result<Page> {
        let after = request.cursor.as_deref().map(cursor).transpose()?.unwrap_or(HEAD);
        let Some((database, unlocked)) = self.existing(request.deadline)? else {
            return Ok(Page::default());
        };
        let file = database.reading(request.deadline)?;
        let mut entries = Vec::with_capacity(request.limit.min(MAX_PAGE_ENTRIES));
        let next =
            chain::walk(file, &unlocked.keys, after, request.limit, &mut |place, sealed| {
                let overview = unlocked.keys.records.open_overview(place, sealed);
                let overview = overview.ok_or_else(|| damaged(file, DESCRIPTION))?;
                entries.push(overview.into_entry(sealed));
                Ok(())
            })?;
        Ok(Page::new(entries, next.map(|place| place.to_string())))
    }

    fn describe(&mut self, request: &DescribeRequest) -> Result<Entry> {
        let Some((database, unlocked)) = self.existing(request.deadline)? else {
            return Err(Error::not_found());
        };
        let file = database.reading(request.deadline)?;
        found(file, unlocked, &request.name, Want::Overview)
            .map(|(row, overview)| overview.into_entry(&row.overview))
    }

    fn set(&mut self, request: SetRequest) -> Result<Written> {
        let mut many = self.set_many(SetManyRequest::new(vec![request]))?;
        many.results.pop().unwrap_or_else(|| Ok(Written::new()))
    }

    fn set_many(&mut self, request: SetManyRequest) -> Result<SetManyResults> {
        let requests = request.requests;
        let Some(deadline) = requests.first().map(|request| request.deadline) else {
            return Ok(SetManyResults::new(Vec::new()));
        };
        if self.opened(deadline)?.is_none() {
            let needs_old = |request: &SetRequest| {
                request.mode == WriteMode::Replace || request.if_version.is_some()
            };
            if requests.iter().all(needs_old) {
                let missing = requests.iter().map(|_| Err(Error::not_found()));
                return Ok(SetManyResults::new(missing.collect()));
            }
            self.make(deadline)?;
        }
        self.write(deadline, |file, unlocked| {
            let mut results = Vec::with_capacity(requests.len());
            for request in requests {
                match put(file, unlocked, request) {
                    // These errors change nothing; any other may follow a change.
                    Err(error) if !is_of_one_secret(error.kind()) => return Err(error),
                    result => results.push(result),
                }
            }
            Ok(SetManyResults::new(results))
        })
    }

    fn remove(&mut self, request: &RemoveRequest) -> Result<Removed> {
        self.write(request.deadline, |file, unlocked| {
            let place = unlocked.keys.place(request.name.as_str(), unlocked.case);
            let row = chain::find(file, &unlocked.keys, place, Want::Value)?;
            let row = row.ok_or_else(Error::not_found)?;
            let old = unlocked.keys.records.open_overview(place, &row.overview);
            if old.as_ref().is_some_and(|old| !is_called(old, &request.name, unlocked.case)) {
                return Err(Error::not_found());
            }
            check_version(request.if_version.as_deref(), Some(&version(&row)))?;
            // The place is proven: a damaged secret there can be removed.
            chain::remove(file, &unlocked.keys, &row, value_of(unlocked, &row, old.as_ref()))?;
            Ok(Removed::new())
        })
    }

    fn rename(&mut self, request: &RenameRequest) -> Result<Renamed> {
        self.write(request.deadline, |file, unlocked| rename(file, unlocked, request))
    }

    fn set_metadata(&mut self, request: SetMetadataRequest) -> Result<MetadataWritten> {
        self.write(request.deadline, |file, unlocked| {
            let (row, mut overview) = found(file, unlocked, &request.name, Want::Overview)?;
            check_version(request.if_version.as_deref(), Some(&version(&row)))?;
            overview.metadata = request.metadata;
            let sealed = unlocked.keys.records.seal_overview(row.place, &overview)?;
            chain::replace_overview(file, &unlocked.keys, &row, &sealed)?;
            Ok(MetadataWritten::new().of_version(seal::name(&sealed)))
        })
    }

    fn unlock(&mut self, request: &UnlockRequest) -> Result<Unlocked> {
        match request.challenge.as_str() {
            PASSWORD => {
                let session = self.unlock_with(request)?;
                self.context.keep_session(session);
                Ok(Unlocked::new())
            }
            NEW_VAULT if self.key_file.is_none() => {
                let password = opening::chosen(request.answer(PASSWORD))?;
                if self.file(request.deadline)?.is_some() {
                    return Err(Error::invalid("another process has made the vault meanwhile"));
                }
                let deadline = request.deadline;
                self.make_with(deadline, |header, data| {
                    let number = header.number()?;
                    Slot::password(number, "", &password, data, &header.store, deadline)
                })?;
                let session = self.session(request.deadline)?;
                self.context.keep_session(session);
                Ok(Unlocked::new())
            }
            action::NEW_PASSWORD if self.unlocked.is_some() => {
                let password = request.answer(action::NEW_PASSWORD);
                self.chosen = Some(opening::chosen(password)?);
                Ok(Unlocked::new())
            }
            _ => Err(Error::invalid("this vault did not give that challenge")),
        }
    }

    fn lock(&mut self, request: &LockRequest) -> Result<Locked> {
        self.unlocked = None;
        self.session = None;
        self.chosen = None;
        // A vault that unlocks without a prompt unlocks again.
        match self.opened(request.deadline) {
            Err(error) if error.kind() == ErrorKind::Locked => Ok(Locked::new()),
            Err(error) => Err(error),
            Ok(None) => Err(Error::unsupported("there is no vault yet")),
            Ok(Some(_)) => {
                Err(Error::unsupported("this vault is never locked: its key file opens it"))
            }
        }
    }

    fn rules(&mut self, request: &RulesRequest) -> Result<Rules> {
        // The file has the rule, even if locked; a missing file will get this one.
        let case = match self.file(request.deadline)? {
            Some(database) => opening::header(database, request.deadline)?.0.case,
            None => self.case,
        };
        Ok(Rules::new(case.rule()))
    }

    fn test(&mut self, request: &TestRequest) -> Result<TestReport> {
        let Some(database) = self.file(request.deadline)? else {
            self.check_for_key()?;
            self.context.warn("there is no vault yet: the first secret makes it");
            return Ok(TestReport::new());
        };
        opening::header(database, request.deadline).map(|_| TestReport::new())
    }

    fn actions(&mut self, _: &ActionsRequest) -> Result<ActionList> {
        Ok(ActionList::new(action::all()))
    }

    fn run_action(&mut self, request: &ActionRequest) -> Result<ActionOutcome> {
        let done = action::run(self, request);
        // The typed password is for this action only.
        if !matches!(&done, Err(error) if error.kind() == ErrorKind::Locked) {
            self.chosen = None;
        }
        done
    }
}

impl Store {
    /// Returns the open file; `None` if there is none.
    fn file(&mut self, deadline: Deadline) -> Result<Option<&mut Database>> {
        if deadline.has_passed() {
            return Err(Error::timed_out());
        }
        if self.database.as_ref().is_some_and(|database| !database.is_still_there()) {
            self.database = None;
        }
        if self.database.is_none() {
            self.database = Database::open(&self.dir, self.seen, deadline)?;
            self.known = false;
            self.seen |= self.database.is_some();
        }
        Ok(self.database.as_mut())
    }

    /// Returns the open file and its keys; `None` if there is no file.
    ///
    /// # Errors
    /// `Locked` if the user must answer a prompt.
    pub(crate) fn opened(
        &mut self,
        deadline: Deadline,
    ) -> Result<Option<(&mut Database, &OpenKeys)>> {
        if self.file(deadline)?.is_none() {
            return Ok(None);
        }
        let database = self.database.as_mut().expect("just opened");
        if self.unlocked.is_none() || !self.known {
            let (header, bytes) = opening::header(database, deadline)?;
            // The directory may contain another vault now.
            self.unlocked.take_if(|unlocked| unlocked.store != header.store);
            if self.unlocked.is_none() {
                let warn = |message: &str| self.context.warn(message);
                let (session, key_file) = (self.session.as_ref(), self.key_file.as_ref());
                let path = database.path();
                self.unlocked = opening::unasked(path, &header, &bytes, session, key_file, &warn)?;
                if self.unlocked.is_none() {
                    return Err(Error::locked(opening::challenge(&header)?));
                }
            }
            self.known = true;
        }
        Ok(Some((database, self.unlocked.as_ref().expect("just unlocked"))))
    }

    /// As [`Store::opened`], for calls that need a vault and create none.
    ///
    /// # Errors
    /// `Unavailable` if the vault is missing and its key file is not.
    fn existing(&mut self, deadline: Deadline) -> Result<Option<(&mut Database, &OpenKeys)>> {
        if self.file(deadline)?.is_none() {
            self.check_for_key()?;
            return Ok(None);
        }
        self.opened(deadline)
    }

    /// Checks that a missing vault has no key file: otherwise its disk may not be mounted, and the
    /// vault must not count as new.
    fn check_for_key(&self) -> Result<()> {
        let Some(key_file) = &self.key_file else { return Ok(()) };
        if key_file::read(key_file)?.is_none() {
            return Ok(());
        }
        Err(Error::unavailable(format!(
            "{} is missing, although its key file {} is there; the first secret that is set makes a new vault",
            self.dir.join(crate::database::FILE).display(),
            key_file.display()
        )))
    }

    /// Creates the vault if that needs no prompt.
    fn make(&mut self, deadline: Deadline) -> Result<()> {
        let Some(path) = self.key_file.clone() else {
            return Err(Error::locked(opening::new_vault()));
        };
        let key = key_file::read_or_make(&path)?;
        self.make_with(deadline, |header, data| {
            let number = header.number()?;
            Slot::new(number, Opener::KeyFile, "", &key, data, &header.store)
        })
    }

    /// Creates the vault with one slot.
    fn make_with(
        &mut self,
        deadline: Deadline,
        slot: impl FnOnce(&mut Header, &Key) -> Result<Slot>,
    ) -> Result<()> {
        let data = Key::random()?;
        let mut header = Header::new(self.case)?;
        let slot = slot(&mut header, &data)?;
        let number = slot.number;
        header.slots.push(slot);
        let keys = Keys::of(data);
        if Database::create(&self.dir, &header.write(&keys.header), &keys)? {
            self.unlocked =
                Some(OpenKeys { keys, store: header.store, case: header.case, slot: number });
        }
        // If another process was faster, its vault is opened, or prompts.
        self.opened(deadline).map(drop)
    }

    fn unlock_with(&mut self, request: &UnlockRequest) -> Result<Session> {
        let Some(database) = self.file(request.deadline)? else {
            return Err(Error::invalid("this vault did not give that challenge"));
        };
        let (header, bytes) = opening::header(database, request.deadline)?;
        opening::challenge(&header)?;
        let empty = SecretText::new("");
        let text = request.answer(PASSWORD).unwrap_or(&empty);
        let unlocked = opening::typed(database.path(), &header, &bytes, text, request.deadline)?;
        let cheap = header.slot(unlocked.slot).and_then(opening::cheap);
        self.unlocked = Some(unlocked);
        if cheap.is_some()
            && let Err(error) = action::rewrap(self, text, request.deadline)
        {
            // The slot still opens; the next unlock tries again.
            self.context.info(error.message());
        }
        self.session(request.deadline)
    }

    /// Returns a session for the slot that was opened.
    fn session(&mut self, deadline: Deadline) -> Result<Session> {
        let Some((database, unlocked)) = self.opened(deadline)? else {
            return Err(Error::unavailable("the vault is gone"));
        };
        let (header, _) = opening::header(database, deadline)?;
        match header.slot(unlocked.slot) {
            Some(slot) => Ok(session::new(&unlocked.keys, slot)),
            None => Err(Error::unavailable("the key slot is gone")),
        }
    }

    /// Changes the file completely or not at all; the change is permanent after the return.
    pub(crate) fn write<T>(
        &mut self,
        deadline: Deadline,
        edit: impl FnOnce(&Connection, &OpenKeys) -> Result<T>,
    ) -> Result<T> {
        let Some((database, unlocked)) = self.existing(deadline)? else {
            return Err(Error::not_found());
        };
        let transaction = database.writing(deadline)?;
        let done = edit(&transaction, unlocked)?;
        crate::database::check(&transaction)?;
        let path = transaction.path().unwrap_or_default().to_owned();
        // The wait for readers gets the remaining time, not the original timeout.
        crate::database::wait_until(&transaction, deadline)?;
        transaction.commit().map_err(|error| crate::database::refused(path.as_ref(), error))?;
        Ok(done)
    }

    /// Notes the new number of a slot.
    pub(crate) fn unlocked_by(&mut self, old: u32, new: u32) {
        if let Some(unlocked) = self.unlocked.as_mut().filter(|unlocked| unlocked.slot == old) {
            unlocked.slot = new;
        }
    }
}

/// Returns the version of a row, which changes each time its overview is sealed.
fn version(row: &chain::Row) -> String {
    seal::name(&row.overview)
}

/// Returns a secret's row and its overview.
fn found(
    file: &Connection,
    unlocked: &OpenKeys,
    name: &SecretName,
    want: Want,
) -> Result<(chain::Row, Overview)> {
    let place = unlocked.keys.place(name.as_str(), unlocked.case);
    let row = chain::find(file, &unlocked.keys, place, want)?.ok_or_else(Error::not_found)?;
    let overview = overview(file, unlocked, &row)?;
    match is_called(&overview, name, unlocked.case) {
        true => Ok((row, overview)),
        // The place belongs to another secret, so this one cannot exist.
        false => Err(Error::not_found()),
    }
}

fn overview(file: &Connection, unlocked: &OpenKeys, row: &chain::Row) -> Result<Overview> {
    unlocked
        .keys
        .records
        .open_overview(row.place, &row.overview)
        .ok_or_else(|| damaged(file, DESCRIPTION))
}

/// Error text for an overview that does not open.
pub(crate) const DESCRIPTION: &str =
    "the description of a secret; to set or remove that secret by its name mends it";

fn is_called(overview: &Overview, name: &SecretName, case: Case) -> bool {
    folded(overview.name.as_str(), case) == folded(name.as_str(), case)
}

/// Returns the owner of a row's value: another secret's value must not be changed.
fn value_of(unlocked: &OpenKeys, row: &chain::Row, overview: Option<&Overview>) -> Whose {
    let sealed = row.sealed.as_deref();
    let records = &unlocked.keys.records;
    let opens =
        |overview| sealed.is_some_and(|sealed| records.is_value(row.place, overview, sealed));
    if overview.is_some_and(opens) { Whose::Its } else { Whose::NotKnown }
}

/// Writes one secret.
fn put(file: &Connection, unlocked: &OpenKeys, request: SetRequest) -> Result<Written> {
    let keys = &unlocked.keys;
    let place = keys.place(request.name.as_str(), unlocked.case);
    let row = chain::find(file, keys, place, Want::Value)?;
    // A damaged overview is replaced: its place is proven, and only this fixes it.
    let old = row.as_ref().and_then(|row| keys.records.open_overview(place, &row.overview));
    if old.as_ref().is_some_and(|old| !is_called(old, &request.name, unlocked.case)) {
        return Err(Error::unsupported(
            "this name falls on the place of another one, by a chance of one in a billion \
             billions: give the secret another name",
        ));
    }
    check_version(request.if_version.as_deref(), row.as_ref().map(version).as_deref())?;
    let whose = row.as_ref().map(|row| value_of(unlocked, row, old.as_ref()));
    request.mode.check(row.is_some())?;
    let kept = old.map(|old| old.metadata).unwrap_or_default();
    let metadata = request.metadata.unwrap_or(kept);
    let new = Overview::new(request.name, request.value.kind(), metadata)?;
    let value = keys.records.seal_value(place, &new, &request.value)?;
    let overview = keys.records.seal_overview(place, &new)?;
    match row.as_ref().zip(whose) {
        Some((row, whose)) => chain::replace(file, keys, row, whose, &overview, &value),
        None => chain::insert(file, keys, place, &overview, &value),
    }?;
    Ok(Written::new().of_version(seal::name(&overview)))
}

/// Renames a secret: its value and its overview are sealed again for the new name's place.
fn rename(file: &Connection, unlocked: &OpenKeys, request: &RenameRequest) -> Result<Renamed> {
    let keys = &unlocked.keys;
    let (row, overview) = found(file, unlocked, &request.from, Want::Value)?;
    let sealed = row.sealed.as_ref();
    let sealed = sealed.ok_or_else(|| damaged(file, "a secret's value is missing from it"))?;
    let kept = keys.records.open_value(row.place, overview, sealed)?;
    let place = keys.place(request.to.as_str(), unlocked.case);
    let case = unlocked.case;
    let is_same = folded(request.from.as_str(), case) == folded(request.to.as_str(), case);
    if !is_same && chain::find(file, keys, place, Want::Overview)?.is_some() {
        return Err(Error::already_exists());
    }
    let new = Overview::new(request.to.clone(), kept.value.kind(), kept.metadata)?;
    let value = keys.records.seal_value(place, &new, &kept.value)?;
    let overview = keys.records.seal_overview(place, &new)?;
    if is_same {
        chain::replace(file, keys, &row, Whose::Its, &overview, &value)?;
    } else {
        chain::remove(file, keys, &row, Whose::Its)?;
        chain::insert(file, keys, place, &overview, &value)?;
    }
    Ok(Renamed::new().of_version(seal::name(&overview)))
}

/// Returns whether an error concerns one secret, before any change.
fn is_of_one_secret(kind: ErrorKind) -> bool {
    use ErrorKind::{AlreadyExists, Invalid, NotFound, Unsupported};
    matches!(kind, AlreadyExists | Invalid | NotFound | Unsupported)
}

/// Returns the place of a cursor.
fn cursor(text: &str) -> Result<Place> {
    text.parse().map_err(|_| Error::invalid("this vault did not give that cursor"))
}
