//! Answers the prompts of a locked vault: from references for this call, then from its unlock
//! references, then by prompting the user.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use keystead_plugin_api::{
    Answer, Challenge, Deadline, Error as Refusal, ErrorKind, Prompt, PromptKind, Result as Reply,
    SecretText, UnlockRequest, Vault, Wait,
};

use super::Host;
use super::call::Called;
use super::open::Open;
use super::session::CallSession;
use super::share::Caller;
use crate::error::{Error, Result};
use crate::options::UNLOCK_TIMEOUT;
use crate::prompter::{PromptError, Prompter};
use crate::reference::Reference;
use crate::retry;

/// Maximum number of steps in one unlock, wrong answers included.
const MAX_STEPS: usize = 8;

/// How many wrong answers the user may give to one step before the call gives up: as many as `sudo`
/// allows.
const MAX_WRONG_ANSWERS: usize = 3;

/// Values of references during one unlock, by prompt. Kept for its length only: a descriptor can be
/// read once, and a mistyped code must not run a program again.
pub(super) type Given = BTreeMap<String, (Reference, SecretText)>;

/// Time that is left for all steps of an unlock. Otherwise a vault could answer each step at the
/// last moment and demand another.
struct Left(Duration);

impl Left {
    /// Makes a call with that time as its limit.
    fn spend<T>(&mut self, call: impl FnOnce(Deadline) -> T) -> T {
        let began = Instant::now();
        let answer = call(Deadline::after(self.0));
        self.0 = self.0.saturating_sub(began.elapsed());
        answer
    }
}

impl Host {
    /// Makes a call. If the vault is locked, unlocks it step by step and calls again.
    pub(super) fn call_unlocking<T>(
        &self,
        open: &mut Open,
        ask: &mut dyn Prompter,
        run: &mut dyn FnMut(&mut dyn Vault, Deadline) -> Reply<T>,
        course: &mut CallSession,
        caller: &mut Caller<'_>,
    ) -> Result<Called<T>> {
        let mut refusal = match call_again(open, self.deadline(), run) {
            Ok(reply) => return Ok(Called::Done(reply)),
            Err(refusal) => refusal,
        };
        if refusal.challenge().is_some() && !self.may_unlock(open, caller) {
            return Ok(Called::OnAnother);
        }
        let mut standing = match open.answers.take() {
            Some(answers) => answers,
            // Unlocked before, with the values that its session is bound to: the references may
            // give another account by now.
            None if open.binding.is_some() && open.entry.keep_login => {
                self.session_failed(open);
                return Ok(Called::Reopen);
            }
            None => Given::new(),
        };
        let mut given = Given::new();
        let mut wrong = 0;
        let mut left = Left(UNLOCK_TIMEOUT);
        let (mut poll, mut end) = (None, None);
        // The polling challenge whose prompts were answered last.
        let mut answered = None;
        let mut steps = 0;
        loop {
            let Some(mut challenge) = refusal.challenge().cloned() else {
                return Err(open.error(refusal));
            };
            self.session_failed(open);
            let polls = matches!(challenge.wait, Wait::Poll { .. });
            if polls && answered.as_ref() == Some(&challenge.id) {
                // The vault still waits: do not answer again.
                challenge.prompts.clear();
            }
            let is_pending = polls && challenge.prompts.is_empty();
            if !is_pending {
                if steps == MAX_STEPS {
                    break;
                }
                steps += 1;
            }
            poll = match challenge.wait {
                Wait::Poll { expires, .. } => {
                    let end = *end.get_or_insert_with(|| Instant::now() + Poll::LONGEST);
                    poll.filter(|_| is_pending).or_else(|| Some(Poll::new(expires, end)))
                }
                _ => None,
            };
            let sources = (&mut given, &mut standing);
            let (mut answers, missing) = self.referenced(open, &challenge, sources, ask)?;
            let count = missing.len();
            open.by_caller |= count > 0 || challenge.wait != Wait::None;
            let mut shown = challenge.clone();
            shown.prompts = missing;
            if challenge.wait != Wait::None && !self.attended(open, &shown, ask, course)? {
                return Ok(Called::Reopen);
            }
            if count > 0 {
                let Some(typed) = self.typed(open, &shown, ask, course)? else {
                    return Ok(Called::Reopen);
                };
                answers.extend(typed);
                shown.prompts.clear();
                if challenge.wait != Wait::None {
                    show(open, &shown, ask)?;
                }
            }
            if challenge.wait != Wait::None {
                // The user does something elsewhere, for as long as that takes.
                left = Left(UNLOCK_TIMEOUT);
            }
            match (challenge.wait, &poll) {
                (Wait::Poll { interval, .. }, Some(poll)) if is_pending => {
                    poll.pause(interval, open)?;
                }
                _ => answered = polls.then(|| challenge.id.clone()),
            }
            let unlocked = left.spend(|deadline| {
                let request = UnlockRequest::new(challenge.id.clone(), answers, deadline);
                call_again(open, deadline, &mut |vault, _| vault.unlock(&request))
            });
            refusal = match unlocked {
                Ok(_) => {
                    course.unlocked();
                    self.was_unlocked(caller);
                    match call_again(open, self.deadline(), run) {
                        Ok(reply) => return Ok(Called::Done(reply)),
                        Err(refusal) => refusal,
                    }
                }
                Err(denied) if denied.kind() == ErrorKind::PermissionDenied => {
                    wrong += 1;
                    // Answers that were not typed would be wrong again.
                    if count == 0 || wrong == MAX_WRONG_ANSWERS {
                        return Err(denied_by(open, &challenge, &given, denied));
                    }
                    // The user types the answers again, which takes time.
                    (left, answered) = (Left(UNLOCK_TIMEOUT), None);
                    ask.on_wrong_answer(&open.name, denied.message());
                    Refusal::locked(challenge)
                }
                Err(refusal) => {
                    // Another step: its wrong answers are counted from zero.
                    wrong = 0;
                    refusal
                }
            };
        }
        Err(open.error(Refusal::internal("the vault asks for more and more to be unlocked")))
    }

