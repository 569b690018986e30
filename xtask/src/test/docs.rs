//! Executes the documents: what README.md and docs/ show as typed is typed, and what they show
//! as answered must be answered.
//!
//! A block marked `console` holds commands (`$ ` begins one, `> ` continues it) and below each
//! its whole output, both streams as a terminal shows them. `[..]` stands for anything within
//! a line, `...` for any lines, and a last line `? 3` for the exit code where it is not 0. The
//! blocks of one document run one after the other, in one temporary home that is shown as
//! `/home/you`, with Keystead installed as `cargo xtask install` does it. Folder and exported
//! variables stay from command to command, as in a shell.

use std::env;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use snapbox::{Assert, Data};

use crate::Result;
use crate::process::captured;
use crate::report::Outcome;
use crate::workspace::Workspace;

/// What a document calls the home it runs in.
const HOME: &str = "/home/you";

/// One typed command and what the document says it answers.
#[derive(Debug, PartialEq, Eq)]
struct Example {
    line: usize,
    typed: String,
    answer: String,
    code: i32,
}

/// Runs every example of every document and counts them.
pub(super) fn executed(workspace: &Workspace, prefix: &Path) -> Result<Outcome> {
    let mut outcome = Outcome::quiet();
    for document in documents(workspace)? {
        let text = fs_err::read_to_string(workspace.root().join(&document))?;
        let home = tempfile::Builder::new().prefix("keystead-docs-").tempdir()?;
        for example in examples(&text)? {
            let place = format!("{}:{}", document.display(), example.line);
            match run(&example, prefix, home.path()) {
                Ok(()) => outcome.passed += 1,
                Err(error) => {
                    outcome.failed += 1;
                    let _ = writeln!(outcome.output, "{place}: $ {}\n{error}\n", example.typed);
                }
            }
        }
    }
    Ok(outcome)
}

/// Returns the documents, relative to the checkout.
pub(super) fn documents(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let own = |file: &PathBuf| file.starts_with("docs") || file.as_os_str() == "README.md";
    Ok(workspace.files("md")?.into_iter().filter(own).collect())
}

/// Returns the examples in the `console` blocks of a document.
fn examples(text: &str) -> Result<Vec<Example>> {
    let mut examples: Vec<Example> = Vec::new();
    let mut fence: Option<&str> = None;
    // Whether a command of this block stands above: output needs one.
    let mut begun = false;
    for (index, line) in text.lines().enumerate() {
        if let Some(info) = line.strip_prefix("```") {
            (fence, begun) = (if fence.is_some() { None } else { Some(info.trim()) }, false);
            continue;
        }
        if fence != Some("console") {
            continue;
        }
        if let Some(typed) = line.strip_prefix("$ ") {
            examples.push(Example {
                line: index + 1,
                typed: typed.to_owned(),
                answer: String::new(),
                code: 0,
            });
            begun = true;
            continue;
        }
        let Some(example) = examples.last_mut().filter(|_| begun) else {
            return Err(format!("line {}: output without a command above it", index + 1).into());
        };
        match line.strip_prefix("> ") {
            Some(more) if example.answer.is_empty() => {
                example.typed.push('\n');
                example.typed.push_str(more);
            }
            _ => match line.strip_prefix("? ").map(str::parse) {
                Some(Ok(code)) => example.code = code,
                _ => {
                    example.answer.push_str(line);
                    example.answer.push('\n');
                }
            },
        }
    }
    Ok(examples)
}

/// Types one command and compares its answer with the document's.
fn run(example: &Example, prefix: &Path, home: &Path) -> Result<()> {
    let state = home.join(".shell-state");
    let shown = state.display();
    let script = format!(
        "[ -f '{shown}' ] && . '{shown}'\n{}\ncode=$?\n{{ export -p; printf 'cd %q\\n' \"$PWD\"; }} > '{shown}'\nexit $code\n",
        example.typed
    );
    let mut bash = Command::new("bash");
    bash.args(["-c", &script]).env_clear().current_dir(home).env("HOME", home);
    let mut path = prefix.join("bin").into_os_string();
    for more in [
        env::var_os("CARGO").and_then(|cargo| Some(Path::new(&cargo).parent()?.into())),
        env::var_os("PATH"),
    ] {
        path.push(":");
        path.push(more.unwrap_or_default());
    }
    bash.env("PATH", path).env("LC_ALL", "C.UTF-8").env("COLUMNS", "100");
    // A document that builds a plugin uses the crates that are here already.
    let real = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    for (variable, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        bash.env(variable, env::var_os(variable).map_or_else(|| real.join(folder), PathBuf::from));
    }
    let (_, output) = captured(&mut bash);
    let (_, said) = output.split_once('\n').unwrap_or_default();
    let (said, code) = match said.rsplit_once("exit status: ") {
        Some((said, code)) if !code.trim().is_empty() => (said, code.trim().parse().unwrap_or(-1)),
        _ => (said, 0),
    };
    let said = said
        .replace(&*home.to_string_lossy(), HOME)
        .replace(&*prefix.to_string_lossy(), &format!("{HOME}/.local"));
    let text = |text: &str| Data::text(text.trim_end());
    Assert::new().action_env("KEYSTEAD_DOCS").try_eq(None, text(&said), text(&example.answer))?;
    if code != example.code {
        return Err(format!("exit code {code}, not {}", example.code).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(line: usize, typed: &str, answer: &str, code: i32) -> Example {
        Example { line, typed: typed.into(), answer: answer.into(), code }
    }

    #[test]
    fn reads_commands_their_answers_and_their_exit_codes() {
        let text = "Text\n```sh\n$ not this\n```\n```console\n$ one \\\n> two\nanswer\n\n$ three\n? 3\n```\n";
        let expected = [example(6, "one \\\ntwo", "answer\n\n", 0), example(10, "three", "", 3)];
        assert_eq!(examples(text).unwrap(), expected);
        assert!(examples("```console\nanswer\n```\n").is_err());
    }

    #[test]
    fn an_answer_that_differs_is_a_failure_and_wildcards_are_not() {
        let home = tempfile::tempdir().unwrap();
        let run = |typed: &str, answer: &str, code: i32| {
            run(&example(1, typed, answer, code), Path::new("/p"), home.path())
        };
        run("mkdir a; cd a; export B=b", "", 0).unwrap();
        run("echo $B; pwd", "b\n/home/you/a\n", 0).unwrap();
        run("echo one; echo two; echo three >&2", "o[..]\n...\nthree\n", 0).unwrap();
        run("(exit 3)", "", 3).unwrap();
        assert!(run("echo one", "two\n", 0).is_err());
        assert!(run("echo one; (exit 1)", "one\n", 0).is_err());
    }
}
