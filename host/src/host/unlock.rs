//! Answering a locked vault: from references that were given for this call, from those of its
//! registration, and for the rest by asking.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use keystead_plugin_api::{
    Answer, Challenge, Deadline, Error as Refusal, ErrorKind, Prompt, PromptKind, Result as Reply,
    SecretText, UnlockRequest, Vault, Wait,
};

use super::open::Open;
use super::session::Course;
use super::share::Caller;
use super::{Called, Host};
use crate::ask::{Ask, Unanswered};
use crate::error::{Error, Result};
use crate::options::UNLOCK_TIMEOUT;
use crate::reference::Reference;

/// The most steps one unlocking may have, wrong answers included.
const MAX_STEPS: usize = 8;

/// How often a person may answer one step wrongly before the call gives up: what `sudo`
/// allows.
const MAX_WRONG_ANSWERS: usize = 3;

/// The shortest wait before a call is made again, whatever the vault says.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);

/// What references gave during one unlocking, by prompt. Kept for its length only: a
/// descriptor can be read once, and a mistyped code must not run a program again.
type Given = BTreeMap<String, (Reference, SecretText)>;

/// What is left of the time that unlocking may take, for all of its steps: a vault that answers each
/// at the last moment, and asks for one more, would hold its caller for as much again.
struct Left(Duration);

impl Left {
    /// Makes a call that has until then.
    fn spend<T>(&mut self, call: impl FnOnce(Deadline) -> T) -> T {
        let began = Instant::now();
        let answer = call(Deadline::after(self.0));
        self.0 = self.0.saturating_sub(began.elapsed());
        answer
    }
}

impl Host {
    /// Makes a call; where the vault is locked, unlocks it step by step and calls once more.
    pub(super) fn call_unlocking<T>(
        &self,
        open: &mut Open,
        ask: &mut dyn Ask,
        run: &mut dyn FnMut(&mut dyn Vault, Deadline) -> Reply<T>,
        course: &mut Course,
        caller: &mut Caller<'_>,
    ) -> Result<Called<T>> {
        let mut refusal = match self.call_again(open, run) {
            Ok(reply) => return Ok(Called::Done(reply)),
            Err(refusal) => refusal,
        };
        if refusal.challenge().is_some() && !self.may_unlock(open, caller) {
            return Ok(Called::OnAnother);
        }
        let mut given = Given::new();
        let mut wrong = 0;
        let mut left = Left(UNLOCK_TIMEOUT);
        let (mut poll, mut end) = (None, None);
        let mut steps = 0;
        while steps < MAX_STEPS {
            let Some(challenge) = refusal.challenge().cloned() else {
                return Err(open.error(refusal));
            };
            self.session_failed(open);
            let answers = self.answers(open, &challenge, &mut given, ask, course)?;
            let Some((answers, missing)) = answers else { return Ok(Called::Reopen) };
            open.by_person |= missing > 0 || challenge.wait != Wait::None;
            if challenge.wait != Wait::None {
                if !self.attended(open, &challenge, ask, course)? {
                    return Ok(Called::Reopen);
                }
                // A person does something elsewhere, and takes as long as that takes.
                left = Left(UNLOCK_TIMEOUT);
            }
            if let Wait::Poll { interval, expires } = challenge.wait {
                let end = *end.get_or_insert_with(|| Instant::now() + Poll::LONGEST);
                let poll = poll.get_or_insert_with(|| Poll::new(expires, end));
                poll.pause(interval, open)?;
            } else {
                steps += 1;
                poll = None;
            }
            let unlocked = left.spend(|deadline| {
                let request = UnlockRequest::new(challenge.id.clone(), answers, deadline);
                open.vault().unlock(&request)
            });
            refusal = match unlocked {
                Ok(_) => {
                    course.unlocked();
                    self.was_unlocked(caller);
                    match self.call_again(open, run) {
                        Ok(reply) => return Ok(Called::Done(reply)),
                        Err(refusal) => refusal,
                    }
                }
                Err(denied) if denied.kind() == ErrorKind::PermissionDenied => {
                    wrong += 1;
                    // What was not typed would be as wrong again.
                    if missing == 0 || wrong == MAX_WRONG_ANSWERS {
                        return Err(denied_by(open, &challenge, &given, denied));
                    }
                    // Somebody types it again, and waits for it.
                    left = Left(UNLOCK_TIMEOUT);
                    ask.wrong(&open.name, denied.message());
                    Refusal::locked(challenge)
                }
                Err(refusal) => {
                    // Another step: whoever got this far starts it afresh.
                    wrong = 0;
                    refusal
                }
            };
        }
        Err(open.error(Refusal::internal("the vault asks for more and more to be unlocked")))
    }

