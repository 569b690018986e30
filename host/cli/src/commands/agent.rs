//! `keystead agent`: shows or stops the process that keeps vaults unlocked. `keystead vault unlock`
//! starts this process, and it ends by itself.

use keystead::agent::{Status, UnlockedVault};
use serde::Serialize;

use super::CommandContext;
use crate::duration;
use crate::failure::{Exit, Failure};

/// The commands about the agent.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show the agent's state and its unlocked vaults
    Status,
    /// Stop the agent and discard its sessions
    Stop,
}

pub(crate) fn run(command: &Command, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    match command {
        Command::Status => status(scene),
        Command::Stop => stop(scene),
    }
}

fn status(scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    let status = scene.agent()?.status()?;
    if scene.ui.is_json() {
        scene.ui.json(&AgentOutput::of(status.as_ref()))?;
        return Ok(Exit::Done);
    }
    let Some(status) = status else {
        scene.ui.note("The agent is not running.");
        return Ok(Exit::Done);
    };
    let mut lines = scene.ui.lines();
    lines.line(&format!("Process: {}", status.process))?;
    lines.line(&format!("Version: {}", status.version))?;
    lines.line(&format!("Locked:  {}", memory(&status)))?;
    for held in &status.vaults {
        let whole = duration::words(held.left);
        let idle = match held.idle_left < held.left {
            true => format!(", {} without use", duration::words(held.idle_left)),
            false => String::new(),
        };
        let first = status.vaults.iter().find(|other| other.session == held.session);
        let shared = match first.filter(|first| first.vault != held.vault) {
            Some(first) => format!(", same login as `{}`", first.vault),
            None => String::new(),
        };
        lines.line(&format!("Vault:   {} ({whole}{idle}{shared})", held.vault))?;
    }
    lines.finish()?;
    Ok(Exit::Done)
}

/// Returns how much of the agent's memory stays out of swap, in words.
fn memory(status: &Status) -> &'static str {
    use keystead::agent::MemoryLock;
    match status.locked {
        MemoryLock::Whole => "its memory is never written to swap",
        MemoryLock::Sessions => "the memory that sessions lie in is never written to swap",
        MemoryLock::No => "nothing; its memory may be written to swap (`ulimit -l` is too small)",
    }
}

fn stop(scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    let agent = scene.agent()?;
    let was = match scene.global.dry_run {
        true => agent.status()?.is_some(),
        false => agent.stop()?,
    };
    if scene.ui.is_json() {
        let dry_run = scene.global.dry_run;
        scene.ui.json(&Stopped { schema: 1, was_running: was, dry_run })?;
    }
    match was {
        true => scene.done("The agent has ended.", "Would end the agent"),
        false => scene.ui.note("The agent is not running."),
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Stopped {
    schema: u32,
    was_running: bool,
    dry_run: bool,
}

#[derive(Serialize)]
struct AgentOutput<'a> {
    schema: u32,
    running: bool,
    process: Option<u32>,
    version: Option<&'a str>,
    locked_memory: Option<&'static str>,
    vaults: Vec<Vault<'a>>,
}

#[derive(Serialize)]
struct Vault<'a> {
    vault: &'a str,
    layer: &'static str,
    session: u64,
    seconds: u64,
    idle_seconds: u64,
}

impl<'a> AgentOutput<'a> {
    fn of(status: Option<&'a Status>) -> Self {
        let vault = |held: &'a UnlockedVault| Vault {
            vault: held.vault.as_str(),
            layer: held.layer.as_str(),
            session: held.session,
            seconds: held.left.as_secs(),
            idle_seconds: held.idle_left.as_secs(),
        };
        Self {
            schema: 1,
            running: status.is_some(),
            process: status.map(|status| status.process),
            version: status.map(|status| status.version.as_str()),
            locked_memory: status.map(|status| status.locked.as_str()),
            vaults: status.map_or_else(Vec::new, |s| s.vaults.iter().map(vault).collect()),
        }
    }
}
