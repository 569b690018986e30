//! Common parts of the misbehaving plugins: a correct vault whose parts tests can replace, and a
//! manifest.
#![forbid(unsafe_code)]

mod keeper;

use keystead_plugin_api::{
    GetManyRequest, GetManyResults, SetManyRequest, SetManyResults, Unlocked, Written,
};
use std::sync::Arc;
use std::time::Duration;

pub use keeper::Keeper;
pub use keystead_plugin_api as api;

use api::manifest::{Capability, Kind, Manifest};
use api::{
    Context, Entry, Error, GetRequest, ListRequest, Metadata, Page, Result, Secret, SecretName,
    SetRequest, UnlockRequest, Value, ValueKind, Vault,
};

/// Makes this crate the plugin of that id; the function opens its vaults.
#[macro_export]
macro_rules! plugin {
    ($id:literal, $open:expr) => {
        $crate::plugin!($crate::manifest($id), $open);
    };
    ($manifest:expr, $open:expr) => {
        struct ThePlugin;

        impl $crate::api::Plugin for ThePlugin {
            fn open(
                request: $crate::api::OpenRequest,
                context: $crate::api::Context,
            ) -> $crate::api::Result<Box<dyn $crate::api::Vault>> {
                type Open = fn(
                    $crate::api::OpenRequest,
                    $crate::api::Context,
                ) -> $crate::api::Result<Box<dyn $crate::api::Vault>>;
                let open: Open = $open;
                open(request, context)
            }
        }

        $crate::api::export_plugin! { plugin: ThePlugin, manifest: $manifest }
    };
}

/// Writes only the manifest into the file: for crates with their own ABI entry.
#[macro_export]
macro_rules! manifest_note {
    ($id:literal) => {
        const _: () = {
            const LEN: usize = $crate::manifest($id).json_len();

            #[used]
            #[link_section = ".note.keystead"]
            static BLOCK: $crate::api::manifest::section::Block<LEN> =
                $crate::api::manifest::section::Block::new($crate::manifest($id).json::<LEN>());
        };
    };
}

/// Returns a correct manifest.
pub const fn manifest(id: &'static str) -> Manifest {
    const KINDS: &[Kind] = &[kind().can(&[Capability::Write, Capability::Unlock])];
    Manifest::new(id, "0.1.0")
        .description("a plugin for tests")
        .vendor("Keystead's tests")
        .license("MIT OR Apache-2.0")
        .kinds(KINDS)
}

/// Returns a correct, read-only vault kind.
pub const fn kind() -> Kind {
    Kind::new("vault", "a vault for tests").values(&[ValueKind::Text, ValueKind::Bytes])
}

/// Returns the one secret of every correct vault.
pub fn secret() -> Secret {
    Secret::new(Value::text("sound"))
}

/// Returns an entry of a long listing.
pub fn entry(number: usize) -> Entry {
    let name = SecretName::parse(&format!("n{number}")).expect("a good name");
    Entry::new(name, None, Metadata::new())
}

/// Sleeps for this time.
pub fn sleep_ms(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

type Several = fn(&[GetRequest]) -> Result<Vec<Result<Secret>>>;

type SetSeveral = fn(Vec<SetRequest>) -> Result<Vec<Result<()>>>;

type Call<Request, Answer> = fn(&Context, &Request) -> Result<Answer>;

/// A correct vault, except for replaced parts.
pub struct Odd {
    context: Arc<Context>,
    get: Call<GetRequest, Secret>,
    list: Call<ListRequest, Page>,
    get_many: Option<Several>,
    set_many: SetSeveral,
}

impl Odd {
    /// Returns a correct vault.
    pub fn new(context: Context) -> Self {
        Self::sharing(Arc::new(context))
    }

    /// Returns a correct vault with a shared context.
    pub fn sharing(context: Arc<Context>) -> Self {
        Self {
            context,
            get: |_, request| match request.name.as_str() {
                "a" => Ok(secret()),
                _ => Err(Error::not_found()),
            },
            list: |_, _| {
                let name = SecretName::parse("a")?;
                Ok(Page::new(vec![Entry::new(name, Some(ValueKind::Text), Metadata::new())], None))
            },
            get_many: None,
            set_many: |requests| Ok(requests.iter().map(|_| Ok(())).collect()),
        }
    }

    /// Calls this instead of `get`.
    pub fn get(mut self, get: Call<GetRequest, Secret>) -> Self {
        self.get = get;
        self
    }

    /// Calls this instead of `list`.
    pub fn list(mut self, list: Call<ListRequest, Page>) -> Self {
        self.list = list;
        self
    }

    /// Calls this instead of `get_many`.
    pub fn get_many(mut self, get: Several) -> Self {
        self.get_many = Some(get);
        self
    }

    /// Calls this instead of `set_many`.
    pub fn set_many(mut self, set: SetSeveral) -> Self {
        self.set_many = set;
        self
    }

    /// Returns the vault in the type that `open` returns.
    pub fn boxed(self) -> Box<dyn Vault> {
        Box::new(self)
    }
}

impl Vault for Odd {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        (self.get)(&self.context, request)
    }

    fn list(&mut self, request: &ListRequest) -> Result<Page> {
        (self.list)(&self.context, request)
    }

    fn set(&mut self, _: SetRequest) -> Result<Written> {
        Ok(Written::new())
    }

    fn set_many(&mut self, request: SetManyRequest) -> Result<SetManyResults> {
        let results = (self.set_many)(request.requests)?.into_iter();
        Ok(SetManyResults::new(results.map(|result| result.map(|()| Written::new())).collect()))
    }

    fn unlock(&mut self, _: &UnlockRequest) -> Result<Unlocked> {
        Ok(Unlocked::new())
    }

    fn get_many(&mut self, request: &GetManyRequest) -> Result<GetManyResults> {
        let requests = &request.requests;
        let results = match self.get_many {
            Some(get_many) => get_many(requests)?,
            None => requests.iter().map(|request| self.get(request)).collect(),
        };
        Ok(GetManyResults::new(results))
    }
}
