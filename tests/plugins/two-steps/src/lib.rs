//! Needs two unlock steps, cannot be written to, and logs `goodbye` when its registration ends.
#![forbid(unsafe_code)]

use sound::api::manifest::Capability;
use sound::api::{
    export_plugin, Challenge, Context, Error, GetRequest, ListRequest, OpenRequest, Page, Plugin,
    Prompt, Result, Secret, UnlockRequest, Unlocked, UnregisterRequest, Unregistered, Vault,
};

export_plugin! {
    plugin: TwoSteps,
    manifest: sound::manifest("two-steps")
        .kinds(&[sound::kind().can(&[Capability::Unlock, Capability::Unregister])]),
}

/// Number of completed steps, and the context.
struct TwoSteps(usize, Context);

/// Each step with its correct answer.
const STEPS: [(&str, &str); 2] = [("password", "canary-one"), ("code", "canary-two")];

impl TwoSteps {
    fn open(&self) -> Result<()> {
        match STEPS.get(self.0) {
            Some((name, _)) => {
                Err(Error::locked(Challenge::new(*name, vec![Prompt::secret(*name, *name)])))
            }
            None => Ok(()),
        }
    }
}

impl Plugin for TwoSteps {
    fn open(_: OpenRequest, context: Context) -> Result<Box<dyn Vault>> {
        Ok(Box::new(Self(0, context)))
    }
}

impl Vault for TwoSteps {
    fn get(&mut self, _: &GetRequest) -> Result<Secret> {
        self.open()?;
        Ok(sound::secret())
    }

    fn list(&mut self, _: &ListRequest) -> Result<Page> {
        self.open()?;
        Ok(Page::new(Vec::new(), None))
    }

    fn unlock(&mut self, request: &UnlockRequest) -> Result<Unlocked> {
        let (name, right) = STEPS[self.0];
        if request.answer(name).map(|answer| answer.expose()) != Some(right) {
            return Err(Error::permission_denied("that is wrong"));
        }
        self.0 += 1;
        self.open()?;
        Ok(Unlocked::new())
    }

    fn unregister(&mut self, _: &UnregisterRequest) -> Result<Unregistered> {
        self.1.info("goodbye");
        Ok(Unregistered::new())
    }
}
