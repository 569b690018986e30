//! Installs, tests and measures Keystead: `cargo xtask install | test | bench`.
#![forbid(unsafe_code)]
fn main() {}
