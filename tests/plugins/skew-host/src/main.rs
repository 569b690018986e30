//! The host's own loader in a minimal program: tomorrow's host with the feature `next`, today's
//! without. Loads a plugin of the Rust ABI or, on request, of the C ABI. Makes every call that
//! differs, and prints a line about each.

use std::time::Duration;

use keystead_plugin_api::*;

#[allow(dead_code)]
#[path = "../../../../host/lib/src/plugin"]
mod plugin {
    pub(crate) mod abi_check;
    mod c_abi;
    pub(crate) mod loader;

    /// The loader's view of trust: here the test decides.
    pub(crate) mod trust {
        use std::path::{Path, PathBuf};

        use super::abi_check::AbiCompatibility;
        use super::inspect::Abi;

        pub(crate) struct Digest([u8; 32]);

        impl Digest {
            pub(crate) fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        pub(crate) struct Trusted(PathBuf, Digest, Abi);

        impl Trusted {
            pub(crate) fn by_the_test(path: PathBuf, abi: Abi) -> Self {
                Self(path, Digest([0; 32]), abi)
            }

            pub(crate) fn path(&self) -> &Path {
                &self.0
            }

            pub(crate) fn sha256(&self) -> &Digest {
                &self.1
            }

            pub(crate) fn abi(&self) -> Abi {
                self.2
            }

            pub(crate) fn fit(&self) -> Option<AbiCompatibility> {
                None
            }
        }
    }

    /// The loader's view of inspection: the ABI of the file.
    pub(crate) mod inspect {
        #[derive(Clone, Copy)]
        pub(crate) enum Abi {
            Rust,
            C,
        }
    }
}

struct Printed;

impl Services for Printed {
    fn log(&self, level: Level, message: &str) {
        println!("  logged, {level:?}: {message}");
    }

    #[cfg(feature = "next")]
    fn notify(&self, line: &str) -> Result<()> {
        println!("  shown: {line}");
        Ok(())
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

fn name(text: &str) -> SecretName {
    SecretName::parse(text).expect("a good name")
}

fn get(of: &str) -> GetRequest {
    #[allow(unused_mut)]
    let mut request = GetRequest::new(name(of), soon());
    #[cfg(feature = "next")]
    {
        request.reason = Some("a test".into());
    }
    request
}

fn set(of: &str, value: Value) -> SetRequest {
    SetRequest::new(name(of), value, soon())
}

/// Prints the result of one item: complete, partial, or refused.
fn told(what: &str, result: Result<Option<&str>>) {
    match result {
        Ok(None) => println!("{what}: works"),
        Ok(Some(missing)) => println!("{what}: without {missing}"),
        // The plugin has no such secret: it is older than this item.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => println!("{what}: refused, {}: {error}", error.kind()),
    }
}

/// Prints how much of an error the host understands.
fn told_error<T>(what: &str, result: Result<T>, as_meant: bool, missing: &str) {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(_) if as_meant => println!("{what}: works"),
        Err(error) => println!("{what}: without {missing}, {}: {error}", error.kind()),
        Ok(_) => println!("{what}: no error"),
    }
}

fn open(loaded: plugin::loader::Loaded, parameters: Parameters) -> Result<Box<dyn Vault>> {
    let vault = VaultName::parse("skew").expect("a good name");
    let request = OpenRequest::new(vault, "vault", parameters, soon());
    loaded.open(&request, Context::new(Box::new(Printed)))
}

fn main() {
    let path = std::env::args_os().nth(1).expect("a plugin");
    let abi = match std::env::args().nth(2).as_deref() {
        Some("c") => plugin::inspect::Abi::C,
        _ => plugin::inspect::Abi::Rust,
    };
    let trusted = plugin::trust::Trusted::by_the_test(path.into(), abi);
    let loaded = match plugin::loader::load(&trusted) {
        Ok(loaded) => loaded,
        Err(error) => {
            println!("{}: {error}", error.code());
            return;
        }
    };
    println!("fit: {}", loaded.fit().as_str());
    let mut vault = open(loaded, Parameters::new()).expect("the plugin opens a vault");
    reads(&mut *vault);
    locked(&mut *vault);
    writes(&mut *vault);
    #[cfg(feature = "next")]
    next::writes(loaded, &mut *vault);
}

fn reads(vault: &mut dyn Vault) {
    let text = vault.get(&get("text"));
    told("get", text.as_ref().map_err(Clone::clone).map(lease));
    if let Ok(text) = text {
        let incomplete = text.metadata.is_incomplete();
        told("metadata", Ok(incomplete.then_some("a kind of metadata")));
        let back = SetMetadataRequest::new(name("text"), text.metadata, soon());
        told("metadata back", vault.set_metadata(back).map(|_| None));
    }
    told("link", vault.get(&get("link")).map(|_| None));
    let many = vault.get_many(&GetManyRequest::new(vec![get("text"), get("link")]));
    told(
        "get_many",
        many.and_then(|many| {
            let mut results = many.results.into_iter();
            results.next().expect("one for each")?;
            let link = results.next().expect("one for each");
            let refused = link.is_err_and(|error| error.kind() != ErrorKind::NotFound);
            Ok(refused.then_some("one of two"))
        }),
    );
    let page = vault.list(&ListRequest::new(soon()));
    told(
        "list",
        page.map(|page| {
            let unknown = page.entries.iter().any(|entry| entry.kind.is_none());
            unknown.then_some("a kind of value")
        }),
    );
    let rules = vault.rules(&RulesRequest::new(soon()));
    let unknown =
        |rules: Rules| (rules.names == NameEquality::Unknown).then_some("the rule for names");
    told("rules", rules.map(unknown));
    let actions = vault.actions(&ActionsRequest::new(soon()));
    told(
        "actions",
        actions.map(|list| {
            assert_eq!(list.actions.len(), 2);
            let mut parameters = list.actions.iter().flat_map(|action| &action.parameters);
            let unknown = parameters.any(|one| one.kind == ParameterKind::Unknown);
            unknown.then_some("a parameter")
        }),
    );
    let notified = vault.get(&get("notify")).map(|secret| secret.value == Value::text("yes"));
    told("notify", notified.map(|yes| (!yes).then_some("the service")));
}

#[cfg(not(feature = "next"))]
fn lease(_: &Secret) -> Option<&'static str> {
    None
}

#[cfg(feature = "next")]
fn lease(secret: &Secret) -> Option<&'static str> {
    secret.lease_millis.is_none().then_some("a lease")
}

