//! `keystead get`: prints exactly the bytes of a secret's value.

use keystead::internals::ids::privilege;
use keystead::internals::metadata::expires;
use keystead::internals::single;
use keystead::reference::Reference;
use keystead::trust::Privilege;
use keystead::{FoundSecret, NoField, OnUnavailable, SearchScope};
use keystead_plugin_api::{Metadata, SecretBytes, SecretName, Value, VaultName};
use serde::Serialize;

use super::{CommandContext, current_dir};
use crate::failure::{Exit, Failure};
use crate::metadata;
use crate::text;
use crate::ui::{Ui, Verbosity};
use keystead::internals::json::{escaped, write};

/// Print a secret's value
///
/// Prints exactly its bytes; a newline follows only on a terminal. Of a credential it is the
/// password; of a map the field `password`, else `value`, where that is a text or bytes. Any other map
/// needs `--field` or `--json`.
///
/// `--field` is the exact name of a part, or a JSON pointer (RFC 6901), such as `/hosts/0`: `~1` in
/// it is a `/`, `~0` a `~`. It leads into maps, JSON, and texts that are a JSON object. A JSON string
/// is printed as the text that it stands for; `null` is no such value, exit code 3.
///
/// Without a vault the default vault is asked, then the others by name, and the first that
/// has the secret answers. A vault earlier in that order that cannot be asked is an error,
/// exit code 5, unless `--any` is given.
///
/// In place of a name any reference will do: `keystead://[VAULT]/NAME[#FIELD]`, `env:VAR`,
/// `file:PATH`, `command:["PROGRAM","ARGUMENT"]`, `fd:N`. With `--vault` the argument is a
/// name, whatever it looks like: do so where it comes from somebody else.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The secret's name, or a reference
    #[arg(value_name = "NAME|REF")]
    wanted: String,
    /// The vault to ask
    #[arg(short = 'V', long, value_parser = vault_name)]
    vault: Option<VaultName>,
    /// The part to print, by its name or a JSON pointer
    #[arg(long)]
    field: Option<String>,
    /// Take the first vault that answers, even if one before it cannot be asked
    #[arg(long, conflicts_with = "vault")]
    any: bool,
}

/// Secret or reference to print.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// A secret of a vault.
    Secret { name: SecretName, vault: Option<VaultName>, field: Option<String> },
    /// A reference that leads to no vault.
    Elsewhere(Reference),
}

/// Prefixes of references that lead to no vault; all other texts are names.
const ELSEWHERE: [&str; 4] = ["env:", "file:", "command:", "fd:"];

impl Wanted {
    /// Parses the argument; with a vault given, references that lead to no vault are names.
    fn parse(text: &str, has_vault: bool) -> Result<Self, Failure> {
        let wrong = |fault: String| {
            Failure::usage("the argument is neither a secret's name nor a reference").because(fault)
        };
        let is_elsewhere = !has_vault && ELSEWHERE.iter().any(|scheme| text.starts_with(scheme));
        if !is_elsewhere && !text.starts_with("keystead://") {
            let name = secret_name(text).map_err(wrong)?;
            return Ok(Self::Secret { name, vault: None, field: None });
        }
        Ok(match Reference::parse(text).map_err(|fault| wrong(fault.to_string()))? {
            Reference::Secret { vault, name, field } => {
                Self::Secret { name, vault, field: field.map(|field| field.as_str().to_owned()) }
            }
            reference => Self::Elsewhere(reference),
        })
    }
}

/// Parses a secret's name for the command line.
pub(crate) fn secret_name(text: &str) -> Result<SecretName, String> {
    SecretName::parse(text).map_err(|fault| fault.message().to_owned())
}

/// Parses a vault's name for the command line.
pub(crate) fn vault_name(text: &str) -> Result<VaultName, String> {
    VaultName::parse(text).map_err(|fault| fault.message().to_owned())
}

impl Args {
    /// Returns whether the vault is named.
    pub(crate) fn names_vault(&self) -> bool {
        self.vault.is_some()
    }
}

