//! Shares the instructions of a profile out among the steps of a `get`.
//!
//! A function belongs to a step by the object file or the crate it comes from. What no step
//! can claim as its own (allocation, copying, formatting, the loader's inner functions) is
//! charged to whoever called it, in the proportion callgrind saw.

use super::callgrind::{Function, Profile};

/// Everything that is nobody's in particular, down to the first caller.
const REST: &str = "rest";

/// Steps by the beginnings of function names, the more exact first.
const STEPS: [(&str, &[&str]); 12] = [
    (
        "dlopen: map and relocate the plugin",
        &["dlopen", "_dl_open", "dl_open_worker", "keystead::plugin::loader", "libloading"],
    ),
    (
        "process start: loader, libc, Rust's runtime",
        &[
            "_dl_start",
            "dl_main",
            "_dl_sysdep_start",
            "__libc_start",
            "(below main)",
            "_start",
            "std::rt",
            "0x",
        ],
    ),
    ("command line", &["clap", "strsim", "keystead::cli", "anstream", "anstyle", "terminal_size"]),
    ("registry and its TOML", &["keystead::registry", "toml", "winnow", "serde", "indexmap"]),
    ("plugin file: hash", &["sha2", "digest", "block_buffer"]),
    ("plugin file: inspection", &["keystead::plugin::inspect", "object::", "semver", "serde_json"]),
    (
        "pins, verdicts",
        &["keystead::plugin::pins", "keystead::plugin::trust", "keystead::plugin::verdict"],
    ),
    (
        "files: walk, read, write",
        &["keystead::fs", "keystead::paths", "rustix", "fs_err", "tempfile"],
    ),
    ("layout check", &["keystead::plugin::abi_check", "abi_stable"]),
    ("runner", &["keystead::plugin::runner"]),
    ("boundary twins", &["keystead_plugin_api"]),
    ("host, the rest of it", &["keystead"]),
];

/// The step of everything inside a plugin's own file.
const PLUGIN: &str = "inside the plugin";

/// Rounds in which shares pass through chains of callers: calls nest less deep than this.
const ROUNDS: usize = 64;

/// Returns each step with its instructions, the dearest first, summing to the whole.
pub(super) fn shares(profile: &Profile) -> Vec<(&'static str, f64)> {
    let mut sums: Vec<(&'static str, f64)> = Vec::new();
    let mut add =
        |name: &'static str, cost: f64| match sums.iter_mut().find(|(own, _)| *own == name) {
            Some((_, sum)) => *sum += cost,
            None => sums.push((name, cost)),
        };
    let unclaimed = unclaimed_shares(profile);
    let mut left = profile.total() as f64;
    for function in &profile.functions {
        let Some(step) = step_of(function) else { continue };
        let called: f64 =
            function.calls.iter().map(|(callee, cost)| *cost as f64 * unclaimed[*callee]).sum();
        let cost = function.own as f64 + called;
        left -= cost;
        add(step, cost);
    }
    // What rounding left over is nobody's.
    add(REST, left.max(0.0));
    sums.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    sums
}

/// Returns, for each function, which part of what a call of it costs no step claims.
fn unclaimed_shares(profile: &Profile) -> Vec<f64> {
    let functions = &profile.functions;
    let mut shares = vec![0.0; functions.len()];
    for _ in 0..ROUNDS {
        for (index, function) in functions.iter().enumerate() {
            let own = function.own as f64;
            let whole = own + function.calls.iter().map(|(_, cost)| *cost as f64).sum::<f64>();
            if step_of(function).is_some() || whole == 0.0 {
                continue;
            }
            let called: f64 =
                function.calls.iter().map(|(callee, cost)| *cost as f64 * shares[*callee]).sum();
            shares[index] = (own + called) / whole;
        }
    }
    shares
}

/// Returns the step a function belongs to by itself.
fn step_of(function: &Function) -> Option<&'static str> {
    // A runner maps it from memory that has no name.
    if function.object.contains("/keystead/plugins/") || function.object == "???" {
        return Some(PLUGIN);
    }
    let name = path_of(&function.name);
    STEPS
        .iter()
        .find(|(_, beginnings)| beginnings.iter().any(|own| name.starts_with(own)))
        .map(|(step, _)| *step)
}

/// Returns the path a function's name begins with: `a::B` of `<&mut a::B as c::D>::e`.
fn path_of(name: &str) -> &str {
    let mut path = name;
    while let Some(rest) = ["<", "&", "mut ", "dyn ", "*const ", "*mut ", "["]
        .iter()
        .find_map(|mark| path.strip_prefix(mark))
    {
        path = rest;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_claims_is_charged_to_its_callers_and_all_adds_up() {
        let text = "ob=(1) keystead\nfn=(1) clap_builder::parse\n1 100\ncfn=(3) malloc\ncalls=1 1\n1 30\n\
                    fn=(2) <keystead::registry::Entry as core::fmt::Debug>::fmt\n1 200\ncfn=(3)\ncalls=2 1\n1 60\n\
                    fn=(3)\n1 40\ncfn=(4) memset\ncalls=3 1\n1 50\nfn=(4)\n1 50\n\
                    fn=(5) lonely\n1 10\ntotals: 400\n";
        let mut shares = shares(&Profile::parse(&[text]).unwrap());
        shares.retain(|(_, cost)| *cost != 0.0);
        assert_eq!(
            shares,
            [("registry and its TOML", 260.0), ("command line", 130.0), (REST, 10.0)]
        );
    }
}
