//! What crosses, field by field. Numbers are those of the plain types; `deadline_millis`
//! is what is left of the deadline when the call is made.

use abi_stable::std_types::RResult;
use abi_stable::StableAbi;

use super::view::{AbiBytes, AbiSlice};

/// Set in an ownership's flags where the host tells something.
pub(super) const OWNERSHIP_KNOWN: u32 = 1;

/// Set in an ownership's flags where it is on a mount that is read-only.
pub(super) const OWNERSHIP_READ_ONLY: u32 = 2;

/// Declares requests, replies and errors: prefix types, whose fields can be appended.
/// The first attribute list of a field behind the last one marks the prefix's end.
macro_rules! prefix_types {
    ($(
        $(#[$doc:meta])*
        $name:ident as $reference:ident, $prefix:ident {
            $( $(#[$field_doc:meta])* $field:ident : $type:ty, )*
        }
    )*) => {$(
        $(#[$doc])*
        #[repr(C)]
        #[derive(StableAbi)]
        #[sabi(kind(Prefix(prefix_ref = $reference, prefix_fields = $prefix)))]
        pub struct $name {
            $( $(#[$field_doc])* pub $field: $type, )*
        }
    )*};
}

prefix_types! {
    /// [`OpenRequest`](crate::OpenRequest).
    AbiOpenRequest as AbiOpenRequestRef, AbiOpenRequestPrefix {
        /// The name the vault is registered under.
        vault: AbiBytes,
        /// Which of the manifest's kinds it is.
        kind: AbiBytes,
        /// What its registration says.
        parameters: AbiSlice<AbiParameter>,
        /// What an earlier unlock gave out, or absent.
        session: AbiBytes,
        /// For how long the session is good.
        session_millis: u64,
        /// Until when.
        #[sabi(last_prefix_field)]
        deadline_millis: u64,
    }

    /// [`GetRequest`](crate::GetRequest), for every call on one name.
    AbiGetRequest as AbiGetRequestRef, AbiGetRequestPrefix {
        /// Its name.
        name: AbiBytes,
        /// Which version, or absent.
        version: AbiBytes,
        /// Until when.
        #[sabi(last_prefix_field)]
        deadline_millis: u64,
        /// Why, or absent.
        #[cfg(feature = "next")]
        reason: AbiBytes,
    }

    /// Several [`GetRequest`](crate::GetRequest)s.
    AbiGetManyRequest as AbiGetManyRequestRef, AbiGetManyRequestPrefix {
        /// Each of them.
        #[sabi(last_prefix_field)]
        requests: AbiSlice<AbiGetRequestRef>,
    }

    /// [`SetRequest`](crate::SetRequest).
    AbiSetRequest as AbiSetRequestRef, AbiSetRequestPrefix {
        /// Its name.
        name: AbiBytes,
        /// Its value's kind.
        value_kind: u32,
        /// What to do when the name is there already, or is not.
        mode: u32,
        /// Its value's byte form.
        value: AbiBytes,
        /// 1 where metadata is given.
        has_metadata: u8,
        /// Its metadata.
        metadata: AbiSlice<AbiMetadata>,
        /// Until when.
        #[sabi(last_prefix_field)]
        deadline_millis: u64,
    }

    /// Several [`SetRequest`](crate::SetRequest)s.
    AbiSetManyRequest as AbiSetManyRequestRef, AbiSetManyRequestPrefix {
        /// Each of them.
        #[sabi(last_prefix_field)]
        requests: AbiSlice<AbiSetRequestRef>,
    }

    /// New metadata for a name.
    AbiSetMetadataRequest as AbiSetMetadataRequestRef, AbiSetMetadataRequestPrefix {
        /// Which secret.
        secret: AbiGetRequestRef,
        /// Its metadata.
        #[sabi(last_prefix_field)]
        metadata: AbiSlice<AbiMetadata>,
    }

    /// [`ListRequest`](crate::ListRequest).
    AbiListRequest as AbiListRequestRef, AbiListRequestPrefix {
        /// The last page's `next`, or absent.
        after: AbiBytes,
        /// The most entries wanted.
        limit: u64,
        /// A pattern, or absent.
        filter: AbiBytes,
        /// Until when.
        #[sabi(last_prefix_field)]
        deadline_millis: u64,
    }

    /// [`UnlockRequest`](crate::UnlockRequest).
    AbiUnlockRequest as AbiUnlockRequestRef, AbiUnlockRequestPrefix {
        /// The challenge's id.
        challenge: AbiBytes,
        /// An answer to each of its prompts.
        answers: AbiSlice<AbiAnswer>,
        /// Until when.
        #[sabi(last_prefix_field)]
        deadline_millis: u64,
    }

    /// A call that needs only a deadline.
    AbiPlainRequest as AbiPlainRequestRef, AbiPlainRequestPrefix {
        /// Until when.
        #[sabi(last_prefix_field)]
        deadline_millis: u64,
    }

    /// [`ActRequest`](crate::ActRequest).
    AbiActRequest as AbiActRequestRef, AbiActRequestPrefix {
        /// The action's id.
        action: AbiBytes,
        /// Its parameters.
        parameters: AbiSlice<AbiParameter>,
        /// Until when.
        #[sabi(last_prefix_field)]
        deadline_millis: u64,
    }

    /// [`ExecRequest`](crate::ExecRequest).
    AbiExecRequest as AbiExecRequestRef, AbiExecRequestPrefix {
        /// The program.
        program: AbiBytes,
        /// Its arguments.
        arguments: AbiSlice<AbiBytes>,
        /// What it reads.
        input: AbiBytes,
        /// Its variables, each name followed by its value.
        environment: AbiSlice<AbiBytes>,
        /// Until when.
        #[sabi(last_prefix_field)]
        deadline_millis: u64,
    }

    /// [`Error`](crate::Error).
    AbiError as AbiErrorRef, AbiErrorPrefix {
        /// Its kind.
        kind: u32,
        /// Its message.
        message: AbiBytes,
        /// The challenge's id, or absent where there is no challenge.
        challenge: AbiBytes,
        /// The challenge's prompts.
        prompts: AbiSlice<AbiPrompt>,
        /// 1 where a wait is given.
        has_wait: u8,
        /// After how long the same call may work.
        #[sabi(last_prefix_field)]
        wait_millis: u64,
    }

    /// Nothing but that it was done.
    AbiDone as AbiDoneRef, AbiDonePrefix {
        /// Nothing.
        #[sabi(last_prefix_field)]
        nothing: u8,
    }

    /// [`Secret`](crate::Secret).
    AbiSecret as AbiSecretRef, AbiSecretPrefix {
        /// Its value's kind.
        value_kind: u32,
        /// Its value's byte form.
        value: AbiBytes,
        /// Its metadata.
        #[sabi(last_prefix_field)]
        metadata: AbiSlice<AbiMetadata>,
        /// Until when the value is good; 0 where not known.
        #[cfg(feature = "next")]
        lease_millis: u64,
    }

    /// A result for each of several names.
    AbiSecrets as AbiSecretsRef, AbiSecretsPrefix {
        /// Each of them.
        #[sabi(last_prefix_field)]
        results: AbiSlice<RResult<AbiSecretRef, AbiErrorRef>>,
    }

    /// A result for each of several writes.
    AbiWritten as AbiWrittenRef, AbiWrittenPrefix {
        /// Each of them.
        #[sabi(last_prefix_field)]
        results: AbiSlice<RResult<AbiDoneRef, AbiErrorRef>>,
    }

    /// [`Entry`](crate::Entry).
    AbiEntry as AbiEntryRef, AbiEntryPrefix {
        /// Its name.
        name: AbiBytes,
        /// Its value's kind; 0 where not known.
        value_kind: u32,
        /// Its metadata.
        #[sabi(last_prefix_field)]
        metadata: AbiSlice<AbiMetadata>,
    }

    /// [`Page`](crate::Page).
    AbiPage as AbiPageRef, AbiPagePrefix {
        /// Its entries.
        entries: AbiSlice<AbiEntryRef>,
        /// What to ask for next, or absent.
        #[sabi(last_prefix_field)]
        next: AbiBytes,
    }

    /// What an unlock gave out.
    AbiUnlocked as AbiUnlockedRef, AbiUnlockedPrefix {
        /// The session's secret, or absent.
        session: AbiBytes,
        /// For how long it is good.
        #[sabi(last_prefix_field)]
        session_millis: u64,
    }

    /// Versions of a secret.
    AbiVersions as AbiVersionsRef, AbiVersionsPrefix {
        /// Each of them.
        #[sabi(last_prefix_field)]
        versions: AbiSlice<AbiVersionRef>,
    }

    /// [`Version`](crate::Version).
    AbiVersion as AbiVersionRef, AbiVersionPrefix {
        /// The vault's own name for it.
        id: AbiBytes,
        /// 1 where `created` is known.
        has_created: u8,
        /// When it was written.
        #[sabi(last_prefix_field)]
        created_millis: i64,
    }

    /// Actions of a vault.
    AbiActions as AbiActionsRef, AbiActionsPrefix {
        /// Each of them.
        #[sabi(last_prefix_field)]
        actions: AbiSlice<AbiActionRef>,
    }

    /// [`Action`](crate::Action).
    AbiAction as AbiActionRef, AbiActionPrefix {
        /// Its id.
        id: AbiBytes,
        /// What it does.
        description: AbiBytes,
        /// What it may or must be told.
        parameters: AbiSlice<AbiParameterSchemaRef>,
        /// 1 where something is lost by it.
        #[sabi(last_prefix_field)]
        destructive: u8,
    }

    /// [`Parameter`](crate::Parameter).
    AbiParameterSchema as AbiParameterSchemaRef, AbiParameterSchemaPrefix {
        /// Its name.
        name: AbiBytes,
        /// What a value must be.
        kind: u32,
        /// What it is for.
        description: AbiBytes,
        /// 1 where it must be given.
        required: u8,
        /// 1 where its value is secret.
        secret: u8,
        /// The value where none is given.
        #[sabi(last_prefix_field)]
        default: AbiBytes,
    }

    /// [`Outcome`](crate::Outcome).
    AbiOutcome as AbiOutcomeRef, AbiOutcomePrefix {
        /// A sentence for people.
        message: AbiBytes,
        /// The value's kind.
        value_kind: u32,
        /// The value's byte form, or absent.
        #[sabi(last_prefix_field)]
        value: AbiBytes,
    }

    /// [`Ownership`](crate::Ownership), where there is something to tell.
    AbiOwnership as AbiOwnershipRef, AbiOwnershipPrefix {
        /// 1: there is; 2: it is on a mount that is read-only.
        flags: u32,
        /// The number of its user.
        owner: u32,
        /// The number of its file system.
        device: u64,
        /// Its number there.
        #[sabi(last_prefix_field)]
        inode: u64,
    }

    /// [`ExecOutput`](crate::ExecOutput).
    AbiExecOutput as AbiExecOutputRef, AbiExecOutputPrefix {
        /// The program's exit status.
        status: i32,
        /// What it wrote to standard output.
        output: AbiBytes,
        /// What it wrote to standard error.
        #[sabi(last_prefix_field)]
        errors: AbiBytes,
    }
}

/// One parameter's value. Never grows: a new form is a new kind.
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct AbiParameter {
    /// Its name.
    pub name: AbiBytes,
    /// 1 text, 2 integer, 3 boolean, 4 secret.
    pub kind: u32,
    /// The integer, or 0 and 1 for a boolean.
    pub integer: i64,
    /// The text or secret.
    pub text: AbiBytes,
}

/// One piece of metadata. Never grows: a new form is a new kind.
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct AbiMetadata {
    /// Its key.
    pub key: AbiBytes,
    /// 1 text, 2 integer, 3 boolean, 4 timestamp.
    pub kind: u32,
    /// The integer, timestamp, or 0 and 1 for a boolean.
    pub integer: i64,
    /// The text.
    pub text: AbiBytes,
}

/// One answer to a prompt. Never grows.
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct AbiAnswer {
    /// The prompt's name.
    pub name: AbiBytes,
    /// What was typed.
    pub value: AbiBytes,
}

/// One field to ask for. Never grows.
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct AbiPrompt {
    /// The field's name.
    pub name: AbiBytes,
    /// What a person reads.
    pub label: AbiBytes,
    /// Bit 0: what is typed must not be shown. Bit 1: it is chosen now, and typed twice.
    pub secret: u8,
}
