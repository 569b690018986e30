//! What a locked vault wants of a person: answers, or something that is done elsewhere.

use std::time::Duration;

use crate::error::{Error, Result};

/// How a vault waits for what unlocks it.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all: the answers to its prompts unlock it.
    None,
    /// For what a person does elsewhere, in a browser or on a phone: the host calls
    /// [`Vault::unlock`](crate::Vault::unlock) again, without answers, until that succeeds or fails.
    /// As long as it is undecided the vault answers `Locked` with such a challenge again, perhaps
    /// with a longer interval.
    ///
    /// Where the challenge has prompts, the host shows sentence and address, asks the prompts once, and
    /// calls `unlock` with the answers at once. From then on a challenge of the same `id` is "not yet",
    /// with or without its prompts; one with another `id` and prompts is a further step.
    Poll {
        /// How long to wait before the next call: 1 second to 5 minutes are kept.
        interval: Duration,
        /// How long it may take in all: the host gives it at most 15 minutes, and that for zero. When it
        /// is over the host calls once more.
        expires: Duration,
    },
    /// For what the operating system asks a person during that call of `unlock`: a touch, a
    /// fingerprint, a keyring's own dialog. At no other time may it ask.
    System,
    /// For a touch of this key. What a later minor version might add.
    #[cfg(feature = "next")]
    Touch {
        /// How long it may take.
        expires: Duration,
    },
}

impl Wait {
    /// Returns the error where a vault waits in a way of this number, which is unknown here.
    #[doc(hidden)]
    pub fn unknown(code: u32) -> Error {
        needs_newer_host("waits in a way", code)
    }
}

/// Returns the error of a locked vault that only a newer host can unlock.
fn needs_newer_host(wants: &str, code: u32) -> Error {
    Error::unsupported(format!(
        "unlocking needs a newer host: the vault {wants} ({code}) that this one does not know"
    ))
}

/// What a locked vault wants: one step of unlocking.
///
/// `id` comes back with the answers, so that a vault with several steps knows which one
/// is answered.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use keystead_plugin_api::{Challenge, Prompt};
/// let password = Challenge::new("password", vec![Prompt::secret("password", "Password")]);
/// let login = Challenge::new("device", Vec::new())
///     .message("enter the code WZGN-PMSW")
///     .url("https://login.example/device")
///     .poll(Duration::from_secs(5), Duration::from_secs(600));
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Names this step to the vault; the host does not read it.
    pub id: String,
    /// The fields to ask for, in order: at most [`Challenge::MAX_PROMPTS`]. None only where the vault
    /// waits.
    pub prompts: Vec<Prompt>,
    /// A sentence for the person: what is wanted, or what is waited for. Not secret.
    pub message: Option<String>,
    /// An address for the person to open: `https` only, in ASCII, a host name of another script as
    /// `xn--`, without a user name, at most [`Challenge::MAX_URL_BYTES`].
    pub url: Option<String>,
    /// How the vault waits.
    pub wait: Wait,
}

impl Challenge {
    /// The most fields one step may ask for: more is a form, not a prompt.
    pub const MAX_PROMPTS: usize = 16;

    /// The most bytes of an address: it is shown whole.
    pub const MAX_URL_BYTES: usize = 2_048;

    /// Returns a step that asks for these fields.
    pub fn new(id: impl Into<String>, prompts: Vec<Prompt>) -> Self {
        Self { id: id.into(), prompts, message: None, url: None, wait: Wait::None }
    }

    /// Says this to the person.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Shows the person this address.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Waits for what a person does elsewhere: is asked again after each interval, until it expires.
    pub fn poll(mut self, interval: Duration, expires: Duration) -> Self {
        self.wait = Wait::Poll { interval, expires };
        self
    }

    /// Waits for what the operating system asks.
    pub fn system(mut self) -> Self {
        self.wait = Wait::System;
        self
    }

    /// Checks what every step keeps: also for what comes through the C ABI.
    #[doc(hidden)]
    pub fn check(&self) -> Result<()> {
        if self.prompts.is_empty() && self.wait == Wait::None {
            return Err(Error::invalid("a challenge asks for nothing and waits for nothing"));
        }
        for (at, prompt) in self.prompts.iter().enumerate() {
            // An answer is found by its prompt's name.
            if self.prompts[..at].iter().any(|other| other.name == prompt.name) {
                let name = &prompt.name;
                return Err(Error::invalid(format!("a challenge asks for `{name}` twice")));
            }
            if prompt.kind == PromptKind::Choice && prompt.choices.is_empty() {
                return Err(Error::invalid("a prompt is a choice between nothing"));
            }
        }
        self.url.as_deref().map_or(Ok(()), check_url)
    }
}

/// Checks that an address can be shown to a person as it is, and leads where it seems to.
fn check_url(url: &str) -> Result<()> {
    let wrong = |why: &str| Err(Error::invalid(format!("a challenge's address {why}")));
    if url.len() > Challenge::MAX_URL_BYTES {
        return wrong("is too long");
    }
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return wrong("has blanks or characters that are not ASCII");
    }
    if url.contains('\\') {
        return wrong("has a backslash");
    }
    let rest = match url.get(..8) {
        Some(scheme) if scheme.eq_ignore_ascii_case("https://") => &url[8..],
        _ => return wrong("is not `https`"),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = &rest[..end];
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '[' | ']');
    if authority.is_empty() || !authority.chars().all(is_host) {
        return wrong("has no plain host name");
    }
    Ok(())
}

