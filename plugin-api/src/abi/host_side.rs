//! The host's side of the boundary: a foreign plugin's tables as a plain [`Vault`].

use std::panic::{self, AssertUnwindSafe};

use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::RNone;

use super::arena::Arena;
use super::table::*;
use super::types::*;
use super::view::AbiBytes;
use super::{lend, merged, plugin_side, read};
use crate::error::{Error, Result, MAX_MESSAGE_BYTES};
use crate::metadata::Metadata;
use crate::plugin::{Context, Level, OpenRequest, Plugin, Services};
use crate::vault::*;

/// Opens a vault of a plugin whose layout has been found to fit.
///
/// # Errors
/// What the plugin answers.
pub fn open(root: AbiPluginRef, request: &OpenRequest, context: Context) -> Result<HostVault> {
    let mut arena = Arena::new();
    let request = lend::open(request, &mut arena);
    let state = Box::into_raw(Box::new(context.into_services())).cast::<AbiState>();
    let table = AbiContextTableRef(CONTEXT.static_as_prefix());
    // SAFETY: the request lives until the call returns; the context is handed over.
    let mut opened = unsafe { (root.open())(request, AbiContext { state, table }) };
    // Taken before the error is looked at: a vault that came with one is closed again.
    let vault = std::mem::replace(&mut opened.vault, RNone).map(HostVault);
    // SAFETY: the reply lives until `opened` ends.
    unsafe { read::result(&opened.reply.result, read::done) }?;
    vault.into_option().ok_or_else(|| Error::internal("the plugin opened a vault and gave none"))
}

/// Opens a vault of a plugin that is linked into this program, through the same tables.
///
/// # Errors
/// What the plugin answers.
pub fn open_linked<P: Plugin>(request: &OpenRequest, context: Context) -> Result<HostVault> {
    open(plugin_side::root::<P>(), request, context)
}

/// A vault behind a foreign plugin's table.
pub struct HostVault(AbiVault);

// SAFETY: `Vault: Send` on the plugin's side, checked by the compiler that built it.
unsafe impl Send for HostVault {}

impl Drop for HostVault {
    fn drop(&mut self) {
        // SAFETY: the vault was opened once and is closed once, here.
        unsafe { (self.0.table.close())(self.0.state) }
    }
}

impl HostVault {
    /// Makes one call and reads its reply before the reply is given back.
    fn call<Request, Reply: Copy, Answer>(
        &mut self,
        function: AbiCall<Request, Reply>,
        request: Request,
        read: unsafe fn(Reply) -> Result<Answer>,
    ) -> Result<Answer> {
        // SAFETY: the state lives until `close`; the caller's arena, which holds the
        // request, outlives this call; `&mut self` makes it the only one.
        let reply = unsafe { function(self.0.state, request) };
        // SAFETY: the reply lives until it is dropped at the end.
        unsafe { read::result(&reply.result, read) }
    }
}

