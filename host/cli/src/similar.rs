//! "Did you mean" for secrets: looked for in the vault that was asked, for a person who
//! waits at a terminal, and never so long that it is noticed.

use std::sync::mpsc;
use std::time::Duration;

use keystead::internals::similar;
use keystead::{Error, Host, NonInteractive};
use keystead_plugin_api::{SecretName, VaultName};

use crate::environment;
use crate::failure::Failure;
use crate::ui::Ui;

/// How long the vault may take where `KEYSTEAD_NAMES_TIMEOUT` does not say: far less than
/// reading the error does.
const PATIENCE: Duration = Duration::from_millis(100);

/// Returns the failure with a name that looks like the one that was not found, where the
/// vault that was named, or the default one, has it on its first page.
pub(crate) fn with_similar(mut failure: Failure, host: &Host, ui: &Ui) -> Failure {
    // A program that tries names must not pay for it.
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
        // The vault has been asked, and is open; what it says now is nobody's business.
        let names = keystead::internals::first_names(&host, &vault, &mut NonInteractive)
            .unwrap_or_default();
        let texts: Vec<&str> = names.iter().map(SecretName::as_str).collect();
        let _ = sender.send(similar(&given, texts.iter().copied()).map(str::to_owned));
    };
    std::thread::Builder::new().spawn(work).ok()?;
    // A thread that is late ends with the process.
    found.recv_timeout(environment::names_timeout().unwrap_or(PATIENCE)).ok().flatten()
}
