//! Position of the cursor in a command line: the command, the argument, and the arguments before.
//! The line may be half typed, so nothing is an error.

use clap::{Arg, ArgAction, Command};

use super::Candidate;

/// The words before the cursor, matched against the command tree.
pub(super) struct Line<'t> {
    command: &'t Command,
    path: Vec<&'t str>,
    given: Vec<(&'t str, String)>,
    position: usize,
    is_escaped: bool,
    awaits: Option<&'t Arg>,
}

/// Kind of word that can stand at the cursor.
pub(super) enum Sought<'t> {
    /// An option's name.
    Options,
    /// A command or a positional argument.
    Word,
    /// The value of an option.
    Value(&'t Arg),
    /// Nothing known.
    Nothing,
}

impl<'t> Line<'t> {
    /// Reads words, the first of which is the program.
    pub(super) fn parse(tree: &'t Command, words: &[String]) -> Self {
        let mut line = Self {
            command: tree,
            path: Vec::new(),
            given: Vec::new(),
            position: 0,
            is_escaped: false,
            awaits: None,
        };
        let mut words = words.iter().skip(1).peekable();
        // `keystead help COMMAND`.
        words.next_if(|word| *word == "help");
        for word in words {
            line.read(word);
        }
        line
    }

    fn read(&mut self, word: &str) {
        if let Some(argument) = self.awaits.take() {
            self.given.push((argument.get_id().as_str(), word.to_owned()));
        } else if !self.is_escaped && word == "--" {
            self.is_escaped = true;
        } else if !self.is_escaped && word.starts_with("--") {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word, None),
            };
            let Some(argument) = self.long(&name[2..]).filter(|one| takes_value(one)) else {
                return;
            };
            match value {
                Some(value) => self.given.push((argument.get_id().as_str(), value.to_owned())),
                None => self.awaits = Some(argument),
            }
        } else if !self.is_escaped && word.len() > 1 && word.starts_with('-') {
            match self.short(word) {
                Some((argument, "")) => self.awaits = Some(argument),
                Some((argument, value)) => {
                    self.given.push((argument.get_id().as_str(), value.to_owned()));
                }
                None => {}
            }
        } else if let Some(command) = self.subcommand(word) {
            self.command = command;
            self.path.push(command.get_name());
        } else {
            if let Some(argument) = self.positional() {
                self.given.push((argument.get_id().as_str(), word.to_owned()));
            }
            self.position += 1;
        }
    }

    /// Returns the kind of word to complete, and the part of the word before it.
    pub(super) fn sought<'w>(&self, current: &'w str) -> (Sought<'t>, &'w str) {
        if let Some(argument) = self.awaits {
            return (Sought::Value(argument), "");
        }
        if self.is_escaped || !current.starts_with('-') {
            return (Sought::Word, "");
        }
        if let Some((name, _)) = current.split_once('=').filter(|_| current.starts_with("--")) {
            let attached = &current[..=name.len()];
            return match self.long(&name[2..]).filter(|one| takes_value(one)) {
                Some(argument) => (Sought::Value(argument), attached),
                None => (Sought::Nothing, ""),
            };
        }
        if !current.starts_with("--")
            && let Some((argument, value)) =
                self.short(current).filter(|(_, value)| !value.is_empty())
        {
            return (Sought::Value(argument), &current[..current.len() - value.len()]);
        }
        (Sought::Options, "")
    }

    /// Returns the names of the commands so far.
    pub(super) fn path(&self) -> &[&'t str] {
        &self.path
    }

    /// Returns whether `--` was given.
    pub(super) fn is_escaped(&self) -> bool {
        self.is_escaped
    }

    /// Returns whether the command has an argument of this id.
    pub(super) fn has(&self, id: &str) -> bool {
        self.command.get_arguments().any(|argument| argument.get_id() == id)
    }

    /// Returns the last value that was given for an argument.
    pub(super) fn given(&self, id: &str) -> Option<&str> {
        self.given.iter().rev().find(|(known, _)| *known == id).map(|(_, value)| &**value)
    }

    /// Returns the positional argument at the cursor.
    pub(super) fn positional(&self) -> Option<&'t Arg> {
        let mut all = self.command.get_positionals();
        let last = self.command.get_positionals().last();
        let repeats = |one: &&Arg| one.get_num_args().is_some_and(|range| range.max_values() > 1);
        all.nth(self.position).or_else(|| last.filter(repeats))
    }

    /// Returns the commands that may follow.
    pub(super) fn subcommands(&self) -> Vec<Candidate> {
        if self.position > 0 || self.is_escaped {
            return Vec::new();
        }
        let shown = self.command.get_subcommands().filter(|command| !command.is_hide_set());
        shown
            .flat_map(|command| {
                let help = first_line(command.get_about());
                std::iter::once(command.get_name())
                    .chain(command.get_visible_aliases())
                    .map(move |name| Candidate::new(name, help.clone()))
            })
            .collect()
    }

    /// Returns the options that the command takes.
    pub(super) fn options(&self) -> Vec<Candidate> {
        let shown = self.command.get_arguments().filter(|argument| !argument.is_hide_set());
        let fresh = shown.filter(|argument| {
            let repeats = matches!(argument.get_action(), ArgAction::Append | ArgAction::Count);
            repeats || self.given(argument.get_id().as_str()).is_none()
        });
        fresh
            .filter_map(|argument| {
                let name = argument.get_long()?;
                Some(Candidate::new(format!("--{name}"), first_line(argument.get_help())))
            })
            .collect()
    }

    fn subcommand(&self, word: &str) -> Option<&'t Command> {
        if self.position > 0 || self.is_escaped {
            return None;
        }
        self.command.find_subcommand(word)
    }

    fn long(&self, name: &str) -> Option<&'t Arg> {
        let is_named = |argument: &&Arg| {
            argument.get_long_and_visible_aliases().is_some_and(|names| names.contains(&name))
        };
        self.command.get_arguments().find(is_named)
    }

    /// Returns the option in `-abVALUE` that takes a value, and the value.
    fn short<'w>(&self, word: &'w str) -> Option<(&'t Arg, &'w str)> {
        for (at, letter) in word.char_indices().skip(1) {
            let is_named = |argument: &&Arg| argument.get_short() == Some(letter);
            let argument = self.command.get_arguments().find(is_named)?;
            if takes_value(argument) {
                let value = &word[at + letter.len_utf8()..];
                return Some((argument, value.strip_prefix('=').unwrap_or(value)));
            }
        }
        None
    }
}

