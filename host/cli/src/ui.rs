//! The two streams: standard output for results, standard error for messages. All output is printed
//! here. Secrets are written unbuffered, so that no copy stays.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use clap::builder::StyledStr;
use keystead::internals::escape;
use keystead::internals::json::escaped;
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use serde::Serialize;

use crate::cli::{Color, Global, ParseError};
use crate::failure::{Exit, Failure};
use crate::terminal::ended_by;
use crate::text;

/// Output streams for results and messages, and their format.
#[derive(Debug)]
pub(crate) struct Ui {
    form: OutputFormat,
    color: ColorChoice,
    talk: Verbosity,
    answers_terminal: bool,
}

/// Format of results and errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputFormat {
    /// Text for users.
    Text,
    /// JSON for programs.
    Json,
}

/// Amount of messages on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Errors only.
    Quiet,
    /// And notes about completed actions.
    Usual,
    /// And messages of plugins.
    More,
    /// Everything.
    All,
}

impl Ui {
    /// Returns the streams for these global options.
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            form: if global.json { OutputFormat::Json } else { OutputFormat::Text },
            color: choice(global.color),
            talk: match (global.quiet, global.verbose) {
                (true, _) => Verbosity::Quiet,
                (false, 0) => Verbosity::Usual,
                (false, 1) => Verbosity::More,
                (false, _) => Verbosity::All,
            },
            answers_terminal: rustix::termios::isatty(rustix::stdio::stdout()),
        }
    }

    /// Returns the streams for errors before the command line is parsed.
    pub(crate) fn before_parsing(form: OutputFormat, color: Color) -> Self {
        Self {
            form,
            color: choice(color),
            talk: Verbosity::Usual,
            answers_terminal: rustix::termios::isatty(rustix::stdio::stdout()),
        }
    }

    /// Returns the format of results and messages.
    pub(crate) fn form(&self) -> OutputFormat {
        self.form
    }

    /// Returns whether results are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.form == OutputFormat::Json
    }

    /// Returns whether standard output is a terminal.
    pub(crate) fn answers_terminal(&self) -> bool {
        self.answers_terminal
    }

    /// Returns whether messages are text on a terminal.
    pub(crate) fn tells_terminal(&self) -> bool {
        self.form == OutputFormat::Text && rustix::termios::isatty(rustix::stdio::stderr())
    }

    /// Returns the verbosity.
    pub(crate) fn talk(&self) -> Verbosity {
        self.talk
    }

    /// Writes these bytes to standard output, as they are and unbuffered.
    ///
    /// # Errors
    /// [`Failure::closed`] if the reader closed the pipe.
    pub(crate) fn answer(&self, bytes: &[u8]) -> Result<(), Failure> {
        Stream::answer().write_all(bytes).map_err(lost)
    }

    /// Returns standard output, unbuffered, for consecutive secrets.
    pub(crate) fn stream(&self) -> impl Write {
        Stream::answer()
    }

    /// Writes the completions of a word. Ignores a reader that is gone.
    pub(crate) fn candidates(answer: &str) {
        let _ = Stream::answer().write_all(answer.as_bytes());
    }

    /// Writes an object as a line of JSON.
    ///
    /// # Errors
    /// As [`Ui::answer`].
    pub(crate) fn json(&self, object: &impl Serialize) -> Result<(), Failure> {
        let line = escaped::to_string(object) + "\n";
        self.answer(line.as_bytes())
    }

    /// Returns a buffered writer of many lines; finished with [`Lines::finish`].
    pub(crate) fn lines(&self) -> Lines {
        Lines { out: BufWriter::new(Stream::answer()), terminal: self.answers_terminal }
    }

    /// Writes a line that may hold foreign text, as [`Lines::line`] does.
    ///
    /// # Errors
    /// As [`Ui::answer`].
    pub(crate) fn line(&self, line: &str) -> Result<(), Failure> {
        let mut lines = self.lines();
        lines.line(line)?;
        lines.finish()
    }

    /// Prints a plugin's log message, in the format of the other messages.
    pub(crate) fn logged(form: OutputFormat, vault: &str, level: &'static str, message: &str) {
        let message = text::visible(message);
        let line = match form {
            OutputFormat::Text => format!("vault `{vault}`: {message}\n"),
            OutputFormat::Json => {
                #[derive(Serialize)]
                struct Object<'a> {
                    schema: u32,
                    log: &'a str,
                    level: &'static str,
                    vault: &'a str,
                }
                let object = Object { schema: 1, log: &message, level, vault };
                let line = escaped::to_string(&object);
                format!("{line}\n")
            }
        };
        // In one write, since other threads may log as well.
        let _ = rustix::io::write(rustix::stdio::stderr(), line.as_bytes());
    }

    /// Prints a note, unless the output is quiet or JSON.
    pub(crate) fn note(&self, message: &str) {
        if self.talk > Verbosity::Quiet && self.form == OutputFormat::Text {
            self.say(&format!("{}\n", text::visible(message)));
        }
    }

    /// Prints a warning, after which the command goes on.
    pub(crate) fn warn(&self, message: &str) {
        let message = text::visible(message);
        match self.form {
            OutputFormat::Text => self.say(&format!("{WARNING}Warning:{WARNING:#} {message}\n")),
            OutputFormat::Json => {
                #[derive(Serialize)]
                struct Object<'a> {
                    schema: u32,
                    warning: &'a str,
                }
                let object = Object { schema: 1, warning: &message };
                let line = escaped::to_string(&object);
                self.say(&format!("{line}\n"));
            }
        }
    }

    /// Prints the error that ended the command early.
    pub(crate) fn failure(&self, failure: &Failure) {
        if failure.is_quiet() {
            return;
        }
        match self.form {
            OutputFormat::Text => self.say(&failure.styled()),
            OutputFormat::Json => self.say(&format!("{}\n", failure.json())),
        }
    }

    /// Prints the reason why this process does nothing at all, without reading its environment.
    pub(crate) fn refuse(failure: &Failure) -> Exit {
        let ui = Self {
            form: OutputFormat::Text,
            color: ColorChoice::Never,
            talk: Verbosity::Quiet,
            answers_terminal: false,
        };
        ui.failure(failure);
        failure.exit
    }

    /// Prints the reason why the command line is not a valid command.
    pub(crate) fn usage(stop: &ParseError, color: Color) -> Exit {
        match stop {
            ParseError::Wrong { text, form: OutputFormat::Text } => {
                let styled = text.ansi().to_string().replacen("error:", "Error:", 1);
                Self::before_parsing(OutputFormat::Text, color).say(&styled);
            }
            ParseError::Wrong { text, form: OutputFormat::Json } => {
                let text = text.to_string();
                let said = text.split("\n\n").next().unwrap_or_default();
                let message = said.strip_prefix("error: ").unwrap_or(said);
                Self::before_parsing(OutputFormat::Json, color).failure(&Failure::usage(message));
            }
            ParseError::ValueAsArgument { form } => Self::before_parsing(*form, color).failure(
                &Failure::usage("`set` takes one name, and no value on the command line")
                    .because("other users of this machine can read a program's arguments")
                    .hint("give the value with `--stdin` or `--file`, or type it when asked"),
            ),
        }
        Exit::Usage
    }

    /// Prints help or the version.
    pub(crate) fn answer_styled(&self, text: &StyledStr) -> Exit {
        let mut stream = AutoStream::new(io::stdout(), self.color);
        let written = check_output().and_then(|()| write!(stream, "{}", text.ansi()));
        match written.and_then(|()| stream.flush()) {
            Ok(()) => Exit::Done,
            Err(fault) => {
                let failure = lost(fault);
                self.failure(&failure);
                failure.exit
            }
        }
    }

    /// Ignores a closed standard error, and prints nothing after an interrupt.
    fn say(&self, styled: &str) {
        if ended_by().is_some() {
            return;
        }
        let mut stream = AutoStream::new(io::stderr(), self.color);
        let _ = stream.write_all(styled.as_bytes()).and_then(|()| stream.flush());
    }
}

