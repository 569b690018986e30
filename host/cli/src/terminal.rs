//! Prompts to the user at the terminal. Hidden input is read byte by byte into memory that is
//! wiped. The terminal's own line editing is off: it keeps a copy, and cuts a line after 4,095
//! bytes.

mod hidden;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;

use keystead::reference::Reference;
use keystead::{PromptError, Prompter};
use keystead_plugin_api::{
    Answer, Challenge, Prompt, PromptKind, SecretBytes, SecretText, VaultName, Wait,
};
use rustix::termios::isatty;
use zeroize::{Zeroize, Zeroizing};

pub(crate) use hidden::ended_by;
use hidden::{HiddenInput, Key, take_more};

use crate::cli::Global;
use crate::environment;
use crate::text;
use crate::unlock::Unlock;
use crate::waiting::Hush;

/// Maximum size in bytes of a typed or pasted line: larger secrets come from a file.
const MAX_LINE: usize = 64 * 1024;

/// Bytes that a terminal sends before a paste, if it marks pastes.
const PASTE_START: &[u8] = b"\x1b[200~";

/// Bytes that a terminal sends after a paste.
const PASTE_END: &[u8] = b"\x1b[201~";

/// The terminal that prompts the user, if there is a terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    tty: Option<File>,
    waiting: Hush,
    unlock: Unlock,
    home: Option<PathBuf>,
    /// Whether the terminal can mark the start and end of a paste.
    marks_pastes: bool,
    /// Lines shown last for a vault that waits.
    shown: Option<Vec<String>>,
}

/// Error of a prompt.
#[derive(Debug)]
pub(crate) enum InputError {
    /// Prompting is not possible.
    Nobody,
    /// The user interrupted: Ctrl-C or another signal, which then ends the process; or the end of
    /// input.
    Interrupted,
    /// The typed line is too long.
    TooLong,
    /// Several lines arrived together, as in a paste, instead of a single line.
    SeveralLines,
    /// Two entries that should match did not match in any attempt.
    Mismatch,
    /// The terminal failed.
    Failed(io::Error),
}

impl From<io::Error> for InputError {
    fn from(fault: io::Error) -> Self {
        Self::Failed(fault)
    }
}

impl Terminal {
    /// Returns the controlling terminal, if a user seems to be there and prompts are allowed.
    pub(crate) fn open(global: &Global, unlock: Unlock, home: Option<PathBuf>) -> Self {
        // A process may have a terminal without a user: a service, a test.
        let streams = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
        let watched = streams.into_iter().any(isatty);
        let tty = if watched && !global.no_input {
            File::options().read(true).write(true).open("/dev/tty").ok()
        } else {
            None
        };
        let marks_pastes = environment::marks_pastes();
        Self { tty, waiting: Hush::default(), unlock, home, marks_pastes, shown: None }
    }

    /// Ends the waiting message once the user is prompted.
    pub(crate) fn hushes(&mut self, waiting: Hush) {
        self.waiting = waiting;
    }

    /// Returns whether the user can be prompted.
    pub(crate) fn is_interactive(&self) -> bool {
        self.tty.is_some()
    }

    /// Returns the terminal, if there is a user who has not interrupted.
    fn askable(&self) -> Result<&File, InputError> {
        match (&self.tty, ended_by()) {
            (_, Some(_)) => Err(InputError::Interrupted),
            (Some(tty), None) => Ok(tty),
            (None, None) => Err(InputError::Nobody),
        }
    }

    /// Prompts for a hidden line.
    pub(crate) fn hidden(&self, label: &str) -> Result<SecretText, InputError> {
        let mut tty = self.askable()?;
        self.waiting.hush();
        let question = prompt(label);
        let mut quiet = HiddenInput::start(tty, &question, self.marks_pastes)?;
        let line = read_hidden(|| quiet.key());
        let is_more = ended_by().is_none() && quiet.take_more();
        // Without echo the cursor is still after the question.
        let _ = tty.write_all(b"\n");
        drop(quiet);
        match ended_by() {
            Some(_) => Err(InputError::Interrupted),
            None if is_more && line.is_ok() => Err(InputError::SeveralLines),
            None => line,
        }
    }

