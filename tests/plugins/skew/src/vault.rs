//! A vault that stores secrets in memory, and uses the new items of its version.

use std::collections::BTreeMap;

use keystead_plugin_api::*;

pub(crate) struct Skewed {
    context: Context,
    secrets: BTreeMap<SecretName, (Value, Metadata)>,
}

impl Skewed {
    pub(crate) fn new(context: Context) -> Self {
        #[cfg(feature = "next")]
        context.trace("opened");
        let mut vault = Self { context, secrets: BTreeMap::new() };
        vault.keep("text", Value::text("plain"));
        #[cfg(feature = "next")]
        {
            vault.keep("link", Value::Link(SecretText::new("text")));
            let mut metadata = Metadata::new();
            metadata.insert("md", MetadataValue::Digest(vec![0xff])).expect("it fits");
            metadata.insert("env", MetadataValue::Text("dev".into())).expect("it fits");
            vault.secrets.get_mut(&name("text")).expect("it was put in").1 = metadata;
        }
        vault
    }

    fn keep(&mut self, key: &str, value: Value) {
        self.secrets.insert(name(key), (value, Metadata::new()));
    }

    /// Returns a newer vault's special answers for some names.
    #[cfg(feature = "next")]
    fn new_answer(&self, name: &str) -> Result<Option<Secret>> {
        let locked = |challenge: Challenge| Err(Error::locked(challenge));
        match name {
            "throttled" => Err(Error::new(ErrorKind::Throttled, "slow down")),
            "approval" => Err(Error::detailed(ErrorDetail::Approval, "ask the other one")),
            "notify" => {
                let notified = if self.context.notify("look").is_ok() { "yes" } else { "no" };
                Ok(Some(Secret::new(Value::text(notified))))
            }
            "touch" => {
                let mut challenge = Challenge::new("touch", Vec::new());
                challenge.wait = Wait::Touch { expires: std::time::Duration::from_secs(60) };
                locked(challenge)
            }
            "pin" => {
                let mut prompt = Prompt::secret("pin", "PIN");
                prompt.kind = PromptKind::Pin;
                locked(Challenge::new("pin", vec![prompt]))
            }
            "digits" => {
                let mut prompt = Prompt::secret("code", "Code");
                prompt.digits = true;
                locked(Challenge::new("code", vec![prompt]))
            }
            _ => Ok(None),
        }
    }
}

fn name(text: &str) -> SecretName {
    SecretName::parse(text).expect("a good name")
}

impl Vault for Skewed {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        #[cfg(feature = "next")]
        {
            if let Some(reason) = &request.reason {
                self.context.info(&format!("reason: {}", reason));
            }
            if let Some(secret) = self.new_answer(request.name.as_str())? {
                return Ok(secret);
            }
        }
        let found = self.secrets.get(&request.name).ok_or_else(Error::not_found)?;
        #[allow(unused_mut)]
        let mut secret = Secret::with_metadata(found.0.duplicate(), found.1.clone());
        #[cfg(feature = "next")]
        {
            secret.lease_millis = Some(60_000);
        }
        Ok(secret)
    }

    fn list(&mut self, _: &ListRequest) -> Result<Page> {
        let entries = self.secrets.iter();
        let entries = entries.map(|(name, (value, metadata))| {
            Entry::new(name.clone(), Some(value.kind()), metadata.clone())
        });
        Ok(Page::new(entries.collect(), None))
    }

    fn set(&mut self, request: SetRequest) -> Result<Written> {
        self.context.info(&format!("set {}", request.name));
        request.mode.check(self.secrets.contains_key(&request.name))?;
        self.secrets.insert(request.name, (request.value, request.metadata.unwrap_or_default()));
        Ok(Written::new())
    }

    fn set_metadata(&mut self, request: SetMetadataRequest) -> Result<MetadataWritten> {
        self.context.info(&format!("set_metadata {}", request.name));
        self.secrets.get_mut(&request.name).ok_or_else(Error::not_found)?.1 = request.metadata;
        Ok(MetadataWritten::new())
    }

    fn rules(&mut self, _: &RulesRequest) -> Result<Rules> {
        #[cfg(not(feature = "next"))]
        let names = NameEquality::Exact;
        #[cfg(feature = "next")]
        let names = NameEquality::Width(UnicodeTables::new(15, 16));
        Ok(Rules::new(names))
    }

    fn actions(&mut self, _: &ActionsRequest) -> Result<ActionList> {
        let mut fetch = Action::new("fetch", "fetches");
        #[cfg(not(feature = "next"))]
        let kind = ParameterKind::Text;
        #[cfg(feature = "next")]
        let kind = ParameterKind::Url;
        fetch.parameters.push(OwnedParameter::new("from", kind, "where"));
        Ok(ActionList::new(vec![fetch, Action::new("count", "counts")]))
    }

    #[cfg(feature = "next")]
    fn health(&mut self, _: Deadline) -> Result<BTreeMap<String, String>> {
        Ok(BTreeMap::from([("mood".to_owned(), "fine".to_owned())]))
    }
}
