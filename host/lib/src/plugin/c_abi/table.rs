//! What `keystead_plugin.h` and `keystead_types.h` declare, as Rust sees it: field by field, in its
//! order. A test compares sizes, places and numbers with what a C compiler makes of the headers.

use std::ffi::c_void;

pub(super) use super::bytes::{Bytes, Grown, checked, grown, texts};

/// What both tables begin with: "KEYST-C1".
pub(super) const MAGIC: u64 = 0x4b45_5953_542d_4331;

/// The size that a plugin's table had in the first version: none is smaller.
pub(super) const PLUGIN_V1_BYTES: usize = 192;

/// The most bytes a plugin's table may say it has: 8,000 functions are none of ours.
pub(super) const MAX_PLUGIN_BYTES: usize = 64 * 1024;

/// Flags of a plugin's table: its writes check `if_version`, and keep lists of texts.
pub(super) const CONDITIONAL: u32 = 1;
pub(super) const TEXT_LISTS: u32 = 2;

/// A flag of metadata: it is read-only.
pub(super) const READ_ONLY: u32 = 1;

/// A flag of a plugin's table: its writes know metadata of the kind *digest* and the mode *merge*.
#[cfg(feature = "next")]
pub(super) const NEXT: u32 = 0x100;

/// Bits of `present`.
pub(super) mod with {
    pub(in super::super) const VERSION: u32 = 1;
    pub(in super::super) const IF_VERSION: u32 = 2;
    pub(in super::super) const METADATA: u32 = 4;
    pub(in super::super) const CURSOR: u32 = 8;
    pub(in super::super) const PATTERN: u32 = 16;
    pub(in super::super) const SESSION: u32 = 32;
    pub(in super::super) const ID: u32 = 64;
    pub(in super::super) const CREATED: u32 = 128;
    pub(in super::super) const REMOVED: u32 = 256;
    pub(in super::super) const RECOVERABLE_UNTIL: u32 = 512;
    pub(in super::super) const EXPECTED: u32 = 1024;
    pub(in super::super) const FILE: u32 = 2048;
    #[cfg(feature = "next")]
    pub(in super::super) const LEASE: u32 = 0x10_0000;
}

/// A plugin's open vault: only the plugin looks into it.
pub(super) type State = *mut c_void;

/// A parameter.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Item {
    pub(super) size: u32,
    pub(super) kind: u32,
    pub(super) name: Bytes,
    pub(super) integer: i64,
    pub(super) text: Bytes,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Metadata {
    pub(super) size: u32,
    pub(super) kind: u32,
    pub(super) key: Bytes,
    pub(super) integer: i64,
    pub(super) text: Bytes,
    pub(super) texts: *const Bytes,
    pub(super) text_count: usize,
    pub(super) flags: u32,
    pub(super) reserved: u32,
}

#[repr(C)]
pub(super) struct Answer {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) name: Bytes,
    pub(super) value: Bytes,
}

#[repr(C)]
pub(super) struct Variable {
    pub(super) name: Bytes,
    pub(super) value: Bytes,
}

/// A request that has nothing but its deadline.
#[repr(C)]
pub(super) struct PlainRequest {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) deadline_millis: u64,
}

#[repr(C)]
pub(super) struct OpenRequest {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) deadline_millis: u64,
    pub(super) vault: Bytes,
    pub(super) kind: Bytes,
    pub(super) parameters: *const *const Item,
    pub(super) parameter_count: usize,
    pub(super) session: Bytes,
    pub(super) session_millis: u64,
    pub(super) host_name: Bytes,
    pub(super) host_version: Bytes,
}

#[repr(C)]
pub(super) struct GetRequest {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) deadline_millis: u64,
    pub(super) name: Bytes,
    pub(super) version: Bytes,
    #[cfg(feature = "next")]
    pub(super) reason: Bytes,
}

/// Several requests.
#[repr(C)]
pub(super) struct ManyRequest<R> {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) requests: *const *const R,
    pub(super) request_count: usize,
}

#[repr(C)]
pub(super) struct ListRequest {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) deadline_millis: u64,
    pub(super) cursor: Bytes,
    pub(super) pattern: Bytes,
    pub(super) prefix: Bytes,
    pub(super) limit: u32,
    pub(super) reserved: u32,
}

#[repr(C)]
pub(super) struct DescribeRequest {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) deadline_millis: u64,
    pub(super) name: Bytes,
}

#[repr(C)]
pub(super) struct SetRequest {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) deadline_millis: u64,
    pub(super) name: Bytes,
    pub(super) value: Bytes,
    pub(super) value_kind: u32,
    pub(super) mode: u32,
    pub(super) metadata: *const *const Metadata,
    pub(super) metadata_count: usize,
    pub(super) if_version: Bytes,
}

#[repr(C)]
pub(super) struct RemoveRequest {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) deadline_millis: u64,
    pub(super) name: Bytes,
    pub(super) if_version: Bytes,
}

#[repr(C)]
pub(super) struct RenameRequest {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) deadline_millis: u64,
    pub(super) from: Bytes,
    pub(super) to: Bytes,
}

