//! A host with one plugin, and vaults of it. Worlds differ only in their plugin and placement.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use keystead::Placement;
use keystead::api::{
    Answer, Challenge, Metadata, MetadataValue, SecretName, SecretText, Value, ValueKind,
    VaultName, WriteMode,
};
use keystead::reference::Reference;
use keystead::{
    Host, ListedSecret, NewRegistration, NewSecret, NonInteractive, PromptError, Prompter, RunMode,
    SearchScope,
};

use serde_json::{Value as Json, json};

use crate::bao::{self, Bao};
use crate::cli::sandbox;
use crate::plugin_files;
use crate::scene::Scene;

/// Plugin and vault kind of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The reference plugin.
    Memory,
    /// The ledger's kind with a clerk.
    Book,
    /// The ledger's kind without a clerk: no metadata, never locked.
    Slip,
    /// The local vault, with a key file; a locked one has a password.
    Store,
    /// A directory with one secret a file: no metadata, only texts and bytes, never locked.
    Files,
    /// A directory of OpenBao with its own token; a locked one has a password.
    Bao,
}

/// The secret that unlocks every locked vault here.
pub(super) const SECRET: &str = "canary-5d1f-pin";

/// One plugin in one placement.
pub(super) struct World {
    pub(super) scene: Scene,
    /// Directory of local vaults, in memory if possible, since each write waits for the disk.
    stores: tempfile::TempDir,
    /// The server's directory that contains the directories of this world's vaults.
    pub(super) remote: String,
    pub(super) kind: Kind,
    pub(super) placement: Placement,
}

impl World {
    pub(super) fn new(kind: Kind, placement: Placement) -> Self {
        let scene = Scene::new();
        let installed = match kind {
            Kind::Memory => scene.install(sandbox::plugin()),
            Kind::Book | Kind::Slip => scene.install(&plugin_files::ledger()),
            Kind::Store => scene.install(sandbox::store()),
            Kind::Files => scene.install(sandbox::files()),
            Kind::Bao => scene.install(sandbox::hashicorp()),
        };
        let stores = tempfile::tempdir_in(sandbox::fast()).unwrap();
        let world = Self { scene, stores, remote: bao::unique("world"), kind, placement };
        assert_eq!(installed, world.plugin());
        world
    }

    /// Ends the host and checks that no runner is left.
    pub(super) fn end(self) {
        self.scene.end();
    }

    pub(super) fn host(&self) -> &Host {
        &self.scene.host
    }

