//! Installs, tests and measures Keystead. Only the words of the command line are read here; each command is a module of its name.
#![forbid(unsafe_code)]
// Talking to whoever typed the command is what this program is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod cache;
mod contract;
mod install;
mod library;
mod obligations;
mod part;
mod process;
mod provision;
mod report;
mod test;
mod vaults;
mod workspace;

use std::process::ExitCode;

/// What every fallible step of a task answers: these errors are only ever read by a person.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const HELP: &str = "\
Usage: cargo xtask <COMMAND>

Commands:
  install [--prefix DIR]     Build host and plugins, try them, install them (default: ~/.local)
  test [--fuzz-seconds N]    Run everything CI runs (each fuzz target N seconds, default 60)
  test --list                Print the names of the suites that make up a test run
  test NAME...               Run these suites only, such as `format clippy`
  test --platform NAME       Run what needs long set-up: `kernels`, `kernels:bookworm`, `kernels:trixie`
  bench [--quick]            Measure Keystead beside its floors and the peers that are installed
  bench --write              Do so, and write docs/reference/performance.md and docs/reference/performance.svg
  bench --gate | --accept    Hold the instructions of a `get` to their figure, as `test` does; or
                             write the figure anew
  vaults [--write]           Compare the tables of docs/reference/vault-kinds.md with the plugins' manifests, as
                             `test` does; or write them anew
  obligations [--write]      Compare docs/reference/obligations.md with the contract's list, as `test` does; or
                             write it anew
  library [--write]          Compare docs/reference/library.md with the library's public items and its crates, as
                             `test` does; or write it anew
  contract [--write]         Compare the boundary with the copies of the contract that plugins are built
                             from in the tests, as `test` does: it may only grow at its ends. Or write
                             down the boundary and the copy of this version anew, while it is a draft
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = words.split_first().map_or(("", &[][..]), |(word, rest)| (word, rest));
    let is_help = rest.iter().any(|word| word == "--help");
    let done = match if is_help { "help" } else { command } {
        "bench" => bench::run(rest),
        "contract" => contract::run(rest),
        "install" => install::run(rest),
        "library" => library::PART.run(rest),
        "obligations" => obligations::PART.run(rest),
        "test" => test::run(rest),
        "vaults" => vaults::PART.run(rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        other => {
            eprintln!("error: no command `{other}`\n\n{HELP}");
            Ok(ExitCode::from(2))
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}
