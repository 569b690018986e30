//! Decrypts with gpg: no shell, the file on its standard input, its output in memory that is wiped.
//! The result is read from gpg's status lines, not from its messages.

use std::path::PathBuf;
use std::time::Duration;

use keystead_plugin_api::{Deadline, Error as Refusal, ErrorKind, ExecRequest, SecretBytes};

use super::super::Error;
use keystead::internals::execute;

/// Whether gpg may prompt for a passphrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// gpg must not prompt.
    Never,
    /// gpg may prompt with its own pinentry, on this terminal if it needs a terminal.
    Pinentry {
        /// The terminal's device.
        terminal: Option<PathBuf>,
    },
}

/// Settings for running gpg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpg {
    /// The program: a name, searched for among every user's programs, or an absolute path.
    pub program: String,
    /// The user's home directory; `None` if unknown.
    pub home: Option<PathBuf>,
    /// The directory of its keys; `None` for `.gnupg` in the home directory.
    pub keys: Option<PathBuf>,
    /// Whether gpg may prompt for a passphrase.
    pub prompt: Prompt,
    /// Time limit for a file, including the time for the user's answer.
    pub timeout: Duration,
}

impl Default for Gpg {
    /// Returns the user's gpg, which never prompts and has a minute for each file.
    fn default() -> Self {
        Self {
            program: "gpg".to_owned(),
            home: None,
            keys: None,
            prompt: Prompt::Never,
            timeout: Duration::from_secs(60),
        }
    }
}

/// Reason why a file was not decrypted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Undecrypted {
    /// An error of this file.
    Bad(String),
    /// The file needs a passphrase, and prompting is not allowed.
    Locked,
    /// The user cancelled the prompt for the passphrase.
    Cancelled,
}

impl From<&str> for Undecrypted {
    fn from(why: &str) -> Self {
        Self::Bad(why.to_owned())
    }
}

impl Gpg {
    /// Checks that gpg runs and prints its version.
    ///
    /// # Errors
    /// [`Error::NoProgram`] if gpg cannot be run.
    pub(super) fn is_there(&self) -> Result<(), Error> {
        let no_program = |why: String| Error::NoProgram { program: self.program.clone(), why };
        match self.run(vec!["--version".into()], Vec::new()) {
            Ok(ended) if ended.status == 0 => Ok(()),
            Ok(ended) => Err(no_program(format!("it ended with exit code {}", ended.status))),
            Err(refusal) => Err(no_program(refusal.message().to_owned())),
        }
    }

    /// Returns the content of an encrypted file, or the reason why it cannot be decrypted.
    pub(super) fn decrypt(&self, encrypted: Vec<u8>) -> Result<SecretBytes, Undecrypted> {
        let mut arguments: Vec<String> = Vec::new();
        let path = |path: &PathBuf| {
            let path = path.to_str().map(str::to_owned);
            path.ok_or("gpg's directory or terminal has a name that is not UTF-8")
        };
        if let Some(keys) = &self.keys {
            arguments.extend(["--homedir".into(), path(keys)?]);
        }
        match &self.prompt {
            Prompt::Never => arguments.extend(["--pinentry-mode".into(), "error".into()]),
            Prompt::Pinentry { terminal: Some(terminal) } => {
                arguments.extend(["--ttyname".into(), path(terminal)?]);
            }
            Prompt::Pinentry { terminal: None } => {}
        }
        let rest = ["--quiet", "--batch", "--no-tty", "--status-fd", "2", "--decrypt"];
        arguments.extend(rest.map(str::to_owned));
        match self.run(arguments, encrypted) {
            // Without the status line the output may be cut off, or the file was never encrypted.
            Ok(ended) if ended.status == 0 && has(&ended.errors, "DECRYPTION_OKAY") => {
                Ok(ended.output)
            }
            Ok(ended) => Err(reason(&ended.errors, ended.status, &self.prompt)),
            Err(refusal) if refusal.kind() == ErrorKind::TimedOut => {
                Err(Undecrypted::Bad(format!("gpg took longer than {} s", self.timeout.as_secs())))
            }
            Err(refusal) => Err(refusal.message().into()),
        }
    }

    fn run(
        &self,
        arguments: Vec<String>,
        input: Vec<u8>,
    ) -> Result<keystead_plugin_api::ExecOutput, Refusal> {
        let deadline = Deadline::after(self.timeout);
        let mut request = ExecRequest::new(self.program.clone(), arguments, deadline);
        request.input = SecretBytes::new(input);
        execute(&request, self.home.as_deref())
    }
}

/// Returns the words of each status line.
fn lines(said: &str) -> impl Iterator<Item = Vec<&str>> {
    said.lines().filter_map(|line| Some(line.strip_prefix("[GNUPG:] ")?.split(' ').collect()))
}

fn has(said: &str, keyword: &str) -> bool {
    lines(said).any(|words| words.first() == Some(&keyword))
}

/// Returns the reason why gpg did not decrypt.
fn reason(said: &str, status: i32, prompt: &Prompt) -> Undecrypted {
    // The lower half of a libgpg-error code is the reason; the upper half is the source.
    let codes: Vec<u32> = lines(said)
        .filter(|words| words.first() == Some(&"ERROR"))
        .filter_map(|words| Some(words.get(2)?.parse::<u32>().ok()? & 0xffff))
        .collect();
    let why = if has(said, "BADMDC") {
        "it was damaged or changed since it was encrypted"
    } else if *prompt != Prompt::Never
        && (has(said, "CANCELED_BY_USER") || codes.iter().any(|code| [99, 198].contains(code)))
    {
        return Undecrypted::Cancelled;
    } else if codes.contains(&11) {
        "the passphrase was wrong"
    } else if has(said, "NEED_PASSPHRASE_SYM") && *prompt == Prompt::Never {
        return Undecrypted::Locked;
    } else if has(said, "ENC_TO") && !has(said, "KEY_CONSIDERED") {
        "gpg has no key that it is encrypted for"
    } else if has(said, "ENC_TO") && !has(said, "DECRYPTION_KEY") {
        match prompt {
            // gpg has the key, and its agent does not unlock the key.
            Prompt::Never => return Undecrypted::Locked,
            Prompt::Pinentry { .. } => {
                "gpg could not unlock its key, or has no more than the public half"
            }
        }
    } else if has(said, "NODATA") {
        "it is not encrypted with gpg, or cut off"
    } else if has(said, "PLAINTEXT") && !has(said, "DECRYPTION_FAILED") {
        "it is not encrypted"
    } else {
        return Undecrypted::Bad(format!("gpg gave up with exit code {status}"));
    };
    why.into()
}
