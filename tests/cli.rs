//! The command as a user meets it: whole outputs, exit codes, prompts.

mod agent;
mod agent_process;
mod between;
mod completion;
mod copy;
mod doctor;
mod export;
mod get;
mod import;
mod import_form;
mod import_secretstore;
mod import_vaultinfo;
mod list;
mod look;
mod meta;
mod plugin;
mod prompt;
mod reference;
pub(crate) mod sandbox;
mod search;
mod set;
mod store;
mod surroundings;
mod unlock;
mod usage;
mod vault;
mod vault_itself;