impl Vault for HostVault {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        let mut arena = Arena::new();
        self.call(self.0.table.get(), lend::get(request, &mut arena), read::secret)
    }

    fn list(&mut self, request: &ListRequest) -> Result<Page> {
        let mut arena = Arena::new();
        let page = self.call(self.0.table.list(), lend::list(request, &mut arena), read::page)?;
        if page.entries.len() > request.limit {
            return Err(Error::internal(format!(
                "the page has {} entries; {} were asked for",
                page.entries.len(),
                request.limit
            )));
        }
        if page.next.is_some() && page.next == request.after {
            return Err(Error::internal("the page's cursor does not advance"));
        }
        Ok(page)
    }

    fn describe(&mut self, request: &GetRequest) -> Result<Entry> {
        let mut arena = Arena::new();
        self.call(self.0.table.describe(), lend::get(request, &mut arena), read::entry)
    }

    fn set(&mut self, request: SetRequest) -> Result<()> {
        let mut arena = Arena::new();
        self.call(self.0.table.set(), lend::set(request, &mut arena)?, read::done)
    }

    fn set_many(&mut self, requests: Vec<SetRequest>) -> Result<Vec<Result<()>>> {
        SetRequest::check_many(&requests)?;
        let function = match self.0.table.set_many() {
            Some(function) => function,
            // An older plugin: what the plain trait does by default.
            None => return one_by_one(requests, |request| self.set(request)),
        };
        let mut arena = Arena::new();
        let (request, lent) = lend::set_many(requests, &mut arena);
        merged(lent, self.call(function, request, read::written)?)
    }

    fn remove(&mut self, request: &GetRequest) -> Result<()> {
        let mut arena = Arena::new();
        self.call(self.0.table.remove(), lend::get(request, &mut arena), read::done)
    }

    fn set_metadata(&mut self, request: &GetRequest, metadata: Metadata) -> Result<()> {
        let mut arena = Arena::new();
        let request = lend::set_metadata(request, &metadata, &mut arena);
        self.call(self.0.table.set_metadata(), request, read::done)
    }

    fn unlock(&mut self, request: &UnlockRequest) -> Result<Option<Session>> {
        let mut arena = Arena::new();
        self.call(self.0.table.unlock(), lend::unlock(request, &mut arena), read::unlocked)
    }

    fn lock(&mut self, deadline: Deadline) -> Result<()> {
        let mut arena = Arena::new();
        self.call(self.0.table.lock(), lend::plain(deadline, &mut arena), read::done)
    }

    fn test(&mut self, deadline: Deadline) -> Result<()> {
        let mut arena = Arena::new();
        self.call(self.0.table.test(), lend::plain(deadline, &mut arena), read::done)
    }

    fn unregister(&mut self, deadline: Deadline) -> Result<()> {
        let mut arena = Arena::new();
        self.call(self.0.table.unregister(), lend::plain(deadline, &mut arena), read::done)
    }

    fn get_many(&mut self, requests: &[GetRequest]) -> Result<Vec<Result<Secret>>> {
        if requests.len() > MAX_GET_MANY {
            return Err(Error::invalid(format!(
                "{} secrets were asked for at once; the most is {MAX_GET_MANY}",
                requests.len()
            )));
        }
        let mut arena = Arena::new();
        let request = lend::get_many(requests, &mut arena);
        let results = self.call(self.0.table.get_many(), request, read::secrets)?;
        if results.len() != requests.len() {
            return Err(Error::internal(format!(
                "{} secrets were asked for and {} came back",
                requests.len(),
                results.len()
            )));
        }
        Ok(results)
    }

    fn versions(&mut self, request: &GetRequest) -> Result<Vec<Version>> {
        let mut arena = Arena::new();
        self.call(self.0.table.versions(), lend::get(request, &mut arena), read::versions)
    }

    fn actions(&mut self, deadline: Deadline) -> Result<Vec<Action>> {
        let mut arena = Arena::new();
        self.call(self.0.table.actions(), lend::plain(deadline, &mut arena), read::actions)
    }

    fn act(&mut self, request: &ActRequest) -> Result<Outcome> {
        let mut arena = Arena::new();
        self.call(self.0.table.act(), lend::act(request, &mut arena), read::outcome)
    }

    #[cfg(feature = "next")]
    fn health(&mut self, deadline: Deadline) -> Result<std::collections::BTreeMap<String, String>> {
        let function = match self.0.table.health() {
            Some(function) => function,
            // An older plugin: what the plain trait does by default.
            None => return Ok(std::collections::BTreeMap::new()),
        };
        let mut arena = Arena::new();
        let outcome = self.call(function, lend::plain(deadline, &mut arena), read::outcome)?;
        let pairs = outcome.message.lines().filter_map(|line| line.split_once('='));
        Ok(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }
}

/// The most bytes of a path, as Linux has it.
const MAX_PATH_BYTES: usize = 4096;

/// What a context's state is on this side.
type State = Box<dyn Services>;

unsafe extern "C" fn log(state: *mut AbiState, level: u32, message: AbiBytes) {
    // SAFETY: the state came from `open` and lives until `close`.
    let services = unsafe { &*state.cast::<State>() };
    let _ = contained(|| {
        // SAFETY: the plugin keeps the message alive until this returns.
        match (Level::from_code(level), unsafe { message.text("a log line", MAX_MESSAGE_BYTES) }) {
            (Some(level), Ok(message)) => services.log(level, message),
            (None, Ok(message)) => services.log(Level::Debug, message),
            (_, Err(fault)) => services.log(Level::Warning, fault.message()),
        }
        Ok(())
    });
}

unsafe extern "C" fn exec(
    state: *mut AbiState,
    request: AbiExecRequestRef,
) -> AbiReply<AbiExecOutputRef> {
    // SAFETY: the state came from `open` and lives until `close`.
    let services = unsafe { &*state.cast::<State>() };
    let result = contained(|| {
        // SAFETY: the plugin keeps the request alive until this returns.
        let request = read::blaming_the_caller(unsafe { read::exec(request) })?;
        services.exec(request)
    });
    Arena::new().reply(result.map(|plain| move |arena: &mut Arena| lend::exec_output(plain, arena)))
}

unsafe extern "C" fn ownership(state: *mut AbiState, path: AbiBytes) -> AbiReply<AbiOwnershipRef> {
    // SAFETY: the state came from `open` and lives until `close`.
    let services = unsafe { &*state.cast::<State>() };
    let result = contained(|| {
        // SAFETY: the plugin keeps the path alive until this returns.
        let path = read::blaming_the_caller(unsafe { path.text("a path", MAX_PATH_BYTES) })?;
        services.ownership(path)
    });
    Arena::new().reply(result.map(|plain| move |arena: &mut Arena| lend::ownership(plain, arena)))
}

unsafe extern "C" fn close(state: *mut AbiState) {
    // SAFETY: the state came from `Box::into_raw` in `open`; the plugin calls this once.
    let services = unsafe { Box::from_raw(state.cast::<State>()) };
    let _ = contained(|| {
        drop(services);
        Ok(())
    });
}

/// Runs code of the host's that a plugin has called: a panic must not unwind into it.
fn contained<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        // Dropping it could panic again.
        std::mem::forget(payload);
        Err(Error::internal("the host panicked"))
    })
}

const CONTEXT: &WithMetadata<AbiContextTable> =
    &WithMetadata::new(AbiContextTable { log, exec, close, ownership });