    /// Prompts for a new hidden line, and once more under the label `again`; repeats both prompts
    /// if the entries differ.
    pub(crate) fn hidden_twice(&self, label: &str, again: &str) -> Result<SecretText, InputError> {
        for attempt in 1..=MOST_CHOICES {
            let chosen = self.hidden(label)?;
            if self.hidden(again)? == chosen {
                return Ok(chosen);
            }
            self.tell(match attempt {
                MOST_CHOICES => "The entries do not match.",
                _ => "The entries do not match. Try again.",
            });
        }
        Err(InputError::Mismatch)
    }

    /// Prompts for a visible line.
    pub(crate) fn plain(&self, label: &str) -> Result<String, InputError> {
        let mut tty = self.askable()?;
        self.waiting.hush();
        tty.write_all(prompt(label).as_bytes())?;
        let mut line = String::new();
        let read = BufReader::new(tty.take(MAX_LINE as u64)).read_line(&mut line)?;
        if read == 0 {
            return Err(InputError::Interrupted);
        }
        if take_more(tty) {
            return Err(InputError::SeveralLines);
        }
        if line.ends_with('\n') {
            line.pop();
        }
        Ok(line)
    }

    /// Prompts for a choice, by its number or its text.
    fn choice(&self, prompt: &Prompt) -> Result<String, InputError> {
        for (at, choice) in prompt.choices.iter().enumerate() {
            self.tell(&format!("  {}  {choice}", at + 1));
        }
        for _ in 0..MOST_CHOICES {
            let typed = self.plain(&prompt.label)?;
            let typed = typed.trim();
            let number: Option<usize> = typed.parse().ok();
            let chosen = number.and_then(|number| prompt.choices.get(number.checked_sub(1)?));
            let is_it = |choice: &&String| *choice == typed;
            if let Some(chosen) = prompt.choices.iter().find(is_it).or(chosen) {
                return Ok(chosen.clone());
            }
            self.tell("That is not one of the choices. Try again.");
        }
        Err(InputError::Failed(io::Error::other("none of the choices was chosen")))
    }

    /// Prompts for yes or no; only `y` or `yes` is yes.
    pub(crate) fn confirm(&self, question: &str) -> Result<bool, InputError> {
        let answer = self.plain(&format!("{question} [y/N]"))?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Writes a line to the terminal.
    pub(crate) fn tell(&self, message: &str) {
        if let Some(mut tty) = self.tty.as_ref() {
            // The next prompt reports a terminal that is gone.
            let _ = tty.write_all(format!("{}\n", text::visible(message)).as_bytes());
        }
    }
}

/// Maximum number of attempts to type two matching lines.
const MOST_CHOICES: usize = 3;

impl Prompter for Terminal {
    fn answer_source(&mut self, _: &VaultName, prompt: &Prompt) -> Option<Reference> {
        let dir = std::env::current_dir().ok();
        self.unlock.answer(&prompt.name, dir.as_deref(), self.home.as_deref())
    }

    fn ask(
        &mut self,
        vault: &VaultName,
        challenge: &Challenge,
    ) -> Result<Vec<Answer>, PromptError> {
        self.askable().map_err(unanswered)?;
        self.waiting.hush();
        // The reason why a vault waits has been shown.
        if challenge.wait == Wait::None {
            if !challenge.prompts.iter().all(|prompt| prompt.new) {
                self.tell(&format!("Vault `{vault}` is locked."));
            }
            sentences(challenge).iter().for_each(|line| self.tell(line));
        }
        let mut answers = Vec::with_capacity(challenge.prompts.len());
        for prompt in &challenge.prompts {
            let typed = match prompt.kind {
                PromptKind::Choice => self.choice(prompt).map(SecretText::new),
                PromptKind::YesNo => self
                    .confirm(&prompt.label)
                    .map(|yes| SecretText::new(if yes { "yes" } else { "no" })),
                _ if prompt.secret && prompt.new => {
                    let label = prompt.label.trim_end_matches([':', ' ']);
                    self.hidden_twice(label, &format!("{label} again"))
                }
                _ if prompt.secret => self.hidden(&prompt.label),
                _ => self.plain(&prompt.label).map(SecretText::new),
            };
            let value = typed.map_err(unanswered)?;
            answers.push(Answer::new(prompt.name.clone(), value));
        }
        Ok(answers)
    }

