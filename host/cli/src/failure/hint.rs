//! Converts the library's errors to failures, each with hints.

use keystead::internals::plugin::{inspect, pins, runner, trust};
use keystead::internals::registry::schema::ParameterError;
use keystead::internals::similar;
use keystead::internals::{fs, registry};
use keystead::{Error, ErrorClass, PromptError, agent, transfer};
use keystead_plugin_api::{Challenge, Prompt, VaultName};

use super::{Failure, in_one_line};
use crate::commands::get::listed;
use crate::environment;
use crate::text;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mut found = Found::default();
        found.look_into(&error);
        if error.class() == ErrorClass::Fault && found.hints.is_empty() {
            found.hint("please report it, with this whole message");
        }
        let (exit, code) = (error.class().into(), Some(error.code()));
        Self { exit, error: Box::new(error), code, causes: found.causes, hints: found.hints }
    }
}

impl From<trust::Error> for Failure {
    fn from(error: trust::Error) -> Self {
        Error::from(error).into()
    }
}

impl From<agent::Error> for Failure {
    fn from(error: agent::Error) -> Self {
        Error::from(error).into()
    }
}

impl From<pins::Error> for Failure {
    fn from(error: pins::Error) -> Self {
        trust::Error::from(error).into()
    }
}

/// Returns the hint to unlock a vault before running the command.
pub(crate) fn unlock_first(vault: &VaultName) -> String {
    format!("run `keystead vault unlock {vault}` in a terminal to unlock it for a limited time")
}

/// Causes and hints of an error, beside its own text and sources.
#[derive(Default)]
struct Found {
    causes: Vec<String>,
    hints: Vec<String>,
}

impl Found {
    fn hint(&mut self, hint: impl Into<String>) {
        self.hints.push(hint.into());
    }

    fn look_into(&mut self, error: &Error) {
        match error {
            Error::NoSuchSecret { searched, .. } if searched.is_empty() => self.hint(NO_VAULT),
            Error::NoSuchSecret { .. } => self.hint("run `keystead list` to see what there is"),
            Error::NoSuchVault { similar, .. } => {
                if let Some(similar) = similar {
                    self.hint(format!("did you mean `{similar}`?"));
                }
                self.hint("run `keystead vault list` to see the vaults");
            }
            Error::NoSuchKind { kind, kinds, .. } => {
                self.did_you_mean(kind, kinds);
                self.there_are("its kinds are", kinds);
            }
            Error::NewerKind { plugin, .. } => {
                self.hint(format!("run `keystead plugin show {plugin}` to see what it needs"));
            }
            Error::NoSuchAction { action, actions, .. } => {
                self.did_you_mean(action, actions);
                self.there_are("its actions are", actions);
            }
            Error::NotAMap { .. } => self.hint("leave `--field` out to replace the whole value"),
            Error::FieldType { .. } => self.hint(
                "add `--as K` to change its type, K being `text`, `json`, `bytes`, `map` or `credential`",
            ),
            Error::FieldPointer { .. } => {
                self.hint("set a whole field: what `get --field` finds inside of one cannot be set");
                self.hint("add `--as text` for a new field of exactly this name");
            }
            Error::NoDefaultVault { vaults } => match vaults.first() {
                Some(vault) => {
                    self.hint("name a vault with `-V VAULT`");
                    self.hint(format!("run `keystead vault default {vault}` to have a default one"));
                }
                None => self.hint(NO_VAULT),
            },
            Error::SecretExists { .. } => self.hint("leave `--no-clobber` out to replace it"),
            Error::Locked { vault, challenge, why } => {
                self.address(challenge);
                if *why == PromptError::NonInteractive {
                    self.locked(&challenge.prompts);
                    self.hint(unlock_first(vault));
                }
            }
            Error::WrongAnswer { from, .. } => {
                for (prompt, reference) in from {
                    let prompt = listed(&[prompt]);
                    self.hint(format!("the answer to {prompt} came from `{reference}`"));
                }
            }
            Error::OpenRefused { .. } => {}
            Error::Faulty { vault, source } => {
                self.look_into(source);
                self.hint(format!("run `keystead vault show {vault}` to see its registration"));
            }
            Error::SearchIncomplete { vault, source, .. } => {
                if let Error::Locked { challenge, why: PromptError::NonInteractive, .. } = &**source {
                    self.address(challenge);
                    self.locked(&challenge.prompts);
                    self.hint(format!(
                        "a search asks for the default vault only: run `keystead vault unlock {vault}` first"
                    ));
                } else {
                    self.look_into(source);
                }
                self.hint("name a vault with `-V VAULT`, or take any that answers with `--any`");
            }
            Error::UnresolvedSecret { source, .. } => self.look_into(source),
            Error::Parameters { what, faults } => self.parameters(what, faults),
            Error::NotGranted { vault, .. } => self.hint(format!(
                "run `keystead vault grant {vault}` to see what is new, and to grant it"
            )),
            Error::NotRequested { plugin, .. } => self.hint(format!(
                "run `keystead plugin show {plugin}` to see what it can be granted"
            )),
            Error::ReachesOwn { .. } => self.hint("give the vault a directory of its own"),
            Error::InProcessForbidden { plugin } => self.hint(format!(
                "leave `--placement` out, or run `keystead plugin trust {plugin} --danger-in-process`"
            )),
            Error::Misbehaved { plugin, .. } | Error::Runner { plugin, .. }
                if error.class() == ErrorClass::Fault =>
            {
                self.hint(format!(
                    "report this to the vendor shown by `keystead plugin show {plugin}`"
                ));
            }
            Error::Runner { source: runner::Error::Died { .. }, .. } => {
                self.hint("the process was killed from outside or ran out of memory: try again");
            }
            Error::Runner { source: runner::Error::Late { .. }, .. } => {
                self.hint("give it longer with `--timeout`");
            }
            Error::NoSession { .. } => {
                self.hint("register it with `--unlock FIELD=REFERENCE` to avoid prompts");
            }
            Error::Agent(error) => self.agent(error),
            Error::Registry(error) => self.registry(error),
            Error::Trust(error) => self.trust(error),
            Error::Transfer(error) => self.transfer(error),
            _ => {}
        }
    }

