//! The plugin's side of the boundary: an author's plain [`Plugin`] behind the tables,
//! with every entry guarded against panics.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};

use abi_stable::library::{
    __call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult,
};
use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::{RNone, RSome};

use super::call::{self, Method, Service};
use super::table::*;
use super::view::AbiBytes;
use super::wire::{self, decode, encode, encode_reply, LogLine, One, Wire};
use crate::error::{cut, Error, Result, MAX_MESSAGE_BYTES};
use crate::plugin::{
    Context, ExecOutput, ExecRequest, FileRead, FileReplaced, Level, Ownership, Plugin,
    ReadFileRequest, ReplaceFileRequest, Services,
};
use crate::vault::{Session, Vault};

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
            &WithMetadata::new(AbiPlugin { open: open::<P> });
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

/// The most bytes of a request: what the largest call has.
const MAX_REQUEST_BYTES: usize = 64 * 1024 * 1024;

unsafe extern "C" fn open<P: Plugin>(request: AbiBytes, context: AbiContext) -> AbiOpened {
    let context = Context::new(Box::new(HostServices(context)));
    let (result, _) = guard("open", || {
        // SAFETY: the host keeps the request alive until this returns.
        let request = unsafe { request.read("the request", MAX_REQUEST_BYTES) }?;
        P::open(decode(request)?, context)
    });
    let (vault, result) = match result {
        Ok(vault) => {
            let guarded = Guarded { vault: Some(vault), poisoned: Panicked::No };
            let state = Box::into_raw(Box::new(guarded)).cast::<AbiState>();
            let table = AbiVaultTableRef(TABLE.static_as_prefix());
            (RSome(AbiVault { state, table }), Ok(()))
        }
        Err(error) => (RNone, Err(error)),
    };
    AbiOpened { vault, reply: AbiReply::of(encode_reply(&result)) }
}

/// Answers one call: the author's code runs guarded.
unsafe extern "C" fn call(state: *mut AbiState, method: u32, request: AbiBytes) -> AbiReply {
    // SAFETY: `state` came from `open`, and the host calls a vault from one place at a
    // time and not after `close`.
    let guarded = unsafe { &mut *state.cast::<Guarded>() };
    let name = Method::from_code(method).map_or("a call", Method::as_str);
    let reply = guarded.call(name, |vault| {
        // SAFETY: the host keeps the request alive until this returns.
        let request = unsafe { request.read("the request", MAX_REQUEST_BYTES) }?;
        Ok(call::serve(vault, method, request))
    });
    AbiReply::of(reply.unwrap_or_else(|error| encode_reply::<()>(&Err(error))))
}

unsafe extern "C" fn close(state: *mut AbiState) {
    // SAFETY: `state` came from `Box::into_raw` in `open`; the host calls this once.
    drop(unsafe { Box::from_raw(state.cast::<Guarded>()) });
}

const TABLE: &WithMetadata<AbiVaultTable> = &WithMetadata::new(AbiVaultTable { call, close });

/// The host's services as they reach the plugin.
struct HostServices(AbiContext);

// SAFETY: the host's side is `Send + Sync` by `Services`, and its functions may be called
// from any thread (`AbiContext`).
unsafe impl Send for HostServices {}
// SAFETY: as above.
unsafe impl Sync for HostServices {}

impl HostServices {
    /// Asks for a service; `None` of a host that does not know it.
    fn ask<Answer: Wire>(&self, service: Service, request: &impl Wire) -> Result<Option<Answer>> {
        let request = encode(request)?;
        let view = AbiBytes::of(request.expose());
        // SAFETY: the state lives until `close`; the request until this returns.
        let reply = unsafe { (self.0.table.call())(self.0.state, service.code(), view) };
        // SAFETY: the reply lives until it is dropped at the end.
        wire::decode_reply(unsafe { reply.read() }?)
    }
}

impl Services for HostServices {
    fn log(&self, level: Level, message: &str) {
        let line = LogLine { level, message: cut(message, MAX_MESSAGE_BYTES).to_owned() };
        // A line that the host does not take is lost: there is nobody to tell.
        let _ = self.ask::<()>(Service::Log, &line);
    }

    fn exec(&self, request: ExecRequest) -> Result<ExecOutput> {
        let output = self.ask(Service::Exec, &request)?;
        output.ok_or_else(|| Error::unsupported("this host runs no programs"))
    }

    fn ownership(&self, path: &str) -> Result<Option<Ownership>> {
        let path = One(path.to_owned());
        // A host that does not know it has no sandbox that hides owners.
        Ok(self.ask::<One<Option<_>>>(Service::Ownership, &path)?.and_then(|found| found.0))
    }

    fn is_granted(&self, permission: &str) -> Result<bool> {
        // A host that does not know it says nothing of grants.
        let permission = One(permission.to_owned());
        Ok(self.ask::<One<bool>>(Service::IsGranted, &permission)?.map_or(true, |is| is.0))
    }

    fn read_file(&self, request: ReadFileRequest) -> Result<FileRead> {
        let read = self.ask(Service::ReadFile, &request)?;
        read.ok_or_else(|| Error::unsupported("this host reads no files for plugins"))
    }

    fn replace_file(&self, request: ReplaceFileRequest) -> Result<FileReplaced> {
        let replaced = self.ask(Service::ReplaceFile, &request)?;
        replaced.ok_or_else(|| Error::unsupported("this host replaces no files"))
    }

    fn keep_session(&self, session: Session) {
        // A host that does not take it, or does not know sessions, keeps none.
        let _ = self.ask::<()>(Service::KeepSession, &session);
    }

    fn forget_session(&self) {
        let _ = self.ask::<()>(Service::ForgetSession, &());
    }

    #[cfg(feature = "next")]
    fn notify(&self, line: &str) -> Result<()> {
        let notified = self.ask::<()>(Service::Notify, &One(line.to_owned()))?;
        notified.ok_or_else(|| Error::unsupported("this host notifies of nothing"))
    }
}

impl Drop for HostServices {
    fn drop(&mut self) {
        // SAFETY: the context was handed over by value, and is closed once, here.
        unsafe { (self.0.table.close())(self.0.state) }
    }
}