    /// Shows the user what a vault waits for. Returns false if a new session makes that needless.
    ///
    /// # Errors
    /// The call is non-interactive, or another command shows it already.
    fn attended(
        &self,
        open: &Open,
        challenge: &Challenge,
        ask: &mut dyn Prompter,
        course: &mut CallSession,
    ) -> Result<bool> {
        let locked = |why| locked(open, challenge, why);
        if !ask.is_interactive() {
            return Err(locked(PromptError::NonInteractive));
        }
        match challenge.wait {
            // Polling may take minutes: a further command gets an error instead of waiting.
            Wait::Poll { .. } if !self.has_turn(open, course) => {
                return Err(locked(PromptError::Elsewhere));
            }
            Wait::Poll { .. } => {}
            _ if self.session_came(open, ask, course) => return Ok(false),
            _ => {}
        }
        show(open, challenge, ask)?;
        Ok(true)
    }

    /// Returns the answers that references give, those of this call before the registered ones, and
    /// the remaining prompts. Uses values from opening the vault without resolving them again.
    fn referenced(
        &self,
        open: &mut Open,
        challenge: &Challenge,
        (given, standing): (&mut Given, &mut Given),
        ask: &mut dyn Prompter,
    ) -> Result<(Vec<Answer>, Vec<Prompt>)> {
        let mut answers = Vec::with_capacity(challenge.prompts.len());
        let mut missing = Vec::new();
        for prompt in &challenge.prompts {
            if !given.contains_key(&prompt.name) {
                let here = ask.answer_source(&open.name, prompt);
                open.by_caller |= here.is_some();
                let resolved = standing.remove(&prompt.name).filter(|_| here.is_none());
                let registered = || open.entry.unlock.get(&prompt.name).cloned();
                let (from, value) = match (resolved, here.or_else(registered)) {
                    (Some(resolved), _) => resolved,
                    (None, Some(from)) => {
                        let value = self.resolve(&prompt.name, &from)?;
                        (from, value)
                    }
                    (None, None) => {
                        missing.push(prompt.clone());
                        continue;
                    }
                };
                if !prompt.takes(value.expose()) {
                    let why = match prompt.kind {
                        PromptKind::YesNo => "it is neither `yes` nor `no`".to_owned(),
                        _ => format!("it is none of the choices: {}", prompt.choices.join(", ")),
                    };
                    let (parameter, reference) = (prompt.name.clone(), from);
                    return Err(Error::Unresolved { parameter, reference, why });
                }
                given.insert(prompt.name.clone(), (from, value));
            }
            let value = given[&prompt.name].1.duplicate();
            answers.push(Answer::new(prompt.name.clone(), value));
        }
        Ok((answers, missing))
    }

