//! The command as a user meets it: whole outputs, exit codes, prompts.

mod between;
mod copy;
mod doctor;
mod get;
mod list;
mod plugin;
mod prompt;
mod reference;
pub(crate) mod sandbox;
mod search;
mod set;
mod surroundings;
mod usage;
mod vault;
mod vault_itself;
