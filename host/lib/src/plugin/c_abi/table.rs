//! Declarations of `keystead_plugin.h` and `keystead_types.h` in Rust. Structs of records come from
//! the description of the Rust ABI (`plugin-api/src/abi/wire/records.rs`), with code that lends or
//! reads each field. A test compares sizes, offsets and numbers with those of a C compiler.

use std::ffi::c_void;

use keystead_plugin_api as api;
use keystead_plugin_api::abi::wire::MAX_LINE_BYTES;
use keystead_plugin_api::{
    MAX_EXEC_ARGUMENT_BYTES, MAX_FILE_BYTES, MAX_MESSAGE_BYTES, MAX_VALUE_BYTES, Result,
};

pub(super) use super::bytes::{Bytes, Grown, grown};
pub(super) use super::field::*;
use super::fuzzing::Script;
use super::lend::{Kept, Lend, Lent};

/// First field of both tables: "KEYST-C1".
pub(super) const MAGIC: u64 = 0x4b45_5953_542d_4331;

/// Bytes of a plugin's table in the first version: none is smaller.
pub(super) const PLUGIN_V1_BYTES: usize = 192;

/// Maximum bytes that a plugin's table may state: no valid table has 8,000 functions.
pub(super) const MAX_PLUGIN_BYTES: usize = 64 * 1024;

/// Flags of a plugin's table: its writes check `if_version`, and keep lists of texts.
pub(super) const CONDITIONAL: u32 = 1;
pub(super) const TEXT_LISTS: u32 = 2;

/// A flag of a plugin's table: its writes know metadata of the kind *digest* and the mode *merge*.
#[cfg(feature = "next")]
pub(super) const NEXT: u32 = 0x100;

/// A plugin's open vault: only the plugin reads it.
pub(super) type State = *mut c_void;

