//! The command as a user meets it: whole outputs, exit codes, prompts.

mod copy;
mod doctor;
mod export;
mod get;
mod import;
mod import_form;
mod list;
mod plugin;
mod prompt;
mod reference;
pub(crate) mod sandbox;
mod set;
mod surroundings;
mod usage;
mod vault;
mod vault_itself;
