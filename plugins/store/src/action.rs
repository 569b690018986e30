//! The vault's own actions: key slots, a full check, a backup during use, and releasing free space.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keystead_plugin_api::{
    Action, ActionOutcome, ActionRequest, Challenge, Deadline, Error, Parameter, ParameterKind,
    Prompt, Result, SecretText, Value,
};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use crate::chain::{self, HEAD};
use crate::database::{self, damaged, fault};
use crate::dir::{self, NewFile};
use crate::foreign;
use crate::header::Header;
use crate::key::Key;
use crate::key_file;
use crate::manifest::KEY_FILE;
use crate::opening::{self, OpenKeys};
use crate::record::Place;
use crate::recovery::Code;
use crate::slot::{Opener, Slot, label_fits};
use crate::vault::{DESCRIPTION, Store};

/// Challenge, and its prompt, of an action that lacks a new password. Distinct from the old
/// password's prompt, which a registration may answer.
pub(crate) const NEW_PASSWORD: &str = "new-password";

/// Number of rows that are checked at a time.
const ROWS: usize = 500;

/// Number of pages that are copied before other processes may write.
const PAGES: i32 = 256;

/// Returns every action.
pub(crate) fn all() -> Vec<Action> {
    let password = || {
        let what = "the new password; asked for where it is not given";
        Parameter::optional("password", ParameterKind::Text, what).secret()
    };
    let label = || Parameter::optional("label", ParameterKind::Text, "what to call the new slot");
    let slot = |what| Parameter::required("slot", ParameterKind::Integer, what);
    let action = |id: &str, description: &str, parameters: Vec<Parameter>| {
        Action::new(id, description).parameters(&parameters)
    };
    let remove = action(
        "remove-slot",
        "takes away one of the ways in; never the last one",
        vec![slot("its number, as `slots` shows it")],
    );
    vec![
        action("slots", "shows what opens the vault", Vec::new()),
        action("change-password", "sets another password; no secret is written anew", {
            let which = "which password, where there are several";
            vec![password(), Parameter::optional("slot", ParameterKind::Integer, which)]
        }),
        action("add-password", "adds a password", vec![password(), label()]),
        action("add-key-file", "adds a key file, which is made where there is none", {
            let which = "the file; the registration's where it is not given";
            vec![Parameter::optional("file", ParameterKind::Path, which), label()]
        }),
        action("add-recovery-code", "adds a recovery code, which is shown once", vec![label()]),
        remove.destructive(),
        action("verify", "opens and checks every secret, and changes nothing", Vec::new()),
        action("backup", "writes a copy while the vault is in use", {
            let which = "the new file; it must not exist, or be empty";
            vec![Parameter::required("to", ParameterKind::Path, which)]
        }),
        action("compact", "gives room back that removed secrets had", Vec::new()),
    ]
}

/// Runs an action.
pub(crate) fn run(store: &mut Store, request: &ActionRequest) -> Result<ActionOutcome> {
    let deadline = request.deadline;
    let known = all().iter().any(|action| action.id == request.action);
    if !known {
        return Err(Error::unsupported(format!("this vault has no action `{}`", request.action)));
    }
    if store.opened(deadline)?.is_none() {
        return Err(Error::unavailable("there is no vault yet: the first secret makes it"));
    }
    match request.action.as_str() {
        "slots" => slots(store, deadline),
        "change-password" => change_password(store, request),
        "add-password" => {
            let label = label(request)?;
            let password = new_password(store, request)?;
            add(store, deadline, |header, data, number| {
                Slot::password(number, label, &password, data, &header.store, deadline)
            })
        }
        "add-key-file" => add_key_file(store, request),
        "add-recovery-code" => add_recovery_code(store, request),
        "remove-slot" => remove_slot(store, request),
        "verify" => verify(store, deadline),
        "backup" => backup(store, request),
        _ => compact(store, deadline),
    }
}

fn slots(store: &mut Store, deadline: Deadline) -> Result<ActionOutcome> {
    let Some((database, _)) = store.opened(deadline)? else { return Err(Error::not_found()) };
    let (header, _) = opening::header(database, deadline)?;
    let slots: String = header.slots.iter().map(|slot| format!("{slot}\n")).collect();
    let mut outcome = ActionOutcome::new("");
    outcome.value = Some(Value::text(slots));
    Ok(outcome)
}

