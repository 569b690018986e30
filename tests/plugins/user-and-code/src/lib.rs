//! Prompts for a user and a password together, then for a code.
#![forbid(unsafe_code)]

use sound::api::{
    Challenge, Error, GetRequest, ListRequest, Page, Prompt, Result, Secret, SetRequest,
    UnlockRequest, Unlocked, Vault, Written,
};

/// Number of completed steps.
struct Steps(usize);

/// The prompts of each step and their correct answers.
const STEPS: [&[(&str, &str, &str)]; 2] = [
    &[("user", "Your name", "bob"), ("password", "Password", "canary-password")],
    &[("code", "The code on your device", "canary-code")],
];

impl Steps {
    fn open(&self) -> Result<()> {
        let Some(step) = STEPS.get(self.0) else { return Ok(()) };
        let prompt = |(name, label, _): &(&str, &str, &str)| match *name {
            "user" => Prompt::plain(*name, *label),
            _ => Prompt::secret(*name, *label),
        };
        let prompts = step.iter().map(prompt).collect();
        Err(Error::locked(Challenge::new(format!("step {}", self.0), prompts)))
    }
}

impl Vault for Steps {
    fn get(&mut self, _: &GetRequest) -> Result<Secret> {
        self.open()?;
        Ok(sound::secret())
    }

    fn list(&mut self, _: &ListRequest) -> Result<Page> {
        self.open()?;
        Ok(Page::default())
    }

    fn set(&mut self, _: SetRequest) -> Result<Written> {
        self.open().map(|()| Written::new())
    }

    fn unlock(&mut self, request: &UnlockRequest) -> Result<Unlocked> {
        let given = |name| request.answer(name).map(|answer| answer.expose());
        let step = STEPS[self.0];
        if request.answers.len() != step.len() {
            return Err(Error::invalid("an answer to each prompt, and no more"));
        }
        if let Some((name, ..)) = step.iter().find(|(name, _, right)| given(name) != Some(right)) {
            return Err(Error::permission_denied(format!("the {name} is wrong")));
        }
        self.0 += 1;
        self.open()?;
        Ok(Unlocked::new())
    }
}

sound::plugin!("user-and-code", |_, _| Ok(Box::new(Steps(0))));
