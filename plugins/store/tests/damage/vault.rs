//! A vault for these tests: a separate directory, and short helper calls.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keystead_plugin_api::{
    ActionOutcome, ActionRequest, Context, Deadline, Entry, GetRequest, ListRequest, Map, Metadata,
    MetadataValue, OpenRequest, ParameterValue, Parameters, Plugin, RemoveRequest, Result, Secret,
    SecretName, SetManyRequest, SetMetadataRequest, SetRequest, Value, Vault, VaultName,
};
use keystead_plugin_store::Store;

/// Long enough for a loaded machine.
const AMPLY: Duration = Duration::from_secs(300);

pub(crate) fn amply() -> Deadline {
    Deadline::after(AMPLY)
}

/// A directory for a vault's directory and a key file, neither of which exists yet.
pub(crate) struct Home {
    path: PathBuf,
    /// Removed on drop; `None` for the home of another process.
    _own: Option<tempfile::TempDir>,
}

impl Home {
    /// Returns a home in memory if there is such a file system: `fsync` costs nothing there.
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
        let own = tempfile::Builder::new().prefix("keystead-store-").tempdir_in(base).unwrap();
        Self { path: own.path().to_owned(), _own: Some(own) }
    }

    /// Returns the home of another process.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path, _own: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the vault's directory.
    pub(crate) fn dir(&self) -> PathBuf {
        self.path().join("vault")
    }

    /// Returns the vault's file.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir().join("store.db")
    }

    /// Returns the key file.
    pub(crate) fn key(&self) -> PathBuf {
        self.path().join("keys/key")
    }

    pub(crate) fn open(&self) -> Box<dyn Vault> {
        open(&self.dir(), Some(&self.key()))
    }

    /// Returns another home with a copy of this one's key and file.
    pub(crate) fn copied(&self) -> Self {
        let copy = Self::new();
        std::fs::create_dir(copy.key().parent().unwrap()).unwrap();
        std::fs::copy(self.key(), copy.key()).unwrap();
        copy.put(&std::fs::read(self.file()).unwrap());
        copy
    }

    /// Writes these bytes to the vault's file.
    pub(crate) fn put(&self, bytes: &[u8]) {
        if !self.dir().exists() {
            std::fs::create_dir(self.dir()).unwrap();
            chmod(&self.dir(), 0o700);
        }
        std::fs::write(self.file(), bytes).unwrap();
        chmod(&self.file(), 0o600);
    }
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Opens a vault without reading it.
pub(crate) fn open(dir: &Path, key: Option<&Path>) -> Box<dyn Vault> {
    let text = |path: &Path| ParameterValue::Text(path.to_str().unwrap().to_owned());
    let mut parameters = Parameters::new();
    parameters.insert("path", text(dir));
    if let Some(key) = key {
        parameters.insert("key-file", text(key));
    }
    let name = VaultName::parse("work").unwrap();
    let request = OpenRequest::new(name, "store", parameters, amply());
    Store::open(request, Context::silent()).unwrap()
}

pub(crate) fn named(name: &str) -> GetRequest {
    GetRequest::new(SecretName::parse(name).unwrap(), amply())
}

pub(crate) fn setting(name: &str, value: Value) -> SetRequest {
    SetRequest::new(SecretName::parse(name).unwrap(), value, amply())
}

pub(crate) fn set(vault: &mut dyn Vault, name: &str, value: Value) -> Result<()> {
    vault.set(setting(name, value)).map(drop)
}

pub(crate) fn get(vault: &mut dyn Vault, name: &str) -> Result<Secret> {
    let mut secret = vault.get(&named(name))?;
    // The test's own secrets have no version.
    secret.version = None;
    Ok(secret)
}

pub(crate) fn remove(vault: &mut dyn Vault, name: &str) -> Result<()> {
    let name = SecretName::parse(name).unwrap();
    vault.remove(&RemoveRequest::new(name, amply())).map(drop)
}

pub(crate) fn set_metadata(vault: &mut dyn Vault, name: &str, metadata: Metadata) -> Result<()> {
    let name = SecretName::parse(name).unwrap();
    vault.set_metadata(SetMetadataRequest::new(name, metadata, amply())).map(drop)
}

/// Sets all of these at once; returns the first error.
pub(crate) fn set_many(
    vault: &mut dyn Vault,
    requests: impl Iterator<Item = SetRequest>,
) -> Result<()> {
    let request = SetManyRequest::new(requests.collect());
    vault.set_many(request)?.results.into_iter().try_for_each(|result| result.map(drop))
}

/// Lists everything, `limit` secrets at a time.
pub(crate) fn list(vault: &mut dyn Vault, limit: usize) -> Result<BTreeMap<String, Entry>> {
    let mut request = ListRequest::new(amply());
    request.limit = limit;
    let mut all = BTreeMap::new();
    loop {
        let page = vault.list(&request)?;
        for entry in page.entries {
            let name = entry.name.as_str().to_owned();
            assert!(all.insert(name, entry).is_none(), "a secret is listed twice");
        }
        match page.next_cursor {
            Some(next) => assert_ne!(request.cursor.replace(next), request.cursor),
            None => return Ok(all),
        }
    }
}

pub(crate) fn act(
    vault: &mut dyn Vault,
    action: &str,
    parameters: Parameters,
) -> Result<ActionOutcome> {
    vault.run_action(&ActionRequest::new(action, parameters, amply()))
}

pub(crate) fn verify(vault: &mut dyn Vault) -> Result<String> {
    act(vault, "verify", Parameters::new()).map(|outcome| outcome.message)
}

/// Returns metadata with this text.
pub(crate) fn metadata(text: &str) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.insert("note", MetadataValue::Text(text.to_owned())).unwrap();
    metadata.insert("count", MetadataValue::Integer(text.len() as i64)).unwrap();
    metadata
}

/// Returns bytes that are unique to this number.
pub(crate) fn bytes(number: usize, len: usize) -> Value {
    let mut state = number as u64 + 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    Value::bytes((0..len).map(|_| next()).collect())
}

/// Returns a dozen secrets of every kind and size.
pub(crate) fn dozen() -> BTreeMap<String, Secret> {
    let mut map = Map::new();
    map.insert("host", Value::text("canary.example"));
    map.insert("port", Value::bytes(vec![0, 255]));
    let values = [
        ("text", Value::text("canary")),
        ("empty", Value::text("")),
        ("no bytes", Value::bytes(Vec::new())),
        ("bytes", bytes(1, 40)),
        ("credential", Value::credential("canary user", "canary password")),
        ("map", Value::Map(map)),
        ("a page", bytes(2, 4_000)),
        ("long", bytes(3, 20_000)),
        ("db/Password ü", Value::text("canary ü")),
        ("a", bytes(4, 300)),
        ("b", bytes(5, 900)),
        ("c", Value::text("canary c")),
    ];
    let with = |name: &str| if name.len() > 4 { metadata(name) } else { Metadata::new() };
    values
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Secret::with_metadata(value, with(name))))
        .collect()
}

/// Sets all of these secrets at once.
pub(crate) fn fill(vault: &mut dyn Vault, secrets: &BTreeMap<String, Secret>) {
    let requests = secrets.iter().map(|(name, secret)| {
        let mut request = setting(name, secret.value.duplicate());
        request.metadata = Some(secret.metadata.clone());
        request
    });
    set_many(vault, requests).unwrap();
}
