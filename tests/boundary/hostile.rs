//! The hostile plugins: plugins that do on purpose what a plugin must not, each asked in a runner and in a
//! process of the command. A row is a file in tests/plugins/hostile, a constant here, and a line in
//! docs/internals/sandbox.md; [`page`] sees that these are the same.

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

/// One plugin that is hostile.
pub(super) struct Row {
    /// The file's name in tests/plugins/hostile, without its `.c`, and the plugin's id.
    pub(super) name: &'static str,
    /// What it does, for docs/internals/sandbox.md.
    pub(super) does: &'static str,
    /// What is tried, each with how it ends in the sandbox and in the host's own process.
    pub(super) tries: &'static [Try],
    /// What a plugin in the host's own process can do therefore, for docs/internals/sandbox.md.
    pub(super) in_process: &'static str,
    /// How often it can be tried.
    pub(super) pace: Pace,
}

/// The name of the secret that is asked for, how that ends in the sandbox, and in-process.
pub(super) type Try = (&'static str, End, End);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// It is tried a thousand times.
    Quick,
    /// It takes long, or much.
    Slow,
    /// The same, and each attempt has a new process, with what the last one left.
    Anew,
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// The plugin answers one of these words, separated by `|`, and nothing of the place has
    /// changed.
    Says(&'static str),
    /// The plugin answers `done`, and something of the place has changed.
    Changes,
    /// The plugin answers an error's name, whichever it is.
    Fails,
    /// The process ends like that, in words.
    Dies(&'static str),
    /// The process is killed at the call's deadline; in-process it has to be killed by hand.
    Late,
    /// The host ends the process, for what it sent.
    Protocol(&'static str),
    /// The plugin answers, and the process is ended at the next call for what it sent.
    Next(&'static str),
    /// A test of its own has this.
    ByHand(&'static str),
    /// It is not tried.
    Untried,
}

impl End {
    /// Whether no driver of rows tries it.
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

/// Makes the tests of a module's rows, in either placement.
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
