//! Answering a locked vault: from references that were given for this call, from those of its
//! registration, and for the rest by asking.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use keystead_plugin_api::{
    Answer, Challenge, Deadline, Error as Refusal, ErrorKind, Result as Reply, SecretText,
    UnlockRequest, Vault,
};

use super::open::Open;
use super::session::Course;
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
    ) -> Result<Called<T>> {
        let mut refusal = match self.call_again(open, run) {
            Ok(reply) => return Ok(Called::Done(reply)),
            Err(refusal) => refusal,
        };
        let mut given = Given::new();
        let mut wrong = 0;
        let mut left = Left(UNLOCK_TIMEOUT);
        for _ in 0..MAX_STEPS {
            let Some(challenge) = refusal.challenge().cloned() else {
                return Err(open.error(refusal));
            };
            self.session_failed(open);
            let answers = self.answers(open, &challenge, &mut given, ask, course)?;
            let Some((answers, missing)) = answers else { return Ok(Called::Reopen) };
            open.by_person |= missing > 0;
            let unlocked = left.spend(|deadline| {
                let request = UnlockRequest::new(challenge.id.clone(), answers, deadline);
                open.vault().unlock(&request)
            });
            refusal = match unlocked {
                Ok(_) => {
                    course.unlocked();
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
            let locked =
                |why| Error::Locked { vault: open.name.clone(), prompts: missing.clone(), why };
            let asked = Challenge::new(challenge.id.clone(), missing.clone());
            let typed = ask.ask(&open.name, &asked).map_err(locked)?;
            for prompt in &missing {
                if !typed.iter().any(|answer| answer.name == prompt.name) {
                    let why = "not every prompt was answered".to_owned();
                    return Err(locked(Unanswered::Failed(why)));
                }
            }
            answers.extend(typed);
        }
        Ok(Some((answers, count)))
    }
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
