//! Locks itself again after ten writes.
#![forbid(unsafe_code)]

use sound::api::{
    Challenge, Error, GetRequest, ListRequest, Page, Prompt, Result, Secret, SetRequest,
    UnlockRequest, Unlocked, Vault, Written,
};

struct Locks(u32);

impl Vault for Locks {
    fn get(&mut self, _: &GetRequest) -> Result<Secret> {
        Err(Error::not_found())
    }

    fn list(&mut self, _: &ListRequest) -> Result<Page> {
        Ok(Page::default())
    }

    fn set(&mut self, _: SetRequest) -> Result<Written> {
        match self.0.checked_sub(1) {
            Some(left) => self.0 = left,
            None => {
                let prompts = vec![Prompt::secret("go-on", "Go on?")];
                return Err(Error::locked(Challenge::new("go-on", prompts)));
            }
        }
        Ok(Written::new())
    }

    fn unlock(&mut self, _: &UnlockRequest) -> Result<Unlocked> {
        self.0 = 10;
        Ok(Unlocked::new())
    }
}

sound::plugin!("locks-itself", |_, _| Ok(Box::new(Locks(0))));
