//! The tables of functions: the plugin's root, a vault's, a context's, and how a reply
//! goes back to its maker.

use abi_stable::library::RootModule;
use abi_stable::package_version_strings;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::ROption;
use abi_stable::StableAbi;

use super::view::AbiBytes;
use crate::error::{Error, Result};
use crate::value::SecretBytes;

/// Something of the other side that only its own functions look into.
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiState {
    opaque: u8,
}

/// A reply: bytes in memory of its maker, given back when it is dropped.
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiReply {
    bytes: AbiBytes,
    /// Where the reply's memory is.
    owner: *mut AbiState,
    /// Frees it.
    free: unsafe extern "C" fn(*mut AbiState),
}

impl AbiReply {
    /// Returns a reply with these bytes, which are wiped when it is given back.
    pub(super) fn of(bytes: SecretBytes) -> Self {
        // Boxed first: a view taken before would be of memory whose owner then moves.
        let owner = Box::new(bytes);
        let bytes = AbiBytes::of(owner.expose());
        Self { bytes, owner: Box::into_raw(owner).cast::<AbiState>(), free: free_bytes }
    }

    /// Returns the bytes, for as long as the reply lives.
    ///
    /// # Safety
    /// The other side tells the truth about its memory: see [`AbiBytes::read`].
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) where there are none, or too many.
    pub(super) unsafe fn read(&self) -> Result<&[u8]> {
        // SAFETY: passed on to the caller.
        let reply = unsafe { self.bytes.read("the answer", isize::MAX as usize) };
        reply.map_err(|fault| Error::internal(fault.message()))
    }
}

impl Drop for AbiReply {
    fn drop(&mut self) {
        // SAFETY: `owner` was made together with `free` by the side that answered, and is
        // given back once: a reply is neither `Clone` nor `Copy`.
        unsafe { (self.free)(self.owner) }
    }
}

/// Ends a reply's memory, in the module that made it.
unsafe extern "C" fn free_bytes(owner: *mut AbiState) {
    // SAFETY: `owner` came from `Box::into_raw` in `of`, the only place that pairs it with this
    // function, and is given back once.
    drop(unsafe { Box::from_raw(owner.cast::<SecretBytes>()) });
}

/// The functions of a vault. A call is made by its number, with a request that lives until it
/// returns.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = AbiVaultTableRef, prefix_fields = AbiVaultTablePrefix)))]
pub struct AbiVaultTable {
    /// Makes a call: a [`Method`](super::call::Method).
    pub call: unsafe extern "C" fn(*mut AbiState, u32, AbiBytes) -> AbiReply,
    /// Ends the vault; its state is gone afterwards.
    #[sabi(last_prefix_field)]
    pub close: unsafe extern "C" fn(*mut AbiState),
}

/// An open vault.
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiVault {
    /// The plugin's own.
    pub(super) state: *mut AbiState,
    /// What can be asked of it.
    pub(super) table: AbiVaultTableRef,
}

/// The functions of a context.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = AbiContextTableRef, prefix_fields = AbiContextTablePrefix)))]
pub struct AbiContextTable {
    /// Asks for a [`Service`](super::call::Service).
    pub call: unsafe extern "C" fn(*mut AbiState, u32, AbiBytes) -> AbiReply,
    /// Ends the context; its state is gone afterwards.
    #[sabi(last_prefix_field)]
    pub close: unsafe extern "C" fn(*mut AbiState),
}

/// A vault's way to its host. May be called from any thread of the plugin.
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiContext {
    /// The host's own.
    pub(super) state: *mut AbiState,
    /// What can be asked of it.
    pub(super) table: AbiContextTableRef,
}

/// A plugin's root.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = AbiPluginRef, prefix_fields = AbiPluginPrefix)))]
pub struct AbiPlugin {
    /// [`Plugin::open`](crate::Plugin::open): an [`OpenRequest`](crate::OpenRequest) that lives
    /// until it returns. Takes the context over.
    #[sabi(last_prefix_field)]
    pub open: unsafe extern "C" fn(AbiBytes, AbiContext) -> AbiOpened,
}

/// What came of opening a vault.
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiOpened {
    /// The vault, where there is one.
    pub(super) vault: ROption<AbiVault>,
    /// The error, where there is none.
    pub(super) reply: AbiReply,
}

impl RootModule for AbiPluginRef {
    abi_stable::declare_root_module_statics! {AbiPluginRef}
    const BASE_NAME: &'static str = "keystead_plugin";
    const NAME: &'static str = "keystead_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}