/// Calls secrets for which the vault returns an error or a challenge.
fn locked(vault: &mut dyn Vault) {
    let throttled = vault.get(&get("throttled"));
    let known = throttled.as_ref().is_err_and(|error| error.kind() != ErrorKind::Internal);
    told_error("throttled", throttled, known, "its kind");
    let approval = vault.get(&get("approval"));
    let known = approval.as_ref().is_err_and(|error| error.detail().is_some());
    told_error("approval", approval, known, "its detail");
    for of in ["touch", "pin"] {
        let refused = vault.get(&get(of)).expect_err("it is no secret");
        told(of, if refused.challenge().is_some() { Ok(None) } else { Err(refused) });
    }
    let digits = vault.get(&get("digits")).expect_err("it is no secret");
    told(
        "digits",
        match digits.challenge() {
            Some(challenge) => {
                assert!(challenge.prompts[0].secret, "what is typed would be shown");
                Ok((!has_digits(&challenge.prompts[0])).then_some("the flag, and still hidden"))
            }
            None => Err(digits),
        },
    );
}

#[cfg(not(feature = "next"))]
fn has_digits(_: &Prompt) -> bool {
    false
}

#[cfg(feature = "next")]
fn has_digits(prompt: &Prompt) -> bool {
    prompt.digits
}

fn writes(vault: &mut dyn Vault) {
    let written = ["one", "two"].map(|of| set(of, Value::text("x")));
    let written = vault.set_many(SetManyRequest::new(written.into()));
    told("set_many", written.map(|many| many.results.iter().any(Result::is_err).then_some("some")));
    told("read back", vault.get(&get("two")).map(|_| None));
}

/// Requests that only tomorrow's host can make.
#[cfg(feature = "next")]
mod next {
    use super::*;

    pub(crate) fn writes(loaded: plugin::loader::Loaded, vault: &mut dyn Vault) {
        let link = || Value::Link(SecretText::new("text"));
        told("set link", vault.set(set("new", link())).map(|_| None));
        let mut map = Map::new();
        map.insert("inner", link());
        told("set map", vault.set(set("new", Value::Map(map))).map(|_| None));
        let mut merged = set("new", Value::text("x"));
        merged.mode = WriteMode::Merge;
        let plain = set("plain", Value::text("x"));
        let many = vault.set_many(SetManyRequest::new(vec![merged, plain]));
        told(
            "merge",
            many.and_then(|many| {
                let mut results = many.results.into_iter();
                let merged = results.next().expect("one for each").map(|_| None);
                assert!(results.next().expect("one for each").is_ok(), "the other is written");
                merged
            }),
        );
        let mut metadata = Metadata::new();
        metadata.insert("md", MetadataValue::Digest(vec![1])).expect("it fits");
        let mut digest = set("new", Value::text("x"));
        digest.metadata = Some(metadata.clone());
        told("set digest", vault.set(digest).map(|_| None));
        let digest = SetMetadataRequest::new(name("text"), metadata, soon());
        told("digest", vault.set_metadata(digest).map(|_| None));
        let health = vault.health(soon());
        told("health", health.map(|health| health.is_empty().then_some("an answer")));
        let mut parameters = Parameters::new();
        parameters.insert("mirror", ParameterValue::Url("https://b.example/".into()));
        told("parameter", open(loaded, parameters).map(|_| None));
    }
}
