//! Other processes of these tests: this test binary, in a role that a variable names.

use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::vault::Home;

/// Variable for the role of a process.
const ROLE: &str = "KEYSTEAD_TEST_ROLE";

/// Variable for the directory that a process uses.
const DIR: &str = "KEYSTEAD_TEST_FOLDER";

/// Returns a command for this test binary in a role, with a vault's home.
pub(crate) fn in_role(role: &str, home: &Home) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments()).env_clear().envs(environment(role, home)).stdin(Stdio::null());
    command
}

/// Returns the arguments that make this test binary take its role.
pub(crate) fn arguments() -> [&'static str; 4] {
    let name = concat!(module_path!(), "::stands_in_when_it_is_started_by_another_test");
    let name = name.split_once("::").unwrap().1;
    [name, "--exact", "--nocapture", "--test-threads=1"]
}

/// Returns the environment variables of a role.
pub(crate) fn environment(role: &str, home: &Home) -> [(&'static str, String); 2] {
    [(ROLE, role.to_owned()), (DIR, home.path().to_str().unwrap().to_owned())]
}

#[test]
fn stands_in_when_it_is_started_by_another_test() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let home = Home::at(PathBuf::from(std::env::var_os(DIR).unwrap()));
    let (role, argument) = role.split_once(' ').unwrap_or((&role, ""));
    match role {
        "writer" => crate::killed::write(&home, argument.parse().unwrap()),
        "recorded" => crate::power::write(&home, argument.parse().unwrap()),
        "small-disk" => crate::full::on_a_small_disk(&home),
        "limited" => crate::full::under_a_limit(&home, argument.parse().unwrap()),
        "reading" => crate::full::reading(&home),
        "broken-off" => crate::full::reading_broken_off(&home),
        "refused" => crate::fault::write(&home),
        "closed" => crate::fault::closed(&home),
        "many" => crate::many::write(&home, argument),
        _ => panic!("there is no role `{role}`"),
    }
}

/// Sends a line to the test, in one piece: not by `println!`, which the harness could capture.
pub(crate) fn say(line: impl fmt::Display) {
    std::io::stdout().write_all(format!("\n{line}\n").as_bytes()).unwrap();
}

/// Pseudo-random numbers, the same for the same seed.
pub(crate) struct Random(u64);

impl Random {
    /// Returns a generator with a new seed, or with that of `KEYSTEAD_TEST_SEED`.
    pub(crate) fn new(what: &str) -> Self {
        use std::hash::{BuildHasher, Hasher};
        let given = std::env::var("KEYSTEAD_TEST_SEED").ok();
        let seed = given.map_or_else(
            || std::collections::hash_map::RandomState::new().build_hasher().finish(),
            |seed| seed.parse().unwrap(),
        );
        println!("{what}: KEYSTEAD_TEST_SEED={seed}");
        Self::of(seed)
    }

    pub(crate) fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }
}