    /// Makes a call, and makes it again after as long as the vault says, while the deadline leaves
    /// time for that.
    fn call_again<T>(
        &self,
        open: &mut Open,
        run: &mut dyn FnMut(&mut dyn Vault, Deadline) -> Reply<T>,
    ) -> Reply<T> {
        let deadline = self.deadline();
        loop {
            let refusal = match run(open.vault(), deadline) {
                Err(refusal) if refusal.kind() == ErrorKind::Unavailable => refusal,
                answer => return answer,
            };
            // The pause before a plugin's process is started again is none of the vault's.
            let wait = refusal.retry_after().filter(|_| !open.runner_failed());
            match wait.map(|wait| wait.max(SHORTEST_WAIT)) {
                Some(wait) if wait < deadline.remaining() => std::thread::sleep(wait),
                _ => return Err(refusal),
            }
        }
    }

    /// Shows a person what a vault waits for. Returns false where a session has come that makes it
    /// needless.
    ///
    /// # Errors
    /// That nobody is there, or that another command does so already.
    fn attended(
        &self,
        open: &Open,
        challenge: &Challenge,
        ask: &mut dyn Ask,
        course: &mut Course,
    ) -> Result<bool> {
        let locked = |why| locked(open, challenge, challenge.prompts.clone(), why);
        if !ask.is_there() {
            return Err(locked(Unanswered::Nobody));
        }
        match challenge.wait {
            // It may take minutes: who comes meanwhile is told, and does not wait.
            Wait::Poll { .. } if !self.has_turn(open, course) => {
                return Err(locked(Unanswered::Elsewhere));
            }
            Wait::Poll { .. } => {}
            _ if self.session_came(open, ask, course) => return Ok(false),
            _ => {}
        }
        ask.show(&open.name, challenge).map_err(locked)?;
        Ok(true)
    }

    /// Returns an answer to each prompt, and how many of them were asked for; nothing where
    /// a session has come that makes them needless.
    fn answers(
        &self,
        open: &Open,
        challenge: &Challenge,
        given: &mut Given,
        ask: &mut dyn Ask,
        course: &mut Course,
    ) -> Result<Option<(Vec<Answer>, usize)>> {
        let mut answers = Vec::with_capacity(challenge.prompts.len());
        let mut missing = Vec::new();
        for prompt in &challenge.prompts {
            if !given.contains_key(&prompt.name) {
                let here = ask.given(&open.name, prompt);
                let Some(from) = here.or_else(|| open.entry.unlock.get(&prompt.name).cloned())
                else {
                    missing.push(prompt.clone());
                    continue;
                };
                let value = self.resolve(&prompt.name, &from)?;
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
        let count = missing.len();
        if count > 0 {
            if self.session_came(open, ask, course) {
                return Ok(None);
            }
            let locked = |why| locked(open, challenge, missing.clone(), why);
            let mut asked = challenge.clone();
            asked.prompts.clone_from(&missing);
            let typed = ask.ask(&open.name, &asked).map_err(locked)?;
            for prompt in &missing {
                let answer = typed.iter().find(|answer| answer.name == prompt.name);
                if !answer.is_some_and(|answer| prompt.takes(answer.value.expose())) {
                    let why = "not every prompt was answered".to_owned();
                    return Err(locked(Unanswered::Failed(why)));
                }
            }
            answers.extend(typed);
        }
        Ok(Some((answers, count)))
    }
}

/// How long a person has who does something elsewhere.
struct Poll(Instant);

impl Poll {
    /// The shortest and the longest pause between two calls, whatever the vault says.
    const PAUSES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(5 * 60);

    /// The longest that one unlocking waits in all, whatever the vault says.
    const LONGEST: Duration = Duration::from_secs(15 * 60);

    /// Returns the time that one step has, which ends with that of the whole unlocking.
    fn new(expires: Duration, end: Instant) -> Self {
        Self((Instant::now() + expires.min(Self::LONGEST)).min(end))
    }

    /// Waits until the vault may be asked again.
    fn pause(&self, interval: Duration, open: &mut Open) -> Result<()> {
        let pause = interval.clamp(*Self::PAUSES.start(), *Self::PAUSES.end());
        if pause > self.0.saturating_duration_since(Instant::now()) {
            let over = "what unlocks the vault was not done in time";
            return Err(open.error(Refusal::new(ErrorKind::TimedOut, over)));
        }
        std::thread::sleep(pause);
        Ok(())
    }
}

/// Returns the error of a vault that stays locked.
fn locked(open: &Open, challenge: &Challenge, prompts: Vec<Prompt>, why: Unanswered) -> Error {
    let mut challenge = Box::new(challenge.clone());
    challenge.prompts = prompts;
    Error::Locked { vault: open.name.clone(), challenge, why }
}

/// Returns the error of wrong answers, with the references that some of them came from.
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
    fn several_waits_of_one_unlocking_share_its_end() {
        let end = Instant::now() + Duration::from_secs(60);
        assert_eq!(Poll::new(Duration::MAX, end).0, end);
        assert!(Poll::new(Duration::from_secs(5), end).0 < end);
        let longest = Instant::now() + Poll::LONGEST;
        assert!(Poll::new(Duration::MAX, longest + Poll::LONGEST).0 < longest + Poll::LONGEST);
    }

    #[test]
    fn steps_of_one_unlocking_share_its_time() {
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
