//! The functions that a plugin calls: the host's table, and the vault and call behind each number.
//!
//! # Safety
//! Every function in here reads memory that a plugin passes. As [`Bytes::read`] requires, the
//! plugin must describe its own memory correctly. Numbers of contexts and replies are looked up and
//! never dereferenced.

mod exec;
mod file;
#[cfg(feature = "next")]
mod next;

use std::collections::HashMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keystead_plugin_api as api;
use keystead_plugin_api::abi::wire::{Kinded, Source};
use keystead_plugin_api::{
    Credential, Error, JsonText, Level, MAX_CURSOR_BYTES, MAX_MESSAGE_BYTES, MAX_METADATA_BYTES,
    MAX_METADATA_KEY_BYTES, MAX_SESSION_BYTES, MAX_SESSION_LIFETIME, MAX_VALUE_BYTES,
    MetadataValue, Result, SecretBytes, SecretText, Services, Session, Value, ValueKind,
};

use super::reply::*;
use super::table::*;

/// Number of bits that identify a call within its vault.
const CALL_BITS: u32 = 24;

/// Every vault that a plugin of this ABI has open in this process, by its number.
static OPEN: Mutex<Option<HashMap<u64, Arc<Shared>>>> = Mutex::new(None);

/// One vault, as its plugin's calls to the host see it.
struct Shared {
    services: Box<dyn Services>,
    call: Mutex<Current>,
}

/// The call that is being answered.
#[derive(Default)]
struct Current {
    /// Number of the call: one more each time.
    number: u64,
    /// Answer so far; `None` between two calls.
    reply: Option<Reply>,
    /// Error of a reply that was used between two calls; `None` without one.
    stray: Option<Error>,
}

/// A vault's entry among the open vaults; dropping it removes the entry.
pub(super) struct Place {
    number: u64,
    shared: Arc<Shared>,
}

impl Place {
    /// Adds an entry for a vault.
    pub(super) fn take(services: Box<dyn Services>) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        let shared = Arc::new(Shared { services, call: Mutex::default() });
        let mut open = locked(&OPEN);
        open.get_or_insert_with(HashMap::new).insert(number, Arc::clone(&shared));
        Self { number, shared }
    }

    /// Returns the number by which this vault's plugin reaches the host.
    pub(super) fn context(&self) -> u64 {
        self.number << CALL_BITS
    }

    /// Begins a call and returns the number of its reply.
    pub(super) fn begin(&self, asked: Asked) -> u64 {
        let mut current = locked(&self.shared.call);
        // Never 0, which is the context's number.
        current.number = current.number % ((1 << CALL_BITS) - 1) + 1;
        let mut reply = Reply::to(asked);
        if let Some(stray) = current.stray.take() {
            reply.spoil(stray);
        }
        current.reply = Some(reply);
        self.context() | current.number
    }

    /// Ends the call with its status, and returns the plugin's reply.
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
            // No later call can report this error.
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

/// Returns the vault that this context number belongs to.
fn host_of(context: u64) -> Option<Arc<Shared>> {
    let is_reply = context & ((1 << CALL_BITS) - 1) != 0;
    if is_reply { None } else { vault_of(context) }
}

/// Returns a plugin's request to the host.
///
/// # Safety
/// As for the module.
unsafe fn asked<T: Told>(request: *const T) -> Result<T::Plain> {
    // SAFETY: passed on to the caller.
    unsafe { plain(request) }.map_err(|fault| Error::invalid(fault.message()))
}

/// Adds to a reply. Returns 0 if the reply accepts it.
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
        // The answer is incomplete.
        told.spoil(Error::internal("the host panicked"));
    }
    u32::from(taken.flatten().is_none())
}

/// Runs code of the host that a plugin has called: a panic must not unwind into the plugin.
fn contained<T>(run: impl FnOnce() -> T) -> Option<T> {
    // Dropping the panic's payload could panic again.
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
        // SAFETY: the module's safety section.
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
    // A longer message is cut and accepted: the plugin's work is done. An impossible length is
    // false, and nothing of the message is read.
    // SAFETY: the module's safety section.
    let read = || unsafe { text.read("a message", MAX_VALUE_BYTES) };
    tell(reply, |told| told.message(cut_message(read()?)?))
}

unsafe extern "C" fn retry_after(reply: u64, millis: u64) -> u32 {
    tell(reply, |told| told.retry_after(millis))
}

/// Functions that add a struct to an answer.
macro_rules! tells {
    ($($name:ident: $type:ty;)*) => {$(
        unsafe extern "C" fn $name(reply: u64, it: *const $type) -> u32 {
            // SAFETY: the module's safety section.
            tell(reply, |told| told.$name(unsafe { plain(it) }?))
        }
    )*};
}

