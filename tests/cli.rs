//! The command as a user meets it: whole outputs, exit codes, prompts.

mod completion;
mod copy;
mod doctor;
mod get;
mod list;
mod look;
mod plugin;
mod prompt;
mod reference;
pub(crate) mod sandbox;
mod set;
mod surroundings;
mod usage;
mod vault;
mod vault_itself;
