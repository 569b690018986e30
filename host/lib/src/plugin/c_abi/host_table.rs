//! The functions that a plugin calls: the host's table, and which vault and call a number
//! stands for.
//!
//! # Safety
//! Every function in here reads what a plugin passes, and so needs what [`Bytes::read`]
//! needs of each: that the plugin told the truth about its own memory. Numbers of contexts
//! and replies are looked up and never followed.

mod exec;
mod file;
#[cfg(feature = "next")]
mod next;

use std::collections::HashMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keystead_plugin_api::{
    Error, Level, MAX_MESSAGE_BYTES, MAX_METADATA_BYTES, MAX_METADATA_KEY_BYTES,
    MAX_METADATA_TEXTS, MAX_SECRET_NAME_BYTES, MAX_SESSION_BYTES, MAX_SESSION_LIFETIME,
    MetadataValue, NameEquality, PromptKind, Result, SecretBytes, Services, Session, UnicodeTables,
    ValueKind,
};

use super::reply::*;
use super::table::*;

/// What a version's name is called in errors.
const A_VERSION: &str = "a version";

/// How many bits of a number say which of a vault's calls it is.
const CALL_BITS: u32 = 24;

/// Every vault that a plugin of this ABI has open in this process, by its number.
static OPEN: Mutex<Option<HashMap<u64, Arc<Shared>>>> = Mutex::new(None);

/// One vault, as far as its plugin's calls of the host see it.
struct Shared {
    services: Box<dyn Services>,
    call: Mutex<Current>,
}

/// The call that is being answered.
#[derive(Default)]
struct Current {
    /// Its number: one more each time.
    number: u64,
    /// What was told so far; none between two calls.
    reply: Option<Reply>,
    /// What was told when there was no call for it.
    stray: Option<Error>,
}

/// A vault's place among the open ones; given up when it is dropped.
pub(super) struct Place {
    number: u64,
    shared: Arc<Shared>,
}