#[repr(C)]
pub(super) struct SetMetadataRequest {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) deadline_millis: u64,
    pub(super) name: Bytes,
    pub(super) metadata: *const *const Metadata,
    pub(super) metadata_count: usize,
    pub(super) if_version: Bytes,
}

#[repr(C)]
pub(super) struct UnlockRequest {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) deadline_millis: u64,
    pub(super) challenge: Bytes,
    pub(super) answers: *const *const Answer,
    pub(super) answer_count: usize,
}

#[repr(C)]
pub(super) struct VersionsRequest {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) deadline_millis: u64,
    pub(super) name: Bytes,
    pub(super) cursor: Bytes,
    pub(super) limit: u32,
    pub(super) reserved: u32,
}

#[repr(C)]
pub(super) struct ListRemovedRequest {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) deadline_millis: u64,
    pub(super) cursor: Bytes,
    pub(super) limit: u32,
    pub(super) reserved: u32,
}

/// A request of `restore` or `purge`.
#[repr(C)]
pub(super) struct RemovedOneRequest {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) deadline_millis: u64,
    pub(super) name: Bytes,
    pub(super) id: Bytes,
    pub(super) version: Bytes,
}

#[repr(C)]
pub(super) struct ActionRequest {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) deadline_millis: u64,
    pub(super) action: Bytes,
    pub(super) parameters: *const *const Item,
    pub(super) parameter_count: usize,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Challenge {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) id: Bytes,
    pub(super) message: Bytes,
    pub(super) url: Bytes,
    pub(super) wait: u32,
    pub(super) reserved: u32,
    pub(super) interval_millis: u64,
    pub(super) expires_millis: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Prompt {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) kind: u32,
    pub(super) flags: u32,
    pub(super) name: Bytes,
    pub(super) label: Bytes,
    pub(super) choices: *const Bytes,
    pub(super) choice_count: usize,
}

/// What is known of a secret beside its value; also of one that was written.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Secret {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) version: Bytes,
    #[cfg(feature = "next")]
    pub(super) lease_millis: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) name: Bytes,
    pub(super) kind: u32,
    pub(super) reserved: u32,
    pub(super) version: Bytes,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Removed {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) recoverable_until: i64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct RemovedSecret {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) name: Bytes,
    pub(super) id: Bytes,
    pub(super) removed: i64,
    pub(super) recoverable_until: i64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Version {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) id: Bytes,
    pub(super) created: i64,
    pub(super) flags: u32,
    pub(super) reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) names: u32,
    pub(super) folding: u32,
    pub(super) composition: u32,
    pub(super) reserved: u32,
    pub(super) max_name_bytes: u64,
    pub(super) max_value_bytes: u64,
    pub(super) name_grammar: Bytes,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Action {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) id: Bytes,
    pub(super) description: Bytes,
    pub(super) flags: u32,
    pub(super) reserved: u32,
}

/// A parameter of an action's schema.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Schema {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) kind: u32,
    pub(super) flags: u32,
    pub(super) name: Bytes,
    pub(super) description: Bytes,
    pub(super) preset: Bytes,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct ExecRequest {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) deadline_millis: u64,
    pub(super) program: Bytes,
    pub(super) arguments: *const Bytes,
    pub(super) argument_count: usize,
    pub(super) input: Bytes,
    pub(super) variables: *const Variable,
    pub(super) variable_count: usize,
}

#[repr(C)]
pub(super) struct ExecOutput {
    pub(super) size: u32,
    pub(super) status: i32,
    pub(super) output: Bytes,
    pub(super) errors: Bytes,
    pub(super) message: Bytes,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct ReadFileRequest {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) deadline_millis: u64,
    pub(super) path: Bytes,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct ReplaceFileRequest {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) deadline_millis: u64,
    pub(super) path: Bytes,
    pub(super) expected: Bytes,
    pub(super) content: Bytes,
}

#[repr(C)]
pub(super) struct FileTold {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) content: Bytes,
    pub(super) version: Bytes,
    pub(super) message: Bytes,
}

/// A plugin's function that is given a file.
pub(super) type TakeFile = unsafe extern "C" fn(*mut c_void, *const FileTold);

macro_rules! grown {
    ($($type:ty, $what:literal, $first:literal;)*) => {$(
        // SAFETY: all are `repr(C)`, begin with `size: u32`, and are made of numbers and pointers
        // alone; a test of the headers compares their sizes, and finds no padding.
        unsafe impl Grown for $type {
            const WHAT: &'static str = $what;
            const FIRST: usize = $first;
        }
    )*};
}

grown! {
    Metadata, "a piece of metadata", 72;
    Challenge, "a challenge", 80;
    Prompt, "a prompt", 64;
    Secret, "what is known of a secret", 24;
    Entry, "an entry", 48;
    Removed, "a removal", 16;
    RemovedSecret, "a removed secret", 56;
    Version, "a version", 40;
    Rules, "the rules", 56;
    Action, "an action", 48;
    Schema, "a parameter's schema", 64;
    ExecRequest, "a request of exec", 80;
    ReadFileRequest, "a request of read_file", 32;
    ReplaceFileRequest, "a request of replace_file", 64;
}