pub(crate) fn run(args: Args, mut scene: CommandContext<'_>) -> Result<Exit, Failure> {
    let (name, vault, field) = match Wanted::parse(&args.wanted, args.vault.is_some())? {
        Wanted::Secret { name, vault, field } => (name, vault, field),
        Wanted::Elsewhere(_) if args.field.is_some() => {
            return Err(Failure::usage("only secrets of vaults have fields"));
        }
        Wanted::Elsewhere(_) if privilege() != Privilege::Ordinary => {
            return Err(Failure::usage(
                "a program that has more rights than its user follows no reference that is typed",
            ));
        }
        Wanted::Elsewhere(reference) => return elsewhere(&reference, &scene),
    };
    let vault = one_of(args.vault, vault, "the vault")?;
    let field = one_of(args.field, field, "the field")?;
    let place = place(vault.as_ref(), args.any);

    let waiting = scene.waiting(vault.as_ref());
    let found = scene.host.get(&name, &place, &mut scene.terminal)?;
    drop(waiting);

    let (vault, metadata) = (found.vault.clone(), found.secret.metadata.clone());
    let value = match field.as_deref() {
        Some(field) => part(found, &name, field)?,
        None if scene.ui.is_json() => found.secret.value,
        None => single(found.secret.value),
    };
    if scene.ui.is_json() {
        let head = GetHeader {
            schema: 1,
            name: name.as_str(),
            vault: vault.as_str(),
            field: field.as_deref(),
            kind: value.kind().as_str(),
            metadata: metadata::Json(&metadata),
            read_only: metadata::read_only(&metadata),
        };
        let head = escaped::to_string(&head);
        scene.ui.answer(&write::object(&head, &value))?;
    } else {
        print(scene.ui, name.as_str(), value)?;
    }
    warn_if_expired(&scene, name.as_str(), &metadata);
    Ok(Exit::Done)
}

/// Warns that a secret has expired; the command still prints the secret.
fn warn_if_expired(scene: &CommandContext<'_>, name: &str, metadata: &Metadata) {
    if let Some(at) = expires(metadata)
        && scene.ui.talk() > Verbosity::Quiet
        && at <= metadata::now()
    {
        scene.ui.warn(&format!("`{name}` expired on {}", metadata::moment(at)));
    }
}

/// Prints the value of a reference that leads to no vault.
fn elsewhere(reference: &Reference, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    #[derive(Serialize)]
    struct GetHeader<'a> {
        schema: u32,
        reference: &'a str,
        kind: &'static str,
    }
    let value =
        Value::Text(keystead::internals::follow(&scene.host, "value", reference, &current_dir()?)?);
    let shown = reference.to_string();
    if scene.ui.is_json() {
        let head = GetHeader { schema: 1, reference: &shown, kind: value.kind().as_str() };
        let head = escaped::to_string(&head);
        scene.ui.answer(&write::object(&head, &value))?;
    } else {
        print(scene.ui, &shown, value)?;
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct GetHeader<'a> {
    schema: u32,
    name: &'a str,
    vault: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    kind: &'static str,
    metadata: metadata::Json<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    read_only: Vec<&'a str>,
}

fn one_of<T>(option: Option<T>, reference: Option<T>, what: &str) -> Result<Option<T>, Failure> {
    if option.is_some() && reference.is_some() {
        return Err(Failure::usage(format!("{what} is named twice: by an option and in the name")));
    }
    Ok(option.or(reference))
}

/// Returns the search scope of a command.
pub(crate) fn place(vault: Option<&VaultName>, any: bool) -> SearchScope {
    match vault {
        Some(vault) => SearchScope::Vault(vault.clone()),
        None if any => SearchScope::Search(OnUnavailable::Skip),
        None => SearchScope::anywhere(),
    }
}

/// Returns a field of a value.
fn part(found: FoundSecret, name: &SecretName, field: &str) -> Result<Value, Failure> {
    found.into_field(field).map_err(|why| {
        let failure = Failure::new(Exit::NoSuch, format!("`{name}` has no field `{field}`"));
        match why {
            NoField::Unknown { fields } if fields.is_empty() => {
                failure.because("it is a map without fields")
            }
            NoField::Unknown { fields } => {
                let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
                failure.hint(format!("add `--field F`, F being {}", listed(&fields)))
            }
            NoField::NoFields(kind) => failure.because(format!("it is a {kind} without fields")),
            NoField::NotInJson => failure.because("its JSON has nothing there"),
            NoField::Null => failure.because("what is there is null"),
            NoField::NoPointer => {
                failure.because("no field has that name, and in a JSON pointer `~` is written `~0`")
            }
            _ => failure,
        }
    })
}

