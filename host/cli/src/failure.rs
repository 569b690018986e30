//! Output of a failed command, which only `Ui` prints: an error, its causes, hints, and an exit
//! code. [`hint`] converts the library's errors and adds their hints.

mod exchange;
mod hint;
mod input;
pub(crate) mod sandbox;

use std::error::Error;
use std::fmt;

use anstyle::{AnsiColor, Style};
use keystead_plugin_api::VaultName;
use serde::Serialize;

use crate::text;

/// Exit status of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; also where the reader closed the pipe.
    Done,
    /// The command failed, and the user can act.
    Act,
    /// The command line is wrong.
    Usage,
    /// There is no such secret, vault or plugin.
    NoSuch,
    /// Input is needed, and prompting is not possible.
    NeedsHuman,
    /// Partly done: the failures were reported.
    Partly,
    /// A bug of Keystead or of a plugin.
    Bug,
}

impl Exit {
    /// Returns the process's exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Act => 1,
            Self::Usage => 2,
            Self::NoSuch => 3,
            Self::NeedsHuman => 4,
            Self::Partly => 5,
            Self::Bug => 70,
        }
    }
}

impl From<keystead::ErrorClass> for Exit {
    fn from(class: keystead::ErrorClass) -> Self {
        use keystead::ErrorClass;
        match class {
            ErrorClass::CannotDo => Self::Act,
            ErrorClass::NoSuch => Self::NoSuch,
            ErrorClass::NeedsInput => Self::NeedsHuman,
            ErrorClass::Partial => Self::Partly,
            ErrorClass::Fault => Self::Bug,
        }
    }
}

/// Error that ended a command early.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Exit status of the process.
    pub(crate) exit: Exit,
    /// The error itself: its sources are the causes.
    pub(crate) error: Box<dyn Error + Send + Sync>,
    /// Stable error code; `None` where the error has none.
    pub(crate) code: Option<&'static str>,
    /// Further causes, where there is no single source.
    pub(crate) causes: Vec<String>,
    /// Hints; each names a command that the user can run.
    pub(crate) hints: Vec<String>,
}

/// An error text of this binary: a lower-case fragment, without secrets.
#[derive(Debug)]
struct Message(String);

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Message {}

impl Failure {
    /// Returns a failure that this binary found.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        let error = Box::new(Message(message.into()));
        Self { exit, error, code: None, causes: Vec::new(), hints: Vec::new() }
    }

    /// Returns a failure for a wrong command line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Returns a failure that the user can act on.
    pub(crate) fn act(message: impl Into<String>) -> Self {
        Self::new(Exit::Act, message)
    }

    /// Adds a hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds a cause.
    pub(crate) fn because(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Removes the hints, where they do not fit the command.
    pub(crate) fn without_hints(mut self) -> Self {
        self.hints.clear();
        self
    }

    /// Removes the hint to run `vault unlock`, for that command itself.
    pub(crate) fn without_unlocking(mut self, vault: &VaultName) -> Self {
        let hint = hint::unlock_first(vault);
        self.hints.retain(|known| *known != hint);
        self
    }

    /// Returns the failure for a reader that closed the pipe: nothing is printed.
    pub(crate) fn closed() -> Self {
        Self::new(Exit::Done, "")
    }

    /// Returns whether the failure prints nothing.
    pub(crate) fn is_quiet(&self) -> bool {
        self.exit == Exit::Done
    }

    /// Returns the causes, the nearest first, without texts that repeat their error's text.
    pub(crate) fn chain(&self) -> Vec<String> {
        let mut chain = causes_of(&*self.error);
        chain.extend(self.causes.iter().map(|cause| text::visible(cause)));
        chain
    }

    /// Returns the whole text of the failure, with colours.
    pub(crate) fn styled(&self) -> String {
        let mut out = String::new();
        headed(&mut out, ERROR, "Error:", &capitalised(&text::visible(&self.error.to_string())));
        match self.chain().as_slice() {
            [] => {}
            [one] => headed(&mut out, PLAIN, "Caused by:", one),
            many => {
                headed(&mut out, PLAIN, "Caused by:", "");
                for (at, cause) in many.iter().enumerate() {
                    out.push_str(&format!("  {}: {cause}\n", at + 1));
                }
            }
        }
        for hint in &self.hints {
            headed(&mut out, HINT, "Hint:", &text::visible(hint));
        }
        if let Some(code) = self.code {
            headed(&mut out, DIM, "Code:", code);
        }
        out
    }

    /// Returns the failure as a JSON object, for `--json`.
    pub(crate) fn json(&self) -> String {
        #[derive(Serialize)]
        struct Body<'a> {
            code: Option<&'a str>,
            exit: u8,
            message: String,
            causes: Vec<String>,
            hints: &'a [String],
        }
        #[derive(Serialize)]
        struct Object<'a> {
            schema: u32,
            error: Body<'a>,
        }
        let object = Object {
            schema: 1,
            error: Body {
                code: self.code,
                exit: self.exit.code(),
                message: text::visible(&self.error.to_string()),
                causes: self.chain(),
                hints: &self.hints,
            },
        };
        keystead::internals::json::escaped::to_string(&object)
    }
}

