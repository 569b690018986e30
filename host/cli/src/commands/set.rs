//! `keystead set`: writes a secret. Its value comes from a terminal, standard input or a file,
//! never from the command line, which other processes can read.

use std::path::PathBuf;
use std::time::Duration;

use keystead::{ErrorClass, FieldKind, NewField, NewSecret, NonInteractive, SearchScope};
use keystead_plugin_api::{
    Credential, ErrorKind, JsonText, MAX_VALUE_BYTES, SecretBytes, SecretName, SecretText, Value,
    ValueKind, VaultName, WriteMode,
};
use serde::Serialize;

use super::CommandContext;
use super::get::{secret_name, vault_name};
use crate::failure::{Exit, Failure};
use crate::metadata;
use crate::terminal::InputError;
use crate::value::input::{self, Ending, MOST_TEXT};
use keystead::internals::json::read;

/// Maximum size in bytes of a map as JSON: escapes and base64 make JSON longer than the value.
const MAX_JSON: usize = 4 * MAX_VALUE_BYTES;

/// Create or replace a secret
///
/// The value is typed when asked for, or comes from `--stdin` or `--file`. It is never taken
/// from the command line. Text from `--stdin` loses one final newline, `\n` or `\r\n`, unless
/// `--exact`. An empty value is refused unless `--allow-empty`.
///
/// A map is one JSON object. Its members are any JSON, and stay as they are written: texts, numbers,
/// lists, `true`, `false`, `null`, and objects, which are maps again. `{"base64":...}` is bytes,
/// `{"user":...,"password":...}` a credential, `{"json":...}` JSON of any type.
///
/// `--field` keeps the type of what is there: a number is replaced by a number, a list by a list, a
/// text by any text, and all other members stay byte for byte. `--as` says what the field becomes
/// instead. A new field is a text.
///
/// Metadata that is given replaces all there was; without any, what there was stays.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The secret's name
    #[arg(value_parser = secret_name)]
    name: SecretName,
    /// The vault to write to, instead of the default one
    #[arg(short = 'V', long, value_parser = vault_name)]
    vault: Option<VaultName>,
    /// What the value is; text, or a credential where `--user` is given
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Change this field of a map, and keep the others
    #[arg(long, conflicts_with = "no_clobber")]
    field: Option<String>,
    /// What the field becomes, whatever it was
    #[arg(long = "as", value_enum, value_name = "KIND", requires = "field")]
    as_kind: Option<Kind>,
    /// Read the value from standard input
    #[arg(long, conflicts_with = "file")]
    stdin: bool,
    /// Keep the newline at the end
    #[arg(long, requires = "stdin")]
    exact: bool,
    /// Read the value from this file, as it is
    #[arg(long)]
    file: Option<PathBuf>,
    /// Write the value even if it is empty
    #[arg(long)]
    allow_empty: bool,
    /// The user name of a credential
    #[arg(long)]
    user: Option<String>,
    /// Metadata, which is not secret: `K=TEXT`, `K:=JSON`, `K@=TIME`; `expires=TIME`
    #[arg(long, value_name = "K=V")]
    meta: Vec<metadata::Typed>,
    /// Only write a secret that is not there yet
    #[arg(long)]
    no_clobber: bool,
}

/// The kinds of value that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Text in UTF-8
    Text,
    /// Any bytes
    Bytes,
    /// A user name and a password
    Credential,
    /// Values by key, as a JSON object
    Map,
    /// One JSON text
    Json,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Text => ValueKind::Text.as_str(),
            Self::Bytes => ValueKind::Bytes.as_str(),
            Self::Credential => ValueKind::Credential.as_str(),
            Self::Map => ValueKind::Map.as_str(),
            Self::Json => ValueKind::Json.as_str(),
        }
    }
}

