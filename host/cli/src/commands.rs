//! One file for each command, and the context that all commands share.

pub(crate) mod agent;
pub(crate) mod completions;
pub(crate) mod copy;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod get;
pub(crate) mod import;
pub(crate) mod list;
pub(crate) mod man;
pub(crate) mod meta;
pub(crate) mod move_;
pub(crate) mod plugin;
pub(crate) mod remove;
pub(crate) mod set;
pub(crate) mod show;
mod transfer;
pub(crate) mod vault;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keystead::agent::{Client, SessionCache};
use keystead::paths::Layer;
use keystead::{DEFAULT_TIMEOUT, Host, Options, RunMode};
use keystead_plugin_api::{Level, VaultName};

use crate::cli::{Cli, Command, Global};
use crate::elsewhere::with_other_vault;
use crate::environment::{Environment, Lost, Sources};
use crate::failure::sandbox::with_grants;
use crate::failure::{Exit, Failure};
use crate::progress::Progress;
use crate::similar::with_similar;
use crate::terminal::{InputError, Terminal};
use crate::ui::{OutputFormat, Ui, Verbosity};
use crate::unlock::Unlock;
use crate::waiting::Waiting;

/// Context of a running command.
pub(crate) struct CommandContext<'a> {
    /// Output streams.
    pub(crate) ui: &'a Ui,
    /// Global options.
    pub(crate) global: Global,
    /// The library.
    pub(crate) host: Host,
    /// Terminal on which the user can be prompted.
    pub(crate) terminal: Terminal,
    /// Unlock references from the command line.
    pub(crate) unlock: Unlock,
    /// Client of this user's agent; `None` where there is no directory for its socket.
    agent: Option<Arc<Client>>,
    /// Home directory of the user; `None` where unknown.
    home: Option<PathBuf>,
    /// Reason why the user's registrations cannot be read; `None` where they can.
    lost: Option<Lost>,
    /// Path of this program.
    program: PathBuf,
    /// Directory of files for plugin authors, installed beside this program.
    share: Option<PathBuf>,
}

/// Runs a command.
///
/// # Errors
/// The reason why the command ended early.
pub(crate) fn run(cli: Cli, ui: &Ui) -> Result<Exit, Failure> {
    let scene = match cli.command {
        // These two commands need no vaults, and must work without a home directory.
        Command::Completions(args) => return completions::run(&args, ui),
        Command::Man(args) => {
            let run = if cli.global.dry_run { RunMode::DryRun } else { RunMode::Apply };
            return man::run(&args, run, ui);
        }
        _ => CommandContext::new(cli.global, ui)?,
    };
    let (host, unlock) = (scene.host.clone(), scene.unlock.clone());
    let vault_option = match &cli.command {
        Command::Copy(args) => args.vault_option(),
        Command::Move(args) => args.vault_option(),
        _ => "-V",
    };
    let names_vault = match &cli.command {
        Command::Get(args) => args.names_vault(),
        Command::Show(args) => args.names_vault(),
        Command::Remove(args) => args.names_vault(),
        _ => true,
    };
    let lost = scene.lost.clone();
    if let Some(lost) = &lost {
        lost.check(&cli.command, &host)?;
    }
    let done = match cli.command {
        Command::Get(args) => get::run(args, scene),
        Command::Set(args) => set::run(args, scene),
        Command::List(args) => list::run(&args, scene),
        Command::Show(args) => show::run(&args, scene),
        Command::Remove(args) => remove::run(&args, scene),
        Command::Copy(args) => copy::run(args, scene),
        Command::Move(args) => move_::run(args, scene),
        Command::Meta(command) => meta::run(command, scene),
        Command::Import(args) => import::run(args, scene),
        Command::Export(args) => export::run(args, scene),
        Command::Vault(command) => vault::run(command, scene),
        Command::Plugin(command) => plugin::run(command, &scene),
        Command::Doctor(args) => doctor::run(&args, &scene),
        Command::Agent(command) => agent::run(&command, &scene),
        Command::Completions(_) | Command::Man(_) => unreachable!("ran above"),
    };
    unlock.unasked().iter().for_each(|message| ui.warn(message));
    done.map_err(|failure| {
        let failure = with_other_vault(with_grants(failure, &host), &host, vault_option);
        match &lost {
            Some(lost) => lost.explained(failure, names_vault),
            None => with_similar(failure, &host, ui),
        }
    })
}