/// Returns the texts of an error's sources. Skips a source whose text is also its error's text.
pub(crate) fn causes_of(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut chain = Vec::new();
    let mut last = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let message = source.to_string();
        if message != last {
            chain.push(text::visible(&message));
        }
        last = message;
        next = source.source();
    }
    chain
}

/// Returns an error and its causes as a single line, for a warning.
pub(crate) fn in_one_line(error: &(dyn Error + 'static)) -> String {
    let mut line = text::visible(&error.to_string());
    for cause in causes_of(error) {
        line.push_str(": ");
        line.push_str(&cause);
    }
    line
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();
const PLAIN: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

fn headed(out: &mut String, style: Style, head: &str, rest: &str) {
    out.push_str(&format!("{style}{head}{style:#}"));
    if !rest.is_empty() {
        out.push(' ');
        out.push_str(rest);
    }
    out.push('\n');
}

/// Returns a message of the library, which is a fragment, as the beginning of a sentence.
pub(crate) fn capitalised(message: &str) -> String {
    let mut chars = message.chars();
    match chars.next() {
        Some(first) => first.to_ascii_uppercase().to_string() + chars.as_str(),
        None => String::new(),
    }
}

/// Returns styled text without its colours: for tests and files.
#[cfg(test)]
fn plain(styled: &str) -> String {
    anstream::adapter::strip_str(styled).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("plugin `keepass` refused its parameters")]
    struct Middle(#[source] std::io::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("vault `work` cannot be opened")]
    struct Top(#[source] Middle);

    fn top() -> Failure {
        let mut failure = Failure::act("");
        failure.error = Box::new(Top(Middle(std::io::Error::other("no\x1b[31m rights\nhere"))));
        failure.code = Some("E08.open");
        failure.hint("run `keystead vault show work` to see its parameters")
    }

    #[test]
    fn failure_prints_error_causes_hint_and_code() {
        assert_eq!(
            plain(&top().styled()),
            "Error: Vault `work` cannot be opened\n\
             Caused by:\n  1: plugin `keepass` refused its parameters\n  2: no\\u{1b}[31m rights here\n\
             Hint: run `keystead vault show work` to see its parameters\n\
             Code: E08.open\n"
        );
    }

    #[test]
    fn single_cause_is_unnumbered_transparent_cause_omitted() {
        #[derive(Debug, thiserror::Error)]
        #[error(transparent)]
        struct Same(#[from] Top);
        let mut failure = Failure::act("a");
        failure.error = Box::new(Middle(std::io::Error::other("x")));
        assert_eq!(
            plain(&failure.styled()),
            "Error: Plugin `keepass` refused its parameters\nCaused by: x\n"
        );
        let same = Same(Top(Middle(std::io::Error::other("x"))));
        assert_eq!(causes_of(&same), ["plugin `keepass` refused its parameters", "x"]);
    }

    #[test]
    fn failure_json_has_code_message_causes_and_hints() {
        assert_eq!(
            top().json(),
            "{\"schema\":1,\"error\":{\"code\":\"E08.open\",\"exit\":1,\
             \"message\":\"vault `work` cannot be opened\",\
             \"causes\":[\"plugin `keepass` refused its parameters\",\"no\\\\u{1b}[31m rights here\"],\
             \"hints\":[\"run `keystead vault show work` to see its parameters\"]}}"
        );
    }
}