    fn show(&mut self, vault: &VaultName, challenge: &Challenge) -> Result<(), PromptError> {
        self.askable().map_err(unanswered)?;
        self.waiting.hush();
        let mut lines = vec![format!("Vault `{vault}` is locked.")];
        lines.extend(sentences(challenge));
        if challenge.prompts.is_empty() {
            lines.push(match challenge.wait {
                Wait::System => "Waiting for what the system asks; Ctrl-C ends it.".to_owned(),
                _ => "Waiting until that is done; Ctrl-C ends it.".to_owned(),
            });
        }
        // Shown once, however often the vault is asked.
        let shown = self.shown.take().unwrap_or_default();
        let new = lines.strip_prefix(shown.as_slice()).unwrap_or(&lines);
        new.iter().for_each(|line| self.tell(line));
        self.shown = Some(lines);
        Ok(())
    }

    fn is_interactive(&self) -> bool {
        // After an interrupt, the user does not wait for another command's prompt either.
        self.askable().is_ok()
    }

    fn on_wait(&mut self, vault: &VaultName) {
        self.waiting.hush();
        self.tell(&format!("Waiting: another command is prompting for vault `{vault}`."));
    }

    fn on_wrong_answer(&mut self, _: &VaultName, message: &str) {
        self.tell(&format!("{message}. Try again."));
    }
}

/// Returns a vault's message to the user. An address is whole, and was checked to be plain.
fn sentences(challenge: &Challenge) -> Vec<String> {
    let url = challenge.url.as_ref().map(|url| format!("Open: {url}"));
    challenge.message.iter().cloned().chain(url).collect()
}

fn unanswered(why: InputError) -> PromptError {
    match why {
        InputError::Nobody => PromptError::NonInteractive,
        InputError::Interrupted => PromptError::Interrupted,
        InputError::TooLong => PromptError::Failed("the line is too long".to_owned()),
        InputError::SeveralLines => {
            PromptError::Failed("several lines were pasted where one is asked for".to_owned())
        }
        InputError::Mismatch => PromptError::Failed("the entries do not match".to_owned()),
        InputError::Failed(fault) => PromptError::Failed(fault.to_string()),
    }
}

fn prompt(label: &str) -> String {
    // A plugin's label is foreign text; a label of Keystead ends without a colon as well.
    let label = text::visible(label);
    let label: String = label.trim_end_matches([':', ' ']).chars().take(200).collect();
    format!("{label}: ")
}

/// Reads up to the end of the line, with the keys of line editing.
fn read_hidden(mut key: impl FnMut() -> io::Result<Key>) -> Result<SecretText, InputError> {
    const END: u8 = 4;
    const BACKSPACE: [u8; 2] = [8, 127];
    const ERASE_LINE: u8 = 21;

    // Capacity for the longest line at once: growth leaves copies in memory.
    const MOST: usize = MAX_LINE + PASTE_END.len();
    let mut line = Zeroizing::new(Vec::with_capacity(MOST));
    // Start in the line of a paste that has no end yet.
    let mut pasted = None;
    loop {
        let byte = match key()? {
            Key::Byte(byte) => byte,
            Key::End => return Err(InputError::Interrupted),
            Key::Again => {
                line.zeroize();
                pasted = None;
                continue;
            }
        };
        if let Some(start) = pasted {
            if line.len() == MOST {
                return Err(InputError::TooLong);
            }
            line.push(byte);
            if line[start..].ends_with(PASTE_END) {
                let end = line.len() - PASTE_END.len();
                line.truncate(end);
                pasted = None;
                if end_of_paste(&mut line, start)? {
                    break;
                }
            }
            continue;
        }
        match byte {
            b'\n' | b'\r' => break,
            END if line.is_empty() => return Err(InputError::Interrupted),
            END => break,
            ERASE_LINE => line.clear(),
            key if BACKSPACE.contains(&key) => {
                // A character may have several bytes: all but the first look like 10xxxxxx.
                while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            _ if line.len() == MOST => return Err(InputError::TooLong),
            key => {
                line.push(key);
                if line.ends_with(PASTE_START) {
                    let start = line.len() - PASTE_START.len();
                    line.truncate(start);
                    pasted = Some(start);
                }
            }
        }
    }
    if line.len() > MAX_LINE {
        return Err(InputError::TooLong);
    }
    SecretText::from_bytes(SecretBytes::copy_of(&line)).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidData, "what was typed is not UTF-8").into()
    })
}

