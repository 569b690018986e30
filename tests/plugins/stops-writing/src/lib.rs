//! Ends its process at the write of the twentieth secret.
#![forbid(unsafe_code)]

use sound::api::{
    Error, GetRequest, ListRequest, Page, Result, Secret, SetRequest, Vault, Written,
};

struct Stops(u32);

impl Vault for Stops {
    fn get(&mut self, _: &GetRequest) -> Result<Secret> {
        Err(Error::not_found())
    }

    fn list(&mut self, _: &ListRequest) -> Result<Page> {
        Ok(Page::default())
    }

    fn set(&mut self, _: SetRequest) -> Result<Written> {
        self.0 += 1;
        if self.0 == 20 {
            std::process::exit(7);
        }
        Ok(Written::new())
    }
}

sound::plugin!("stops-writing", |_, _| Ok(Box::new(Stops(0))));