impl<'a> CommandContext<'a> {
    fn new(mut global: Global, ui: &'a Ui) -> Result<Self, Failure> {
        let environment = Environment::read(global.config_dir.as_deref())?;
        let (share, lost) = (environment.share, environment.lost);
        let program = environment.program;
        let agent = environment.agent.map(|dir| Client::new(dir).starting(&program));
        let agent = agent.map(Arc::new);
        let mut options = Options::new(environment.paths, program.clone());
        // A command makes one call after the other.
        options.max_handles = 1;
        if let Some(agent) = &agent {
            options.sessions = Arc::clone(agent) as Arc<dyn SessionCache>;
        }
        options.privilege = environment.privilege;
        options.off_limits = environment.off_limits;
        options.default_vault = environment.default_vault;
        options.sources = Arc::new(Sources { privilege: environment.privilege });
        options.log = Arc::new(PluginLog { talk: ui.talk(), form: ui.form() });
        if let Some(timeout) = global.timeout {
            options.timeout = timeout;
        }
        let unlock = Unlock::new(std::mem::take(&mut global.unlock))?;
        let home = options.sources.home();
        let terminal = Terminal::open(&global, unlock.clone(), home.clone());
        let host = Host::new(options);
        Ok(Self { ui, global, host, terminal, unlock, agent, home, lost, program, share })
    }

    /// Returns the directory of the plugin API's crate, if it was installed with this program.
    pub(crate) fn installed_api(&self) -> Option<PathBuf> {
        Some(self.share.as_ref()?.join("plugin-api"))
    }

    /// Returns the client of this user's agent, whether the agent runs or not.
    ///
    /// # Errors
    /// There is no directory for the agent's socket.
    pub(crate) fn agent(&self) -> Result<&Client, Failure> {
        self.agent.as_deref().ok_or_else(|| {
            Failure::act("there is no directory for the agent's socket")
                .hint("set `XDG_RUNTIME_DIR` or `HOME`")
        })
    }

    /// Returns the path of this program, which is the agent's as well.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// Returns the user's home directory, where known.
    pub(crate) fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// Returns the timeout for a pipe or device: that of a call to a vault.
    pub(crate) fn wait_limit(&self) -> Duration {
        self.global.timeout.unwrap_or(DEFAULT_TIMEOUT)
    }

    /// Returns whether the command applies changes or is a dry run.
    pub(crate) fn run(&self) -> RunMode {
        if self.global.dry_run { RunMode::DryRun } else { RunMode::Apply }
    }

    /// Returns the layer that the command changes.
    pub(crate) fn layer(&self) -> Layer {
        if self.global.system { Layer::System } else { Layer::User }
    }

    /// Starts a wait for a vault; no message appears while the terminal prompts the user.
    pub(crate) fn waiting(&mut self, vault: Option<&VaultName>) -> Waiting {
        let waiting = Waiting::start(self.ui, &self.host, vault);
        self.terminal.hushes(waiting.hush());
        waiting
    }

    /// Starts a progress bar for this many items; prints nothing without a terminal.
    pub(crate) fn progress(&self, what: &'static str, total: Option<u64>) -> Progress {
        Progress::start(self.ui, what, total)
    }

    /// Asks the user to confirm an action that cannot be undone or that grants trust.
    ///
    /// # Errors
    /// The answer is no, or prompting is not possible: then `otherwise` is the hint.
    pub(crate) fn consent(&self, question: &str, otherwise: &str) -> Result<(), Failure> {
        if self.global.yes {
            return Ok(());
        }
        match self.terminal.confirm(question) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::act("nothing was changed")),
            Err(InputError::Nobody) => {
                let message = format!("confirmation needed: {question}");
                Err(Failure::new(Exit::NeedsHuman, message).hint(otherwise))
            }
            Err(why) => Err(why.into()),
        }
    }

    /// Prints a note about the result: `done`, or `would` in a dry run.
    pub(crate) fn done(&self, done: &str, would: &str) {
        match self.run() {
            RunMode::Apply => self.ui.note(done),
            RunMode::DryRun => self.ui.note(&format!("{would}; nothing was changed")),
        }
    }
}

/// Returns the current directory, the base of relative paths on the command line.
///
/// # Errors
/// The directory no longer exists.
pub(crate) fn current_dir() -> Result<PathBuf, Failure> {
    std::env::current_dir()
        .map_err(|fault| Failure::act("cannot find the current directory").because(fault))
}

/// Log of the plugins, written to standard error.
struct PluginLog {
    talk: Verbosity,
    form: OutputFormat,
}

impl keystead::Log for PluginLog {
    fn line(&self, vault: &VaultName, level: Level, message: &str) {
        let (from, level) = match level {
            Level::Warning => (Verbosity::Usual, "warning"),
            Level::Info => (Verbosity::More, "information"),
            _ => (Verbosity::All, "debug"),
        };
        if self.talk >= from {
            Ui::logged(self.form, vault.as_str(), level, message);
        }
    }
}
