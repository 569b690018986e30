//! `keystead vault unlock`: prompts once, and makes the agent keep the vault unlocked.

use std::time::Duration;

use keystead::agent::{MemoryLock, SessionLimits};
use keystead::{IfUnlocked, UnlockOutcome};
use keystead_plugin_api::VaultName;
use keystead_plugin_api::manifest::Capability;
use serde::Serialize;

use super::super::CommandContext;
use super::super::get::vault_name;
use crate::duration;
use crate::failure::{Exit, Failure};

/// Unlock a vault for a limited time
///
/// What it asks for is asked once. A small process of yours, the agent, then keeps what
/// reopens the vault, in memory only, until the time is over or `keystead vault lock`. A vault
/// that is unlocked already is left so, unless `--for` or `--idle` say for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The vault
    #[arg(value_parser = vault_name)]
    name: VaultName,
    /// For how long in all; its plugin may allow less [default: 15m]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration::parse)]
    whole: Option<Duration>,
    /// For how long without being used [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    idle: Option<Duration>,
}

pub(crate) fn run(args: &Args, mut scene: CommandContext<'_>) -> Result<Exit, Failure> {
    let name = &args.name;
    if scene.global.dry_run {
        return dry_run(name, &scene);
    }
    // Creates the directory in which commands that prompt for the same vault share a lock.
    scene.agent()?.prepare()?;
    // Detects an agent that accepts nothing before the user types an answer.
    scene.agent()?.status()?;
    let renew = if args.whole.or(args.idle).is_some() { IfUnlocked::Yes } else { IfUnlocked::No };
    let waiting = scene.waiting(Some(name));
    let unlocking = scene.host.unlock(name, renew, &mut scene.terminal);
    drop(waiting);
    let unlocking = unlocking.map_err(|error| Failure::from(error).without_unlocking(name))?;
    let (state, span) = match unlocking {
        UnlockOutcome::NeverLocked => ("never-locked", None),
        UnlockOutcome::Already => ("already", left(name, &scene)?),
        UnlockOutcome::Unlocked(unlocked) => {
            let span = SessionLimits {
                whole: args.whole.unwrap_or(SessionLimits::DEFAULT_WHOLE),
                idle: args.idle.unwrap_or(SessionLimits::DEFAULT_IDLE),
            };
            let program = scene.program();
            let (span, agent) = scene.agent()?.keep(
                program,
                &unlocked.key,
                &unlocked.vault,
                &unlocked.session,
                span,
            )?;
            if agent.locked == MemoryLock::No {
                scene.ui.warn(
                    "the agent's memory may be written to swap: \
                     the limit on locked memory (`ulimit -l`) is too small",
                );
            }
            ("unlocked", Some(span))
        }
    };
    if scene.ui.is_json() {
        scene.ui.json(&VaultUnlockOutput {
            schema: 1,
            vault: name.as_str(),
            state,
            seconds: span.map(|span| span.whole.as_secs()),
            idle_seconds: span.map(|span| span.idle.as_secs()),
        })?;
    }
    scene.ui.note(&match (state, span) {
        ("unlocked", Some(span)) => format!("Vault `{name}` is unlocked for {}.", words(span)),
        ("already", Some(span)) => {
            format!("Vault `{name}` is unlocked already, for another {}.", words(span))
        }
        ("already", None) => format!("Vault `{name}` is unlocked already."),
        _ => format!("Vault `{name}` does not need unlocking."),
    });
    Ok(Exit::Done)
}

/// Prints the plan of a dry run. No plugin runs, so the vault's lock state is unknown.
fn dry_run(name: &VaultName, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    let kind = scene.host.vault(name)?.kind?;
    let locks = kind.capabilities.contains(&Capability::Unlock);
    if scene.ui.is_json() {
        let state = if locks { "would-unlock" } else { "never-locked" };
        let vault = name.as_str();
        scene.ui.json(&VaultUnlockOutput {
            schema: 1,
            vault,
            state,
            seconds: None,
            idle_seconds: None,
        })?;
    }
    match locks {
        true => scene.done("", &format!("Would unlock vault `{name}`")),
        false => scene.done("", &format!("Vault `{name}` is never locked")),
    }
    Ok(Exit::Done)
}

/// Returns how long the agent keeps a vault unlocked; `None` where it does not.
fn left(name: &VaultName, scene: &CommandContext<'_>) -> Result<Option<SessionLimits>, Failure> {
    let Some(status) = scene.agent()?.status()? else { return Ok(None) };
    let held = status.vaults.iter().find(|held| held.vault == *name);
    Ok(held.map(|held| SessionLimits { whole: held.left, idle: held.idle_left }))
}

fn words(span: SessionLimits) -> String {
    let whole = duration::words(span.whole);
    if span.idle < span.whole {
        return format!("{whole}, and {} without use", duration::words(span.idle));
    }
    whole
}

#[derive(Serialize)]
struct VaultUnlockOutput<'a> {
    schema: u32,
    vault: &'a str,
    state: &'static str,
    seconds: Option<u64>,
    idle_seconds: Option<u64>,
}
