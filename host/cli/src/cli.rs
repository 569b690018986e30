//! The only command tree: completions, man pages and help come from it. A command given by name is
//! parsed with its own arguments only, since building the whole tree costs more than a `get`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{
    Arg, ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum,
};

use keystead::internals::similar;

use crate::commands::{
    agent, completions, copy, doctor, export, get, import, list, man, meta, move_, plugin, remove,
    set, show, vault,
};
use crate::ui::OutputFormat;
use crate::{duration, intent, text};

/// Get and set secrets in any vault through plugins
///
/// Keystead keeps no secrets itself: vaults do, and each vault comes from a plugin. Install
/// one, register a vault, then get, set, list and remove secrets.
#[derive(Debug, Parser)]
#[command(
    name = "keystead",
    version,
    disable_version_flag = true,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    max_term_width = 80,
    after_help = "First steps: `keystead plugin list`, `keystead vault register NAME --plugin PLUGIN`, \
                  `keystead set NAME`, `keystead get NAME`. `keystead help COMMAND` says more.",
    after_long_help = "First steps: `keystead plugin list`, `keystead vault register NAME --plugin PLUGIN`, \
                  `keystead set NAME`, `keystead get NAME`. `keystead help COMMAND` says more.\n\n\
                  Exit codes: 0 done, 1 could not be done, 2 wrong usage, 3 no such secret, vault or \
                  plugin, 4 input needed, 5 partial success, 70 internal error or plugin fault."
)]
pub(crate) struct Cli {
    /// Print version
    #[arg(long, action = ArgAction::Version)]
    version: Option<bool>,
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Print output and errors as JSON (JSON Lines for lists)
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Answer an unlock prompt from a reference: `password=env:VAR`
    #[arg(long, global = true, value_name = "FIELD=REF")]
    pub(crate) unlock: Vec<String>,
    /// Never prompt; exit with code 4 if input is needed
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
    /// Time limit for each vault call: `500ms`, `10s`, `2m`
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration::parse)]
    pub(crate) timeout: Option<Duration>,
    /// Increase verbosity (-vv for debug output)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Print only results, warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// User configuration directory
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) config_dir: Option<PathBuf>,
    /// Change the system-wide configuration
    #[arg(long, global = true)]
    pub(crate) system: bool,
    /// Answer yes to all confirmations
    #[arg(long, global = true)]
    pub(crate) yes: bool,
    /// Show what would change, without changing it
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The commands, one file each.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Get(get::Args),
    Set(set::Args),
    #[command(visible_alias = "ls")]
    List(list::Args),
    Show(show::Args),
    #[command(visible_alias = "rm")]
    Remove(remove::Args),
    #[command(visible_alias = "cp")]
    Copy(copy::Args),
    #[command(visible_alias = "mv")]
    Move(move_::Args),
    /// Edit the metadata of a secret
    #[command(subcommand)]
    Meta(meta::Command),
    Import(import::Args),
    Export(export::Args),
    /// Manage vaults
    #[command(subcommand)]
    Vault(vault::Command),
    /// Manage, test and create plugins
    #[command(subcommand)]
    Plugin(plugin::Command),
    Doctor(doctor::Args),
    /// Manage the agent that keeps vaults unlocked
    #[command(subcommand)]
    Agent(agent::Command),
    Completions(completions::Args),
    Man(man::Args),
}

/// Result of parsing the command line.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// A command to run.
    Command(Box<Cli>),
    /// Text of the help or the version, for standard output.
    Answer(StyledStr),
}

/// Reason why the command line is not a valid command.
#[derive(Debug)]
pub(crate) enum ParseError {
    /// An error that clap reports.
    Wrong {
        /// Text of clap's message.
        text: StyledStr,
        /// Output format, from `--json` among the arguments, which cannot be parsed.
        form: OutputFormat,
    },
    /// `set` got more than a name. The argument is not repeated: most likely it is a secret.
    ValueAsArgument {
        /// Output format, as in `Wrong`.
        form: OutputFormat,
    },
}

/// Parses the command line; the first argument is the program.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Parsed, ParseError> {
    if let Some(cli) = parse_fast(arguments) {
        return Ok(Parsed::Command(Box::new(cli)));
    }
    let asked = without_help_word(arguments);
    match Cli::try_parse_from(&asked) {
        Ok(cli) => Ok(Parsed::Command(Box::new(cli))),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            let help = help_tree().try_get_matches_from(&asked).err().unwrap_or(error);
            Ok(Parsed::Answer(help.render()))
        }
        Err(error) if !error.use_stderr() => Ok(Parsed::Answer(error.render())),
        Err(error) if is_value_for_set(&error, arguments) => {
            Err(ParseError::ValueAsArgument { form: form_of(arguments) })
        }
        Err(error) => {
            let error = harmless(with_similar(error, &asked));
            Err(ParseError::Wrong { text: error.render(), form: form_of(arguments) })
        }
    }
}

