//! `keystead vault`: registrations, and what is asked of one vault as a whole.

pub(crate) mod default;
pub(crate) mod do_;
pub(crate) mod list;
pub(crate) mod register;
pub(crate) mod show;
pub(crate) mod test;
pub(crate) mod unregister;

use std::collections::BTreeMap;

use super::Scene;
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
    Test(test::Args),
    Do(do_::Args),
}

pub(crate) fn run(command: Command, scene: Scene<'_>) -> Result<Exit, Failure> {
    match command {
        Command::Register(args) => register::run(args, scene),
        Command::Unregister(args) => unregister::run(&args, &scene),
        Command::List(args) => list::run(&args, &scene),
        Command::Show(args) => show::run(&args, &scene),
        Command::Default(args) => default::run(&args, &scene),
        Command::Test(args) => test::run(&args, scene),
        Command::Do(args) => do_::run(args, scene),
    }
}

/// Parses a parameter, `K=V`.
pub(crate) fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected `NAME=VALUE`".to_owned()),
    }
}

/// Returns what was given by name, each name once.
///
/// # Errors
/// When a name was given twice.
pub(crate) fn by_name<V>(
    given: Vec<(String, V)>,
    what: &str,
) -> Result<BTreeMap<String, V>, Failure> {
    let mut named = BTreeMap::new();
    for (name, value) in given {
        if named.insert(name.clone(), value).is_some() {
            return Err(Failure::usage(format!("{what} `{name}` is given twice")));
        }
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_a_name_and_all_that_follows() {
        assert_eq!(parameter("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(parameter("a="), Ok(("a".to_owned(), String::new())));
        assert!(parameter("a").is_err());
        assert!(parameter("=b").is_err());
    }

    #[test]
    fn a_name_given_twice_is_refused() {
        let twice = vec![("a".to_owned(), 1), ("a".to_owned(), 2)];
        assert!(by_name(twice, "parameter").is_err());
    }
}
