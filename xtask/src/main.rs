//! Installs, tests and measures Keystead: `cargo xtask install | test | bench | vaults |
//! obligations | library | contract`.
//!
//! Only the words of the command line are read here; each command is a module of its name.
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
  test --platform kernels    Boot older kernels and run what depends on them there
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
    let Some((command, rest)) = words.split_first() else {
        eprint!("{HELP}");
        return ExitCode::from(2);
    };
    let done = match command.as_str() {
        "bench" => bench::run(rest),
        "contract" => contract::run(rest),
        "install" => install::run(rest),
        "library" => library::run(rest),
        "obligations" => obligations::run(rest),
        "test" => test::run(rest),
        "vaults" => vaults::run(rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        other => {
            eprintln!("error: no command `{other}`\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
