//! The hostile plugins break the rules on purpose. Tests call each in a runner and in-process. A
//! row is a file in tests/plugins/hostile, a constant here, and a line in
//! docs/internals/sandbox.md. [`page`] checks that these match.

mod calls;
mod connections;
mod container;
mod files;
mod frames;
mod hunger;
mod loading;
mod page;
mod place;
mod processes;
mod rounds;
mod run;
mod special;
mod users;

/// A hostile plugin.
pub(super) struct Row {
    /// The file's name in tests/plugins/hostile, without its `.c`, and the plugin's id.
    pub(super) name: &'static str,
    /// Behaviour of the plugin, in the words of docs/internals/sandbox.md.
    pub(super) does: &'static str,
    /// The attempts, each with its end in the sandbox and in-process.
    pub(super) tries: &'static [Try],
    /// The ability of an in-process plugin that follows, for docs/internals/sandbox.md.
    pub(super) in_process: &'static str,
    /// How often a test can repeat the attempts.
    pub(super) pace: Pace,
}

/// Name of the requested secret, end in the sandbox, and end in-process.
pub(super) type Try = (&'static str, End, End);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Repeated a thousand times.
    Quick,
    /// Takes a long time or many resources.
    Slow,
    /// As `Slow`; each attempt has a new process and the files that the last attempt left.
    Anew,
}

/// The end of an attempt.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// The plugin returns one of these words, separated by `|`, and nothing in the test's `Place`
    /// has changed.
    Says(&'static str),
    /// The plugin returns `done`, and something in the test's `Place` has changed.
    Changes,
    /// The plugin returns the name of an error, no matter which.
    Fails,
    /// The process ends in this way, in words.
    Dies(&'static str),
    /// The host kills the process at the call's deadline; in-process, the test kills it.
    Late,
    /// The host ends the process because of the data that the process sent.
    Protocol(&'static str),
    /// The plugin returns, and the host ends the process at the next call for data it had sent.
    Next(&'static str),
    /// A separate test covers this attempt.
    ByHand(&'static str),
    /// No test makes this attempt.
    Untried,
}

impl End {
    /// Returns whether no driver of rows makes this attempt.
    fn is_by_hand(self) -> bool {
        matches!(self, Self::ByHand(_) | Self::Untried)
    }
}

/// All rows.
const ALL: &[&[Row]] = &[
    hunger::ROWS,
    processes::ROWS,
    files::ROWS,
    connections::ROWS,
    frames::ROWS,
    loading::ROWS,
    calls::ROWS,
    special::ROWS,
];

/// Defines the tests of a module's rows, for both placements.
macro_rules! in_both_placements {
    () => {
        #[test]
        fn sandboxed_hostile_plugin_fails_only_its_vault() {
            super::run::sandboxed(ROWS);
        }

        #[test]
        fn in_process_hostile_plugin_ends_as_documented() {
            super::run::in_process(ROWS);
        }
    };
}
use in_both_placements;
