//! The suite over a plugin that is linked into the test: no file, no loading, no host.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{run, Declared, Outcome, Places, Subject};
use crate::abi::Guarded;
use crate::error::{Error, Result};
use crate::manifest::{Kind, Manifest};
use crate::name::VaultName;
use crate::parameters::{Parameter, ParameterKind, ParameterValue, Parameters};
use crate::plugin::{Context, Level, OpenRequest, Plugin, Services};
use crate::value::SecretText;
use crate::vault::{Deadline, Session, Vault};

/// Checks the first kind of vault of this plugin, registered with these parameters.
///
/// In a parameter `{vault}` stands for the name of the vault: with it in a path, two vaults
/// have two places, and one more obligation can be checked.
///
/// # Panics
/// With a list of the broken obligations, where there are any; when a parameter does not
/// fit the manifest; and when the vault does not open.
///
/// # Examples
/// ```no_run
/// # use keystead_plugin_api::{manifest::Manifest, Plugin};
/// # fn example<MyPlugin: Plugin>(manifest: &Manifest) {
/// keystead_plugin_api::testing::check::<MyPlugin>(manifest, &[("file", "/tmp/{vault}")]);
/// # }
/// ```
pub fn check<P: Plugin>(manifest: &Manifest, parameters: &[(&str, &str)]) {
    let start = Linked::<P>::new(manifest);
    parameters.iter().fold(start, |linked, (name, value)| linked.parameter(name, value)).check();
}

/// A plugin that is linked into the test, with what its vaults are registered with.
pub struct Linked<P> {
    id: String,
    kind: Kind,
    parameters: Vec<(&'static Parameter, String)>,
    declared: Declared,
    places: Places,
    heard: Arc<Heard>,
    plugin: PhantomData<fn() -> P>,
}

impl<P: Plugin> Linked<P> {
    /// Starts with the manifest's first kind of vault.
    ///
    /// # Panics
    /// When the manifest has no kind.
    pub fn new(manifest: &Manifest) -> Self {
        let kind = *manifest.kinds.first().expect("a manifest has at least one kind of vault");
        Self {
            id: manifest.id.to_owned(),
            kind,
            parameters: Vec::new(),
            declared: Declared::of(&kind),
            places: Places::PerhapsShared,
            heard: Arc::default(),
            plugin: PhantomData,
        }
    }

    /// Takes another kind of vault of this manifest.
    ///
    /// # Panics
    /// When the manifest has no kind of this name.
    pub fn kind(mut self, manifest: &Manifest, name: &str) -> Self {
        let kind = manifest.kinds.iter().find(|kind| kind.name == name);
        self.kind = *kind.unwrap_or_else(|| panic!("`{}` has no kind `{name}`", self.id));
        self.declared = Declared::of(&self.kind);
        self
    }

    /// Sets a parameter, written as on the command line; `{vault}` stands for the name of
    /// the vault.
    ///
    /// # Panics
    /// When the kind has no such parameter, or the value does not fit it.
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        let schema = self.kind.parameters.iter().find(|schema| schema.name == name);
        let schema =
            schema.unwrap_or_else(|| panic!("`{}` has no parameter `{name}`", self.kind.name));
        if value.contains("{vault}") {
            self.places = Places::Separate;
        }
        if let Err(fault) = parse(schema, value) {
            panic!("{fault}");
        }
        self.parameters.push((schema, value.to_owned()));
        self
    }

    /// Gives the right answer to a prompt of a vault that is locked when it is opened.
    pub fn answer(mut self, prompt: &str, answer: &str) -> Self {
        self.declared = self.declared.answering(prompt, SecretText::new(answer));
        self
    }

    /// Says that vaults of different names keep their secrets in different places, although
    /// no parameter has `{vault}` in it.
    pub fn separate(mut self) -> Self {
        self.places = Places::Separate;
        self
    }

    /// Says how many secrets to write for a listing of many pages, however long that takes.
    pub fn many(mut self, count: usize) -> Self {
        self.declared.many = Some(count);
        self
    }

    /// Runs the suite and returns every outcome.
    ///
    /// # Errors
    /// What the plugin answered when its vault does not open.
    pub fn outcomes(mut self) -> Result<Vec<Outcome>> {
        let nothing = Declared::new([], [], self.kind.names);
        let declared = std::mem::replace(&mut self.declared, nothing);
        let mut outcomes = Vec::new();
        run(&self, &declared, &mut |outcome| outcomes.push(outcome.clone()))?;
        Ok(outcomes)
    }