/// Returns `keystead get --help` for `keystead help get`. A separate `help` command needs a second
/// copy of the whole tree.
fn without_help_word(arguments: &[OsString]) -> Vec<OsString> {
    let mut asked = arguments.to_vec();
    if asked.get(1).is_some_and(|word| word == "help") {
        asked.remove(1);
        asked.push("--help".into());
    }
    asked
}

/// Returns the error with escaped arguments, so that they do nothing to a terminal: a script may
/// pass on foreign text.
fn harmless(mut error: clap::Error) -> clap::Error {
    for kind in [ContextKind::InvalidArg, ContextKind::InvalidValue, ContextKind::InvalidSubcommand]
    {
        let shown = match error.get(kind) {
            Some(ContextValue::String(argument)) => ContextValue::String(text::visible(argument)),
            Some(ContextValue::Strings(arguments)) => {
                ContextValue::Strings(arguments.iter().map(|one| text::visible(one)).collect())
            }
            _ => continue,
        };
        error.insert(kind, shown);
    }
    error
}

/// Adds the command that the user probably meant. Clap compares how words begin, and finds no word
/// or several where two letters changed places.
fn with_similar(mut error: clap::Error, arguments: &[OsString]) -> clap::Error {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return error;
    }
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    let tree = tree();
    let mut command = &tree;
    let mut path = Vec::new();
    let mut words = arguments.iter().skip(1);
    for word in words.by_ref().take_while(|word| *word != given.as_str()) {
        if let Some(nested) = command.find_subcommand(word) {
            command = nested;
            path.push(nested.get_name());
        }
    }
    let next = words.next().and_then(|word| word.to_str());
    if let Some(meant) = intent::meant(&path, given, next) {
        error.remove(ContextKind::SuggestedSubcommand);
        let tip = StyledStr::from(format!("run `{meant}`"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
        return error;
    }
    let names: Vec<&str> = command
        .get_subcommands()
        .flat_map(|nested| std::iter::once(nested.get_name()).chain(nested.get_visible_aliases()))
        .collect();
    if let Some(similar) = similar(given, names.iter().copied()) {
        let similar = ContextValue::Strings(vec![similar.to_owned()]);
        error.insert(ContextKind::SuggestedSubcommand, similar);
    }
    error
}

/// Returns the whole tree, for completions and man pages.
pub(crate) fn tree() -> clap::Command {
    Cli::command()
}

/// Returns the help tree: a command shows its own options, and a line about the global options.
fn help_tree() -> clap::Command {
    let tree = tree();
    let global: Vec<Arg> = tree
        .get_arguments()
        .filter(|argument| argument.is_global_set())
        .map(|argument| argument.clone().hide(true))
        .collect();
    let nested: Vec<clap::Command> =
        tree.get_subcommands().map(|nested| with_own_options(nested.clone(), &global)).collect();
    nested.into_iter().fold(tree, |tree, nested| {
        let name = nested.get_name().to_owned();
        tree.mut_subcommand(name, |_| nested)
    })
}

/// Hides the global options in a command and its subcommands.
fn with_own_options(command: clap::Command, global: &[Arg]) -> clap::Command {
    let nested: Vec<clap::Command> =
        command.get_subcommands().map(|nested| with_own_options(nested.clone(), global)).collect();
    let command = nested.into_iter().fold(command, |command, nested| {
        let name = nested.get_name().to_owned();
        command.mut_subcommand(name, |_| nested)
    });
    command.args(global).after_help(GLOBAL_HELP)
}

/// Help text that says where to find the global options.
const GLOBAL_HELP: &str = "Options of every command, such as `--json`: `keystead --help`";

/// Global options that take a value.
const VALUED: [&str; 4] = ["--unlock", "--timeout", "--color", "--config-dir"];

/// Global options that take no value.
const FLAGS: [&str; 10] = [
    "--json",
    "--no-input",
    "--verbose",
    "-v",
    "-vv",
    "--quiet",
    "-q",
    "--system",
    "--yes",
    "--dry-run",
];

/// Parses a command by its own definition alone, with any global options before it. Returns `None`
/// for help, an error, or a command of several words.
fn parse_fast(arguments: &[OsString]) -> Option<Cli> {
    let arguments = arguments.get(1..)?;
    let mut at = 0;
    let command = loop {
        let word = arguments.get(at)?.to_str()?;
        let name = word.split_once('=').map_or(word, |(name, _)| name);
        match word {
            _ if VALUED.contains(&word) => at += 2,
            _ if VALUED.contains(&name) || FLAGS.contains(&word) => at += 1,
            _ if word.starts_with('-') => return None,
            command => break command,
        }
    };
    // Global options mean the same after the command.
    let mut ordered = arguments.to_vec();
    ordered[..=at].rotate_right(1);
    match command {
        "get" => alone(&ordered, Command::Get),
        "set" => alone(&ordered, Command::Set),
        "list" | "ls" => alone(&ordered, Command::List),
        "show" => alone(&ordered, Command::Show),
        "remove" | "rm" => alone(&ordered, Command::Remove),
        _ => None,
    }
}

fn alone<A: Args + FromArgMatches>(
    arguments: &[OsString],
    command: fn(A) -> Command,
) -> Option<Cli> {
    let parser = clap::Command::new("keystead");
    // This command has no subcommands to hand options on to.
    let parser = Global::augment_args(A::augment_args(parser)).mut_args(|one| one.global(false));
    let mut matches: ArgMatches = parser.try_get_matches_from(arguments).ok()?;
    // The `_mut` variants take their own arguments out; the other variants copy all of them first.
    Some(Cli {
        global: Global::from_arg_matches_mut(&mut matches).ok()?,
        command: command(A::from_arg_matches_mut(&mut matches).ok()?),
        version: None,
    })
}

/// Returns the value of `--color` where the arguments cannot be parsed.
pub(crate) fn color_of(arguments: &[OsString]) -> Color {
    let options: Vec<_> = arguments.iter().take_while(|argument| *argument != "--").collect();
    let attached = options.iter().find_map(|option| option.to_str()?.strip_prefix("--color="));
    let next = options.iter().position(|option| *option == "--color");
    let next = next.and_then(|at| options.get(at + 1)?.to_str());
    attached.or(next).and_then(|when| Color::from_str(when, false).ok()).unwrap_or(Color::Auto)
}

fn form_of(arguments: &[OsString]) -> OutputFormat {
    let mut options = arguments.iter().take_while(|argument| *argument != "--");
    if options.any(|argument| argument == "--json") {
        OutputFormat::Json
    } else {
        OutputFormat::Text
    }
}

fn is_value_for_set(error: &clap::Error, arguments: &[OsString]) -> bool {
    let is_set = arguments.iter().skip(1).any(|argument| argument == "set");
    let extra = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(extra)) => !extra.starts_with('-'),
        _ => false,
    };
    is_set && extra && error.kind() == ErrorKind::UnknownArgument
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn command_tree_passes_clap_debug_assert() {
        tree().debug_assert();
    }

    #[test]
    fn fast_parser_agrees_with_whole_tree() {
        for text in [
            "keystead get a",
            "keystead get a -V work --json",
            "keystead get --any --timeout 3s -- -a",
            "keystead get keystead://work/a#b -q",
            "keystead set a --kind map --stdin --meta k=v --meta n:=3",
            "keystead set a -Vwork --user bob --file /tmp/x --dry-run",
            "keystead ls db/* --color never",
            "keystead list --config-dir /x -vv",
            "keystead list --expiring 30d --expired --tag a --tag b",
            "keystead show a --any",
            "keystead rm a --vault=work --yes",
            "keystead -q get a",
            "keystead --json --timeout 3s -vv --color=never list --tag a",
            "keystead --unlock password=env:X --config-dir /x set a --stdin",
        ] {
            let alone = parse_fast(&line(text)).unwrap_or_else(|| panic!("{text}"));
            let whole = Cli::try_parse_from(line(text)).unwrap();
            assert_eq!(format!("{alone:?}"), format!("{whole:?}"), "{text}");
        }
    }

    #[test]
    fn fast_parser_knows_every_global_option() {
        for argument in Global::augment_args(clap::Command::new("keystead")).get_arguments() {
            let Some(long) = argument.get_long() else { continue };
            let long = format!("--{long}");
            let valued = argument.get_action().takes_values();
            assert_eq!(VALUED.contains(&&*long), valued, "{long}");
            assert_eq!(FLAGS.contains(&&*long), !valued, "{long}");
        }
    }

    #[test]
    fn fast_parser_declines_help_and_errors() {
        for text in [
            "keystead get --help",
            "keystead get",
            "keystead get a --nojson",
            "keystead",
            "keystead -q",
            "keystead --timeout",
            "keystead --help get a",
            "keystead -V work get a",
            "keystead --vault=work get a",
            "keystead -- get a",
        ] {
            assert!(parse_fast(&line(text)).is_none(), "{text}");
        }
    }

    #[test]
    fn set_value_as_argument_is_rejected_unprinted() {
        let stop = parse(&line("keystead set token hunter2")).unwrap_err();
        assert!(matches!(stop, ParseError::ValueAsArgument { form: OutputFormat::Text }));
        let stop = parse(&line("keystead set token --nosuch")).unwrap_err();
        assert!(matches!(stop, ParseError::Wrong { form: OutputFormat::Text, .. }));
        let stop = parse(&line("keystead set token --nosuch --json")).unwrap_err();
        assert!(matches!(stop, ParseError::Wrong { form: OutputFormat::Json, .. }));
    }
}