/// What kind of answer a prompt wants.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum PromptKind {
    /// A line that is typed.
    Line = 1,
    /// One of [`Prompt::choices`].
    Choice = 2,
    /// `yes` or `no`.
    YesNo = 3,
    /// A few digits. What a later minor version might add.
    #[cfg(feature = "next")]
    Pin = 200,
}

impl PromptKind {
    /// Returns the kind of this number.
    pub fn from_code(code: u32) -> Option<Self> {
        let all = [
            Self::Line,
            Self::Choice,
            Self::YesNo,
            #[cfg(feature = "next")]
            Self::Pin,
        ];
        all.into_iter().find(|kind| *kind as u32 == code)
    }

    /// Returns the number that stands for this kind in the ABI.
    pub fn code(self) -> u32 {
        self as u32
    }

    /// Returns the error where a vault prompts for a kind of this number, which is unknown here.
    #[doc(hidden)]
    pub fn unknown(code: u32) -> Error {
        needs_newer_host("asks for a kind of answer", code)
    }
}

/// One field to ask a person for.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The field's name, for standing answers: `password`, `code`.
    pub name: String,
    /// What a person reads before typing.
    pub label: String,
    /// Whether what is typed must not be shown.
    pub secret: bool,
    /// Whether it is chosen now, as a new password is: a person types it twice.
    pub new: bool,
    /// What kind of answer it wants.
    pub kind: PromptKind,
    /// What a choice is between: at most [`Prompt::MAX_CHOICES`] lines, of which one is the answer.
    pub choices: Vec<String>,
    /// Whether only digits are typed. What a later minor version might add.
    #[cfg(feature = "next")]
    pub digits: bool,
}

impl Prompt {
    /// The most lines that a choice may be between.
    pub const MAX_CHOICES: usize = 32;

    /// Returns a field whose input is hidden.
    pub fn secret(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self { secret: true, ..Self::plain(name, label) }
    }

    /// Returns a field whose input is hidden, and typed twice, since it is chosen now.
    pub fn new_secret(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self { new: true, ..Self::secret(name, label) }
    }

    /// Returns a field whose input is shown.
    pub fn plain(name: impl Into<String>, label: impl Into<String>) -> Self {
        let (name, label, kind) = (name.into(), label.into(), PromptKind::Line);
        Self {
            name,
            label,
            secret: false,
            new: false,
            kind,
            choices: Vec::new(),
            #[cfg(feature = "next")]
            digits: false,
        }
    }

    /// Returns a choice between these lines.
    pub fn choice<T: Into<String>>(
        name: impl Into<String>,
        label: impl Into<String>,
        choices: impl IntoIterator<Item = T>,
    ) -> Self {
        let choices = choices.into_iter().map(Into::into).collect();
        Self { kind: PromptKind::Choice, choices, ..Self::plain(name, label) }
    }

    /// Returns a question whose answer is `yes` or `no`.
    pub fn yes_no(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self { kind: PromptKind::YesNo, ..Self::plain(name, label) }
    }

    /// Returns whether this may be the answer.
    pub fn takes(&self, answer: &str) -> bool {
        match self.kind {
            PromptKind::Line => true,
            PromptKind::Choice => self.choices.iter().any(|choice| choice == answer),
            PromptKind::YesNo => matches!(answer, "yes" | "no"),
            #[cfg(feature = "next")]
            PromptKind::Pin => answer.bytes().all(|byte| byte.is_ascii_digit()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misleading_challenge_url_is_rejected() {
        let check = |url: &str| Challenge::new("x", Vec::new()).system().url(url).check();
        for url in [
            "https://login.example/device?code=WZGN-PMSW#top",
            "HTTPS://xn--bcher-kva.example:8443/",
            "https://[::1]:8200",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
        let long = format!("https://login.example/{}", "x".repeat(2_048));
        for url in [
            "http://login.example/",
            "javascript:alert(1)",
            "https://",
            "https:///x",
            "https://good.example@evil.example/",
            "https://good.example\\@evil.example/",
            "https://b\u{fc}cher.example/",
            "https://login.example/\u{202e}x",
            "https://login.example/ x",
            "https://login.example/\n",
            "https://login.example%2f.evil.example/",
            &long,
        ] {
            assert!(check(url).is_err(), "{url}");
        }
    }

    #[test]
    fn challenge_without_prompt_poll_or_choice_is_rejected() {
        let poll = |challenge: Challenge| challenge.poll(Duration::ZERO, Duration::ZERO);
        assert!(Challenge::new("x", Vec::new()).check().is_err());
        assert!(poll(Challenge::new("x", Vec::new())).check().is_ok());
        let choice = |choices: &[&str]| {
            Challenge::new("x", vec![Prompt::choice("a", "A", choices.iter().copied())]).check()
        };
        assert!(choice(&[]).is_err());
        assert!(choice(&["one"]).is_ok());
        let prompt = Prompt::choice("a", "A", ["one", "two"]);
        assert!(prompt.takes("two") && !prompt.takes("three"));
        assert!(Prompt::yes_no("a", "A").takes("no") && !Prompt::yes_no("a", "A").takes("y"));
    }
}
