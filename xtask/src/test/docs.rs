//! Executes the documents: what README.md and docs/ show as typed is typed, and what they show
//! as answered must be answered.
//!
//! A block marked `console` holds commands (`$ ` begins one, `> ` continues it) and below each
//! its whole output, both streams as a terminal shows them. `[..]` stands for anything within
//! a line, `...` for any lines, and a last line `? 3` for the exit code where it is not 0. The
//! blocks of one document run one after the other, in one temporary home that is shown as
//! `/home/you`, with Keystead installed as `cargo xtask install` does it. Directory and exported
//! variables stay from command to command, as in a shell. A block marked `console root` is typed as root
//! on a machine of its own, whose `/etc` and `/usr/local/lib` are directories of that home; without root
//! its document is left out.

use std::env;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use snapbox::{Assert, Data};

use crate::Result;
use crate::process::{captured, command, succeed};
use crate::provision::debian;
use crate::report::Outcome;
use crate::workspace::Workspace;

/// What a document calls the home it runs in.
const HOME: &str = "/home/you";

/// Makes the directories of a machine of its own, in a home.
const MACHINE: &str = "mkdir -p .machine/etc .machine/lib; cp /etc/passwd /etc/group .machine/etc";

/// Runs a script of bash there.
const INSIDE: &str = "mount --bind .machine/etc /etc; mount --bind .machine/lib /usr/local/lib
    exec bash -c \"$1\"";

/// One typed command and what the document says it answers.
#[derive(Default)]
struct Example {
    line: usize,
    typed: String,
    answer: String,
    code: i32,
    as_root: bool,
}

/// Runs every example of every document and counts them.
pub(super) fn executed(workspace: &Workspace, prefix: &Path) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for document in documents(workspace)? {
        let text = workspace.read(&document)?;
        let home = tempfile::Builder::new().prefix("keystead-docs-").tempdir()?;
        let examples = examples(&text)?;
        if examples.iter().any(|example| example.as_root) {
            if !debian::is_root()? {
                println!("left out, as this user is not root: {}", document.display());
                continue;
            }
            succeed(command("sh -ec").arg(MACHINE).current_dir(home.path()))?;
        }
        for example in examples {
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
    let (mut is_fenced, mut is_console, mut as_root) = (false, false, false);
    // Whether a command of this block stands above: output needs one.
    let mut begun = false;
    for (index, line) in text.lines().enumerate() {
        if let Some(info) = line.strip_prefix("```") {
            as_root = info == "console root";
            let is_console_here = !is_fenced && (as_root || info == "console");
            (is_fenced, is_console, begun) = (!is_fenced, is_console_here, false);
        } else if let (true, Some(typed)) = (is_console, line.strip_prefix("$ ")) {
            begun = true;
            let (line, typed) = (index + 1, typed.to_owned());
            examples.push(Example { line, typed, as_root, ..Example::default() });
        } else if is_console {
            let example = examples.last_mut().filter(|_| begun);
            let example = example.ok_or_else(|| format!("line {}: no command above", index + 1))?;
            let code = line.strip_prefix("? ").and_then(|code| code.parse().ok());
            match (line.strip_prefix("> "), code) {
                (Some(more), _) if example.answer.is_empty() => {
                    example.typed += &format!("\n{more}")
                }
                (_, Some(code)) => example.code = code,
                _ => example.answer += &format!("{line}\n"),
            }
        }
    }
    Ok(examples)
}

/// Types one command and compares its answer with the document's.
fn run(example: &Example, prefix: &Path, home: &Path) -> Result<()> {
    let state = home.join(".shell-state");
    let shown = state.display();
    let script = format!(
        "sudo() {{ \"$@\"; }}; [ -f '{shown}' ] && . '{shown}'\n{}\ncode=$?\n{{ export -p; printf 'cd %q\\n' \"$PWD\"; }} > '{shown}'\nexit $code\n",
        example.typed
    );
    let mut bash = match example.as_root {
        true => command("unshare --mount sh -ec"),
        false => command("bash -c"),
    };
    if example.as_root {
        bash.args([INSIDE, "sh"]);
    }
    bash.arg(&script).env_clear().current_dir(home).env("HOME", home);
    let cargo = env::var_os("CARGO").map(PathBuf::from).unwrap_or_default();
    let mut path = vec![prefix.join("bin"), cargo.parent().unwrap_or(&cargo).to_owned()];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    bash.env("PATH", env::join_paths(path)?).env("LC_ALL", "C.UTF-8").env("COLUMNS", "100");
    // A document that builds a plugin uses the crates that are here already.
    let real = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    for (variable, dir) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        bash.env(variable, env::var_os(variable).map_or_else(|| real.join(dir), PathBuf::from));
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
