//! What `keystead_plugin.h` declares, as Rust sees it: field by field, in its order. A test
//! compares sizes, places and numbers with what a C compiler makes of the header.

use std::ffi::c_void;

use keystead_plugin_api::{Error, Result};

/// What both tables begin with: "KEYST-C1".
pub(super) const MAGIC: u64 = 0x4b45_5953_542d_4331;

/// The size that a plugin's table had in the first version: none is smaller.
pub(super) const PLUGIN_V1_BYTES: usize = 152;

/// The most bytes a plugin's table may say it has: 8,000 functions are none of ours.
pub(super) const MAX_PLUGIN_BYTES: usize = 64 * 1024;

/// Bytes of the other side; a null start means that there are none at all.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes {
    pub(super) data: *const u8,
    pub(super) size: usize,
}

impl Bytes {
    pub(super) const NONE: Self = Self { data: std::ptr::null(), size: 0 };

    /// Returns a view of these bytes; the caller keeps them alive.
    pub(super) fn of(bytes: &[u8]) -> Self {
        // Of no bytes, a slice points nowhere: what is given to C can be copied from and compared.
        let data = if bytes.is_empty() { std::ptr::from_ref(&NOTHING) } else { bytes.as_ptr() };
        Self { data, size: bytes.len() }
    }

    /// Returns a view of this text, or of none.
    pub(super) fn optional(text: Option<&str>) -> Self {
        text.map_or(Self::NONE, |text| Self::of(text.as_bytes()))
    }

    /// Returns the bytes, at most `limit` of them.
    ///
    /// # Safety
    /// A start that is not null must lead to `length` readable bytes that stay unchanged for
    /// `'a`. This cannot be checked: in a runner a lie ends the runner, in the host's own
    /// process it may end the host (docs/abi.md).
    pub(super) unsafe fn read<'a>(self, what: &str, limit: usize) -> Result<&'a [u8]> {
        if self.data.is_null() {
            return Err(Error::internal(format!("{what} is missing")));
        }
        if self.size > limit {
            let length = self.size;
            return Err(Error::internal(format!("{what} has {length} bytes; the most is {limit}")));
        }
        // SAFETY: not null, and not longer than the caller vouches for; every limit is far
        // below `isize::MAX`, and bytes have no alignment.
        Ok(unsafe { std::slice::from_raw_parts(self.data, self.size) })
    }

    /// Returns the bytes as text.
    ///
    /// # Safety
    /// As for [`Bytes::read`].
    pub(super) unsafe fn text<'a>(self, what: &str, limit: usize) -> Result<&'a str> {
        // SAFETY: passed on to the caller.
        let bytes = unsafe { self.read(what, limit) }?;
        std::str::from_utf8(bytes).map_err(|_| Error::internal(format!("{what} is not UTF-8")))
    }
}

/// What bytes of length zero point to.
static NOTHING: u8 = 0;

/// A plugin's open vault: only the plugin looks into it.
pub(super) type State = *mut c_void;

/// A parameter, or a piece of metadata: they have one form.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Item {
    pub(super) name: Bytes,
    pub(super) kind: u32,
    pub(super) integer: i64,
    pub(super) text: Bytes,
}

#[repr(C)]
pub(super) struct Answer {
    pub(super) name: Bytes,
    pub(super) value: Bytes,
}

#[repr(C)]
pub(super) struct Variable {
    pub(super) name: Bytes,
    pub(super) value: Bytes,
}

#[repr(C)]
pub(super) struct PlainRequest {
    pub(super) size: usize,
    pub(super) deadline_millis: u64,
}

#[repr(C)]
pub(super) struct OpenRequest {
    pub(super) size: usize,
    pub(super) deadline_millis: u64,
    pub(super) vault: Bytes,
    pub(super) kind: Bytes,
    pub(super) parameters: *const Item,
    pub(super) parameter_count: usize,
    pub(super) session: Bytes,
    pub(super) session_millis: u64,
    pub(super) host_name: Bytes,
    pub(super) host_version: Bytes,
}

#[repr(C)]
pub(super) struct GetRequest {
    pub(super) size: usize,
    pub(super) deadline_millis: u64,
    pub(super) name: Bytes,
    pub(super) version: Bytes,
}

#[repr(C)]
pub(super) struct SetRequest {
    pub(super) size: usize,
    pub(super) deadline_millis: u64,
    pub(super) name: Bytes,
    pub(super) value_kind: u32,
    pub(super) mode: u32,
    pub(super) value: Bytes,
    pub(super) metadata: *const Item,
    pub(super) metadata_count: usize,
}

#[repr(C)]
pub(super) struct RenameRequest {
    pub(super) size: usize,
    pub(super) deadline_millis: u64,
    pub(super) from: Bytes,
    pub(super) to: Bytes,
}

#[repr(C)]
pub(super) struct SetMetadataRequest {
    pub(super) size: usize,
    pub(super) deadline_millis: u64,
    pub(super) name: Bytes,
    pub(super) metadata: *const Item,
    pub(super) metadata_count: usize,
}

#[repr(C)]
pub(super) struct ListRequest {
    pub(super) size: usize,
    pub(super) deadline_millis: u64,
    pub(super) cursor: Bytes,
    pub(super) pattern: Bytes,
    pub(super) limit: usize,
    pub(super) prefix: Bytes,
}

#[repr(C)]
pub(super) struct UnlockRequest {
    pub(super) size: usize,
    pub(super) deadline_millis: u64,
    pub(super) challenge: Bytes,
    pub(super) answers: *const Answer,
    pub(super) answer_count: usize,
}

