//! `keystead get`: a secret's value, exactly its bytes.

use keystead::reference::Reference;
use keystead::{Found, Place, Unasked};
use keystead_plugin_api::{SecretBytes, SecretName, Value, VaultName};
use serde::Serialize;

use super::Scene;
use crate::failure::{Exit, Failure};
use crate::metadata;
use crate::text;
use crate::ui::Ui;
use keystead::json::write;

/// Print a secret's value
///
/// Prints exactly its bytes; a newline follows only on a terminal. Of a credential it is the
/// password; a map needs `--field` or `--json`.
///
/// Without a vault the default vault is asked, then the others by name, and the first that
/// has the secret answers. A vault earlier in that order that cannot be asked is an error,
/// exit code 5, unless `--any` is given.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The secret's name, or `keystead://[VAULT]/NAME[#FIELD]`
    #[arg(value_name = "NAME", value_parser = wanted)]
    wanted: Wanted,
    /// The vault to ask
    #[arg(short = 'V', long, value_parser = vault_name)]
    vault: Option<VaultName>,
    /// The part of a map or credential to print
    #[arg(long)]
    field: Option<String>,
    /// Take the first vault that answers, even if one before it cannot be asked
    #[arg(long, conflicts_with = "vault")]
    any: bool,
}

/// A name, or a reference to one.
#[derive(Debug, Clone)]
struct Wanted {
    name: SecretName,
    vault: Option<VaultName>,
    field: Option<String>,
}

fn wanted(text: &str) -> Result<Wanted, String> {
    if !text.starts_with("keystead://") {
        return Ok(Wanted { name: secret_name(text)?, vault: None, field: None });
    }
    match Reference::parse(text) {
        Ok(Reference::Secret { vault, name, field }) => {
            Ok(Wanted { name, vault, field: field.map(|field| field.as_str().to_owned()) })
        }
        Ok(_) => Err("only `keystead://` references name a secret".to_owned()),
        Err(fault) => Err(fault.to_string()),
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

pub(crate) fn run(args: Args, mut scene: Scene<'_>) -> Result<Exit, Failure> {
    let Wanted { name, vault, field } = args.wanted;
    let vault = one_of(args.vault, vault, "the vault")?;
    let field = one_of(args.field, field, "the field")?;
    let place = place(vault.as_ref(), args.any);

    let waiting = scene.waiting(vault.as_ref());
    let found = scene.host.get(&name, &place, &mut scene.terminal)?;
    drop(waiting);

    let (vault, metadata) = (found.vault.clone(), found.secret.metadata.clone());
    let value = match field.as_deref() {
        Some(field) => part(found, &name, field)?,
        None => found.secret.value,
    };
    if scene.ui.is_json() {
        let head = Head {
            schema: 1,
            name: name.as_str(),
            vault: vault.as_str(),
            field: field.as_deref(),
            kind: value.kind().as_str(),
            metadata: metadata::Json(&metadata),
        };
        let head = serde_json::to_string(&head).expect("our own types are JSON");
        scene.ui.answer(&write::object(&head, &value))?;
    } else {
        print(scene.ui, &name, value)?;
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Head<'a> {
    schema: u32,
    name: &'a str,
    vault: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    kind: &'static str,
    metadata: metadata::Json<'a>,
}

fn one_of<T>(option: Option<T>, reference: Option<T>, what: &str) -> Result<Option<T>, Failure> {
    if option.is_some() && reference.is_some() {
        return Err(Failure::usage(format!("{what} is named twice: by an option and in the name")));
    }
    Ok(option.or(reference))
}

/// Returns where a command looks for a secret.
pub(crate) fn place(vault: Option<&VaultName>, any: bool) -> Place {
    match vault {
        Some(vault) => Place::Vault(vault.clone()),
        None if any => Place::Search(Unasked::Skipped),
        None => Place::anywhere(),
    }
}

/// Returns one part of a value.
fn part(found: Found, name: &SecretName, field: &str) -> Result<Value, Failure> {
    let kind = found.secret.value.kind();
    found.into_field(field).map_err(|fields| {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let failure = Failure::new(Exit::NoSuch, format!("`{name}` has no field `{field}`"));
        match fields.as_slice() {
            [] => failure.because(format!("it is a {kind} without fields")),
            some => failure.hint(format!("add `--field F`, F being {}", listed(some))),
        }
    })
}

/// Prints a value: its bytes, and for a terminal what makes them fit for one.
pub(crate) fn print(ui: &Ui, name: &SecretName, value: Value) -> Result<(), Failure> {
    let bytes = match value {
        Value::Text(text) => text.into_bytes(),
        Value::Bytes(bytes) => bytes,
        Value::Credential(credential) => credential.password.into_bytes(),
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
    if ui.answers_terminal() {
        ui.answer(b"\n")?;
    }
    Ok(())
}

fn is_map(name: &SecretName, fields: &[&str]) -> Failure {
    let failure = Failure::usage(format!("`{name}` is a map, which has no one value to print"));
    let failure = match fields {
        [] => failure.because("it has no fields"),
        some => failure.hint(format!("add `--field F`, F being {}", listed(some))),
    };
    failure.hint("add `--json` for all of it")
}

/// Returns names as one phrase: `a`, `b` or `c`; of many only the first.
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

/// A secret comes from elsewhere: a terminal must not obey it.
fn check_for_terminal(bytes: &SecretBytes, name: &SecretName) -> Result<(), Failure> {
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

    #[test]
    fn a_reference_names_vault_secret_and_field() {
        let found = wanted("keystead://work/db/pass%23word#user").unwrap();
        assert_eq!(found.vault, Some(VaultName::parse("work").unwrap()));
        assert_eq!(found.name.as_str(), "db/pass#word");
        assert_eq!(found.field.as_deref(), Some("user"));
        assert_eq!(wanted("keystead:///a").unwrap().vault, None);
        assert_eq!(wanted("env:HOME").unwrap().name.as_str(), "env:HOME");
        assert!(wanted("keystead://").is_err());
        assert!(wanted("").is_err());
    }

    #[test]
    fn names_are_listed_as_a_phrase_and_not_without_end() {
        assert_eq!(listed(&["a"]), "`a`");
        assert_eq!(listed(&["a", "b", "c"]), "`a`, `b` or `c`");
        assert!(listed(&["x"; 1_000]).ends_with("or one of 980 more"));
    }
}