    pub(super) fn plugin(&self) -> &'static str {
        match self.kind {
            Kind::Memory => "memory",
            Kind::Book | Kind::Slip => "ledger",
            Kind::Store => "store",
            Kind::Files => "files",
            Kind::Bao => "hashicorp",
        }
    }

    /// Returns the file of a vault of this name, or its directory.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        match self.kind {
            Kind::Store => self.dir(name).join("store.db"),
            Kind::Files => self.dir(name),
            Kind::Memory => self.scene.path().join(format!("here/{name}.secrets")),
            _ => self.scene.path().join(format!("{name}.secrets")),
        }
    }

    /// Returns whether a vault of this name holds any data.
    pub(super) fn is_made(&self, name: &str) -> bool {
        match self.kind {
            Kind::Bao => !self.remote_names(name).is_empty(),
            _ => self.file(name).exists(),
        }
    }

    /// Returns all data of a vault of this name.
    pub(super) fn kept(&self, name: &str) -> Vec<u8> {
        if self.kind != Kind::Bao {
            return self.bytes(name);
        }
        let read = |secret: String| {
            let path = format!("secret/data/{}/{name}/{secret}", self.remote);
            Bao::shared().must("GET", &path, &Json::Null)["data"].to_string()
        };
        self.remote_names(name).into_iter().map(read).collect::<String>().into_bytes()
    }

    /// Returns the names in a vault's directory on the server.
    fn remote_names(&self, name: &str) -> Vec<String> {
        let path = format!("secret/metadata/{}/{name}?list=true", self.remote);
        let (_, answer) = Bao::shared().root("GET", &path, &Json::Null);
        serde_json::from_value(answer["data"]["keys"].clone()).unwrap_or_default()
    }

    /// Returns the content of a vault's file, or of its directory's files.
    fn bytes(&self, name: &str) -> Vec<u8> {
        let file = self.file(name);
        if !file.is_dir() {
            return fs::read(file).unwrap();
        }
        let mut files: Vec<_> =
            fs::read_dir(file).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.into_iter().flat_map(|file| fs::read(file).unwrap()).collect()
    }

    /// Returns whether the vaults hold this kind of value.
    pub(super) fn holds(&self, kind: ValueKind) -> bool {
        !matches!(self.kind, Kind::Files | Kind::Slip)
            || matches!(kind, ValueKind::Text | ValueKind::Bytes)
    }

    /// Returns the listed kind for a secret of this kind: a listing opens no file for it.
    pub(super) fn listed_as(&self, kind: ValueKind) -> Option<ValueKind> {
        (self.kind != Kind::Files).then_some(kind)
    }

    /// Returns the directory of a local vault, or of a vault of files.
    pub(super) fn dir(&self, name: &str) -> PathBuf {
        self.stores.path().join(name)
    }

    /// Returns a registration of a vault with its own file.
    pub(super) fn registration(&self, name: &str) -> NewRegistration {
        let dir = self.scene.path().to_path_buf();
        let mut new = NewRegistration::new(vault_name(name), self.plugin(), dir);
        new.placement = Some(self.placement);
        new.kind = match self.kind {
            Kind::Slip => Some("slip".to_owned()),
            Kind::Files => Some("read-write".to_owned()),
            _ => None,
        };
        let shown = |path: PathBuf| path.to_str().unwrap().to_owned();
        let (key, path) = match self.kind {
            Kind::Memory => ("file", format!("here/{name}.secrets")),
            Kind::Book | Kind::Slip => ("ledger", format!("{name}.secrets")),
            Kind::Store => {
                let key = shown(self.stores.path().join(format!("{name}.key")));
                new.parameters.insert("key-file".into(), key);
                ("path", shown(self.dir(name)))
            }
            Kind::Files => ("folder", shown(self.dir(name))),
            Kind::Bao => {
                let dir = format!("{}/{name}", self.remote);
                let token = Bao::shared().token_for("secret", &dir);
                let token = self.private(&format!("{name}.token"), &token);
                new.parameters.insert("token".into(), token);
                new.parameters.insert("prefix".into(), dir);
                ("address", Bao::shared().url())
            }
        };
        new.parameters.insert(key.to_owned(), path);
        new
    }

    /// Returns a registration of a vault that is locked with [`SECRET`].
    pub(super) fn locked(&self, name: &str) -> NewRegistration {
        let mut new = self.registration(name);
        let secret = self.secret_file();
        match self.kind {
            Kind::Memory => new.parameters.insert("locked".into(), secret),
            Kind::Book => {
                new.parameters.insert("clerk".into(), "ann".into());
                new.parameters.insert("bell".into(), "bell.given".into());
                new.parameters.insert("pin".into(), secret)
            }
            Kind::Store => new.parameters.remove("key-file"),
            Kind::Bao => {
                let user = self.remote_user(name);
                new.parameters.insert("login".into(), "userpass".into());
                new.parameters.insert("user".into(), user);
                new.parameters.remove("token")
            }
            Kind::Slip | Kind::Files => panic!("it is never locked"),
        };
        new
    }

    /// Makes an account at the server that may use the directory of a vault, with [`SECRET`].
    fn remote_user(&self, name: &str) -> String {
        let user = format!("{}-{name}", self.remote);
        // The first call is enough; the server refuses further ones.
        Bao::shared().root("POST", "sys/auth/userpass", &json!({ "type": "userpass" }));
        let account = json!({ "password": SECRET, "token_policies": [format!("secret-{user}")] });
        Bao::shared().must("POST", &format!("auth/userpass/users/{user}"), &account);
        user
    }

    /// Returns a reference to a file that holds [`SECRET`].
    pub(super) fn secret_file(&self) -> String {
        self.private("secret", SECRET)
    }

    /// Writes a file that only its owner can read, and returns a reference to it.
    fn private(&self, name: &str, text: &str) -> String {
        let path = self.scene.path().join(name);
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600);
        let file = file.open(&path).unwrap();
        std::io::Write::write_all(&mut &file, text.as_bytes()).unwrap();
        format!("file:{}", path.display())
    }

    /// Returns the log message of a vault on the server during its test.
    pub(super) fn remark(&self) -> String {
        format!("the mount `secret` of {} is KV version 2", Bao::shared().url())
    }

    /// Returns the lines in the bell's file.
    pub(super) fn bell(&self) -> String {
        fs::read_to_string(self.scene.path().join("bell.given")).unwrap_or_default()
    }

    pub(super) fn register(&self, new: NewRegistration) -> VaultName {
        let plan = self.host().plan_registration(new).unwrap();
        self.host().register(plan).unwrap().name
    }

    /// Registers a vault with its own file.
    pub(super) fn vault(&self, name: &str) -> VaultName {
        self.register(self.registration(name))
    }

    /// Overwrites a vault's file with invalid content, or opens its directory to all users. On a
    /// server, revokes the token.
    pub(super) fn damage(&self, name: &str) {
        if self.kind == Kind::Bao {
            let token =
                fs::read_to_string(self.scene.path().join(format!("{name}.token"))).unwrap();
            Bao::shared().must("POST", "auth/token/revoke", &json!({ "token": token }));
            return self.host().reload();
        }
        let file = self.file(name);
        if self.kind == Kind::Files {
            fs::create_dir_all(&file).unwrap();
            fs::set_permissions(file, fs::Permissions::from_mode(0o777)).unwrap();
        } else if self.kind == Kind::Store {
            // Behind the mark that identifies the header.
            let mut bytes = fs::read(&file).unwrap();
            let mark = b"keystead-store";
            let at = bytes.windows(mark.len()).position(|window| window == mark).unwrap();
            bytes[at + mark.len() + 5] ^= 1;
            fs::write(file, bytes).unwrap();
        } else {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "scribble\n").unwrap();
        }
        self.host().reload();
    }

    pub(super) fn set(&self, vault: &VaultName, name: &str, value: Value) {
        self.host().set(new(Some(vault), name, value, None), &mut NonInteractive).unwrap();
    }

    /// Sets a text with this metadata.
    pub(super) fn set_with(
        &self,
        vault: &VaultName,
        name: &str,
        metadata: &Metadata,
    ) -> keystead::Result<VaultName> {
        let new = new(Some(vault), name, Value::text("canary-5d1f"), Some(metadata.clone()));
        self.host().set(new, &mut NonInteractive)
    }

    pub(super) fn get(&self, vault: &VaultName, name: &str) -> keystead::Result<Value> {
        self.scene.get(vault, name).map(|found| found.secret.value)
    }

    pub(super) fn remove(&self, vault: &VaultName, name: &str) -> keystead::Result<VaultName> {
        self.host().remove(&secret_name(name), Some(vault), RunMode::Apply, &mut NonInteractive)
    }

    /// Lists the secret of this name, or the matches of a pattern.
    pub(super) fn list(&self, vault: Option<&VaultName>, pattern: &str) -> Vec<ListedSecret> {
        let listing = self.host().list(Some(pattern), vault, &mut NonInteractive).unwrap();
        assert!(listing.failed.is_empty(), "{:?}", listing.failed);
        listing.entries
    }

    /// Searches for a secret without naming a vault.
    pub(super) fn search(&self, name: &str) -> keystead::Result<(VaultName, Value)> {
        let found =
            self.host().get(&secret_name(name), &SearchScope::anywhere(), &mut NonInteractive)?;
        Ok((found.vault, found.secret.value))
    }

    /// Runs the command over the same directories, and returns its exit code, standard output and
    /// standard error.
    pub(super) fn command(&self, words: &str, input: &str) -> (i32, String, String) {
        self.command_with(":", words, input)
    }

    /// Runs the command after a shell command.
    pub(super) fn command_with(
        &self,
        shell: &str,
        words: &str,
        input: &str,
    ) -> (i32, String, String) {
        let root = self.scene.path();
        let mut command = Command::new("/bin/sh");
        let mut child = command
            .args(["-c", &format!("{shell}; exec \"$0\" \"$@\"")])
            .arg(env!("CARGO_BIN_EXE_keystead"))
            .args(words.split_whitespace())
            .env_clear()
            .env("KEYSTEAD_CONFIG_DIR", root.join("config"))
            .env("KEYSTEAD_DATA_DIR", root.join("data"))
            .current_dir(root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads no input may end before this write.
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let told = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), told(output.stdout), told(output.stderr))
    }

    /// Returns a correct answer to each prompt of this plugin's locked vaults.
    pub(super) fn right(&self) -> Vec<(&'static str, &'static str)> {
        match self.kind {
            Kind::Memory | Kind::Store | Kind::Bao => vec![("password", SECRET)],
            _ => vec![("clerk", "ann"), ("pin", SECRET)],
        }
    }
}