tells! {
    prompt: Prompt;
    entry: Entry;
    removed: Removed;
    version: Version;
    removed_secret: RemovedSecret;
    rules: Rules;
    action: Action;
    parameter: OwnedParameter;
}

unsafe extern "C" fn challenge(reply: u64, challenge: *const Challenge) -> u32 {
    tell(reply, |told| {
        // Prompts are passed separately: one that is never shown stands for them here.
        let beside =
            |said: &mut Said<'_>| said.own(&Challenge::prompts, &vec![api::Prompt::plain("", "")]);
        // SAFETY: the module's safety section.
        told.challenge(unsafe { plain_beside(challenge, beside) }?)
    })
}

unsafe extern "C" fn secret(reply: u64, secret: *const Secret) -> u32 {
    tell(reply, |told| {
        // The value is passed separately.
        let beside = |said: &mut Said<'_>| said.own(&Secret::value, &Value::text(""));
        // SAFETY: the module's safety section.
        told.known(unsafe { plain_beside(secret, beside) }?)
    })
}

unsafe extern "C" fn written(reply: u64, written: *const Written) -> u32 {
    // SAFETY: the module's safety section.
    tell(reply, |told| told.keep_written(unsafe { record(written, |_| Ok(())) }?))
}

/// Functions that add a value of one part.
macro_rules! values {
    ($($name:ident, $what:literal, $value:expr;)*) => {$(
        unsafe extern "C" fn $name(reply: u64, part: Bytes) -> u32 {
            // SAFETY: the module's safety section.
            let read = || unsafe { part.read($what, MAX_VALUE_BYTES) }.map(SecretBytes::copy_of);
            tell(reply, |told| told.value(|| $value(read()?)))
        }
    )*};
}

values! {
    text, "a text", |part| SecretText::from_bytes(part).map(Value::Text);
    bytes, "a value", |part| Ok(Value::Bytes(part));
    json, "a JSON text", |part| JsonText::parse(SecretText::from_bytes(part)?).map(Value::Json);
}

unsafe extern "C" fn value(reply: u64, kind: u32, value: Bytes) -> u32 {
    tell(reply, |told| {
        told.value(|| {
            // An unknown kind is refused before its bytes are read.
            if ValueKind::from_code(kind).is_none() {
                let unknown = format!("the value is of kind {kind}, unknown here");
                return Err(Error::unsupported(unknown));
            }
            // SAFETY: the module's safety section.
            Value::decode(kind, unsafe { value.read("a value", MAX_VALUE_BYTES) }?)
        })
    })
}

unsafe extern "C" fn credential(reply: u64, user: Bytes, password: Bytes) -> u32 {
    tell(reply, |told| {
        told.value(|| {
            // SAFETY: the module's safety section.
            let user = unsafe { user.text("a user name", MAX_VALUE_BYTES) }?;
            // SAFETY: the module's safety section.
            let password = unsafe { password.read("a password", MAX_VALUE_BYTES) }?;
            let password = SecretText::from_bytes(SecretBytes::copy_of(password))?;
            Ok(Value::Credential(Credential::new(user.to_owned(), password)))
        })
    })
}

/// A piece of a plugin's metadata. Code that makes one keeps the module's safety section.
struct Piece(Metadata);

impl Source for Piece {
    fn bytes(&self) -> Result<&[u8]> {
        // SAFETY: the module's safety section.
        unsafe { self.0.text.read("metadata", MAX_METADATA_BYTES) }
    }

    fn text(&self) -> Result<&str> {
        // SAFETY: the module's safety section.
        unsafe { self.0.text.text("a metadata text", MAX_METADATA_BYTES) }
    }

    fn number(&self) -> Result<i64> {
        Ok(self.0.integer)
    }

    fn texts(&self) -> Result<Vec<String>> {
        // SAFETY: the module's safety section.
        unsafe { self.0.texts.texts("a list of texts", MAX_METADATA_BYTES) }
    }
}

unsafe extern "C" fn metadata(reply: u64, metadata: *const Metadata) -> u32 {
    tell(reply, |told| {
        // SAFETY: the module's safety section.
        let piece = Piece(unsafe { grown(metadata) }?);
        // SAFETY: the module's safety section.
        let key = unsafe { piece.0.key.text("a metadata key", MAX_METADATA_KEY_BYTES) }?;
        told.metadata(key, MetadataValue::read(piece.0.kind, &piece)?, piece.0.flags)
    })
}

unsafe extern "C" fn next_cursor(reply: u64, cursor: Bytes) -> u32 {
    // SAFETY: the module's safety section.
    tell(reply, |told| told.next(unsafe { cursor.text("the page's cursor", MAX_CURSOR_BYTES) }?))
}

unsafe extern "C" fn keep_session(context: u64, secret: Bytes, millis: u64) -> u32 {
    let kept = contained(|| {
        let vault = host_of(context)?;
        // SAFETY: the module's safety section.
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