/// Returns the new password from the action's parameters or from the prompt.
///
/// # Errors
/// `Locked`, with a challenge, if there is neither.
fn new_password(store: &mut Store, request: &ActionRequest) -> Result<SecretText> {
    if let Some(given) = request.parameters.secret("password") {
        return opening::chosen(Some(given)).map_err(|error| Error::invalid(error.message()));
    }
    store.chosen.take().ok_or_else(|| {
        let prompt = Prompt::new_secret(NEW_PASSWORD, "New password");
        Error::locked(Challenge::new(NEW_PASSWORD, vec![prompt]))
    })
}

fn label(request: &ActionRequest) -> Result<&str> {
    let label = request.parameters.text("label").unwrap_or("");
    match label_fits(label) {
        true => Ok(label),
        false => Err(Error::invalid("a label has at most 64 bytes and no control characters")),
    }
}

fn change_password(store: &mut Store, request: &ActionRequest) -> Result<ActionOutcome> {
    let deadline = request.deadline;
    let number = the_password(store, request)?;
    let password = new_password(store, request)?;
    let new = edit(store, deadline, |header, unlocked| {
        remake(header, unlocked, number, &password, true, deadline)
    })?;
    store.unlocked_by(number, new);
    Ok(ActionOutcome::new("the password was changed; sessions of the old one are at an end"))
}

/// Returns the number of the password slot to change.
fn the_password(store: &mut Store, request: &ActionRequest) -> Result<u32> {
    let Some((database, unlocked)) = store.opened(request.deadline)? else {
        return Err(Error::not_found());
    };
    let (header, _) = opening::header(database, request.deadline)?;
    let is_password = |slot: &&Slot| matches!(slot.opener, Opener::Password { .. });
    if let Some(wanted) = request.parameters.integer("slot") {
        let found =
            header.slots.iter().filter(is_password).find(|slot| i64::from(slot.number) == wanted);
        return found.map(|slot| slot.number).ok_or_else(|| {
            Error::invalid(format!("there is no password in slot {wanted}: see the action `slots`"))
        });
    }
    let passwords: Vec<&Slot> = header.slots.iter().filter(is_password).collect();
    match passwords.as_slice() {
        [] => Err(Error::invalid("this vault has no password: see the action `add-password`")),
        [one] => Ok(one.number),
        several => several
            .iter()
            .find(|slot| slot.number == unlocked.slot)
            .map(|slot| slot.number)
            .ok_or_else(|| Error::invalid("this vault has several passwords: say which `slot`")),
    }
}

/// Replaces a password's slot; with the same password, only the cost changes.
fn remake(
    header: &mut Header,
    unlocked: &OpenKeys,
    number: u32,
    password: &SecretText,
    renumber: bool,
    deadline: Deadline,
) -> Result<u32> {
    let store = header.store;
    // A new number invalidates everything that refers to the old slot.
    let new_number = if renumber { header.renumber() } else { number };
    let Some(slot) = header.slots.iter_mut().find(|slot| slot.number == number) else {
        return Err(Error::unavailable("another process has taken the slot away"));
    };
    let data = &unlocked.keys.data;
    *slot = Slot::password(new_number, &slot.label, password, data, &store, deadline)?;
    Ok(new_number)
}

/// Raises the cost of the slot that was just opened to that of a new one.
pub(crate) fn rewrap(store: &mut Store, password: &SecretText, deadline: Deadline) -> Result<()> {
    edit(store, deadline, |header, unlocked| {
        remake(header, unlocked, unlocked.slot, password, false, deadline).map(drop)
    })
}

/// Adds a slot and reports it.
fn add(
    store: &mut Store,
    deadline: Deadline,
    make: impl FnOnce(&Header, &Key, u32) -> Result<Slot>,
) -> Result<ActionOutcome> {
    edit(store, deadline, |header, unlocked| {
        let number = header.number()?;
        let slot = make(header, &unlocked.keys.data, number)?;
        let said = format!("added {slot}");
        header.slots.push(slot);
        Ok(ActionOutcome::new(said))
    })
}

