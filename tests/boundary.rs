//! Plugins that misbehave, and the effects on the host's side.

mod build;
mod c_abi;
mod c_vaults;
mod denied;
mod exec;
mod file;
mod home;
mod hostile;
mod in_process;
mod isolated;
mod kept;
mod next_debian;
mod out_of_tree;
mod owners;
mod pretender;
mod replaced_file;
mod sandbox;
mod skew;
mod sockets;
mod wrappers;
