//! Every check, in the order of the report: what it is of, what the vault must be able to do for it,
//! when it may run, and how many calls it makes.

use super::bench::{Bench, Verdict};
use super::{call, concurrent, life, lock, many, read, version, write};
use crate::manifest::Capability;
use Capability::{
    Actions, Concurrent, Conditional, ListRemoved, Metadata, Purge, Rename, Restore, Unlock,
    Unregister, Versions, Write,
};

/// One obligation and the function that checks it.
pub(super) struct Check {
    pub(super) obligation: &'static str,
    pub(super) turn: Turn,
    /// About how many calls it makes of a slow vault, with those that remove what it wrote.
    pub(super) calls: u32,
    /// Without these there is nothing to check.
    pub(super) needs: &'static [Capability],
    pub(super) run: fn(&mut Bench<'_>) -> Verdict,
}

/// When a check may run, where several run at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Alone, before all others.
    First,
    /// Beside others that change nothing: it compares listings.
    Reads,
    /// Beside others that write secrets of their own.
    Writes,
    /// Alone, after all others.
    Last,
}

type Run = fn(&mut Bench<'_>) -> Verdict;

const fn first(obligation: &'static str, calls: u32, run: Run) -> Check {
    Check { obligation, turn: Turn::First, calls, needs: &[], run }
}

const fn reads(
    obligation: &'static str,
    calls: u32,
    needs: &'static [Capability],
    run: Run,
) -> Check {
    Check { obligation, turn: Turn::Reads, calls, needs, run }
}

const fn writes(
    obligation: &'static str,
    calls: u32,
    needs: &'static [Capability],
    run: Run,
) -> Check {
    Check { obligation, turn: Turn::Writes, calls, needs, run }
}

const fn last(
    obligation: &'static str,
    calls: u32,
    needs: &'static [Capability],
    run: Run,
) -> Check {
    Check { obligation, turn: Turn::Last, calls, needs, run }
}

/// Every check. The one for deadlines is among the first, since a vault that hangs would stop all
/// others; the one for messages goes last, when most messages were seen.
pub(super) const CHECKS: &[Check] = &[
    first("open-no-login", 0, call::open_no_login),
    first("open-no-effect", 3, call::open_no_effect),
    first("deadline", 7, call::deadline),
    first("no-prompt", 0, lock::no_prompt),
    first("unlock-right", 6, lock::unlock_right),
    writes("unlock-wrong", 3, &[Unlock], lock::unlock_wrong),
    writes("unlock-stale", 3, &[Unlock], lock::unlock_stale),
    writes("lock-locks", 18, &[Unlock], lock::lock_locks),
    writes("locked-no-effect", 14, &[Unlock, Write], lock::locked_no_effect),
    writes("open-own-handle", 8, &[], call::open_own_handle),
    writes("own-handle", 7, &[Write], call::own_handle),
    writes("not-found-only", 10, &[], call::not_found_only),
    writes("unsupported", 2, &[], call::unsupported),
    writes("get-what-was-set", 26, &[Write], read::get_what_was_set),
    reads("get-missing", 4, &[], read::get_missing),
    writes("get-empty", 9, &[Write], read::get_empty),
    reads("get-no-effect", 5, &[], read::get_no_effect),
    reads("get-many-each", 4, &[], read::get_many_each),
    writes("versions-gettable", 6, &[Versions], read::versions_gettable),
    writes("version-missing", 3, &[Versions, Write], version::version_missing),
    writes("list-all", 7, &[], read::list_all),
    reads("list-limit", 5, &[], read::list_limit),
    reads("list-advances", 3, &[], read::list_advances),
    writes("list-as-given", 5, &[Write], read::list_as_given),
    writes("list-no-values", 3, &[Write], read::list_no_values),
    writes("describe-as-listed", 5, &[], read::describe_as_listed),
    reads("describe-missing", 1, &[], read::describe_missing),
    writes("set-atomic", 8, &[Write], write::set_atomic),
    writes("set-create-only", 4, &[Write], write::set_create_only),
    writes("set-replace", 6, &[Write], write::set_replace),
    writes("set-kind", 8, &[Write], write::set_kind),
    writes("set-metadata-with-value", 9, &[Write], write::set_metadata_with_value),
    writes("set-many-each", 25, &[Write], many::set_many_each),
    writes("set-many-order", 4, &[Write], many::set_many_order),
    writes("set-many-kept", 9, &[Write], many::set_many_kept),
    writes("set-many-refused", 13, &[Unlock, Write], many::set_many_refused),
    writes("set-metadata-replaces", 6, &[Metadata, Write], write::set_metadata_replaces),
    writes("set-metadata-missing", 1, &[Metadata], write::set_metadata_missing),
    writes("set-metadata-only", 4, &[Metadata, Write], write::set_metadata_only),
    writes("set-metadata-read-only", 6, &[Metadata, Write], write::set_metadata_read_only),
    writes("remove-then-missing", 4, &[Write], write::remove_then_missing),
    writes("remove-missing", 1, &[Write], write::remove_missing),
    writes("remove-only-that", 10, &[Write], write::remove_only_that),
    writes("set-if-version", 14, &[Write, Conditional], version::set_if_version),
    writes("remove-if-version", 14, &[Write, Conditional], version::remove_if_version),
    writes(
        "set-metadata-if-version",
        14,
        &[Metadata, Write, Conditional],
        version::set_metadata_if_version,
    ),
    writes("restore-brings-back", 6, &[Restore, Write], version::restore_brings_back),
    writes("restore-missing", 2, &[Restore], version::restore_missing),
    writes("restore-taken", 7, &[Restore, Write], version::restore_taken),
    writes(
        "list-removed-restorable",
        7,
        &[ListRemoved, Restore, Write],
        version::list_removed_restorable,
    ),
    writes("purge-for-good", 14, &[Purge, Write], version::purge_for_good),
    writes("purge-missing", 1, &[Purge], version::purge_missing),
    writes("rules-names", 11, &[Write], version::rules_names),
    writes("rules-limits", 5, &[Write], version::rules_limits),
    writes("rename-moves", 9, &[Write, Rename], write::rename_moves),
    writes("rename-missing", 2, &[Write, Rename], write::rename_missing),
    writes("rename-taken", 7, &[Write, Rename], write::rename_taken),
    writes("concurrent-calls", 14, &[Concurrent], concurrent::concurrent_calls),
    writes("concurrent-shows", 21, &[Concurrent, Write], concurrent::concurrent_shows),
    reads("concurrent-cursors", 9, &[Concurrent], concurrent::concurrent_cursors),
    reads("test-read-only", 5, &[], life::test_read_only),
    last("unregister-keeps", 7, &[Unregister, Write], life::unregister_keeps),
    writes("actions-named", 1, &[Actions], life::actions_named),
    writes("run-action-unknown", 1, &[], life::run_action_unknown),
    last("no-secret-in-error", 11, &[], call::no_secret_in_error),
];

/// What the last check needs to have happened, and what may happen beside others.
pub(super) const PROVOKE: Check = writes("no-secret-in-error", 11, &[Write], call::provoke);
