//! Progress of long work: a bar on standard error, if that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use keystead::reference::Reference;
use keystead::{PromptError, Prompter};
use keystead_plugin_api::{Answer, Challenge, Prompt, VaultName};

use crate::ui::{OutputFormat, Ui, Verbosity};

/// Maximum number of times a second that the bar is drawn.
const DRAWS: u8 = 10;

/// A progress bar, removed from the screen when dropped.
#[derive(Debug)]
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Starts a bar for this many items; without their number, a bar that only counts.
    pub(crate) fn start(ui: &Ui, what: &'static str, total: Option<u64>) -> Self {
        let watched = rustix::termios::isatty(rustix::stdio::stderr());
        if !watched || ui.form() == OutputFormat::Json || ui.talk() == Verbosity::Quiet {
            return Self(None);
        }
        let template = match total {
            Some(_) => "{msg} {bar:30} {human_pos}/{human_len}, {eta} left",
            None => "{msg} {spinner} {human_pos}",
        };
        let style = ProgressStyle::with_template(template).expect("the template is right");
        let target = ProgressDrawTarget::stderr_with_hz(DRAWS);
        let bar = ProgressBar::with_draw_target(total, target)
            .with_style(style.progress_chars("=> "))
            .with_message(what);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(Some(bar))
    }

    /// Returns a progress bar that shows nothing.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Counts further items as done.
    pub(crate) fn step(&self, things: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(things);
        }
    }

    /// Shows the name of the current step.
    pub(crate) fn says(&self, what: &'static str) {
        if let Some(bar) = &self.0 {
            bar.set_message(what);
        }
    }

    /// Runs a function that prints or prompts, with the bar hidden meanwhile.
    pub(crate) fn aside<T>(&self, run: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.suspend(run),
            None => run(),
        }
    }
}

/// A prompter that hides the bar while it prompts.
pub(crate) struct Asking<'a>(&'a Progress, &'a mut dyn Prompter);

impl Progress {
    /// Returns a prompter that hides this bar while it prompts.
    pub(crate) fn asking<'a>(&'a self, ask: &'a mut dyn Prompter) -> Asking<'a> {
        Asking(self, ask)
    }
}

impl Prompter for Asking<'_> {
    fn answer_source(&mut self, vault: &VaultName, prompt: &Prompt) -> Option<Reference> {
        self.1.answer_source(vault, prompt)
    }

    fn is_interactive(&self) -> bool {
        self.1.is_interactive()
    }

    fn on_wait(&mut self, vault: &VaultName) {
        self.0.aside(|| self.1.on_wait(vault));
    }

    fn ask(
        &mut self,
        vault: &VaultName,
        challenge: &Challenge,
    ) -> Result<Vec<Answer>, PromptError> {
        self.0.aside(|| self.1.ask(vault, challenge))
    }

    fn show(&mut self, vault: &VaultName, challenge: &Challenge) -> Result<(), PromptError> {
        self.0.aside(|| self.1.show(vault, challenge))
    }

    fn on_wrong_answer(&mut self, vault: &VaultName, message: &str) {
        self.0.aside(|| self.1.on_wrong_answer(vault, message));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
