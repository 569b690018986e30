//! The plugin's side of the boundary: an author's plain [`Plugin`] behind the tables,
//! with every entry guarded against panics.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};

use abi_stable::library::{
    __call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult,
};
use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::{RNone, ROption, RSome};

use super::arena::Arena;
use super::table::*;
use super::types::*;
use super::view::AbiBytes;
use super::{lend, merged, read};
use crate::error::{cut, Error, Result, MAX_MESSAGE_BYTES};
use crate::plugin::{Context, ExecOutput, ExecRequest, Level, Ownership, Plugin, Services};
use crate::vault::{SetRequest, Vault};

/// Returns the exported header of this plugin. Called by
/// [`export_plugin!`](crate::export_plugin) in a `static`.
pub const fn header<P: Plugin>() -> LibHeader {
    // SAFETY: `construct` returns the erased `AbiPluginRef` that `root` makes.
    unsafe { LibHeader::from_constructor::<AbiPluginRef>(construct::<P>, CheckTypeLayout::Yes) }
}

/// Returns the plugin's root, for a host that has it linked into itself.
pub(super) fn root<P: Plugin>() -> AbiPluginRef {
    struct Root<P>(P);
    impl<P: Plugin> Root<P> {
        const ROOT: &'static WithMetadata<AbiPlugin> =
            &WithMetadata::new(AbiPlugin { open: open::<P>, interface });
    }
    AbiPluginRef(Root::<P>::ROOT.static_as_prefix())
}

extern "C" fn construct<P: Plugin>() -> RootModuleResult {
    __call_root_module_loader(|| -> AbiPluginRef {
        // This copy of the standard library is the plugin's own, and so is the hook. What
        // the default one prints may hold a secret; where it happened does not.
        panic::set_hook(Box::new(|info| {
            let place = info.location().map(|l| format!("{}:{}", l.file(), l.line()));
            // A thread's own destructors may panic after this one is gone.
            let _ = LAST_PANIC.try_with(|last| *last.borrow_mut() = place);
        }));
        root::<P>()
    } as fn() -> AbiPluginRef)
}