fn add_key_file(store: &mut Store, request: &ActionRequest) -> Result<ActionOutcome> {
    let label = label(request)?;
    let given = request.parameters.text("file").map(PathBuf::from);
    let path = given.or_else(|| store.key_file.clone()).ok_or_else(|| {
        Error::invalid(format!("say which `file`, or register the vault with `{KEY_FILE}`"))
    })?;
    let key = key_file::read_or_make(&path)?;
    let mut outcome = add(store, request.deadline, |header, data, number| {
        if header.slots.iter().any(|slot| slot.open(&key, &header.store).is_some()) {
            return Err(Error::invalid("this key file opens the vault already"));
        }
        Slot::new(number, Opener::KeyFile, label, &key, data, &header.store)
    })?;
    if store.key_file.as_deref() != Some(path.as_path()) {
        let advice =
            format!("; register the vault with `{KEY_FILE}={}` so that it is used", path.display());
        outcome.message.push_str(&advice);
    }
    Ok(outcome)
}

fn add_recovery_code(store: &mut Store, request: &ActionRequest) -> Result<ActionOutcome> {
    let label = label(request)?;
    let code = Code::random()?;
    let mut outcome = add(store, request.deadline, |header, data, number| {
        Slot::new(number, Opener::RecoveryCode, label, &code.key(), data, &header.store)
    })?;
    outcome.message.push_str("; write the code down, it is not shown again");
    outcome.value = Some(Value::Text(code.text()));
    Ok(outcome)
}

fn remove_slot(store: &mut Store, request: &ActionRequest) -> Result<ActionOutcome> {
    let wanted = request.parameters.integer("slot").unwrap_or_default();
    edit(store, request.deadline, |header, _| {
        let Some(at) = header.slots.iter().position(|slot| i64::from(slot.number) == wanted) else {
            return Err(Error::invalid(format!(
                "there is no slot {wanted}: see the action `slots`"
            )));
        };
        if header.slots.len() == 1 {
            return Err(Error::permission_denied("it is the last way in: add another one first"));
        }
        let gone = header.slots.remove(at);
        Ok(ActionOutcome::new(format!("removed {gone}")))
    })
}

/// Changes the current header of the file, not the one from when the vault was opened.
fn edit<T>(
    store: &mut Store,
    deadline: Deadline,
    change: impl FnOnce(&mut Header, &OpenKeys) -> Result<T>,
) -> Result<T> {
    store.write(deadline, |file, unlocked| {
        let bytes = database::header(file)?;
        let mut header = opening::parse(Path::new(file.path().unwrap_or_default()), &bytes)?;
        if !Header::is_by(&unlocked.keys.header, &bytes) {
            return Err(damaged(file, "its header was changed by others"));
        }
        let done = change(&mut header, unlocked)?;
        if header.is_excessive() {
            return Err(Error::unsupported(
                "the passwords of one vault may not ask for more work together: remove one of its \
                 slots first, or add a key file",
            ));
        }
        let new = header.write(&unlocked.keys.header);
        let rows = file
            .execute("UPDATE header SET body = ?1 WHERE id = 1", [new])
            .map_err(|error| fault(file, error))?;
        match rows {
            1 => Ok(done),
            _ => Err(damaged(file, "its header is missing")),
        }
    })
}

fn verify(store: &mut Store, deadline: Deadline) -> Result<ActionOutcome> {
    let Some((database, unlocked)) = store.opened(deadline)? else {
        return Err(Error::not_found());
    };
    let file = database.reading(deadline)?;
    let said = database::said_of_structure(file)?;
    if said != "ok" {
        return Err(damaged(file, &said));
    }
    // From here on, all reads see one state of the file, regardless of other writes.
    let snapshot = file.unchecked_transaction().map_err(|error| fault(file, error))?;
    if !Header::is_by(&unlocked.keys.header, &database::header(&snapshot)?) {
        return Err(damaged(file, "its header was changed by others"));
    }
    let mut after = HEAD;
    let mut secrets = 0_i64;
    loop {
        if deadline.has_passed() {
            return Err(Error::timed_out());
        }
        let next = chain::walk(&snapshot, &unlocked.keys, after, ROWS, &mut |place, sealed| {
            secrets += 1;
            verify_one(&snapshot, unlocked, place, sealed)
        })?;
        match next {
            Some(place) => after = place,
            None => break,
        }
    }
    let values: i64 = snapshot
        // Not `count(*)`: that is a single step in SQLite, which no deadline interrupts.
        .query_row("SELECT count(id) FROM value", [], |row| row.get(0))
        .map_err(|error| fault(file, error))?;
    let mut said = format!("everything is as it was written; secrets: {secrets}");
    // Replacing or removing a damaged secret leaves its value.
    if values > secrets {
        let left = values - secrets;
        said.push_str(&format!("; values of no secret, which `compact` removes: {left}"));
    }
    Ok(ActionOutcome::new(said))
}