#[repr(C)]
pub(super) struct ActionRequest {
    pub(super) size: usize,
    pub(super) deadline_millis: u64,
    pub(super) action: Bytes,
    pub(super) parameters: *const Item,
    pub(super) parameter_count: usize,
}

#[repr(C)]
pub(super) struct ExecRequest {
    pub(super) size: usize,
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
    pub(super) size: usize,
    pub(super) status: i32,
    pub(super) output: Bytes,
    pub(super) errors: Bytes,
    pub(super) message: Bytes,
}

/// A plugin's function that is given an output.
pub(super) type Take = unsafe extern "C" fn(*mut c_void, *const ExecOutput);

#[repr(C)]
pub(super) struct ReadFileRequest {
    pub(super) size: usize,
    pub(super) deadline_millis: u64,
    pub(super) path: Bytes,
}

#[repr(C)]
pub(super) struct ReplaceFileRequest {
    pub(super) size: usize,
    pub(super) deadline_millis: u64,
    pub(super) path: Bytes,
    pub(super) expected: Bytes,
    pub(super) content: Bytes,
}

#[repr(C)]
pub(super) struct FileTold {
    pub(super) size: usize,
    pub(super) content: Bytes,
    pub(super) version: Bytes,
    pub(super) message: Bytes,
}

/// A plugin's function that is given a file.
pub(super) type TakeFile = unsafe extern "C" fn(*mut c_void, *const FileTold);

/// The host's functions.
#[repr(C)]
pub(super) struct HostTable {
    pub(super) magic: u64,
    pub(super) size: usize,
    pub(super) log: unsafe extern "C" fn(u64, u32, Bytes) -> u32,
    pub(super) exec:
        unsafe extern "C" fn(u64, *const ExecRequest, Option<Take>, *mut c_void) -> u32,
    pub(super) message: unsafe extern "C" fn(u64, Bytes) -> u32,
    pub(super) challenge: unsafe extern "C" fn(u64, Bytes) -> u32,
    pub(super) prompt: unsafe extern "C" fn(u64, Bytes, Bytes, u32) -> u32,
    pub(super) wait: unsafe extern "C" fn(u64, u64) -> u32,
    pub(super) value: unsafe extern "C" fn(u64, u32, Bytes) -> u32,
    pub(super) text: unsafe extern "C" fn(u64, Bytes) -> u32,
    pub(super) bytes: unsafe extern "C" fn(u64, Bytes) -> u32,
    pub(super) credential: unsafe extern "C" fn(u64, Bytes, Bytes) -> u32,
    pub(super) metadata: unsafe extern "C" fn(u64, *const Item) -> u32,
    pub(super) entry: unsafe extern "C" fn(u64, Bytes, u32) -> u32,
    pub(super) next_cursor: unsafe extern "C" fn(u64, Bytes) -> u32,
    pub(super) session: unsafe extern "C" fn(u64, Bytes, u64) -> u32,
    pub(super) version: unsafe extern "C" fn(u64, Bytes, *const i64) -> u32,
    pub(super) action: unsafe extern "C" fn(u64, Bytes, Bytes, u32) -> u32,
    pub(super) parameter: unsafe extern "C" fn(u64, Bytes, u32, u32, Bytes, Bytes) -> u32,
    pub(super) result: unsafe extern "C" fn(u64, u32) -> u32,
    pub(super) read_file:
        unsafe extern "C" fn(u64, *const ReadFileRequest, Option<TakeFile>, *mut c_void) -> u32,
    pub(super) replace_file:
        unsafe extern "C" fn(u64, *const ReplaceFileRequest, Option<TakeFile>, *mut c_void) -> u32,
    pub(super) is_granted: unsafe extern "C" fn(u64, Bytes) -> u32,
}

/// A function of a vault: what it is asked, and where the answer goes.
pub(super) type Call<R> = unsafe extern "C" fn(State, *const R, u64) -> u32;

/// A function of a vault that is asked several things at once.
pub(super) type CallMany<R> = unsafe extern "C" fn(State, *const *const R, usize, u64) -> u32;

/// A plugin's functions. What a shorter table does not have is absent, as what is null.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct PluginTable {
    pub(super) magic: u64,
    pub(super) size: usize,
    pub(super) open: Option<unsafe extern "C" fn(*const OpenRequest, u64, u64, *mut State) -> u32>,
    pub(super) close: Option<unsafe extern "C" fn(State)>,
    pub(super) get: Option<Call<GetRequest>>,
    pub(super) list: Option<Call<ListRequest>>,
    pub(super) describe: Option<Call<GetRequest>>,
    pub(super) set: Option<Call<SetRequest>>,
    pub(super) remove: Option<Call<GetRequest>>,
    pub(super) set_metadata: Option<Call<SetMetadataRequest>>,
    pub(super) unlock: Option<Call<UnlockRequest>>,
    pub(super) lock: Option<Call<PlainRequest>>,
    pub(super) test: Option<Call<PlainRequest>>,
    pub(super) unregister: Option<Call<PlainRequest>>,
    pub(super) versions: Option<Call<GetRequest>>,
    pub(super) actions: Option<Call<PlainRequest>>,
    pub(super) run_action: Option<Call<ActionRequest>>,
    pub(super) get_many: Option<CallMany<GetRequest>>,
    pub(super) set_many: Option<CallMany<SetRequest>>,
    pub(super) rename: Option<Call<RenameRequest>>,
}