    /// Returns the user's answer to each prompt; `None` if a new session makes them needless.
    fn typed(
        &self,
        open: &Open,
        challenge: &Challenge,
        ask: &mut dyn Prompter,
        course: &mut CallSession,
    ) -> Result<Option<Vec<Answer>>> {
        if self.session_came(open, ask, course) {
            return Ok(None);
        }
        let locked = |why| locked(open, challenge, why);
        let typed = ask.ask(&open.name, challenge).map_err(locked)?;
        for prompt in &challenge.prompts {
            let answer = typed.iter().find(|answer| answer.name == prompt.name);
            if !answer.is_some_and(|answer| prompt.takes(answer.value.expose())) {
                let why = "not every prompt was answered".to_owned();
                return Err(locked(PromptError::Failed(why)));
            }
        }
        Ok(Some(typed))
    }
}

/// Makes a call, and repeats it after the delay that the vault requests, while the deadline leaves
/// time for that.
fn call_again<T>(
    open: &mut Open,
    deadline: Deadline,
    run: &mut dyn FnMut(&mut dyn Vault, Deadline) -> Reply<T>,
) -> Reply<T> {
    loop {
        let refusal = match run(open.vault(), deadline) {
            Err(refusal) => refusal,
            answer => return answer,
        };
        // The pause before a restart of the plugin's process is not the vault's.
        match retry::pause(&refusal, deadline).filter(|_| !open.runner_failed()) {
            Some(pause) => std::thread::sleep(pause),
            None => return Err(refusal),
        }
    }
}

/// Shows the user what a vault waits for.
fn show(open: &Open, challenge: &Challenge, ask: &mut dyn Prompter) -> Result<()> {
    ask.show(&open.name, challenge).map_err(|why| locked(open, challenge, why))
}

/// Deadline for a user who does something elsewhere.
#[derive(Clone, Copy)]
struct Poll(Instant);

impl Poll {
    /// Shortest and longest pause between two calls, whatever the vault requests.
    const PAUSES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(5 * 60);

    /// Longest total wait of one unlock, whatever the vault requests.
    const LONGEST: Duration = Duration::from_secs(15 * 60);

    /// Returns the deadline of one step, no later than that of the whole unlock; a step without an
    /// end has all of that time.
    fn new(expires: Duration, end: Instant) -> Self {
        match expires.is_zero() {
            true => Self(end),
            false => Self((Instant::now() + expires.min(Self::LONGEST)).min(end)),
        }
    }

    /// Waits until the next call to the vault, at the latest until the deadline.
    fn pause(&self, interval: Duration, open: &mut Open) -> Result<()> {
        let left = self.0.saturating_duration_since(Instant::now());
        let pause = interval.clamp(*Self::PAUSES.start(), *Self::PAUSES.end()).min(left);
        if pause.is_zero() {
            let over = "what unlocks the vault was not done in time";
            return Err(open.error(Refusal::new(ErrorKind::TimedOut, over)));
        }
        std::thread::sleep(pause);
        Ok(())
    }
}

/// Returns the error of a vault that stays locked.
fn locked(open: &Open, challenge: &Challenge, why: PromptError) -> Error {
    Error::Locked { vault: open.name.clone(), challenge: Box::new(challenge.clone()), why }
}

/// Returns the error of wrong answers, with the references that gave some of them.
fn denied_by(open: &Open, challenge: &Challenge, given: &Given, answer: Refusal) -> Error {
    let from = challenge.prompts.iter().filter_map(|prompt| {
        let (from, _) = given.get(&prompt.name)?;
        Some((prompt.name.clone(), from.clone()))
    });
    Error::WrongAnswer { vault: open.name.clone(), answer, from: from.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poll_deadline_is_capped_by_unlock_and_poll_limit() {
        let end = Instant::now() + Duration::from_secs(60);
        assert_eq!(Poll::new(Duration::MAX, end).0, end);
        assert!(Poll::new(Duration::from_secs(5), end).0 < end);
        let longest = Instant::now() + Poll::LONGEST;
        assert!(Poll::new(Duration::MAX, longest + Poll::LONGEST).0 < longest + Poll::LONGEST);
    }

    #[test]
    fn unlock_steps_share_timeout() {
        let mut left = Left(Duration::from_secs(30));
        let step = Duration::from_millis(5);
        for count in 1..4 {
            left.spend(|deadline| {
                assert!(deadline.remaining() <= Duration::from_secs(30) - step * (count - 1));
                std::thread::sleep(step);
            });
            assert!(left.0 <= Duration::from_secs(30) - step * count, "{count}");
        }
        let mut left = Left(step);
        left.spend(|_| std::thread::sleep(step));
        left.spend(|deadline| assert!(deadline.has_passed()));
    }
}
