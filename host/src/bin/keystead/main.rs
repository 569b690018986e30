//! The command line.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    // A runner is no command, and starts before anything else of the binary does.
    if let Some(code) = keystead::plugin::runner::dispatch(std::env::args_os()) {
        return code;
    }
    ExitCode::SUCCESS
}