/// Defines the struct in C of a record of the plugin API, as `keystead_records!` describes both.
macro_rules! twins {
    (bits { $( $(#[$bit_attribute:meta])* $bit:ident = $value:literal, )* } ; $(
        $type:ident $record:tt $(, most $most:expr)? $(, then $then:expr)?
        $(, c $way:ident $c:ident $([ $($first:tt)* ])? { $($fields:tt)* })? ;
    )*) => {
        /// Bits of `present`.
        pub(super) mod with {
            $( $(#[$bit_attribute])* pub(in super::super) const $bit: u32 = $value; )*
        }

        $( $( $way! { $type $record $([ $($first)* ])? { $($fields)* } } )? )*
    };
}

/// Returns the field of a record: that of the same name, unless another name is given.
macro_rules! source {
    ($of:expr, $name:ident) => {
        $of.$name
    };
    ($of:expr, $name:ident $field:ident) => {
        $of.$field
    };
}

/// Returns the bit of a field that may be absent.
macro_rules! bit {
    ($field:expr) => {
        0
    };
    ($field:expr, $bit:ident) => {
        if $field.is_some() { with::$bit } else { 0 }
    };
}

/// A struct that the host lends.
macro_rules! lent {
    ($type:ident $record:tt { $(
        $(#[$attribute:meta])* $name:ident $(+ $more:ident)* : $as:ty
            $(| $bit:ident)? $(= $field:ident)?
    ),* $(,)? }) => {
        #[repr(C)]
        pub(super) struct $type {
            pub(super) size: u32,
            pub(super) present: u32,
            $( $(#[$attribute])* pub(super) $name: $as, )*
        }

        impl Lent for api::$type {
            type Twin = $type;

            fn lent(&self, kept: &mut Kept) -> Result<$type> {
                let mut present = 0;
                $( $(#[$attribute])* { present |= bit!(source!(self, $name $($field)?) $(, $bit)?); } )*
                Ok($type {
                    size: size::<$type>(),
                    present,
                    $( $(#[$attribute])* $name: Lend::lend(&source!(self, $name $($field)?), kept)?, )*
                })
            }
        }
    };
}

/// Reads a field if it is present.
macro_rules! say {
    ($it:expr, $said:ident, $type:ident, [$name:ident]) => {
        say!($it, $said, $type, [$name $name])
    };
    ($it:expr, $said:ident, $type:ident, [$name:ident $field:ident]) => {
        // SAFETY: passed on to the caller.
        unsafe { $said.take(&$type::$field, $it.$name) }?
    };
    ($it:expr, $said:ident, $type:ident, [$($name:ident)*] | $bit:ident) => {
        if $it.present & with::$bit != 0 {
            say!($it, $said, $type, [$($name)*]);
        }
    };
    ($it:expr, $said:ident, $type:ident, [$name:ident]
        { $( $(#[$attribute:meta])* $mask:literal $flag:ident ),* }) => {
        $( $(#[$attribute])* {
            if u32::from($it.$name) & $mask != 0 {
                $said.own(&$type::$flag, &true)?;
            }
        } )*
    };
}

/// A struct that a plugin passes to the host.
macro_rules! told {
    ($type:ident { $(
        $(#[$record_attribute:meta])* $number:literal $record:ident $(<= $limit:expr)?
    ),* $(,)? } [$first:literal, $what:literal] { $(
        $(#[$attribute:meta])* $name:ident $(+ $more:ident)* : $as:ty
            $(| $bit:ident)? $(= $field:ident)? $({ $($flags:tt)* })?
    ),* $(,)? }) => {
        #[repr(C)]
        #[derive(Clone, Copy, Default)]
        pub(super) struct $type {
            pub(super) size: u32,
            pub(super) present: u32,
            $( $(#[$attribute])* pub(super) $name: $as, )*
        }

        // SAFETY: it is `repr(C)`, begins with `size: u32`, and is made of numbers and pointers alone;
        // a test of the headers compares its size, and finds no padding.
        unsafe impl Grown for $type {
            const WHAT: &'static str = $what;
            const FIRST: usize = $first;
        }

        #[allow(non_upper_case_globals, dead_code, reason = "all are there, named as the record's are")]
        impl $type {
            $( $(#[$record_attribute])* pub(super) const $record: Field = Field {
                number: $number,
                name: concat!("`", stringify!($record), "`"),
                limit: [$($limit,)? MAX_LINE_BYTES][0],
            }; )*

            /// Returns a struct without content.
            #[cfg(test)]
            pub(super) fn sized() -> Self {
                Self { size: size::<Self>(), ..Default::default() }
            }
        }

        impl $type {
            /// Returns a struct with content that the script chooses.
            pub(super) fn filled(script: &mut Script) -> Self {
                Self {
                    size: script.size::<Self>(),
                    present: script.small(),
                    $( $(#[$attribute])* $name: script.field(), )*
                }
            }
        }

        impl Told for $type {
            type Plain = api::$type;

            unsafe fn say(&self, said: &mut Said<'_>) -> Result<()> {
                $( $(#[$attribute])* {
                    say!(self, said, $type, [$name $($field)?] $(| $bit)? $({ $($flags)* })?);
                } )*
                Ok(())
            }
        }
    };
}

keystead_plugin_api::keystead_records! { twins }

/// A parameter.
#[repr(C)]
pub(super) struct Parameter {
    pub(super) size: u32,
    pub(super) kind: u32,
    pub(super) name: Bytes,
    pub(super) integer: i64,
    pub(super) text: Bytes,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Metadata {
    pub(super) size: u32,
    pub(super) kind: u32,
    pub(super) key: Bytes,
    pub(super) integer: i64,
    pub(super) text: Bytes,
    pub(super) texts: Texts,
    pub(super) flags: u32,
    pub(super) reserved: u32,
}

// SAFETY: as for the structs of the description.
unsafe impl Grown for Metadata {
    const WHAT: &'static str = "a piece of metadata";
    const FIRST: usize = 72;
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
#[derive(Default)]
pub(super) struct FileTold {
    pub(super) size: u32,
    pub(super) present: u32,
    pub(super) content: Bytes,
    pub(super) version: Bytes,
    pub(super) message: Bytes,
}

/// A plugin's function that receives a file.
pub(super) type TakeFile = unsafe extern "C" fn(*mut c_void, *const FileTold);

/// A plugin's function that receives an output.
pub(super) type Take = unsafe extern "C" fn(*mut c_void, *const ExecOutput);

/// A function of the host that accepts a struct of an answer.
type Tell<T> = unsafe extern "C" fn(u64, *const T) -> u32;

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
    pub(super) challenge: Tell<Challenge>,
    pub(super) prompt: Tell<Prompt>,
    pub(super) value: unsafe extern "C" fn(u64, u32, Bytes) -> u32,
    pub(super) text: unsafe extern "C" fn(u64, Bytes) -> u32,
    pub(super) bytes: unsafe extern "C" fn(u64, Bytes) -> u32,
    pub(super) json: unsafe extern "C" fn(u64, Bytes) -> u32,
    pub(super) credential: unsafe extern "C" fn(u64, Bytes, Bytes) -> u32,
    pub(super) metadata: Tell<Metadata>,
    pub(super) secret: Tell<Secret>,
    pub(super) entry: Tell<Entry>,
    pub(super) next_cursor: unsafe extern "C" fn(u64, Bytes) -> u32,
    pub(super) written: Tell<Written>,
    pub(super) removed: Tell<Removed>,
    pub(super) version: Tell<Version>,
    pub(super) removed_secret: Tell<RemovedSecret>,
    pub(super) rules: Tell<Rules>,
    pub(super) action: Tell<Action>,
    pub(super) parameter: Tell<OwnedParameter>,
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

/// A function of a vault: takes a request and the number of its reply.
pub(super) type Call<R> = unsafe extern "C" fn(State, *const R, u64) -> u32;

/// A plugin's function that opens a vault.
pub(super) type Open =
    unsafe extern "C" fn(*const HostTable, u64, *const OpenRequest, u64, *mut State) -> u32;

/// A plugin's functions. Functions beyond the end of a shorter table are absent, as null ones are.
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
    pub(super) lock: Option<Call<LockRequest>>,
    pub(super) test: Option<Call<TestRequest>>,
    pub(super) unregister: Option<Call<UnregisterRequest>>,
    pub(super) versions: Option<Call<VersionsRequest>>,
    pub(super) actions: Option<Call<ActionsRequest>>,
    pub(super) run_action: Option<Call<ActionRequest>>,
    pub(super) get_many: Option<Call<GetManyRequest>>,
    pub(super) set_many: Option<Call<SetManyRequest>>,
    pub(super) rename: Option<Call<RenameRequest>>,
    pub(super) list_removed: Option<Call<ListRemovedRequest>>,
    pub(super) restore: Option<Call<RestoreRequest>>,
    pub(super) purge: Option<Call<PurgeRequest>>,
    pub(super) rules: Option<Call<RulesRequest>>,
    #[cfg(feature = "next")]
    pub(super) health: Option<Call<TestRequest>>,
}

/// Returns the size of a struct as its first field states it.
pub(super) const fn size<T>() -> u32 {
    // All are far smaller than 4 GiB.
    size_of::<T>() as u32
}
