//! The host's own loader in a program as small as can be: built with and without the
//! feature `next`, it is tomorrow's host and today's. Loads the plugin it is given, makes
//! every call that differs, and prints what came of each.

use std::time::Duration;

use keystead_plugin_api::*;

#[allow(dead_code)]
#[path = "../../../../host/src/plugin"]
mod plugin {
    pub(crate) mod abi_check;
    mod c_door;
    pub(crate) mod loader;

    /// What the loader is given: here, whatever the test says.
    pub(crate) mod trust {
        use std::path::{Path, PathBuf};

        use super::abi_check::Fit;
        use super::inspect::Abi;

        pub(crate) struct Digest([u8; 32]);

        impl Digest {
            pub(crate) fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        pub(crate) struct Trusted(PathBuf, Digest);

        impl Trusted {
            pub(crate) fn by_the_test(path: PathBuf) -> Self {
                Self(path, Digest([0; 32]))
            }

            pub(crate) fn path(&self) -> &Path {
                &self.0
            }

            pub(crate) fn sha256(&self) -> &Digest {
                &self.1
            }

            pub(crate) fn abi(&self) -> Abi {
                Abi::Rust
            }

            pub(crate) fn fit(&self) -> Option<Fit> {
                None
            }
        }
    }

    /// What the loader asks of inspection: which door it found.
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
    fn log(&self, _: Level, message: &str) {
        println!("  logged: {message}");
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

fn get(name: &str) -> GetRequest {
    #[allow(unused_mut)]
    let mut request = GetRequest::new(SecretName::parse(name).expect("a good name"), soon());
    #[cfg(feature = "next")]
    {
        request.reason = Some("a test".into());
    }
    request
}

fn told<T: std::fmt::Debug>(what: &str, result: Result<T>) {
    match result {
        Ok(answer) => println!("{what}: {answer:?}"),
        Err(error) => println!("{what}: {}: {error}", error.kind()),
    }
}

fn main() {
    let path = std::env::args_os().nth(1).expect("a plugin");
    let trusted = plugin::trust::Trusted::by_the_test(path.into());
    let loaded = match plugin::loader::load(&trusted) {
        Ok(loaded) => loaded,
        Err(error) => {
            println!("{}: {error}", error.code());
            return;
        }
    };
    println!("fit: {}", loaded.fit().as_str());
    let name = VaultName::parse("skew").expect("a good name");
    let request = OpenRequest::new(name, "vault", Parameters::new(), soon());
    let mut vault =
        loaded.open(&request, Context::new(Box::new(Printed))).expect("the plugin opens a vault");
    for name in ["text", "link", "throttled"] {
        told(&format!("get {name}"), vault.get(&get(name)));
    }
    let page = vault.list(&ListRequest::new(soon()));
    let kinds = page.map(|page| {
        let entries = page.entries.into_iter();
        entries.map(|e| (e.name.to_string(), e.kind.map(ValueKind::as_str))).collect::<Vec<_>>()
    });
    told("list", kinds);
    let written =
        ["one", "two"].map(|name| SetRequest::new(get(name).name, Value::text("x"), soon()));
    let written = vault.set_many(SetManyRequest::new(written.into()));
    let kept = |many: SetManyResults| {
        let results = many.results.into_iter();
        results.map(|result| result.map(drop)).collect::<Vec<_>>()
    };
    told("set_many", written.map(kept));
    told("get two", vault.get(&get("two")));
    #[cfg(feature = "next")]
    {
        let link = Value::Link(SecretText::new("text"));
        let mut map = Map::new();
        map.insert("inner", Value::Link(SecretText::new("text")));
        for (name, value) in [("new-link", link), ("new-map", Value::Map(map))] {
            let request = SetRequest::new(get(name).name, value, soon());
            told(&format!("set {name}"), vault.set(request));
            told(&format!("get {name}"), vault.get(&get(name)));
        }
        told("health", vault.health(soon()));
    }
}