    fn address(&mut self, challenge: &Challenge) {
        if let Some(url) = &challenge.url {
            self.hint(format!("open {url}"));
        }
    }

    /// Adds the prompts of a locked vault as causes, and hints on how to answer them.
    fn locked(&mut self, prompts: &[Prompt]) {
        for prompt in prompts {
            let label = text::visible(&prompt.label);
            let asks = format!("it asks for {}", listed(&[&prompt.name]));
            self.causes.push(match label.eq_ignore_ascii_case(&prompt.name) {
                true => asks,
                false => format!("{asks} ({label})"),
            });
        }
        if prompts.is_empty() {
            self.causes.push("it waits for a person, and prompting is not possible".to_owned());
            self.hint("run it in a terminal");
            return;
        }
        if let Some(last) = self.causes.last_mut() {
            last.push_str(", and prompting is not possible");
        }
        let answer = |prompt: &Prompt| {
            let name = text::visible(&prompt.name);
            format!("--unlock {name}=env:VAR")
        };
        let answers: Vec<String> = prompts.iter().map(answer).collect();
        let answers = answers.join(" ");
        self.hint(format!(
            "run the command in a terminal, or pass `{answers}` here or to `keystead vault register`"
        ));
    }

    fn did_you_mean(&mut self, given: &str, names: &[String]) {
        if let Some(similar) = similar(given, names) {
            self.hint(format!("did you mean `{similar}`?"));
        }
    }

    fn there_are(&mut self, what: &str, names: &[String]) {
        if !names.is_empty() {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            self.hint(format!("{what} {}", listed(&names).replace(" or ", " and ")));
        }
    }

    fn parameters(&mut self, what: &str, faults: &[ParameterError]) {
        for fault in faults {
            self.causes.push(in_one_line(fault));
            if let ParameterError::Unknown { similar: Some(similar), .. } = fault {
                self.hint(format!("did you mean `{similar}`?"));
            }
        }
        self.hint(match what.starts_with("action") {
            true => "run `keystead vault do VAULT` to see the actions and their parameters",
            false => "run `keystead plugin show PLUGIN` to see the parameters",
        });
    }

    fn agent(&mut self, error: &agent::Error) {
        use agent::Error;
        match error {
            Error::OpenDir { path, .. } => {
                self.hint(format!("run `chmod 0700 {}`, if it is yours", path.display()));
            }
            Error::Full => self.hint("run `keystead vault lock --all` to have it forget them"),
            Error::Late { .. } | Error::OtherVersion | Error::Protocol { .. } => {
                self.hint("run `keystead agent stop` to have a new one");
            }
            Error::Dir(error) => self.file(error),
            _ => {}
        }
    }

    fn registry(&mut self, error: &registry::Error) {
        use keystead::paths::Layer;
        use registry::Error;
        match error {
            Error::UnknownKey { similar: Some(similar), .. } => {
                self.hint(format!("did you mean `{similar}`?"));
            }
            Error::Exists { name, .. } => {
                self.hint(format!("run `keystead vault show {name}` to see it"));
                self.hint("add `--replace` to take its place");
            }
            Error::OtherLayer { found: Layer::System, .. } => {
                self.hint("add `--system`, as an administrator");
            }
            Error::OtherLayer { found: Layer::User, .. } => self.hint("leave `--system` out"),
            Error::NoLayer { layer: Layer::User } => self.hint(NO_HOME),
            Error::Newer { .. } => self.hint("use the version of keystead that wrote it"),
            Error::Locked { .. } => self.hint("choose another name, or ask your administrator"),
            Error::Busy { .. } => self.hint("try again when the other process is done"),
            Error::File(error) => self.file(error),
            _ => {}
        }
    }