/// Opens one secret with its value.
fn verify_one(file: &Connection, unlocked: &OpenKeys, place: Place, sealed: &[u8]) -> Result<()> {
    let records = &unlocked.keys.records;
    let overview =
        records.open_overview(place, sealed).ok_or_else(|| damaged(file, DESCRIPTION))?;
    if unlocked.keys.place(overview.name.as_str(), unlocked.case) != place {
        return Err(damaged(file, "a secret is in another one's place"));
    }
    let whole = chain::find(file, &unlocked.keys, place, chain::Want::Value)?;
    let sealed = whole.and_then(|row| row.sealed);
    let sealed = sealed.ok_or_else(|| damaged(file, "a secret's value is missing from it"))?;
    records.open_value(place, overview, &sealed).map(drop)
}

fn backup(store: &mut Store, request: &ActionRequest) -> Result<ActionOutcome> {
    let to = request.parameters.text("to").unwrap_or_default();
    let to = Path::new(to);
    let deadline = request.deadline;
    let Some((database, _)) = store.opened(deadline)? else { return Err(Error::not_found()) };
    let file = database.reading(deadline)?;
    foreign::no_journal(to)?;
    if let Some(empty) = dir::open_empty(to)? {
        return fill_with_copy(file, to, &empty, deadline);
    }
    let exists = || Error::invalid(format!("{} exists", to.display()));
    if std::fs::symlink_metadata(to).is_ok() {
        return Err(exists());
    }
    let (new, made) = NewFile::make(to)?;
    copy(file, new.temporary(), deadline)?;
    made.sync_all().map_err(|error| dir::failed("write", to, &error))?;
    drop(made);
    match new.publish()? {
        true => Ok(wrote(to)),
        false => Err(exists()),
    }
}

/// Writes a copy into an empty file: in a sandbox, the file is the only accessible part of its
/// directory. A failed copy leaves the file empty.
fn fill_with_copy(
    file: &Connection,
    to: &Path,
    empty: &File,
    deadline: Deadline,
) -> Result<ActionOutcome> {
    let written = |error: std::io::Error| dir::failed("write", to, &error);
    let copied = copy(file, to, deadline).and_then(|()| empty.sync_all().map_err(written));
    match copied {
        Ok(()) => Ok(wrote(to)),
        Err(error) => {
            empty.set_len(0).map_err(written)?;
            Err(error)
        }
    }
}

fn wrote(to: &Path) -> ActionOutcome {
    ActionOutcome::new(format!(
        "wrote {}; as `{}` in a directory of its own it is a vault",
        to.display(),
        database::FILE
    ))
}

/// Copies page by page; the copy includes writes during the copying.
fn copy(file: &Connection, to: &Path, deadline: Deadline) -> Result<()> {
    let copied = |error| fault(file, error);
    let mut target = Connection::open(to).map_err(copied)?;
    // The file has no earlier content, and a sandbox allows no journal beside it.
    target.pragma_update(None, "journal_mode", "OFF").map_err(copied)?;
    {
        let backup = Backup::new(file, &mut target).map_err(copied)?;
        loop {
            if deadline.has_passed() {
                return Err(Error::timed_out());
            }
            match backup.step(PAGES).map_err(copied)? {
                StepResult::Done => break,
                StepResult::More => {}
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
    target.close().map_err(|(_, error)| copied(error))
}

fn compact(store: &mut Store, deadline: Deadline) -> Result<ActionOutcome> {
    let size = |file: &Connection| -> Result<i64> {
        file.query_row("PRAGMA page_count", [], |row| row.get(0))
            .map_err(|error| fault(file, error))
    };
    let (before, after) = store.write(deadline, |file, _| {
        let before = size(file)?;
        file.execute("DELETE FROM value WHERE id NOT IN (SELECT value FROM secret)", [])
            .map_err(|error| fault(file, error))?;
        // Each step of the statement releases one page.
        file.prepare("PRAGMA incremental_vacuum")
            .and_then(|mut statement| {
                let mut rows = statement.query([])?;
                // Pages released before the deadline stay released.
                while !deadline.has_passed() && rows.next()?.is_some() {}
                Ok(())
            })
            .map_err(|error| fault(file, error))?;
        Ok((before, size(file)?))
    })?;
    Ok(ActionOutcome::new(format!("gave {} KiB back", (before - after) * 4)))
}