const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// A buffered writer of lines to standard output.
#[derive(Debug)]
pub(crate) struct Lines {
    out: BufWriter<Stream>,
    terminal: bool,
}

impl Lines {
    /// Writes a line that may hold foreign text. For a terminal, escapes characters that it obeys
    /// or hides; for a program, characters that break the line.
    ///
    /// # Errors
    /// As [`Ui::answer`].
    pub(crate) fn line(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.out, "{}", self.escaped(line)).map_err(lost)
    }

    fn escaped<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.terminal {
            true => escape::for_terminal(text),
            false => escape::for_program(text),
        }
    }

    /// Writes an object as a line of JSON.
    ///
    /// # Errors
    /// As [`Ui::answer`].
    pub(crate) fn json(&mut self, object: &impl Serialize) -> Result<(), Failure> {
        escaped::to_writer(&mut self.out, object).map_err(lost)?;
        self.out.write_all(b"\n").map_err(lost)
    }

    /// Writes rows as columns under a heading; for a program, tab-separated rows and no heading.
    ///
    /// # Errors
    /// As [`Ui::answer`].
    pub(crate) fn table(&mut self, heading: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
        if !self.terminal {
            for row in rows {
                let cells: Vec<_> = row.iter().map(|cell| self.escaped(cell)).collect();
                writeln!(self.out, "{}", cells.join("\t")).map_err(lost)?;
            }
            return Ok(());
        }
        if rows.is_empty() {
            return Ok(());
        }
        let heading: Vec<String> = heading.iter().map(|&head| head.to_owned()).collect();
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().map(|cell| escape::for_terminal(cell).into_owned()).collect())
            .collect();
        let widest = |column: usize| {
            let cells = rows.iter().chain([&heading]).filter_map(|row| row.get(column));
            cells.map(|cell| text::width(cell)).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..heading.len()).map(widest).collect();
        // The last column is for reading; columns before it are for copying, and stay whole.
        if let Some((last, before)) = widths.split_last_mut() {
            let taken: usize = before.iter().map(|width| width + 2).sum();
            *last = (*last).min(columns().saturating_sub(taken).max(LEAST));
        }
        for row in [&heading].into_iter().chain(&rows) {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let cell = text::cut(cell, *width);
                line.push_str(&cell);
                line.push_str(&" ".repeat(width.saturating_sub(text::width(&cell)) + 2));
            }
            writeln!(self.out, "{}", line.trim_end()).map_err(lost)?;
        }
        Ok(())
    }

    /// Writes the buffered rest.
    ///
    /// # Errors
    /// As [`Ui::answer`].
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.out.flush().map_err(lost)
    }
}

fn choice(color: Color) -> ColorChoice {
    match color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    }
}

/// Minimum width in columns of the last column, however narrow the terminal.
const LEAST: usize = 8;

/// Returns the width in columns of the terminal on standard output.
fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout());
    // A terminal without a known size gets the usual width.
    size.ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(80)
}

/// A standard stream without the buffer that std puts before it.
#[derive(Debug)]
struct Stream(BorrowedFd<'static>);

impl Stream {
    fn answer() -> Self {
        Self(rustix::stdio::stdout())
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // After an interrupt there is no output, as if the reader had closed the pipe.
        if ended_by().is_some() {
            return Err(Errno::PIPE.into());
        }
        check_output()?;
        Ok(rustix::io::write(self.0, bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the error of a standard output that was closed when the program started.
fn check_output() -> io::Result<()> {
    if crate::streams::was_closed(1) { Err(Errno::BADF.into()) } else { Ok(()) }
}

fn lost(fault: io::Error) -> Failure {
    match fault.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::PIPE) => Failure::closed(),
        _ => Failure::act("cannot write to standard output").because(fault),
    }
}