pub(super) fn vault_name(text: &str) -> VaultName {
    VaultName::parse(text).unwrap()
}

pub(super) fn secret_name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

pub(super) fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

/// Returns a write that creates or replaces a secret.
pub(super) fn new(
    vault: Option<&VaultName>,
    name: &str,
    value: Value,
    metadata: Option<Metadata>,
) -> NewSecret {
    NewSecret {
        name: secret_name(name),
        vault: vault.cloned(),
        value,
        field: None,
        metadata,
        mode: WriteMode::Upsert,
        run: RunMode::Apply,
    }
}

pub(super) fn metadata(pairs: &[(&str, MetadataValue)]) -> Metadata {
    let mut metadata = Metadata::new();
    for (key, value) in pairs {
        metadata.insert(*key, value.clone()).unwrap();
    }
    metadata
}

/// A user with these answers; records each prompt.
pub(super) struct Person {
    pub(super) answers: Vec<(&'static str, &'static str)>,
    pub(super) asked: Vec<String>,
}

impl Person {
    pub(super) fn new(answers: Vec<(&'static str, &'static str)>) -> Self {
        Self { answers, asked: Vec::new() }
    }
}

impl Prompter for Person {
    fn answer_source(
        &mut self,
        _: &VaultName,
        _: &keystead::api::Prompt,
    ) -> Option<keystead::reference::Reference> {
        None
    }

    fn is_interactive(&self) -> bool {
        true
    }

    fn show(&mut self, _: &VaultName, _: &Challenge) -> Result<(), PromptError> {
        Ok(())
    }

    fn ask(
        &mut self,
        vault: &VaultName,
        challenge: &Challenge,
    ) -> Result<Vec<Answer>, PromptError> {
        let shown = |secret| if secret { "hidden" } else { "shown" };
        let prompts: Vec<_> = challenge
            .prompts
            .iter()
            .map(|prompt| format!("{} ({})", prompt.label, shown(prompt.secret)))
            .collect();
        self.asked.push(format!("{vault}: {}", prompts.join(", ")));
        let answer = |(name, text): &(&str, &str)| Answer::new(*name, SecretText::new(*text));
        Ok(self.answers.iter().map(answer).collect())
    }
}
