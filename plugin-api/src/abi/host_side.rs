//! The host's side of the boundary: a foreign plugin's tables as a [`Carrier`], and the host's
//! services behind a table of their own.

use std::panic::{self, AssertUnwindSafe};

use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::RNone;

use super::call::{serve_host, Serve, MAX_VALUE_BODY_BYTES};
use super::client::{Call, Carried, Carrier, Client};
use super::plugin_side;
use super::table::*;
use super::view::AbiBytes;
use super::wire::{self, encode, encode_reply};
use crate::error::{Error, Result};
use crate::plugin::{Context, OpenRequest, Plugin, Services};

/// Opens a vault of a plugin whose layout has been found to fit.
///
/// # Errors
/// What the plugin answers.
pub fn open(root: AbiPluginRef, request: &OpenRequest, context: Context) -> Result<Library> {
    let request = encode(request)?;
    let state = Box::into_raw(Box::new(context.into_services())).cast::<AbiState>();
    let table = AbiContextTableRef(CONTEXT.static_as_prefix());
    let context = AbiContext { state, table };
    // SAFETY: the request lives until the call returns; the context is handed over.
    let mut opened = unsafe { (root.open())(AbiBytes::of(request.expose()), context) };
    // Taken before the error is looked at: a vault that came with one is closed again.
    let vault = std::mem::replace(&mut opened.vault, RNone).map(Library);
    // SAFETY: the reply lives until `opened` ends.
    wire::decode_reply::<()>(unsafe { opened.reply.read() }?)?;
    vault.into_option().ok_or_else(|| Error::internal("the plugin opened a vault and gave none"))
}

/// Opens a vault of a plugin that is linked into this program, through the same tables.
///
/// # Errors
/// What the plugin answers.
pub fn open_linked<P: Plugin>(request: &OpenRequest, context: Context) -> Result<Client<Library>> {
    open(plugin_side::root::<P>(), request, context).map(Client::new)
}

/// A vault in a foreign library of this process.
pub struct Library(AbiVault);

// SAFETY: `Vault: Send` on the plugin's side, checked by the compiler that built it.
unsafe impl Send for Library {}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: the vault was opened once and is closed once, here.
        unsafe { (self.0.table.close())(self.0.state) }
    }
}

impl Serve for Library {
    fn serve(&mut self, method: u32, request: &[u8], reply: &mut dyn FnMut(&[u8])) -> Result<()> {
        // SAFETY: the state lives until `close`; the request outlives this call; `&mut self` makes
        // it the only one.
        let answer = unsafe { (self.0.table.call())(self.0.state, method, AbiBytes::of(request)) };
        // SAFETY: the reply lives until it is dropped at the end.
        reply(unsafe { answer.read() }?);
        Ok(())
    }
}

impl Carrier for Library {
    fn carry(&mut self, call: Call<'_>, read: &mut dyn FnMut(&[u8])) -> Result<Carried> {
        let mut carried = Carried::Replied;
        let request = (call.request)()?;
        self.serve(call.method.code(), request.expose(), &mut |reply| {
            if reply.len() > call.method.max_reply() {
                carried = Carried::TooMuch;
            } else {
                read(reply);
            }
        })?;
        Ok(carried)
    }
}

/// What a context's state is on this side.
type State = Box<dyn Services>;

unsafe extern "C" fn call(state: *mut AbiState, service: u32, request: AbiBytes) -> AbiReply {
    // SAFETY: the state came from `open` and lives until `close`.
    let services = unsafe { &*state.cast::<State>() };
    let reply = contained(|| {
        // SAFETY: the plugin keeps the request alive until this returns.
        let request = unsafe { request.read("the request", MAX_VALUE_BODY_BYTES) }?;
        Ok(serve_host(&**services, service, request))
    });
    AbiReply::of(reply.unwrap_or_else(|error| encode_reply::<()>(&Err(error))))
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

const CONTEXT: &WithMetadata<AbiContextTable> = &WithMetadata::new(AbiContextTable { call, close });