pub(crate) fn run(args: Args, mut scene: CommandContext<'_>) -> Result<Exit, Failure> {
    if let (Some(kind), Some(_)) = (args.kind, &args.field) {
        return Err(Failure::usage("`--kind` is what the whole secret is, which is a map")
            .hint(format!("add `--as {}` for what the field becomes", kind.name())));
    }
    let kind = match (args.kind.or(args.as_kind), &args.user) {
        (Some(kind), None) => kind,
        (None | Some(Kind::Credential), Some(_)) => Kind::Credential,
        (None, None) => Kind::Text,
        (Some(kind), Some(_)) => {
            return Err(Failure::usage(format!("a {} has no user name", kind.name()))
                .hint("add `--kind credential`, or leave `--user` out"));
        }
    };
    // Errors in the command line are reported before the user types a password.
    let metadata = metadata::collect(args.meta)?;
    let source = Source::of(args.stdin, args.exact, args.file, &scene)?;
    check_vault(args.vault.as_ref(), &source, &scene)?;
    if args.field.is_some() && args.vault.is_none() {
        check_field(&args.name, &mut scene)?;
    }
    let option = if args.field.is_some() { "--as" } else { "--kind" };
    let value = match kind {
        Kind::Text => {
            Value::Text(source.text(&scene, &format!("Value of `{}`", args.name), option)?)
        }
        Kind::Json => json(source.text(&scene, &format!("JSON of `{}`", args.name), option)?)?,
        Kind::Bytes => Value::Bytes(source.bytes("bytes")?),
        Kind::Credential => {
            let user = match args.user {
                Some(user) => user,
                None => user(&scene)?,
            };
            let password = source.text(&scene, &format!("Password of `{}`", args.name), option)?;
            Value::Credential(Credential::new(user, password))
        }
        Kind::Map => map(&source.bytes("a map")?)?,
    };

    if args.field.is_none() && !args.allow_empty && is_empty(&value) {
        return Err(Failure::act("the value is empty; nothing was changed")
            .because(source.is_empty())
            .hint("add `--allow-empty` to write an empty value"));
    }
    let field_kind = args.as_kind.map_or(FieldKind::Kept, |_| FieldKind::New);
    let run = scene.run();
    let waiting = scene.waiting(args.vault.as_ref());
    let new = NewSecret {
        name: args.name.clone(),
        vault: args.vault,
        value,
        field: args.field.map(|name| NewField { name, kind: field_kind }),
        metadata,
        mode: if args.no_clobber { WriteMode::CreateOnly } else { WriteMode::Upsert },
        run,
    };
    let vault = match scene.host.set(new, &mut scene.terminal) {
        Ok(vault) => vault,
        Err(error) => {
            let grammar = grammar(&error, &scene);
            return Err(grammar.into_iter().fold(Failure::from(error), Failure::hint));
        }
    };
    drop(waiting);

    let name = &args.name;
    if scene.ui.is_json() {
        let dry_run = scene.global.dry_run;
        scene.ui.json(&Changed {
            schema: 1,
            name: name.as_str(),
            vault: vault.as_str(),
            dry_run,
        })?;
    }
    scene.done(
        &format!("Set `{name}` in vault `{vault}`."),
        &format!("Would set `{name}` in vault `{vault}`"),
    );
    Ok(Exit::Done)
}

/// Checks the vault before its value is read. Before the user types a value, also checks that the
/// vault can be opened: its plugin, its parameters and its grants.
fn check_vault(
    vault: Option<&VaultName>,
    source: &Source,
    scene: &CommandContext<'_>,
) -> Result<(), Failure> {
    let vault = keystead::internals::target(&scene.host, vault)?;
    keystead::internals::kind_to_write(&scene.host, &vault)?;
    if !matches!(source, Source::Typed) {
        return Ok(());
    }
    match scene.host.vault_rules(&vault, &mut NonInteractive) {
        // Its prompts can be answered later; and a refusal now does not predict that of a write.
        Err(error) if error.class() != ErrorClass::NeedsInput && !is_refusal(&error) => {
            Err(error.into())
        }
        _ => Ok(()),
    }
}

/// Refuses to begin a new map in the default vault for a secret that another vault has.
fn check_field(name: &SecretName, scene: &mut CommandContext<'_>) -> Result<(), Failure> {
    let vault = keystead::internals::target(&scene.host, None)?;
    let place = SearchScope::Vault(vault.clone());
    let missing = match scene.host.describe(name, &place, &mut scene.terminal) {
        Err(error @ keystead::Error::NoSuchSecret { .. }) => error,
        // The write reports all other errors.
        _ => return Ok(()),
    };
    match keystead::internals::other_vault_with(&scene.host, name, &vault) {
        Some(_) => Err(missing.into()),
        None => Ok(()),
    }
}

fn is_refusal(error: &keystead::Error) -> bool {
    matches!(error, keystead::Error::Refused { .. })
}

/// Returns whether the value is empty, and thus erases the secret that it replaces.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Text(text) => text.expose().is_empty(),
        Value::Bytes(bytes) => bytes.expose().is_empty(),
        Value::Credential(credential) => credential.password.expose().is_empty(),
        _ => false,
    }
}