impl Place {
    /// Takes a place for a vault.
    pub(super) fn take(services: Box<dyn Services>) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        let shared = Arc::new(Shared { services, call: Mutex::default() });
        let mut open = locked(&OPEN);
        open.get_or_insert_with(HashMap::new).insert(number, Arc::clone(&shared));
        Self { number, shared }
    }

    /// Returns the number that stands for this vault's way to its host.
    pub(super) fn context(&self) -> u64 {
        self.number << CALL_BITS
    }

    /// Begins a call and returns the number of its reply.
    pub(super) fn begin(&self, asked: Asked) -> u64 {
        let mut current = locked(&self.shared.call);
        // Never 0, which is the context's.
        current.number = current.number % ((1 << CALL_BITS) - 1) + 1;
        let mut reply = Reply::to(asked);
        if let Some(stray) = current.stray.take() {
            reply.spoil(stray);
        }
        current.reply = Some(reply);
        self.context() | current.number
    }

    /// Ends the call with its status, and returns what was told.
    pub(super) fn end(&self, status: u32) -> Result<Reply> {
        let reply = locked(&self.shared.call).reply.take();
        reply.unwrap_or_default().end(status)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(open) = locked(&OPEN).as_mut() {
            open.remove(&self.number);
        }
        if let Some(stray) = locked(&self.shared.call).stray.take() {
            // No call follows whose answer it could be.
            self.shared.services.log(Level::Warning, stray.message());
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn vault_of(number: u64) -> Option<Arc<Shared>> {
    locked(&OPEN).as_ref()?.get(&(number >> CALL_BITS)).cloned()
}

/// Returns the vault whose way to its host this number is.
fn host_of(context: u64) -> Option<Arc<Shared>> {
    let is_reply = context & ((1 << CALL_BITS) - 1) != 0;
    if is_reply { None } else { vault_of(context) }
}

/// Takes what is told to a reply. Returns 0 where it was taken.
fn tell(reply: u64, tell: impl FnOnce(&mut Reply) -> Result<()>) -> u32 {
    let taken = contained(|| {
        let vault = vault_of(reply)?;
        let mut current = locked(&vault.call);
        let is_of_call = reply & ((1 << CALL_BITS) - 1) == current.number;
        match &mut current.reply {
            Some(told) if is_of_call => told.take(tell).then_some(()),
            told => {
                let stray = Error::internal("the reply was used after its call returned");
                match told {
                    Some(told) => told.spoil(stray),
                    None => current.stray = Some(stray),
                }
                None
            }
        }
    });
    if taken.is_none()
        && let Some(vault) = vault_of(reply)
        && let Some(told) = &mut locked(&vault.call).reply
    {
        // Something is missing from the answer.
        told.spoil(Error::internal("the host panicked"));
    }
    u32::from(taken.flatten().is_none())
}

/// Runs code of the host's that a plugin has called: a panic must not unwind into it.
fn contained<T>(run: impl FnOnce() -> T) -> Option<T> {
    // Dropping what was thrown could panic again.
    panic::catch_unwind(AssertUnwindSafe(run)).map_err(std::mem::forget).ok()
}

/// The host's table. A plugin keeps its address as long as a vault is open.
pub(super) static HOST: HostTable = HostTable {
    magic: MAGIC,
    size: size::<HostTable>(),
    flags: 0,
    log_line: log,
    exec: exec::exec,
    message,
    retry_after,
    challenge,
    prompt,
    value,
    text,
    bytes,
    json,
    credential,
    metadata,
    secret,
    entry,
    next_cursor,
    written,
    removed,
    version,
    removed_secret,
    rules,
    action,
    parameter,
    keep_session,
    result,
    read_file: file::read,
    replace_file: file::replace,
    is_granted: file::is_granted,
    forget_session,
    #[cfg(feature = "next")]
    notify: next::notify,
    #[cfg(feature = "next")]
    health: next::health,
};

unsafe extern "C" fn log(context: u64, level: u32, line: Bytes) -> u32 {
    let logged = contained(|| {
        let vault = host_of(context)?;
        // SAFETY: the module's promise.
        let line = unsafe { line.text("a log line", MAX_MESSAGE_BYTES) };
        match (Level::from_code(level), line) {
            (Some(level), Ok(line)) => vault.services.log(level, line),
            (None, Ok(line)) => vault.services.log(Level::Debug, line),
            (_, Err(fault)) => vault.services.log(Level::Warning, fault.message()),
        }
        Some(())
    });
    u32::from(logged.flatten().is_none())
}

unsafe extern "C" fn message(reply: u64, text: Bytes) -> u32 {
    // More is cut, not refused: what the plugin did is done. A length that no message has is
    // a lie, and nothing of it is read.
    // SAFETY: the module's promise.
    let read = || unsafe { text.read("a message", MAX_VALUE) };
    tell(reply, |told| told.message(cut_message(read()?)?))
}

unsafe extern "C" fn retry_after(reply: u64, millis: u64) -> u32 {
    tell(reply, |told| told.retry_after(millis))
}

unsafe extern "C" fn challenge(reply: u64, challenge: *const Challenge) -> u32 {
    tell(reply, |told| {
        // SAFETY: the module's promise.
        let it = unsafe { grown(challenge) }?;
        // SAFETY: the module's promise.
        let id = unsafe { it.id.text("a challenge's id", MAX_LINE_BYTES) }?;
        // SAFETY: the module's promise.
        let message = unsafe { it.message.text("a challenge's message", MAX_MESSAGE_BYTES) }?;
        let most = keystead_plugin_api::Challenge::MAX_URL_BYTES;
        // SAFETY: the module's promise.
        let url = unsafe { it.url.text("a challenge's url", most) }?;
        let plain = keystead_plugin_api::Challenge::new(id, Vec::new());
        let plain = if message.is_empty() { plain } else { plain.message(message) };
        let plain = if url.is_empty() { plain } else { plain.url(url) };
        let interval = Duration::from_millis(it.interval_millis);
        told.challenge(match it.wait {
            0 => plain,
            1 => plain.poll(interval, Duration::from_millis(it.expires_millis)),
            2 => plain.system(),
            #[cfg(feature = "next")]
            200 => {
                let expires = Duration::from_millis(it.expires_millis);
                let mut plain = plain;
                plain.wait = keystead_plugin_api::Wait::Touch { expires };
                plain
            }
            code => return Err(keystead_plugin_api::Wait::unknown(code)),
        })
    })
}

unsafe extern "C" fn prompt(reply: u64, prompt: *const Prompt) -> u32 {
    tell(reply, |told| {
        // SAFETY: the module's promise.
        let it = unsafe { grown(prompt) }?;
        // SAFETY: the module's promise.
        let name = unsafe { it.name.text("a prompt's name", MAX_LINE_BYTES) }?;
        // SAFETY: the module's promise.
        let label = unsafe { it.label.text("a prompt's label", MAX_LINE_BYTES) }?;
        let most = keystead_plugin_api::Prompt::MAX_CHOICES;
        if it.choice_count > most {
            return Err(Error::internal(format!("a prompt has more than {most} choices")));
        }
        let mut plain = keystead_plugin_api::Prompt::plain(name, label);
        // SAFETY: the module's promise.
        plain.choices = unsafe { texts(it.choices, it.choice_count, "a choice", MAX_LINE_BYTES) }?;
        (plain.secret, plain.new) = (it.flags & 1 != 0, it.flags & 2 != 0);
        #[cfg(feature = "next")]
        {
            plain.digits = it.flags & 0x100 != 0;
        }
        // What is not filled in is a line.
        let kind = PromptKind::from_code(it.kind.max(1));
        plain.kind = kind.ok_or_else(|| PromptKind::unknown(it.kind))?;
        told.prompt(plain)
    })
}

unsafe extern "C" fn value(reply: u64, kind: u32, value: Bytes) -> u32 {
    tell(reply, |told| {
        told.value(|| {
            // An unknown kind is refused before its bytes are looked at.
            if ValueKind::from_code(kind).is_none() {
                let unknown = format!("the value is of kind {kind}, unknown here");
                return Err(Error::unsupported(unknown));
            }
            // SAFETY: the module's promise.
            decoded(kind, unsafe { value.read("a value", MAX_VALUE) }?)
        })
    })
}

unsafe extern "C" fn text(reply: u64, text: Bytes) -> u32 {
    // SAFETY: the module's promise.
    let read = || unsafe { text.read("a text", MAX_VALUE) };
    tell(reply, |told| told.value(|| text_value(read()?)))
}

unsafe extern "C" fn bytes(reply: u64, bytes: Bytes) -> u32 {
    // SAFETY: the module's promise.
    let read = || unsafe { bytes.read("a value", MAX_VALUE) };
    tell(reply, |told| told.value(|| Ok(bytes_value(read()?))))
}

unsafe extern "C" fn json(reply: u64, text: Bytes) -> u32 {
    // SAFETY: the module's promise.
    let read = || unsafe { text.read("a JSON text", MAX_VALUE) };
    tell(reply, |told| told.value(|| json_value(read()?)))
}

unsafe extern "C" fn credential(reply: u64, user: Bytes, password: Bytes) -> u32 {
    tell(reply, |told| {
        told.value(|| {
            // SAFETY: the module's promise.
            let user = unsafe { user.text("a user name", MAX_VALUE) }?;
            // SAFETY: the module's promise.
            credential_value(user, unsafe { password.read("a password", MAX_VALUE) }?)
        })
    })
}

unsafe extern "C" fn metadata(reply: u64, metadata: *const Metadata) -> u32 {
    tell(reply, |told| {
        // SAFETY: the module's promise.
        let item = unsafe { grown(metadata) }?;
        // SAFETY: the module's promise.
        let key = unsafe { item.key.text("a metadata key", MAX_METADATA_KEY_BYTES) }?;
        let value = match item.kind {
            1 => {
                // SAFETY: the module's promise.
                let text = unsafe { item.text.text("a metadata text", MAX_METADATA_BYTES) }?;
                Some(MetadataValue::Text(text.to_owned()))
            }
            2 => Some(MetadataValue::Integer(item.integer)),
            3 => Some(MetadataValue::Boolean(item.integer != 0)),
            4 => Some(MetadataValue::Timestamp(item.integer)),
            5 => {
                if item.text_count > MAX_METADATA_TEXTS {
                    let most = MAX_METADATA_TEXTS;
                    return Err(Error::internal(format!("a list has more than {most} texts")));
                }
                let (start, count) = (item.texts, item.text_count);
                // SAFETY: the module's promise.
                let list = unsafe { texts(start, count, "a text of a list", MAX_METADATA_BYTES) }?;
                Some(MetadataValue::TextList(list))
            }
            #[cfg(feature = "next")]
            200 => {
                // SAFETY: the module's promise.
                let digest = unsafe { item.text.read("a digest", MAX_METADATA_BYTES) }?;
                Some(MetadataValue::Digest(digest.to_vec()))
            }
            _ => None,
        };
        told.metadata(key, value, item.flags)
    })
}

/// Returns a field that is there where its bit says so.
///
/// # Safety
/// As for the module.
unsafe fn optional<'a>(present: u32, bit: u32, text: Bytes, what: &str) -> Result<Option<&'a str>> {
    if present & bit == 0 {
        return Ok(None);
    }
    // SAFETY: passed on to the caller.
    unsafe { text.text(what, MAX_LINE_BYTES) }.map(Some)
}

unsafe extern "C" fn secret(reply: u64, secret: *const Secret) -> u32 {
    tell(reply, |told| {
        // SAFETY: the module's promise.
        let it = unsafe { grown(secret) }?;
        // SAFETY: the module's promise.
        told.secret_version(unsafe {
            optional(it.present, with::VERSION, it.version, A_VERSION)
        }?)?;
        #[cfg(feature = "next")]
        {
            told.lease = (it.present & with::LEASE != 0).then_some(it.lease_millis);
        }
        Ok(())
    })
}

unsafe extern "C" fn written(reply: u64, written: *const Secret) -> u32 {
    tell(reply, |told| {
        // SAFETY: the module's promise.
        let it = unsafe { grown(written) }?;
        // SAFETY: the module's promise.
        told.written_version(unsafe { optional(it.present, with::VERSION, it.version, A_VERSION) }?)
    })
}

unsafe extern "C" fn entry(reply: u64, entry: *const Entry) -> u32 {
    tell(reply, |told| {
        // SAFETY: the module's promise.
        let entry = unsafe { grown(entry) }?;
        // SAFETY: the module's promise.
        let name = unsafe { entry.name.text("a secret's name", MAX_SECRET_NAME_BYTES) }?;
        // SAFETY: the module's promise.
        let version = unsafe { optional(entry.present, with::VERSION, entry.version, A_VERSION) }?;
        told.entry(name, entry.kind, version)
    })
}

unsafe extern "C" fn next_cursor(reply: u64, cursor: Bytes) -> u32 {
    // SAFETY: the module's promise.
    tell(reply, |told| told.next(unsafe { cursor.text("the page's cursor", MAX_CURSOR) }?))
}

/// Returns a number that is there where its bit says so.
fn number(present: u32, bit: u32, number: i64) -> Option<i64> {
    (present & bit != 0).then_some(number)
}

unsafe extern "C" fn removed(reply: u64, removed: *const Removed) -> u32 {
    tell(reply, |told| {
        // SAFETY: the module's promise.
        let it = unsafe { grown(removed) }?;
        told.removed(number(it.present, with::RECOVERABLE_UNTIL, it.recoverable_until))
    })
}

unsafe extern "C" fn version(reply: u64, version: *const Version) -> u32 {
    tell(reply, |told| {
        // SAFETY: the module's promise.
        let version = unsafe { grown(version) }?;
        // SAFETY: the module's promise.
        let id = unsafe { version.id.text(A_VERSION, MAX_LINE_BYTES) }?;
        let created = number(version.present, with::CREATED, version.created);
        told.version(id, created, version.flags & 1 != 0)
    })
}

unsafe extern "C" fn removed_secret(reply: u64, removed: *const RemovedSecret) -> u32 {
    tell(reply, |told| {
        // SAFETY: the module's promise.
        let it = unsafe { grown(removed) }?;
        // SAFETY: the module's promise.
        let name = unsafe { it.name.text("a secret's name", MAX_SECRET_NAME_BYTES) }?;
        // SAFETY: the module's promise.
        let id = unsafe { optional(it.present, with::ID, it.id, "a removed secret's id") }?;
        let removed = number(it.present, with::REMOVED, it.removed);
        let until = number(it.present, with::RECOVERABLE_UNTIL, it.recoverable_until);
        told.removed_secret(name, id, removed, until)
    })
}

unsafe extern "C" fn rules(reply: u64, rules: *const Rules) -> u32 {
    tell(reply, |told| {
        // SAFETY: the module's promise.
        let it = unsafe { grown(rules) }?;
        // SAFETY: the module's promise.
        let grammar = unsafe { it.name_grammar.text("the grammar of names", MAX_LINE_BYTES) }?;
        told.rules(plain_rules(&it, grammar))
    })
}

/// Returns rules as the contract has them. A rule for names that is unknown here is as good as none,
/// and a limit that no number here can hold is none.
fn plain_rules(rules: &Rules, grammar: &str) -> keystead_plugin_api::Rules {
    let major = |number| u8::try_from(number).ok();
    let tables = major(rules.folding).zip(major(rules.composition));
    let tables = tables.map(|(folding, composition)| UnicodeTables::new(folding, composition));
    let names = match (rules.names, tables) {
        (1, _) => NameEquality::Exact,
        (2, _) => NameEquality::AsciiCase,
        (3, Some(tables)) => NameEquality::Composed(tables),
        (4, Some(tables)) => NameEquality::ComposedCase(tables),
        #[cfg(feature = "next")]
        (200, Some(tables)) => NameEquality::Width(tables),
        _ => NameEquality::Unknown,
    };
    let limit = |most: u64| usize::try_from(most).ok().filter(|most| *most > 0);
    let mut plain = keystead_plugin_api::Rules::new(names);
    plain.max_name_bytes = limit(rules.max_name_bytes);
    plain.max_value_bytes = limit(rules.max_value_bytes);
    plain.name_grammar = Some(grammar.to_owned()).filter(|text| !text.is_empty());
    plain
}

unsafe extern "C" fn action(reply: u64, action: *const Action) -> u32 {
    tell(reply, |told| {
        // SAFETY: the module's promise.
        let action = unsafe { grown(action) }?;
        // SAFETY: the module's promise.
        let id = unsafe { action.id.text("an action's id", MAX_LINE_BYTES) }?;
        // SAFETY: the module's promise.
        let description = unsafe { action.description.text("a description", MAX_LINE_BYTES) }?;
        told.action(id, description, action.flags & 1 != 0)
    })
}

unsafe extern "C" fn parameter(reply: u64, parameter: *const Schema) -> u32 {
    tell(reply, |told| {
        // SAFETY: the module's promise.
        let it = unsafe { grown(parameter) }?;
        // SAFETY: the module's promise.
        let name = unsafe { it.name.text("a parameter's name", MAX_LINE_BYTES) }?;
        // SAFETY: the module's promise.
        let description = unsafe { it.description.text("a description", MAX_LINE_BYTES) }?;
        // SAFETY: the module's promise.
        let preset = unsafe { it.preset.text("a parameter's default", MAX_LINE_BYTES) }?;
        told.parameter(name, it.kind, it.flags, description, preset)
    })
}

unsafe extern "C" fn keep_session(context: u64, secret: Bytes, millis: u64) -> u32 {
    let kept = contained(|| {
        let vault = host_of(context)?;
        // SAFETY: the module's promise.
        match unsafe { secret.read("a session", MAX_SESSION_BYTES) } {
            Ok(secret) => {
                let lifetime = Duration::from_millis(millis).min(MAX_SESSION_LIFETIME);
                let session = Session::new(SecretBytes::copy_of(secret), lifetime);
                vault.services.keep_session(session);
                Some(())
            }
            Err(fault) => {
                vault.services.log(Level::Warning, fault.message());
                None
            }
        }
    });
    u32::from(kept.flatten().is_none())
}

unsafe extern "C" fn forget_session(context: u64) -> u32 {
    let forgotten = contained(|| host_of(context).map(|vault| vault.services.forget_session()));
    u32::from(forgotten.flatten().is_none())
}

unsafe extern "C" fn result(reply: u64, status: u32) -> u32 {
    tell(reply, |told| told.result(status))
}