    fn transfer(&mut self, error: &transfer::Error) {
        /// Maximum number of lines: more lines would fill the screen.
        const MOST: usize = 20;
        use transfer::Error;
        match error {
            Error::NoMatch { vault, .. } => {
                self.hint(format!("run `keystead list -V {vault}` to see what there is"));
            }
            Error::Several { .. } => self.hint("leave the new name out, or name one secret"),
            Error::OntoItself { .. } => self.hint("add another name: `keystead copy NAME NEW`"),
            Error::Refused { refused, by_others, by_metadata, total, .. } => {
                for one in refused.iter().take(MOST) {
                    self.causes.push(format!("`{}`: {}", one.name, one.reasons.join("; ")));
                }
                if let Some(more @ 1..) = refused.len().checked_sub(MOST) {
                    self.causes.push(format!("and {more} more, which `--dry-run` shows"));
                }
                if *by_others {
                    self.hint("add `--replace` to replace what is there");
                }
                if *by_metadata {
                    self.hint("add `--without-metadata` to leave metadata behind");
                }
                if refused.len() < *total {
                    self.hint("add `--skip` to leave these out and do the rest");
                }
            }
            Error::NotKept { vault, name } => {
                self.hint(format!("run `keystead show {name} -V {vault}` to see what is there"));
            }
            Error::Changed { .. } => self.hint("run it again with `--replace`"),
            Error::Vanished { .. } => {
                self.hint("run `keystead vault show VAULT` to see where each keeps its secrets");
            }
            _ => {}
        }
    }

    fn file(&mut self, error: &fs::Error) {
        use fs::Error;
        match error {
            Error::OthersWrite { at, .. } | Error::GroupWrite { at, .. } if can_chmod(at) => {
                self.hint(format!("check its contents, then run `chmod go-w {}`", at.display()))
            }
            Error::OthersWrite { .. } | Error::GroupWrite { .. } => {
                self.hint(OWN_DIRS);
            }
            Error::Owner { .. } | Error::LinkOwner { .. } | Error::SharedDir { .. } => {
                if let Some(home) = environment::home_of_another() {
                    let home = home.display();
                    self.causes
                        .push(format!("`HOME` is `{home}`, another user's, as with `sudo -E`"));
                    self.hint("run it as that user, or with `sudo -H` for your own vaults");
                    return;
                }
                self.hint("if you trust what is in it, copy it to a directory of your own");
            }
            _ => {}
        }
    }

    fn trust(&mut self, error: &trust::Error) {
        use trust::Error;
        match error {
            Error::Pin(pins::Error::NotPinned { similar, .. }) => {
                if let Some(similar) = similar {
                    self.hint(format!("did you mean `{similar}`?"));
                }
                self.hint("run `keystead plugin list` to see the plugins");
                self.hint("run `keystead plugin install FILE` to install one");
            }
            Error::Unfit { path, source } if is_readable(source) => {
                self.hint(format!("run `keystead plugin show {}` to look at it", path.display()));
            }
            Error::IdTaken { id, .. } => {
                self.hint(format!("run `keystead plugin show {id}` to see what is installed"));
                self.hint("run `keystead plugin upgrade FILE` to put the new file in its place");
            }
            Error::NotYours { layer: pins::PinLayer::Administrator, .. } => {
                self.hint("add `--system`, as root");
            }
            Error::NoDataDir => self.hint(NO_HOME),
            Error::File(error) | Error::Pin(pins::Error::File(error)) => self.file(error),
            _ => {}
        }
    }
}

/// Hint for a parent directory that the user cannot change.
const OWN_DIRS: &str = "use a directory of your own: copy the file there, or name it in \
                        `KEYSTEAD_CONFIG_DIR` and `KEYSTEAD_DATA_DIR`";

/// Returns whether this user may change the mode of a path.
fn can_chmod(path: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let user = rustix::process::geteuid();
    user.is_root() || path.metadata().is_ok_and(|found| found.uid() == user.as_raw())
}

/// Returns whether the file's manifest is readable, and only its use here is impossible.
fn is_readable(error: &inspect::Error) -> bool {
    matches!(
        error.code(),
        "E05.other-platform"
            | "E05.other-machine"
            | "E06.glibc"
            | "E06.api"
            | "E07.library-not-asked"
            | "E07.library-not-granted"
    )
}

const NO_VAULT: &str = "run `keystead vault register --help` to see how to have a vault";

const NO_HOME: &str = "set `HOME`, or both `KEYSTEAD_CONFIG_DIR` and `KEYSTEAD_DATA_DIR`";
