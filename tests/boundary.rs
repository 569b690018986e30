//! What plugins do wrong, and what is left of it on the host's side.

mod build;
mod file;
mod in_process;
mod isolated;
mod out_of_tree;
mod skew;
