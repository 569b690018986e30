//! Answers to Tab in a shell: the scripts of `keystead completions` call back with a hidden
//! argument. Prints only candidates, never prompts, and ends in time whatever the vaults do.

mod bash;
mod line;
mod names;
mod nushell;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::text;
use crate::ui::Ui;
use crate::{cli, environment};
use line::{Line, Sought};

/// The first argument of a completion. No command has this name.
const ARGUMENT: &str = "__complete";

/// Time limit of an answer without `KEYSTEAD_NAMES_TIMEOUT`: users notice a longer wait.
const PATIENCE: Duration = Duration::from_millis(200);

/// Part of the time limit for the start and the end of the process.
const STARTING: Duration = Duration::from_millis(20);

/// Part of the time limit that remains when the wait for secrets' names ends: the names found by
/// then are the answer.
const ANSWERING: Duration = Duration::from_millis(30);

/// A word that can stand at the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    /// The whole word.
    value: String,
    /// Description in a line; may be empty.
    help: String,
}

impl Candidate {
    fn new(value: impl Into<String>, help: impl Into<String>) -> Self {
        Self { value: value.into(), help: help.into() }
    }
}

/// Completions of a word.
#[derive(Debug, PartialEq, Eq)]
enum Candidates {
    /// One of these words.
    Words(Vec<Candidate>),
    /// A path, which the shell completes itself.
    Files,
}

/// Answers the shell where these are a completion's arguments. Prints no errors, since they would
/// appear in the middle of the user's command line.
pub(crate) fn dispatch(arguments: &[OsString]) -> Option<ExitCode> {
    if arguments.get(1)? != ARGUMENT {
        return None;
    }
    let started = Instant::now();
    let patience = environment::names_timeout().unwrap_or(PATIENCE) - STARTING;
    let arguments: Vec<String> =
        arguments.iter().skip(2).filter_map(|word| word.to_str().map(str::to_owned)).collect();
    let (sender, answered) = mpsc::sync_channel(1);
    let work = move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let _ = sender.send(answer(&arguments, started + (patience - ANSWERING)));
    };
    // Work after the deadline ends with the process, and so do its vaults' runners.
    if std::thread::Builder::new().spawn(work).is_ok()
        && let Ok(Some(answer)) = answered.recv_timeout(patience)
    {
        Ui::candidates(&answer);
    }
    Some(ExitCode::SUCCESS)
}

/// Returns the answer in the form that this shell's script reads.
fn answer(arguments: &[&str], until: Instant) -> Option<String> {
    match *arguments {
        ["bash", line, breaks] => {
            let typed = bash::Typed::parse(line, breaks)?;
            Some(match complete(&typed.words, &typed.current, until) {
                Candidates::Files => "files\n".to_owned(),
                Candidates::Words(words) => {
                    let words = words.iter().filter_map(|word| typed.replacement(&word.value));
                    answer_lines(words)
                }
            })
        }
        ["nushell", line] => {
            let typed = nushell::Typed::parse(line);
            Some(match complete(&typed.words, &typed.current, until) {
                Candidates::Files => "null\n".to_owned(),
                Candidates::Words(words) => nushell::json(&words),
            })
        }
        ["zsh" | "fish", "--", ref before @ .., current]
        | ["powershell", "within", "--", ref before @ .., current] => {
            Some(lines(before, current, until))
        }
        // Windows PowerShell cannot pass an empty word.
        ["powershell", "new", "--", ref before @ ..] => Some(lines(before, "", until)),
        _ => None,
    }
}

/// Returns candidates for a shell that does the quoting itself.
fn lines(before: &[&str], current: &str, until: Instant) -> String {
    let before: Vec<String> = before.iter().map(|&word| word.to_owned()).collect();
    match complete(&before, current, until) {
        Candidates::Files => "files\n".to_owned(),
        Candidates::Words(words) => answer_lines(words.iter().map(|word| match &*word.help {
            "" => word.value.clone(),
            help => format!("{}\t{help}", word.value),
        })),
    }
}

fn answer_lines(words: impl Iterator<Item = String>) -> String {
    let mut answer = String::from("words\n");
    for word in words {
        answer.push_str(&word);
        answer.push('\n');
    }
    answer
}

/// Returns the candidates for `current`, after these words.
fn complete(words: &[String], current: &str, until: Instant) -> Candidates {
    let mut tree = cli::tree();
    tree.build();
    let line = Line::parse(&tree, words);
    let (sought, attached) = line.sought(current);
    let prefix = &current[attached.len()..];
    let found = match sought {
        Sought::Options => line.options(),
        Sought::Word => {
            let mut found = line.subcommands();
            if let Some(argument) = line.positional() {
                match names::of(&line, argument, prefix, until) {
                    Candidates::Files => return Candidates::Files,
                    Candidates::Words(words) => found.extend(words),
                }
            }
            found
        }
        Sought::Value(argument) => match names::of(&line, argument, prefix, until) {
            Candidates::Files => return Candidates::Files,
            Candidates::Words(words) => words,
        },
        Sought::Nothing => Vec::new(),
    };
    let mut fitting: Vec<Candidate> = found
        .into_iter()
        .filter(|candidate| candidate.value.starts_with(prefix))
        // Drops values that cannot be typed as they look, or that harm the terminal.
        .filter(|candidate| text::visible(&candidate.value) == candidate.value)
        // A name with a leading `-` is an option unless `--` stands before it.
        .filter(|candidate| {
            !matches!(sought, Sought::Word)
                || line.is_escaped()
                || !candidate.value.starts_with('-')
        })
        .map(|candidate| Candidate { value: format!("{attached}{}", candidate.value), ..candidate })
        .collect();
    fitting.sort_by(|a, b| a.value.cmp(&b.value));
    fitting.dedup_by(|a, b| a.value == b.value);
    Candidates::Words(fitting)
}
