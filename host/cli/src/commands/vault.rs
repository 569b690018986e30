//! `keystead vault`: registrations, and commands on a vault as a whole.

pub(crate) mod default;
pub(crate) mod do_;
pub(crate) mod grant;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod register;
pub(crate) mod show;
pub(crate) mod test;
pub(crate) mod unlock;
pub(crate) mod unregister;

use std::collections::BTreeMap;

use keystead::reference::Reference;

use super::CommandContext;
use crate::failure::{Exit, Failure};

/// The commands about vaults.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Register(register::Args),
    Unregister(unregister::Args),
    #[command(visible_alias = "ls")]
    List(list::Args),
    Show(show::Args),
    Default(default::Args),
    Grant(grant::Args),
    Test(test::Args),
    Unlock(unlock::Args),
    Lock(lock::Args),
    Do(do_::Args),
}

pub(crate) fn run(command: Command, scene: CommandContext<'_>) -> Result<Exit, Failure> {
    match command {
        Command::Register(args) => register::run(args, scene),
        Command::Unregister(args) => unregister::run(&args, &scene),
        Command::List(args) => list::run(&args, &scene),
        Command::Show(args) => show::run(&args, &scene),
        Command::Default(args) => default::run(&args, &scene),
        Command::Grant(args) => grant::run(&args, &scene),
        Command::Test(args) => test::run(&args, scene),
        Command::Unlock(args) => unlock::run(&args, scene),
        Command::Lock(args) => lock::run(&args, &scene),
        Command::Do(args) => do_::run(args, scene),
    }
}

/// Parses arguments of the form `NAME=VALUE`, each name once.
///
/// # Errors
/// An argument has another form. The error names the argument's position and does not repeat its
/// text, which may be a misplaced secret.
pub(crate) fn parameters(typed: Vec<String>) -> Result<BTreeMap<String, String>, Failure> {
    named(typed, "--param")
}

/// Parses unlock references of the form `FIELD=REFERENCE`, each field once.
///
/// # Errors
/// As [`parameters`].
pub(crate) fn standing(typed: Vec<String>) -> Result<BTreeMap<String, Reference>, Failure> {
    let mut answers = BTreeMap::new();
    for (field, text) in named(typed, "--unlock")? {
        let reference = Reference::parse(&text).map_err(|fault| {
            Failure::usage(format!("`--unlock {field}=...` needs a reference"))
                .because(fault)
                .hint("a reference is `env:VAR`, `file:PATH` or `keystead://VAULT/NAME`")
        })?;
        answers.insert(field, reference);
    }
    Ok(answers)
}

fn named(typed: Vec<String>, option: &str) -> Result<BTreeMap<String, String>, Failure> {
    let mut named = BTreeMap::new();
    for (at, text) in typed.into_iter().enumerate() {
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            let message = format!("`{option}` number {} is not `NAME=VALUE`", at + 1);
            return Err(Failure::usage(message));
        };
        if named.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(Failure::usage(format!("`{option} {name}` is given twice")));
        }
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn parameter_splits_at_first_equals_sign() {
        let parsed = parameters(typed(&["a=b=c", "d="])).unwrap();
        assert_eq!(parsed["a"], "b=c");
        assert_eq!(parsed["d"], "");
    }

    #[test]
    fn wrong_parameter_error_omits_its_value() {
        for wrong in [&["canary"][..], &["=canary"], &["a=canary", "a=canary"]] {
            let failure = parameters(typed(wrong)).unwrap_err();
            assert!(!failure.styled().contains("canary"), "{wrong:?}");
            assert_eq!(failure.exit, Exit::Usage);
        }
        let failure = standing(typed(&["password=canary"])).unwrap_err();
        assert!(!failure.styled().contains("canary"));
    }

    #[test]
    fn unlock_option_parses_reference() {
        let answers = standing(typed(&["password=env:PASS"])).unwrap();
        assert_eq!(answers["password"].to_string(), "env:PASS");
    }
}