/// Removes the line ends from a paste, which begins at `start`. Returns whether there were any:
/// they end the line, as with Enter.
fn end_of_paste(line: &mut Vec<u8>, start: usize) -> Result<bool, InputError> {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let ends = line[start..].iter().rev().take_while(|byte| is_end(byte)).count();
    line.truncate(line.len() - ends);
    match line[start..].iter().any(is_end) {
        true => Err(InputError::SeveralLines),
        false => Ok(ends > 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stands for a suspension of the process; no text in UTF-8 has this byte.
    const AGAIN: u8 = 0xff;

    fn typed(keys: &[u8]) -> Result<String, InputError> {
        let mut keys = keys.iter().copied();
        let key = || {
            Ok(keys.next().map_or(Key::End, |key| match key {
                AGAIN => Key::Again,
                key => Key::Byte(key),
            }))
        };
        read_hidden(key).map(|text| text.expose().to_owned())
    }

    #[test]
    fn hidden_line_ends_at_enter_and_keeps_spaces() {
        assert_eq!(typed(b" pass word \nrest").unwrap(), " pass word ");
        assert_eq!(typed(b"\n").unwrap(), "");
        assert_eq!(typed(b"a\x04").unwrap(), "a");
    }

    #[test]
    fn backspace_deletes_character_ctrl_u_deletes_line() {
        assert_eq!(typed("aé鍵\x7f\x08b\n".as_bytes()).unwrap(), "ab");
        assert_eq!(typed(b"\x7fwrong\x15right\n").unwrap(), "right");
    }

    #[test]
    fn hidden_input_without_enter_is_interrupted() {
        for keys in [b"\x04".as_slice(), b"abc"] {
            assert!(matches!(typed(keys), Err(InputError::Interrupted)));
        }
    }

    #[test]
    fn input_before_suspend_is_discarded() {
        assert_eq!(typed(b"before\xffafter\n").unwrap(), "after");
    }

    #[test]
    fn hidden_line_up_to_max_line_is_kept_longer_rejected() {
        let mut keys = vec![b'x'; MAX_LINE];
        keys.push(b'\n');
        assert_eq!(typed(&keys).unwrap().len(), MAX_LINE);
        keys.insert(0, b'x');
        assert!(matches!(typed(&keys), Err(InputError::TooLong)));
    }

    #[test]
    fn bracketed_paste_of_several_lines_is_rejected() {
        for (keys, line) in [
            (&b"\x1b[200~pasted\x1b[201~\n"[..], "pasted"),
            (b"a\x1b[200~b\x1b[201~c\n", "abc"),
            (b"\x1b[200~pasted\r\x1b[201~", "pasted"),
            (b"\x1b[200~pasted\n\n\x1b[201~typed", "pasted"),
            (b"\x1b[200~a\x1b[201~\x1b[200~b\x1b[201~\n", "ab"),
            // Control keys have no effect in a paste.
            (b"\x1b[200~a\x15\x7f\x04\x1b[201~\n", "a\u{15}\u{7f}\u{4}"),
            (b"\x1b[200~\x1b[201~\n", ""),
            (b"\x1b[200\x1b[200~x\x1b[201\x1b[201~\n", "\u{1b}[200x\u{1b}[201"),
            (b"lost\x1b[200~lost\xffkept\n", "kept"),
        ] {
            assert_eq!(typed(keys).unwrap(), line);
        }
        for keys in [
            &b"\x1b[200~one\ntwo\x1b[201~\n"[..],
            b"\x1b[200~one\rtwo\r\x1b[201~",
            b"\x1b[200~\ntwo\x1b[201~",
        ] {
            assert!(matches!(typed(keys), Err(InputError::SeveralLines)), "{keys:?}");
        }
        let mut keys = b"\x1b[200~".to_vec();
        keys.extend(vec![b'x'; MAX_LINE]);
        keys.extend(b"\x1b[201~");
        keys.push(b'\n');
        assert_eq!(typed(&keys).unwrap().len(), MAX_LINE);
        keys.insert(6, b'x');
        assert!(matches!(typed(&keys), Err(InputError::TooLong)));
    }

    #[test]
    fn prompt_label_is_escaped_and_truncated() {
        assert_eq!(prompt("Master password: "), "Master password: ");
        assert_eq!(prompt("\x1b[2JPassword\nfor root"), "\\u{1b}[2JPassword for root: ");
        assert_eq!(prompt(&"x".repeat(1_000)).len(), 202);
    }
}
