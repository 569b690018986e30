//! The tables of functions: the plugin's root, a vault's, a context's, and how a reply
//! goes back to its maker.

use abi_stable::library::RootModule;
use abi_stable::package_version_strings;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{ROption, RResult};
use abi_stable::StableAbi;

use super::types::*;
use super::view::AbiBytes;

/// Something of the other side that only its own functions look into.
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiState {
    opaque: u8,
}

/// A reply: a view into memory of its maker, given back when it is dropped.
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiReply<R> {
    /// What was answered.
    pub result: RResult<R, AbiErrorRef>,
    /// Where the answer's memory is.
    pub(super) owner: *mut AbiState,
    /// Frees it.
    pub(super) free: unsafe extern "C" fn(*mut AbiState),
}

impl<R> Drop for AbiReply<R> {
    fn drop(&mut self) {
        // SAFETY: `owner` was made together with `free` by the side that answered, and is
        // given back once: a reply is neither `Clone` nor `Copy`.
        unsafe { (self.free)(self.owner) }
    }
}

/// A function of a vault: its state, a request that lives until it returns, a reply.
pub type AbiCall<Request, Reply> = unsafe extern "C" fn(*mut AbiState, Request) -> AbiReply<Reply>;

/// The functions of a vault. Appended ones are absent in older plugins: the host then
/// does what the plain trait does by default.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = AbiVaultTableRef, prefix_fields = AbiVaultTablePrefix)))]
pub struct AbiVaultTable {
    /// [`Vault::get`](crate::Vault::get).
    pub get: unsafe extern "C" fn(*mut AbiState, AbiGetRequestRef) -> AbiReply<AbiSecretRef>,
    /// [`Vault::list`](crate::Vault::list).
    pub list: unsafe extern "C" fn(*mut AbiState, AbiListRequestRef) -> AbiReply<AbiPageRef>,
    /// [`Vault::describe`](crate::Vault::describe).
    pub describe: unsafe extern "C" fn(*mut AbiState, AbiGetRequestRef) -> AbiReply<AbiEntryRef>,
    /// [`Vault::set`](crate::Vault::set).
    pub set: unsafe extern "C" fn(*mut AbiState, AbiSetRequestRef) -> AbiReply<AbiDoneRef>,
    /// [`Vault::remove`](crate::Vault::remove).
    pub remove: unsafe extern "C" fn(*mut AbiState, AbiGetRequestRef) -> AbiReply<AbiDoneRef>,
    /// [`Vault::set_metadata`](crate::Vault::set_metadata).
    pub set_metadata:
        unsafe extern "C" fn(*mut AbiState, AbiSetMetadataRequestRef) -> AbiReply<AbiDoneRef>,
    /// [`Vault::unlock`](crate::Vault::unlock).
    pub unlock:
        unsafe extern "C" fn(*mut AbiState, AbiUnlockRequestRef) -> AbiReply<AbiUnlockedRef>,
    /// [`Vault::lock`](crate::Vault::lock).
    pub lock: unsafe extern "C" fn(*mut AbiState, AbiPlainRequestRef) -> AbiReply<AbiDoneRef>,
    /// [`Vault::test`](crate::Vault::test).
    pub test: unsafe extern "C" fn(*mut AbiState, AbiPlainRequestRef) -> AbiReply<AbiDoneRef>,
    /// [`Vault::unregister`](crate::Vault::unregister).
    pub unregister: unsafe extern "C" fn(*mut AbiState, AbiPlainRequestRef) -> AbiReply<AbiDoneRef>,
    /// [`Vault::get_many`](crate::Vault::get_many).
    pub get_many:
        unsafe extern "C" fn(*mut AbiState, AbiGetManyRequestRef) -> AbiReply<AbiSecretsRef>,
    /// [`Vault::versions`](crate::Vault::versions).
    pub versions: unsafe extern "C" fn(*mut AbiState, AbiGetRequestRef) -> AbiReply<AbiVersionsRef>,
    /// [`Vault::actions`](crate::Vault::actions).
    pub actions: unsafe extern "C" fn(*mut AbiState, AbiPlainRequestRef) -> AbiReply<AbiActionsRef>,
    /// [`Vault::act`](crate::Vault::act).
    pub act: unsafe extern "C" fn(*mut AbiState, AbiActRequestRef) -> AbiReply<AbiOutcomeRef>,
    /// Ends the vault; its state is gone afterwards.
    #[sabi(last_prefix_field)]
    pub close: unsafe extern "C" fn(*mut AbiState),
    /// [`Vault::set_many`](crate::Vault::set_many).
    pub set_many:
        unsafe extern "C" fn(*mut AbiState, AbiSetManyRequestRef) -> AbiReply<AbiWrittenRef>,
    /// [`Vault::health`](crate::Vault::health), as text.
    #[cfg(feature = "next")]
    pub health: unsafe extern "C" fn(*mut AbiState, AbiPlainRequestRef) -> AbiReply<AbiOutcomeRef>,
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
    /// Takes a line for the log: level, message.
    pub log: unsafe extern "C" fn(*mut AbiState, u32, AbiBytes),
    /// Runs a granted program.
    pub exec: unsafe extern "C" fn(*mut AbiState, AbiExecRequestRef) -> AbiReply<AbiExecOutputRef>,
    /// Ends the context; its state is gone afterwards.
    #[sabi(last_prefix_field)]
    pub close: unsafe extern "C" fn(*mut AbiState),
    /// Tells what is at a path outside of the sandbox.
    pub ownership: unsafe extern "C" fn(*mut AbiState, AbiBytes) -> AbiReply<AbiOwnershipRef>,
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

/// A further interface, found by its id: so the root never has to grow. The layout is
/// checked like the root's before the table is used.
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct AbiInterface {
    /// The table's layout.
    pub layout: &'static abi_stable::type_layout::TypeLayout,
    /// The table.
    pub table: *const AbiState,
}

/// A plugin's root.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = AbiPluginRef, prefix_fields = AbiPluginPrefix)))]
pub struct AbiPlugin {
    /// [`Plugin::open`](crate::Plugin::open). Takes the context over.
    pub open: unsafe extern "C" fn(AbiOpenRequestRef, AbiContext) -> AbiOpened,
    /// Returns the further interface of this id.
    #[sabi(last_prefix_field)]
    pub interface: unsafe extern "C" fn(AbiBytes) -> ROption<AbiInterface>,
}

/// What came of opening a vault.
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiOpened {
    /// The vault, where there is one.
    pub(super) vault: ROption<AbiVault>,
    /// The error, where there is none.
    pub(super) reply: AbiReply<AbiDoneRef>,
}

impl RootModule for AbiPluginRef {
    abi_stable::declare_root_module_statics! {AbiPluginRef}
    const BASE_NAME: &'static str = "keystead_plugin";
    const NAME: &'static str = "keystead_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}
