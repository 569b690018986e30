//! "Did you mean" for secrets: a search in the vault that was asked, for a user at a terminal, and
//! too short to be noticed.

use std::sync::mpsc;
use std::time::Duration;

use keystead::internals::similar;
use keystead::{Error, Host, NonInteractive};
use keystead_plugin_api::{SecretName, VaultName};

use crate::environment;
use crate::failure::Failure;
use crate::ui::Ui;

/// Time limit for the vault without `KEYSTEAD_NAMES_TIMEOUT`: far less than reading the error
/// takes.
const PATIENCE: Duration = Duration::from_millis(100);

/// Returns the failure with a name similar to the missing name. Searches only the first page of the
/// named vault or the default vault.
pub(crate) fn with_similar(mut failure: Failure, host: &Host, ui: &Ui) -> Failure {
    // No delay for a program that tries names.
    if !ui.tells_terminal() {
        return failure;
    }
    let Some(Error::NoSuchSecret { name, searched, .. }) = failure.error.downcast_ref::<Error>()
    else {
        return failure;
    };
    let default = host.default_vault().ok().flatten();
    let asked = match &searched[..] {
        [only] => only,
        [first, ..] if Some(first) == default.as_ref() => first,
        _ => return failure,
    };
    if let Some(found) = look(host, asked.clone(), name.as_str().to_owned()) {
        failure.hints.insert(0, format!("did you mean `{found}`?"));
    }
    failure
}

fn look(host: &Host, vault: VaultName, given: String) -> Option<String> {
    let (sender, found) = mpsc::sync_channel(1);
    let host = host.clone();
    let work = move || {
        // The vault was asked before, and is open; a new error of the vault is ignored.
        let names = keystead::internals::first_names(&host, &vault, &mut NonInteractive)
            .unwrap_or_default();
        let texts: Vec<&str> = names.iter().map(SecretName::as_str).collect();
        let _ = sender.send(similar(&given, texts.iter().copied()).map(str::to_owned));
    };
    std::thread::Builder::new().spawn(work).ok()?;
    // After the timeout, the thread ends with the process.
    found.recv_timeout(environment::names_timeout().unwrap_or(PATIENCE)).ok().flatten()
}
