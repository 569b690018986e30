//! The command line of Keystead: the only crate that reads the environment, uses a terminal and
//! ends the process. The library decides what a command means.
#![deny(unsafe_code)]

mod cli;
mod commands;
mod completion;
mod duration;
mod elsewhere;
mod environment;
mod failure;
mod intent;
mod lost;
mod metadata;
mod new_plugin;
mod progress;
mod similar;
mod streams;
mod terminal;
mod text;
mod ui;
mod unlock;
mod value;
mod waiting;

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use cli::Parsed;
use failure::{Exit, Failure};
use rustix::process::DumpableBehavior;
use ui::{OutputFormat, Ui};

fn main() -> ExitCode {
    // Before anything is read: the user who starts a set-user-ID program controls its input.
    if let Err(refusal) = keystead::internals::ids::check() {
        return ExitCode::from(Ui::refuse(&keystead::Error::from(refusal).into()).code());
    }
    // Neither runner nor agent is a command: they must not parse, read or print anything else.
    if let Some(code) = keystead::runner::dispatch(std::env::args_os()) {
        return code;
    }
    if let Some(code) = keystead::agent::dispatch(std::env::args_os()) {
        return code;
    }
    if let Err(fault) = keystead::internals::ids::give_up_gained() {
        let failure = Failure::act("cannot give up the capabilities of this program's file");
        return ExitCode::from(Ui::refuse(&failure.because(fault)).code());
    }
    // Secrets and sessions pass through: no core file, and no access by the user's other programs.
    // If the system refuses that, they have access as to any program.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(code) = completion::dispatch(&arguments) {
        return code;
    }
    // The exit code also distinguishes a bug of Keystead from an error that the user can fix.
    let exit = catch_unwind(AssertUnwindSafe(|| work(&arguments))).unwrap_or(Exit::Bug);
    if let Some(signal) = terminal::ended_by() {
        // A parent process, such as a shell's loop, sees the signal that ended this process.
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    }
    ExitCode::from(exit.code())
}

fn work(arguments: &[OsString]) -> Exit {
    let cli = match cli::parse(arguments) {
        Ok(Parsed::Command(cli)) => cli,
        Ok(Parsed::Answer(text)) => {
            return Ui::before_parsing(OutputFormat::Text, cli::color_of(arguments))
                .answer_styled(&text);
        }
        Err(stop) => return Ui::usage(&stop, cli::color_of(arguments)),
    };
    let ui = Ui::new(&cli.global);
    match commands::run(*cli, &ui) {
        Ok(exit) => exit,
        Err(failure) => report(&ui, &failure),
    }
}

fn report(ui: &Ui, failure: &Failure) -> Exit {
    ui.failure(failure);
    failure.exit
}
