//! Decrypts with gpg: no shell, the file on its standard input, what it says in memory that is
//! wiped. What became of it is read from gpg's status lines, not from its words.

use std::path::PathBuf;
use std::time::Duration;

use keystead_plugin_api::{Deadline, Error as Refusal, ErrorKind, ExecRequest, SecretBytes};

use super::super::Error;
use keystead::internals::execute;

/// Whether gpg may ask for a passphrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// It may not.
    Never,
    /// It may, by way of its own pinentry, on this terminal where it needs one.
    Pinentry {
        /// The terminal's device.
        terminal: Option<PathBuf>,
    },
}

/// How gpg is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpg {
    /// The program: a name, looked for where every user's programs are, or an absolute path.
    pub program: String,
    /// The user's home.
    pub home: Option<PathBuf>,
    /// The directory of its keys, instead of `.gnupg` in the home.
    pub keys: Option<PathBuf>,
    /// Whether it may ask for a passphrase.
    pub prompt: Prompt,
    /// How long one file may take, with the time it takes a person to answer.
    pub timeout: Duration,
}

impl Default for Gpg {
    /// The user's gpg, which may ask nothing and has a minute for each file.
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

/// Why a file was not decrypted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Undecrypted {
    /// What is wrong with this one.
    Bad(String),
    /// Its passphrase has to be asked for, which is not allowed.
    Locked,
    /// A person did not want to give the passphrase.
    Cancelled,
}

impl From<&str> for Undecrypted {
    fn from(why: &str) -> Self {
        Self::Bad(why.to_owned())
    }
}

impl Gpg {
    /// Asks gpg for its version.
    ///
    /// # Errors
    /// [`Error::NoProgram`] where it cannot be run.
    pub(super) fn is_there(&self) -> Result<(), Error> {
        let no_program = |why: String| Error::NoProgram { program: self.program.clone(), why };
        match self.run(vec!["--version".into()], Vec::new()) {
            Ok(ended) if ended.status == 0 => Ok(()),
            Ok(ended) => Err(no_program(format!("it ended with exit code {}", ended.status))),
            Err(refusal) => Err(no_program(refusal.message().to_owned())),
        }
    }

    /// Returns what an encrypted file holds, or why it cannot be decrypted.
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
            // Without the status line it may be cut off, or never have been encrypted.
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

/// Returns why gpg did not decrypt.
fn reason(said: &str, status: i32, prompt: &Prompt) -> Undecrypted {
    // The lower half of a code of libgpg-error is the reason; the upper says who found it.
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
            // gpg has the key, and its agent does not open it.
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