/// Returns the vault's grammar for names, where the vault refused the request as invalid.
fn grammar(error: &keystead::Error, scene: &CommandContext<'_>) -> Option<String> {
    let keystead::Error::Refused { vault, answer } = error else { return None };
    if answer.kind() != ErrorKind::Invalid {
        return None;
    }
    let names = scene.host.vault_rules(vault, &mut NonInteractive).ok()?.name_grammar?;
    Some(format!("vault `{vault}` takes as a name: {names}"))
}

/// Output of a change to a secret with `--json`.
#[derive(Serialize)]
pub(crate) struct Changed<'a> {
    pub(crate) schema: u32,
    pub(crate) name: &'a str,
    pub(crate) vault: &'a str,
    pub(crate) dry_run: bool,
}

/// Source of the value.
enum Source {
    Standard(Ending),
    /// A file, with the timeout for a pipe or device.
    File(PathBuf, Duration),
    Typed,
}

impl Source {
    fn of(
        stdin: bool,
        exact: bool,
        file: Option<PathBuf>,
        scene: &CommandContext<'_>,
    ) -> Result<Self, Failure> {
        match file {
            Some(file) => return Ok(Self::File(file, scene.wait_limit())),
            None if stdin && exact => return Ok(Self::Standard(Ending::Exact)),
            None if stdin => return Ok(Self::Standard(Ending::LessOneNewline)),
            None => {}
        }
        if input::is_piped() {
            return Err(Failure::usage("the value is piped in, and `--stdin` is missing")
                .hint("add `--stdin` to read the value from standard input")
                .hint("add `< /dev/tty` to type it"));
        }
        if scene.terminal.is_interactive() {
            return Ok(Self::Typed);
        }
        let why = match scene.global.no_input {
            true => "`--no-input` was given",
            false => "there is no terminal",
        };
        Err(Failure::new(Exit::NeedsHuman, "the value is missing, and prompting is not possible")
            .because(why)
            .hint("add `--stdin` or `--file FILE`"))
    }

    /// Returns the reason why the value from this source is empty.
    fn is_empty(&self) -> String {
        match self {
            Self::Standard(_) => "standard input has none".to_owned(),
            Self::File(path, _) => format!("file `{}` is empty", path.display()),
            Self::Typed => "none was typed".to_owned(),
        }
    }

    fn text(
        &self,
        scene: &CommandContext<'_>,
        label: &str,
        option: &str,
    ) -> Result<SecretText, Failure> {
        match self {
            Self::Standard(ending) => input::text(input::standard(MOST_TEXT)?, *ending, option),
            Self::File(path, limit) => {
                input::text(input::file(path, MOST_TEXT, *limit)?, Ending::Exact, option)
            }
            Self::Typed => twice(scene, label),
        }
    }

    fn bytes(&self, what: &str) -> Result<SecretBytes, Failure> {
        match self {
            Self::Standard(_) => input::standard(MAX_JSON),
            Self::File(path, limit) => input::file(path, MAX_JSON, *limit),
            Self::Typed => Err(Failure::usage(format!("{what} cannot be typed"))
                .hint("add `--stdin` or `--file FILE`")),
        }
    }
}

fn twice(scene: &CommandContext<'_>, label: &str) -> Result<SecretText, Failure> {
    scene.terminal.hidden_twice(label, "Once more").map_err(untyped)
}

fn user(scene: &CommandContext<'_>) -> Result<String, Failure> {
    if !scene.terminal.is_interactive() {
        return Err(Failure::new(
            Exit::NeedsHuman,
            "the user name is missing, and prompting is not possible",
        )
        .hint("add `--user NAME`"));
    }
    scene.terminal.plain("User name").map_err(untyped)
}

fn untyped(why: InputError) -> Failure {
    let is_paste = matches!(why, InputError::TooLong | InputError::SeveralLines);
    let failure = Failure::from(why);
    if is_paste { failure.hint("add `--stdin` or `--file FILE`") } else { failure }
}

fn map(json: &SecretBytes) -> Result<Value, Failure> {
    let text = std::str::from_utf8(json.expose())
        .map_err(|_| Failure::act("the map is not JSON").because("it is not UTF-8"))?;
    let map = read::map(text)
        .map_err(|fault| Failure::act("the map is no JSON object").because(fault))?;
    Ok(Value::Map(map))
}

fn json(text: SecretText) -> Result<Value, Failure> {
    let json = JsonText::parse(text);
    json.map(Value::Json)
        .map_err(|fault| Failure::act("the value is no JSON").because(fault.message()))
}