    /// Runs the suite.
    ///
    /// # Panics
    /// With a list of the broken obligations, where there are any, and when the vault does
    /// not open.
    pub fn check(self) {
        let what = format!("`{}` of `{}`", self.kind.name, self.id);
        let outcomes = match self.outcomes() {
            Ok(outcomes) => outcomes,
            Err(error) => panic!("{what} does not open: {}: {error}", error.kind()),
        };
        let broken: Vec<String> = outcomes
            .iter()
            .filter(|outcome| outcome.is_broken())
            .map(|outcome| format!("\n  {outcome}"))
            .collect();
        if !broken.is_empty() {
            panic!("{what} breaks {} obligation(s):{}", broken.len(), broken.concat());
        }
    }

    /// Returns the parameters of this vault: defaults, then what was set.
    fn parameters(&self, vault: &str) -> Result<Parameters> {
        let mut parameters = Parameters::new();
        for schema in self.kind.parameters.iter().filter(|schema| !schema.default.is_empty()) {
            parameters.insert(schema.name, parse(schema, schema.default)?);
        }
        for (schema, value) in &self.parameters {
            parameters.insert(schema.name, parse(schema, &of_vault(value, vault))?);
        }
        Ok(parameters)
    }
}

impl<P: Plugin> Subject for Linked<P> {
    fn open(&self, vault: &str, session: Option<Session>) -> Result<Box<dyn Vault>> {
        let parameters = self.parameters(vault)?;
        let deadline = Deadline::after(Duration::from_secs(60));
        let vault = VaultName::parse(vault)?;
        let mut request = OpenRequest::new(vault, self.kind.name, parameters, deadline);
        request.session = session;
        let vault = P::open(request, Context::new(Box::new(Recorder(self.heard.clone()))))?;
        let Kind { capabilities, values, .. } = self.kind;
        Ok(Box::new(Guarded::new(vault, capabilities, values)))
    }

    fn places(&self) -> Places {
        self.places
    }

    fn paths(&self, vault: &str) -> Vec<PathBuf> {
        let paths = self.parameters.iter().filter(|(schema, _)| schema.kind == ParameterKind::Path);
        paths.map(|(_, value)| PathBuf::from(of_vault(value, vault))).collect()
    }

    fn logged(&self) -> Vec<String> {
        // A vault that panicked while it logged has left the lines before.
        std::mem::take(&mut *lock(&self.heard.log))
    }

    fn kept_session(&self) -> Option<Session> {
        lock(&self.heard.session).take()
    }
}

fn of_vault(value: &str, vault: &str) -> String {
    value.replace("{vault}", vault)
}

fn parse(schema: &Parameter, value: &str) -> Result<ParameterValue> {
    let wrong = || {
        let message =
            format!("the parameter `{}` is not of kind {}", schema.name, schema.kind.as_str());
        Error::invalid(message)
    };
    if schema.secret {
        return Ok(ParameterValue::Secret(SecretText::new(value)));
    }
    Ok(match schema.kind {
        ParameterKind::Text | ParameterKind::Path => ParameterValue::Text(value.to_owned()),
        ParameterKind::Integer => ParameterValue::Integer(value.parse().map_err(|_| wrong())?),
        ParameterKind::Boolean => ParameterValue::Boolean(value.parse().map_err(|_| wrong())?),
        #[cfg(feature = "next")]
        ParameterKind::Url => ParameterValue::Url(value.to_owned()),
        ParameterKind::Unknown => return Err(wrong()),
    })
}

/// What the vaults told their host.
#[derive(Default)]
struct Heard {
    log: Mutex<Vec<String>>,
    session: Mutex<Option<Session>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Services that keep what is logged and the last session, and run nothing.
struct Recorder(Arc<Heard>);

impl Services for Recorder {
    fn log(&self, _: Level, message: &str) {
        lock(&self.0.log).push(message.to_owned());
    }

    fn keep_session(&self, session: Session) {
        *lock(&self.0.session) = Some(session);
    }

    fn forget_session(&self) {
        *lock(&self.0.session) = None;
    }
}
