//! A vault that keeps what it is given, and uses whatever is new where there is anything.

use std::collections::BTreeMap;

use sound::api::{
    Context, Entry, Error, GetRequest, ListRequest, Metadata, Page, Result, Secret, SecretName,
    SetRequest, Value, Vault, Written,
};

pub(crate) struct Skewed {
    context: Context,
    secrets: BTreeMap<SecretName, Value>,
}

impl Skewed {
    pub(crate) fn new(context: Context) -> Self {
        let mut secrets = BTreeMap::new();
        secrets.insert(name("text"), Value::text("plain"));
        #[cfg(feature = "next")]
        secrets.insert(name("link"), Value::Link(sound::api::SecretText::new("text")));
        Self { context, secrets }
    }
}

fn name(text: &str) -> SecretName {
    SecretName::parse(text).expect("a good name")
}

impl Vault for Skewed {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        #[cfg(feature = "next")]
        {
            self.context.info(&format!("reason: {:?}", request.reason));
            if request.name.as_str() == "throttled" {
                return Err(Error::new(sound::api::ErrorKind::Throttled, "slow down"));
            }
        }
        let found = self.secrets.get(&request.name).ok_or_else(Error::not_found)?;
        #[allow(unused_mut)]
        let mut secret = Secret::new(found.duplicate());
        #[cfg(feature = "next")]
        {
            secret.lease_millis = Some(60_000);
        }
        Ok(secret)
    }

    fn list(&mut self, _: &ListRequest) -> Result<Page> {
        let entries = self.secrets.iter();
        let entries = entries
            .map(|(name, value)| Entry::new(name.clone(), Some(value.kind()), Metadata::new()));
        Ok(Page::new(entries.collect(), None))
    }

    fn set(&mut self, request: SetRequest) -> Result<Written> {
        self.context.info(&format!("set {}", request.name));
        self.secrets.insert(request.name, request.value);
        Ok(Written::new())
    }

    #[cfg(feature = "next")]
    fn health(&mut self, _: sound::api::Deadline) -> Result<BTreeMap<String, String>> {
        Ok(BTreeMap::from([("mood".to_owned(), "fine".to_owned())]))
    }
}