/// Prints the bytes of a value; on a terminal, checks them first and adds a missing newline.
pub(crate) fn print(ui: &Ui, name: &str, value: Value) -> Result<(), Failure> {
    let bytes = match value {
        Value::Text(text) => text.into_bytes(),
        Value::Bytes(bytes) => bytes,
        Value::Credential(credential) => credential.password.into_bytes(),
        Value::Json(json) => json.into_bytes(),
        Value::Map(map) => {
            let fields: Vec<&str> = map.iter().map(|(key, _)| key).collect();
            return Err(is_map(name, &fields));
        }
        other => {
            return Err(Failure::act(format!(
                "`{name}` is a {}, which this version of keystead cannot print",
                other.kind()
            )));
        }
    };
    if ui.answers_terminal() {
        check_for_terminal(&bytes, name)?;
    }
    ui.answer(bytes.expose())?;
    if ui.answers_terminal() && !bytes.expose().ends_with(b"\n") {
        ui.answer(b"\n")?;
    }
    Ok(())
}

fn is_map(name: &str, fields: &[&str]) -> Failure {
    let failure = Failure::usage(format!("`{name}` is a map, which has no one value to print"));
    let failure = match fields {
        [] => failure.because("it has no fields"),
        some => failure.hint(format!("add `--field F`, F being {}", listed(some))),
    };
    failure.hint("add `--json` for all of it")
}

/// Returns names as a phrase: `a`, `b` or `c`; of many names only the first.
pub(crate) fn listed(names: &[&str]) -> String {
    const MOST: usize = 20;
    let mut quoted: Vec<String> =
        names.iter().take(MOST).map(|name| format!("`{}`", text::visible(name))).collect();
    if names.len() > MOST {
        quoted.push(format!("one of {} more", names.len() - MOST));
    }
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// Checks that a terminal shows a secret as text without obeying control characters in it.
fn check_for_terminal(bytes: &SecretBytes, name: &str) -> Result<(), Failure> {
    let why = match std::str::from_utf8(bytes.expose()) {
        Ok(text) if !text::is_obeyed(text) => return Ok(()),
        Ok(_) => "it has control characters, which a terminal would obey",
        Err(_) => "it is not text",
    };
    Err(Failure::act(format!("`{name}` is not fit for a terminal"))
        .because(why)
        .hint("send it to a file or a program: `keystead get NAME > FILE`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str, has_vault: bool) -> (String, Option<String>, Option<String>) {
        match Wanted::parse(text, has_vault).unwrap() {
            Wanted::Secret { name, vault, field } => {
                (name.to_string(), vault.map(|vault| vault.to_string()), field)
            }
            Wanted::Elsewhere(reference) => panic!("{reference} is no name"),
        }
    }

    #[test]
    fn vault_reference_splits_into_vault_secret_and_field() {
        let named = |text| Some(String::from(text));
        let whole = parts("keystead://work/db/pass%23word#user", false);
        assert_eq!(whole, ("db/pass#word".into(), named("work"), named("user")));
        assert_eq!(parts("keystead:///a", false), ("a".into(), None, None));
        assert_eq!(parts("keystead:///env:HOME", false), ("env:HOME".into(), None, None));
        for wrong in ["keystead://", "", "env:", "fd:x", "command:rm", "a\nb"] {
            assert!(Wanted::parse(wrong, false).is_err(), "{wrong}");
        }
    }

    #[test]
    fn external_reference_with_vault_option_is_secret_name() {
        for text in ["env:HOME", "file:/etc/passwd", "fd:0", "command:[\"id\"]"] {
            assert!(matches!(Wanted::parse(text, false), Ok(Wanted::Elsewhere(_))), "{text}");
            assert_eq!(parts(text, true), (text.into(), None, None));
        }
    }

    #[test]
    fn field_list_in_message_is_truncated() {
        assert_eq!(listed(&["a"]), "`a`");
        assert_eq!(listed(&["a", "b", "c"]), "`a`, `b` or `c`");
        assert!(listed(&["x"; 1_000]).ends_with("or one of 980 more"));
    }
}
