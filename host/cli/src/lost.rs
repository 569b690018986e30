//! Errors of a command that cannot read the user's registrations, since `HOME` is not set or a
//! directory is mistyped. They do not mean that a vault does not exist.

use keystead::{Error, Host, transfer};

use crate::cli::Command;
use crate::commands::{plugin, vault};
use crate::environment::Lost;
use crate::failure::{Exit, Failure};

impl Lost {
    /// Checks a command before it runs: with a mistyped directory, it may not read registrations or
    /// answer that there are none.
    ///
    /// # Errors
    /// The missing directory or variable.
    pub(crate) fn check(&self, command: &Command, host: &Host) -> Result<(), Failure> {
        let makes_it = match command {
            Command::Vault(vault::Command::Register(_)) => true,
            Command::Plugin(command) => !matches!(command, plugin::Command::Remove(_)),
            // The command itself reports a vault that is not registered.
            Command::Import(_) | Command::Agent(_) => true,
            _ => false,
        };
        if matches!(self, Self::Typed(_)) && !makes_it {
            return Err(self.failure());
        }
        let lists = match command {
            Command::List(_) | Command::Export(_) => true,
            Command::Vault(command) => {
                matches!(command, vault::Command::List(_) | vault::Command::Test(_))
            }
            _ => false,
        };
        if lists
            && host.vaults().is_ok_and(|(vaults, faults)| vaults.is_empty() && faults.is_empty())
        {
            return Err(self.failure());
        }
        Ok(())
    }

    /// Returns the failure of a search, with the missing directory or variable as its cause.
    pub(crate) fn explained(&self, mut failure: Failure, names_vault: bool) -> Failure {
        let is_of_search = match failure.error.downcast_ref::<Error>() {
            Some(Error::NoSuchVault { .. } | Error::NoDefaultVault { .. }) => true,
            Some(Error::NoSuchSecret { .. } | Error::Transfer(transfer::Error::NoMatch { .. })) => {
                !names_vault
            }
            // The same variable leads to the user's own plugins.
            Some(Error::Trust(_)) => *self == Self::NoHome && failure.exit == Exit::NoSuch,
            _ => false,
        };
        if !is_of_search {
            return failure;
        }
        let lost = self.failure();
        failure.exit = Exit::Act;
        failure.hints = lost.hints;
        failure.because(lost.error)
    }

    fn failure(&self) -> Failure {
        match self {
            Self::NoHome => Failure::act("your vaults cannot be looked up: `HOME` is not set")
                .hint("set `HOME`, or both `KEYSTEAD_CONFIG_DIR` and `KEYSTEAD_DATA_DIR`"),
            Self::Typed(dir) => not_there("--config-dir", dir),
            Self::Variable(dir) => not_there("KEYSTEAD_CONFIG_DIR", dir),
        }
    }
}

fn not_there(source: &str, dir: &std::path::Path) -> Failure {
    let dir = dir.display();
    Failure::act(format!(
        "your vaults cannot be looked up: `{source}` is `{dir}`, which is not there"
    ))
    .hint(format!("correct `{source}`; or run `keystead vault register` to begin there"))
}