fn takes_value(argument: &Arg) -> bool {
    argument.get_action().takes_values()
}

fn first_line(help: Option<&clap::builder::StyledStr>) -> String {
    let help = help.map(ToString::to_string).unwrap_or_default();
    help.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;

    /// Returns the path, the kind of word to complete, and the part before it.
    fn sought(text: &str) -> (String, String, String) {
        let mut tree = cli::tree();
        tree.build();
        let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        let current = words.pop().unwrap();
        let line = Line::parse(&tree, &words);
        let (sought, attached) = line.sought(&current);
        let what = match sought {
            Sought::Options => "options".to_owned(),
            Sought::Word => {
                let argument = line.positional().map(|argument| argument.get_id().to_string());
                format!("word {}", argument.unwrap_or_default())
            }
            Sought::Value(argument) => format!("value {}", argument.get_id()),
            Sought::Nothing => "nothing".to_owned(),
        };
        (line.path().join(" "), what, attached.to_owned())
    }

    #[test]
    fn cursor_position_decides_kind_of_candidates() {
        let case = |text, path: &str, what: &str, attached: &str| {
            assert_eq!(sought(text), (path.into(), what.into(), attached.into()), "{text}");
        };
        case("keystead ", "", "word ", "");
        case("keystead va", "", "word ", "");
        case("keystead vault sh", "vault", "word ", "");
        case("keystead show ", "show", "word name", "");
        case("keystead -q rm a -V ", "remove", "value vault", "");
        case("keystead show -V work ", "show", "word name", "");
        case("keystead show --vault=wo", "show", "value vault", "--vault=");
        case("keystead show -qVwo", "show", "value vault", "-qV");
        case("keystead show a --", "show", "options", "");
        case("keystead show --any=", "show", "nothing", "");
        case("keystead show --no-such x", "show", "word name", "");
        case("keystead show -- -x", "show", "word name", "");
        case(
            "keystead vault register work --plugin memory --param ",
            "vault register",
            "value param",
            "",
        );
    }

    #[test]
    fn last_given_option_value_is_found() {
        let mut tree = cli::tree();
        tree.build();
        let words = ["keystead", "show", "-Vone", "--vault=two", "get", "-q"];
        let line = Line::parse(&tree, &words.map(str::to_owned));
        assert_eq!(line.given("vault"), Some("two"));
        assert_eq!(line.given("name"), Some("get"));
        assert!(line.positional().is_none());
    }
}
