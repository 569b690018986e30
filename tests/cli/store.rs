//! The local vault through the command line: how it is made, what unlocks it, and its own actions.
//! The plugin's tests cover its own rules.

mod making;
mod opening;
mod slot;
mod upkeep;

use std::path::PathBuf;

use rexpect::session::PtySession;

use super::prompt::at_terminal;
use super::sandbox::{Answer, CANARY, Sandbox, store};

/// A home with the plugin `store`.
struct Home(Sandbox);

impl Home {
    fn new() -> Self {
        let sandbox = Sandbox::empty();
        let file = store().to_str().unwrap();
        sandbox.run("plugin install --yes", &[file]).succeeds();
        sandbox.run("plugin trust store --danger-in-process --yes -q", &[]).succeeds();
        Self(sandbox)
    }

    /// Returns a home with a vault `safe` whose password is the canary, and a secret in it. The
    /// vault is in-process, the default for a plugin installed with its host.
    fn with_password() -> Self {
        let home = Self::new();
        let register = "vault register safe --plugin store --placement in-process";
        home.0.run(register, &[]).succeeds();
        home.run_with(&[("PW", CANARY)], "set a --stdin --allow-empty --unlock password=env:PW")
            .succeeds();
        home
    }

    /// Returns a home with an isolated vault `safe` that the file `here/work.key` unlocks, and a
    /// secret in it.
    fn with_key_file() -> Self {
        let home = Self::new();
        let register = "vault register safe --plugin store --param key-file=work.key";
        home.0.run(register, &[]).succeeds();
        home.0.feed(CANARY, "set a --stdin").succeeds();
        home
    }

    /// Runs a command with these variables and an empty standard input.
    fn run_with(&self, variables: &[(&str, &str)], words: &str) -> Answer {
        let mut command = self.0.command(words, &[]);
        command.envs(variables.iter().copied());
        self.0.answer(command, b"")
    }

    /// Runs a command that unlocks the vault with this password.
    fn with(&self, password: &str, words: &str) -> Answer {
        self.run_with(&[("PW", password)], &format!("{words} --unlock password=env:PW"))
    }

    fn terminal(&self, words: &str) -> PtySession {
        at_terminal(self.0.command(words, &[]))
    }

    /// Returns the default directory of a vault.
    fn dir(&self, vault: &str) -> PathBuf {
        self.0.root().join("home/.local/share/keystead/store").join(vault)
    }
}

/// Answers one prompt.
#[track_caller]
fn answer(session: &mut PtySession, question: &str, line: &str) {
    session.exp_string(question).unwrap();
    session.send_line(line).unwrap();
}