std::thread_local! {
    /// Where the last panic of this thread was.
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs code of the author's; a panic becomes an error.
fn guard<T>(what: &str, run: impl FnOnce() -> Result<T>) -> (Result<T>, Panicked) {
    match panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => (result, Panicked::No),
        Err(payload) => {
            // Dropping it runs code of the author's, which may panic again.
            std::mem::forget(payload);
            let place = LAST_PANIC.try_with(|last| last.borrow_mut().take()).unwrap_or(None);
            let place = place.map_or_else(String::new, |place| format!(" at {place}"));
            (Err(Error::internal(format!("the plugin panicked in `{what}`{place}"))), Panicked::Yes)
        }
    }
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Panicked {
    No,
    Yes,
}

/// What a vault's state is on this side. After a panic nothing of the author's is called
/// any more, not even to drop it.
struct Guarded {
    vault: Option<Box<dyn Vault>>,
    poisoned: Panicked,
}

impl Guarded {
    fn call<T>(&mut self, what: &str, run: impl FnOnce(&mut dyn Vault) -> Result<T>) -> Result<T> {
        let vault = match (&mut self.vault, self.poisoned) {
            (Some(vault), Panicked::No) => vault,
            _ => return Err(Error::internal("the plugin panicked earlier in this vault")),
        };
        let (result, panicked) = guard(what, || run(&mut **vault));
        self.poisoned = panicked;
        result
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let vault = self.vault.take();
        if self.poisoned == Panicked::Yes {
            std::mem::forget(vault);
        } else {
            let _ = guard("drop", || {
                drop(vault);
                Ok(())
            });
        }
    }
}

unsafe extern "C" fn open<P: Plugin>(request: AbiOpenRequestRef, context: AbiContext) -> AbiOpened {
    let context = Context::new(Box::new(HostServices(context)));
    let (result, _) = guard("open", || {
        // SAFETY: the host keeps the request alive until this returns.
        let request = read::blaming_the_caller(unsafe { read::open(request) })?;
        P::open(request, context)
    });
    match result {
        Ok(vault) => {
            let guarded = Guarded { vault: Some(vault), poisoned: Panicked::No };
            let state = Box::into_raw(Box::new(guarded)).cast::<AbiState>();
            let table = AbiVaultTableRef(TABLE.static_as_prefix());
            let reply = Arena::new().reply(Ok(|arena: &mut Arena| lend::done((), arena)));
            AbiOpened { vault: RSome(AbiVault { state, table }), reply }
        }
        Err(error) => {
            let failed: Result<fn(&mut Arena) -> Result<AbiDoneRef>> = Err(error);
            AbiOpened { vault: RNone, reply: Arena::new().reply(failed) }
        }
    }
}

/// No further interface is defined yet; an unknown id is never an error.
unsafe extern "C" fn interface(_id: AbiBytes) -> ROption<AbiInterface> {
    RNone
}

/// Answers one call: reads the request, runs the author's code guarded, lends the answer.
unsafe fn answer<Request, Plain, Answer, Reply>(
    state: *mut AbiState,
    what: &str,
    request: Request,
    read: unsafe fn(Request) -> Result<Plain>,
    run: impl FnOnce(&mut dyn Vault, Plain) -> Result<Answer>,
    lend: fn(Answer, &mut Arena) -> Result<Reply>,
) -> AbiReply<Reply> {
    // SAFETY: `state` came from `open`, and the host calls a vault from one place at a
    // time and not after `close`.
    let guarded = unsafe { &mut *state.cast::<Guarded>() };
    let result = guarded.call(what, |vault| {
        // SAFETY: the host keeps the request alive until this returns.
        run(vault, read::blaming_the_caller(unsafe { read(request) })?)
    });
    Arena::new().reply(result.map(|plain| move |arena: &mut Arena| lend(plain, arena)))
}

unsafe fn read_plain(request: AbiPlainRequestRef) -> Result<crate::Deadline> {
    Ok(read::plain(request))
}

/// The functions of every vault of every plugin.
macro_rules! entries {
    ($($name:ident: $request:ty => $reply:ty, $read:path, $lend:path, $run:expr;)*) => {$(
        unsafe extern "C" fn $name(state: *mut AbiState, request: $request) -> AbiReply<$reply> {
            // SAFETY: the host's promises, passed on.
            unsafe { answer(state, stringify!($name), request, $read, $run, $lend) }
        }
    )*};
}

entries! {
    get: AbiGetRequestRef => AbiSecretRef, read::get, lend::secret,
        |vault, request| vault.get(&request);
    list: AbiListRequestRef => AbiPageRef, read::list, lend::page,
        |vault, request| vault.list(&request);
    describe: AbiGetRequestRef => AbiEntryRef, read::get, lend::entry,
        |vault, request| vault.describe(&request);
    set: AbiSetRequestRef => AbiDoneRef, read::set, lend::done,
        |vault, request| vault.set(request);
    remove: AbiGetRequestRef => AbiDoneRef, read::get, lend::done,
        |vault, request| vault.remove(&request);
    set_metadata: AbiSetMetadataRequestRef => AbiDoneRef, read::set_metadata, lend::done,
        |vault, (request, metadata)| vault.set_metadata(&request, metadata);
    unlock: AbiUnlockRequestRef => AbiUnlockedRef, read::unlock, lend::unlocked,
        |vault, request| vault.unlock(&request);
    lock: AbiPlainRequestRef => AbiDoneRef, read_plain, lend::done,
        |vault, deadline| vault.lock(deadline);
    test: AbiPlainRequestRef => AbiDoneRef, read_plain, lend::done,
        |vault, deadline| vault.test(deadline);
    unregister: AbiPlainRequestRef => AbiDoneRef, read_plain, lend::done,
        |vault, deadline| vault.unregister(deadline);
    get_many: AbiGetManyRequestRef => AbiSecretsRef, read::get_many, lend::secrets,
        |vault, requests| vault.get_many(&requests);
    versions: AbiGetRequestRef => AbiVersionsRef, read::get, lend::versions,
        |vault, request| vault.versions(&request);
    actions: AbiPlainRequestRef => AbiActionsRef, read_plain, lend::actions,
        |vault, deadline| vault.actions(deadline);
    act: AbiActRequestRef => AbiOutcomeRef, read::act, lend::outcome,
        |vault, request| vault.act(&request);
    set_many: AbiSetManyRequestRef => AbiWrittenRef, read::set_many, lend::written,
        |vault, requests| set_readable(vault, requests);
}

/// Writes what could be read and puts the answers between the errors of what could not.
fn set_readable(
    vault: &mut dyn Vault,
    requests: Vec<Result<SetRequest>>,
) -> Result<Vec<Result<()>>> {
    let mut readable = Vec::with_capacity(requests.len());
    let each = requests.into_iter().map(|request| request.map(|request| readable.push(request)));
    let results: Vec<Result<()>> = each.collect();
    let answers = vault.set_many(readable)?;
    merged(results, answers)
}

#[cfg(feature = "next")]
entries! {
    health: AbiPlainRequestRef => AbiOutcomeRef, read_plain, lend::outcome,
        |vault, deadline| {
            let health = vault.health(deadline)?;
            let lines: Vec<_> = health.iter().map(|(key, value)| format!("{key}={value}")).collect();
            Ok(crate::Outcome::new(lines.join("\n")))
        };
}

unsafe extern "C" fn close(state: *mut AbiState) {
    // SAFETY: `state` came from `Box::into_raw` in `open`; the host calls this once.
    drop(unsafe { Box::from_raw(state.cast::<Guarded>()) });
}

const TABLE: &WithMetadata<AbiVaultTable> = &WithMetadata::new(AbiVaultTable {
    get,
    list,
    describe,
    set,
    remove,
    set_metadata,
    unlock,
    lock,
    test,
    unregister,
    get_many,
    versions,
    actions,
    act,
    close,
    set_many,
    #[cfg(feature = "next")]
    health,
});

/// The host's services as they reach the plugin.
struct HostServices(AbiContext);

// SAFETY: the host's side is `Send + Sync` by `Services`, and its functions may be called
// from any thread (`AbiContext`).
unsafe impl Send for HostServices {}
// SAFETY: as above.
unsafe impl Sync for HostServices {}

impl Services for HostServices {
    fn log(&self, level: Level, message: &str) {
        let view = AbiBytes::of(cut(message, MAX_MESSAGE_BYTES).as_bytes());
        // SAFETY: the state lives until `close`; the view until this returns.
        unsafe { (self.0.table.log())(self.0.state, level.code(), view) }
    }

    fn exec(&self, request: ExecRequest) -> Result<ExecOutput> {
        let mut arena = Arena::new();
        let request = lend::exec(request, &mut arena);
        // SAFETY: the state lives until `close`; the request until this returns.
        let reply = unsafe { (self.0.table.exec())(self.0.state, request) };
        // SAFETY: the reply lives until it is dropped below.
        unsafe { read::result(&reply.result, read::exec_output) }
    }

    fn ownership(&self, path: &str) -> Result<Option<Ownership>> {
        // An older host has no sandbox that hides it.
        let function = match self.0.table.ownership() {
            Some(function) => function,
            // A host from before it.
            None => return Ok(None),
        };
        // SAFETY: the state lives until `close`; the path until this returns.
        let reply = unsafe { function(self.0.state, AbiBytes::of(path.as_bytes())) };
        // SAFETY: the reply lives until it is dropped below.
        unsafe { read::result(&reply.result, read::ownership) }
    }
}

impl Drop for HostServices {
    fn drop(&mut self) {
        // SAFETY: the context was handed over by value, and is closed once, here.
        unsafe { (self.0.table.close())(self.0.state) }
    }
}
