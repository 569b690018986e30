//! Declares that several handles can be open at once. Each handle is locked for the secret `locked`
//! until unlocked, and returns no session. `slow` takes its time; `crash` ends the process.
#![forbid(unsafe_code)]

use sound::api::manifest::{Capability, Kind, Manifest};
use sound::api::{
    Challenge, Error, GetRequest, ListRequest, Page, Prompt, Result, Secret, UnlockRequest,
    Unlocked, Vault,
};

const KINDS: &[Kind] = &[sound::kind().can(&[Capability::Concurrent, Capability::Unlock])];

const MANIFEST: Manifest = sound::manifest("many-handles").kinds(KINDS);

struct Handle {
    locked: bool,
}

impl Vault for Handle {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        match request.name.as_str() {
            "locked" if self.locked => {
                let prompts = vec![Prompt::secret("password", "Password")];
                Err(Error::locked(Challenge::new("password", prompts)))
            }
            "crash" => std::process::abort(),
            "slow" => {
                sound::sleep_ms(30);
                Ok(sound::secret())
            }
            _ => Ok(sound::secret()),
        }
    }

    fn list(&mut self, _: &ListRequest) -> Result<Page> {
        Ok(Page::default())
    }

    fn unlock(&mut self, _: &UnlockRequest) -> Result<Unlocked> {
        self.locked = false;
        Ok(Unlocked::new())
    }
}

sound::plugin!(MANIFEST, |_, _| Ok(Box::new(Handle { locked: true })));
