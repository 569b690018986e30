//! A message to a waiting user: after a second, the name of the vault and its plugin. Nothing if
//! standard error is not a terminal.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use keystead::Host;
use keystead_plugin_api::VaultName;

use crate::text;
use crate::ui::{Ui, Verbosity};

/// Delay before the message.
const PATIENCE: Duration = Duration::from_secs(1);

/// A wait for a vault, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    over: Mutex<bool>,
    changed: Condvar,
}

/// Ends the wait early, for a prompt to the user.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hush(Option<Arc<Shared>>);

impl Hush {
    /// Ends the waiting message.
    pub(crate) fn hush(&self) {
        if let Some(shared) = &self.0 {
            shared.end();
        }
    }
}

impl Shared {
    fn end(&self) {
        *self.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Returns whether the wait ended in time.
    fn ends_in(&self, patience: Duration) -> bool {
        let over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(over, patience, |over| !*over);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Waiting {
    /// Starts a wait for this vault, or for the default vault.
    pub(crate) fn start(ui: &Ui, host: &Host, vault: Option<&VaultName>) -> Self {
        let shared = Arc::new(Shared::default());
        let watched = rustix::termios::isatty(rustix::stdio::stderr());
        if !watched || ui.talk() == Verbosity::Quiet || ui.is_json() {
            return Self { shared, thread: None };
        }
        let (host, vault, waited) = (host.clone(), vault.cloned(), Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("waiting".to_owned()).spawn(move || {
            if !waited.ends_in(PATIENCE) {
                let message = message(&host, vault);
                // The wait may have ended during the lookup of the name.
                if !waited.ends_in(Duration::ZERO) {
                    let _ = rustix::io::write(rustix::stdio::stderr(), message.as_bytes());
                }
            }
        });
        // Without the thread there is no message, and nothing else is lost.
        Self { shared, thread: thread.ok() }
    }

    /// Returns the handle that ends this wait early.
    pub(crate) fn hush(&self) -> Hush {
        Hush(Some(Arc::clone(&self.shared)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shared.end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn message(host: &Host, vault: Option<VaultName>) -> String {
    let Some(vault) = vault.or_else(|| host.default_vault().ok().flatten()) else {
        return "Waiting for the vaults to answer...\n".to_owned();
    };
    let plugin = host.vault(&vault).ok().and_then(|known| known.info.entry.ok());
    match plugin {
        Some(entry) => {
            let plugin = text::visible(&entry.plugin);
            format!("Waiting for vault `{vault}` (plugin `{plugin}`)...\n")
        }
        None => format!("Waiting for vault `{vault}`...\n"),
    }
}
