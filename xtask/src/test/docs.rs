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

/// Returns the links of all documents that lead to no file of the checkout, or to no heading of the
/// page that they name.
pub(super) fn broken_links(workspace: &Workspace) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for document in documents(workspace)? {
        let text = fs_err::read_to_string(workspace.root().join(&document))?;
        for (line, target) in links(&text) {
            if let Some(fault) = link_fault(workspace.root(), &document, target)? {
                faults.push(format!("{}:{line}: {fault}", document.display()));
            }
        }
    }
    Ok(faults)
}

/// Returns the links of a page to other files, each with its line.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().flat_map(|(index, line)| {
        let marks = line.match_indices("](");
        marks.filter_map(move |(at, mark)| {
            let target = line[at + mark.len()..].split([')', ' ']).next()?;
            let is_outside = target.contains("://") || target.starts_with("mailto:");
            (!target.is_empty() && !is_outside).then_some((index + 1, target))
        })
    })
}

/// Returns what is wrong with a link of a document, a path relative to the root.
fn link_fault(root: &Path, document: &Path, target: &str) -> Result<Option<String>> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = match path {
        "" => root.join(document),
        _ => root.join(document.parent().unwrap_or(Path::new(""))).join(path),
    };
    if !file.exists() {
        return Ok(Some(format!("`{path}` does not exist")));
    }
    let is_page = file.extension().is_some_and(|extension| extension == "md");
    if anchor.is_empty() || !is_page {
        return Ok(None);
    }
    let is_there = anchors(&fs_err::read_to_string(&file)?).iter().any(|known| known == anchor);
    Ok((!is_there).then(|| format!("`{target}`: the page has no heading `#{anchor}`")))
}

/// Returns the anchors of a page's headings, as hosting sites make them: lower case, blanks as dashes,
/// of other signs only `-` and `_`; a second heading of the same text ends in `-1`.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    let mut is_code = false;
    for line in text.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        }
        let heading = line.trim_start_matches('#');
        let level = line.len() - heading.len();
        let Some(heading) = heading.strip_prefix(' ').filter(|_| !is_code && level > 0) else {
            continue;
        };
        let anchor: String = without_targets(heading)
            .trim()
            .to_lowercase()
            .chars()
            .map(|sign| if sign == ' ' { '-' } else { sign })
            .filter(|sign| sign.is_alphanumeric() || matches!(sign, '-' | '_'))
            .collect();
        let further = (0..)
            .map(|count| if count == 0 { anchor.clone() } else { format!("{anchor}-{count}") })
            .find(|name| !anchors.contains(name));
        anchors.extend(further);
    }
    anchors
}

/// Returns a heading without the targets of its links: `[text](target)` is `[text]`.
fn without_targets(heading: &str) -> String {
    let mut parts = heading.split("](");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(part.split_once(')').map_or("", |(_, rest)| rest));
    }
    text
}

/// Returns the documents, relative to the checkout.
fn documents(workspace: &Workspace) -> Result<Vec<PathBuf>> {
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
    fn link_to_missing_file_or_heading_is_a_fault() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs_err::write(root.path().join(name), text).unwrap();
        fs_err::create_dir(root.path().join("docs")).unwrap();
        write(
            "docs/a.md",
            "# A page\n[b](b.md#what-it-is) [x](https://x.example/#y) [](#a-page)\n",
        );
        write(
            "docs/b.md",
            "# `b`: [one](a.md), *two*\n## What it is\n```\n# No heading\n```\n## What it is\n",
        );
        let page = Path::new("docs/a.md");
        let fault = |target: &str| link_fault(root.path(), page, target).unwrap();
        let text = fs_err::read_to_string(root.path().join(page)).unwrap();
        let found: Vec<_> = links(&text).collect();
        assert_eq!(found, [(2, "b.md#what-it-is"), (2, "#a-page")]);
        for sound in ["b.md", "b.md#what-it-is", "b.md#what-it-is-1", "b.md#b-one-two", "#a-page"] {
            assert_eq!(fault(sound), None, "{sound}");
        }
        assert_eq!(fault("c.md#what-it-is").unwrap(), "`c.md` does not exist");
        for wrong in ["b.md#what-it-was", "b.md#no-heading", "b.md#what-it-is-2", "#what-it-is"] {
            assert!(fault(wrong).unwrap().contains("has no heading"), "{wrong}");
        }
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