/// A plugin's function that is given an output.
pub(super) type Take = unsafe extern "C" fn(*mut c_void, *const ExecOutput);

/// A function of the host's that takes a struct of an answer.
type Told<T> = unsafe extern "C" fn(u64, *const T) -> u32;

/// The host's functions.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct HostTable {
    pub(super) magic: u64,
    pub(super) size: u32,
    pub(super) flags: u32,
    pub(super) log_line: unsafe extern "C" fn(u64, u32, Bytes) -> u32,
    pub(super) exec:
        unsafe extern "C" fn(u64, *const ExecRequest, Option<Take>, *mut c_void) -> u32,
    pub(super) message: unsafe extern "C" fn(u64, Bytes) -> u32,
    pub(super) retry_after: unsafe extern "C" fn(u64, u64) -> u32,
    pub(super) challenge: Told<Challenge>,
    pub(super) prompt: Told<Prompt>,
    pub(super) value: unsafe extern "C" fn(u64, u32, Bytes) -> u32,
    pub(super) text: unsafe extern "C" fn(u64, Bytes) -> u32,
    pub(super) bytes: unsafe extern "C" fn(u64, Bytes) -> u32,
    pub(super) json: unsafe extern "C" fn(u64, Bytes) -> u32,
    pub(super) credential: unsafe extern "C" fn(u64, Bytes, Bytes) -> u32,
    pub(super) metadata: Told<Metadata>,
    pub(super) secret: Told<Secret>,
    pub(super) entry: Told<Entry>,
    pub(super) next_cursor: unsafe extern "C" fn(u64, Bytes) -> u32,
    pub(super) written: Told<Secret>,
    pub(super) removed: Told<Removed>,
    pub(super) version: Told<Version>,
    pub(super) removed_secret: Told<RemovedSecret>,
    pub(super) rules: Told<Rules>,
    pub(super) action: Told<Action>,
    pub(super) parameter: Told<Schema>,
    pub(super) keep_session: unsafe extern "C" fn(u64, Bytes, u64) -> u32,
    pub(super) result: unsafe extern "C" fn(u64, u32) -> u32,
    pub(super) read_file:
        unsafe extern "C" fn(u64, *const ReadFileRequest, Option<TakeFile>, *mut c_void) -> u32,
    pub(super) replace_file:
        unsafe extern "C" fn(u64, *const ReplaceFileRequest, Option<TakeFile>, *mut c_void) -> u32,
    pub(super) is_granted: unsafe extern "C" fn(u64, Bytes) -> u32,
    pub(super) forget_session: unsafe extern "C" fn(u64) -> u32,
    #[cfg(feature = "next")]
    pub(super) notify: unsafe extern "C" fn(u64, Bytes) -> u32,
    #[cfg(feature = "next")]
    pub(super) health: unsafe extern "C" fn(u64, Bytes, Bytes) -> u32,
}

/// A function of a vault: its request, and where the answer goes.
pub(super) type Call<R> = unsafe extern "C" fn(State, *const R, u64) -> u32;

/// A plugin's function that opens a vault.
pub(super) type Open =
    unsafe extern "C" fn(*const HostTable, u64, *const OpenRequest, u64, *mut State) -> u32;

/// A plugin's functions. What a shorter table does not have is absent, as what is null.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct PluginTable {
    pub(super) magic: u64,
    pub(super) size: u32,
    pub(super) flags: u32,
    pub(super) open: Option<Open>,
    pub(super) close: Option<unsafe extern "C" fn(State)>,
    pub(super) get: Option<Call<GetRequest>>,
    pub(super) list: Option<Call<ListRequest>>,
    pub(super) describe: Option<Call<DescribeRequest>>,
    pub(super) set: Option<Call<SetRequest>>,
    pub(super) remove: Option<Call<RemoveRequest>>,
    pub(super) set_metadata: Option<Call<SetMetadataRequest>>,
    pub(super) unlock: Option<Call<UnlockRequest>>,
    pub(super) lock: Option<Call<PlainRequest>>,
    pub(super) test: Option<Call<PlainRequest>>,
    pub(super) unregister: Option<Call<PlainRequest>>,
    pub(super) versions: Option<Call<VersionsRequest>>,
    pub(super) actions: Option<Call<PlainRequest>>,
    pub(super) run_action: Option<Call<ActionRequest>>,
    pub(super) get_many: Option<Call<ManyRequest<GetRequest>>>,
    pub(super) set_many: Option<Call<ManyRequest<SetRequest>>>,
    pub(super) rename: Option<Call<RenameRequest>>,
    pub(super) list_removed: Option<Call<ListRemovedRequest>>,
    pub(super) restore: Option<Call<RemovedOneRequest>>,
    pub(super) purge: Option<Call<RemovedOneRequest>>,
    pub(super) rules: Option<Call<PlainRequest>>,
    #[cfg(feature = "next")]
    pub(super) health: Option<Call<PlainRequest>>,
}

/// Returns the size of a struct, as it stands at its beginning.
pub(super) const fn size<T>() -> u32 {
    // All are far smaller than 4 GiB.
    size_of::<T>() as u32
}
