//! A separate directory for each test, and vaults over it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keystead_plugin_api::{
    Context, Deadline, DescribeRequest, Entry, Error, ErrorKind, GetRequest, Level, ListRequest,
    OpenRequest, ParameterValue, Parameters, Plugin, RemoveRequest, Result, SecretName, Services,
    SetRequest, TestRequest, Value, Vault, VaultName,
};
use keystead_plugin_files::Files;

/// A directory with mode 0700, in a temporary one that is removed at the end.
pub(crate) struct World {
    root: tempfile::TempDir,
    log: Arc<Mutex<Vec<String>>>,
}

struct Recorder(Arc<Mutex<Vec<String>>>);

impl Services for Recorder {
    fn log(&self, _: Level, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let world = Self { root, log: Arc::default() };
        fs::create_dir(world.dir()).unwrap();
        mode(&world.dir(), 0o700);
        world
    }

    /// Returns the parent of the vault's directory.
    pub(crate) fn above(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.root.path().join("secrets")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Writes a file as another program does.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
        mode(&self.path(name), 0o600);
    }

    pub(crate) fn read_only(&self) -> Box<dyn Vault> {
        self.open("read-only", "path", false)
    }

    pub(crate) fn read_write(&self) -> Box<dyn Vault> {
        self.open("read-write", "folder", false)
    }

    pub(crate) fn trimmed(&self) -> Box<dyn Vault> {
        self.open("read-write", "folder", true)
    }

    fn open(&self, kind: &str, parameter: &str, trim: bool) -> Box<dyn Vault> {
        let mut parameters = Parameters::new();
        let path = self.dir().to_str().unwrap().to_owned();
        parameters.insert(parameter, ParameterValue::Text(path));
        parameters.insert("trim-newline", ParameterValue::Boolean(trim));
        let name = VaultName::parse("work").unwrap();
        let request = OpenRequest::new(name, kind, parameters, soon());
        Files::open(request, Context::new(Box::new(Recorder(self.log.clone())))).unwrap()
    }

    /// Returns the log lines since the last call.
    pub(crate) fn logged(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

pub(crate) fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

pub(crate) fn ask(name: &str) -> GetRequest {
    GetRequest::new(SecretName::parse(name).unwrap(), soon())
}

pub(crate) fn get(vault: &mut dyn Vault, name: &str) -> Result<Value> {
    vault.get(&ask(name)).map(|secret| secret.value)
}

pub(crate) fn to_set(name: &str, value: Value) -> SetRequest {
    SetRequest::new(SecretName::parse(name).unwrap(), value, soon())
}

pub(crate) fn set(vault: &mut dyn Vault, name: &str, value: Value) -> Result<()> {
    vault.set(to_set(name, value)).map(drop)
}

pub(crate) fn to_describe(name: &str) -> DescribeRequest {
    DescribeRequest::new(SecretName::parse(name).unwrap(), soon())
}

pub(crate) fn to_remove(name: &str) -> RemoveRequest {
    RemoveRequest::new(SecretName::parse(name).unwrap(), soon())
}

pub(crate) fn to_test() -> TestRequest {
    TestRequest::new(soon())
}

pub(crate) fn entries(vault: &mut dyn Vault) -> Vec<Entry> {
    let page = vault.list(&ListRequest::new(soon())).unwrap();
    assert_eq!(page.next_cursor, None);
    page.entries
}

pub(crate) fn names(vault: &mut dyn Vault) -> Vec<String> {
    entries(vault).into_iter().map(|entry| entry.name.to_string()).collect()
}

/// Asserts an error's kind and part of its message, and that the message holds no secret.
#[track_caller]
pub(crate) fn refused<T>(answer: Result<T>, kind: ErrorKind, words: &str) -> Error {
    let error = answer.err().expect("an error");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.message().contains(words), "`{error}` does not say `{words}`");
    assert!(!error.message().contains("canary"), "{error}");
    error
}
