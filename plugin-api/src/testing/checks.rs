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

/// A macro, since Rust 1.63 lets no constant function take a function of a mutable reference.
macro_rules! check {
    ($turn:ident, $obligation:literal, $calls:literal, $needs:expr, $run:path) => {
        Check {
            obligation: $obligation,
            turn: Turn::$turn,
            calls: $calls,
            needs: $needs,
            run: $run,
        }
    };
}

/// Every check. The one for deadlines is among the first, since a vault that hangs would stop all
/// others; the one for messages goes last, when most messages were seen.
pub(super) const CHECKS: &[Check] = &[
    check!(First, "open-no-login", 0, &[], call::open_no_login),
    check!(First, "open-no-effect", 3, &[], call::open_no_effect),
    check!(First, "deadline", 7, &[], call::deadline),
    check!(First, "no-prompt", 0, &[], lock::no_prompt),
    check!(First, "unlock-right", 6, &[], lock::unlock_right),
    check!(Writes, "unlock-wrong", 3, &[Unlock], lock::unlock_wrong),
    check!(Writes, "unlock-stale", 3, &[Unlock], lock::unlock_stale),
    check!(Writes, "lock-locks", 18, &[Unlock], lock::lock_locks),
    check!(Writes, "locked-no-effect", 14, &[Unlock, Write], lock::locked_no_effect),
    check!(Writes, "open-own-handle", 8, &[], call::open_own_handle),
    check!(Writes, "own-handle", 7, &[Write], call::own_handle),
    check!(Writes, "not-found-only", 10, &[], call::not_found_only),
    check!(Writes, "unsupported", 2, &[], call::unsupported),
    check!(Writes, "get-what-was-set", 26, &[Write], read::get_what_was_set),
    check!(Reads, "get-missing", 4, &[], read::get_missing),
    check!(Writes, "get-empty", 9, &[Write], read::get_empty),
    check!(Reads, "get-no-effect", 5, &[], read::get_no_effect),
    check!(Reads, "get-many-each", 4, &[], read::get_many_each),
    check!(Writes, "versions-gettable", 6, &[Versions], read::versions_gettable),
    check!(Writes, "version-missing", 3, &[Versions, Write], version::version_missing),
    check!(Writes, "list-all", 7, &[], read::list_all),
    check!(Reads, "list-limit", 5, &[], read::list_limit),
    check!(Reads, "list-advances", 3, &[], read::list_advances),
    check!(Writes, "list-as-given", 5, &[Write], read::list_as_given),
    check!(Writes, "list-no-values", 3, &[Write], read::list_no_values),
    check!(Writes, "describe-as-listed", 5, &[], read::describe_as_listed),
    check!(Reads, "describe-missing", 1, &[], read::describe_missing),
    check!(Writes, "set-atomic", 8, &[Write], write::set_atomic),
    check!(Writes, "set-create-only", 4, &[Write], write::set_create_only),
    check!(Writes, "set-replace", 6, &[Write], write::set_replace),
    check!(Writes, "set-kind", 8, &[Write], write::set_kind),
    check!(Writes, "set-metadata-with-value", 9, &[Write], write::set_metadata_with_value),
    check!(Writes, "set-many-each", 25, &[Write], many::set_many_each),
    check!(Writes, "set-many-order", 4, &[Write], many::set_many_order),
    check!(Writes, "set-many-kept", 9, &[Write], many::set_many_kept),
    check!(Writes, "set-many-refused", 13, &[Unlock, Write], many::set_many_refused),
    check!(Writes, "set-metadata-replaces", 6, &[Metadata, Write], write::set_metadata_replaces),
    check!(Writes, "set-metadata-missing", 1, &[Metadata], write::set_metadata_missing),
    check!(Writes, "set-metadata-only", 4, &[Metadata, Write], write::set_metadata_only),
    check!(Writes, "set-metadata-read-only", 6, &[Metadata, Write], write::set_metadata_read_only),
    check!(Writes, "remove-then-missing", 4, &[Write], write::remove_then_missing),
    check!(Writes, "remove-missing", 1, &[Write], write::remove_missing),
    check!(Writes, "remove-only-that", 10, &[Write], write::remove_only_that),
    check!(Writes, "set-if-version", 14, &[Write, Conditional], version::set_if_version),
    check!(Writes, "remove-if-version", 14, &[Write, Conditional], version::remove_if_version),
    check!(
        Writes,
        "set-metadata-if-version",
        14,
        &[Metadata, Write, Conditional],
        version::set_metadata_if_version
    ),
    check!(Writes, "restore-brings-back", 6, &[Restore, Write], version::restore_brings_back),
    check!(Writes, "restore-missing", 2, &[Restore], version::restore_missing),
    check!(Writes, "restore-taken", 7, &[Restore, Write], version::restore_taken),
    check!(
        Writes,
        "list-removed-restorable",
        7,
        &[ListRemoved, Restore, Write],
        version::list_removed_restorable
    ),
    check!(Writes, "purge-for-good", 14, &[Purge, Write], version::purge_for_good),
    check!(Writes, "purge-missing", 1, &[Purge], version::purge_missing),
    check!(Writes, "rules-names", 11, &[Write], version::rules_names),
    check!(Writes, "rules-limits", 5, &[Write], version::rules_limits),
    check!(Writes, "rename-moves", 9, &[Write, Rename], write::rename_moves),
    check!(Writes, "rename-missing", 2, &[Write, Rename], write::rename_missing),
    check!(Writes, "rename-taken", 7, &[Write, Rename], write::rename_taken),
    check!(Writes, "concurrent-calls", 14, &[Concurrent], concurrent::concurrent_calls),
    check!(Writes, "concurrent-shows", 21, &[Concurrent, Write], concurrent::concurrent_shows),
    check!(Reads, "concurrent-cursors", 9, &[Concurrent], concurrent::concurrent_cursors),
    check!(Reads, "test-read-only", 5, &[], life::test_read_only),
    check!(Last, "unregister-keeps", 7, &[Unregister, Write], life::unregister_keeps),
    check!(Writes, "actions-named", 1, &[Actions], life::actions_named),
    check!(Writes, "run-action-unknown", 1, &[], life::run_action_unknown),
    check!(Last, "no-secret-in-error", 11, &[], call::no_secret_in_error),
];

/// What the last check needs to have happened, and what may happen beside others.
pub(super) const PROVOKE: Check = check!(Writes, "no-secret-in-error", 11, &[Write], call::provoke);
